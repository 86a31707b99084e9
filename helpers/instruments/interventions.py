"""What happens when a part of a trained model is taken out, cut off, or replaced by what it is said
to be.

Everything here makes hooks; pass them to `heads.repeat_loss` (those that are made of tokens with
`whole`), to `model.run_with_hooks` or to `Hooked`.

- Ablation: a head's output becomes zero or its own mean, and what follows is recomputed (full) or
  keeps the patterns that it had (pattern-preserving).
- Path patching: what one head wrote is replaced on its way into one reader, and nowhere else.
- Ideal heads: a pattern becomes an exact shift or an exact match, an OV circuit an exact copy.

Path patching and ideal heads take the course's model, without normalization. Ablations take any
TransformerBridge too.

Sources: Olsson et al. 2022, In-context Learning and Induction Heads, argument 3 (ablations); Singh
et al. 2024, What needs to go right for an induction head? (clamping). Ideal heads ask the question
of causal scrubbing (Chan et al. 2022), more coarsely.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from helpers.hooks import check_head_of, layer_of
from helpers.instruments.circuits import full_ov
from helpers.instruments.heads import repeat_loss, zero_heads
from helpers.instruments.patterns import ideal_patterns, prefix_matching
from helpers.instruments.weights import check_ours
from helpers.model import AttentionOnlyTransformer, Head, ModelConfig, check_order

Hooks = list[tuple[str, Callable]]


class Hooked(AttentionOnlyTransformer):
    """The same model with hooks that always act: while it trains, when it is scored, and before any
    other hook."""

    def __init__(self, config: ModelConfig, hooks: Hooks):
        super().__init__(config)
        self.hooks = hooks

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        return self.run_with_hooks(tokens)

    def run_with_hooks(
        self, tokens: Int[Tensor, "batch pos"], fwd_hooks=()
    ) -> Float[Tensor, "batch pos d_vocab"]:
        return super().run_with_hooks(tokens, [*self.hooks, *fwd_hooks])


# ---- ablations


@torch.no_grad()
def mean_heads(model, tokens: Int[Tensor, "batch pos"], heads: Sequence[Head]) -> Hooks:
    """Hooks that set each of these heads' outputs to its mean over all positions of `tokens`: the
    same everywhere."""
    means = {}
    keep = [
        (name, lambda z, hook: means.update({hook.name: z.mean((0, 1))}))
        for name, _ in zero_heads(model, heads)
    ]
    model.run_with_hooks(tokens, fwd_hooks=keep)

    def set_to_mean(z, hook):
        by_head = z.clone().view(*z.shape[:2], model.cfg.n_heads, -1)
        # a bridge has other names for z
        of_layer = [head for layer, head in heads if layer == layer_of(hook)]
        by_head[:, :, of_layer] = means[hook.name].view(model.cfg.n_heads, -1)[of_layer]
        return by_head.view_as(z)

    return [(name, set_to_mean) for name, _ in keep]


@torch.no_grad()
def frozen_patterns(model, tokens: Int[Tensor, "batch pos"]) -> Hooks:
    """Hooks that force every pattern to be what it is on these tokens when nothing is changed."""
    patterns = {}
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    keep = [(name, lambda pattern, hook: patterns.update({hook.name: pattern})) for name in names]
    model.run_with_hooks(tokens, fwd_hooks=keep)
    return [(name, lambda pattern, hook: patterns[hook.name]) for name in names]


def ablation(
    model,
    tokens: Int[Tensor, "batch pos"],
    heads: Sequence[Head],
    to: Literal["zero", "mean"] = "zero",
    keep_patterns: bool = False,
) -> float:
    """By how many nats the repeat loss rises without these heads.

    `to`: what stands in for their outputs. With `keep_patterns` all heads go on attending where
    they did, so that only what the ablated ones moved is lost; that is the paper's main table.
    ValueError for a head that does not exist.
    """
    if to not in ("zero", "mean"):
        raise ValueError(f"an ablation to {to!r}; choose 'zero' or 'mean'")
    hooks = zero_heads(model, heads) if to == "zero" else mean_heads(model, tokens, heads)
    frozen = frozen_patterns(model, tokens) if keep_patterns else []
    changed = repeat_loss(model, tokens, [*frozen, *hooks], whole=keep_patterns)
    return changed - repeat_loss(model, tokens)


# ---- path patching


class Edge(NamedTuple):
    """From what an earlier head writes to what a later head reads as query, key or value."""

    writer: Head
    reader: Head
    side: Literal["q", "k", "v"]


@torch.no_grad()
def head_outputs(
    model, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch pos head d_model"]:
    """What every head adds to the stream."""
    _, cache = model.run_with_cache(tokens, lambda name: name.endswith("hook_result"))
    return torch.stack([cache["result", layer] for layer in range(model.cfg.n_layers)])


def patch(edges: Sequence[Edge], clean: Tensor, instead: Tensor) -> Hooks:
    """Hooks that replace the writer's output on these edges only; `clean` and `instead` are as
    `head_outputs` gives them.

    The reader sees `instead`; every other reader, and the logits, go on seeing what the writer
    wrote.
    """

    def on_input(edge: Edge) -> Callable:
        (layer, writer), (_, reader), _ = edge
        change = instead[layer, :, :, writer] - clean[layer, :, :, writer]

        def replaced(x, hook):
            x = x.clone()
            x[:, :, reader] += change
            return x

        return replaced

    return [(f"blocks.{edge.reader[0]}.hook_{edge.side}_input", on_input(edge)) for edge in edges]


class Effect(NamedTuple):
    """What a patch costs: the rise of the repeat loss, in nats, and the readers' mean fall in
    prefix matching."""

    loss: float
    prefix_matching: float


@torch.no_grad()
def patch_effect(
    model, tokens: Int[Tensor, "batch pos"], edges: Sequence[Edge], instead: Tensor | None = None
) -> Effect:
    """Cut these edges. `instead`: what the readers get, as `head_outputs` gives it; by default the
    mean over all positions.

    ValueError for edges whose writer does not come before the reader and for models with a
    normalization, in which the parts of the stream do not simply add up.
    """
    check_ours(model, "patch_effect")
    for edge in edges:
        check_order(model, edge.writer, edge.reader)
    if model.cfg.normalization is not None:
        raise ValueError(
            "patching one edge takes a model without normalization, behind which the parts of the "
            "stream do not simply add up; ablation takes whole heads out of any model"
        )
    clean = head_outputs(model, tokens)
    instead = clean.mean((1, 2), keepdim=True).expand_as(clean) if instead is None else instead
    hooks = patch(edges, clean, instead)
    rise = repeat_loss(model, tokens, hooks, whole=True) - repeat_loss(model, tokens)
    readers = sorted({edge.reader for edge in edges})
    fall = [
        _matching(model, tokens, reader) - _matching(model, tokens, reader, hooks)
        for reader in readers
    ]
    return Effect(rise, sum(fall) / max(len(fall), 1))


def _matching(model, tokens: Tensor, at: Head, hooks: Sequence = ()) -> float:
    found = []
    keep = (
        f"blocks.{at[0]}.attn.hook_pattern",
        lambda pattern, hook: found.append(prefix_matching(pattern, tokens)[at[1]]),
    )
    model.run_with_hooks(tokens, [*hooks, keep])
    return found[0].item()


def relabelled(
    tokens: Int[Tensor, "batch pos"], d_vocab: int, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """The same repetitions in other tokens: all ids but BOS change places, in each sequence in
    another way."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.stack([torch.randperm(d_vocab - 1, generator=generator) + 1 for _ in tokens])
    return F.pad(places, (1, 0)).gather(1, tokens)


