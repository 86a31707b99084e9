"""What each order saves, read off the losses by hand."""

import math

import pytest
import torch

from helpers.experiments import orders

LOSSES = torch.tensor([3.0, 1.0, 0.5])


def test_each_order_saves_over_the_one_before_and_the_first_over_guessing():
    assert orders.saved(LOSSES, 64) == pytest.approx([math.log(64) - 3, 2, 0.5])


def test_virtual_heads_are_measured_in_single_heads():
    assert orders.virtual_over_single(LOSSES) == pytest.approx(0.25)
