"""Every notebook keeps every rule of notebook_rules.py, and every rule can be broken."""

import copy

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.course.build import WIDGET_VIEW, read
from tests.course import ALLOWANCES, NOTEBOOKS
from tests.notebook_rules import RULES, cells, excused, ignored_cells

MOST_IGNORED = 5
MOST_BYTES = 1_000_000
WORDS = "word " * 100
READ = {path: read(path) for path in NOTEBOOKS}


def test_the_first_and_the_central_notebook_exist():
    assert {"00", "04"} <= {path.name[:2] for path in NOTEBOOKS}


@pytest.mark.parametrize("rule", RULES)
def test_every_notebook_keeps_the_rule(rule):
    breaches = [
        f"{path.name}: {breach}"
        for path, notebook in READ.items()
        for breach in RULES[rule](notebook)
        if rule not in excused(path)
    ]
    assert not breaches, "\n" + "\n".join(breaches)


def test_no_excuse_is_stale():
    by_name = {path.name: notebook for path, notebook in READ.items()}
    stale = [
        f"{name}: {rule}"
        for name, rules in ALLOWANCES["rules"].items()
        for rule in rules
        if name not in by_name or not list(RULES[rule](by_name[name]))
    ]
    assert not stale, f"these notebooks keep the rule, so drop them from allowances.json: {stale}"


def test_ignored_cells_are_few_and_on_the_list():
    found = set().union(*(ignored_cells(path, notebook) for path, notebook in READ.items()))
    assert found == set(ALLOWANCES["ignored_cells"])
    assert len(found) <= MOST_IGNORED


def test_every_allowance_has_a_reason():
    reasons = [reason for rules in ALLOWANCES["rules"].values() for reason in rules.values()]
    for kind in ("ignored_cells", "skipped_tests", "registry_hosts"):
        reasons += ALLOWANCES[kind].values()
    assert all(len(reason) >= 20 for reason in reasons)


def test_every_notebook_is_small():
    sizes = {path.name: path.stat().st_size for path in NOTEBOOKS}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}


# Each rule is shown a notebook that keeps it, and the same notebook broken.


def good_notebook():
    """A notebook of the right size that breaks no rule."""
    text = [new_markdown_cell(f"## Part {number}\n\n{WORDS}") for number in range(25)]
    code = [
        new_code_cell("print(1)", execution_count=number + 1, outputs=[stream("1\n")])
        for number in range(25)
    ]
    for stub in code[:3]:
        stub.metadata.tags = ["exercise"]
    body = [cell for pair in zip(text, code, strict=True) for cell in pair]
    first = new_markdown_cell("# Does it hold?\n\nIt takes 30 minutes.")
    last = new_markdown_cell(
        "## Recap\n\nThree sentences.\n\n## Five questions to recall\n\n"
        + "\n".join(f"{number}. Why?" for number in range(1, 6))
        + "\n\n## One open problem\n\nNobody knows."
    )
    notebook = new_notebook(cells=[first, *body, last])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
    return notebook


def stream(text, name="stdout"):
    return new_output("stream", text=text, name=name)


def picture(sentence):
    return new_output("display_data", data={"image/png": "iVBO", "text/plain": sentence})


def code(notebook, number=3):
    return cells(notebook, "code")[number]


def store(*outputs):
    return lambda notebook: code(notebook).update(outputs=list(outputs))


def source(text):
    return lambda notebook: code(notebook).update(source=text)


def prose(text):
    return lambda notebook: cells(notebook, "markdown")[3].update(source=text)


def first(text):
    return lambda notebook: notebook.cells[0].update(source=text)


def last(old, new):
    def change(notebook):
        assert old in notebook.cells[-1].source
        notebook.cells[-1].source = notebook.cells[-1].source.replace(old, new)

    return change


def view(data):
    return new_output("display_data", data={"text/plain": "IntSlider()", **data})


