"""A Llama whose norms are folded and whose stream is turned says what it said before."""

import pytest
import torch
from torch import Generator
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.experiments.turned import folded, loss, streams, turned
from helpers.instruments import basis

WIDTH = 32
TOKENS = torch.arange(24)[None] * 7 % 90
R = basis.random_rotation(WIDTH, Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    sizes = dict(hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=3, vocab_size=90)
    heads = dict(num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)
    config = AutoConfig.for_model("llama", **sizes, **heads)
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for weight in made.parameters():
        noise = torch.randn(weight.shape)
        weight.add_(0.3 * noise) if weight.ndim == 1 else weight.copy_(0.2 * noise)
    return made


def test_folding_keeps_the_function_and_leaves_no_gain(model):
    plain = folded(model)
    torch.testing.assert_close(plain(TOKENS).logits, model(TOKENS).logits, rtol=1e-4, atol=1e-4)
    gains = [weight for weight in plain.parameters() if weight.ndim == 1]
    assert len(gains) == 7 and all((gain == 1).all() for gain in gains)
    assert plain.lm_head.weight is not plain.model.embed_tokens.weight


def test_turning_keeps_the_function_and_turns_the_stream(model):
    before = model.state_dict()
    kept = {name: weight.clone() for name, weight in before.items()}
    plain = folded(model)
    other = turned(plain, R)
    torch.testing.assert_close(other(TOKENS).logits, model(TOKENS).logits, rtol=1e-4, atol=1e-4)
    for one, another in zip(streams(plain, TOKENS), streams(other, TOKENS), strict=True):
        torch.testing.assert_close(another, one @ R.float(), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(kept[name], weight) for name, weight in model.state_dict().items())


def test_with_gains_a_rotation_is_refused_in_words_and_would_have_changed_the_function(
    model, monkeypatch
):
    with pytest.raises(ValueError, match="a norm multiplies by gains.*fold them first"):
        turned(model, R)
    monkeypatch.setattr(torch, "allclose", lambda *_: True)
    assert (turned(model, R)(TOKENS).logits - model(TOKENS).logits).abs().max() > 0.1


def test_another_kind_of_model_is_refused_in_words():
    config = AutoConfig.for_model("gpt2", n_embd=8, n_head=1, n_layer=1, vocab_size=9)
    with pytest.raises(ValueError, match="type 'gpt2'; this knows where a 'llama' reads"):
        folded(AutoModelForCausalLM.from_config(config))


def test_the_loss_is_that_of_the_model_and_rises_as_bits_go(model):
    logits = model(TOKENS).logits[0, :-1]
    right = torch.nn.functional.cross_entropy(logits, TOKENS[0, 1:]).item()
    assert loss(model, TOKENS) == pytest.approx(right, abs=1e-5)
    off = [abs(loss(model, TOKENS, bits) - right) for bits in (16, 3)]
    assert off[0] < 1e-3 < off[1]
    assert loss(model, TOKENS) == pytest.approx(right, abs=1e-5)  # no hook stays


def test_the_streams_are_what_each_layer_is_given_without_bos(model):
    given = []
    hook = model.model.layers[1].register_forward_pre_hook(lambda module, x: given.append(x[0]))
    found = streams(model, TOKENS)
    hook.remove()
    assert len(found) == 4 and torch.equal(found[1], given[0][:, 1:])
