"""Who wrote what a head of a language model reads: its scores, one term for each writer of its
keys.

The stream is the sum of what embedding, heads and MLPs wrote. A norm divides it by its size and
multiplies by gains; with the size kept as it was, that is linear, and so is W_K. Rotary positions
turn queries and keys by angles that grow with the position, which is linear again. So a score falls
into terms, one a writer, and to take a writer's term away is to cut its direct path to these keys.

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Path expansion
trick"; Su et al. 2021, RoFormer, section 3.2 (rotary positions).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.instruments import weights
from helpers.instruments.patterns import induction_targets, prefix_matching
from helpers.model import Head, check_head

TOLERANCE = 1e-3  # of the scores' spread: what single precision explains


def rotated(
    x: Float[Tensor, "*rest pos d_head"], positions: Float[Tensor, " pos"], base: float
) -> Float[Tensor, "*rest pos d_head"]:
    """Queries or keys turned by their positions: coordinate i and the one half a head behind it by
    the angle position · base^(-2i / d_head)."""
    half = x.shape[-1] // 2
    angles = positions[:, None] * base ** (-torch.arange(half) / half).to(x)
    cos, sin, (first, second) = angles.cos(), angles.sin(), x.split(half, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def rotary_base(model) -> float:
    """ValueError for a model whose positions are not rotary."""
    config = getattr(getattr(model, "original_model", None), "config", None)
    parameters = getattr(config, "rope_parameters", None) or {}
    if "rope_theta" not in parameters:
        raise ValueError(
            f"this {type(model).__name__} has no rotary positions; paths.score_terms takes the "
            "course's own models"
        )
    return parameters["rope_theta"]


class KeyTerms(NamedTuple):
    """The scores of one head as a sum over `writers` of what it reads as keys."""

    head: Head
    writers: list[str]  # "embedding", heads as "16.0", "MLP 3"
    terms: Float[Tensor, "writer batch query key"]

    def pattern(self, without: tuple[Head, ...] | list[Head] = ()) -> Float[Tensor, "batch q k"]:
        """The attention that these scores give, some heads' direct paths to the keys cut.
        ValueError for a head that wrote nothing here."""
        cut = set(map(named, without))
        if strangers := sorted(cut - set(self.writers)):
            raise ValueError(
                f"{', '.join(strangers)} wrote nothing that head {named(self.head)} reads; its "
                f"writers are {', '.join(self.writers)}, the heads as pairs (layer, head)"
            )
        kept = [name not in cut for name in self.writers]
        scores = self.terms[torch.tensor(kept)].sum(0)
        hidden = torch.ones(scores.shape[-2:]).triu(1).bool()
        return scores.masked_fill(hidden, -torch.inf).softmax(-1)

    def matching(
        self, tokens: Int[Tensor, "batch pos"], without: tuple[Head, ...] | list[Head] = ()
    ) -> float:
        """The prefix matching of that attention."""
        return prefix_matching(self.pattern(without)[:, None], tokens).item()

    def pulls(self, tokens: Int[Tensor, "batch pos"]) -> dict[str, float]:
        """By how much each writer raises the score of the induction targets above that of the other
        keys (BOS aside), on average over the rows that have one."""
        targets = induction_targets(tokens)
        others = ~targets & torch.ones_like(targets).tril()
        others[:, :, 0] = False
        on, off = (
            (self.terms * keys).sum(-1) / keys.sum(-1).clamp_min(1) for keys in (targets, others)
        )
        mean = (on - off)[:, targets.any(-1)].mean(-1)
        return dict(zip(self.writers, mean.tolist(), strict=True))


def named(head: Head) -> str:
    return f"{head[0]}.{head[1]}"


@torch.no_grad()
def key_terms(model, tokens: Int[Tensor, "batch pos"], layer: int, head: int) -> KeyTerms:
    """The scores of one head by the writers of its keys.

    ValueError for a head that does not exist, for a model without rotary positions, and for one
    whose scores are more than these terms (a bias, another norm, a capped score).
    """
    check_head(model, layer, head)
    base, cfg = rotary_base(model), model.cfg
    wanted = (
        "hook_embed",
        "hook_z",
        "hook_mlp_out",
        f"blocks.{layer}.ln1.hook_scale",
        f"blocks.{layer}.attn.hook_q",
        f"blocks.{layer}.attn.hook_attn_scores",
    )
    _, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith(wanted))
    names, written = ["embedding"], [cache["hook_embed"]]
    for below in range(layer):
        z, W_O = cache[f"blocks.{below}.attn.hook_z"], weights.of_layer(model, below).O
        for at in range(cfg.n_heads):
            names.append(named((below, at)))
            written.append(weights.by_head(z, cfg.n_heads)[:, :, at] @ W_O[at])
        names.append(f"MLP {below}")
        written.append(cache[f"blocks.{below}.hook_mlp_out"])
    gain = weights.scaling(model.blocks[layer].ln1, cfg.d_model).gain
    scale = cache[f"blocks.{layer}.ln1.hook_scale"]
    q = weights.by_head(cache[f"blocks.{layer}.attn.hook_q"], cfg.n_heads)[:, :, head]
    k = torch.stack(written) / scale * gain @ weights.of_head(model, layer, head).K
    positions = torch.arange(float(tokens.shape[1]))
    q, k = rotated(q, positions, base), rotated(k, positions, base)
    terms = torch.einsum("bqd,wbkd->wbqk", q, k) / q.shape[-1] ** 0.5
    _check(terms.sum(0), cache[f"blocks.{layer}.attn.hook_attn_scores"][:, head], layer)
    return KeyTerms((layer, head), names, terms)


def _check(found: Tensor, right: Tensor, layer: int) -> None:
    seen = torch.ones(found.shape[-2:]).tril().bool()
    off = (found - right)[:, seen].abs().max() / right[:, seen].std()
    if not off < TOLERANCE:
        raise ValueError(
            f"the scores of layer {layer} differ from the sum of these terms by {off:.1e} of their "
            "spread: this model has more between stream and scores than a norm, W_Q, W_K and a "
            "rotation, so its scores cannot be taken apart here"
        )
