"""Does training give the stream axes? The experiments behind notebook 03.

- `twins`: one initialisation and its rotated copy, trained on the same batches. An optimiser that
  does not know the axes keeps them the same model in other coordinates.
- `grow`: one training, with the kurtosis of its stream over the way. The weights can be stored in
  other coordinates than those they are used in: optimisers act where weights are stored.
- `rounding`: what it costs to round the stream of a trained model, as trained and rotated, on seeds
  kept for this alone.

The model has two layers and a root mean square normalization without gains, so that any rotation is
allowed, and all its weights start Gaussian, so that no axis is preferred by the start. Rates are
constant: it is the time at a high rate that counts here.

`python -m helpers.experiments.privileged` runs everything again and writes
data/sweeps/privileged_basis.

Sources: Elhage, Lasenby, Olah 2023, Privileged Bases in the Transformer Residual Stream; SGD
against Adam: Caples & Neuhaus 2024.
"""

import argparse
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize
from tqdm import tqdm

from helpers.instruments.basis import READERS, WRITERS, kurtosis, quantise, random_rotation, rotate
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, bigram_chain, cross_entropy
from helpers.training import runs, sweeps
from helpers.training.command import as_typed, positive
from helpers.training.loop import Trainer, TrainingConfig, validation_loss
from helpers.training.optimizers import Muon

FOLDER = runs.DATA / "sweeps" / "privileged_basis"
POINTS = ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post")
# a weight that reads the stream at each of these points
READS = (
    ("W_V", 0),
    ("W_V", 1),
    ("W_U", None),
)
BITS = (8, 4, 3)
CONSTANT = 10**7  # steps over which the rate would fall to zero: longer than any run here

Optimizer = Literal["AdamW", "SGD", "Muon", "Muon everywhere"]
Stored = Literal["as used", "shared", "independent"]
Turn = Literal["rotation", "order"]


# ---- model and data


def fresh_model(seed: int = 0) -> AttentionOnlyTransformer:
    """Two layers, RMS with its gains kept at 1, and all weights Gaussian, positions too."""
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=48, normalization="RMS", seed=seed))
    with torch.no_grad():
        model.W_pos.normal_(0, model.cfg.init_pos, generator=Generator().manual_seed(seed))
    return _without_gains(model)


def half_repeated(batch: int, generator: Generator) -> Batch:
    """A Markov chain with a Zipf law of tokens; in every other sequence the second half says the
    first again."""
    tokens, targets, determined = bigram_chain(batch, 48, 64, generator)
    targets[::2, 24:] = targets[::2, :24]
    return Batch(torch.cat([tokens[:, :1], targets[:, :-1]], 1), targets, determined)


def trainer(
    model: AttentionOnlyTransformer, optimizer: Optimizer, lr: float, seed: int = 0
) -> Trainer:
    """At step 0, with a constant rate. "Muon everywhere" takes every matrix, embeddings too; Muon
    proper leaves those to AdamW. For Muon `lr` is its own rate, and AdamW's is 0.003."""
    name, rates = (
        (optimizer, dict(lr=lr))
        if "Muon" not in optimizer
        else ("Muon", dict(lr=0.003, muon_lr=lr))
    )
    made = Trainer(
        model, half_repeated, TrainingConfig(CONSTANT, 32, name, rows="all", seed=seed, **rates)
    )
    if optimizer == "Muon everywhere":
        made.optimizers = [
            Muon([weight for weight in model.parameters() if weight.requires_grad], lr=lr)
        ]
        made.optimizers[0].param_groups[0]["initial_lr"] = lr
    return made


def held_out(batch: int = 128) -> Batch:
    """Sequences that no training draws."""
    return half_repeated(batch, Generator().manual_seed(10_000))


@torch.no_grad()
def rounded_loss(model: AttentionOnlyTransformer, batch: Batch, bits: int) -> float:
    """Mean loss per token (nats) when the stream is rounded to few bits (`basis.quantise`) before
    everything that reads it."""
    hooks = [(point, lambda x, hook: quantise(x, bits)) for point in POINTS]
    return cross_entropy(model.run_with_hooks(batch.tokens, hooks), batch.targets).item()


@torch.no_grad()
def stream(model: AttentionOnlyTransformer, batch: Batch) -> list[Tensor]:
    """The stream at POINTS, [batch, pos, d_model] each, without BOS, which is one vector over and
    over."""
    _, cache = model.run_with_cache(batch.tokens, lambda name: name in POINTS)
    return [cache[point][:, 1:] for point in POINTS]


def _without_gains(model: AttentionOnlyTransformer) -> AttentionOnlyTransformer:
    model.requires_grad_(True).norm_gain.requires_grad_(False)
    return model


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
    twin = _without_gains(rotate(model, R))
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
    batch, R = (
        held_out(),
        random_rotation(model.cfg.d_model, Generator().manual_seed(2000 + seed)).float(),
    )
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
    d, names = model.cfg.d_model, [name for name in WRITERS + READERS if hasattr(model, name)]
    one = random_rotation(d, generator)
    bases = {}
    for name in names:
        weight = getattr(model, name)
        many = [
            random_rotation(d, generator) if how == "independent" else one
            for _ in range(len(weight))
        ]
        # [layer, 1, d, d] or [d, d]
        R = torch.stack(many)[:, None] if weight.ndim == 4 else many[0]
        bases[name] = (torch.eye(d).expand_as(R) if how == "as used" else R).float()
        if how != "as used":
            parametrize.register_parametrization(model, name, _Turned(bases[name], name in WRITERS))
    return bases


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
    model, batch, generator = (
        _model(weights, seed),
        held_out(),
        Generator().manual_seed(4000 + seed),
    )
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


