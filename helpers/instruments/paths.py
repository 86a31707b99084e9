"""The logits, a head's scores and the loss as sums over the paths through a model.

Everything here takes the course's model, freezes patterns and norm scales at what they were in one
forward pass, and is exact for every normalization.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Path expansion of
logits", "Path expansion of attention scores QK circuit" and "Term importance analysis".
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.hooks import layer_of
from helpers.instruments.circuits import OV
from helpers.instruments.weights import check_ours
from helpers.model import Head, check_head
from helpers.sequences import cross_entropy

TOLERANCE = 1e-5  # float32: of the largest number compared, or of 1


@torch.no_grad()
def path_expansion(
    model, tokens: Int[Tensor, "batch pos"], most_terms: int = 1000
) -> dict[str, Float[Tensor, "batch pos d_vocab"]]:
    """The logits as a sum: "direct" (embedding to unembedding), each head "0.1", each virtual head
    "0.1 -> 1.2", ...

    Shortest paths first. Patterns and norm scales are frozen, so each term is linear in the
    embedding it starts from. Standard positions are part of that embedding; LayerNorm's bias goes
    with the embedding wherever that is read. AssertionError, with the largest difference, if the
    terms do not sum to the logits, to 1e-5 of the largest of them. ValueError for more than
    `most_terms` paths: L layers of H heads have (1 + H)^L.
    """
    check_ours(model, "path_expansion")
    cfg = model.cfg
    if (1 + cfg.n_heads) ** cfg.n_layers > most_terms:
        raise ValueError(
            f"{cfg.n_layers} layers of {cfg.n_heads} heads have "
            f"{(1 + cfg.n_heads) ** cfg.n_layers} paths, more than "
            f"most_terms = {most_terms}; raise it, or sum all paths of one length (term_importance)"
        )
    logits, cache = model.run_with_cache(tokens)
    embedding = (
        cache["hook_embed"] + cache["hook_pos_embed"]
        if cfg.positions == "standard"
        else cache["hook_embed"]
    )
    stream = {(): embedding}  # what each path put there
    for layer in range(cfg.n_layers):
        reads = {
            path: _read(model, cache, layer, part, starts=not path) for path, part in stream.items()
        }
        for head in range(cfg.n_heads):
            A, W = cache["pattern", layer][:, head], OV(model, layer, head)
            stream |= {(*path, (layer, head)): A @ (x @ W) for path, x in reads.items()}
    terms = {}
    for path, part in sorted(stream.items(), key=lambda item: len(item[0])):  # shortest first
        name = " -> ".join(f"{layer}.{head}" for layer, head in path) or "direct"
        terms[name] = _read(model, cache, -1, part, starts=not path) @ model.W_U
    _check_sum(terms, logits, "the logits")
    return terms


def path_order(name: str) -> int:
    """How many heads a path goes through: 0 for "direct", 2 for "0.1 -> 1.2"."""
    return 0 if name == "direct" else 1 + name.count("->")


@torch.no_grad()
def score_terms(
    model, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> dict[tuple[str, str], Float[Tensor, "batch query key"]]:
    """A head's attention scores as a sum over who wrote what the query reads and who wrote what the
    key reads.

    Both are "embed", "pos" or an earlier head "0.1" (with all that it read). Positions have terms
    of their own, whether they stand in the stream or are added to queries and keys. Future keys,
    which the mask hides, are 0. AssertionError, with the largest difference, if the terms do not
    sum to the scores.
    """
    check_ours(model, "score_terms")
    check_head(model, layer, head)
    _, cache = model.run_with_cache(tokens)
    parts = {"embed": cache["hook_embed"]}
    if model.cfg.positions == "standard":
        parts["pos"] = cache["hook_pos_embed"]
    for earlier in range(layer):
        parts |= {
            f"{earlier}.{h}": cache["result", earlier][:, :, h] for h in range(model.cfg.n_heads)
        }
    reads = {
        name: _read(model, cache, layer, part, starts=name == "embed")
        for name, part in parts.items()
    }
    if model.cfg.positions == "shortformer":
        reads["pos"] = cache["hook_pos_embed"]
    queries = {name: read @ model.W_Q[layer, head] for name, read in reads.items()}
    keys = {
        name: _smeared(model, layer, head, read @ model.W_K[layer, head])
        for name, read in reads.items()
    }
    terms = {
        (of_query, of_key): (q @ k.mT / math.sqrt(model.cfg.d_head)).tril()
        for of_query, q in queries.items()
        for of_key, k in keys.items()
    }
    scores = cache["attn_scores", layer][:, head]
    _check_sum(terms, scores.masked_fill(scores == -torch.inf, 0), "the scores")
    return terms


def score_expansion(
    model, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> dict[str, Float[Tensor, "batch query key"]]:
    """The same in four: "direct", "Q" (an earlier head wrote what the query reads), "K" (what the
    key reads), "both".

    Positions count as direct, beside the embedding. Errors as in `score_terms`.
    """
    terms = score_terms(model, tokens, layer, head)
    # by whether an earlier head wrote what the query reads, and what the key reads
    names = {(0, 0): "direct", (1, 0): "Q", (0, 1): "K", (1, 1): "both"}
    sums = {name: torch.zeros_like(terms["embed", "embed"]) for name in names.values()}
    for of_query, of_key in terms:
        by_heads = of_query not in ("embed", "pos"), of_key not in ("embed", "pos")
        sums[names[by_heads]] += terms[of_query, of_key]
    return sums


@torch.no_grad()
def term_importance(
    model,
    tokens: Int[Tensor, "batch pos"],
    targets: Int[Tensor, "batch pos"],
    rows: Bool[Tensor, "batch pos"] | None = None,
    heads: Sequence[Head] | None = None,
) -> Float[Tensor, " orders"]:
    """The loss, in nats, of all paths through at most 0, 1, ... L heads. The drop to an order is
    its marginal effect.

    Record, then iterate: after one ordinary pass the patterns (and norm scales) are forced, and in
    each further pass every head adds to the stream what it would have written in the pass before,
    at first nothing. L + 2 passes in all. `rows`: where the loss is taken (default everywhere).
    `heads`: only paths through these (default all). AssertionError if, with all heads, order L is
    not the true loss to 1e-5. ValueError when `rows` marks none. Source: "Term importance
    analysis".
    """
    check_ours(model, "term_importance")
    logits, frozen = model.run_with_cache(
        tokens, lambda name: name.endswith(("hook_pattern", "hook_scale"))
    )
    allowed = torch.full((model.cfg.n_layers, model.cfg.n_heads, 1), float(heads is None)).to(
        logits
    )
    for layer, head in heads or ():
        check_head(model, layer, head)
        allowed[layer, head] = 1
    force = (frozen.__contains__, lambda value, hook: frozen[hook.name])
    losses, fresh = [cross_entropy(logits, targets, rows)], {}
    for _ in range(model.cfg.n_layers + 1):
        before, fresh = fresh, {}
        swap = (lambda name: name.endswith("hook_result"), partial(_swap, allowed, before, fresh))
        losses.append(cross_entropy(model.run_with_hooks(tokens, [force, swap]), targets, rows))
    true, *orders = losses
    if heads is None:
        _check_sum({"order L": orders[-1]}, true, "the true loss")
    return torch.stack(orders)


# ---- the pieces


def _read(model, cache, layer: int, part: Tensor, starts: bool) -> Tensor:
    """What a layer (-1: the unembedding) reads of one part of the stream, with the norm scale of
    the whole stream. The bias, which belongs to no part, is given to the part that starts all
    paths."""
    kind = model.cfg.normalization
    if kind is None:
        return part
    if kind == "LN":
        part = part - part.mean(-1, keepdim=True)
    # Layers have a scale for each head; they are all the same.
    scale = cache["ln_final.hook_scale"] if layer == -1 else cache["scale", layer, "ln1"][:, :, 0]
    read = part / scale * model.norm_gain[layer]
    return read + model.norm_bias[layer] if kind == "LN" and starts else read


def _swap(
    allowed: Tensor, before: dict[str, Tensor], fresh: dict[str, Tensor], result: Tensor, hook
) -> Tensor:
    """Keep what the heads write now, and let them write what they wrote before."""
    fresh[hook.name] = result * allowed[layer_of(hook)]
    return before.get(hook.name, torch.zeros_like(result))


def _smeared(
    model, layer: int, head: int, k: Float[Tensor, "batch pos d_head"]
) -> Float[Tensor, "batch pos d_head"]:
    if not model.cfg.smeared_keys:
        return k
    return model._smear(layer, k.unsqueeze(2).expand(-1, -1, model.cfg.n_heads, -1))[:, :, head]


def _check_sum(terms: dict, whole: Tensor, name: str) -> None:
    difference = (sum(terms.values()) - whole).abs().max().item()
    allowed = TOLERANCE * max(1.0, whole.abs().max().item())
    if not difference <= allowed:
        raise AssertionError(
            f"the terms differ from {name} by {difference:.1e}; float32 explains {allowed:.0e}"
        )
