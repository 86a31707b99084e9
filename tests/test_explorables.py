"""The explorables' JavaScript: modules that find each other, one text a view, and the house's rules
for both."""

import re
from functools import cache
from pathlib import Path

import pytest

from helpers.explorables import HERE, IMPORT, modules, script, style
from helpers.explorables.attention import Attention

VIEWS = sorted(HERE.glob("*/view.js"))
PROGRAMS = [HERE / "discovery" / "trainer" / f"{end}.js" for end in ("worker", "remote")]
TEXTS = [*VIEWS, *PROGRAMS]  # what a front end takes
FILES = sorted(HERE.rglob("*.js"))


# Modules that compute, and run where there is no document.
PURE = [path for path in FILES if "Needs no page." in path.read_text(encoding="utf-8")]
PAGE = {"document", "window", "matchMedia", "requestAnimationFrame", "setTimeout", "Path2D"}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def name(path: Path) -> str:
    return path.relative_to(HERE).as_posix()


# What a module consists of, in code and in a template's words.
IN_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[`{}]|[^`{}"'/]+|/""", re.DOTALL
)
IN_TEMPLATE = re.compile(r"`|\$\{|(?:\\.|\$(?!\{)|[^`\\$])+", re.DOTALL)


@cache
def code(source: str) -> str:
    """A module without its comments and without the words of its strings and templates. What stands
    in a template's `${ }` is code and stays."""
    kept, inside, at = [], ["{"], 0  # inside: of braces and templates, the innermost last
    while at < len(source):
        is_template = inside[-1] == "`"
        part = (IN_TEMPLATE if is_template else IN_CODE).match(source, at)[0]
        at += len(part)
        if part == ("`" if is_template else "}"):
            inside.pop()
        elif part in ("`", "{", "${"):
            inside.append(part[-1])
        elif is_template or part.startswith(("//", "/*")):
            part = ""
        elif part[0] in "\"'":
            part = '""'
        kept.append(part[-1:] if part == "${" else part)
    return "".join(kept)


def declared(source: str) -> list[str]:
    """The names that a module declares at its top level, as often as it does; "" for a pattern."""
    top = outermost(code(source))
    names = re.findall(r"\b(?:function\*?|class)\s+(\w+)", top)
    for declarators in re.findall(r"\b(?:const|let|var)\b([^;]*);", top):
        names += [one.partition("=")[0].strip() for one in declarators.split(",")]
    return names


def nested(source: str) -> list[int]:
    """The lines on which a template stands in another's `${}`."""
    found, stack, line, at = [], [], 1, 0
    while at < len(source):
        one, top = source[at], stack[-1] if stack else ""
        line += one == "\n"
        if top and top in "`'\"":  # in a text
            if one == "\\":
                at += 1
            elif one == top or (one == "\n" and top != "`"):
                stack.pop()
            elif top == "`" and source.startswith("${", at):
                stack.append("{")
                at += 1
        elif source.startswith("//", at):
            at = source.index("\n", at) - 1
        elif one in "`'\"{":
            found += [line] if one == "`" and "`" in stack else []
            stack.append(one)
        elif one == "}" and top == "{":
            stack.pop()
        at += 1
    return found


@cache
def outermost(source: str) -> str:
    """What stands in no brackets."""
    before = None
    while source != before:
        before, source = source, re.sub(r"\([^()]*\)|\[[^][]*\]|\{[^{}]*\}", " ", source)
    return source


def exported(source: str) -> set[str]:
    return set(re.findall(r"^export (?:function\*?|class|const|let) (\w+)", source, re.MULTILINE))


def imported(source: str) -> dict[str, list[str]]:
    """The names that a module imports, by the path that it gives."""
    return {
        "".join(match.groups()): re.findall(r"\w+", match[0].partition("{")[2].partition("}")[0])
        for match in IMPORT.finditer(source)
    }


def used(source: str) -> set[str]:
    """The names that stand in a module's code by themselves: not behind a dot, not as a key."""
    keyless = re.sub(r"([{,]\s*)\w+\s*:", r"\1", code(source))
    return set(re.findall(r"(?:(?<![\w.$])|(?<=\.\.\.))[A-Za-z_$][\w$]*", keyless))


def twice(sources: dict[str, str]) -> list[str]:
    """What two modules declare, or one twice: in one text, one of them would be lost."""
    homes: dict[str, list[str]] = {}
    for module, source in sources.items():
        for one in declared(source):
            homes.setdefault(one, []).append(module)
    return [f"{one} in {' and '.join(places)}" for one, places in homes.items() if places[1:]]


