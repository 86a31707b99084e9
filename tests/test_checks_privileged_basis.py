"""Exercises of notebook 03 with more than one right answer: all that is right passes, and what is
wrong gets its own name."""

import math

import pytest
import torch

from helpers.checks import privileged_basis as checks


def without_mean(d: int) -> torch.Tensor:
    v = torch.randn(d)
    return (v - v.mean()) / (v - v.mean()).norm()


def about_the_ones(d: int) -> torch.Tensor:
    """Three coordinates turned about (1, 1, 1), the others left alone."""
    K, Q = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3), torch.eye(d)
    Q[:3, :3] += math.sin(1) * K + (1 - math.cos(1)) * K @ K
    return Q


def frame(d: int) -> torch.Tensor:
    return torch.linalg.qr(torch.cat([torch.ones(d, 1), torch.randn(d, d - 1)], 1)).Q


def turned_there(d: int) -> torch.Tensor:
    return frame(d) @ torch.block_diag(
        torch.ones(1, 1), torch.linalg.qr(torch.randn(d - 1, d - 1)).Q
    )


def in_one_plane(d: int) -> torch.Tensor:
    Q = torch.eye(d)
    Q[:2, :2] = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    return Q


ALLOWED = {
    "a reflection at a direction without mean": lambda d: (
        torch.eye(d) - 2 * torch.outer(v := without_mean(d), v)
    ),
    "a reflection of the ones": lambda d: torch.eye(d) - 2 / d,  # LN(-x) = -LN(x)
    "three coordinates about their diagonal": about_the_ones,
}
REFUSED = {
    "the basis, and not back": (frame, checks.HALFWAY),
    "its transpose": (lambda d: frame(d).T, checks.HALFWAY),
    "turned in it, and not back": (turned_there, checks.HALFWAY),
    "a turn in one plane of two axes": (in_one_plane, checks.MOVES_ONES),
    "all signs turned": (lambda d: -torch.eye(d), checks.TOO_CHEAP),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_all_that_layernorm_allows_passes(name):
    assert checks.layernorm_rotation(ALLOWED[name], seed=1)


@pytest.mark.parametrize("name", REFUSED)
def test_what_layernorm_refuses_gets_its_own_name(name):
    attempt, why = REFUSED[name]
    assert checks.layernorm_rotation(attempt, seed=1).diagnosis == why
