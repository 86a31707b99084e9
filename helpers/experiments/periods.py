"""Which distances does a model know? Blocks of one length after another, and what can be had
without reading a token: always looking the same number of steps back."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, Task, fixed_period, repeated_block
from helpers.training.loop import Trainer, TrainingConfig


@torch.no_grad()
def accuracy(model: AttentionOnlyTransformer, batch: Batch) -> float:
    """The share of the determined rows at which the model's best answer is right. On copied
    segments even a perfect head stays below 1: the latest earlier copy of a token is by chance
    often another than the segment's."""
    right = (model(batch.tokens).argmax(-1) == batch.targets)[batch.determined]
    return right.float().mean().item()


def accuracy_by_period(
    models: Sequence[AttentionOnlyTransformer],
    periods: Sequence[int],
    lead_in: bool = True,
    sequences: int = 64,
    seed: int = 0,
) -> Float[Tensor, "model period"]:
    """Each model's accuracy on repeated blocks of each length, the same blocks for all: behind
    lead-ins (`repeated_block`), or from the start (`fixed_period`). ValueError for a period that
    does not fit, and for models of different contexts or vocabularies."""
    shapes = {(model.cfg.n_ctx, model.cfg.d_vocab) for model in models}
    if len(shapes) != 1:
        raise ValueError(
            f"models of (n_ctx, d_vocab) {sorted(shapes)} cannot read the same blocks; give one or "
            "more that share both"
        )
    n_ctx, d_vocab = shapes.pop()
    drawn = sequences, n_ctx, d_vocab, Generator().manual_seed(seed)
    batches = [
        repeated_block(*drawn, periods=[period]) if lead_in else fixed_period(*drawn, period=period)
        for period in periods
    ]
    return torch.tensor([[accuracy(model, batch) for batch in batches] for model in models])


# ---- without reading


def right_by_shift(batch: Batch, shift: int) -> float:
    """How often the answer is the token that stood `shift` positions before the next one: the share
    of the determined rows, of which those that do not reach so far back count as wrong."""
    pos = batch.tokens.shape[1]
    reached = torch.arange(pos) >= shift
    right = reached & (batch.tokens.roll(shift - 1, dims=1) == batch.targets)
    return right[batch.determined].float().mean().item()


def best_shift(batch: Batch) -> int:
    """The one shift that is right most often on this batch; the smallest of them if several are."""
    return max(range(1, batch.tokens.shape[1]), key=lambda shift: right_by_shift(batch, shift))


def trained_on_one(seed: int, period: int = 16, n_layers: int = 1, steps: int = 150) -> Trainer:
    """The trap: a model trained on blocks that always have so many tokens."""
    model = AttentionOnlyTransformer(ModelConfig(n_layers=n_layers, n_ctx=48, seed=seed))
    task = Task("fixed_period", dict(n_ctx=48, d_vocab=64, period=period))
    trainer = Trainer(model, task, TrainingConfig(steps=steps, seed=seed))
    while trainer.step_number < steps:
        trainer.step()
    return trainer
