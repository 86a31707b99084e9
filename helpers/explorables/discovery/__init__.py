"""Press Train, watch a head being born, and scrub back to the moment.

Training runs in the kernel as an asyncio task that gives way after every few steps, so that Pause,
other cells and an interrupt get their turn. Each snapshot is sent once; from then on the scrubber
moves through them in the browser alone. Which steps are looked at does not depend on the machine,
so a seed has one birth. `run()` is the same training without a front end, to the end.
"""

import asyncio
import io
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import traitlets
from PIL import Image  # a dependency of matplotlib
from torch import Tensor
from torch.func import functional_call

from helpers.explorables import Explorable
from helpers.explorables.discovery.scene import Choices, Scene
from helpers.explorables.shared.home import at_home, running_loop
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer
from helpers.training.loop import Diverged, Trainer
from helpers.training.runs import DATA

SECONDS_A_SLICE = 0.06  # between two chances for Pause
EVERY = 5  # steps between two looks ...
CLOSE = 0.25  # ... but none, where the best prefix matching is above this and no head is born
MOST_KEPT = 160  # weights, to ask another row of: then every second goes
# what there is to know of a task's training
NOTES = {
    "text": "Text takes minutes where random tokens take seconds: some ten on an idle machine. In "
    "the run that ships with the course, the first head passed one half after a third of the "
    "steps; other seeds differ."
}
# a view that has not acknowledged so many snapshots in so many seconds is gone
UNSEEN, PATIENCE = 15, 5.0


