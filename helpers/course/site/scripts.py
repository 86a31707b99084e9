"""Scripts and styles as pages take them: plain ones, which open from a disk too, without comments
and white space."""

import json
from pathlib import Path
from string import Template

import rcssmin
import rjsmin

from helpers import explorables

HERE = Path(__file__).parent
VIEWS = explorables.HERE


def script(file: Path) -> str:
    """A module with all that it imports, in a scope of its own: a page that opens from a disk may
    load no module."""
    return scoped(explorables.script(file))


def view(name: str) -> str:
    """The script of a view, and the program of its Worker where it has one."""
    text = explorables.script(VIEWS / name / "view.js").replace(
        "export default { render };", f"course.views.{name} = {{ render }};"
    )
    worker = VIEWS / name / "trainer" / "worker.js"
    return scoped(text) + (program(worker) if worker.is_file() else "")


def program(worker: Path) -> str:
    """A page makes a Worker of a text, for from a disk it may start none of a file."""
    text = json.dumps(rjsmin.jsmin(explorables.script(worker)), ensure_ascii=False)
    return f"course.trainer = {text};\n".replace("</", r"<\/")  # or it would end the script


def view_style(name: str) -> str:
    return rcssmin.cssmin(explorables.style(VIEWS / name / "view.js"))


def site_style() -> str:
    return rcssmin.cssmin((HERE / "site.css").read_text(encoding="utf-8"))


def scoped(text: str) -> str:
    return f"(() => {{{rjsmin.jsmin(text)}}})();\n"


def birth(riddle: str, spoil: str) -> bytes:
    """The page of the birth alone, in one file that needs no other."""
    page = Template((HERE / "birth.html").read_text(encoding="utf-8"))
    return page.substitute(
        style=site_style() + view_style("discovery"),
        riddle=riddle,
        spoil=spoil,
        script=script(HERE / "birth.js") + view("discovery"),
    ).encode()
