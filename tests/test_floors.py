"""The house stands: imports point down, nothing goes in a circle, no file outgrows its reader."""

import ast
from pathlib import Path

import pytest

from tests.course import ROOT

HELPERS = ROOT / "helpers"
# From the ground up. A folder is one room; so is a file beside them, and all those are the ground.
FLOORS = (
    {"instruments", "training"},
    {"checks", "experiments"},
    {"explorables"},
    {"course", "heads"},
)
FLOOR = {name: height for height, floor in enumerate(FLOORS, 1) for name in floor}
GROUND = {
    "model",
    "hooks",
    "sequences",
    "corpus",
    "claims",
    "plotting",
    "handmade",
    "lens",
    "real_model",
    "without",
    "files",
    "tables",
}
MOST_LINES = {"model.py": 300}
MOST_COLUMNS = 100

Graph = dict[str, set[str]]


def imported(source: str, package: str = "helpers") -> set[str]:
    """The full names of all modules that the source imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = ".".join([*above, node.module or ""]).strip(".") if node.level else node.module
            names |= {f"{start}.{alias.name}" for alias in node.names}
    return names


def room(name: str) -> str | None:
    """The part of helpers that a full module name leads into: a module, or a package as one."""
    parts = name.split(".")
    return parts[1] if parts[0] == "helpers" and len(parts) > 1 else None


def house() -> Graph:
    """Each room of helpers with the other rooms that it imports."""
    graph: Graph = {}
    for path in HELPERS.rglob("*.py"):
        place = path.relative_to(HELPERS)
        own = place.parts[0].removesuffix(".py")
        package = ".".join(["helpers", *place.parent.parts])
        found = {room(name) for name in imported(path.read_text(encoding="utf-8"), package)}
        graph.setdefault(own, set()).update(found - {own, None})
    return graph


def wrong_imports(graph: Graph) -> list[str]:
    """What points up. Within a floor, sideways is allowed, as long as nothing goes in a circle."""
    return sorted(
        f"{own} imports {other}"
        for own, others in graph.items()
        for other in others
        if FLOOR.get(other, 0) > FLOOR.get(own, 0)
    )


def circle(graph: Graph) -> set[str]:
    """The rooms that no order of building can satisfy: those in a circle or above one."""
    left = dict(graph)
    while free := [own for own, others in left.items() if not others & set(left)]:
        for own in free:
            del left[own]
    return set(left)


def modules() -> Graph:
    """Each file of helpers, by its module's name, with the other files that it imports."""
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in HELPERS.rglob("*.py")
    }
    graph: Graph = {}
    for own, path in files.items():
        package = ".".join(path.relative_to(ROOT).parent.parts)
        found = imported(path.read_text(encoding="utf-8"), package)
        graph[own] = {_file_of(name, files) for name in found} - {own, None}
    return graph


def _file_of(name: str, files: dict[str, Path]) -> str | None:
    """The module that a full name leads into: itself, or the one that it is taken from."""
    return next((at for at in (name, name.rpartition(".")[0]) if at in files), None)


def source_lines(*kinds: str) -> dict[Path, list[str]]:
    files = [path for kind in kinds for path in HELPERS.rglob(kind)]
    return {path: path.read_text(encoding="utf-8").splitlines() for path in files}


def wide_lines(sources: dict[Path, list[str]]) -> list[str]:
    return [
        f"{path.parent.name}/{path.name}:{number}"
        for path, lines in sources.items()
        for number, line in enumerate(lines, 1)
        if len(line) > MOST_COLUMNS
    ]


def test_every_room_has_a_floor():
    assert set(house()) - {"__init__"} == set(FLOOR) | GROUND


def test_imports_point_down():
    assert wrong_imports(house()) == []


def test_nothing_goes_in_a_circle():
    assert circle(house()) == set()
    assert circle(modules()) == set()


def test_only_the_bridge_imports_transformer_lens():
    by_file = {path: path.read_text(encoding="utf-8") for path in HELPERS.rglob("*.py")}
    guilty = {
        path.name
        for path, source in by_file.items()
        if any(name.split(".")[0] == "transformer_lens" for name in imported(source))
        or 'import_module("transformer_lens' in source
    }
    assert guilty <= {"lens.py"}


def test_no_file_outgrows_its_reader():
    long = {
        path.name: len(lines)
        for path, lines in source_lines("*.py", "*.js", "*.css").items()
        if len(lines) > MOST_LINES.get(path.name, 400)
    }
    assert long == {}


def test_no_line_of_a_view_is_wider_than_the_page():
    """As ruff holds for Python."""
    assert wide_lines(source_lines("*.js", "*.css")) == []


def test_annotations_are_evaluated():
    """Under `from __future__ import annotations` shapes are strings that nothing checks."""
    guilty = [
        path.name
        for path in HELPERS.rglob("*.py")
        if "__future__.annotations" in imported(path.read_text(encoding="utf-8"))
    ]
    assert guilty == []


# The tests above can fail.


@pytest.mark.parametrize(
    ("source", "package", "names"),
    [
        ("import helpers.model as m", "helpers", {"helpers.model"}),
        ("from helpers import model", "helpers", {"helpers.model"}),
        ("from helpers.model import ModelConfig", "helpers", {"helpers.model.ModelConfig"}),
        ("def f():\n    from . import heads", "helpers", {"helpers.heads"}),
        ("from .heads import x", "helpers", {"helpers.heads.x"}),
        ("from ..heads import x", "helpers.explorables", {"helpers.heads.x"}),
        ("from .panel import x", "helpers.explorables", {"helpers.explorables.panel.x"}),
        (
            'if __name__ == "__main__":\n    import helpers.training.runs',
            "helpers",
            {"helpers.training.runs"},
        ),
        (
            "if TYPE_CHECKING:\n    import helpers.training.runs",
            "helpers",
            {"helpers.training.runs"},
        ),
    ],
)
def test_every_form_of_import_is_read(source, package, names):
    assert imported(source, package) == names


@pytest.mark.parametrize(
    ("own", "other", "wrong"),
    [
        ("model", "instruments", True),
        ("instruments", "checks", True),
        ("experiments", "course", True),
        ("__init__", "course", True),
        ("handmade", "model", False),
        ("instruments", "model", False),
        ("training", "instruments", False),
        ("explorables", "training", False),
    ],
)
def test_a_wrong_import_is_seen(own, other, wrong):
    assert bool(wrong_imports({own: {other}})) == wrong


def test_a_circle_is_seen():
    graph = {"heads": {"runs"}, "runs": {"training"}, "training": {"heads"}, "basis": {"model"}}
    assert circle(graph) == {"heads", "runs", "training"}
    assert circle({**graph, "training": set()}) == set()


def test_a_wide_line_is_seen():
    assert wide_lines({ROOT / "a" / "b.js": ["", "x" * 100, "y" * 101]}) == ["a/b.js:3"]


def test_the_house_is_read_at_all():
    assert "claims" in house()["course"]
    assert "helpers.claims" in modules()["helpers.course.build"]
