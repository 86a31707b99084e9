"""The training in a browser tab: what it draws and where it begins, the birth of a head with its
controls, and the view of Discovery over a Worker, which answers as a kernel does."""

from dataclasses import asdict

import pytest
import torch

from helpers.explorables import HERE, script
from helpers.explorables.discovery import Discovery
from helpers.explorables.discovery.scene import Choices
from helpers.instruments import heads
from helpers.model import ModelConfig, sinusoids
from helpers.sequences import split_periods
from tests.browser.trainer import asked

pytestmark = pytest.mark.browser

FOLDER = HERE / "discovery" / "trainer"


# ---- what it draws, and where it begins


def batch_of(ask, task: str, batch: int = 200) -> dict[str, torch.Tensor]:
    config = asdict(ModelConfig(n_ctx=48))
    found = asked(ask, "drawn", dict(config=config, task=task, seed=1, batch=batch))
    for name in ("tokens", "targets", "determined"):
        found[name] = torch.tensor(found[name]).view(batch, 48)
    return found


@pytest.mark.parametrize("task", ["random periods", "one fixed period"])
def test_a_tasks_rows_can_be_answered_by_induction_alone(ask, task):
    """The rows that are marked are those whose token came before, and what followed it then is the
    answer."""
    found = batch_of(ask, task)
    tokens, targets, determined = (found[part] for part in ("tokens", "targets", "determined"))
    assert (tokens[:, 0] == 0).all() and (tokens[:, 1:] > 0).all() and tokens.max() == 63
    assert torch.equal(tokens[:, 1:], targets[:, :-1])
    where = heads.induction_targets(tokens)
    assert torch.equal(where.any(-1), determined.bool())
    latest = 47 - where.flip(-1).int().argmax(-1)
    copied = tokens.gather(1, latest)
    assert torch.equal(copied[determined.bool()], targets[determined.bool()])


def test_periods_are_those_that_the_course_trains_on(ask):
    found = batch_of(ask, "random periods")
    seen, unseen = split_periods(48)
    assert found["periods"] == dict(seen=seen, unseen=unseen)
    last = heads.induction_targets(found["tokens"])[:, -1]
    latest = 47 - last.flip(-1).int().argmax(-1)  # right behind the copy one period before
    assert set((48 - latest).tolist()) == set(seen)
    fixed = batch_of(ask, "one fixed period")["targets"]
    assert torch.equal(fixed[:, 16:], fixed[:, :-16])


def test_a_seed_has_one_batch_and_another_seed_another(ask):
    config = asdict(ModelConfig(n_ctx=48))
    given = dict(config=config, task="random periods", batch=4)
    first, again, other = (asked(ask, "drawn", given | dict(seed=seed)) for seed in (5, 5, 6))
    assert first["tokens"] == again["tokens"] != other["tokens"]


def test_what_heads_are_scored_on_is_made_as_the_course_makes_it(ask):
    def periods(tokens):
        return [int((row == row[1]).nonzero()[1] - 1) for row in tokens]

    found = torch.tensor(batch_of(ask, "random periods")["probe"])
    expected = heads.probe(64, 48)
    assert periods(found) == periods(expected) and (found[:, 0] == 0).all()
    for row, period in zip(found, periods(found), strict=True):
        assert row[1 : period + 1].unique().numel() == period
        assert torch.equal(row[1 + period :], row[1:-period])


@pytest.mark.parametrize("smeared", [False, True])
def test_weights_begin_as_the_recipe_draws_them(ask, smeared):
    """With other scales than the recipe's and an odd width, so that none is by chance another's."""
    config = ModelConfig(
        d_model=63,
        d_head=24,
        n_ctx=40,
        d_vocab=50,
        smeared_keys=smeared,
        init_embed=0.3,
        init_pos=0.7,
        init_weights=1.1,
    )
    found = asked(ask, "begun", dict(config=asdict(config), seed=3))
    waves = 0.7 * 2**0.5 * sinusoids(40, 63).flatten()
    assert found["W_pos"] == pytest.approx(waves.tolist(), abs=1e-5)
    assert found.get("smear") == ([0] * 8 if smeared else None)
    read, write = 1.1 / 63**0.5, 1.1 / 24**0.5
    scales = dict(W_E=0.3, W_Q=read, W_K=read, W_V=read, W_O=write, W_U=read)
    for name, scale in scales.items():
        values = torch.tensor(found[name])
        few = 4 / len(values) ** 0.5  # four standard errors
        assert abs(values.std().item() / scale - 1) < few, name
        assert abs(values.mean().item() / scale) < few, name
    assert len(set(found["W_Q"][:100]) & set(found["W_E"])) == 0


