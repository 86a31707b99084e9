"""The repository keeps its promises: pins, commands, skips, sizes, and no trace of a machine."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers import claims
from helpers.claims import Claim
from helpers.course.build import read
from tests.course import ALLOWANCES, NOTEBOOKS, ROOT, repository_files, text_files
from tests.test_floors import FLOORS, GROUND

MOST_BYTES = 24_000_000

# Put together here, so that this file does not hold what it looks for.
MACHINE_PATHS = [f"/{name}/" for name in ("work", "root")] + ["/opt" + "/pypi", "/opt" + "/wheels"]
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("registry", "npmjs", "org"),
        ("conda", "anaconda", "org"),
    )
]
SKIPS = {"skip", "skipif", "xfail", "importorskip", "SkipTest", "skipTest", "skipIf", "skipUnless"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements() -> list[str]:
    lines = [line.partition("#")[0].strip() for line in text("requirements.txt").splitlines()]
    return [line for line in lines if line]


def project() -> dict:
    return tomllib.loads(text("pyproject.toml"))


# Set-up


def test_the_requirements_are_exact_and_end_with_the_course_itself():
    *pins, last = requirements()
    assert last == "-e ."
    assert [pin for pin in pins if not re.fullmatch(r"[\w-]+==[\w.]+", pin)] == []


def test_torch_and_nbval_are_pinned_the_same_twice():
    declared = project()["project"]
    everything = [*declared["dependencies"], *declared["optional-dependencies"]["test"]]
    for name in ("torch", "nbval"):
        assert [line for line in everything if re.match(rf"{name}\b", line)] == [
            line for line in requirements() if re.match(rf"{name}\b", line)
        ]


def test_every_dependency_is_pinned_and_capped():
    declared = project()["project"]
    everything = [*declared["dependencies"], *declared["optional-dependencies"]["test"]]
    names = {re.match(r"[\w-]+", line)[0] for line in everything}
    assert names == {pin.partition("==")[0] for pin in requirements()[:-1]}
    assert [line for line in everything if "==" not in line and ",<" not in line] == []


def test_no_cuda_package_and_no_index_is_asked_for():
    both = (text("requirements.txt") + text("pyproject.toml")).lower()
    assert re.findall(r"nvidia|cu1\d\d|index-url|find-links", both) == []


def test_the_license_is_there():
    assert text("LICENSE").startswith("MIT License")
    assert "2026 The induction course authors" in text("LICENSE")


# Commands


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))


def test_the_makefile_has_its_targets_and_names_each_in_its_help():
    named = "help lab test bench stability course site fresh mutants wild cluster clean"
    assert set(named.split()) == targets()
    helped = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^make (\w+)", helped.stdout, re.MULTILINE)) == targets()


def test_ci_runs_make_test_with_the_real_model_and_a_cluster_and_without_the_network():
    for script in (ROOT / ".ci" / "run", ROOT / ".ci" / "offline"):
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", str(script)], check=True)
    assert text(".ci/run").rstrip().endswith("make wild\nmake cluster\n.ci/offline make test")


def missing_commands(words: str) -> list[str]:
    """The commands in a text that the repository does not have."""
    missing = [
        f"make {name}" for name in re.findall(r"(?:^|`)make ([a-z]\w*)", words, re.MULTILINE)
    ]
    missing = [command for command in missing if command.split()[1] not in targets()]
    modules = re.findall(r"python3? -m ((?:helpers|tests)[\w.]*)", words)
    return missing + [f"python -m {name}" for name in modules if not runs_as_module(name)]


def runs_as_module(name: str) -> bool:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return False
    return bool(spec) and (
        not spec.submodule_search_locations or bool(find_spec(f"{name}.__main__"))
    )


@pytest.mark.parametrize(
    ("page", "made"), {"README.md": {"lab", "test"}, "CONTRIBUTING.md": {"test", "fresh"}}.items()
)
def test_the_commands_of_a_page_exist(page, made):
    assert made <= set(re.findall(r"make (\w+)", text(page)))
    assert missing_commands(text(page)) == []


def test_the_commands_of_the_makefile_exist():
    assert missing_commands(text("Makefile").replace("$(BIN)/", "")) == []


def test_a_command_that_does_not_exist_is_seen():
    assert missing_commands("make sure that `make lab` works") == ["make sure"]
    assert missing_commands("Run `make fast`.") == ["make fast"]
    assert missing_commands("python -m helpers.nothing") == ["python -m helpers.nothing"]
    assert missing_commands("python -m helpers.course.build") == []


def missing_files(words: str) -> list[str]:
    """What a text links to, and the files that it names by their path from the root, that are not
    there. NAME and NN in a path stand for any."""
    links = re.findall(r"\]\(([^)#\s]+)", words)
    named = re.findall(r"(?<![\w./])(?:data|helpers|notebooks|tests)/[\w./*-]*[\w*/]", words)
    local = [path for path in links if not re.match(r"https?:|mailto:", path)]
    patterns = {path: re.sub(r"NAME|NN", "*", path).rstrip("/") for path in [*local, *named]}
    return [path for path, pattern in patterns.items() if not any(ROOT.glob(pattern))]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_what_a_page_links_to_and_names_is_there(page):
    assert missing_files(text(page)) == []


def test_a_file_that_is_not_there_is_seen():
    assert missing_files("[a](no.md) [b](README.md#x) [c](https://a.b/c)") == ["no.md"]
    assert missing_files("`helpers/nothing.py`, in `helpers/checks/`") == ["helpers/nothing.py"]
    assert missing_files("python -m pytest tests/no.py -k a") == ["tests/no.py"]
    assert missing_files("helpers/checks/NAME.py, notebooks/NN_its_name.ipynb") == [
        "notebooks/NN_its_name.ipynb"
    ]


def promised(notebook: Path) -> tuple[str, str]:
    """The question and the minutes in a notebook's first cell."""
    title, _, rest = read(notebook).cells[0].source.partition("\n")
    return title.removeprefix("# ").strip(), re.search(r"\b(\d+) minutes\b", rest)[1]