class Discovery(Explorable):
    """The explorable. `snapshots` holds what was seen: step, losses and scores; `model` is the
    model as it stands."""

    settings = traitlets.Dict().tag(sync=True)  # what the controls say
    # ready, loading, training, paused, finished or stopped
    status = traitlets.Unicode("ready").tag(sync=True)
    # why a choice was refused or a training stopped, in words
    trouble = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)  # what is to be known of this training, in words
    shape = traitlets.Dict().tag(sync=True)  # of the model in training, and where chance lies
    # the reader's own: what was typed, and what stands after an earlier copy of its last token
    row = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        n_layers: int = 2,
        n_heads: int = 4,
        smeared_keys: bool = False,
        task: str = "random periods",
        seed: int = 0,
        muon_lr: float | None = None,
    ):
        super().__init__()
        # what goes on in the background: training, or loading a text
        self._task: asyncio.Task | None = None
        self._home = running_loop()  # where cells run
        # by a view, as far as one can tell; `_unseen` counts what it has not acknowledged
        self._watched = False
        self._views = 0  # that have opened and not said that they close
        self._heed()
        self.choices = Choices(n_layers, n_heads, smeared_keys, task, seed, muon_lr)
        self._open(Scene(self.choices))
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        chosen = ", ".join(f"{name}={value!r}" for name, value in asdict(self.choices).items())
        return f"Discovery({chosen})"

    def _told_still(self) -> tuple[bytes, str]:
        """The default training as it is stored, in motion: helpers/course/movie.py draws it."""
        still = (DATA / "birth.png").read_bytes()
        return still, Image.open(io.BytesIO(still)).text["Description"]

    # ---- what the buttons do

    def reset(self, **settings: Any) -> None:
        """Back to step 0, with these settings. ValueError for one that makes no model; the old run
        then stays."""
        choices = self.choices.changed(**settings)
        scene = Scene(choices)
        self.pause()
        self._exchange(choices, scene)

    def train(self) -> None:
        """Start, or go on. Returns at once; the training goes on while the kernel is free.
        RuntimeError where nothing can go on beside the caller, as in a plain script: `run()` is for
        that."""
        self._heed()
        if self.status in ("ready", "paused"):
            loop = running_loop()
            if loop is None:
                raise RuntimeError(
                    "training in the background needs a running event loop, as a notebook has; try "
                    "run()"
                )
            self.status = "training"
            self._task = loop.create_task(self._train())

    def pause(self) -> None:
        """Stop after the present slice of a few steps."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.status == "loading":
            self.status = self._before_loading
        if self.status == "training":
            self._rest()

    def step(self) -> None:
        """One step, and a snapshot of it."""
        self.pause()
        if self.status in ("ready", "paused") and self._advance(0.0):
            self._snapshot()
            self.status = "finished" if self._finished else "paused"

    def run(self) -> "Discovery":
        """Train to the end here and now: the same loop, without a front end. An interrupt pauses
        it, with the model whole."""
        self.pause()
        for _ in self._slices():
            pass
        if self.status == "paused":
            raise KeyboardInterrupt("the training is paused: train() or run() goes on")
        return self

    def ask(self, typed: str) -> None:
        """Put another row to the model, at the steps whose weights are kept and from now on.
        ValueError for one that cannot be read."""
        self.scene.ask(typed)
        for seen, weights in zip(self.snapshots, self._weights, strict=True):
            seen["answers"] = weights and self.scene.answers(partial(self._with, weights))
        self.row = self.scene.row
        self.send(dict(type="answers", answers=[seen["answers"] for seen in self.snapshots]))

    def answers(self, model: AttentionOnlyTransformer) -> dict[str, Any]:
        """What another model says after the same row: `best`, three tokens with their
        probabilities, and the probability of what is `copied`."""
        return self.scene.answers(model)

    @property
    def model(self) -> AttentionOnlyTransformer:
        return self.trainer.model

    def model_at(self, step: int) -> AttentionOnlyTransformer:
        """The model as it stood at this step, or at the latest before it whose weights are kept."""
        kept = [
            weights
            for seen, weights in zip(self.snapshots, self._weights, strict=True)
            if weights and seen["step"] <= step
        ]
        if not kept:
            raise ValueError(f"step {step}: the training begins at step 0; give 0 or more")
        model = AttentionOnlyTransformer(self.model.cfg)
        model.load_state_dict(kept[-1])
        return model.requires_grad_(False)

    def _with(self, weights: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
        """The logits that the model gave with these weights."""
        return functional_call(self.model, weights, (tokens,))

    @property
    def trainer(self) -> Trainer:
        return self.scene.trainer

    @property
    def share(self) -> float:
        """The seconds spent on snapshots over the seconds spent on training, so far."""
        return self.spent["looking"] / max(self.spent["training"], 1e-9)

    # ---- the loop

    def _open(self, scene: Scene) -> None:
        self.scene = scene
        self.snapshots: list[dict[str, Any]] = []
        self._patterns: list[bytes] = []  # of every snapshot
        self._weights: list[dict[str, Tensor] | None] = []  # of most
        self.settings, self.shape = asdict(self.choices), scene.shape()
        self.row = scene.row
        self.status, self.trouble = "ready", ""
        self.note = NOTES.get(self.choices.task, "")
        self.spent = dict(training=0.0, looking=0.0)
        self.send(dict(type="reset"))
        self._snapshot()
        self.spent["looking"] = 0.0  # the first look is not part of the training

    @property
    def _finished(self) -> bool:
        return self.trainer.step_number >= self.scene.recipe.training.steps

    def _slices(self) -> Iterator[None]:
        """Train and look, giving way after every slice, until the end, an interrupt or a loss that
        is not finite."""
        while not self._finished:
            with interrupts_noted() as noted:
                if not self._advance(SECONDS_A_SLICE):
                    return
                if self._is_due():
                    self._snapshot()
            if noted:
                return self._rest()
            yield
        self._rest()
        self.status = "finished"

    def _advance(self, seconds: float) -> bool:
        """Train for some time, one step at least and up to the next look. False when the training
        cannot go on, and `trouble` then says why."""
        start = time.perf_counter()
        try:
            while not self._finished:
                self.trainer.step()
                if self._is_due() or time.perf_counter() - start >= seconds:
                    break
        except Diverged as error:
            self.status, self.trouble = "stopped", f"stopped: {error}"
            return False
        finally:
            self.spent["training"] += time.perf_counter() - start
        return True

    # nobody awaits this task: without these words it would end in silence
    async def _train(self) -> None:
        try:
            for _ in self._slices():
                if self._left_alone():
                    return self._rest()
                await asyncio.sleep(0.001)  # the kernel's turn: buttons, other cells
        except Exception as error:
            self.status, self.trouble = "stopped", f"stopped: {type(error).__name__}: {error}"
            raise

    def _rest(self) -> None:
        """Paused, and what one sees is where the training stands."""
        self.status = "paused"
        if self.trainer.step_number > self.snapshots[-1]["step"]:
            self._snapshot()

    def _is_due(self) -> bool:
        """Whether this step is looked at: every so many, and each while a head is being born."""
        best = max(map(max, self.snapshots[-1]["prefix_matching"]))
        return self.trainer.step_number % EVERY == 0 or CLOSE < best <= heads.THRESHOLD

    def _snapshot(self) -> None:
        """Look, keep, and send."""
        start = time.perf_counter()
        seen, patterns = self.scene.look()
        self.snapshots.append(seen | dict(seconds=round(sum(self.spent.values()), 3)))
        self._patterns.append(patterns)
        self._keep({name: part.detach().clone() for name, part in self.model.named_parameters()})
        self._post(-1)
        self._unseen += 1
        self.spent["looking"] += time.perf_counter() - start

    def _keep(self, weights: dict[str, Tensor]) -> None:
        """Keep what the model is at this snapshot; of too many, every second goes."""
        self._weights.append(weights)
        kept = [at for at, weights in enumerate(self._weights) if weights]
        if len(kept) > MOST_KEPT:
            for at in kept[1:-1:2]:
                self._weights[at] = None

    def _heed(self) -> None:
        """A view is there, or whoever calls train() is."""
        self._unseen, self._heard = 0, time.perf_counter()

    def _left_alone(self) -> bool:
        """Whether the view has gone without a word: its tab was closed, or its browser. While
        run() keeps the kernel busy nothing is heard of any view, and its caller is there."""
        return (
            self._watched
            and self._unseen >= UNSEEN
            and time.perf_counter() - self._heard > PATIENCE
        )

    def _post(self, at: int, **to: Any) -> None:
        self.send(dict(type="snapshot", **self.snapshots[at], **to), buffers=[self._patterns[at]])

    def _show(self, view: str) -> None:
        """A new view has opened: it gets all that was seen so far, and the others know by its name
        that they need not."""
        self._watched = True
        self._views += 1
        for at in range(len(self.snapshots)):
            self._post(at, view=view)

    def _closed(self) -> None:
        """Nobody looks any more once the last view has closed."""
        self._views -= 1
        if self._views <= 0:
            self.pause()

    # ---- what the front end says

    def _hear(self, _, message: dict[str, Any], buffers: list) -> None:
        at_home(self._home, self._obey, message)

    def _obey(self, message: dict[str, Any]) -> None:
        self._heed()
        actions = dict(
            train=self.train, pause=self.pause, step=self.step, closed=self._closed, saw=self._heed
        )
        if message.get("do") in actions:
            actions[message["do"]]()
        elif message.get("do") == "show":
            self._show(message.get("view", ""))
        elif message.get("do") == "ask":
            self._answer(message.get("row", ""))
        elif message.get("do") == "reset":
            self._choose(message.get("settings", {}))

    def _answer(self, typed: str) -> None:
        """Ask, or say why not; what was typed stands until the reader mends it."""
        try:
            self.ask(typed)
            self.trouble = ""
        except ValueError as error:
            self.trouble = f"refused: {error}"

    def _choose(self, settings: dict[str, Any]) -> None:
        """Reset as the controls say. A text is loaded beside the kernel's other work, and `status`
        says so meanwhile."""
        try:
            choices, loop = self.choices.changed(**settings), running_loop()
            if choices.task == "text" and loop is not None:
                self.pause()
                self._before_loading, self.status, self.trouble = self.status, "loading", ""
                self._task = loop.create_task(self._load(choices))
            else:
                self.reset(**settings)
        except (ValueError, TypeError) as error:
            self._refuse(error)

    async def _load(self, choices: Choices) -> None:
        try:
            scene = await asyncio.to_thread(Scene, choices)
        except (ValueError, OSError) as error:  # no text on this machine, for instance
            self.status = self._before_loading
            return self._refuse(error)
        self._exchange(choices, scene)

    def _exchange(self, choices: Choices, scene: Scene) -> None:
        """Another training in place of this one. The reader's row stays where it can be read."""
        if (choices.task == "text") == (self.choices.task == "text"):
            scene.ask(self.row["typed"])
        self.choices = choices
        self._open(scene)

    def _refuse(self, error: Exception) -> None:
        self.trouble = f"refused: {error}"
        self.send(dict(type="refused"))  # the controls go back to what they were


@contextmanager
def interrupts_noted() -> Iterator[list[bool]]:
    """Inside, an interrupt (the kernel's stop button, Ctrl-C) is noted in the list and cuts nothing
    short: no step is left half done. Without this the kernel would ignore one that comes between
    two cells."""
    noted: list[bool] = []
    if threading.current_thread() is not threading.main_thread():  # only there can it be
        yield noted
        return
    before = signal.signal(signal.SIGINT, lambda *_: noted.append(True))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
