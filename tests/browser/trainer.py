"""Cases for the trainer that runs in a browser tab: models of random shapes with a task's batches,
and how they are told to the page."""

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

import torch

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, Task

SEEDS = range(24)  # each with a shape of its own, every second with smeared keys


def shape(seed: int) -> ModelConfig:
    """Of any number of rows and columns, not only those that a kernel takes whole."""
    generator = torch.Generator().manual_seed(seed)

    def one_of(*options: int) -> int:
        return options[torch.randint(len(options), (), generator=generator)]

    return ModelConfig(
        n_layers=one_of(1, 2, 3),
        n_heads=one_of(1, 2, 3, 4, 8),
        d_model=one_of(16, 24, 30, 64),
        d_head=one_of(5, 8, 16, 24, 32),
        n_ctx=one_of(21, 24, 32, 48),
        d_vocab=one_of(30, 32, 64),
        smeared_keys=seed % 2 == 1,
        seed=seed,
    )


@cache
def moved(seed: int) -> AttentionOnlyTransformer:
    """A model whose weights, the gates of its keys included, have left where they begin."""
    model = AttentionOnlyTransformer(shape(seed))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
        if model.cfg.smeared_keys:
            model.smear.mul_(10)
    return model


def batches(config: ModelConfig, size: int, count: int) -> list[Batch]:
    draw = Task("repeated_block", dict(n_ctx=config.n_ctx, d_vocab=config.d_vocab))
    generator = torch.Generator().manual_seed(config.seed)
    return [draw(size, generator) for _ in range(count)]


def told(model: AttentionOnlyTransformer) -> dict[str, Any]:
    """A model as the page gets it."""
    weights = {name: weight.flatten().tolist() for name, weight in model.named_parameters()}
    return dict(config=asdict(model.cfg), weights=weights)


def told_batch(batch: Batch) -> dict[str, list]:
    return {name: part.flatten().tolist() for name, part in batch._asdict().items()}


def farthest(found: list[float], expected: torch.Tensor) -> float:
    """The largest difference."""
    return (torch.tensor(found, dtype=torch.float64) - expected.flatten()).abs().max().item()


def farthest_share(found: list[float], expected: torch.Tensor) -> float:
    """The same in parts of the largest that is expected."""
    return farthest(found, expected) / expected.abs().max().item()


def asked(ask: Callable, name: str, given: Any) -> Any:
    """What a function of trainer.js makes of this."""
    module = "import('/tests/browser/trainer.js')"
    function = f"(_, given) => {module}.then((trainer) => trainer.{name}(given))"
    return ask("discovery/trainer/trainer", function, given)
