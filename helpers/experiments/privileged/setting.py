"""The model, the data and the trainer of all these experiments, and what is measured on them."""

from typing import Literal

import torch
from torch import Generator, Tensor

from helpers.instruments.basis import quantise
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, bigram_chain, cross_entropy
from helpers.training.loop import Trainer, TrainingConfig
from helpers.training.optimizers import Muon

POINTS = ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post")
CONSTANT = 10**7  # steps over which the rate would fall to zero: longer than any run here

Optimizer = Literal["AdamW", "SGD", "Muon", "Muon everywhere"]


def fresh_model(seed: int = 0) -> AttentionOnlyTransformer:
    """Two layers, RMS with its gains kept at 1, and all weights Gaussian, positions too."""
    model = AttentionOnlyTransformer(ModelConfig(n_ctx=48, normalization="RMS", seed=seed))
    with torch.no_grad():
        model.W_pos.normal_(0, model.cfg.init_pos, generator=Generator().manual_seed(seed))
    return without_gains(model)


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
    proper leaves those to AdamW, at the same rate."""
    name = "Muon" if "Muon" in optimizer else optimizer
    config = TrainingConfig(CONSTANT, 32, name, lr=lr, muon_lr=lr, rows="all", seed=seed)
    made = Trainer(model, half_repeated, config)
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


def without_gains(model: AttentionOnlyTransformer) -> AttentionOnlyTransformer:
    model.requires_grad_(True).norm_gain.requires_grad_(False)
    return model


def model_with(weights: dict[str, Tensor], seed: int) -> AttentionOnlyTransformer:
    model = fresh_model(seed)
    model.load_state_dict(weights, strict=False)
    return model.requires_grad_(False)
