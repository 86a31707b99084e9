"""The rules that the notebooks keep. Each takes a notebook and says what breaks it.

nbval's strict mode looks strict and is not: it compares nothing in a cell without an execution
count and nothing inside a PNG. These rules close its holes, and keep the course's budgets and
manners.
"""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from statistics import median
from urllib.parse import unquote

from nbformat import NotebookNode

from helpers.course.build import WIDGET_VIEW
from tests.course import ALLOWANCES, ROOT, cells

RULES: dict[str, Callable[[NotebookNode], Iterator[str]]] = {}

BOUNDS = {"below", "above", "between", "exactly"}
EXPECTED_ERROR = {"raises-exception", "nbval-raises-exception"}
IGNORED = re.compile(r"nbval[-_]ignore[-_]output", re.IGNORECASE)
SKIPPED = re.compile(r"nbval[-_]skip", re.IGNORECASE)
FORBIDDEN_CODE = {
    "ends a line in ';'": r";[ \t]*(#.*)?$",
    "calls clear_output": r"\bclear_output\b",
    "times itself by magic": r"^[ \t]*%{1,2}time",
    "shows a tqdm bar": r"\btqdm\b",
    "installs packages": r"^[ \t]*[!%]+ *(pip|conda|uv)\b",
    "names a web address": r"https?://",
}
IMAGE_TYPES = {"image/png", "image/jpeg", "image/svg+xml"}
HEAD_NUMBERS = (
    r"\bheads?\s+(number\s+)?`?\(?\d",
    r"\bheads?\s+\d+\.\d+",
    r"\b\d+\.\d+\s+(head|attends|copies|looks)",
    r"\bL\d+ ?H\d+\b",
    r"\blayer \d+,? (and )?head\b",
)
# A section opens with a heading or with bold words at the start of a line.
SECTION = re.compile(r"^(?:#{1,6} (.*)$|\*\*([^*\n]+)\*\*)", re.MULTILINE)


def rule(check: Callable[[NotebookNode], Iterator[str]]) -> Callable[[NotebookNode], Iterator[str]]:
    """Enter a rule under its name."""
    RULES[check.__name__] = check
    return check


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def lines(source: str) -> int:
    """How many lines of the cell are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def name(cell: NotebookNode) -> str:
    """The cell as a person finds it: its id and how it begins."""
    return f"cell {cell.id} ({cell.source.strip().partition(chr(10))[0][:40] or 'empty'})"


def plain(text: str) -> str:
    """Markdown without fenced code, and one word for each inline code and each formula."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`", "code", text)
    return re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "formula", text, flags=re.DOTALL)


def words(text: str) -> int:
    """How many words a reader reads; tags and the targets of links are none."""
    text = re.sub(r"\]\([^)]*\)", "] ", re.sub(r"<[^>]*>", " ", plain(text)))
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def prose(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in cells(notebook, "markdown")]


def stored_texts(cell: NotebookNode) -> Iterator[str]:
    """Every text in the cell's stored outputs."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield output.get("evalue", "")
        yield "\n".join(output.get("traceback", []))
        for kind, value in output.get("data", {}).items():
            if isinstance(value, str) and kind not in ("image/png", "image/jpeg"):
                yield value


# Outputs: what nbval would let through


@rule
def not_executed(notebook):
    """Without an execution count nbval compares nothing."""
    last = 0
    for cell in cells(notebook, "code"):
        count = cell.execution_count
        if not cell.source.strip():
            yield f"{name(cell)}: has no code"
        elif count is None or count <= last:
            yield f"{name(cell)}: its execution count is {count} after {last}"
        last = count or last


@rule
def error_output(notebook):
    for cell in cells(notebook, "code"):
        if (
            any(out.output_type == "error" for out in cell.outputs)
            and not tags(cell) & EXPECTED_ERROR
        ):
            yield f"{name(cell)}: stored an error and is not tagged raises-exception"


@rule
def stderr(notebook):
    for cell in cells(notebook, "code"):
        if any(out.get("name") == "stderr" for out in cell.outputs):
            yield f"{name(cell)}: stored something on stderr"


@rule
def skipped_cells(notebook):
    """Every cell runs. One that cannot be compared is ignored instead, and stands on the list."""
    for cell in cells(notebook, "code"):
        if any(SKIPPED.search(mark) for mark in [*tags(cell), cell.source]):
            yield f"{name(cell)}: is skipped by nbval"


@rule
def address_in_output(notebook):
    for cell in cells(notebook, "code"):
        if any(re.search(r"\b0x[0-9a-fA-F]+", text) for text in stored_texts(cell)):
            yield f"{name(cell)}: stored a memory address"


@rule
def machine_path_in_output(notebook):
    for cell in cells(notebook, "code"):
        if any(
            re.search(r"(^|[\s'\"(])(/(home|Users|root|tmp)/|C:\\)", text)
            for text in stored_texts(cell)
        ):
            yield f"{name(cell)}: stored a path of the machine it ran on"


@rule
def picture_without_sentence(notebook):
    """The sentence is the picture's alternative text, and all of it that nbval compares."""
    for cell in cells(notebook, "code"):
        for data in (out.get("data", {}) for out in cell.outputs):
            sentence = data.get("text/plain", "").strip()
            if IMAGE_TYPES & set(data) and (len(sentence) < 20 or sentence.startswith("<")):
                yield f"{name(cell)}: its picture says only {sentence!r}"


