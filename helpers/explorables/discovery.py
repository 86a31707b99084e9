"""Press Train, watch a head being born, and scrub back to the moment.

Training runs in the kernel as an asyncio task that gives way after every few steps, so that Pause, other cells and an
interrupt get their turn. Each snapshot is sent once; from then on the scrubber moves through them in the browser alone.
`run()` is the same training without a front end, to the end.
"""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from helpers import heads
from helpers.model import AttentionOnlyTransformer
from helpers.recipes import RECIPES, Recipe
from helpers.training import Diverged, Trainer

TASKS = {"random periods": "repeated_block", "one fixed period": "fixed_period"}
SECONDS_A_SLICE = 0.05  # between two chances for Pause
SECONDS_A_SNAPSHOT = 0.09  # so that there are ten or more a second


class Discovery(anywidget.AnyWidget):
    """The explorable. `snapshots` holds what was seen: step, loss and scores; `model` is the model as it stands."""

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")

    settings = traitlets.Dict().tag(sync=True)  # what the controls say
    status = traitlets.Unicode("ready").tag(sync=True)  # ready, training, paused, finished, or what went wrong
    shape = traitlets.Dict().tag(sync=True)  # of the model in training, and its chance lines

    def __init__(self, n_layers: int = 2, task: str = "random periods", seed: int = 0, muon_lr: float = 0.03):
        super().__init__()
        self._training: asyncio.Task | None = None
        self.on_msg(self._hear)
        self.reset(n_layers=n_layers, task=task, seed=seed, muon_lr=muon_lr)

    def __repr__(self) -> str:
        return f"Discovery({', '.join(f'{name}={value!r}' for name, value in self.settings.items())})"

    # ---- what the buttons do

    def reset(self, **settings: Any) -> None:
        """Back to step 0, with these settings. ValueError for one that makes no model; the old run then stays."""
        chosen = {**self.settings, **settings}
        recipe = make_recipe(**chosen)
        self.pause()
        self.settings, self.recipe = chosen, recipe
        self.trainer: Trainer = recipe.trainer()
        self.measure = recipe.measure()
        self.snapshots: list[dict[str, Any]] = []
        self._patterns: list[bytes] = []  # of every snapshot, [layer, head, query, key]
        cfg = recipe.model
        self.tokens = heads.probe(cfg.d_vocab, cfg.n_ctx)[3:4]
        self.shape = dict(
            n_layers=cfg.n_layers, n_heads=cfg.n_heads, pos=cfg.n_ctx, steps=recipe.training.steps,
            tokens=self.tokens[0].tolist(), guessing=float(np.log(cfg.d_vocab - 1)),
            chance=heads.chance_lines(heads.probe(cfg.d_vocab, cfg.n_ctx)),
        )  # fmt: skip
        self.status = "ready"
        self.send(dict(type="reset"))
        self._snapshot()

    def train(self) -> None:
        """Start, or go on. Returns at once; the training goes on while the kernel is free."""
        if self._training is None or self._training.done():
            self.status = "training"
            self._training = asyncio.get_running_loop().create_task(self._train())

    def pause(self) -> None:
        """Stop after the present slice of a few steps."""
        if self._training is not None:
            self._training.cancel()
            self._training = None
        if self.status == "training":
            self.status = "paused"
            if self.trainer.step_number > self.snapshots[-1]["step"]:
                self._snapshot()  # what one sees is where the training stands

    def step(self) -> None:
        """One step, and a snapshot of it."""
        self.pause()
        if self._advance(0.0):
            self._snapshot()
            self.status = "finished" if self._finished else "paused"

    def run(self) -> "Discovery":
        """Train to the end here and now: the same loop, without a front end."""
        while not self._finished and self._advance(SECONDS_A_SLICE):
            self._snapshot()
        self.status = "finished" if self._finished else self.status
        return self

    @property
    def model(self) -> AttentionOnlyTransformer:
        return self.trainer.model

    # ---- the loop

    @property
    def _finished(self) -> bool:
        return self.trainer.step_number >= self.recipe.training.steps

    def _advance(self, seconds: float) -> bool:
        """Train for some time, one step at least. False when the training cannot go on, and `status` then says why."""
        end = time.perf_counter() + seconds
        try:
            while not self._finished:
                self.trainer.step()
                if time.perf_counter() >= end:
                    break
        except Diverged as error:
            self.status = f"stopped: {error}"
            return False
        except KeyboardInterrupt:  # the reader stopped the kernel: the model stays as it is
            self.status = "paused"
            return False
        return True

    async def _train(self) -> None:
        shown = 0.0
        while not self._finished:
            if not self._advance(SECONDS_A_SLICE):
                return
            if time.perf_counter() - shown >= SECONDS_A_SNAPSHOT or self._finished:
                self._snapshot()
                shown = time.perf_counter()
            await asyncio.sleep(0.001)  # the kernel's turn: buttons, other cells
        self.status = "finished"

    def _snapshot(self) -> None:
        """Measure, keep, and send: the numbers as they are, the patterns as one byte an entry."""
        scores = self.measure(self.model)
        since = self.snapshots[-1]["step"] if self.snapshots else 0
        losses = self.trainer.losses[since:]
        seen = dict(
            step=self.trainer.step_number,
            loss=sum(losses) / len(losses) if losses else None,
            prefix_matching=scores["prefix_matching"],
            previous_token=scores["previous_token"],
        )
        self.snapshots.append(seen)
        with torch.no_grad():
            _, cache = self.model.run_with_cache(self.tokens, lambda name: name.endswith("pattern"))
        patterns = torch.stack([cache["pattern", layer][0] for layer in range(self.recipe.model.n_layers)])
        self._patterns.append((patterns * 255).round().byte().numpy().tobytes())
        self._post(-1)

    def _post(self, at: int) -> None:
        self.send(dict(type="snapshot", **self.snapshots[at]), buffers=[self._patterns[at]])

    def _show(self) -> None:
        """A new view has opened: it gets all that was seen so far."""
        for at in range(len(self.snapshots)):
            self._post(at)

    # ---- what the front end says

    def _hear(self, _, message: dict[str, Any], buffers: list) -> None:
        actions = dict(train=self.train, pause=self.pause, step=self.step, show=self._show)
        if message.get("do") in actions:
            actions[message["do"]]()
        elif message.get("do") == "reset":
            try:
                self.reset(**message.get("settings", {}))
            except (ValueError, TypeError) as error:
                self.status = f"refused: {error}"


def make_recipe(n_layers: int, task: str, seed: int, muon_lr: float) -> Recipe:
    """The default recipe with these choices. ValueError names a choice that cannot be."""
    base = RECIPES["two_layers"]
    if task not in TASKS:
        raise ValueError(f"no task is called {task!r}; choose one of {', '.join(TASKS)}")
    if not isinstance(n_layers, int) or not 1 <= n_layers <= 3:
        raise ValueError(f"{n_layers} layers; choose 1, 2 or 3")
    if not 0 < muon_lr <= 1:
        raise ValueError(f"a learning rate of {muon_lr}; choose one above 0 and up to 1, such as 0.03")
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed {seed!r}; choose a whole number from 0 up")
    return replace(
        base,
        model=replace(base.model, n_layers=n_layers, seed=seed),
        training=replace(base.training, seed=seed, muon_lr=muon_lr),
        task=dict(name=TASKS[task], options=base.task["options"]),
    )
