"""Why the loss waits on a plateau: a toy that does without a transformer, and the same question put
to the real first layer.

- A product of factors: as long as every factor is small, none has a gradient worth following.
- The gradient on the attention scores of the real first layer, while it trains.
- Which of two events comes first in many trainings, for many ways of drawing the line.

Sources: Singh et al. 2024, What needs to go right for an induction head? (the tensor); Nichani et
al. 2024, How transformers learn causal structure with gradient descent (the backward pass).
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.experiments import births
from helpers.instruments import circuits, heads
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import Batch, cross_entropy

FACTORS = ("attend back", "match", "copy")


def fit_product(
    clamped: Collection[str] = (), seeds: int = 16, size: int = 20, steps: int = 1000
) -> Float[Tensor, "seeds steps"]:
    """Gradient descent on a tensor a (x) b (x) c, from small values to a target of the same form,
    in several random draws.

    The three factors stand for the three parts of an induction head; those in `clamped` are right
    from the start and stay so. The loss is half the mean squared error, the learning rate 1.
    Returned is the loss before each step as a share of what zero would cost: 1 is to know nothing.
    ValueError for a factor that is not in FACTORS.
    """
    if not set(clamped) <= set(FACTORS):
        raise ValueError(
            f"no factor is called {sorted(set(clamped) - set(FACTORS))}; choose among "
            f"{', '.join(FACTORS)}"
        )
    generator = Generator().manual_seed(0)
    right = torch.randn(seeds, 3, size, generator=generator)
    start = 0.4 * torch.randn(seeds, 3, size, generator=generator)
    free = torch.tensor([factor not in clamped for factor in FACTORS])[:, None]
    factors, losses = torch.where(free, start, right).requires_grad_(), []
    for _ in range(steps):
        # |abc - ABC|^2 from inner products alone: the size^3 entries need not be written out
        loss = (
            _overlap(factors, factors) - 2 * _overlap(factors, right) + _overlap(right, right)
        ) / (2 * size**3)
        losses.append(loss.detach())
        (gradient,) = torch.autograd.grad(loss.sum(), factors)
        factors = (factors - free * gradient).detach().requires_grad_()
    return torch.stack(losses, 1) / (_overlap(right, right) / (2 * size**3))[:, None]


def _overlap(
    one: Float[Tensor, "seeds 3 size"], other: Float[Tensor, "seeds 3 size"]
) -> Float[Tensor, " seeds"]:
    return (one * other).sum(-1).prod(-1)


# ---- the real first layer


def pull_on_first_layer(
    model: AttentionOnlyTransformer, batch: Batch
) -> Float[Tensor, "query key"]:
    """Where one step of gradient descent would turn the attention of the model's first layer: minus
    the gradient of the loss (nats, determined rows) with respect to its scores, summed over the
    heads."""
    pos, n_heads = batch.tokens.shape[1], model.cfg.n_heads
    change = torch.zeros(n_heads, pos, pos, requires_grad=True)
    add = ("blocks.0.attn.hook_attn_scores", lambda scores, hook: scores + change)
    logits = model.run_with_hooks(batch.tokens, [add])
    loss = cross_entropy(logits, batch.targets, batch.determined)
    (gradient,) = torch.autograd.grad(loss, change)
    return -gradient.sum(0)


def aimed_back(pull: Float[Tensor, "query key"]) -> float:
    """The share of the rows, from the third on, whose strongest pull is towards the token before.
    Rows that nothing pulls are left out; 0 when that is all."""
    pulled = [row for row in range(2, len(pull)) if pull[row].any()]
    hits = [pull[row, : row + 1].argmax().item() == row - 1 for row in pulled]
    return sum(hits) / max(len(hits), 1)


def along_a_training(
    models: Sequence[AttentionOnlyTransformer], batch: Batch
) -> dict[str, list[float]]:
    """One training at several of its steps: how far the best head of the last layer matches, by its
    weights; where the first layer is pulled (`aimed_back`); and the best previous-token score of
    the first layer."""
    found: dict[str, list[float]] = dict(matching=[], pull=[], looking_back=[])
    for model in models:
        cfg = model.cfg
        previous = heads.score(model, heads.probe(cfg.d_vocab, cfg.n_ctx)).previous_token
        matching = circuits.matching_statistics(model, cfg.n_layers - 1, previous)
        found["matching"].append(matching.max().item())
        found["pull"].append(aimed_back(pull_on_first_layer(model, batch)))
        found["looking_back"].append(previous[0].max().item())
    return found


def pull_while_training(seed: int, steps: Sequence[int], batch: Batch) -> list[float]:
    """Train one seed of the default run as far as the last of the steps; at each, the share of rows
    whose pull on the first layer aims at the token before."""
    trainer, found = births.trainer("default", seed), []
    for step in steps:
        while trainer.step_number < step:
            trainer.step()
        found.append(aimed_back(pull_on_first_layer(trainer.model, batch)))
    return found


# ---- which is first?


def share_first(
    trainings: births.History,
    one: tuple[str, Sequence[float]],
    other: tuple[str, Sequence[float]],
) -> Float[Tensor, "one other"]:
    """In which share of the seeds one score passes its threshold before another passes its own, for
    each pair of thresholds. Both are given as a name of `History` and thresholds; at the same
    snapshot is not before, and what is never passed is passed last."""
    when = [
        torch.stack([trainings.first(name, threshold) for threshold in thresholds])
        for name, thresholds in (one, other)
    ]
    first, second = (steps.nan_to_num(nan=torch.inf) for steps in when)  # [threshold, seed]
    return (first[:, None] < second[None]).float().mean(-1)