@pytest.mark.parametrize(
    "settings",
    [{}, dict(n_layers=1, n_heads=8), dict(smeared_keys=True, muon_lr=0.01), dict(n_heads=1)],
)
def test_the_recipe_is_the_courses(ask, settings):
    recipe = Choices(**settings).recipe()
    found = ask(
        "discovery/trainer/choices",
        "({ chosen, recipeOf }, settings) => recipeOf(chosen(settings))",
        settings,
    )
    model, training = asdict(recipe.model), asdict(recipe.training)
    assert found["config"].items() <= model.items()
    assert found["training"].items() <= training.items()
    left = dict(positions="shortformer", normalization=None, seed=0)
    assert model == found["config"] | left
    left = dict(optimizer="Muon", weight_decay=0.0, rows="determined", seed=0)
    assert training == found["training"] | left


# ---- a birth, and its controls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "steps", "born"),
    [
        (dict(seed=0), 120, True),
        (dict(seed=1), 120, True),
        (dict(n_layers=1), 120, False),  # nobody to read
        (dict(n_layers=1, smeared_keys=True), 120, True),  # keys that hold the token before
        (dict(task="one fixed period"), 120, False),  # a distance is enough
    ],
)
def test_a_head_is_born_where_the_course_says_it_is(ask, settings, steps, born):
    found = asked(ask, "birth", dict(settings=settings, steps=steps))
    assert (found["step"] is not None) == born
    assert found["best"] > 0.5 if born else found["best"] < 0.2


# ---- what it answers, without a Worker


ANSWERING = """async ({ Answering }, script) => {
    const told = [], sent = [], waiting = [];
    const made = new Answering({
        tell: (traits) => told.push(traits), send: (message) => sent.push(message),
        later: (action) => waiting.push(action),
    });
    const types = () => sent.splice(0).map(({ type, step }) => (step === undefined ? type : step));
    const turn = () => waiting.shift()?.(), hear = (what, more) => made.hear({ do: what, ...more });
    types();
    return new Function("made", "hear", "types", "turn", script)(made, hear, types, turn);
}"""


def answering(ask, script: str):
    """What comes of a script over a trainer that has just opened: `made`, which can `hear`;
    `types()` of the messages since the last time (of a snapshot its step); and `turn()`, what
    happens where nothing else comes in between."""
    return ask("discovery/trainer/answering", ANSWERING, script)


def test_training_gives_way_and_pause_stops_it(ask):
    """A step that was waiting when Pause came does not come after it."""
    found = answering(
        ask,
        "hear('train'); hear('train'); turn(); turn();"
        " const { stepNumber } = made.scene.trainer; hear('pause'); turn(); turn();"
        " return [stepNumber, made.scene.trainer.stepNumber, types().at(-1), made.status];",
    )
    before, after, last, status = found
    assert 2 <= before == after == last and status == "paused"


def test_the_last_step_finishes(ask):
    found = answering(
        ask,
        "made.scene.trainer.stepNumber = 399; hear('step'); hear('step');"
        " hear('train'); return [made.status, made.scene.trainer.stepNumber, types()];",
    )
    assert found == ["finished", 400, [400]]


def test_a_loss_that_is_no_number_stops_it_with_a_word(ask):
    found = answering(
        ask,
        "made.scene.trainer.weights.named.W_U.values[0] = NaN; hear('step');"
        " return [made.status, made.trouble, made.scene.trainer.stepNumber];",
    )
    assert found[0] == "stopped" and found[2] == 0
    assert found[1].startswith(
        "stopped: the loss is NaN at step 1, learning rate 0.01 (Muon, muon_lr 0.03); try a smaller"
    )


def test_a_reset_starts_over_and_keeps_the_readers_row(ask):
    found = answering(
        ask,
        "hear('ask', { row: '5 6 5' }); hear('step'); types();"
        " hear('reset', { settings: { seed: 3 } });"
        " return [types(), made.status, made.settings.seed, made.row, made.snapshots.length];",
    )
    assert found == [["reset", 0], "ready", 3, dict(typed="5 6 5", copied="6"), 1]


def test_a_row_is_put_to_every_look_whose_weights_are_kept(ask):
    found = answering(
        ask,
        "for (let i = 0; i < 3; i++) hear('step'); made.kept[1] = null;"
        " const before = made.snapshots.map(({ seen }) => JSON.stringify(seen.answers));"
        " hear('ask', { row: '9 8 9' });"
        " const rows = made.snapshots.map(({ seen }) => JSON.stringify(seen.answers));"
        " hear('ask', { row: '17 4 52 9 31 17 4 52' });"
        " const again = made.snapshots.map(({ seen }) => JSON.stringify(seen.answers));"
        " return [before, rows, again];",
    )
    before, other, again = found
    assert other[1] == again[1] == "null" and other[0] != before[0] and other[3] != other[2]
    assert [again[at] for at in (0, 2, 3)] == [before[at] for at in (0, 2, 3)]


@pytest.mark.parametrize(("row", "copied"), [("3 5 3 7 3", "7"), ("9 8 9", "8"), ("1 2", None)])
def test_what_is_copied_is_the_latest(ask, row, copied):
    found = answering(ask, f"hear('ask', {{ row: '{row}' }}); return made.row;")
    assert found == dict(typed=row, copied=copied)