# ---- ideal heads, and patterns held fixed


def shift_pattern(pos: int, back: int = 1) -> Float[Tensor, "query key"]:
    """All attention `back` positions back. The first rows, which have no such position, attend to
    BOS."""
    return F.one_hot((torch.arange(pos) - back).clamp_min(0), pos).float()


def clamp(heads: Sequence[Head], back: int = 1) -> Hooks:
    """The patterns of these heads become `shift_pattern`, for any tokens; no gradient reaches their
    queries and keys. As all hooks on patterns here they raise a ValueError for a head that does not
    exist."""
    return [
        _set_pattern(at, lambda pattern: shift_pattern(pattern.shape[-1], back).to(pattern))
        for at in heads
    ]


def match_exactly(
    heads: Sequence[Head], tokens: Int[Tensor, "batch pos"], after: Literal[0, 1] = 1
) -> Hooks:
    """These heads attend evenly to all their induction targets on these tokens. Rows without a
    target stay as they are: the story says nothing about them. `after=0` is another story, with the
    earlier copy itself as the target."""
    ideal = ideal_patterns(tokens)["induction"][:, 0]
    has_target = ideal[..., 1:].any(-1, keepdim=True)
    ideal = ideal.roll(after - 1, -1)
    return [
        _set_pattern(at, lambda pattern: torch.where(has_target, ideal.to(pattern), pattern))
        for at in heads
    ]


