"""The discovery explorable without a browser: what its buttons do, what a snapshot holds, and that
the kernel stays free."""

import asyncio
import json
import math
import os
import signal
import threading
from contextlib import suppress
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from helpers import corpus
from helpers.explorables import discovery as module
from helpers.explorables.discovery import Discovery
from helpers.explorables.discovery import row as rows
from helpers.explorables.discovery import scene as scenes
from helpers.explorables.discovery.scene import Choices, Scene
from helpers.instruments import circuits, composition, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import recipes, replicas, runs
from tests.patience import PATIENCE, soon


@pytest.fixture
def explorable(monkeypatch):
    """A Discovery that forms its head in a short training, with the messages that it sends in
    `sent`."""
    sent = []
    monkeypatch.setattr(
        Discovery, "send", lambda self, message, buffers=(): sent.append((message, buffers))
    )
    made = Discovery()
    made.sent = sent
    return made


@pytest.fixture
def a_text(tmp_path, monkeypatch):
    """In place of Python's standard library, a small text with names that come again; the recipe is
    small as well."""
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(
            f"the cat {number} sat on the mat, and the mat was flat.\n" * 20
        )
    small = corpus.load(tmp_path, d_vocab=300, cache=tmp_path / "cache")
    base = recipes.RECIPES["text"]
    recipe = recipes.replace(base, model=recipes.replace(base.model, d_vocab=300, n_ctx=96))
    monkeypatch.setitem(recipes.RECIPES, "text", recipe)
    monkeypatch.setattr(recipes.Recipe, "text", lambda self, progress=False: small)
    return small


# ---- what the buttons do


def test_it_opens_with_the_untrained_model(explorable):
    assert explorable.status == "ready" and explorable.trouble == ""
    assert [seen["step"] for seen in explorable.snapshots] == [0]
    said = (
        "Discovery(n_layers=2, n_heads=4, smeared_keys=False, task='random periods', seed=0, "
        "muon_lr=0.03)"
    )
    assert repr(explorable) == said


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
def test_run_trains_to_the_end_and_the_head_is_there(explorable):
    assert explorable.run() is explorable
    first, last = explorable.snapshots[0], explorable.snapshots[-1]
    assert explorable.status == "finished" and last["step"] == 400
    assert (
        max(map(max, last["prefix_matching"])) > 0.5 > 0.2 > max(map(max, first["prefix_matching"]))
    )
    assert max(map(max, last["composition"])) > 1.3 * last_limit(explorable)
    assert max(last["copying"][1]) > 0.8 and last["loss"] < 1 < math.log(63) < last["loss_new"]
    explorable.train()  # nothing is left to do
    assert explorable.status == "finished"


def last_limit(explorable) -> float:
    return [
        seen["composition_limit"] for seen in explorable.snapshots if seen["composition_limit"]
    ][-1]


def test_training_leaves_the_kernel_free_and_pause_stops_it(explorable):
    async def scene():
        explorable.train()
        turns = 0
        while explorable.trainer.step_number < 12:
            await asyncio.sleep(0)  # another cell's turn
            turns += 1
        assert explorable.status == "training" and turns >= 1
        explorable.pause()
        at = explorable.trainer.step_number
        for _ in range(20):
            await asyncio.sleep(0)
        assert explorable.trainer.step_number == at and explorable.status == "paused"
        assert explorable.snapshots[-1]["step"] == at
        explorable.train()
        await soon(lambda: explorable.trainer.step_number > at)
        explorable.pause()

    asyncio.run(scene())


def test_pressing_train_twice_trains_once(explorable):
    async def scene():
        explorable.train()
        first = explorable._task
        explorable.train()
        assert explorable._task is first
        explorable.pause()

    asyncio.run(scene())


def test_without_an_event_loop_train_says_what_to_do(explorable):
    with pytest.raises(RuntimeError, match=r"needs a running event loop.*try run\(\)"):
        explorable.train()
    assert explorable.status == "ready"


