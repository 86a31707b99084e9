"""The optimisers of the course: AdamW and SGD as torch has them, and Muon for the stacked matrices
of the heads."""

import math
from collections.abc import Iterable
from inspect import unwrap
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

HEAD_MATRICES = ("W_Q", "W_K", "W_V", "W_O")


def make_optimizers(
    model: nn.Module, optimizer: str, lr: float, muon_lr: float, weight_decay: float = 0.0
) -> list[torch.optim.Optimizer]:
    """AdamW or SGD for all weights, or Muon for the heads' matrices and AdamW for the rest. Each
    parameter group keeps its full rate as "initial_lr". ValueError for another name."""
    heads = [
        weight
        for name, weight in model.named_parameters()
        if name in HEAD_MATRICES and weight.numel()
    ]
    rest = [weight for name, weight in model.named_parameters() if name not in HEAD_MATRICES]
    adamw = dict(lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay, fused=True)
    if optimizer == "AdamW":
        made = [AdamW(rest + heads, **adamw)]
    elif optimizer == "SGD":
        made = [SGD(rest + heads, lr=lr, momentum=0.9, weight_decay=weight_decay)]
    elif optimizer == "Muon":
        made = [AdamW(rest, **adamw)]
        made += [Muon(heads, lr=muon_lr, weight_decay=weight_decay)] if heads else []
    else:
        raise ValueError(f"optimizer is {optimizer!r}; choose 'AdamW', 'SGD' or 'Muon'")
    for group in (group for optimizer in made for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]
    return made


class Uncompiled(torch.optim.Optimizer):
    """torch's optimisers keep its compiler away from some of their methods, and load it to do so:
    over a second in a fresh process. Nothing is compiled here, so their own code is called as it
    stands, without that guard."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)


class AdamW(Uncompiled, torch.optim.AdamW):
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class SGD(Uncompiled, torch.optim.SGD):
    step = torch.no_grad()(unwrap(torch.optim.SGD.step))


class Muon(Uncompiled):
    """Steps of equal size in all directions of a matrix: the momentum, with its singular values
    brought near 1.

    For the stacked matrices [layer, head, rows, columns] of this course, each orthogonalised by
    itself; torch.optim.Muon takes only single matrices. Source: Jordan et al. 2024, Muon (the
    Newton-Schulz coefficients are theirs).
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                momentum = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalise(parameter.grad.lerp(momentum, group["momentum"]))
                tall = max(1.0, parameter.shape[-2] / parameter.shape[-1])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * math.sqrt(tall))


# What each keeps for a parameter from its first step on: by this a checkpoint is known to be of
# another optimiser.
STATE = {
    AdamW: {"step", "exp_avg", "exp_avg_sq"},
    SGD: {"momentum_buffer"},
    Muon: {"momentum_buffer"},
}


def orthogonalise(
    matrix: Float[Tensor, "*stack rows columns"], steps: int = 5
) -> Float[Tensor, "*stack rows columns"]:
    """U V^T of the singular value decomposition U S V^T, roughly: five Newton-Schulz steps bring S
    near 1."""
    x = matrix / (torch.linalg.matrix_norm(matrix, keepdim=True) + 1e-7)
    if tall := x.shape[-2] > x.shape[-1]:
        x = x.mT
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x
