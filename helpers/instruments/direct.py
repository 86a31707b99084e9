"""What each head says to the logits by itself: along the direct path, past all that follows it.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Logit attribution".
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.hooks import layer_of
from helpers.instruments import weights
from helpers.instruments.patterns import rows_that_count


@torch.no_grad()
def direct_effects(model, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "layer head"]:
    """By how much (logits) what a head writes raises the right next token above the mean of all, on
    average over the rows whose token has occurred before. The last norm divides by the size that
    it divides by in the whole model; nan for layers that do not attend.

    ValueError when no such row has a next token, and for a model with a norm behind its attention,
    which would have to be kept as well.
    """
    tokens, cfg = tokens.to(model.W_U.device), model.cfg
    layers = weights.attending_layers(model)
    if any("ln1_post" in getattr(block, "_modules", {}) for block in getattr(model, "blocks", ())):
        raise ValueError(
            "this model has a norm behind its attention, so what a head writes has no length of "
            "its own; its copying score needs none"
        )
    rows = rows_that_count(tokens)
    right = weights.raising(model, tokens[:, 1:])[rows]  # [row, d_model]
    found = torch.full((cfg.n_layers, cfg.n_heads, len(right)), torch.nan).to(right)
    length = torch.ones(len(right), 1).to(right)

    def on_z(z, hook):
        z = weights.in_single(weights.by_head(z, cfg.n_heads))[:, :-1][rows]  # [row, head, d_head]
        W_O = weights.written(model, layer_of(hook))
        found[layer_of(hook)] = torch.einsum("rhd,hdm,rm->hr", z, W_O, right)

    def on_scale(scale, hook):
        length.copy_(scale[:, :-1][rows])

    hooks = [(f"blocks.{layer}.attn.hook_z", on_z) for layer in layers]
    hooks += [("ln_final.hook_scale", on_scale)] * (weights.last_norm(model) is not None)
    model.run_with_hooks(tokens.clamp_min(0), fwd_hooks=hooks)
    return (found / length[:, 0]).mean(-1).cpu()