@rule
def metadata(notebook):
    if "widgets" in notebook.metadata:
        yield "stores the state of widgets"
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"asks for the kernel {kernel!r}, not 'python3'"
    for cell in cells(notebook, "code"):
        if any(WIDGET_VIEW in out.get("data", {}) for out in cell.outputs):
            yield f"{name(cell)}: stores the view of a widget"


# Code


@rule
def forbidden_code(notebook):
    for cell in cells(notebook, "code"):
        for what, pattern in FORBIDDEN_CODE.items():
            if re.search(pattern, cell.source, re.MULTILINE):
                yield f"{name(cell)}: {what}"


@rule
def long_line(notebook):
    for cell in cells(notebook, "code"):
        for line in cell.source.splitlines():
            if len(line) > 100:
                yield f"{name(cell)}: a line of {len(line)} columns, {line[:40]!r}...; at most 100"


@rule
def too_few_code_cells(notebook):
    if len(cells(notebook, "code")) < 25:
        yield f"{len(cells(notebook, 'code'))} code cells; at least 25"


@rule
def too_many_code_cells(notebook):
    if len(cells(notebook, "code")) > 60:
        yield f"{len(cells(notebook, 'code'))} code cells; at most 60"


@rule
def median_code_cell(notebook):
    sizes = [lines(cell.source) for cell in cells(notebook, "code")]
    if sizes and median(sizes) > 6:
        yield f"its median code cell has {median(sizes)} lines; at most 6"


@rule
def long_code_cell(notebook):
    for cell in cells(notebook, "code"):
        if lines(cell.source) > 25 and not claims(cell.source):
            yield f"{name(cell)}: {lines(cell.source)} lines; at most 25"


@rule
def code_in_a_row(notebook):
    for kind, run in groupby(notebook.cells, key=lambda cell: cell.cell_type):
        run = list(run)
        if kind == "code" and len(run) > 3:
            yield f"{name(run[0])}: {len(run)} code cells without a word between them; at most 3"


@rule
def too_few_exercises(notebook):
    stubs = [cell for cell in cells(notebook, "code") if "exercise" in tags(cell)]
    if len(stubs) < 3:
        yield f"{len(stubs)} exercises (cells tagged exercise); at least 3"


# Claims: what stands in front of a reader is the lesson, and its proof stands in a cell of its own


def parsed(source: str) -> list[ast.stmt]:
    """The statements of a cell; none where it is no plain Python, as a cell with magic is not."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def called(node: ast.AST) -> str:
    """The name of the function that is called here, if it is called by its bare name."""
    return getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""


def claims(source: str) -> list[ast.Call]:
    """Every call of `claim` in a cell, wherever it stands."""
    nodes = (node for statement in parsed(source) for node in ast.walk(statement))
    return [node for node in nodes if called(node) == "claim"]


@rule
def claim_stands_alone(notebook):
    """A claim's cell holds the claim alone, or several. Not in a loop either, nor under an if."""
    for cell in cells(notebook, "code"):
        statements = parsed(cell.source)
        bare = [node for node in statements if called(getattr(node, "value", node)) == "claim"]
        if claims(cell.source) and len(bare) < len(statements):
            yield f"{name(cell)}: holds a claim and something else"


@rule
def claim_without_control(notebook):
    for cell in cells(notebook, "code"):
        for call in claims(cell.source):
            given = {word.arg: word.value for word in call.keywords}
            for part in ("finding", "controls"):
                if part not in given or not getattr(given[part], "keys", True):
                    yield f"{name(cell)}: a claim without {part}="


@rule
def typed_number_in_claim(notebook):
    """What a claim says is measured comes from the measurement: no name and no value has a number
    typed in. Bounds are typed, and what was published."""
    for cell in cells(notebook, "code"):
        for call in claims(cell.source):
            for node in ast.walk(call):
                if called(node) in BOUNDS and not measured(node.args[0] if node.args else None):
                    yield f"{name(cell)}: {ast.unparse(node)} compares a value that is typed in"
            for number in typed_numbers(call):
                yield f"{name(cell)}: {number!r} is typed into a claim's words"


def measured(value: ast.AST | None) -> bool:
    """Whether an expression names a value, so that it can come from a measurement."""
    nodes = list(ast.walk(value)) if value is not None else []
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    return any(isinstance(node, ast.Name) and node not in functions for node in nodes)


