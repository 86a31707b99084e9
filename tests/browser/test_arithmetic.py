"""What the views compute before they draw, module by module, and one training that is long enough
to overflow a stack."""

import pytest
import torch

from helpers.explorables.attention import make_scene
from helpers.instruments import heads
from tests.browser.every import trained

pytestmark = pytest.mark.browser


# ---- shared


@pytest.mark.parametrize(
    ("function", "number", "written"),
    [("nats", 0, "0"), ("nats", 0.00004, "0"), ("nats", 0.00012, "0.0001")]
    + [("nats", 0.0123, "0.012"), ("nats", -0.5, "-0.50"), ("signedNats", -0.5, "−0.50")]
    + [
        ("signedNats", 0.00001, "0"),
        ("signedNats", 2, "+2.00"),
        ("asPercent", 1, "100.0%"),
        ("asPercent", 0, "0.0%"),
        ("asPercent", 0.99996, "> 99.9%"),
        ("asPercent", 0.0004, "< 0.1%"),
        ("asPercent", 0.53, "53%"),
        ("asPercent", 0.0166, "1.7%"),
        ("signed", -0.004, "−0.00"),
    ]
    + [("signed", 9.94, "+9.94"), ("signed", -9.96, "−10.0"), ("powerOfTen", -12, "10⁻¹²")],
)
def test_numbers_are_written_as_they_are_read(ask, function, number, written):
    found = ask("shared/formats", f"(formats, number) => formats.{function}(number)", number)
    assert found == written


def test_the_largest_is_found_among_more_numbers_than_a_stack_holds(ask):
    many = "Array.from({ length: 500_000 }, (_, i) => i % 999)"
    assert ask("shared/numbers", f"({{ largest }}) => largest({many})") == 998
    assert ask("shared/numbers", f"({{ indexOfLargest }}) => indexOfLargest({many})") == 998
    assert ask("shared/numbers", "({ largest }) => largest([], 0.3)") == 0.3
    assert ask("shared/numbers", "({ indexOfLargest }) => indexOfLargest([])") == -1
    ends = "({ indexOfSmallest }) => indexOfSmallest([3, 1, 1, 2], (value) => value)"
    assert ask("shared/numbers", ends) == 1


@pytest.mark.parametrize(
    ("born", "step", "says"),
    [
        ("null", 5, ""),
        ("null", 400, "Over. No head was born."),
        ("{ at: 1, head: [1, 2] }", 80, "Head 1.2 was born at step 70."),
        ("{ at: 1, head: [1, 2] }", 400, "Over. Head 1.2 was born at step 70."),
    ],
)
def test_what_has_happened_is_said(ask, born, step, says):
    steps = "[{ step: 0 }, { step: 70 }, { step }]"
    training = f"{{ born: {born}, snapshots: {steps}, shape: () => ({{ steps: 400 }}) }}"
    assert ask("discovery/words", f"({{ newsWords }}, step) => newsWords({training})", step) == says


BOS_AGAIN = torch.tensor([0, 3, 0, 3, 0, 5])


@pytest.mark.parametrize("tokens", [heads.probe(64, 48)[3], BOS_AGAIN], ids=["probe", "BOS again"])
def test_a_target_is_where_python_says_one_is(ask, tokens):
    found = ask(
        "shared/words",
        "({ isTarget }, tokens) => tokens.map((_, query) =>"
        " tokens.slice(0, query + 1).map((_, key) => isTarget(tokens, query, key)))",
        tokens.tolist(),
    )
    expected = heads.induction_targets(tokens[None])[0]
    for query, row in enumerate(found):
        assert row == expected[query, : query + 1].tolist(), query


