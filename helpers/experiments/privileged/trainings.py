"""The three experiments: rotated twins, the kurtosis of a stream on the way, and what rounding it
costs."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize

from helpers.experiments.privileged.setting import (
    Optimizer,
    fresh_model,
    held_out,
    model_with,
    rounded_loss,
    stream,
    trainer,
    without_gains,
)
from helpers.instruments.basis import READERS, WRITERS, kurtosis, random_rotation, rotate
from helpers.model import AttentionOnlyTransformer
from helpers.training.loop import validation_loss

# a weight that reads the stream at each of POINTS
READS = (("W_V", 0), ("W_V", 1), ("W_U", None))
BITS = (8, 4, 3)

Stored = Literal["as used", "shared", "independent"]
Turn = Literal["rotation", "order"]


# ---- rotated twins


def twins(
    optimizer: Optimizer, lr: float, seed: int = 0, steps: int = 300, turn: Turn = "rotation"
) -> dict[str, Any]:
    """Train a model and its copy in other coordinates on the same batches. The copy is rotated at
    random, or, as a control, its coordinates are only put in another order, which no optimiser
    minds.

    Returns the first one's `losses`, how far the other's are off at every step (`gaps`, nats), and
    the `parameter_gap`: the distance between their weights after turning the twin back, over the
    distance that training has moved them.
    """
    model, generator = fresh_model(seed), Generator().manual_seed(1000 + seed)
    start = {name: weight.clone() for name, weight in model.state_dict().items()}
    d = model.cfg.d_model
    R = (
        random_rotation(d, generator)
        if turn == "rotation"
        else torch.eye(d).double()[torch.randperm(d, generator=generator)]
    )
    twin = without_gains(rotate(model, R))
    pair = [trainer(one, optimizer, lr, seed) for one in (model, twin)]
    for _ in range(steps):
        for one in pair:
            one.step()
    back = rotate(twin, R.T).state_dict()
    apart, moved = (
        sum((weight - other[name]).square().sum() for name, weight in model.state_dict().items())
        .sqrt()
        .item()
        for other in (back, start)
    )
    losses, others = (one.losses for one in pair)
    gaps = [abs(one - other) for one, other in zip(losses, others, strict=True)]
    return dict(
        optimizer=optimizer,
        lr=lr,
        seed=seed,
        turn=turn,
        losses=losses,
        gaps=gaps,
        parameter_gap=apart / moved,
    )


# ---- one training, and the kurtosis of its stream


def grow(
    optimizer: Optimizer,
    lr: float,
    seed: int = 0,
    steps: int = 1400,
    stored: Stored = "as used",
    every: int = 100,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Train, and return (record, weights as used).

    The record's `history` has, every so many steps, the held-out loss (nats) and the kurtosis at
    POINTS three times: in the coordinates in which weights are used, after one random rotation of
    these, and in those in which a weight that reads there is stored.
    """
    model = fresh_model(seed)
    batch = held_out()
    R = random_rotation(model.cfg.d_model, Generator().manual_seed(2000 + seed)).float()
    bases = store(model, stored, Generator().manual_seed(3000 + seed))
    run, history = trainer(model, optimizer, lr, seed), []
    for step in range(steps + 1):
        if step % every == 0:
            x = stream(model, batch)
            history.append(
                dict(
                    step=step,
                    loss=round(validation_loss(model, *batch[:2]), 4),
                    used=[round(kurtosis(at), 2) for at in x],
                    turned=[round(kurtosis(at @ R), 2) for at in x],
                    stored=[
                        round(kurtosis(at @ _of(bases, read)), 2)
                        for at, read in zip(x, READS, strict=True)
                    ],
                )
            )
        if step < steps:
            run.step()
    record = dict(optimizer=optimizer, lr=lr, seed=seed, stored=stored, history=history)
    return record, {
        name: getattr(model, name).detach().clone() for name in WRITERS + READERS if name in bases
    }


def store(model: AttentionOnlyTransformer, how: Stored, generator: Generator) -> dict[str, Tensor]:
    """Store the weights in other coordinates of the stream than those they are used in, and return
    the coordinates by name: "as used", in these; "shared", all in the same others; "independent",
    each matrix of each layer in its own."""
    d = model.cfg.d_model
    one, bases = random_rotation(d, generator), {}
    for name in [name for name in WRITERS + READERS if hasattr(model, name)]:
        weight = getattr(model, name)
        if how == "independent":
            R = _own_coordinates(weight, d, generator)
        else:
            R = torch.eye(d) if how == "as used" else one
            R = R.expand(len(weight), 1, d, d) if weight.ndim == 4 else R
        bases[name] = R.float()
        if how != "as used":
            parametrize.register_parametrization(model, name, _Turned(bases[name], name in WRITERS))
    return bases


def _own_coordinates(
    weight: Tensor, d: int, generator: Generator
) -> Float[Tensor, "layer 1 d d"] | Float[Tensor, "d d"]:
    """A rotation for each layer of the heads' matrices, and one for any other matrix.

    There the first of several counts, one a row: with fewer draws the shipped records could not be
    made again from their seeds.
    """
    drawn = [random_rotation(d, generator) for _ in weight]
    return torch.stack(drawn)[:, None] if weight.ndim == 4 else drawn[0]


class _Turned(nn.Module):
    """A weight as it is used, made from the same weight as it is stored: a vector x of the stream
    is stored as x @ R."""

    def __init__(self, R: Tensor, writes: bool):
        super().__init__()
        self.writes = writes
        self.register_buffer("R", R)

    def forward(self, stored: Tensor) -> Tensor:
        return stored @ self.R.mT if self.writes else self.R @ stored

    def right_inverse(self, used: Tensor) -> Tensor:
        return used @ self.R if self.writes else self.R.mT @ used


def _of(bases: dict[str, Tensor], read: tuple[str, int | None]) -> Tensor:
    name, layer = read
    return bases[name] if layer is None else bases[name][layer, 0]


# ---- what rounding costs


def rounding(
    optimizer: Optimizer, lr: float, seed: int = 0, steps: int = 1400, rotations: int = 5
) -> dict[str, Any]:
    """Train, and round the stream of the trained model. The record has the `kurtosis` of its last
    stream, and for each of BITS how much rounding raises the held-out loss (nats): `as_trained`,
    and the mean over random `rotated` copies."""
    record, weights = grow(optimizer, lr, seed, steps, every=steps)
    model, batch = model_with(weights, seed), held_out()
    generator = Generator().manual_seed(4000 + seed)
    turned = [
        rotate(model, random_rotation(model.cfg.d_model, generator)) for _ in range(rotations)
    ]
    exact, last = validation_loss(model, *batch[:2]), record["history"][-1]
    rises = {
        bits: [
            sum(rounded_loss(one, batch, bits) - exact for one in many) / len(many)
            for many in ([model], turned)
        ]
        for bits in BITS
    }
    as_trained, rotated = (
        {str(bits): round(pair[i], 4) for bits, pair in rises.items()} for i in (0, 1)
    )
    return dict(
        optimizer=optimizer,
        lr=lr,
        seed=seed,
        loss=last["loss"],
        kurtosis=last["used"][-1],
        as_trained=as_trained,
        rotated=rotated,
    )
