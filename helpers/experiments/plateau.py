"""Why the loss waits on a plateau: two toys that do without a transformer, each about a second
long.

- A product of factors: as long as every factor is small, none has a gradient worth following.
- A first layer that is only asked for what the second can use: one backward pass through both.

Sources: Singh et al. 2024, What needs to go right for an induction head? (the tensor); Nichani et
al. 2024, How transformers learn causal structure with gradient descent (the backward pass).
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor

FACTORS = ("attend back", "match", "copy")
# probability that the second layer keeps for every token, so that no answer costs infinitely much
GUESS = 0.1


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


def first_layer_pull(tokens: Int[Tensor, "batch pos"], match: float) -> Float[Tensor, "query key"]:
    """Where one step of gradient descent would turn the first layer's attention, out of two layers
    that know nothing yet.

    The first layer attends by position alone, evenly at first, and brings each position the tokens
    it finds. The second scores a key by `match` times how much of the query's token was brought
    there, and answers with what stands at the keys. The value is minus the gradient of the loss
    (nats) with respect to the first layer's scores; the last row, whose token no later query asks
    for, has none.
    """
    x = F.one_hot(tokens).float()
    future = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
    scores = torch.zeros(future.shape, requires_grad=True)
    brought = scores.masked_fill(future, -torch.inf).softmax(-1) @ x
    matched = (match * x @ brought.mT).masked_fill(future, -torch.inf).softmax(-1)
    answer = (matched @ x)[:, :-1].gather(-1, tokens[:, 1:, None])
    (gradient,) = torch.autograd.grad(-(answer + GUESS).log().mean(), scores)
    return -gradient
