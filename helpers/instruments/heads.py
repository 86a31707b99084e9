"""What a head does, measured by behaviour: prefix matching, previous token, copying, and what its
loss costs.

The scores need nothing but a model that answers to TransformerLens' hook names, so they take the
course's model and any TransformerBridge alike. Every score looks at the rows and keys that the
tokens themselves single out, never at a bare diagonal: 1 means all the attention of every such row,
0 none of it. Each has its chance line, which is what the same function gives for attention spread
evenly over all earlier positions.

Memory does not grow with depth: a hook reduces each layer's pattern to a few numbers as it passes.

Source: Olsson et al. 2022, In-context Learning and Induction Heads, "Model Analysis Table" (head
activation evaluators).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.hooks import layer_of
from helpers.model import Head, check_head

THRESHOLD = 0.5


# ---- the scores of a pattern


def induction_targets(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """Where an induction head looks: the keys right after an earlier copy of the query's token.
    Token 0 of each sequence is BOS and a copy of nothing."""
    before = F.pad(tokens[:, :-1], (1, 0), value=-1)  # the token in front of each key
    match = tokens[:, :, None] == before[:, None, :]
    match[:, :, :2] = False  # in front of key 1 stands BOS, in front of key 0 nothing
    return match.tril()


def prefix_matching(
    pattern: Float[Tensor, "batch head query key"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, " head"]:
    """Attention that falls on any of the row's induction targets, averaged over the rows that have
    one.

    The published text leaves open whether a row with several targets counts their sum; tables with
    values near 1 settle it, because the mean over single cells could not exceed 1/2 there.
    ValueError when no token occurs twice.
    """
    targets = induction_targets(tokens)
    rows = targets.any(-1)
    if not rows.any():
        raise ValueError(
            "no token occurs twice, so no row has an induction target; score on repeated tokens "
            "(heads.probe)"
        )
    on_target = (pattern * targets[:, None]).sum(-1)
    return on_target.transpose(0, 1)[:, rows].mean(-1)


def previous_token(pattern: Float[Tensor, "batch head query key"]) -> Float[Tensor, " head"]:
    """Attention one step back, averaged over rows 2 and later: before row 1 stands BOS, where idle
    heads rest."""
    return pattern.diagonal(-1, 2, 3)[..., 1:].mean((0, 2))


def uniform_pattern(pos: int) -> Float[Tensor, "1 1 query key"]:
    """Attention spread evenly over the present and all earlier positions: the chance line of every
    pattern score."""
    return (torch.ones(pos, pos).tril() / torch.arange(1, pos + 1)[:, None])[None, None]


def copying(
    pattern: Float[Tensor, "batch head query key"],
    z: Float[Tensor, "batch query head d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, " head"]:
    """Does a head raise the logits of the tokens it attends to? From -1, never, to 1, those and no
    others.

    The head's output goes straight to the unembedding. Its raise of a token is that logit minus the
    mean logit, or zero if negative. With a the raise of the attended tokens (weighted by the
    pattern) and S the raise of all the tokens of the sequence, the score is 2 a / S - 1 with both
    summed over the rows that have an induction target. The paper gives the range and not the
    formula; 4 a / (a + S) - 1 shares the endpoints and would fit it as well. BOS is left out.
    """
    rows = induction_targets(tokens).any(-1)
    # [batch, key, d_model]: what raises the token at a key above the mean
    direct = W_U.T[tokens] - W_U.mean(1)
    reads = torch.einsum("hdm,bkm->bhdk", W_O, direct)
    raised = (
        torch.einsum("bqhd,bhdk->bhqk", z, reads).relu() * (tokens != tokens[:, :1])[:, None, None]
    )
    # a token that stands at several keys counts once in S
    times = (tokens[:, :, None] == tokens[:, None, :]).sum(-1)
    attended = (pattern * raised).sum(-1).transpose(0, 1)[:, rows].sum(-1)
    total = (raised / times[:, None, None]).sum(-1).transpose(0, 1)[:, rows].sum(-1)
    return 2 * attended / total.clamp_min(1e-30) - 1


def ideal_patterns(
    tokens: Int[Tensor, "batch pos"],
) -> dict[str, Float[Tensor, "batch 1 query key"]]:
    """What perfect heads would do on these tokens: the known cases by which a score is
    calibrated."""
    targets = induction_targets(tokens).float()
    here = torch.eye(tokens.shape[1]).expand_as(targets)
    before = here.roll(-1, -1).tril()
    rest = torch.zeros_like(targets)
    rest[..., 0] = 1  # on BOS
    induction = targets / targets.sum(-1, keepdim=True).clamp_min(1)
    chosen = {
        "induction": induction,
        "previous token": before,
        "present token": here,
        "rest on BOS": rest,
    }
    return {
        name: torch.where(A.any(-1, keepdim=True), A, rest)[:, None] for name, A in chosen.items()
    }


# ---- a probe, and the scores of all heads of a model


def probe(
    d_vocab: int,
    n_ctx: int,
    sequences: int = 10,
    ids: Sequence[int] | Tensor | None = None,
    seed: int = 0,
) -> Int[Tensor, "sequences pos"]:
    """BOS and a block of random distinct tokens, over and over: at most 101 tokens, as in the
    paper.

    The paper's blocks have 25 tokens. Here each sequence has another length, spread from 17 to 33
    (less where context or vocabulary are small), so that a head which has learned one fixed
    distance scores low. `ids` are the tokens to draw from: by default all but BOS; for text the
    paper drops the most and the least common. ValueError when a block of 4 does not fit twice.
    """
    ids = torch.arange(1, d_vocab) if ids is None else torch.as_tensor(ids)
    pos = min(n_ctx, 101)
    longest = min(33, len(ids), (pos - 1) // 2)
    if longest < 4:
        raise ValueError(
            f"a context of {n_ctx} and {len(ids)} token ids leave room for repeated blocks of "
            f"{longest}; the probe needs "
            "blocks of 4 or more, that is n_ctx 9 and 4 ids (32 and 12 for a score to rely on)"
        )
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for length in torch.linspace((longest + 1) // 2, longest, sequences).round().int().tolist():
        block = ids[torch.randperm(len(ids), generator=generator)[:length]]
        rows.append(F.pad(block.repeat(pos // length + 1)[: pos - 1], (1, 0)))
    return torch.stack(rows)


def repeated_tokens(
    ids: Sequence[int] | Tensor,
    block: int = 25,
    repeats: int = 4,
    sequences: int = 10,
    seed: int = 0,
) -> Int[Tensor, "sequences pos"]:
    """The paper's own probe: BOS, then `repeats` times the same `block` random distinct tokens out
    of `ids`. ValueError for fewer ids than that."""
    ids = torch.as_tensor(ids)
    if len(ids) < block:
        raise ValueError(
            f"a block of {block} distinct tokens out of {len(ids)} ids; give more ids, or a "
            "shorter block"
        )
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.stack(
        [ids[torch.randperm(len(ids), generator=generator)[:block]] for _ in range(sequences)]
    )
    return F.pad(blocks.repeat(1, repeats), (1, 0))


def middle_ids(
    counts: Int[Tensor, " d_vocab"], most: float = 0.02, least: float = 0.2
) -> Int[Tensor, " ids"]:
    """The ids left when the share `most` of the commonest and `least` of the least common are
    dropped, and BOS."""
    order = counts[1:].argsort(descending=True, stable=True) + 1
    return order[int(most * len(order)) : len(order) - int(least * len(order))]


class Scores(NamedTuple):
    """One number for each head, by the functions of the same names."""

    prefix_matching: Float[Tensor, "layer head"]
    previous_token: Float[Tensor, "layer head"]
    copying: Float[Tensor, "layer head"]


@torch.no_grad()
def score(model, tokens: Int[Tensor, "batch pos"]) -> Scores:
    """All three scores of every head, from one forward pass."""
    cfg, tokens = model.cfg, tokens.to(model.W_U.device)
    W_U = _unembedding(model)
    found = torch.zeros(3, cfg.n_layers, cfg.n_heads)
    for_z = {}

    def on_pattern(pattern, hook):
        found[0, layer_of(hook)] = prefix_matching(pattern, tokens).cpu()
        found[1, layer_of(hook)] = previous_token(pattern).cpu()
        for_z[layer_of(hook)] = pattern

    def on_z(z, hook):
        layer = layer_of(hook)
        z = z.unflatten(-1, (cfg.n_heads, -1)) if z.ndim == 3 else z
        found[2, layer] = copying(for_z.pop(layer), z, model.W_O[layer], W_U, tokens).cpu()

    hooks = [(f"blocks.{layer}.attn.hook_pattern", on_pattern) for layer in range(cfg.n_layers)]
    hooks += [(f"blocks.{layer}.attn.hook_z", on_z) for layer in range(cfg.n_layers)]
    model.run_with_hooks(tokens, fwd_hooks=hooks)
    return Scores(*found)


@torch.no_grad()
def repeat_loss(model, tokens: Int[Tensor, "batch pos"], fwd_hooks: Sequence = ()) -> float:
    """Mean loss, in nats, at the rows whose token has occurred before: on a probe, where induction
    knows the answer."""
    tokens = tokens.to(model.W_U.device)
    logits = model.run_with_hooks(tokens, fwd_hooks=list(fwd_hooks))
    rows = induction_targets(tokens).any(-1)[:, :-1]
    return F.cross_entropy(logits[:, :-1][rows], tokens[:, 1:][rows]).item()


def zero_heads(model, heads: Sequence[Head]) -> list[tuple[str, Callable]]:
    """Hooks that set the outputs of these (layer, head) pairs to zero. ValueError for a head that
    does not exist."""
    for at in heads:
        check_head(model, *at)

    def zero(z, hook):
        by_head = z.clone().view(*z.shape[:2], model.cfg.n_heads, -1)
        by_head[:, :, [head for layer, head in heads if layer == layer_of(hook)]] = 0
        return by_head.view_as(z)

    return [
        (f"blocks.{layer}.attn.hook_z", zero) for layer in sorted({layer for layer, _ in heads})
    ]


def ablation_effect(
    model, tokens: Int[Tensor, "batch pos"], heads: Sequence[Head]
) -> dict[Head, float]:
    """By how many nats the repeat loss rises when one head's output is set to zero and all that
    follows is recomputed."""
    intact = repeat_loss(model, tokens)
    return {head: repeat_loss(model, tokens, zero_heads(model, [head])) - intact for head in heads}


# ---- discovery


class HeadRow(NamedTuple):
    """What one head does. `ablation_effect` in nats; None where it was not measured."""

    layer: int
    head: int
    prefix_matching: float
    previous_token: float
    copying: float
    ablation_effect: float | None


@dataclass(frozen=True)
class HeadReport:
    """One row a head, the chance line of each score, and the heads that pass for induction
    heads."""

    rows: list[HeadRow]
    chance: dict[str, float]
    induction_heads: list[Head]

    def __str__(self) -> str:
        def line(name: str, numbers: Sequence[float | None]) -> str:
            return f"{name:>6}" + "".join(
                f"{'-' if n is None else format(round(n, 2) + 0.0, '.2f'):>17}" for n in numbers
            )

        lines = [" " * 6 + "".join(f"{name.replace('_', ' '):>17}" for name in self.chance)]
        lines += [line("chance", list(self.chance.values()))]
        for row in self.rows:
            found = "  induction head" if row[:2] in self.induction_heads else ""
            lines.append(line(f"{row.layer}.{row.head}", row[2:]) + found)
        return "\n".join(lines)

    __repr__ = __str__


def discover(
    model,
    ids: Sequence[int] | Tensor | None = None,
    tokens: Int[Tensor, "batch pos"] | None = None,
    ablate: bool | None = None,
    seed: int = 0,
) -> HeadReport:
    """Score every head on repeated random tokens and name the induction heads.

    They pass two tests. Prefix matching above 1/2: most of the attention falls on induction
    targets. Copying: attended tokens get at least twice the share of the raise that attention blind
    to it would give them. The second test keeps out heads that match prefixes in order to suppress
    what they find (McDougall et al. 2023).

    `ids`: tokens to draw the probe from. `tokens`: a probe of your own instead. `ablate`: True
    measures the ablation effect of every head, False of none, None (the default) of every head up
    to 64 heads and beyond that of the named ones.
    """
    cfg = model.cfg
    tokens = probe(cfg.d_vocab, cfg.n_ctx, ids=ids, seed=seed) if tokens is None else tokens
    scores = score(model, tokens)
    heads = [(layer, head) for layer in range(cfg.n_layers) for head in range(cfg.n_heads)]
    chance = chance_lines(tokens)
    enough = 2 * (chance["copying"] + 1) - 1  # the score is 2 share - 1
    named = [
        at for at in heads if scores.prefix_matching[at] > THRESHOLD and scores.copying[at] > enough
    ]
    if ablate is None:
        ablate_these = heads if len(heads) <= 64 else named
    else:
        ablate_these = heads if ablate else []
    effect = ablation_effect(model, tokens, ablate_these)
    rows = [HeadRow(*at, *(score[at].item() for score in scores), effect.get(at)) for at in heads]
    return HeadReport(rows, chance, named)


def chance_lines(tokens: Int[Tensor, "batch pos"]) -> dict[str, float]:
    """What each score is for attention that is spread evenly, and for a raise that has nothing to
    do with the attention."""
    tokens, uniform = tokens.cpu(), uniform_pattern(tokens.shape[1])
    distinct = sum(len(sequence.unique()) - 1 for sequence in tokens) / len(tokens)
    return dict(
        prefix_matching=prefix_matching(uniform.expand(len(tokens), -1, -1, -1), tokens).item(),
        previous_token=previous_token(uniform).item(),
        copying=2 / distinct - 1,
        ablation_effect=0.0,
    )


def _unembedding(model) -> Float[Tensor, "d_model d_vocab"]:
    """W_U with the final normalization's gain and centring in it. Its division scales a whole row
    of logits: no score sees it."""
    kind = getattr(model.cfg, "normalization", None) or getattr(
        model.cfg, "normalization_type", None
    )
    gain = (
        model.norm_gain[-1]
        if hasattr(model, "norm_gain")
        else getattr(getattr(model, "ln_final", None), "weight", None)
    )
    W_U = model.W_U if gain is None else gain[:, None] * model.W_U
    return W_U - W_U.mean(0) if str(kind).startswith("LN") else W_U
