"""The matrices of a model's heads, one layer at a time and with an entry for every query head.

The course's model keeps them as attributes with an axis for layers. A TransformerBridge has a block
a layer, lets a group of query heads share one key head, and multiplies by the gains of its norms.
Whoever looks at weights asks here, so that a query head never meets the keys of another group.
"""

from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.instruments.patterns import directions
from helpers.model import AttentionOnlyTransformer, Head, check_head


class HeadWeights(NamedTuple):
    """The matrices of one head; or of a layer's heads, or of all, with these axes in front."""

    Q: Float[Tensor, "*heads d_model d_head"]
    K: Float[Tensor, "*heads d_model d_head"]
    V: Float[Tensor, "*heads d_model d_head"]
    O: Float[Tensor, "*heads d_head d_model"]  # noqa: E741


def attending_layers(model) -> list[int]:
    """The layers that attend: all, but in hybrids. ValueError for a model of which none does, or
    whose decoder reads an encoder."""
    if not hasattr(model, "blocks_with"):
        return list(range(model.cfg.n_layers))
    if hasattr(model, "encoder_blocks"):
        raise ValueError(
            "this model has an encoder and a decoder; the scores are of models that read a text "
            "from left to right, so give a decoder-only model"
        )
    found = [layer for layer, _ in model.blocks_with("attn")]
    if not found and model.cfg.n_layers:
        raise ValueError(
            f"none of the {model.cfg.n_layers} layers of this model attends, so there is no head "
            "to score; give a transformer, or a hybrid that has some attention"
        )
    return found


def all_heads(model) -> list[Head]:
    """Every (layer, head) of the layers that attend."""
    return list(product(attending_layers(model), range(model.cfg.n_heads)))


def of_layer(model, layer: int) -> HeadWeights:
    """The matrices of one layer. Query head h of a group reads key head h // size of the group.
    ValueError for a layer whose weights do not fall into heads."""
    if not hasattr(model, "blocks_with"):
        return HeadWeights(*(getattr(model, f"W_{side}")[layer] for side in "QKVO"))
    attention = model.blocks[layer].attn
    Q, K, V, O = (getattr(attention, f"W_{side}") for side in "QKVO")  # noqa: E741
    shapes = [tuple(W.shape) for W in (Q, K, V, O)]
    if any(W.ndim != 3 for W in (Q, K, V, O)) or len(Q) % len(K) or len(K) != len(V):
        raise ValueError(
            f"the weights of layer {layer} have the shapes {shapes}; expected three axes each, the "
            "first for heads, and as many query heads as fill groups of one key head"
        )
    group = len(Q) // len(K)
    return HeadWeights(Q, K.repeat_interleave(group, 0), V.repeat_interleave(group, 0), O)


def of_head(model, layer: int, head: int) -> HeadWeights:
    """The matrices of one head. ValueError for one that does not exist."""
    check_head(model, layer, head)
    return HeadWeights(*(W[head] for W in of_layer(model, layer)))


def of_all_layers(model) -> HeadWeights:
    """The matrices of all layers, stacked."""
    if not hasattr(model, "blocks_with"):
        return HeadWeights(model.W_Q, model.W_K, model.W_V, model.W_O)
    by_layer = [of_layer(model, layer) for layer in attending_layers(model)]
    return HeadWeights(*map(torch.stack, zip(*by_layer, strict=True)))


def check_ours(model, function: str) -> None:
    """ValueError for a model that is not the course's, where a function takes no other."""
    if not isinstance(model, AttentionOnlyTransformer):
        raise ValueError(
            f"{function} takes the course's own model, in which nothing stands between the heads "
            f"but norms, and got a {type(model).__name__}; heads, circuits, composition and "
            "ablation take any"
        )


# ---- norms


class Scaling(NamedTuple):
    """What a norm does besides dividing each vector by its length."""

    gain: Float[Tensor, " d_model"]
    centres: bool


@torch.no_grad()
def scaling(norm, d_model: int) -> Scaling:
    """A norm's gain, and whether it takes the mean away, measured: some norms store 1 + w, and
    folding moves the gain elsewhere."""
    weight = next(norm.parameters(), torch.ones(1))
    signs = torch.ones(d_model, dtype=torch.float).to(weight)
    signs[1::2] = -1
    if d_model % 2:  # of mean zero, and no entry is zero
        signs[-3:] = torch.tensor([1.0, 1.0, -2.0]).to(signs)
    x = 100 * signs[None, None]  # long, so that the epsilon of the division does not count
    length = x.float().square().mean().sqrt()
    gain = ((norm(x) - norm(-x)).float() / 2 / (x.float() / length))[0, 0]  # a bias falls out
    moved, stayed = norm(x + 100).float(), norm(x).float()
    return Scaling(gain, bool(torch.allclose(moved, stayed, rtol=1e-2, atol=1e-2)))


def last_norm(model) -> Scaling | None:
    """Of the norm before the unembedding. Its division scales a whole row of logits: no score sees
    it."""
    if hasattr(model, "norm_gain"):  # the course's model
        return Scaling(model.norm_gain[-1], model.cfg.normalization == "LN")
    norm = getattr(model, "ln_final", None)
    return None if norm is None else scaling(norm, model.cfg.d_model)


def raising(model, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
    """What in the stream, before the last norm, raises the logit of each token above the mean."""
    direct, last = directions(model.W_U, tokens), last_norm(model)
    if last is None:
        return direct
    direct = direct * last.gain.to(direct)
    return direct - direct.mean(-1, keepdim=True) if last.centres else direct


def written(model, layer: int) -> Float[Tensor, "head d_head d_model"]:
    """What each head of a layer writes to the stream: W_O, with the gain and the centring of a norm
    that stands behind the attention. That norm's division is the same for all heads of a
    position."""
    W_O = in_single(of_layer(model, layer).O)
    block = model.blocks[layer] if hasattr(model, "blocks_with") else None
    behind = getattr(block, "_modules", {}).get("ln1_post")
    if behind is None:
        return W_O
    gain, centres = scaling(behind, W_O.shape[-1])
    W_O = W_O - W_O.mean(-1, keepdim=True) if centres else W_O
    return W_O * gain.to(W_O)


def by_head(x: Tensor, n_heads: int) -> Tensor:
    """What the heads of a layer computed, with an axis for heads: some models keep them side by
    side."""
    return x.unflatten(-1, (n_heads, -1)) if x.ndim == 3 else x


def by_query_head(x: Tensor, cfg) -> Float[Tensor, "batch pos head d_head"]:
    """The keys or the values of a layer with an entry for every query head: head h of a group reads
    key head h // size of the group."""
    x = by_head(x, x.shape[-1] // cfg.d_head)
    return x.repeat_interleave(cfg.n_heads // x.shape[2], 2)


def in_single(x: Tensor) -> Tensor:
    """In single precision at least: sums over a sequence overflow in half."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
