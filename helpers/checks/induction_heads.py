"""The exercises of notebook 04: score a pattern by its mask, tell three models apart, take a head
out, idealise a head."""

import copy

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from helpers import handmade
from helpers.checks import Exercise, causal_patterns, different
from helpers.instruments import heads, interventions
from helpers.model import AttentionOnlyTransformer, ModelConfig

# ---- 1. the score of a pattern


def _documents(generator: Generator) -> Tensor:
    """One document three times over, each time with BOS in front, and at last without its last
    token: [pos]."""
    length, spare = different(generator, 2, 5, 12)
    block = torch.randperm(length + spare, generator=generator)[:length] + 1
    return F.pad(block, (1, 0)).repeat(3)[:-1]


def _pattern_and_tokens(generator: Generator) -> dict:
    tokens = _documents(generator)
    return dict(pattern=causal_patterns(generator, 1, len(tokens))[0], tokens=tokens)


def _on_targets(pattern: Tensor, tokens: Tensor, is_target, average="rows", ahead=False) -> Tensor:
    """Attention on the keys that `is_target(t, i, j)` accepts, row by row; averaged over the rows
    that have any ("rows"), over all rows ("all") or over single cells ("cells"). `ahead`: keys that
    come later count as well."""
    t = tokens.tolist()
    targets = [
        [j for j in range(len(t) if ahead else i + 1) if is_target(t, i, j)] for i in range(len(t))
    ]
    row_sums = [pattern[i, keys].sum() for i, keys in enumerate(targets) if keys]
    over = dict(rows=len(row_sums), all=len(t), cells=sum(map(len, targets)))[average]
    return torch.stack(row_sums).sum() / over


def _after_a_copy(t: list[int], i: int, j: int) -> bool:
    return j > 0 and t[j - 1] == t[i] != 0


def mask_score(pattern, tokens):
    before = torch.cat([torch.tensor([-1]), tokens[:-1]])  # the token in front of each key
    targets = (tokens[:, None] == before[None, :]).tril() & (tokens != 0)[:, None]
    return (pattern * targets).sum(1)[targets.any(1)].mean()


mask_score = Exercise(
    solution=mask_score,
    draw=_pattern_and_tokens,
    oracle=lambda pattern, tokens: _on_targets(pattern, tokens, _after_a_copy),
    mistakes={
        "you took a bare diagonal: it holds two rows too many, and none of the second "
        "targets": lambda pattern, tokens: pattern.diagonal(1 - tokens.tolist().index(0, 1)).mean(),
        "you looked at the earlier copy itself, and not at the token after "
        "it": lambda pattern, tokens: _on_targets(
            pattern, tokens, lambda t, i, j: j < i and t[j] == t[i] != 0
        ),
        "you looked at the token that preceded the earlier copy; the target is the one that "
        "followed it": (
            lambda pattern, tokens: _on_targets(
                pattern, tokens, lambda t, i, j: j + 1 < i and t[j + 1] == t[i] != 0
            )
        ),
        "you counted BOS: a copy of it is a copy of nothing": lambda pattern, tokens: _on_targets(
            pattern, tokens, lambda t, i, j: j > 0 and t[j - 1] == t[i]
        ),
        "you averaged over single cells (row, target), and a row with two targets can then reach "
        "one half at most": (
            lambda pattern, tokens: _on_targets(pattern, tokens, _after_a_copy, average="cells")
        ),
        "you counted rows whose only copy comes later; such a row has nothing to "
        "find": lambda pattern, tokens: _on_targets(pattern, tokens, _after_a_copy, ahead=True),
        "you averaged over all rows, also over those that have nothing to "
        "find": lambda pattern, tokens: _on_targets(pattern, tokens, _after_a_copy, average="all"),
    },
    hints=(
        "Which keys j count as hits of row i, and which rows have any?",
        "Key j counts when token j - 1 equals token i and is not BOS. Sum a row's attention over "
        "its hits, then average rows.",
        "Build a mask [query, key] by comparing tokens[:, None] with the tokens shifted by one; "
        "(pattern * mask).sum(1), then the mean over the rows where mask.any(1).",
    ),
)


# ---- 2. three anonymous models


