"""Models so small that a notebook trains them while one looks on, many seeds in seconds."""

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Task
from helpers.training.loop import Trainer, TrainingConfig


def trained(config: ModelConfig, task: Task, **options) -> Trainer:
    """Train a fresh model of this config to the last step with AdamW. `options` are
    TrainingConfig's; the seed of the data is the model's own. Diverged when the loss is no
    number."""
    training = TrainingConfig(optimizer="AdamW", seed=config.seed, **options)
    trainer = Trainer(AttentionOnlyTransformer(config), task, training)
    while trainer.step_number < training.steps:
        trainer.step()
    return trainer