@pytest.mark.parametrize("size, most", [(7, 7), (7, 3), (96, 64), (64, 64), (1, 64)])
def test_a_small_pattern_shows_the_largest_entry_of_each_block(ask, size, most):
    entries = torch.rand(size, size, generator=torch.Generator().manual_seed(size)).tril()
    found = ask(
        "shared/pattern",
        "({ largestOfBlocks }, [size, most, entries]) => {"
        " const { side, values } = largestOfBlocks(size, most, (i, j) => entries[i][j]);"
        " return { side, values: [...values] }; }",
        [size, most, entries.tolist()],
    )
    block = -(-size // most)
    padded = torch.zeros(found["side"] * block, found["side"] * block)
    padded[:size, :size] = entries
    blocks = padded.unflatten(0, (-1, block)).unflatten(2, (-1, block)).amax((1, 3))
    assert torch.allclose(torch.tensor(found["values"]), blocks.flatten())


@pytest.mark.parametrize(
    ("key", "here", "to"),
    [("Home", 4, 0), ("End", 1, 7), ("ArrowLeft", 0, 0), ("ArrowRight", 7, 7)]
    + [("ArrowRight", 3, 4), ("ArrowDown", 2, 5), ("ArrowUp", 7, 4), ("ArrowUp", 1, 1)]
    + [("x", 3, None)],
)
def test_keys_lead_to_places_in_three_lines(ask, key, here, to):
    """Three to a line; of the last line there are two."""
    place = (
        "({ placeByKey }, [key, here]) => { const elements = Array.from({ length: 8 }, (_, i) =>"
        " ({ offsetTop: 20 * Math.floor(i / 3), offsetLeft: 50 * (i % 3), offsetWidth: 40 }));"
        " return placeByKey({ key }, elements, here); }"
    )
    assert ask("shared/keys", place, [key, here]) == to


# ---- attention


@pytest.fixture(scope="module")
def patterns() -> dict:
    tokens = heads.probe(64, 48)[3][:9]
    with torch.no_grad():
        _, cache = trained().run_with_cache(tokens[None])
    return dict(scene=make_scene(trained(), tokens), cache=cache)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_strength_of_an_entry_is_attention_times_the_length_of_v(ask, patterns, weighted):
    pattern, v = patterns["cache"]["pattern", 1][0, 2], patterns["cache"]["v", 1][0, :, 2]
    expected = pattern * v.norm(dim=-1) if weighted else pattern
    top, best = expected.max().item() if weighted else 1, expected[7].argmax().item()
    scene = dict(patterns["scene"])
    sent = {name: list(scene.pop(name)) for name in ("pattern", "v_norm")}
    found = ask(
        "attention/patterns",
        "({ readPatterns }, [scene, sent, weighted, best]) => {"
        " for (const name of Object.keys(sent)) scene[name] = new Uint8Array(sent[name]);"
        " const head = readPatterns(scene)(6, weighted);"
        " return [head.name, head.top, head.strength(7, best), head.strength(0, 7)]; }",
        [scene, sent, weighted, best],
    )
    strongest = expected[7, best].item()
    assert found[0] == "1.2" and strongest > 0.1
    assert found[1:] == pytest.approx([top, strongest, 0], abs=1e-4)


@pytest.mark.parametrize(
    ("look", "arrow", "found"),
    [
        (("from", 4, None), [0, 1], [5, None]),  # down: the next query
        (("from", 4, None), [-1, 0], [4, 3]),  # to the left: a key
        (("from", 4, 4), [1, 0], [4, 4]),  # not into the future
        (("from", 4, 4), [0, -1], [3, 3]),  # the key stays where it can be seen
        (("to", 4, None), [1, 0], [5, None]),  # of a column it is the other way round
        (("to", 4, None), [0, 1], [4, 5]),
        (("to", 4, 4), [0, -1], [4, 4]),
        (("from", 8, None), [0, 1], [8, None]),
    ],
)
def test_an_arrow_walks_over_the_pattern(ask, look, arrow, found):
    step = (
        "({ stepped }, [[direction, chosen, other], arrow]) => {"
        " const now = stepped({ direction, chosen, other }, arrow, 9);"
        " return [now.chosen, now.other]; }"
    )
    assert ask("attention/patterns", step, [look, arrow]) == found


@pytest.mark.parametrize(
    ("at", "arrow", "to"),
    [
        (0, [1, 0], 1),
        (4, [1, 0], 4),  # within the row
        (5, [-1, 0], 5),
        (1, [0, 1], 6),
        (6, [0, -1], 1),
        (2, [0, -1], 2),
        (3, [0, 1], 6),  # the last row ends early
        (6, [1, 0], 6),
        (5, [0, 1], 5),
    ],
)
def test_an_arrow_walks_over_a_board_of_seven_in_rows_of_five(ask, at, arrow, to):
    step = (
        "({ nextOnBoard }, [at, arrow]) => nextOnBoard(at, arrow, { heads: Array(7), columns: 5 })"
    )
    assert ask("attention/patterns", step, [at, arrow]) == to


# ---- discovery

TRAINING = (
    "const training = new module.Training(() => ({ n_layers: 3, n_heads: 2, steps: 100 }));"
    " const add = (step, matching, previous, limit = null) => training.add({ step,"
    " prefix_matching: matching, previous_token: previous, composition: [[0.1, 0.7]],"
    " composition_limit: limit });"
    " const low = [[0, 0.1], [0.2, 0], [0, 0]];"
    " add(0, low, low, 0.4); add(30, [[0, 0], [0, 0.6], [0, 0]], [[0.3, 0.9], [0, 0], [0, 0]]);"
    " add(70, [[0, 0], [0, 0.7], [0.8, 0]], low, 0.5);"
)


def training(ask, script: str):
    return ask("discovery/training", f"(module) => {{ {TRAINING} {script} }}")


def test_a_training_follows_its_birth_until_the_reader_chooses(ask):
    found = training(
        ask,
        "const begun = [training.head, training.reader, training.writer, training.born.at];"
        " training.pick([0, 0]); const picked = [training.head, training.reader, training.writer];"
        " training.pick([2, 1]); return [begun, picked, training.reader, training.writer];",
    )
    assert found[0] == [[1, 1], [1, 1], [0, 1], 1]  # born there; who looked back most, then
    assert found[1] == [[0, 0], [1, 1], [0, 0]]
    assert found[2:] == [[2, 1], [0, 0]]


def test_of_a_pair_the_other_gives_way(ask):
    found = training(
        ask,
        "training.pickWriter([1, 0]); const above = training.reader; training.pickReader([1, 1]);"
        " return [above, training.writer];",
    )
    assert found == [[2, 1], [0, 1]]


def test_a_training_shows_the_newest_until_the_reader_scrubs_back(ask):
    found = training(
        ask,
        "const newest = training.index; training.goToShare(0.33); const there = training.index;"
        " add(90, low, low); const stays = training.index; training.go(99); add(95, low, low);"
        " return [newest, there, stays, training.index, training.topComposition,"
        " training.compositionLimit];",
    )
    assert found == [2, 1, 1, 4, 0.7, 0.5]


def test_a_share_of_attention_is_the_chosen_heads(ask):
    """Of two layers of three heads on two tokens, whose entries count up."""
    script = """({ Training }) => {
        const training = new Training(() => ({ n_layers: 2, n_heads: 3, pos: 2, steps: 1 }));
        const scores = [[0, 0, 0], [0, 0, 0]], pattern = Uint8Array.from(Array(24).keys());
        training.add({ step: 0, prefix_matching: scores, previous_token: scores, pattern });
        return [[0, 2], [1, 0]].map((head) => {
            training.pick(head);
            return Math.round(255 * training.attention(1, 0));
        });
    }"""
    assert ask("discovery/training", script) == [10, 14]


LONG = """async ({ default: { render } }, shape) => {
    const { n_layers, n_heads, pos, steps } = shape, heard = {}, el = document.createElement("div");
    const row = { typed: "1 2", copied: null };
    const traits = { shape, row, settings: {}, status: "paused", trouble: "" };
    let view;
    const gone = render({ el, model: {
        get: (name) => traits[name], on: (event, hear) => { heard[event] = hear; }, off: () => {},
        send: (said) => { view ??= said.view; },
    } });
    document.querySelector("main").append(el);
    el.querySelector("details").open = true;
    el.querySelector("details").dispatchEvent(new Event("toggle")); // as the browser will, later
    const answers = { best: [["1", 0.1]], copied: null };
    const grid = (rows, columns) => Array.from({ length: rows }, () => Array(columns).fill(0.2));
    const pairs = (n_layers - 1) * n_heads, size = n_layers * n_heads * pos * pos;
    for (let step = 0; step < steps; step++)
        heard["msg:custom"]({
            type: "snapshot", view, step, seconds: step, answers, loss: 2, loss_new: 4,
            prefix_matching: grid(n_layers, n_heads), previous_token: grid(n_layers, n_heads),
            copying: grid(n_layers, n_heads), composition: grid(pairs, pairs),
            composition_limit: 0.3,
        }, [new DataView(new ArrayBuffer(size))]);
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
    const labels = [...el.querySelectorAll("svg")].map((svg) => svg.getAttribute("aria-label"));
    gone();
    el.remove();
    return labels;
}"""


def test_600_snapshots_of_24_heads_are_drawn(ask):
    """Their 153,600 composition scores are more than a stack holds as arguments."""
    shape = dict(n_layers=3, n_heads=8, pos=12, steps=600, tokens=[0] * 12, labels=["BOS"] * 12)
    shape |= dict(guessing=4.1, chance=0.1, composition_chance=0.1, copying_chance=0.1)
    labels = ask("discovery/view", LONG, shape)
    assert len(labels) == 4 and all("At step 599" in label for label in labels)
