"""A real model in other coordinates: the rotation of notebook 03, on a Llama.

Between its heads stand MLPs and norms that multiply each coordinate by a gain. Gains go into the
matrices that read behind them, and what is left of a norm is a division by the length, which no
rotation changes; an MLP reads and writes like a head. So any rotation of the stream is allowed.

Source: Ashkboos et al. 2024, QuaRot, section 4 (computational invariance).
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from helpers.instruments.basis import quantise
from helpers.sequences import cross_entropy


def opened(folder: str) -> Any:
    """A Hugging Face model as it stands in a folder, with no bridge around it."""
    return AutoModelForCausalLM.from_pretrained(folder).requires_grad_(False)


@torch.no_grad()
def folded(model: Any) -> Any:
    """A Hugging Face Llama with gains of 1: the same function. Embedding and unembedding no longer
    share their matrix. ValueError for a model that is no Llama."""
    if model.config.model_type != "llama":
        raise ValueError(
            f"a model of type {model.config.model_type!r}; this knows where a 'llama' reads and "
            "writes, and no other"
        )
    model = copy.deepcopy(model)
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone(), requires_grad=False)
    model.config.tie_word_embeddings = False
    for block in model.model.layers:
        attention, mlp = block.self_attn, block.mlp
        _fold(block.input_layernorm, attention.q_proj, attention.k_proj, attention.v_proj)
        _fold(block.post_attention_layernorm, mlp.gate_proj, mlp.up_proj)
    _fold(model.model.norm, model.lm_head)
    return model


@torch.no_grad()
def turned(model: Any, R: Float[Tensor, "d_model d_model"]) -> Any:
    """The same function with its stream turned by the orthogonal R: x becomes x @ R. ValueError for
    a norm that still has gains (`folded` takes them away)."""
    norms = [module for name, module in model.named_modules() if name.endswith("norm")]
    if any(not torch.allclose(norm.weight, torch.ones_like(norm.weight)) for norm in norms):
        raise ValueError("a norm multiplies by gains, which a rotation would mix; fold them first")
    model = copy.deepcopy(model)
    _write(model.model.embed_tokens, model.model.embed_tokens.weight.double() @ R.double())
    for block in model.model.layers:
        attention, mlp = block.self_attn, block.mlp
        readers = (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj)
        for reader in readers:
            _write(reader, reader.weight.double() @ R.double())
        for writer in (attention.o_proj, mlp.down_proj):
            _write(writer, R.double().T @ writer.weight.double())
    _write(model.lm_head, model.lm_head.weight.double() @ R.double())
    return model


@torch.no_grad()
def streams(model: Any, tokens: Int[Tensor, "batch pos"]) -> list[Float[Tensor, "batch row d"]]:
    """The stream behind the embedding and behind every layer, without BOS, whose vector is one and
    the same in every text."""
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda module, given, x: seen.append(x[:, 1:]))
        for module in [model.model.embed_tokens, *model.model.layers]
    ]
    with _hooked(hooks):
        model(tokens)
    return seen


@torch.no_grad()
def loss(model: Any, tokens: Int[Tensor, "batch pos"], bits: int | None = None) -> float:
    """The mean loss (nats) of every token whose next one is known. With `bits`, the stream is
    rounded to so few (`basis.quantise`) behind every layer."""
    hooks = [
        layer.register_forward_hook(lambda module, given, x: quantise(x, bits))
        for layer in model.model.layers
        if bits
    ]
    with _hooked(hooks):
        logits = model(tokens).logits[:, :-1]
    return cross_entropy(logits, tokens[:, 1:]).item()


@contextmanager
def _hooked(hooks: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _fold(norm: Any, *readers: nn.Linear) -> None:
    for reader in readers:
        _write(reader, reader.weight.double() * norm.weight.double())
    norm.weight.fill_(1)


def _write(module: Any, weight: Tensor) -> None:
    module.weight.copy_(weight.to(module.weight))
