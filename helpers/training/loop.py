"""Training, one step at a time: a loop that can be watched, stopped at any step and resumed bit by
bit.

`train` yields a Snapshot at every step of a log-spaced schedule; whoever iterates may stop whenever
they like. `Trainer` is the loop taken apart: `step()` once, `checkpoint()` and `Trainer.resume`
with nothing lost. A loss that is not finite stops the run.

`recipes` says what the course's own runs are made of; `python -m helpers.training --help` trains
one from a shell.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from helpers.model import AttentionOnlyTransformer
from helpers.sequences import cross_entropy
from helpers.training.optimizers import STATE, make_optimizers


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    `optimizer`: AdamW or SGD (momentum 0.9) for all weights, or Muon for the matrices of the heads
    and AdamW for the rest; `muon_lr` is Muon's rate and `lr` the other's. Both fall linearly to
    zero over `steps`. `rows`: a loss on the rows that the task determines, or on all.
    """

    steps: int = 400
    batch: int = 24
    optimizer: Literal["AdamW", "SGD", "Muon"] = "Muon"
    lr: float = 0.01
    muon_lr: float = 0.03
    weight_decay: float = 0.0
    rows: Literal["determined", "all"] = "determined"
    seed: int = 0

    def __post_init__(self):
        if self.optimizer not in ("AdamW", "SGD", "Muon"):
            raise ValueError(f"optimizer is {self.optimizer!r}; choose 'AdamW', 'SGD' or 'Muon'")
        if self.rows not in ("determined", "all"):
            raise ValueError(f"rows is {self.rows!r}; choose 'determined' or 'all'")
        if self.steps < 1 or self.batch < 1 or self.lr <= 0 or self.muon_lr <= 0:
            raise ValueError(
                f"steps {self.steps}, batch {self.batch}, lr {self.lr} and muon_lr {self.muon_lr} "
                "must all be positive"
            )


class Snapshot(NamedTuple):
    """The run at one step: mean loss since the snapshot before (nats; None at step 0), what was
    measured, the weights."""

    step: int
    loss: float | None
    scores: dict[str, list]
    weights: dict[str, Tensor]


class Diverged(RuntimeError):
    """The loss, or a weight, is no longer a number."""


