"""What a head says by the direct path is what the logits lose with it, all else as it was."""

import pytest
import torch

from helpers.instruments import heads
from helpers.instruments.direct import direct_effects
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.against_transformer_lens.test_families import HEADS, TOKENS, bridge_of, folder

__all__ = ["bridge_of", "folder"]  # fixtures


def above_the_mean(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Of the right next token, averaged over the rows that can know it."""
    rows = heads.induction_targets(tokens)[:, :-1].any(-1)
    right = logits[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]
    return (right - logits[:, :-1].mean(-1))[rows].mean()


@pytest.mark.parametrize("normalization", [None, "RMS", "LN"])
def test_of_the_last_layer_it_is_what_the_logits_lose_the_norms_length_kept(normalization):
    config = ModelConfig(n_layers=2, n_ctx=64, d_vocab=97, normalization=normalization)
    model = AttentionOnlyTransformer(config).requires_grad_(False)
    tokens = heads.probe(97, 64, sequences=3)
    found, (logits, seen) = direct_effects(model, tokens), model.run_with_cache(tokens)
    kept = [("ln_final.hook_scale", lambda scale, hook: seen[hook.name])] * bool(normalization)
    for head in range(config.n_heads):
        without = model.run_with_hooks(tokens, kept + heads.zero_heads(model, [(1, head)]))
        right = above_the_mean(logits, tokens) - above_the_mean(without, tokens)
        assert found[1, head].item() == pytest.approx(right.item(), abs=1e-4)


@pytest.mark.parametrize("family", ["llama", "gemma", "gpt2", "gpt_neox"])
def test_it_goes_through_a_familys_own_last_norm(bridge_of, family):
    bridge = bridge_of(family)
    found, (_, seen) = direct_effects(bridge, TOKENS), bridge.run_with_cache(TOKENS)
    norm, unembed = bridge.ln_final.original_component, bridge.unembed.original_component
    before = seen["ln_final.hook_in"]
    attention = bridge.blocks[0].attn
    for head in range(HEADS):
        z = seen["blocks.0.attn.hook_z"]
        z = z.unflatten(-1, (HEADS, -1)) if z.ndim == 3 else z
        wrote = z[:, :, head] @ attention.W_O[head]
        # the norm keeps its length: what it makes of a part, scaled as it scales the whole
        centred = "LayerNorm" in type(norm).__name__
        part = wrote - wrote.mean(-1, keepdim=True) if centred else wrote
        whole = before - before.mean(-1, keepdim=True) if centred else before
        gain = 1 + norm.weight if family == "gemma" else norm.weight
        logits = part / whole.square().mean(-1, keepdim=True).sqrt() * gain @ unembed.weight.T
        right = above_the_mean(logits, TOKENS).item()
        assert found[0, head].item() == pytest.approx(right, rel=1e-3, abs=1e-4)


def test_a_norm_behind_the_attention_is_refused(bridge_of):
    with pytest.raises(ValueError, match="norm behind its attention"):
        direct_effects(bridge_of("gemma2"), TOKENS)


def test_a_copy_that_padding_follows_says_nothing_to_anything():
    model = AttentionOnlyTransformer(ModelConfig())
    with pytest.raises(ValueError, match="in none of 2 sequences does a token follow"):
        direct_effects(model, torch.tensor([[0, 3, 3, heads.PAD], [0, 3, 4, 5]]))
