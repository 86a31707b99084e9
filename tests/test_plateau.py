"""The two toys of the plateau do what is said of them, in every draw that the notebook shows."""

import pytest
import torch
from torch.testing import assert_close

from helpers import sequences
from helpers.experiments import plateau


def half(curves: torch.Tensor) -> float:
    return (curves.median(0).values < 0.5).float().argmax().item()


def test_each_factor_that_is_given_shortens_the_plateau():
    waits = [half(plateau.fit_product(given)) for given in ((), ["match"], ["attend back", "copy"])]
    assert waits[0] > 200 and 20 < waits[1] < 100 and 0 < waits[2] < 20
    # all given: nothing to learn
    assert not plateau.fit_product(plateau.FACTORS, steps=3).abs().gt(1e-5).any()


@pytest.mark.parametrize("given", [(), ("match",), ("attend back", "copy")])
def test_the_loss_is_that_of_the_whole_tensor_and_what_is_given_stays(given):
    """By hand, entry by entry, for two draws and two steps."""
    generator = torch.Generator().manual_seed(0)
    right, start = (
        torch.randn(2, 3, 4, generator=generator),
        0.4 * torch.randn(2, 3, 4, generator=generator),
    )
    curves = plateau.fit_product(given, seeds=2, size=4, steps=2)
    for seed in range(2):
        held = [
            right[seed, i] if name in given else start[seed, i]
            for i, name in enumerate(plateau.FACTORS)
        ]
        factors = torch.stack(held).requires_grad_()
        target = torch.einsum("i,j,k->ijk", *right[seed])
        loss = (torch.einsum("i,j,k->ijk", *factors) - target).square().mean() / 2
        loss.backward()
        moved = [
            f if name in given else f - g
            for name, f, g in zip(plateau.FACTORS, factors.detach(), factors.grad, strict=True)
        ]
        after = (torch.einsum("i,j,k->ijk", *moved) - target).square().mean() / 2
        nothing = target.square().mean() / 2
        assert_close(
            curves[seed], torch.stack([loss.detach(), after]) / nothing, atol=1e-4, rtol=1e-4
        )


def test_an_unknown_factor_is_named():
    with pytest.raises(ValueError, match="'luck'.*choose among attend back, match, copy"):
        plateau.fit_product(["luck"])


@pytest.mark.parametrize("seed", range(3))
def test_the_first_layer_is_pulled_to_the_token_before_as_soon_as_the_second_matches(seed):
    tokens = (
        sequences.in_context_markov(2048, 24, 9, torch.Generator().manual_seed(seed)).targets - 1
    )
    assert not plateau.first_layer_pull(tokens, 0).any()
    for match in (1, 3):
        pull = plateau.first_layer_pull(tokens, match)
        assert (pull[2:23].argmax(1) == torch.arange(1, 22)).all()
        assert not pull.triu(1).any() and not pull[23].any()


def test_without_chains_there_is_nothing_to_be_pulled_to():
    """Independent tokens: the token before says nothing, and the pull there is small beside that of
    chains."""
    noise = torch.randint(8, (2048, 24), generator=torch.Generator().manual_seed(0))
    chains = sequences.in_context_markov(2048, 24, 9, torch.Generator().manual_seed(0)).targets - 1
    of_noise, of_chains = (
        plateau.first_layer_pull(tokens, 3).diagonal(-1)[2:22].mean() for tokens in (noise, chains)
    )
    assert of_chains > 5 * of_noise.abs()
