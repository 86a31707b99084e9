"""How many tokens the copied segment takes: 24 tokens copied once inside 128 random ones, with a
loss on every row.

The public repository that the target comes from needs 89 million tokens for 50% accuracy with the
same shape of model.
"""

from collections.abc import Iterator

import torch

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, Task
from helpers.training.loop import Trainer, TrainingConfig
from tests.benchmarks import Clock, Row, Settings, threads

TASK = Task("copied_segment", dict(n_ctx=128, d_vocab=64, segment=24, distinct=False))
MODEL = ModelConfig(d_model=128, d_head=32, n_ctx=128, d_vocab=64, normalization="RMS")
TRAINING = TrainingConfig(steps=3000, batch=32, lr=1e-3, muon_lr=5e-3, rows="all")
TOKENS_A_STEP = TRAINING.batch * MODEL.n_ctx
LOOK_EVERY = 2**18  # tokens


@torch.no_grad()
def accuracy(model: AttentionOnlyTransformer, test: Batch) -> float:
    """Share of the determined rows whose most likely token is the right one."""
    return (model(test.tokens).argmax(-1) == test.targets)[test.determined].float().mean().item()


def segment(settings: Settings) -> Iterator[Row]:
    """Row: tokens until half of the determined rows of fresh sequences are answered rightly, or the
    cap."""
    clock, reached = Clock(), 0.0
    test = TASK(128, torch.Generator().manual_seed(1_000_000))
    with threads(1):
        trainer = Trainer(AttentionOnlyTransformer(MODEL), TASK, TRAINING)
        while reached < 0.5 and trainer.step_number * TOKENS_A_STEP < settings.segment_tokens:
            with clock.running():
                trainer.step()
            if trainer.step_number % max(1, LOOK_EVERY // TOKENS_A_STEP) == 0:
                reached = accuracy(trainer.model, test)
    reached = accuracy(trainer.model, test)
    millions = trainer.step_number * TOKENS_A_STEP / 1e6
    tokens = (
        f"{millions:.1f} million"
        if reached >= 0.5
        else f"not within {millions:.1f} million: {reached:.0%} there"
    )
    yield Row(
        "copied segment (24 of 128 tokens, loss on every row): tokens to 50% accuracy on "
        "determined rows",
        "9 million",
        f"{tokens} ({clock.wall:.0f} s)",
        reached >= 0.5 and millions <= 9,
        "no limit of the machine's",
    )
