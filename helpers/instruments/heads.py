"""What a head does, measured by behaviour: prefix matching, previous token, copying, and what its
loss costs.

The scores are those of `patterns`, the tokens those of `probes`; both are offered here too. They
need nothing but a model that answers to TransformerLens' hook names, so they take the course's
model and any TransformerBridge alike. Memory does not grow with depth: a hook reduces each layer's
pattern to a few numbers as it passes.

Source: Olsson et al. 2022, In-context Learning and Induction Heads, "Model Analysis Table" (head
activation evaluators).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.hooks import layer_of
from helpers.instruments import weights
from helpers.instruments.patterns import (
    PAD,
    copying,
    copying_along,
    ideal_patterns,
    induction_targets,
    prefix_matching,
    previous_token,
    rows_that_count,
    rows_with_a_target,
    uniform_pattern,
    window_of,
)
from helpers.instruments.probes import probe, repeated_tokens, special_ids
from helpers.model import Head, check_head
from helpers.sequences import TokenIds, cross_entropy, token_ids
from helpers.tables import Table

THRESHOLD = 0.5  # most of the attention
# A convention, not a measurement: several times chance, and low enough to count heads that share
# the work. Some heads stand close to it, so what hangs on who is counted should be asked of the
# strongest head alone as well.
LOOKING_BACK = 0.3
MOST_LOGITS = 60_000_000  # held at once: ten sequences of the probe, in a vocabulary of 50,000


# ---- the scores of all heads of a model


class Scores(NamedTuple):
    """One number for each head, by the functions of the same names."""

    prefix_matching: Float[Tensor, "layer head"]
    previous_token: Float[Tensor, "layer head"]
    copying: Float[Tensor, "layer head"]


@torch.no_grad()
def score(model, tokens: Int[Tensor, "batch pos"]) -> Scores:
    """All three scores of every head, from one forward pass. ValueError when no token occurs
    twice."""
    return _scored(model, tokens)[0]


def _scored(model, tokens: Int[Tensor, "batch pos"]) -> tuple[Scores, dict[int, int]]:
    """The scores, and the window of each layer that does not see all."""
    found, windows, hooks = _scoring(model, tokens, stop=True)
    try:
        model.run_with_hooks(tokens.to(model.W_U.device).clamp_min(0), fwd_hooks=hooks)
    except _Enough:  # the last layer's MLP and the logits are nobody's business
        pass
    return Scores(*found), windows


class _Enough(Exception):
    """All heads are scored."""


def score_with_loss(model, tokens: Int[Tensor, "batch pos"]) -> tuple[Scores, float]:
    """`score` and `repeat_loss`, from one forward pass."""
    found, _, hooks = _scoring(model, tokens)
    loss = _mean_loss(model, tokens, rows_that_count(tokens), hooks)  # all at once, for the scores
    return Scores(*found), loss


def _scoring(
    model, tokens: Int[Tensor, "batch pos"], stop: bool = False
) -> tuple[Float[Tensor, "3 layer head"], dict[int, int], list[tuple[str, Callable]]]:
    """Where scores and windows are put as each head's pattern and z pass, and the hooks that do so.
    They may `stop` the forward pass behind the last head."""
    cfg, tokens = model.cfg, tokens.to(model.W_U.device)
    layers, direct = weights.attending_layers(model), weights.raising(model, tokens)
    found = torch.full((3, cfg.n_layers, cfg.n_heads), torch.nan)
    windows: dict[int, int] = {}
    seen = {}  # of a layer, whichever comes first: in some models that is z

    def on_pattern(pattern, hook):
        pattern, layer = weights.in_single(pattern), layer_of(hook)
        window = window_of(pattern)
        if window is not None:
            windows[layer] = window
        found[0, layer] = prefix_matching(pattern, tokens, window).cpu()
        found[1, layer] = previous_token(pattern, tokens).cpu()
        score_copying(layer, pattern=pattern)

    def on_z(z, hook):
        z = weights.by_head(z, cfg.n_heads)
        score_copying(layer_of(hook), z=weights.in_single(z))

    def score_copying(layer, **part):
        both = seen.pop(layer, {}) | part
        if len(both) < 2:
            seen[layer] = both
            return
        W_O = weights.written(model, layer)
        found[2, layer] = copying_along(both["pattern"], both["z"], W_O, direct, tokens).cpu()
        if stop and layer == layers[-1]:
            raise _Enough

    hooks = [(f"blocks.{layer}.attn.hook_pattern", on_pattern) for layer in layers]
    hooks += [(f"blocks.{layer}.attn.hook_z", on_z) for layer in layers]
    return found, windows, hooks


def repeat_loss(
    model, tokens: Int[Tensor, "batch pos"], fwd_hooks: Sequence = (), whole: bool = False
) -> float:
    """Mean loss, in nats, at the rows whose token has occurred before: on a probe, where induction
    knows the answer. ValueError when there is no such row before the last, whose loss nobody knows.

    The sequences go through the model in batches of MOST_LOGITS; a hook sees one batch at a time.
    With `whole` they go at once, as hooks need it that were made of all of them.
    """
    rows = rows_that_count(tokens)
    most = max(1, MOST_LOGITS // (tokens.shape[1] * model.cfg.d_vocab))
    at_once = len(tokens) if whole else most
    parts = zip(tokens.split(at_once), rows.split(at_once), strict=True)
    losses = [
        _mean_loss(model, part, here, fwd_hooks) * int(here.sum())
        for part, here in parts
        if here.any()
    ]
    return sum(losses) / int(rows.sum())


@torch.no_grad()
def _mean_loss(
    model, tokens: Int[Tensor, "batch pos"], rows: Bool[Tensor, "batch row"], fwd_hooks: Sequence
) -> float:
    tokens = tokens.to(model.W_U.device).clamp_min(0)
    logits = weights.in_single(model.run_with_hooks(tokens, fwd_hooks=list(fwd_hooks)))
    return cross_entropy(logits[:, :-1], tokens[:, 1:], rows.to(tokens.device)).item()


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
    if not heads:
        return {}
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

    @property
    def at(self) -> Head:
        return self.layer, self.head


@dataclass(frozen=True)
class HeadReport:
    """One row a head, the chance line of each score, and the heads that pass for induction heads.
    Layers that see a window of tokens and no more have chance lines of their own: `chance_within`,
    by the window, and `windows`, by the layer."""

    rows: list[HeadRow]
    chance: dict[str, float]
    induction_heads: list[Head]
    windows: dict[int, int] = field(default_factory=dict)
    chance_within: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def copies_from(self) -> float:
        """From which copying score on a head copies: twice the share of the raise that chance
        gives."""
        return 2 * (self.chance["copying"] + 1) - 1  # the score is 2 share - 1

    @property
    def previous_token_heads(self) -> list[Head]:
        """The heads with more than LOOKING_BACK of their attention on the token before: a
        convention. `best("previous_token")` needs none."""
        return [row.at for row in self.rows if row.previous_token > LOOKING_BACK]

    def best(self, score: str) -> HeadRow:
        """The row of the head with the largest score of this name, the first of them if several
        share it. ValueError for a score that does not exist or was measured of no head."""
        if score not in HeadRow._fields[2:]:
            raise ValueError(f"no score is called {score!r}; choose of {HeadRow._fields[2:]}")
        measured = [row for row in self.rows if getattr(row, score) is not None]
        if not measured:
            raise ValueError(
                f"{score} was measured of none of {len(self.rows)} heads; discover(model, "
                "ablate=True) measures every score of all"
            )
        return max(measured, key=lambda row: getattr(row, score))

    def table(self) -> Table:
        """A line a head, under the line of chance."""
        scores = HeadRow._fields[2:]
        lines = [["chance", *(_in_hundredths(self.chance.get(score)) for score in scores), ""]]
        for window, chance in self.chance_within.items():
            layers = " ".join(str(layer) for layer, has in self.windows.items() if has == window)
            numbers = [_in_hundredths(chance.get(score)) for score in scores]
            lines.append(["chance", *numbers, f"layers that see {window} tokens: {layers}"])
        for row in self.rows:
            named = "induction head" if row.at in self.induction_heads else ""
            lines.append([f"{row.layer}.{row.head}", *map(_in_hundredths, row[2:]), named])
        head = ["head", *(score.replace("_", " ") for score in scores), ""]
        if not any(line[-1] for line in lines):  # nothing is said of any
            head, *lines = (line[:-1] for line in (head, *lines))
        return Table(lines, head)

    def __str__(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    __repr__ = __str__


def _in_hundredths(score: float | None) -> str:
    return "-" if score is None else f"{round(score, 2) + 0.0:.2f}"


def discover(
    model,
    ids: TokenIds | None = None,
    tokens: TokenIds | None = None,
    ablate: bool | None = None,
    seed: int = 0,
    pad: int | None = None,
) -> HeadReport:
    """Score every head on repeated random tokens and name the induction heads.

    They pass two tests. Prefix matching above 1/2: most of the attention falls on induction
    targets. Copying: attended tokens get at least twice the share of the raise that attention blind
    to it would give them. The second test keeps out heads that match prefixes in order to suppress
    what they find (McDougall et al. 2023).

    `ids`: tokens to draw the probe from. `tokens`: a probe of your own instead, one row a sequence,
    each with BOS in front. Either may be a list, an array or a tensor. `pad`: the id that fills up
    the shorter of your rows, at their right. `ablate`: True measures the ablation effect of every
    head, False of none, None (the default) of every head up to 64 heads and beyond that of the
    named ones. Layers that do not attend have no rows in the report.

    ValueError for both `ids` and `tokens`, for what is not whole numbers, for tokens of which none
    occurs twice, for rows that end in one token again and again while no `pad` is named, and for a
    model of which no layer attends.
    """
    if ids is not None and tokens is not None:
        raise ValueError(
            "both ids and tokens given; give ids to draw a probe from, or tokens to score on"
        )
    cfg, heads = model.cfg, weights.all_heads(model)
    if tokens is None:
        tokens = probe(cfg.d_vocab, cfg.n_ctx, ids=ids, seed=seed, **special_ids(model))
    tokens = token_ids(tokens)
    if tokens.ndim != 2:
        raise ValueError(
            f"tokens have shape {tuple(tokens.shape)}; expected [batch, pos], for one sequence "
            "tokens[None]"
        )
    tokens = _padded(tokens, pad)
    scores, windows = _scored(model, tokens)
    chance = chance_lines(tokens)
    within = {window: chance_lines(tokens, window) for window in sorted({*windows.values()})}
    rows = [HeadRow(*at, *(score[at].item() for score in scores), None) for at in heads]
    report = HeadReport(rows, chance, [], windows, within)
    named = [
        row.at
        for row in rows
        if row.prefix_matching > THRESHOLD and row.copying > report.copies_from
    ]
    if ablate is None:
        ablate_these = heads if len(heads) <= 64 else named
    else:
        ablate_these = heads if ablate else []
    effect = ablation_effect(model, tokens, ablate_these)
    rows = [row._replace(ablation_effect=effect.get(row.at)) for row in rows]
    return replace(report, rows=rows, induction_heads=named)


def _padded(tokens: Int[Tensor, "batch pos"], pad: int | None) -> Int[Tensor, "batch pos"]:
    """The tokens with PAD for that id. ValueError where a row ends in one token over and over."""
    if pad is not None:
        return tokens.masked_fill(tokens == pad, PAD)
    ends = (tokens[:, -3:] == tokens[:, -1:]).all(1)
    if tokens.shape[1] > 3 and ends.any():
        row = int(ends.long().argmax())
        raise ValueError(
            f"row {row} of the tokens ends in {int(tokens[row, -1])} again and again, which looks "
            f"like padding and would count as repeats; name it, pad={int(tokens[row, -1])}, or cut "
            "it off"
        )
    return tokens


def chance_lines(tokens: Int[Tensor, "batch pos"], window: int | None = None) -> dict[str, float]:
    """What each score is for attention that is spread evenly, and for a raise that has nothing to
    do with the attention. In a `window`, of what can be seen."""
    tokens = tokens.cpu()
    uniform = uniform_pattern(tokens.shape[1], window).expand(len(tokens), -1, -1, -1)
    distinct = sum(len(row[row != PAD].unique()) - 1 for row in tokens) / len(tokens)  # not BOS
    return dict(
        prefix_matching=prefix_matching(uniform, tokens, window).item(),
        previous_token=previous_token(uniform, tokens).item(),
        copying=2 / distinct - 1,
        ablation_effect=0.0,
    )


# ---- over a training


def first_above(
    steps: Sequence[int], scores: Float[Tensor, "*runs snapshot"], threshold: float = THRESHOLD
) -> Float[Tensor, "*runs"]:
    """The first of the steps at which a score passes the threshold; nan where it never does."""
    above = scores > threshold
    first = torch.tensor(steps, dtype=torch.float)[above.long().argmax(-1)]
    return first.masked_fill(~above.any(-1), torch.nan)


def birth(history: Sequence[Mapping[str, Any]]) -> int | None:
    """The step at which an induction head is born: the first at which some head's prefix matching
    passes 1/2. None if none does.

    `history`: one entry a snapshot with "step" and "prefix_matching" [layer][head].
    """
    if not history:
        return None
    best = [
        max((max(layer) for layer in entry["prefix_matching"]), default=0.0) for entry in history
    ]
    step = first_above([entry["step"] for entry in history], torch.tensor(best)).item()
    return None if math.isnan(step) else int(step)
