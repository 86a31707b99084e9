"""Writes the course as static pages: `python -m helpers.course.site`, or `make site`.

- A page a notebook, from what is stored in it; a front page, glossary, guide and claims.
- Every notebook is run once, for what its explorables show: minutes in all. `--stills` runs none,
  and the pages show the explorables' stills.
- Nothing is asked of any other address, and no server is needed: the pages open from a disk too.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from helpers import real_model
from helpers.course import build
from helpers.course.site import pages, recordings, scripts, states
from helpers.course.site.pages import Page

INTO = build.ROOT / "build" / "site"
MARK = "assets/site.js"  # by which a folder is known as a site, and may be written anew
GUIDES = {"glossary.md": "Glossary", "facilitator_guide.md": "The facilitator's guide"}
SHEET = "notation_sheet.html"
CLAIMS = "claims.html"
BIRTH = "birth.html"
FOLDER = "induction-course.zip"
VIEW = "<!-- Discovery -->"  # where it comes on the front page

States = Mapping[Path, Mapping[tuple[str, int], states.State]]


def site(notebooks: list[Path], alive: States) -> dict[str, bytes]:
    """All files of the site, by their path in its folder. `alive`: what the explorables of a
    notebook show, where it has been run."""
    written = [front(), claims()]
    for name, title in GUIDES.items():
        text = (build.NOTEBOOKS / name).read_text(encoding="utf-8")
        written.append(pages.of_text(f"{Path(name).stem}.html", title, text, link))
    for path in notebooks:
        written.append(pages.of_notebook(path, build.read(path), alive.get(path, {}), link))
    texts = {MARK: scripts.script(pages.HERE / "page.js"), "assets/site.css": scripts.site_style()}
    for view in {view for page in written for view in page.views}:
        texts[f"assets/views/{view}.js"] = scripts.view(view)
        texts[f"assets/views/{view}.css"] = scripts.view_style(view)
    for name, packed in dict(default=recordings.default(), text=recordings.text()).items():
        texts[f"assets/recordings/{name}.js"] = pages.stored("recordings", name, packed)
    files = {SHEET: _sheet(), BIRTH: birth()} | folder()
    files |= {name: text.encode() for name, text in texts.items()}
    for page in written:
        files |= page.files | {page.name: page.html().encode()}
    return files


def link(url: str) -> str | None:
    """Where a link of a notebook or of README leads on the site; None where it has no page."""
    path, mark, place = url.partition("#")
    name = Path(path).name
    if not path or path == FOLDER or path.startswith("http"):
        return url
    if name == build.README.name:
        return pages.HOME + mark + place
    if name in {SHEET, BIRTH, *GUIDES} or name.endswith(".ipynb"):
        return Path(name).with_suffix(".html").name + mark + place
    return None


def front() -> Page:
    """What the course is, as README says it, and the way to every page."""
    words, first = _readme_parts(), build.all_notebooks()[0]
    title, picture, _, intro = words["intro"].split("\n\n", 3)
    text = Template((pages.HERE / "front.md").read_text(encoding="utf-8")).substitute(
        title=title,
        intro=intro,
        riddle=told("riddle"),
        spoil=told("spoil"),
        view=VIEW,
        question=_question(first),
        first=first.name,
        notebooks=words["The notebooks"],
        commands=words["On your own machine"],
        folder=_to_take(),
    )
    page = pages.of_text(pages.HOME, pages.COURSE, text, link)
    page.headings = []
    page.files["figures/birth.png"] = moving = (build.ROOT / "data" / "birth.png").read_bytes()
    [says] = re.findall(r"!\[(.*)\]", picture)
    still = pages.image("figures/birth.png", says, moving)
    page.body = page.body.replace(VIEW, pages.place(page, "discovery", still))
    return page


def birth() -> bytes:
    """The page of the birth alone."""
    return scripts.birth(told("riddle"), told("spoil"))


def _to_take() -> str:
    if not folder():
        return "take the course's folder"
    return f"[download the course's folder]({FOLDER}) ({len(folder()[FOLDER]) / 2**20:.0f} MB)"


@cache
def folder() -> dict[str, bytes]:
    """The course itself as git keeps it, packed; nothing where git does not keep it, or is not
    there, or does not answer."""
    if not (build.ROOT / ".git").exists() or not shutil.which("git"):
        return {}
    prefix = f"--prefix={Path(FOLDER).stem}/"
    command = ["git", "-C", str(build.ROOT), "archive", "--format=zip", prefix, "HEAD"]
    packed = subprocess.run(command, capture_output=True)
    return {} if packed.returncode else {FOLDER: packed.stdout}


def told(what: str) -> str:
    """What the front page and the page of the birth say alike."""
    return (pages.HERE / f"{what}.html").read_text(encoding="utf-8")


def claims() -> Page:
    """README's tables of claims."""
    title = "What is claimed, and what was measured"
    return pages.of_text(CLAIMS, title, f"# {title}\n\n{_readme_parts()[title]}", link)


def _readme_parts() -> dict[str, str]:
    """README by its headings; `intro` is what stands before the first. Of the commands, what comes
    up to the end of the first block."""
    readme = build.README.read_text(encoding="utf-8")
    intro, *rest = readme.split("\n## ")
    parts = {"intro": intro} | {
        heading: text for heading, _, text in (part.partition("\n\n") for part in rest)
    }
    commands = parts["On your own machine"].split("```")
    parts["On your own machine"] = f"```{commands[1]}```"
    return parts


def _question(path: Path) -> str:
    return build.read(path).cells[0].source.splitlines()[0].lstrip("# ")


def _sheet() -> bytes:
    """The notation sheet, which has no icon; a browser would ask the server for one."""
    text = (build.NOTEBOOKS / SHEET).read_text(encoding="utf-8")
    return text.replace("<title>", '<link rel="icon" href="data:,">\n<title>', 1).encode()


# ---- the command


def check_free(into: Path) -> None:
    """ValueError for a folder that holds something else than a site."""
    if into.exists() and any(into.iterdir()) and not (into / MARK).is_file():
        raise ValueError(
            f"{into} is no site, and would be lost; name an empty folder, or a new one"
        )


def write(files: Mapping[str, bytes], into: Path) -> None:
    """Write the site, in place of the one that was there. ValueError as of `check_free`."""
    check_free(into)
    fresh = into.with_name(f"{into.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name, content in files.items():
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_bytes(content)
    shutil.rmtree(into, ignore_errors=True)
    fresh.rename(into)


def run(notebooks: list[Path]) -> States:
    """What the explorables of these notebooks show. One in which a cell fails is said to, and its
    page shows stills."""
    found = {}
    for path in notebooks:
        if not real_model.is_installed() and build.needing_the_real_model(build.read(path)):
            print(f"{path.name:<36} with stills: the real model comes with `make wild`")
            continue
        try:
            found[path] = states.of_notebook(path)
            print(f"{path.name:<36} {len(found[path])} explorables", flush=True)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            print(f"{path.name}: with stills, because a cell failed\n{error}", file=sys.stderr)
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.course.site", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--into", type=Path, default=INTO, help="the folder to write")
    parser.add_argument("--stills", action="store_true", help="run no notebook")
    options = parser.parse_args(arguments)
    try:
        check_free(options.into)
    except ValueError as error:
        parser.error(str(error))
    notebooks = build.all_notebooks()
    files = site(notebooks, {} if options.stills else run(notebooks))
    write(files, options.into)
    print(f"{len(files)} files, {sum(map(len, files.values())) / 2**20:.1f} MB: {options.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
