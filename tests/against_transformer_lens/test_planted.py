"""An induction head that is known to be there is named, and no other head, on every draw and in
every family; and its look-alikes are not."""

from functools import cache

import pytest
import torch

from helpers.instruments import heads
from helpers.instruments.patterns import prefix_matching, previous_token, window_of
from tests.against_transformer_lens.planted import (
    BOS,
    CONTEXT,
    FAMILIES,
    VOCABULARY,
    boot,
    own_model,
    plant,
)

SHAPES = [(2, 2), (3, 4)]  # layers and heads
DRAWS, FEW = 50, 4


def probe(seed: int = 0) -> torch.Tensor:
    return heads.probe(VOCABULARY, CONTEXT, sequences=3, seed=seed, bos=BOS, special=range(4))


TOKENS = probe()


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    @cache
    def make(family: str):
        return [boot(family, *shape, tmp_path_factory.mktemp(family)) for shape in SHAPES]

    return make


@pytest.fixture(params=FAMILIES)
def bridges(booted, request):
    return booted(request.param)


def drawn(bridges, draws: int, **changes):
    """For each draw the bridge, what was planted, and what discover says of it."""
    for draw in range(draws):
        bridge = bridges[draw % len(bridges)]
        planted = plant(bridge, draw, **changes)
        yield bridge, planted, heads.discover(bridge, tokens=probe(draw), ablate=False)


def row_of(report: heads.HeadReport, head) -> heads.HeadRow:
    return next(row for row in report.rows if row.at == head)


def test_the_planted_head_is_named_and_no_other_on_50_of_50_draws(bridges):
    for _, planted, report in drawn(bridges, DRAWS):
        assert report.induction_heads == [planted.induction], f"{planted}\n{report}"
        assert row_of(report, planted.induction).prefix_matching > 0.8
        assert planted.previous in report.previous_token_heads


def test_it_is_an_induction_head_for_without_it_repeats_cost_a_nat_more(bridges):
    for bridge, planted, _ in drawn(bridges, FEW):
        assert min(heads.ablation_effect(bridge, TOKENS, planted).values()) > 1


def test_a_head_that_suppresses_what_it_finds_is_not_named(bridges):
    for _, planted, report in drawn(bridges, FEW, induction=-1.0):
        assert report.induction_heads == []
        assert row_of(report, planted.induction).prefix_matching > 0.8


def test_without_the_head_before_it_nothing_matches_and_nothing_is_named(bridges):
    for _, planted, report in drawn(bridges, FEW, previous=0.0):
        assert report.induction_heads == []
        assert row_of(report, planted.induction).prefix_matching < 0.2


@torch.no_grad()
def test_the_family_attends_and_answers_alike_without_a_bridge(bridges):
    """So what was planted is in its own heads, by its own numbers."""
    for bridge, planted, _ in drawn(bridges, len(bridges)):
        family = own_model(bridge.original_model.config, bridge.own_parameters)
        own = family(TOKENS, output_attentions=True)
        torch.testing.assert_close(bridge(TOKENS), own.logits, atol=1e-3, rtol=0)
        scores = heads.score(bridge, TOKENS)
        layer, head = planted.previous
        back = previous_token(own.attentions[layer])[head]
        torch.testing.assert_close(scores.previous_token[layer, head], back, atol=1e-4, rtol=0)
        layer, head = planted.induction
        pattern = own.attentions[layer]
        match = prefix_matching(pattern, TOKENS, window_of(pattern))[head]
        torch.testing.assert_close(scores.prefix_matching[layer, head], match, atol=1e-4, rtol=0)