@torch.no_grad()
def copy_exactly(model, heads: Sequence[Head], tokens: Int[Tensor, "batch pos"]) -> Hooks:
    """These heads raise the logit of each token they attend to by the same amount, and no other
    logit, as far as the stream has room for that.

    The amount is the head's own: how much more its OV circuit raises a token itself than the
    others, on average. BOS is not copied. Their patterns stay as they are.
    """
    # [d_vocab, d_model]: the least vector that comes closest to raising one logit
    alone = torch.linalg.pinv(model.W_U)
    alone = alone / (alone * model.W_U.T).sum(1).mean()
    patterns: dict[str, Tensor] = {}

    def keep(pattern, hook):
        patterns[hook.name] = pattern

    def write(at: Head) -> Callable:
        raised = alone[tokens] * (tokens > 0)[..., None] * _own_raise(model, at)

        def copied(result, hook):
            result = result.clone()
            result[:, :, at[1]] = (
                patterns[hook.name.replace("result", "pattern")][:, at[1]] @ raised
            )
            return result

        return copied

    watch = [
        (f"blocks.{layer}.attn.hook_pattern", keep)
        for layer in sorted({layer for layer, _ in heads})
    ]
    return watch + [(f"blocks.{at[0]}.attn.hook_result", write(at)) for at in heads]


def loss_recovered(
    model,
    tokens: Int[Tensor, "batch pos"],
    replacements: Mapping[str, Sequence],
    without: Sequence[Head],
) -> dict[str, float]:
    """For each replacement, a list of hooks: how much of what the heads `without` are worth is left
    under it.

    1 is the model as it is, 0 the model in which these heads write nothing but their mean; below 0
    is worse than that. ValueError for heads that are worth nothing, as no heads are.
    """
    intact, worth = repeat_loss(model, tokens), ablation(model, tokens, without, "mean")
    if worth == 0:
        raise ValueError(
            f"the heads {list(without)} are worth 0 nats here, so no share of it can be left; give "
            "heads whose ablation costs something"
        )
    return {
        name: 1 - (repeat_loss(model, tokens, hooks, whole=True) - intact) / worth
        for name, hooks in replacements.items()
    }


def _set_pattern(at: Head, make: Callable[[Tensor], Tensor]) -> tuple[str, Callable]:
    layer, head = at

    def hold(pattern, hook):
        check_head_of(hook, head, pattern.shape[1])
        pattern = pattern.clone()
        pattern[:, head] = make(pattern[:, head])
        return pattern

    return f"blocks.{layer}.attn.hook_pattern", hold


def _own_raise(model, at: Head) -> Tensor:
    circuit = full_ov(model, *at)[1:, 1:]  # without BOS
    own, n = circuit.diagonal().mean(), len(circuit)
    return own - (circuit.sum() - own * n) / (n * (n - 1))