def test_the_readme_lists_every_notebook_with_its_question_and_minutes():
    row = re.compile(r"^\| \[.*?\]\(notebooks/(.*?)\) \| (.*?) \| (\d+) \|$", re.MULTILINE)
    listed = [
        (name, (question, minutes)) for name, question, minutes in row.findall(text("README.md"))
    ]
    assert listed == [(path.name, promised(path)) for path in NOTEBOOKS]


def test_the_floors_that_contributing_draws_are_those_that_are_held():
    rows = re.findall(r"^\| (\d) \| (.*?) \|", text("CONTRIBUTING.md"), re.MULTILINE)
    drawn = [(int(floor), set(re.findall(r"`(\w+)`", rooms))) for floor, rooms in rows]
    assert drawn == [*reversed([*enumerate([GROUND, *FLOORS], 1)])]


def shown_code(word: str) -> str:
    """The block of Python in CONTRIBUTING.md that holds this word."""
    blocks = re.findall(r"```python\n(.*?)```", text("CONTRIBUTING.md"), re.DOTALL)
    (block,) = (block for block in blocks if word in block)
    return block


def test_the_exercise_that_contributing_shows_is_one():
    namespace = {}
    exec(shown_code("Exercise("), namespace)
    half = namespace["half"]
    assert half(half.solution, seed=0)
    assert [half(wrong, seed=0).diagnosis for wrong in half.mistakes.values()] == [*half.mistakes]


def test_the_claim_that_contributing_shows_is_one(capsys):
    exec(shown_code("claim("), vars(claims) | dict(best=0.9, best_of_one_layer=0.1))
    assert Claim.parse(capsys.readouterr().out).holds


# Skips


def skips(source: str) -> Iterator[str | None]:
    """The reason of every skip in a source; None where it is missing or not a plain string."""
    tree = ast.parse(source)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SKIPS:
            yield _reason(called.get(id(node)), node.attr)


def _reason(call: ast.Call | None, kind: str) -> str | None:
    if call is None:
        return None
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("reason", "msg")]
    given = named or (call.args[:1] if kind in ("skip", "xfail") else [])
    return given[0].value if given and isinstance(given[0], ast.Constant) else None


def test_every_skip_has_a_reason_on_the_list_and_no_reason_is_stale():
    sources = [path for path in repository_files() if path.suffix == ".py"]
    found = {reason for path in sources for reason in skips(path.read_text(encoding="utf-8"))}
    assert found == set(ALLOWANCES["skipped_tests"])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("pytest.skip('no web')", "no web"),
        ("@pytest.mark.skip(reason='no web')\ndef f(): ...", "no web"),
        ("@pytest.mark.skipif(x, reason='no web')\ndef f(): ...", "no web"),
        ("@pytest.mark.skip\ndef f(): ...", None),
        ("pytest.skip()", None),
        ("pytest.skip(f'no {x}')", None),
        ("pytest.importorskip('x')", None),
        ("@pytest.mark.xfail\ndef f(): ...", None),
    ],
)
def test_every_form_of_skip_is_read(source, reason):
    assert list(skips(source)) == [reason]


# What is committed


def findings(texts: dict[Path, str], needles: list[str]) -> dict[str, list[str]]:
    """The files, by their name in the repository, that hold one of the needles."""
    found = {
        path.relative_to(ROOT).as_posix(): [needle for needle in needles if needle in content]
        for path, content in texts.items()
    }
    return {name: needles for name, needles in found.items() if needles}


def test_no_file_knows_the_machine_it_was_made_on():
    assert findings(text_files(), MACHINE_PATHS) == {}


def test_only_the_listed_files_name_a_registry():
    assert set(findings(text_files(), REGISTRY_HOSTS)) == set(ALLOWANCES["registry_hosts"])


@pytest.mark.parametrize("needle", MACHINE_PATHS + REGISTRY_HOSTS)
def test_a_path_and_a_host_are_seen(needle):
    texts = {ROOT / "a.md": f"see {needle}x", ROOT / "b.md": "fine: homework/rooted"}
    assert findings(texts, MACHINE_PATHS + REGISTRY_HOSTS) == {"a.md": [needle]}


def test_the_repository_is_small():
    sizes = {path: path.stat().st_size for path in repository_files()}
    assert sum(sizes.values()) <= MOST_BYTES, sorted(sizes, key=sizes.get)[-5:]


def test_git_ignores_what_a_run_leaves_behind():
    left = [".venv/x", "a/__pycache__/x", "tests/browser/screenshots/x.png", "x.egg-info/y"]
    ignored = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "check-ignore", *left],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ignored.stdout.split() == left


# Start-up


def test_the_model_is_imported_without_what_is_heavy():
    """How many seconds it takes is `make bench`'s to say."""
    program = "import sys, torch; before = set(sys.modules); import helpers.model; "
    program += "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"matplotlib", "IPython", "ipywidgets", "anywidget", "transformer_lens", "transformers"}
    assert "helpers" in run.stdout.split() and not heavy & set(run.stdout.split())


def test_helpers_are_ours():
    """`helpers` is a common name: another package of that name must not stand in front."""
    program = "import helpers; print(helpers.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "tests", capture_output=True, text=True
    )
    assert Path(found.stdout.strip()) == ROOT / "helpers" / "__init__.py"


def test_the_code_keeps_ruffs_rules():
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "helpers", "tests", "notebooks"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout
