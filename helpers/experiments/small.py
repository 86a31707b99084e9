"""Models so small that a notebook trains them while one looks on, many seeds in seconds."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Task
from helpers.training.loop import Trainer, TrainingConfig, train


def trained(config: ModelConfig, task: Task, **options) -> Trainer:
    """Train a fresh model of this config to the last step with AdamW. `options` are
    TrainingConfig's; the seed of the data is the model's own. Diverged when the loss is no
    number."""
    training = TrainingConfig(optimizer="AdamW", seed=config.seed, **options)
    trainer = Trainer(AttentionOnlyTransformer(config), task, training)
    while trainer.step_number < training.steps:
        trainer.step()
    return trainer


def watched(
    config: ModelConfig,
    task: Callable,
    training: TrainingConfig,
    measure: Callable[[AttentionOnlyTransformer], dict],
    steps: Sequence[int],
    seeds: Sequence[int],
) -> dict[str, Float[Tensor, "seed snapshot *rest"]]:
    """Train the model from each of the seeds, to the last of the steps: by name what `measure` gave
    at each of them."""
    found = []
    for seed in seeds:
        model = AttentionOnlyTransformer(replace(config, seed=seed))
        trainer = Trainer(model, task, replace(training, seed=seed))
        found.append([snapshot.scores for snapshot in train(trainer, measure, steps)])
    return {name: torch.tensor([[at[name] for at in one] for one in found]) for name in found[0][0]}