def test_of_too_many_weights_every_second_goes(ask):
    found = answering(
        ask,
        "made.scene.keep = () => ({}); while (made.kept.length < 161) made.keep();"
        " return made.kept.map(Boolean);",
    )
    assert found[0] and found[-1] and sum(found) == 81 and found[1:4] == [False, True, False]


def test_it_stops_when_the_last_view_has_closed(ask):
    found = answering(
        ask,
        "for (const view of ['a', 'b']) hear('show', { view }); hear('train');"
        " hear('closed'); const one = made.status; hear('closed');"
        " return [one, made.status];",
    )
    assert found == ["training", "paused"]


# ---- the view, over a Worker


OPEN = """async ([view, remote, program, css]) => {
    const sheet = document.head.appendChild(document.createElement("style"));
    sheet.textContent = css;
    const { default: { render } } = await import(view);
    const { modelInAWorker } = await import(remote);
    const place = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
    window.model = await modelInAWorker(place);
    window.el = document.querySelector("main").appendChild(document.createElement("div"));
    window.gone = render({ model, el });
}"""
FOLDER_URL = "/helpers/explorables/discovery"


@pytest.fixture
def tab(bare):
    """The page with the view over a Worker, whose program is one text as a site would have it."""
    program = script(FOLDER / "worker.js")
    given = [f"{FOLDER_URL}/view.js", f"{FOLDER_URL}/trainer/remote.js", program, Discovery._css]
    bare.page.evaluate(OPEN, given)
    bare.page.get_by_text("step 0 of 400").wait_for()
    yield bare
    bare.page.evaluate("() => model.close()")


def state(tab, name: str):
    return tab.page.evaluate("(name) => model.get(name)", name)


def test_the_view_opens_on_a_worker_as_on_a_kernel(tab):
    python = Discovery()
    shape = state(tab, "shape")
    assert shape.keys() == python.shape.keys()
    same = ("n_layers", "n_heads", "steps", "pos", "guessing", "composition_chance")
    assert [shape[name] for name in same] == pytest.approx([python.shape[name] for name in same])
    assert state(tab, "settings") == python.settings and state(tab, "row") == python.row
    assert state(tab, "status") == "ready"
    tab.page.evaluate(
        "() => { window.sent = []; model.on('msg:custom', (said, [bytes]) => sent.push("
        "{ ...said, size: bytes?.length })); model.send({ do: 'show', view: 'mine' }); }"
    )
    sent = tab.until(lambda: tab.page.evaluate("() => sent"))
    [seen] = sent
    assert seen.pop("size") == 2 * 4 * 48 * 48
    assert (seen.pop("type"), seen.pop("view")) == ("snapshot", "mine")
    assert seen.keys() == python.snapshots[0].keys()
    for name in ("prefix_matching", "previous_token", "copying", "composition"):
        assert torch.tensor(seen[name]).shape == torch.tensor(python.snapshots[0][name]).shape


@pytest.mark.slow
def test_train_a_birth_pause_and_back_to_the_birth(tab):
    page = tab.page
    page.get_by_role("button", name="Train").click()
    page.locator("button:not([disabled])", has_text="To the birth").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Train").wait_for()
    assert state(tab, "status") == "paused" and state(tab, "trouble") == ""
    page.get_by_role("button", name="To the birth").click()
    tab.drawn()
    tab.screenshot("birth-in-the-tab")
    assert 40 <= int(page.locator(".where").inner_text().split()[1]) <= 100


def test_step_is_one_step_and_a_row_is_answered_at_every_look(tab):
    page = tab.page
    page.get_by_role("button", name="Step").click()
    page.get_by_text("step 1 of 400").wait_for()
    page.get_by_label("Your row").fill("5 6 7 5 6")
    tab.until(lambda: state(tab, "row") == dict(typed="5 6 7 5 6", copied="7"))
    page.get_by_label("Your row").fill("5 six")
    tab.until(lambda: "'six' is no token" in state(tab, "trouble"))
    assert state(tab, "row")["typed"] == "5 6 7 5 6"


def test_what_cannot_be_is_refused_in_pythons_words_and_the_rest_is_kept(tab):
    page = tab.page
    page.get_by_label("learning rate").fill("7")
    page.get_by_label("learning rate").press("Tab")
    with pytest.raises(ValueError) as refused:
        Choices(muon_lr=7)
    tab.until(lambda: state(tab, "trouble") == f"refused: {refused.value}")
    assert page.get_by_label("learning rate").input_value() == "0.03"
    page.get_by_label("layers").select_option("1")
    tab.until(lambda: state(tab, "settings")["n_layers"] == 1)
    page.get_by_label("data").select_option("text")
    tab.until(lambda: "a text is not trained on" in state(tab, "trouble"))
    assert state(tab, "settings")["task"] == "random periods"