class Trainer:
    """A model, a task, the optimisers and the generator of the data, one step at a time.

    `task(batch, generator)` gives (tokens, targets, determined). The data of step n depend on the
    seed alone, the device only on where the model is: batches are drawn on the CPU and moved.
    """

    def __init__(
        self,
        model: AttentionOnlyTransformer,
        task: Callable,
        config: TrainingConfig = TrainingConfig(),
    ):
        self.model, self.task, self.config = model, task, config
        self.step_number = 0
        self.last_snapshot: int | None = None  # the step at which `train` gave it
        self.losses: list[float] = []
        self.generator = torch.Generator().manual_seed(config.seed)
        self.optimizers = make_optimizers(
            model, config.optimizer, config.lr, config.muon_lr, config.weight_decay
        )

    def step(self) -> float:
        """One update; returns its loss, in nats. Raises Diverged, and updates nothing, when that is
        not finite."""
        remaining = 1 - self.step_number / self.config.steps
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * max(remaining, 0.0)
        tokens, targets, determined = (
            part.to(self.model.W_U.device) for part in self.task(self.config.batch, self.generator)
        )
        rows = determined if self.config.rows == "determined" else None
        loss = cross_entropy(self.model(tokens), targets, rows)
        value = loss.item()
        if not math.isfinite(value):
            raise self.diverged(f"the loss is {value} at step {self.step_number + 1}")
        self.model.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.step_number += 1
        self.losses.append(value)
        return value

    def diverged(self, what: str) -> Diverged:
        """The error to raise, with the rates that led to it."""
        return Diverged(
            f"{what}, learning rate {self.config.lr} ({self.config.optimizer}, muon_lr "
            f"{self.config.muon_lr}); try a smaller one, from the last snapshot or from the start"
        )

    def checkpoint(self) -> dict[str, Tensor]:
        """All that the next steps depend on, as tensors: weights, optimiser states, generator,
        losses so far."""
        tensors = {
            f"model.{name}": weight.detach() for name, weight in self.model.named_parameters()
        }
        for number, optimizer in enumerate(self.optimizers):
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {
                    f"optimizer.{number}.{index}.{key}": torch.as_tensor(value)
                    for key, value in state.items()
                    if value is not None
                }
        tensors["generator"] = self.generator.get_state()
        tensors["losses"] = torch.tensor(self.losses, dtype=torch.float64)
        return {name: tensor.cpu().clone() for name, tensor in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on exactly where `checkpoint` was taken. ValueError when it is of another model or
        optimiser."""
        expected = {f"model.{name}": weight.shape for name, weight in self.model.named_parameters()}
        found = {
            name: tensor.shape for name, tensor in tensors.items() if name.startswith("model.")
        }
        if found != expected:
            raise ValueError(
                f"the checkpoint holds {found}, this model expects {expected}; build the model "
                "from the run's own config"
            )
        kept = {
            (str(number), key)
            for number, made in enumerate(self.optimizers)
            for key in STATE[type(made)]
        }
        parts = {
            tuple(name.split(".")[1:]): part
            for name, part in tensors.items()
            if name.startswith("optimizer.")
        }
        # Before the first step there are none.
        if parts and {(number, key) for number, _, key in parts} != kept:
            raise ValueError(
                f"the checkpoint was made with another optimiser than {self.config.optimizer}; use "
                "the run's own config"
            )
        states: list[dict[int, dict]] = [{} for _ in self.optimizers]
        for (number, index, key), tensor in parts.items():
            states[int(number)].setdefault(int(index), {})[key] = tensor.clone()
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                weight.copy_(tensors[f"model.{name}"])
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        self.generator.set_state(tensors["generator"])
        self.losses = tensors["losses"].tolist()
        self.step_number, self.last_snapshot = len(self.losses), None


def log_spaced(steps: int, count: int = 64) -> list[int]:
    """0, `steps` and about `count` steps up to it, in even ratios as far as whole numbers allow."""
    between = torch.logspace(0, math.log10(steps), count, dtype=torch.float64)[:-1].round().long()
    return sorted({0, steps, *between.tolist()})


def train(
    trainer: Trainer,
    measure: Callable[[AttentionOnlyTransformer], dict[str, Any]],
    schedule: Sequence[int] | None = None,
) -> Iterator[Snapshot]:
    """Train from where the trainer stands, yielding a Snapshot at each step of the schedule
    (default: log-spaced).

    `measure(model)` gives the scores. To stop, stop iterating: the trainer stays as it is and can
    go on, and gives no snapshot twice. Raises Diverged rather than yield weights that are not
    finite.
    """
    schedule = log_spaced(trainer.config.steps) if schedule is None else schedule
    for before, at in pairwise([0, *sorted(set(schedule))]):
        if at < trainer.step_number or at == trainer.last_snapshot:
            continue
        while trainer.step_number < at:
            trainer.step()
        losses = trainer.losses[before:]
        weights = {
            name: weight.detach().cpu().clone() for name, weight in trainer.model.named_parameters()
        }
        if not all(weight.isfinite().all() for weight in weights.values()):
            raise trainer.diverged(f"the weights are not finite after step {at}")
        trainer.last_snapshot = at
        yield Snapshot(
            at, sum(losses) / len(losses) if losses else None, measure(trainer.model), weights
        )


@torch.no_grad()
def validation_loss(model: AttentionOnlyTransformer, tokens: Tensor, targets: Tensor) -> float:
    """Mean loss per token, in nats, on windows of files that the training never read."""
    return cross_entropy(model(tokens.to(model.W_U.device)), targets).item()
