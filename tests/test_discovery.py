"""The discovery explorable without a browser: what its buttons do, and that the kernel stays free."""

import asyncio

import pytest
import torch

from helpers.explorables import discovery as module
from helpers.explorables.discovery import Discovery


@pytest.fixture
def explorable(monkeypatch):
    """A Discovery that forms its head in a short training, with the messages that it sends in `sent`."""
    torch.set_num_threads(1)
    sent = []
    monkeypatch.setattr(Discovery, "send", lambda self, message, buffers=(): sent.append((message, buffers)))
    made = Discovery()
    made.sent = sent
    return made


def test_it_opens_with_the_untrained_model(explorable):
    assert explorable.status == "ready"
    assert [seen["step"] for seen in explorable.snapshots] == [0]
    assert repr(explorable) == "Discovery(n_layers=2, task='random periods', seed=0, muon_lr=0.03)"


@pytest.mark.slow
def test_run_trains_to_the_end_and_the_head_is_there(explorable):
    explorable.run()
    assert explorable.status == "finished"
    assert explorable.snapshots[-1]["step"] == 400
    assert max(map(max, explorable.snapshots[-1]["prefix_matching"])) > 0.5
    assert max(map(max, explorable.snapshots[0]["prefix_matching"])) < 0.2


def test_a_snapshot_carries_every_heads_pattern(explorable):
    message, (pattern,) = explorable.sent[-1]
    shown = torch.frombuffer(bytearray(pattern), dtype=torch.uint8).view(2, 4, 48, 48) / 255
    _, cache = explorable.model.run_with_cache(explorable.tokens)
    assert message["type"] == "snapshot" and message["step"] == 0
    assert torch.allclose(shown[1, 2], cache["pattern", 1][0, 2], atol=1 / 255)


def test_training_leaves_the_kernel_free_and_pause_stops_it(explorable):
    async def scene():
        explorable.train()
        turns = 0
        while explorable.trainer.step_number < 12:
            await asyncio.sleep(0.001)  # another cell's turn
            turns += 1
        assert explorable.status == "training" and turns >= 1
        explorable.pause()
        at = explorable.trainer.step_number
        await asyncio.sleep(0.1)
        assert explorable.trainer.step_number == at and explorable.status == "paused"
        assert explorable.snapshots[-1]["step"] == at
        explorable.train()
        await asyncio.sleep(0.15)
        assert explorable.trainer.step_number > at
        explorable.pause()

    asyncio.run(scene())


def test_pressing_train_twice_trains_once(explorable):
    async def scene():
        explorable.train()
        first = explorable._training
        explorable.train()
        assert explorable._training is first
        explorable.pause()

    asyncio.run(scene())


def test_step_is_one_step(explorable):
    explorable.step()
    assert explorable.trainer.step_number == 1 and explorable.status == "paused"
    assert [seen["step"] for seen in explorable.snapshots] == [0, 1]


def test_watching_changes_nothing(explorable):
    """The snapshots measure the training and do not touch it."""
    for _ in range(5):
        explorable.step()
    alone = explorable.recipe.trainer()
    assert [alone.step() for _ in range(5)] == explorable.trainer.losses


def test_reset_starts_over_with_the_settings(explorable):
    explorable.step()
    explorable.reset(n_layers=1, seed=3)
    assert explorable.trainer.step_number == 0 and len(explorable.snapshots) == 1
    assert (explorable.model.cfg.n_layers, explorable.model.cfg.seed) == (1, 3)
    assert explorable.settings["task"] == "random periods"


@pytest.mark.parametrize(
    "setting, says",
    [
        (dict(n_layers=9), "9 layers; choose 1, 2 or 3"),
        (dict(task="poems"), "no task is called 'poems'; choose one of random periods, one fixed period"),
        (dict(muon_lr=0), "a learning rate of 0; choose one above 0"),
        (dict(seed=-1), "seed -1; choose a whole number from 0 up"),
    ],
)
def test_a_bad_choice_is_refused_in_words_and_the_run_stays(explorable, setting, says):
    explorable.step()
    explorable._hear(None, dict(do="reset", settings=setting), [])
    assert explorable.status.startswith(f"refused: {says}")
    assert explorable.trainer.step_number == 1 and len(explorable.snapshots) == 2


def test_a_training_that_diverges_says_so(explorable, monkeypatch):
    def diverge():
        raise module.Diverged("the loss is nan at step 1")

    monkeypatch.setattr(explorable.trainer, "step", diverge)
    explorable.step()
    assert explorable.status == "stopped: the loss is nan at step 1"


def test_an_interrupt_pauses_and_leaves_the_model_usable(explorable, monkeypatch):
    step, calls = explorable.trainer.step, []

    def interrupted():
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step()

    monkeypatch.setattr(explorable.trainer, "step", interrupted)
    explorable.run()
    assert explorable.status == "paused" and explorable.trainer.step_number == 2
    explorable.model(explorable.tokens)


def test_a_view_that_opens_late_is_shown_everything(explorable):
    explorable.step()
    before = len(explorable.sent)
    explorable._hear(None, dict(do="show"), [])
    assert [message["step"] for message, _ in explorable.sent[before:]] == [0, 1]


def test_the_fixed_period_is_the_trap(explorable):
    explorable.reset(task="one fixed period")
    assert explorable.recipe.task["name"] == "fixed_period"