def _three_models(generator: Generator) -> dict:
    """An induction head, a trap that was made for blocks of 16 tokens, and noise, in any order; all
    in 48 positions."""
    d_vocab, seed = (int(torch.randint(low, low + 8, (), generator=generator)) for low in (24, 0))
    shift = handmade.previous_token_head(d_vocab, 48)
    trap = interventions.Hooked(shift.cfg, interventions.clamp([(0, 0)], back=15))
    trap.load_state_dict(shift.state_dict())
    noise = AttentionOnlyTransformer(
        ModelConfig(n_layers=1 + seed % 2, n_heads=2, n_ctx=48, d_vocab=d_vocab, seed=seed)
    )
    models = [
        handmade.induction_head(d_vocab, 48),
        trap.requires_grad_(False),
        noise.requires_grad_(False),
    ]
    return dict(models=[models[i] for i in torch.randperm(3, generator=generator).tolist()])


def _true_kind(model) -> str:
    """Told from how the model was made, not from what it does."""
    return (
        "trap"
        if isinstance(model, interventions.Hooked)
        else "induction"
        if (model.W_U == handmade.LOGIT).any()
        else "random"
    )


def name_models(models):
    from helpers import sequences
    from helpers.instruments import heads

    def name(model):
        if heads.discover(model, ablate=False).induction_heads:
            return "induction"
        options = dict(
            batch=32,
            n_ctx=48,
            d_vocab=model.cfg.d_vocab,
            generator=torch.Generator().manual_seed(0),
        )
        batch = sequences.fixed_period(period=16, **options)
        right = (model(batch.tokens).argmax(-1) == batch.targets)[batch.determined].float().mean()
        return "trap" if right > 0.5 else "random"

    return [name(model) for model in models]


def _renamed(**names: str):
    return lambda models: [names.get(_true_kind(model), _true_kind(model)) for model in models]


name_models = Exercise(
    solution=name_models,
    draw=_three_models,
    oracle=lambda models: [_true_kind(model) for model in models],
    mistakes={
        "you went by the answers at one period, where the trap is perfect too": _renamed(
            trap="induction"
        ),
        "you never asked at the period that the trap was made for, and there it differs from "
        "noise": _renamed(trap="random"),
        "you called whatever fails on unseen periods a trap; noise fails there too": _renamed(
            random="trap"
        ),
        "you looked for a head that attends one step back; induction needs one, and is "
        "more": _renamed(induction="random"),
    },
    hints=(
        "What does each of the three do at period 16, and what at another period?",
        "heads.discover asks at many periods. Which model would pass there? Of the two others, "
        "which is right at period 16?",
        "induction if discover(model).induction_heads; else trap if it is right on "
        "sequences.fixed_period(period=16); else random.",
    ),
    draws=2,
)


# ---- 3. take a head out, and keep the patterns


def _model_tokens_head(generator: Generator) -> dict:
    """A random model with strong weights, and a head of its first layer, which matters to the
    patterns of the second."""
    n_heads, d_head, d_model, n_ctx, d_vocab = (
        int(torch.randint(low, high, (), generator=generator))
        for low, high in (
            (2, 4),
            (4, 8),
            (12, 20),
            (24, 32),
            (13, 20),
        )
    )
    seed = int(torch.randint(10**6, (), generator=generator))
    shape = dict(n_heads=n_heads, d_head=d_head, d_model=d_model, n_ctx=n_ctx, d_vocab=d_vocab)
    model = AttentionOnlyTransformer(
        ModelConfig(**shape, init_embed=1.0, init_weights=1.5, seed=seed)
    ).requires_grad_(False)
    return dict(
        model=model,
        tokens=heads.probe(d_vocab, n_ctx, sequences=4, seed=seed),
        head=(0, seed % n_heads),
    )


def _rise(
    model,
    tokens: Tensor,
    head: tuple[int, int],
    keep: bool = True,
    layer: bool = False,
    all_rows: bool = False,
) -> float:
    """The rise of the loss when W_O of the head (or of its whole layer) is zero; the loss is summed
    row by row."""
    without = copy.deepcopy(model)
    without.W_O[head[0] if layer else head] = 0
    hooks = interventions.frozen_patterns(model, tokens) if keep else []
    means = []
    for logits in (model(tokens), without.run_with_hooks(tokens, hooks)):
        surprise = [
            -row.log_softmax(-1)[sequence[i + 1]].item()
            for sequence, rows in zip(tokens.tolist(), logits, strict=True)
            for i, row in enumerate(rows[:-1])
            if all_rows or sequence[i] in sequence[:i]
        ]
        means.append(sum(surprise) / len(surprise))
    return means[1] - means[0]


