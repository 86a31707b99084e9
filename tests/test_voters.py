"""Paths are told by where they look, whichever head does it, and their tables by the voters'."""

import math

import pytest
import torch

from helpers import handmade
from helpers.experiments import voters
from helpers.experiments.voters import Path
from helpers.instruments.interventions import shift_pattern
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import additive_chain, additive_log_probs, vote_tables


def votes(seed: int = 0):
    return additive_chain(64, 32, 13, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("back", range(8))
def test_a_shift_is_told_by_its_distance(back):
    assert voters.distance(shift_pattern(32, back)[None]) == back


def test_a_pattern_that_wavers_looks_at_no_one_place():
    mixed = (0.89 * shift_pattern(32, 1) + 0.11 * shift_pattern(32, 2))[None]
    assert voters.distance(mixed) is None and voters.distance(shift_pattern(32, 8)[None]) is None
    assert voters.distance((0.91 * shift_pattern(32, 1) + 0.09 * shift_pattern(32, 2))[None]) == 1


def test_two_previous_token_heads_reach_two_back_together():
    model = handmade.two_back_virtual_head(13, 32)
    paths = voters.paths_through(model, votes().tokens)
    assert [(path.name, path.back) for path in paths] == [
        ("direct", 0),
        ("first head", 1),
        ("second head", 1),
        ("virtual head", 2),
    ]
    assert not voters.hears_all(paths) and voters.hears_all(
        [path._replace(back=back) for path, back in zip(paths, (2, 0, 3, 1), strict=True)]
    )
    # what the virtual head adds is what the model says: the token itself, loudly
    assert paths[3].adds.argmax(1).tolist() == list(range(13)) and not paths[1].adds.any()


def test_side_by_side_there_is_no_virtual_head_and_what_wavers_comes_last():
    shape = ModelConfig(n_layers=1, n_heads=2, d_model=48, n_ctx=32, d_vocab=13)
    paths = voters.paths_through(AttentionOnlyTransformer(shape), votes().tokens)
    assert [(path.name, path.back) for path in paths] == [
        ("direct", 0),
        ("first head", None),
        ("second head", None),
    ]


def test_a_path_fits_the_table_it_holds_whatever_its_scale_and_bos():
    tables = vote_tables(13, 4).nan_to_num(neginf=7.0)
    paths = [Path(str(back), back, 3 * tables[back] + 1) for back in (2, 0)]
    fits = voters.fits(paths)
    assert fits.shape == (2, 4)
    assert fits[0, 2].item() == pytest.approx(1, abs=1e-5) == pytest.approx(fits[1, 0].item())
    assert fits[0, [0, 1, 3]].abs().max() < 0.5


def test_who_knows_the_law_loses_nothing_and_who_guesses_the_rest():
    batch = votes()

    class Knows:
        cfg = ModelConfig(d_vocab=13)

        def __init__(self, law: bool):
            self.law = law

        def __call__(self, tokens):
            law = additive_log_probs(tokens, 13)
            return law if self.law else torch.zeros_like(law)

    assert voters.loss_over_law(Knows(True), batch) == pytest.approx(0, abs=1e-6)
    law = additive_log_probs(batch.tokens, 13).gather(2, batch.targets[..., None])[..., 0]
    least = -law[batch.determined].mean().item()
    assert voters.loss_over_law(Knows(False), batch) == pytest.approx(
        math.log(13) - least, rel=1e-4
    )


def test_models_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="8 heads; the voters' models have two"):
        voters.paths_through(AttentionOnlyTransformer(ModelConfig(d_vocab=13)), votes().tokens)
