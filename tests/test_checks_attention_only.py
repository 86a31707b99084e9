"""What the exercises of notebook 01 hold beyond the engine's own rules (tests/test_checks.py)."""

import pytest
import torch

from helpers import checks
from helpers.checks import FAILED, attention_only
from helpers.instruments.circuits import copying_statistic, full_ov
from helpers.instruments.paths import path_expansion
from helpers.model import AttentionOnlyTransformer, ModelConfig


@pytest.fixture
def model():
    sizes = dict(n_layers=1, n_heads=3, d_model=11, d_head=5, n_ctx=7, d_vocab=13)
    return AttentionOnlyTransformer(
        ModelConfig(**sizes, init_embed=1.0, init_weights=1.0)
    ).requires_grad_(False)


def of_head(model, head):
    return model.W_E, model.W_V[0, head], model.W_O[0, head], model.W_U


def test_the_solutions_agree_with_the_course(model):
    """They are what helpers computes, by other code."""
    _, cache = model.run_with_cache(torch.randint(13, (1, 7)))
    q, k = cache["q", 0][0, :, 1], cache["k", 0][0, :, 1]
    torch.testing.assert_close(
        attention_only.attention_pattern.solution(q, k), cache["pattern", 0][0, 1]
    )
    torch.testing.assert_close(
        attention_only.full_ov.solution(*of_head(model, 1)), full_ov(model, 0, 1)
    )
    assert attention_only.copying_statistic.solution(*of_head(model, 1)).item() == pytest.approx(
        copying_statistic(model, 0, 1), abs=1e-4
    )


def test_the_frozen_solution_is_the_path_expansion(model):
    tokens = torch.randint(13, (1, 7))
    patterns = model.run_with_cache(tokens)[1]["pattern", 0][0]
    x = model.W_E[tokens[0]]
    logits = attention_only.frozen_logits.solution(
        x, patterns, model.W_V[0], model.W_O[0], model.W_U
    )
    torch.testing.assert_close(
        logits, sum(path_expansion(model, tokens).values())[0], atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    "large",
    [
        lambda W_E, W_V, W_O, W_U: torch.linalg.eigvals(W_E @ W_V @ W_O @ W_U),
        lambda W_E, W_V, W_O, W_U: torch.linalg.multi_dot([W_E, W_V, W_O, W_U]),
        lambda W_E, W_V, W_O, W_U: torch.einsum("vd,dh,he,ew->vw", W_E, W_V, W_O, W_U),
    ],
)
def test_the_large_matrix_is_noticed(large):
    def attempt(*weights):
        return large(*weights).sum()

    verdict = attention_only.copying_statistic(attempt, seed=0)
    assert verdict.state == FAILED and "to do without" in verdict.details


def test_other_heads_by_hand_pass_too():
    """One dimension for all, with BOS between the source and the rest; or many dimensions and
    another order."""

    def wide(d_vocab, source, destination, out):
        W_Q, W_K, W_V = torch.zeros(3, d_vocab, 7)
        W_O = torch.zeros(7, d_vocab)
        W_Q[destination, 6] = 150
        W_K[source, 6], W_K[0] = 1, 0.5
        W_Q[:, 2] = 60
        W_V[source, 3], W_O[3, out] = 4, 9
        return W_Q, W_K, W_V, W_O

    def keys_that_say_no(d_vocab, source, destination, out):
        W_Q, W_K, W_V = torch.zeros(3, d_vocab, 1)
        W_O = torch.zeros(1, d_vocab)
        W_Q += 40
        W_K[source], W_Q[destination] = -1, -40
        W_V[source], W_O[0, out] = 1, 30
        return W_Q, W_K, W_V, W_O

    assert attention_only.skip_trigram_head(wide, seed=0)
    # Destinations without a source spread evenly over values that are zero: that keeps still as
    # well.
    assert attention_only.skip_trigram_head(keys_that_say_no, seed=0)


def test_a_head_must_find_its_source_in_every_sentence():
    """One that some noise token can lead astray works in the sentences that lack it, and that is
    not enough."""

    def led_astray(d_vocab, source, destination, out):
        W_Q, W_K, W_V, W_O = attention_only.skip_trigram_head.solution(
            d_vocab, source, destination, out
        )
        noise = next(
            token for token in range(1, d_vocab) if token not in (source, destination, out)
        )
        W_K[noise, 0] = 2
        return W_Q, W_K, W_V, W_O

    for seed in range(5):
        assert (
            "of the destination's attention"
            in attention_only.skip_trigram_head(led_astray, seed=seed).details.lower()
        )


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda head: head[:3], "Expected four matrices"),
        (lambda head: (*head[:3], head[3].T), "The shapes are"),
        (
            lambda head: (*head[:2], torch.zeros_like(head[2]), head[3]),
            "stands 0.0 logits above all others; expected 5. Of the destination's attention 100%",
        ),
        (lambda head: (*head[:3], head[3] * torch.nan), "stands nan logits above"),
    ],
)
def test_a_head_that_cannot_be_used_is_described(spoil, words):
    solution = attention_only.skip_trigram_head.solution
    verdict = attention_only.skip_trigram_head(lambda *trigram: spoil(solution(*trigram)), seed=0)
    assert verdict.state == FAILED and words in verdict.details


def test_a_verdict_says_its_diagnosis_once():
    exercise = attention_only.skip_trigram_head
    for why, wrong in exercise.mistakes.items():
        assert repr(exercise(wrong, seed=0)).count(why) == 1


def test_no_two_sizes_are_alike():
    """A transposed answer must have another shape."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        x, patterns, W_V, W_O, W_U = attention_only.frozen_logits.draw(generator).values()
        assert len({*x.shape, patterns.shape[0], *W_V.shape, W_U.shape[1]}) == 5
        assert len(set(attention_only.full_ov.draw(generator)["W_V"].shape)) == 2


def test_every_check_has_a_name_of_its_own():
    exercises = [
        value for value in vars(attention_only).values() if isinstance(value, checks.Exercise)
    ]
    assert len(exercises) == 5 == len({exercise.name for exercise in exercises})
    assert all(len(exercise.mistakes) >= 3 for exercise in exercises)