def typed_numbers(call: ast.Call) -> Iterator[str]:
    """The texts with digits in them by which a claim names its quantities."""
    words = [word.value for word in call.keywords if word.arg in ("finding", "controls")]
    for mapping in words:
        keys = getattr(mapping, "keys", None) or [getattr(mapping, "key", None)]
        texts = (node for key in keys if key is not None for node in texts_of(key))
        yield from (text for text in texts if re.search(r"\d", text))


def texts_of(key: ast.AST) -> Iterator[str]:
    """The words of a string as they are typed: of an f-string without what is computed."""
    parts = key.values if isinstance(key, ast.JoinedStr) else [key]
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


# Prose


@rule
def too_few_words(notebook):
    total = sum(words(text) for text in prose(notebook))
    if total < 2000:
        yield f"{total} words; at least 2,000"


@rule
def too_many_words(notebook):
    total = sum(words(text) for text in prose(notebook))
    if total > 4000:
        yield f"{total} words; at most 4,000"


@rule
def long_markdown_cell(notebook):
    for cell in cells(notebook, "markdown"):
        if words(cell.source) > 150:
            yield f"{name(cell)}: {words(cell.source)} words; at most 150"


@rule
def head_number(notebook):
    """Roles are stable from one training run to the next, indices are not."""
    for cell in cells(notebook, "markdown"):
        for pattern in HEAD_NUMBERS:
            found = re.search(pattern, cell.source, re.IGNORECASE)
            if found:
                yield f"{name(cell)}: names a head by number, {found[0]!r}"
                break


@rule
def markdown_picture(notebook):
    for cell in cells(notebook, "markdown"):
        text = plain(cell.source)
        pictures = re.findall(r"!\[([^\]]*)\]\(([^)\s]*)", text)
        for tag in re.findall(r"<img\b[^>]*>", text, re.IGNORECASE):
            pictures.append((_attribute(tag, "alt"), _attribute(tag, "src")))
        for alt, source in pictures:
            if not alt.strip():
                yield f"{name(cell)}: the picture {source} has no alternative text"
            if source.startswith("attachment:"):
                continue
            if ":" in source or not (ROOT / "notebooks" / unquote(source)).is_file():
                yield f"{name(cell)}: the picture {source} is not a file of the course"


def _attribute(tag: str, attribute: str) -> str:
    found = re.search(rf"\b{attribute}\s*=\s*[\"']([^\"']*)[\"']", tag, re.IGNORECASE)
    return found[1] if found else ""


@rule
def dead_link(notebook):
    """A web address is left alone, because no test reaches the network."""
    anchors = {
        _anchor(title)
        for text in prose(notebook)
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for cell in cells(notebook, "markdown"):
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)[^)]*\)", plain(cell.source)):
            if re.match(r"(https?|mailto|attachment):", target):
                continue
            file, _, anchor = unquote(target).partition("#")
            if file and not (ROOT / "notebooks" / file).exists():
                yield f"{name(cell)}: links to {file}, which does not exist"
            if not file and anchor not in anchors:
                yield f"{name(cell)}: links to #{anchor}, and no heading has that name"


def _anchor(title: str) -> str:
    """The name under which JupyterLab files a heading."""
    return title.strip().replace(" ", "-")


# The two ends


@rule
def opening(notebook):
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(r"# .+\?\s*$", first.source.split("\n")[0]):
        yield "its first line is not a '# ' title that ends in a question mark"
    if not re.search(r"\b\d+ minutes\b", first.source):
        yield "its first cell does not say how many minutes it takes"


@rule
def closing(notebook):
    """The last part: a recap, five recall questions as a numbered list, and one open problem."""
    found = sections(
        "\n\n".join(cell.source for cell in notebook.cells[-12:] if cell.cell_type == "markdown")
    )
    for title in ("recap", "recall", "open problem"):
        if not any(title in heading for heading, _ in found):
            yield f"no section near its end is called {title!r}"
    for heading, text in found:
        questions = re.findall(r"^ {0,3}\d+[.)] ", text, re.MULTILINE)
        if "recall" in heading and len(questions) != 5:
            yield f"{len(questions)} recall questions in a numbered list; there are to be 5"


def sections(text: str) -> list[tuple[str, str]]:
    """The headings, in lower case, and what stands below each."""
    found = [*SECTION.finditer(text)]
    ends = [*(match.start() for match in found), len(text)][1:]
    return [
        ((match[1] or match[2]).lower(), text[match.end() : end])
        for match, end in zip(found, ends, strict=False)
    ]


# The list of ignored cells


def ignored_cells(file: Path, notebook: NotebookNode) -> set[str]:
    """The cells whose output nbval does not compare, as tests/allowances.json names them."""
    marked = [
        c
        for c in cells(notebook, "code")
        if any(IGNORED.search(mark) for mark in [*tags(c), c.source])
    ]
    return {f"{file.name}#{cell.id}" for cell in marked}


def excused(file: Path) -> dict[str, str]:
    """The rules that this notebook may break, with reasons."""
    return ALLOWANCES["rules"].get(file.name, {})