def test_step_is_one_step(explorable):
    explorable.step()
    assert explorable.trainer.step_number == 1 and explorable.status == "paused"
    assert [seen["step"] for seen in explorable.snapshots] == [0, 1]


def test_the_last_step_finishes(explorable):
    explorable.trainer.step_number = 399
    explorable.step()
    assert explorable.status == "finished"
    explorable.step()
    assert explorable.trainer.step_number == 400


def test_watching_changes_nothing(explorable):
    """The snapshots measure the training and do not touch it."""
    for _ in range(5):
        explorable.step()
    alone = explorable.scene.recipe.trainer()
    assert [alone.step() for _ in range(5)] == explorable.trainer.losses


def test_reset_starts_over_with_the_settings(explorable):
    explorable.step()
    explorable.reset(n_layers=1, n_heads=8, smeared_keys=True, seed=3)
    assert (
        explorable.trainer.step_number == 0
        and len(explorable.snapshots) == 1
        and explorable.status == "ready"
    )
    cfg = explorable.model.cfg
    assert (cfg.n_layers, cfg.n_heads, cfg.d_head, cfg.smeared_keys, cfg.seed) == (1, 8, 8, True, 3)
    assert explorable.settings["task"] == "random periods" and explorable.settings["n_heads"] == 8
    assert explorable.sent[-2][0] == dict(type="reset")


# ---- the reader's row


def test_the_riddle_is_right_on_every_stored_seed_and_a_guess_before(explorable):
    for seed, model in replicas.models("two_layers").items():
        after = explorable.scene.answers(model)
        assert after["best"][0][0] == "9" and after["copied"] > 0.9, seed
        untrained = AttentionOnlyTransformer(ModelConfig(n_ctx=48, seed=seed))
        before = explorable.scene.answers(untrained)
        assert before["best"][0][1] < 0.1 and before["copied"] < 0.1, seed


def test_answers_are_the_models_own_and_follow_the_step(explorable):
    explorable.step()
    explorable.ask("5 6, 7 5")
    assert explorable.row == dict(typed="5 6, 7 5", copied="6")
    tokens = torch.tensor([[0, 5, 6, 7, 5]])
    for step, seen in enumerate(explorable.snapshots):
        shares = explorable.model_at(step)(tokens)[0, -1].softmax(-1)
        assert [name for name, _ in seen["answers"]["best"]] == [
            str(token) for token in shares.argsort(descending=True)[:3].tolist()
        ]
        assert seen["answers"]["copied"] == pytest.approx(shares[6].item(), abs=1e-5)
    assert explorable.sent[-1][0] == dict(
        type="answers", answers=[seen["answers"] for seen in explorable.snapshots]
    )
    explorable.step()  # and what comes later is asked the same
    assert explorable.snapshots[-1]["answers"] == explorable.scene.answers(explorable.model)


def test_what_is_copied_is_the_latest(explorable):
    for typed, says in {"5 6 5 7 5": "7", "5 5": "5", "1 2 3": None, "9": None}.items():
        explorable.ask(typed)
        assert explorable.row["copied"] == says, typed