def cost_without(model, tokens, head):
    from helpers.instruments import heads

    _, cache = model.run_with_cache(tokens)
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    frozen = [(name, lambda pattern, hook: cache[hook.name]) for name in names]
    after = heads.repeat_loss(model, tokens, frozen + heads.zero_heads(model, [head]))
    return after - heads.repeat_loss(model, tokens)


cost_without = Exercise(
    solution=cost_without,
    draw=_model_tokens_head,
    oracle=_rise,
    mistakes={
        "you let the patterns be recomputed: that is the full ablation": lambda *given: _rise(
            *given, keep=False
        ),
        "you took before minus after; a head that is missed must give a positive "
        "rise": lambda *given: -_rise(*given),
        "you silenced the whole layer, and not one head of it": lambda *given: _rise(
            *given, layer=True
        ),
        "you took the loss over all rows, also over those that nobody can know": lambda *given: (
            _rise(*given, all_rows=True)
        ),
        "you put the head's mean in its place, and not zero": lambda model, tokens, head: (
            interventions.ablation(model, tokens, [head], "mean", keep_patterns=True)
        ),
        "you returned the loss without the head; the rise is that minus the loss with "
        "it": lambda model, tokens, head: (
            _rise(model, tokens, head) + heads.repeat_loss(model, tokens)
        ),
    },
    hints=(
        "Two forward passes: what must the second one keep from the first?",
        "Store every hook_pattern in the first pass. In the second, hooks put them back, and hooks "
        "of heads.zero_heads silence the head.",
        "frozen = [(name, lambda pattern, hook: cache[hook.name]) for each layer's name]; then "
        "repeat_loss(model, tokens, frozen + "
        "zero_heads(model, [head])) minus repeat_loss(model, tokens).",
    ),
    draws=3,
)


# ---- 4. put an ideal in place of a head


def _patterns_tokens_head(generator: Generator) -> dict:
    tokens, n_heads = _documents(generator), int(torch.randint(2, 5, (), generator=generator))
    at = int(torch.randint(n_heads, (), generator=generator))
    return dict(patterns=causal_patterns(generator, n_heads, len(tokens)), tokens=tokens, head=at)


def _ideal(
    patterns: Tensor,
    tokens: Tensor,
    head: int,
    is_target=_after_a_copy,
    otherwise="as it was",
    share=True,
    every=False,
    ahead=False,
) -> Tensor:
    answer, t = patterns.clone(), tokens.tolist()
    for at in range(len(patterns)) if every else [head]:
        for i in range(len(t)):
            keys = [j for j in range(len(t) if ahead else i + 1) if is_target(t, i, j)]
            if keys or otherwise == "nothing":
                answer[at, i] = 0
                answer[at, i, keys] = 1 / len(keys) if share and keys else 1.0
    return answer


def idealise(patterns, tokens, head):
    before = torch.cat([torch.tensor([-1]), tokens[:-1]])
    targets = (tokens[:, None] == before[None, :]).tril() & (tokens != 0)[:, None]
    count = targets.sum(1, keepdim=True)
    ideal = patterns.clone()
    ideal[head] = torch.where(count > 0, targets / count.clamp(min=1), patterns[head])
    return ideal


idealise = Exercise(
    solution=idealise,
    draw=_patterns_tokens_head,
    oracle=_ideal,
    mistakes={
        "rows without a target now attend to nothing; a row of attention sums to one, so leave "
        "them as they were": (lambda *given: _ideal(*given, otherwise="nothing")),
        "each of several targets got all the attention; they have to share it": lambda *given: (
            _ideal(*given, share=False)
        ),
        "a row looks at copies that come after it; it sees only what stands "
        "before": lambda *given: _ideal(*given, ahead=True),
        "you idealised every head, and not the one you were asked for": lambda *given: _ideal(
            *given, every=True
        ),
        "you attend to the earlier copy itself, and not to the token after it": lambda *given: (
            _ideal(*given, is_target=lambda t, i, j: j < i and t[j] == t[i] != 0)
        ),
        "you let copies of BOS count as copies": lambda *given: _ideal(
            *given, is_target=lambda t, i, j: j > 0 and t[j - 1] == t[i]
        ),
    },
    hints=(
        "Which rows does the story speak about, and what should such a row look like?",
        "The mask of the first exercise, each row divided by its number of targets. Other rows, "
        "and other heads, stay.",
        "torch.where(count > 0, targets / count.clamp(min=1), patterns[head]) with targets the "
        "mask and count its row sums.",
    ),
)