CLAIM = "claim('a', finding={'loss': below(loss, 1)}, controls={'loss, b': above(other, 2)})"
COMPREHENSION = (
    "claim('a', finding={f'loss, {name}': below(of, 1) for name, of in losses.items()},"
    "\n      controls={'loss': above(other, 2)})"
)
BREACHES = [
    ("not_executed", lambda nb: code(nb).update(execution_count=None)),
    ("not_executed", lambda nb: code(nb).update(execution_count=2)),
    ("not_executed", source("  \n")),
    ("error_output", store(new_output("error", ename="E", evalue="", traceback=[]))),
    ("stderr", store(stream("a warning", "stderr"))),
    ("skipped_cells", lambda nb: code(nb).metadata.update(tags=["nbval-skip"])),
    ("skipped_cells", source("# NBVAL_SKIP\nprint(1)")),
    ("address_in_output", store(stream("<object at 0x7f3a>"))),
    ("address_in_output", store(view({"text/html": "<p>0x7f3a</p>"}))),
    ("machine_path_in_output", store(stream("saved to /home/someone/run"))),
    ("picture_without_sentence", store(picture("<Figure size 640x480 with 1 Axes>"))),
    ("picture_without_sentence", store(picture("A curve."))),
    (
        "picture_without_sentence",
        store(new_output("display_data", data={"image/svg+xml": "<svg/>"})),
    ),
    ("metadata", lambda nb: nb.metadata.update(widgets={})),
    ("metadata", lambda nb: nb.metadata.kernelspec.update(name="ir")),
    ("metadata", store(view({WIDGET_VIEW: {"model_id": "1"}}))),
    ("too_few_exercises", lambda nb: code(nb, 1).metadata.update(tags=[])),
    ("forbidden_code", source("ax.plot(x);")),
    ("forbidden_code", source("x = 1;  # quiet\nx")),
    ("forbidden_code", source("clear_output()")),
    ("forbidden_code", source("%%time\nf()")),
    ("forbidden_code", source("from tqdm import trange")),
    ("forbidden_code", source("!pip install torch")),
    ("forbidden_code", source("%pip install torch")),
    ("forbidden_code", source("get('http://example.org')")),
    ("too_few_code_cells", lambda nb: nb.cells.remove(code(nb))),
    ("long_line", source("x = " + "1 + " * 25 + "1")),
    ("claim_stands_alone", source(CLAIM + "\nprint(1)")),
    ("claim_stands_alone", source("best = 1\n" + CLAIM)),
    ("claim_stands_alone", source("for a in b:\n    " + CLAIM)),
    ("claim_stands_alone", source("if a:\n    " + CLAIM)),
    ("claim_without_control", source("claim('a', finding={'loss': below(loss, 1)})")),
    ("claim_without_control", source(CLAIM.replace("'loss, b': above(other, 2)", ""))),
    ("claim_without_control", source("claim('a', controls={'loss': below(loss, 1)})")),
    ("typed_number_in_claim", source(CLAIM.replace("below(loss", "below(0.3"))),
    ("typed_number_in_claim", source(CLAIM.replace("above(other", "above(max([2, 3])"))),
    ("typed_number_in_claim", source(CLAIM.replace("'loss'", "'loss of 8 heads'"))),
    ("typed_number_in_claim", source(CLAIM.replace("'loss, b'", "f'loss 2 of {n}'"))),
    ("typed_number_in_claim", source(COMPREHENSION.replace("{name}", "8 {name}"))),
    ("too_many_code_cells", lambda nb: nb.cells.extend([code(nb)] * 36)),
    ("median_code_cell", lambda nb: [c.update(source="x\n" * 7) for c in cells(nb, "code")]),
    ("long_code_cell", source("x\n" * 26)),
    (
        "code_in_a_row",
        lambda nb: [nb.cells.insert(2, copy.deepcopy(nb.cells[2])) for _ in range(3)],
    ),
    ("too_few_words", lambda nb: [c.update(source="few") for c in cells(nb, "markdown")[1:8]]),
    ("too_many_words", lambda nb: nb.cells.extend(cells(nb, "markdown")[1:21])),
    ("long_markdown_cell", prose("word " * 151)),
    ("head_number", prose("Then head 1.3 takes over.")),
    ("head_number", prose("Both heads `0` attend to it.")),
    ("head_number", prose("In this run 0.7 attends to the token before.")),
    ("head_number", prose("It is L1H3.")),
    ("head_number", prose("It is layer 1, head three.")),
    ("markdown_picture", prose("![](../README.md)")),
    ("markdown_picture", prose("![a curve](missing.png)")),
    ("markdown_picture", prose("![a curve](https://example.org/a.png)")),
    ("markdown_picture", prose('<img src="../pyproject.toml">')),
    ("dead_link", prose("[next](99_missing.ipynb)")),
    ("dead_link", prose("[above](#No-such-part)")),
    ("opening", first("# It holds\n\n30 minutes")),
    ("opening", first("# Does it hold?\n\nNot long.")),
    ("opening", lambda nb: nb.cells.pop(0)),
    ("closing", last("## Recap", "## End")),
    ("closing", last("5. Why?", "")),
    ("closing", last("recall", "answer")),
    ("closing", last("## One open problem", "## More")),
]
FINE = [
    prose("The score is 0.7 in a model of 4 heads; one head in two passes 0.5."),
    prose(
        "![the license](../pyproject.toml) [down](#Part-7) [out](https://arxiv.org/abs/2209.11895)"
    ),
    prose("A picture of `![](x)` and of $a[b](c)$.\n\n```\n![](x)\n```\n\n" + WORDS),
    store(picture("The loss falls from 4.1 to 0.2 nats.")),
    source("for x in 'a;b':\n    print(x)"),
    source(CLAIM),
    source(f"{CLAIM}\n{CLAIM}"),
    source(COMPREHENSION),
    source("x = 1  # as long as a line may be" + "." * 67),
    last("## Recap\n", "**Recap.** You may recall the first part.\n"),
]


def breaches(notebook):
    return {name for name, rule in RULES.items() if list(rule(notebook))}


def test_a_good_notebook_breaks_no_rule():
    notebook = good_notebook()
    nbformat.validate(notebook)
    assert breaches(notebook) == set()


@pytest.mark.parametrize("number", range(len(BREACHES)), ids=lambda n: f"{n}-{BREACHES[n][0]}")
def test_each_rule_sees_its_breach(number):
    rule, harm = BREACHES[number]
    notebook = good_notebook()
    harm(notebook)
    assert rule in breaches(notebook)


@pytest.mark.parametrize("change", FINE)
def test_what_is_fine_is_let_through(change):
    notebook = good_notebook()
    change(notebook)
    assert breaches(notebook) == set()


def test_every_rule_has_a_breach():
    assert {name for name, _ in BREACHES} == set(RULES)


def test_an_expected_error_is_let_through():
    notebook = good_notebook()
    store(new_output("error", ename="E", evalue="", traceback=[]))(notebook)
    code(notebook).metadata.tags = ["raises-exception"]
    assert breaches(notebook) == set()


def test_ignored_cells_are_found_by_tag_and_by_comment(tmp_path):
    notebook = good_notebook()
    code(notebook, 1).metadata.tags = ["nbval-ignore-output"]
    code(notebook, 2).source = "# NBVAL_IGNORE_OUTPUT\nprint(1)"
    expected = {f"a.ipynb#{code(notebook, number).id}" for number in (1, 2)}
    assert ignored_cells(tmp_path / "a.ipynb", notebook) == expected