@pytest.mark.parametrize(
    "typed, says",
    [
        ("", "0 tokens in the row; type 1 to 47"),
        ("3 " * 48, "48 tokens in the row; type 1 to 47"),
        ("17 four", "'four' is no token; tokens are whole numbers from 1 to 63"),
        ("64", "'64' is no token"),
        ("0", "'0' is no token"),
        ("-3", "'-3' is no token"),
        ("²", "'²' is no token"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_the_old_one_stays(explorable, typed, says):
    before = explorable.row
    explorable._hear(None, dict(do="ask", row=typed), [])
    assert explorable.trouble.startswith(f"refused: {says}") and explorable.row == before
    explorable._hear(None, dict(do="ask", row="1 2"), [])
    assert explorable.trouble == "" and explorable.row["typed"] == "1 2"


def test_the_row_outlives_a_reset_but_not_another_kind_of_tokens(explorable, a_text):
    explorable.ask("1 2 1")
    explorable.reset(n_layers=1)
    assert explorable.row["typed"] == "1 2 1" and explorable.scene.asked.tolist() == [[0, 1, 2, 1]]
    explorable.reset(task="text")
    assert explorable.row["typed"] == rows.NAMES
    explorable.ask("the cat⏎the")
    assert (
        explorable.scene.labels
        and "".join(rows.names(explorable.scene.asked[0, 1:].tolist(), explorable.scene.recipe))
        == "the·cat⏎the"
    )


def test_of_too_many_weights_every_second_goes_and_the_ends_stay(explorable, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 4)
    for _ in range(7):
        explorable.step()
    kept = [at for at, weights in enumerate(explorable._weights) if weights]
    assert len(kept) <= 4 and kept[0] == 0 and kept[-1] == 7
    explorable.ask("1 2 1")
    assert [bool(seen["answers"]) for seen in explorable.snapshots] == [
        at in kept for at in range(8)
    ]
    before = explorable.model_at(6).state_dict()
    assert torch.equal(before["W_E"], explorable._weights[max(kept[:-1])]["W_E"])
    with pytest.raises(ValueError, match="step -1: the training begins at step 0"):
        explorable.model_at(-1)


# ---- choices


@pytest.mark.parametrize(
    "setting, says",
    [
        (dict(n_layers=9), "9 layers; choose 1, 2 or 3"),
        (dict(n_heads=3), "3 heads a layer; choose 1, 2, 4 or 8"),
        (dict(smeared_keys="yes"), "smeared_keys is 'yes'; choose True or False"),
        (
            dict(task="poems"),
            "no task is called 'poems'; choose one of random periods, one fixed period, text",
        ),
        (dict(muon_lr=0), "a learning rate of 0; choose one above 0"),
        (dict(muon_lr="fast"), "a learning rate of fast; choose one above 0"),
        (dict(seed=-1), "seed -1; choose a whole number from 0 up"),
        (dict(seed=2**32), "seed 4294967296; choose a whole number"),
        (dict(seed=0.5), "seed 0.5; choose a whole number"),
        (dict(depth=2), "no setting is called depth; choose of n_layers"),
    ],
)
def test_a_bad_choice_is_refused_in_words_and_the_run_stays(
    explorable, setting, says, shapes_unchecked
):
    explorable.step()
    explorable._hear(None, dict(do="reset", settings=setting), [])
    assert explorable.trouble.startswith(f"refused: {says}") and explorable.status == "paused"
    assert explorable.trainer.step_number == 1 and len(explorable.snapshots) == 2
    assert explorable.sent[-1][0] == dict(type="refused")  # the controls go back to what they were
    explorable._hear(None, dict(do="reset", settings={}), [])
    assert explorable.trouble == "" and explorable.trainer.step_number == 0


def test_a_refusal_leaves_the_training_alone(explorable):
    async def scene():
        explorable.train()
        explorable._hear(None, dict(do="reset", settings=dict(n_layers=9)), [])
        assert explorable.status == "training" and explorable.trouble
        await soon(lambda: explorable.trainer.step_number > 0)
        explorable.pause()

    asyncio.run(scene())


def test_another_task_brings_its_own_learning_rate():
    text = Choices(muon_lr=0.05).changed(task="text")
    assert text.muon_lr == 0.01 and text.changed(seed=1).muon_lr == 0.01
    assert text.changed(task="random periods", muon_lr=0.02).muon_lr == 0.02
    assert Choices(muon_lr=0.05).changed(task="random periods", seed=2).muon_lr == 0.05


def test_heads_share_the_dimensions_evenly():
    for number in scenes.HEADS:
        cfg = Choices(n_heads=number).recipe().model
        assert (cfg.n_heads * cfg.d_head, cfg.d_model) == (64, 64)
    assert Choices(task="text", n_heads=2).recipe().model.d_head == 64


def test_the_fixed_period_is_the_trap(explorable):
    explorable.reset(task="one fixed period")
    assert explorable.scene.recipe.task["name"] == "fixed_period"
    tokens = explorable.scene.test[0]
    assert (tokens[:, 1:17] == tokens[:, 17:33]).all()  # its loss is asked at its own distance
    periods = {int((row[1:] == row[1]).nonzero()[1]) for row in explorable.scene.probe}
    assert len(periods) > 3  # and its scores are not


def test_random_periods_are_tested_on_periods_that_training_never_shows():
    tokens = Scene(Choices()).test[0]
    unseen = {p for p in range(6, 25) if p % 5 == 4}
    periods = {next(p for p in range(2, 40) if row[-1] == row[-1 - p]) for row in tokens}
    assert periods <= unseen and len(periods) > 1


# ---- what a snapshot holds


def test_a_snapshot_carries_every_heads_pattern(explorable):
    message, (pattern,) = explorable.sent[-1]
    shown = torch.frombuffer(bytearray(pattern), dtype=torch.uint8).view(2, 4, 48, 48) / 255
    _, cache = explorable.model.run_with_cache(explorable.scene.shown)
    assert message["type"] == "snapshot" and message["step"] == 0
    for layer in range(2):
        assert torch.allclose(shown[layer], cache["pattern", layer][0], atol=1 / 255)


def test_a_snapshot_carries_the_scores_of_the_helpers(explorable):
    """One look at a trained model says what the course's own functions say, each asked by
    itself."""
    run = recipes.runs.load(recipes.runs.DATA / "runs" / "two_layers")
    explorable.model.load_state_dict(run.model_at().state_dict())
    seen, _ = explorable.scene.look()
    model, probe = explorable.model, explorable.scene.probe
    scores = heads.score(model, probe)
    for name in ("prefix_matching", "previous_token"):
        assert torch.allclose(torch.tensor(seen[name]), getattr(scores, name), atol=1e-4)
    assert max(map(max, seen["prefix_matching"])) > 0.9
    for at in ((0, 1), (1, 2)):
        assert seen["copying"][at[0]][at[1]] == pytest.approx(
            circuits.copying_statistic(model, *at), abs=1e-4
        )
    assert torch.allclose(
        torch.tensor(seen["composition"]).double(),
        composition.composition_scores(model, "K"),
        atol=1e-4,
    )
    assert seen["loss"] < 0.5 < math.log(63) < seen["loss_new"]


def test_losses_are_split_where_the_token_has_come_before(explorable):
    """A model that knows only which tokens there are pays the same everywhere; one that copies pays
    on new tokens only."""
    tokens, targets, _ = explorable.scene.test
    came = torch.tensor([[t in row[1:i].tolist() for i, t in enumerate(row)] for row in tokens])
    assert torch.equal(explorable.scene.seen, came) and 0 < came.float().mean() < 1

    def oracle(tokens):
        right = torch.nn.functional.one_hot(targets, 64) * 20.0
        return torch.where(came[..., None], right, torch.zeros(()))

    known, new = explorable.scene.losses(oracle)
    assert known < 0.01 and new == pytest.approx(math.log(64), abs=1e-3)


def test_a_snapshot_is_json_for_any_browser():
    """Three layers have pairs that do not exist: they come as null, because a browser refuses
    nan."""
    seen, _ = Scene(Choices(n_layers=3)).look()
    json.dumps(seen, allow_nan=False)
    assert seen["composition"][4][0] is None and seen["composition"][4][4] > 0
    json.dumps(Scene(Choices(n_layers=1)).look()[0], allow_nan=False)


def test_one_layer_has_nobody_to_compose_with():
    seen, _ = Scene(Choices(n_layers=1)).look()
    assert seen["composition"] is None and seen["composition_limit"] is None


def test_the_limit_of_chance_is_above_an_untrained_models_pairs_and_below_a_trained_ones():
    limits, scene = [], Scene(Choices())
    for _ in range(11):
        limits.append(scene.look()[0]["composition_limit"])
    assert [at for at, limit in enumerate(limits) if limit is not None] == [0, 10]
    untrained = composition.composition_scores(scene.trainer.model, "K")
    assert (
        scene.shape()["composition_chance"] == 1 / 8 < limits[0] < 0.17
        and untrained.max() < limits[0]
    )
    trained = recipes.runs.load(recipes.runs.DATA / "runs" / "two_layers").model_at()
    assert composition.composition_scores(trained, "K").max() > 1.3 * scenes.null_limit(trained)


def test_one_random_model_in_twenty_has_a_pair_above_the_limit_of_chance():
    models = [AttentionOnlyTransformer(ModelConfig(seed=seed)) for seed in range(100, 160)]
    above = sum(
        composition.composition_scores(model, "K").nan_to_num(0).max().item()
        > scenes.null_limit(model)
        for model in models
    )
    assert above <= 12  # 3 expected of 60


def test_random_heads_stay_in_the_copying_band():
    fresh = circuits.copying_null(64, 64, 16, 400, torch.Generator().manual_seed(5))
    inside = (fresh.abs() < scenes.copying_band(64, 64, 16)).float().mean()
    assert 0.88 < inside < 0.99


# ---- when it looks


def test_the_steps_that_it_looks_at_are_the_same_on_any_machine(explorable, monkeypatch):
    """Every so many, and each while a head is being born: so a seed has one birth, in the view and
    on paper."""

    def looked_at(seconds_a_step: float) -> list[int]:
        explorable.reset()
        now = [0.0]
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
        taking(monkeypatch, explorable.trainer, "step", now, seconds_a_step)
        for _ in explorable._slices():
            if explorable.trainer.step_number >= 85:
                return [seen["step"] for seen in explorable.snapshots]

    slow, quick = looked_at(0.5), looked_at(0.0001)
    assert slow == quick
    born = heads.birth(explorable.snapshots)
    assert slow[:4] == [0, 5, 10, 15] and slow[-2:] == [80, 85]
    assert {born - 3, born - 2, born - 1, born} <= set(slow) and born + 1 not in slow


def taking(monkeypatch, owner, name: str, now: list[float], seconds: float) -> None:
    """Let this method take so many seconds on a clock of its own."""
    method = getattr(owner, name)

    def timed():
        now[0] += seconds
        return method()

    monkeypatch.setattr(owner, name, timed)


def test_a_snapshot_says_how_many_seconds_it_took_to_get_there(explorable, monkeypatch):
    """Those of training and looking, from step 0; the view reckons from them how long it will take
    to the end."""
    now = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    taking(monkeypatch, explorable.trainer, "step", now, 2.0)
    taking(monkeypatch, explorable.scene, "look", now, 0.5)
    explorable.step()
    explorable.step()
    assert [at["seconds"] for at in explorable.snapshots] == [0, 2, 4.5]


def test_the_share_is_seconds_over_seconds(explorable):
    explorable.spent = dict(training=4.0, looking=1.0)
    assert explorable.share == 0.25


# ---- troubles


def test_a_training_that_diverges_says_so(explorable, monkeypatch):
    def diverge():
        raise module.Diverged("the loss is nan at step 1")

    monkeypatch.setattr(explorable.trainer, "step", diverge)
    explorable.step()
    assert (
        explorable.status == "stopped"
        and explorable.trouble == "stopped: the loss is nan at step 1"
    )


def test_an_error_in_the_background_is_said(explorable, monkeypatch):
    async def scene():
        monkeypatch.setattr(explorable.trainer, "step", lambda: 1 / 0)
        explorable.train()
        task = explorable._task
        with pytest.raises(ZeroDivisionError):
            await task
        assert (
            explorable.status == "stopped"
            and explorable.trouble == "stopped: ZeroDivisionError: division by zero"
        )

    asyncio.run(scene())


def interrupt_at(explorable, monkeypatch, number: int) -> None:
    """Let an interrupt come in the middle of this step."""
    step, calls = explorable.trainer.step, []

    def interrupted():
        calls.append(0)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return step()

    monkeypatch.setattr(explorable.trainer, "step", interrupted)


def test_an_interrupt_ends_a_run_between_two_steps(explorable, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    interrupt_at(explorable, monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt, match="paused"):
        explorable.run()
    at = explorable.trainer.step_number
    assert explorable.status == "paused" and at == len(explorable.trainer.losses) >= 3
    assert explorable.snapshots[-1]["step"] == at
    assert torch.isfinite(explorable.model(explorable.scene.shown)).all()
    assert signal.getsignal(signal.SIGINT) is handler  # as it was


def test_an_interrupt_pauses_the_training_in_the_background(explorable, monkeypatch):
    """A kernel ignores interrupts between two cells; here one comes as such, and training can go on
    after it."""

    async def scene():
        explorable.train()
        await soon(lambda: explorable.status == "paused")
        at = explorable.trainer.step_number
        assert explorable.snapshots[-1]["step"] == at
        explorable.train()
        await soon(lambda: explorable.trainer.step_number > at)
        explorable.pause()

    interrupt_at(explorable, monkeypatch, 2)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        asyncio.run(scene())
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupts_are_noted_where_no_handler_can_be():
    async def elsewhere():
        def block():
            with module.interrupts_noted() as noted:
                return noted

        return await asyncio.to_thread(block)

    assert asyncio.run(elsewhere()) == []


def test_a_message_from_another_thread_is_heeded_where_the_cells_run(monkeypatch):
    """JupyterLab 4.4 and later sends widgets' messages to a subshell, which is a thread beside the
    one of the cells."""

    async def scene():
        explorable, threads = Discovery(), set()
        step = explorable.trainer.step
        monkeypatch.setattr(
            explorable.trainer, "step", lambda: (threads.add(threading.current_thread()), step())[1]
        )
        await asyncio.to_thread(explorable._hear, None, dict(do="train"), [])
        await soon(lambda: explorable.trainer.step_number > 0)
        await asyncio.to_thread(explorable._hear, None, dict(do="pause"), [])
        await soon(lambda: explorable.status == "paused")
        assert threads == {threading.main_thread()}

    asyncio.run(scene())


# ---- views, and a text


@pytest.fixture
def impatient(monkeypatch):
    """A clock that goes on by 100 ms at each look at it; by it, a view that has not answered two
    snapshots in 300 ms has gone."""
    ticks = count()
    clock = SimpleNamespace(perf_counter=lambda: 0.1 * next(ticks))
    for name, value in dict(time=clock, UNSEEN=2, PATIENCE=0.3).items():
        monkeypatch.setattr(module, name, value)


def test_a_view_that_went_without_a_word_stops_the_work(explorable, impatient):
    """Its tab was closed: nothing acknowledges the snapshots. A training that no view ever watched
    goes on."""

    async def scene():
        explorable.train()
        await soon(lambda: len(explorable.snapshots) > 3 * module.UNSEEN)
        assert explorable.status == "training"
        explorable._hear(None, dict(do="show"), [])
        await soon(lambda: explorable.status == "paused")
        explorable.pause()

    asyncio.run(scene())


@pytest.mark.usefixtures("shapes_unchecked", "impatient")
def test_a_view_that_cannot_be_heard_while_run_has_the_kernel_does_not_end_it(explorable):
    explorable._hear(None, dict(do="show"), [])
    with suppress(KeyboardInterrupt):  # it would end pytest too
        explorable.run()
    assert explorable.status == "finished" and explorable._left_alone()


def test_a_view_that_acknowledges_keeps_the_training_alive(explorable, impatient):
    async def scene():
        explorable._hear(None, dict(do="show"), [])
        explorable.train()
        while len(explorable.snapshots) < 4 * module.UNSEEN:
            explorable._hear(None, dict(do="saw"), [])
            await asyncio.sleep(0)
            assert explorable.status == "training"
        explorable.pause()

    asyncio.run(scene())


def test_a_view_that_opens_late_is_shown_everything(explorable):
    explorable.step()
    before = len(explorable.sent)
    explorable._hear(None, dict(do="show", view="late"), [])
    assert [(message["step"], message["view"]) for message, _ in explorable.sent[before:]] == [
        (0, "late"),
        (1, "late"),
    ]
    explorable.step()
    assert "view" not in explorable.sent[-1][0]  # what comes from now on is for all


def test_the_training_goes_on_until_the_last_view_has_closed(explorable):
    async def scene():
        for view in ("one", "two"):
            explorable._hear(None, dict(do="show", view=view), [])
        explorable._hear(None, dict(do="train"), [])
        explorable._hear(None, dict(do="closed"), [])
        assert explorable.status == "training"
        explorable._hear(None, dict(do="closed"), [])
        assert explorable.status == "paused"

    asyncio.run(scene())


def test_a_text_has_its_own_tokens_and_probe(a_text):
    scene = Scene(Choices(task="text"))
    assert scene.labels[0] == "BOS" and "".join(scene.labels[1:]).startswith("def·zorblat(")
    assert len(scene.labels) == scene.shape()["pos"] == scene.shown.shape[1] < scene.probe.shape[1]
    assert set(scene.probe.unique().tolist()) <= {0, *a_text.middle_ids().tolist()}
    _, patterns = scene.look()
    alone = scene.trainer.model.run_with_cache(scene.shown)[1]["pattern", 1][0]
    shown = torch.frombuffer(bytearray(patterns), dtype=torch.uint8).view(2, *alone.shape) / 255
    # what was added to fill the batch changes nothing
    assert torch.allclose(shown[1], alone, atol=1 / 255)


def test_a_text_tells_how_long_to_wait_as_the_shipped_run_did():
    """Its note says that the first head passed one half after a third of the steps."""
    assert "passed one half after a third of the steps" in module.NOTES["text"]
    run = runs.load(runs.DATA / "runs" / "text")
    assert heads.birth(run.history) / run.training["steps"] == pytest.approx(1 / 3, abs=0.05)


def test_a_note_goes_with_its_task(awaited):
    awaited.set()
    discovery = Discovery()
    assert discovery.note == ""
    discovery.reset(task="text")
    assert discovery.note == module.NOTES["text"]
    discovery.reset(task="random periods")
    assert discovery.note == ""


@pytest.fixture
def awaited(monkeypatch):
    """A text that is there only when this event is set."""
    there, built = threading.Event(), module.Scene

    def slow(choices: Choices) -> Scene:
        if choices.task == "text":
            there.wait(PATIENCE)
        return built(choices)

    monkeypatch.setattr(module, "Scene", slow)
    yield there
    there.set()


def test_a_text_loads_beside_the_kernels_other_work(explorable, a_text, awaited):
    async def scene():
        explorable._hear(None, dict(do="reset", settings=dict(task="text")), [])
        assert explorable.status == "loading" and explorable.choices.task == "random periods"
        for _ in range(10):
            await asyncio.sleep(0)  # another cell's turn
        assert explorable.status == "loading"
        awaited.set()
        await soon(lambda: explorable.status == "ready")
        assert explorable.choices.task == "text" and explorable.settings["muon_lr"] == 0.01

    asyncio.run(scene())


def test_another_choice_while_a_text_loads_wins(explorable, a_text, awaited):
    async def scene():
        explorable._hear(None, dict(do="reset", settings=dict(task="text")), [])
        loading = explorable._task
        explorable._hear(None, dict(do="reset", settings=dict(seed=4)), [])
        awaited.set()
        await soon(loading.done)
        assert explorable.status == "ready" and explorable.choices == Choices(seed=4)

    asyncio.run(scene())


def test_a_machine_without_a_text_says_so(explorable, monkeypatch):
    def nothing(choices):
        raise FileNotFoundError("no folder 'lib'")

    async def scene():
        monkeypatch.setattr(module, "Scene", nothing)
        explorable._hear(None, dict(do="reset", settings=dict(task="text")), [])
        await soon(lambda: explorable.trouble)
        assert explorable.trouble == "refused: no folder 'lib'" and explorable.status == "ready"
        assert explorable.choices.task == "random periods"

    asyncio.run(scene())
