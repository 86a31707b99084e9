"""A head's scores are the sum of its writers' terms, rotary positions and shared keys included;
what cannot be taken apart so is refused."""

import pytest
import torch

from helpers.instruments import heads, writers
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.against_transformer_lens.test_families import (
    CONTEXT,
    TOKENS,
    VOCABULARY,
    bridge_of,
    folder,
)

__all__ = ["bridge_of", "folder"]  # fixtures


def attention(model, layer: int, head: int) -> torch.Tensor:
    """The model's own, from before the bridge."""
    return model.own_attentions[layer][:, head]


@pytest.mark.parametrize("family", ["llama", "mistral", "granite"])
@pytest.mark.parametrize("head", [0, 1, 3])
def test_the_terms_give_the_models_own_attention(bridge_of, family, head):
    model = bridge_of(family)
    if family == "granite":  # scales what it writes and its scores
        with pytest.raises(ValueError, match="differ from the sum"):
            writers.key_terms(model, TOKENS, 1, head)
        return
    found = writers.key_terms(model, TOKENS, 1, head)
    assert found.writers == ["embedding", "0.0", "0.1", "0.2", "0.3", "MLP 0"]
    right = attention(model, 1, head)
    torch.testing.assert_close(found.pattern(), right, rtol=1e-4, atol=1e-5)


def test_a_wire_that_is_cut_is_cut_in_the_model_by_a_hook_on_its_keys(bridge_of):
    """The keys of layer 1 less what one head wrote into them, its norm as it was; the model itself
    turns them and attends."""
    model, (below, writer), head, patterns = bridge_of("llama"), (0, 2), 3, []
    _, seen = model.run_with_cache(TOKENS)
    z = seen[f"blocks.{below}.attn.hook_z"][:, :, writer]
    wrote = z @ model.blocks[below].attn.W_O[writer]
    read = wrote / seen["blocks.1.ln1.hook_scale"] * model.blocks[1].ln1.weight
    of_group = head // 2  # two key heads for four query heads

    def cut(k, hook):
        parts = k.clone().view(*k.shape[:2], 2, -1)
        parts[:, :, of_group] -= read @ model.blocks[1].attn.W_K[of_group]
        return parts.view_as(k)

    def keep(pattern, hook):
        patterns.append(pattern[:, head])

    hooks = [("blocks.1.attn.hook_k", cut), ("blocks.1.attn.hook_pattern", keep)]
    model.run_with_hooks(TOKENS, fwd_hooks=hooks)
    terms = writers.key_terms(model, TOKENS, 1, head)
    without = terms.pattern([(below, writer)])
    torch.testing.assert_close(without, patterns[0], rtol=1e-3, atol=1e-5)
    assert not torch.allclose(without, terms.pattern(), atol=1e-3)


def test_the_matching_is_that_of_the_models_own_attention(bridge_of):
    model = bridge_of("llama")
    right = heads.prefix_matching(attention(model, 1, 3)[:, None], TOKENS).item()
    found = writers.key_terms(model, TOKENS, 1, 3).matching(TOKENS)
    assert found == pytest.approx(right, abs=1e-5)


def test_pulls_are_what_sets_the_targets_apart_and_add_up(bridge_of):
    terms = writers.key_terms(bridge_of("llama"), TOKENS, 1, 0)
    scores, found = terms.terms.sum(0), []
    for sequence, row in zip(scores, TOKENS, strict=True):
        for query in range(len(row)):
            before = [key for key in range(2, query + 1) if row[key - 1] == row[query]]
            others = [key for key in range(1, query + 1) if key not in before]
            if before:
                found.append(sequence[query, before].mean() - sequence[query, others].mean())
    total = sum(terms.pulls(TOKENS).values())
    assert total == pytest.approx(torch.stack(found).mean().item(), abs=1e-4)


@pytest.mark.parametrize("stranger", [(1, 0), (0, 4), (0, -1), (99, 0)])
def test_a_head_that_wrote_nothing_here_cannot_be_cut(bridge_of, stranger, shapes_unchecked):
    terms = writers.key_terms(bridge_of("llama"), TOKENS, 1, 3)
    layer, head = stranger
    says = (
        rf"^{layer}\.{head} wrote nothing that head 1\.3 reads; its writers are embedding, 0\.0, "
    )
    with pytest.raises(ValueError, match=says):
        terms.matching(TOKENS, [(0, 1), stranger])


def test_rotations_leave_the_distance_alone():
    q, k = torch.randn(2, 1, 8)
    scores = [
        (
            writers.rotated(q, torch.tensor([i]), 100.0)
            * writers.rotated(k, torch.tensor([j]), 100.0)
        )
        for i, j in ((5.0, 3.0), (9.0, 7.0), (9.0, 3.0))
    ]
    same, also, other = (float(one.sum()) for one in scores)
    assert same == pytest.approx(also, abs=1e-4) and abs(same - other) > 1e-3


def test_what_has_no_rotary_positions_is_refused(bridge_of):
    with pytest.raises(ValueError, match="no rotary positions"):
        writers.key_terms(bridge_of("gpt2"), TOKENS, 1, 0)
    ours = AttentionOnlyTransformer(ModelConfig(n_ctx=CONTEXT, d_vocab=VOCABULARY))
    with pytest.raises(ValueError, match="paths.score_terms"):
        writers.key_terms(ours, TOKENS, 1, 0)
    with pytest.raises(ValueError, match="layer"):
        writers.key_terms(bridge_of("llama"), TOKENS, 7, 0)