# ---- what is shipped


TWINS = [
    *sweeps.seeds(5, optimizer="SGD", lr=0.1),
    *sweeps.seeds(5, optimizer="AdamW", lr=0.003),
    *sweeps.seeds(3, optimizer="AdamW", lr=0.003, turn="order"),
    *sweeps.seeds(3, optimizer="Muon", lr=0.003),
    *sweeps.seeds(3, optimizer="Muon everywhere", lr=0.003),
]
KEPT = (("AdamW", 0.01), ("SGD", 0.3))  # whose weights are kept: about equal in loss
GROWN = [
    *(setting for optimizer, lr in KEPT for setting in sweeps.seeds(3, optimizer=optimizer, lr=lr)),
    *(
        setting
        for how in ("shared", "independent")
        for setting in sweeps.seeds(3, optimizer="AdamW", lr=0.01, stored=how)
    ),
    *(
        setting
        for lr in (0.001, 0.003, 0.02)
        for setting in sweeps.seeds(3, optimizer="AdamW", lr=lr)
    ),
    *(setting for lr in (0.03, 0.1) for setting in sweeps.seeds(3, optimizer="SGD", lr=lr)),
    *sweeps.seeds(3, optimizer="Muon everywhere", lr=0.01),
]
# Seeds that no threshold was chosen on: the notebook's claims about rounding were written down
# before these runs.
ROUNDED = [
    dict(optimizer=optimizer, lr=lr, seed=seed)
    for optimizer, lr, count in (("AdamW", 0.01, 8), ("SGD", 0.3, 8), ("AdamW", 0.003, 4))
    for seed in range(10, 10 + count)
]


def experiment(
    kind: Literal["twins", "grow", "rounding"], **setting: Any
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """One run as it is shipped: its record, rounded, and the weights to keep, if any."""
    torch.set_num_threads(1)
    if kind == "twins":
        found = twins(**setting)
        found["losses"] = [round(value, 3) for value in found["losses"]]
        found["gaps"] = [float(f"{value:.1e}") for value in found["gaps"]]
        return dict(kind=kind, **found), {}
    if kind == "rounding":
        return dict(kind=kind, **rounding(**setting)), {}
    record, weights = grow(**setting)
    keep = (record["optimizer"], record["lr"]) in KEPT and record["stored"] == "as used"
    return dict(kind=kind, **record), weights if keep else {}


def shipped() -> sweeps.Sweep:
    """All records, and the weights of the runs in KEPT."""
    return sweeps.load(FOLDER)


def model_of(
    sweep: sweeps.Sweep, optimizer: Optimizer, lr: float, seed: int = 0
) -> AttentionOnlyTransformer:
    """The model that a kept run ended with. ValueError for a run whose weights were not kept."""
    prefix = _name(optimizer, lr, seed)
    weights = {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in sweep.tensors.items()
        if name.startswith(prefix)
    }
    if not weights:
        raise ValueError(
            f"no weights of {prefix[:-1]} were kept; there are: "
            f"{sorted({name.split('/')[0] for name in sweep.tensors})}"
        )
    return _model(weights, seed)


def _model(weights: dict[str, Tensor], seed: int) -> AttentionOnlyTransformer:
    model = fresh_model(seed)
    model.load_state_dict(weights, strict=False)
    return model.requires_grad_(False)


def _name(optimizer: Optimizer, lr: float, seed: int) -> str:
    return f"{optimizer} {lr:g} seed {seed}/"


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.privileged",
        description="Run the experiments of notebook 03 again.",
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder for the records (default: the shipped one)"
    )
    parser.add_argument(
        "--jobs", type=positive, help="how many runs at a time (default: one a core)"
    )
    parser.add_argument(
        "--scheduler", help="the address of a Dask scheduler, to run them on its cluster"
    )
    parser.add_argument(
        "--steps",
        type=positive,
        help="of every run, to try it out (default: 300 for twins, 1400 to grow)",
    )
    given = parser.parse_args(arguments)
    settings = [
        dict(kind=kind, **setting)
        for kind, many in (("twins", TWINS), ("grow", GROWN), ("rounding", ROUNDED))
        for setting in many
    ]
    settings = [setting | ({"steps": given.steps} if given.steps else {}) for setting in settings]
    command = as_typed("helpers.experiments.privileged", arguments)
    results, tensors = [], {}
    for record, weights in tqdm(
        sweeps.sweep(experiment, settings, given.jobs, given.scheduler), total=len(settings)
    ):
        results.append(record)
        prefix = _name(record["optimizer"], record["lr"], record["seed"])
        tensors |= {prefix + name: weight for name, weight in weights.items()}
        sweeps.save(given.out, command, results, tensors)  # what is done stands, whatever comes
        runs.update_manifest(given.out / "sweep.json")


if __name__ == "__main__":
    from helpers.experiments.privileged import main

    main()