def borrowed(sources: dict[str, str]) -> list[str]:
    """What a module uses that another exports, without an import: in one text it is found by luck,
    in the module alone it is missing."""
    found = []
    for module, source in sources.items():
        own = {*declared(source), *(one for names in imported(source).values() for one in names)}
        for other, theirs in sources.items():
            missing = (exported(theirs) & used(IMPORT.sub("", source))) - own
            found += [f"{module} uses {one} of {other}" for one in sorted(missing)]
    return found


def settings(styles: str) -> set[tuple[str, str]]:
    """What a style sheet sets where: pairs of a selector without its view's class, and a
    property."""
    pairs = set()
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", styles)):
        names = {line.partition(":")[0].strip() for line in body.split(";") if ":" in line}
        for selector in selectors.split(","):
            where = re.match(r"\.[a-z_]+ (.+)", " ".join(selector.split()))
            pairs |= {(where[1], name) for name in names} if where else set()
    return pairs


# Modules


def test_every_view_is_there():
    assert {path.parent.name for path in VIEWS} == {
        "attention",
        "discovery",
        "paths",
        "prediction",
        "rotation",
        "savings",
        "virtual_weights",
    }


@pytest.mark.parametrize("view", VIEWS, ids=name)
def test_a_view_is_one_text_that_imports_and_exports_nothing_but_itself(view):
    text = script(view)
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert re.findall(r"^export.*", text, re.MULTILINE) == ["export default { render };"]


@pytest.mark.parametrize("view", TEXTS, ids=name)
def test_no_two_modules_of_a_view_declare_one_name(view):
    assert twice({name(path): read(path) for path in modules(view)}) == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_template_stands_in_another(path):
    """What makes scripts small for the site takes the inner one for code, and its spaces away."""
    assert nested(read(path)) == []


def test_a_template_in_another_is_seen():
    assert nested("// `a ${b}\nf = `a ${x ? `b ${c}` : ''}`;\n") == [2]
    assert nested("f = `a ${x} ${y}` + `b ${z('}`')} c`;\n") == []


@pytest.mark.parametrize("view", TEXTS, ids=name)
def test_every_module_imports_what_it_uses(view):
    assert borrowed({name(path): read(path) for path in modules(view)}) == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_import_is_offered_and_used(path):
    source = read(path)
    for place, names in imported(source).items():
        assert names and set(names) <= exported(read(path.parent / place)), place
        assert set(names) <= used(IMPORT.sub("", source)), place


@pytest.mark.parametrize("view", VIEWS, ids=name)
def test_a_view_asks_for_nothing_off_the_machine(view):
    addresses = re.findall(r"https?://[^\s\"']+", script(view) + style(view))
    assert set(addresses) == {"http://www.w3.org/2000/svg"}  # a name, and no address


@pytest.mark.parametrize("view", VIEWS, ids=name)
def test_what_a_view_sets_outweighs_what_is_shared(view):
    """Each view on a page brings the shared styles with it, so the last of them stand behind the
    styles of every other view, and win where both weigh the same."""
    shared = set().union(*(settings(path.read_text()) for path in HERE.glob("shared/*.css")))
    assert not settings(view.with_suffix(".css").read_text()) & shared


@pytest.mark.parametrize("path", PURE, ids=name)
def test_what_needs_no_page_uses_none(path):
    for module in modules(path):
        assert not used(read(module)) & PAGE, name(module)
        assert module in PURE, f"{name(module)} does not say so"


def test_every_module_is_part_of_a_text():
    assert {path for text in TEXTS for path in modules(text)} == set(FILES)
    styles = {path.with_suffix(".css") for path in FILES}
    assert set(HERE.rglob("*.css")) <= styles


def test_what_is_shared_stands_before_what_uses_it():
    assert Attention._esm == script(HERE / "attention" / "view.js")
    order = [name(path) for path in modules(HERE / "attention" / "view.js")]
    assert order.index("shared/common.js") < order.index("shared/tokens.js")
    assert order[-1] == "attention/view.js"
    assert Attention._css.index(".explorable .tokens") < Attention._css.index(".attention .board")


def write(folder: Path, **sources: str) -> Path:
    for module, source in sources.items():
        (folder / f"{module}.js").write_text(source, encoding="utf-8")
    return folder / "view.js"


