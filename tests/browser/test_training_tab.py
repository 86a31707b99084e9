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
    """Every row that is marked, and no other but the block's own first ones, has an earlier copy of
    its token; what came behind it is the answer."""
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
    where = heads.induction_targets(found["tokens"])
    query, key = where[:, -1].nonzero()[:, 0], where[:, -1].int().argmax(-1)
    last = 47 - (47 - where[:, -1].flip(-1).int().argmax(-1))
    assert len(query) and set((last + 1).tolist()) == set(seen), key
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
    """With other scales and an odd width, which no head of the view has, so that none is by
    chance another's."""
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
def test_train_press_birth_pause_and_scrub(tab):
    page = tab.page
    page.get_by_role("button", name="Train").click()
    page.locator("button:not([disabled])", has_text="To the birth").wait_for()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Train").wait_for()
    assert state(tab, "status") == "paused" and state(tab, "trouble") == ""
    page.get_by_role("button", name="To the birth").click()
    tab.drawn()
    tab.screenshot("birth-in-the-tab")
    where = page.locator(".where").inner_text()
    page.get_by_role("button", name="Step").click()
    page.evaluate("() => el.querySelector('.where').textContent")
    assert 40 <= int(where.split()[1]) <= 100


def test_step_is_one_step_and_a_row_is_answered_at_every_look(tab):
    page = tab.page
    page.get_by_role("button", name="Step").click()
    page.get_by_text("step 1 of 400").wait_for()
    page.get_by_label("Your row").fill("5 6 7 5 6")
    page.get_by_text("7").first.wait_for()
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
