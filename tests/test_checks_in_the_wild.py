"""The exercises of notebook 06 ask for what the course's own instruments compute, and name what a
reader may bring from elsewhere."""

from types import SimpleNamespace

import pytest
import torch
from torch import Generator

from helpers.checks import in_the_wild as checks
from helpers.checks import induction_heads
from helpers.instruments import patterns, weights, writers

DRAWS = 20


def drawn(exercise):
    generator = Generator().manual_seed(0)
    for _ in range(DRAWS):
        given = exercise.draw(generator)
        yield given, exercise.oracle(**given)


def test_the_share_is_the_prefix_matching_of_the_instruments():
    for given, right in drawn(checks.matching_share):
        pattern, tokens = given["pattern"][None, None], given["tokens"][None]
        assert patterns.prefix_matching(pattern, tokens).item() == pytest.approx(right, abs=1e-6)


def test_bos_stands_once_and_has_an_id_of_its_own_and_zero_is_a_token():
    for given, _ in drawn(checks.matching_share):
        bos, *text = given["tokens"].tolist()
        assert bos != 0 and bos not in text and text.count(0) == 3 and text.count(text[0]) == 3
        assert (given["pattern"][:, 0] >= 0.5).all()


def test_who_brings_the_mask_of_notebook_04_is_told_what_differs():
    verdict = checks.matching_share(induction_heads.mask_score.solution, seed=0)
    assert verdict.diagnosis.startswith("you know BOS by the id 0")


def test_the_raise_is_what_directions_measure():
    for given, right in drawn(checks.raise_of):
        direct = patterns.directions(given["W_U"], torch.tensor([[given["token"]]]))[0, 0]
        written = given["x"] @ given["W_V"] @ given["W_O"]
        assert (written @ direct).item() == pytest.approx(right, abs=1e-5)


def grouped_model(n_heads: int, n_key_heads: int):
    """What `weights` asks of a bridge, with each key head's number as its weights."""
    keys = torch.arange(float(n_key_heads)).view(-1, 1, 1)
    queries = torch.zeros(n_heads, 1, 1)
    attention = SimpleNamespace(W_Q=queries, W_K=keys, W_V=keys, W_O=queries)
    return SimpleNamespace(
        blocks_with=lambda name: [(0, None)], blocks=[SimpleNamespace(attn=attention)]
    )


def test_the_key_head_is_the_one_whose_weights_a_query_head_gets():
    for given, right in drawn(checks.key_head_of):
        model = grouped_model(given["n_heads"], given["n_key_heads"])
        assert weights.of_layer(model, 0).K[given["query_head"]].item() == right


def test_a_vector_is_turned_as_the_instruments_turn_queries_and_keys():
    for given, right in drawn(checks.rotated):
        position = torch.tensor([float(given["position"])])
        turned = writers.rotated(given["x"][None], position, given["base"])[0]
        torch.testing.assert_close(turned, right, atol=1e-4, rtol=0)


def test_whoever_pairs_neighbours_as_the_paper_does_is_told_so():
    def by_the_paper(x, position, base):
        angle = position * base ** (-torch.arange(0, len(x), 2) / len(x))
        z = torch.view_as_complex(x.unflatten(0, (-1, 2))) * torch.polar(
            torch.ones_like(angle), angle
        )
        return torch.view_as_real(z).flatten()

    assert checks.rotated(by_the_paper, seed=0).diagnosis.startswith("you paired neighbours")