def test_each_module_stands_once_and_before_whoever_imports_it(tmp_path):
    view = write(
        tmp_path,
        view='import { a } from "./a.js";\nimport { b } from "./b.js";\n\nexport default { a };\n',
        a='import {\n  c,\n} from "./c.js";\n\nexport const a = c + 1;\n',
        b='import { c } from "./c.js";\n\nexport function b() { return c; }\n',
        c="export const c = 1;\n",
    )
    (tmp_path / "c.css").write_text("i {}", encoding="utf-8")
    assert [path.stem for path in modules(view)] == ["c", "a", "b", "view"]
    assert (
        script(view).split()
        == (
            "const c = 1; const a = c + 1; function b() { return c; } export default { a };"
        ).split()
    )
    assert style(view) == "i {}"


def test_a_module_that_is_not_there_is_named_with_its_importer(tmp_path):
    with pytest.raises(ValueError, match=r"no module .*/view.js, and a view needs it"):
        modules(tmp_path / "view.js")
    view = write(tmp_path, view='import { a } from "./lost.js";\n')
    with pytest.raises(ValueError, match=r"no module .*/lost.js, and .*/view.js imports it"):
        script(view)


def test_a_circle_is_named(tmp_path):
    view = write(
        tmp_path,
        view='import { a } from "./a.js";\n',
        a='import { b } from "./b.js";\n',
        b='import { a } from "./a.js";\n',
    )
    with pytest.raises(ValueError, match=r"/a.js imports .*/b.js imports .*/a.js: a circle"):
        script(view)


# The house's rules


def bracketed(source: str, before: str) -> list[str]:
    """What stands in the brackets that follow each place where the pattern `before` matches."""
    found = []
    for match in re.finditer(before + r"\(", source):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(source[end], 0)
            end += 1
        found.append(source[match.end() : end - 1])
    return found


def spreads(source: str) -> list[str]:
    """Calls that take as many arguments as there are data."""
    given = bracketed(code(source), r"(?:Math\.(?:max|min)|\.(?:push|unshift))")
    return [each for each in given if "..." in outermost(each)]


def assignments(source: str) -> list[str]:
    """Conditions that change what they ask about."""
    conditions = bracketed(code(source), r"\b(?:if|while) ")
    return [each for each in conditions if re.search(r"(?<![=!<>])=(?![=>])", each)]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_data_is_spread_into_arguments(path):
    """A stack holds some 100,000 arguments: a long training has more numbers."""
    assert spreads(read(path)) == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_condition_assigns(path):
    assert assignments(read(path)) == []


# The tests above can fail.


def test_words_are_told_from_code():
    source = "const a = `x ${b ? `y ${c} 'z` : ''} w`; // const d\nconst e = \"f // g\"; /* h */"
    assert used(source) == {"const", "a", "b", "c", "e"}
    assert used("f(...a, { b: c, d }).e ? g : h") == {"f", "a", "c", "d", "g", "h"}


def test_declarations_are_read():
    source = """
export const a = 1, b = (x, y = 2) => { const inner = x; return inner; };
let c, d = [1, 2];
export function e() { let inside; }
class F { g() {} }
"""
    assert declared(source) == ["e", "F", "a", "b", "c", "d"]
    assert declared("const { h } = Math;") == [""]


def test_a_name_declared_twice_is_seen():
    assert twice({"a": "const x = 1;", "b": "function x() {}"}) == ["x in a and b"]
    assert twice({"a": "const x = 1;", "b": "function y(x) {}"}) == []


def test_a_page_is_seen():
    assert used("const x = document.body, y = z.window;") & PAGE == {"document"}
    assert {"numbers.js", "model.js", "scene.js"} <= {path.name for path in PURE}


def test_a_name_used_without_an_import_is_seen():
    theirs = "export const clamp = 1;"
    assert borrowed({"a": theirs, "b": "const x = clamp + 1;"}) == ["b uses clamp of a"]
    assert borrowed({"a": theirs, "b": "const x = y.clamp + { clamp: 1 }.z;"}) == []
    assert borrowed({"a": theirs, "b": 'import { clamp } from "./a.js";\nconst x = clamp;'}) == []


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("Math.max(...all)", True),
        ("Math.min(1, ...all.flat(), 2)", True),
        ("parts.push(...more)", True),
        ("Math.max(a, f(b)); g(...c)", False),
        ("parts.push([...more])", False),
    ],
)
def test_a_spread_is_seen(source, seen):
    assert bool(spreads(source)) == seen


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("if (a !== (a = b)) c()", True),
        ("while (a = next()) {}", True),
        ("if (a === b && c <= d) e = f", False),
        ("if (all.some((x) => x >= y)) z = 1", False),
    ],
)
def test_an_assignment_in_a_condition_is_seen(source, seen):
    assert bool(assignments(source)) == seen
