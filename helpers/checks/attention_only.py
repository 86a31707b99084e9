"""The exercises of notebook 01: attention by hand, OV, frozen patterns, copying, and a head whose
weights the reader writes."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.checks import Exercise, causal_patterns, different, written_head

# ---- the causal mask and the scale


def attention_pattern(q, k):
    scores = q @ k.T / math.sqrt(q.shape[1])
    future = torch.ones(len(q), len(q), dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -torch.inf).softmax(-1)


def _queries_and_keys(generator: Generator) -> dict[str, Tensor]:
    pos, d_head = different(generator, 2, low=3)
    q, k = 2 * torch.randn(2, pos, d_head, generator=generator)
    return dict(q=q, k=k)


def _pattern_by_loops(
    q: Float[Tensor, "pos d_head"], k: Float[Tensor, "pos d_head"]
) -> Float[Tensor, "pos pos"]:
    pattern = torch.zeros(len(q), len(q))
    for i in range(len(q)):
        weights = [
            math.exp(
                sum(a * b for a, b in zip(q[i].tolist(), k[j].tolist(), strict=True))
                / q.shape[1] ** 0.5
            )
            for j in range(i + 1)
        ]
        pattern[i, : i + 1] = torch.tensor(weights) / sum(weights)
    return pattern


def _masked(scores: Tensor, diagonal: int = 1) -> Tensor:
    return scores.masked_fill(torch.ones_like(scores).triu(diagonal).bool(), -torch.inf)


def _scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT / math.sqrt(q.shape[-1])


attention_pattern = Exercise(
    solution=attention_pattern,
    draw=_queries_and_keys,
    oracle=_pattern_by_loops,
    mistakes={
        "the division by sqrt(d_head) is missing": lambda q, k: _masked(q @ k.T).softmax(-1),
        "you divided by d_head, not by its square root": lambda q, k: _masked(
            q @ k.T / q.shape[1]
        ).softmax(-1),
        "you divided by the root of the number of positions; it is that of d_head": lambda q, k: (
            _masked(q @ k.T / len(q) ** 0.5).softmax(-1)
        ),
        "queries and keys have changed places: rows are queries": lambda q, k: _masked(
            _scores(k, q)
        ).softmax(-1),
        "there is no mask: each position sees the future": lambda q, k: _scores(q, k).softmax(-1),
        "neither the mask nor the scale is there": lambda q, k: (q @ k.T).softmax(-1),
        "the mask is off by one: each position sees the next one": lambda q, k: _masked(
            _scores(q, k), 2
        ).softmax(-1),
        "the mask hides each position from itself too, and nothing is left for the "
        "first": lambda q, k: _masked(_scores(q, k), 0).softmax(-1),
        "the mask comes after the softmax, so the rows no longer sum to one": lambda q, k: (
            _scores(q, k).softmax(-1).tril()
        ),
        "the masked scores are 0, not minus infinity: a score of 0 still gets "
        "attention": lambda q, k: _scores(q, k).tril().softmax(-1),
        "the softmax is missing: these are scores, not yet a pattern": lambda q, k: _masked(
            _scores(q, k)
        ),
        "the softmax runs over the queries, not over the keys": lambda q, k: _masked(
            _scores(q, k)
        ).softmax(0),
        "the mask hides the past, not the future": lambda q, k: (
            _masked(_scores(q, k).flip(0, 1)).flip(0, 1).softmax(-1)
        ),
    },
    hints=(
        "Every row of the answer is a probability distribution over the positions up to its own. "
        "Which of three steps makes it one?",
        "Scores first: each query with each key, over the root of d_head. Then hide the future, "
        "then the softmax over keys.",
        "Hide with minus infinity: masked_fill on torch.ones(...).triu(1), which leaves the "
        "diagonal alone. softmax(-1) is last.",
    ),
)


# ---- the full OV circuit


def full_ov(W_E, W_V, W_O, W_U):
    return (W_E @ W_V) @ (W_O @ W_U)


def _ov_weights(generator: Generator) -> dict[str, Tensor]:
    d_vocab, d_model, d_head = different(generator, 3, low=3)
    shapes = dict(
        W_E=(d_vocab, d_model), W_V=(d_model, d_head), W_O=(d_head, d_model), W_U=(d_model, d_vocab)
    )
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _ov_token_by_token(
    W_E: Float[Tensor, "d_vocab d_model"],
    W_V: Float[Tensor, "d_model d_head"],
    W_O: Float[Tensor, "d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
) -> Float[Tensor, "d_vocab d_vocab"]:
    """What each source token, attended to alone, adds to each logit."""
    return torch.stack(
        [torch.stack([((x @ W_V) @ W_O).dot(reads) for reads in W_U.T]) for x in W_E]
    )


full_ov = Exercise(
    solution=full_ov,
    draw=_ov_weights,
    oracle=_ov_token_by_token,
    mistakes={
        "this is the paper's orientation, output by source; here rows are source "
        "tokens": lambda W_E, W_V, W_O, W_U: (W_E @ W_V @ W_O @ W_U).T,
        "the head is missing: this is the direct path": lambda W_E, W_V, W_O, W_U: W_E @ W_U,
        "W_E is missing: rows must be tokens, not stream dimensions": lambda W_E, W_V, W_O, W_U: (
            W_V @ W_O @ W_U
        ),
        "W_U is missing: columns must be logits, not stream "
        "dimensions": lambda W_E, W_V, W_O, W_U: W_E @ W_V @ W_O,
        "the direct path is in it too: OV is the head's part alone": lambda W_E, W_V, W_O, W_U: (
            W_E @ W_U + W_E @ W_V @ W_O @ W_U
        ),
        "W_V and W_O are exchanged and transposed": lambda W_E, W_V, W_O, W_U: (
            W_E @ W_O.T @ W_V.T @ W_U
        ),
    },
    hints=(
        "Follow one token: it is embedded, read as a value, written to the stream, and read out as "
        "logits.",
        "Four matrices in the order of that journey. Check the shapes: they fit in one order only, "
        "unless you transpose.",
        "W_E @ W_V is [d_vocab, d_head], W_O @ W_U is [d_head, d_vocab]; their product is the "
        "answer.",
    ),
)


# ---- patterns, frozen


def frozen_logits(x, patterns, W_V, W_O, W_U):
    written = patterns @ (x @ W_V) @ W_O  # [head, pos, d_model]
    return (x + written.sum(0)) @ W_U


def _frozen_layer(generator: Generator) -> dict[str, Tensor]:
    heads, pos, d_model, d_head, d_vocab = different(generator, 5)
    draw = dict(
        x=(pos, d_model),
        W_V=(heads, d_model, d_head),
        W_O=(heads, d_head, d_model),
        W_U=(d_model, d_vocab),
    )
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in draw.items()}
    return dict(x=drawn.pop("x"), patterns=causal_patterns(generator, heads, pos), **drawn)


def _frozen_by_loops(
    x: Float[Tensor, "pos d_model"],
    patterns: Float[Tensor, "head query key"],
    W_V: Float[Tensor, "head d_model d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
) -> Float[Tensor, "pos d_vocab"]:
    logits = torch.zeros(len(x), W_U.shape[1])
    for i in range(len(x)):
        stream = x[i].clone()
        for A, into, out in zip(patterns, W_V, W_O, strict=True):
            for j in range(i + 1):
                stream += A[i, j] * ((x[j] @ into) @ out)
        logits[i] = stream @ W_U
    return logits


frozen_logits = Exercise(
    solution=frozen_logits,
    draw=_frozen_layer,
    oracle=_frozen_by_loops,
    mistakes={
        "the direct path is missing: the stream keeps x beside what the heads add": (
            lambda x, patterns, W_V, W_O, W_U: (patterns @ (x @ W_V) @ W_O).sum(0) @ W_U
        ),
        "the heads are averaged; they add up": lambda x, patterns, W_V, W_O, W_U: (
            (x + (patterns @ (x @ W_V) @ W_O).mean(0)) @ W_U
        ),
        "the patterns are transposed: rows are queries, and each query collects from its keys": (
            lambda x, patterns, W_V, W_O, W_U: (x + (patterns.mT @ (x @ W_V) @ W_O).sum(0)) @ W_U
        ),
        "the frozen patterns went through a softmax again": (
            lambda x, patterns, W_V, W_O, W_U: (
                (x + (_softmax_again(patterns) @ (x @ W_V) @ W_O).sum(0)) @ W_U
            )
        ),
        "x goes in once for every head: the stream is shared": (
            lambda x, patterns, W_V, W_O, W_U: (x + patterns @ (x @ W_V) @ W_O).sum(0) @ W_U
        ),
        "the heads read one another: all heads of a layer read the same "
        "x": lambda x, patterns, W_V, W_O, W_U: _one_by_one(x, patterns, W_V, W_O) @ W_U,
        "W_U is missing: this is the stream, not the logits": lambda x, patterns, W_V, W_O, W_U: (
            x + (patterns @ (x @ W_V) @ W_O).sum(0)
        ),
    },
    hints=(
        "There is nothing left to compute about where to attend. What does a head do with a "
        "pattern that somebody hands to it?",
        "Head h adds patterns[h] @ x @ W_V[h] @ W_O[h] to the stream, which already holds x. Then "
        "W_U reads the sum.",
        "x @ W_V has a head axis in front; patterns @ that @ W_O keeps it; sum(0) adds up the "
        "heads; add x before W_U.",
    ),
)


def _softmax_again(patterns: Tensor) -> Tensor:
    return _masked(patterns).softmax(-1)


def _one_by_one(x: Tensor, patterns: Tensor, W_V: Tensor, W_O: Tensor) -> Tensor:
    for A, into, out in zip(patterns, W_V, W_O, strict=True):
        x = x + A @ x @ into @ out
    return x


# ---- the copying statistic, small


class Watched(Tensor):
    """A weight that takes part in no matrix as large as d_vocab x d_vocab."""

    largest = 39

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        result = super().__torch_function__(func, types, args, kwargs or {})
        if isinstance(result, Tensor) and result.ndim == 2 and min(result.shape) > cls.largest:
            raise ValueError(
                f"this makes a matrix {list(result.shape)}, and the exercise is to do without; the "
                "eigenvalues other than 0 of A @ B are those of B @ A, which can be much smaller"
            )
        return result


def copying_statistic(W_E, W_V, W_O, W_U):
    eigenvalues = torch.linalg.eigvals((W_O @ W_U) @ (W_E @ W_V))
    return eigenvalues.sum().real / eigenvalues.abs().sum()


def _many_tokens(generator: Generator) -> dict[str, Tensor]:
    d_model, d_head = different(generator, 2, low=3)
    d_vocab = Watched.largest + int(torch.randint(1, 20, (1,), generator=generator))
    shapes = dict(
        W_E=(d_vocab, d_model), W_V=(d_model, d_head), W_O=(d_head, d_model), W_U=(d_model, d_vocab)
    )
    drawn = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    # some copy, some do the opposite
    drawn["W_U"] += drawn["W_E"].T * torch.randn(1, generator=generator).item()
    return {name: weight.as_subclass(Watched) for name, weight in drawn.items()}


def _statistic_of_the_whole(
    W_E: Tensor, W_V: Tensor, W_O: Tensor, W_U: Tensor
) -> Float[Tensor, ""]:
    """From the d_vocab x d_vocab matrix: its diagonal over the sizes of all its eigenvalues."""
    W_E, W_V, W_O, W_U = (W.as_subclass(Tensor) for W in (W_E, W_V, W_O, W_U))
    whole = W_E @ W_V @ W_O @ W_U
    return sum(whole[v, v] for v in range(len(whole))) / torch.linalg.eigvals(whole).abs().sum()


def _small(W_E: Tensor, W_V: Tensor, W_O: Tensor, W_U: Tensor) -> Tensor:
    return (W_O @ W_U) @ (W_E @ W_V)


copying_statistic = Exercise(
    solution=copying_statistic,
    draw=_many_tokens,
    oracle=_statistic_of_the_whole,
    mistakes={
        "these are singular values, which are never negative; the sign is the point": (
            lambda *W: (
                torch.linalg.svdvals(_small(*W)).sum() / torch.linalg.svdvals(_small(*W)).sum()
            )
        ),
        "this divides by the size of the sum, not by the sum of the sizes": lambda *W: (
            _small(*W).trace() / _small(*W).trace().abs()
        ),
        "this is the sum alone; without the division it grows with the weights": lambda *W: _small(
            *W
        ).trace(),
        "this counts the positive eigenvalues and ignores their sizes": (
            lambda *W: (torch.linalg.eigvals(_small(*W)).real > 0).double().mean()
        ),
        "W_E and W_U are missing: this asks what the head does to the stream, not to tokens": (
            lambda W_E, W_V, W_O, W_U: (
                (W_O @ W_V).trace() / torch.linalg.eigvals(W_O @ W_V).abs().sum()
            )
        ),
        "the real parts' sizes are summed; a complex eigenvalue is larger than its real part": (
            lambda *W: _small(*W).trace() / torch.linalg.eigvals(_small(*W)).real.abs().sum()
        ),
    },
    hints=(
        "The product of the four matrices has at most d_head eigenvalues that are not 0. Which "
        "smaller product has the same ones?",
        "A @ B and B @ A share them. Cut W_E @ W_V @ W_O @ W_U in the middle and exchange the two "
        "halves.",
        "torch.linalg.eigvals((W_O @ W_U) @ (W_E @ W_V)); then the real part of their sum over the "
        "sum of their abs().",
    ),
)


# ---- a head written by hand


def skip_trigram_head(d_vocab, source, destination, out):
    W_Q, W_K, W_V = torch.zeros(3, d_vocab, 2)
    W_O = torch.zeros(2, d_vocab)
    W_Q[destination, 0] = 100  # asks for the source
    W_K[source, 0] = 1
    W_Q[:, 1] = 20  # all ask for BOS, less loudly: a place to rest
    W_K[0, 1] = 1
    W_V[source, 0] = 1
    W_O[0, out] = 20
    return W_Q, W_K, W_V, W_O


def _a_skip_trigram(generator: Generator) -> dict[str, int]:
    d_vocab = int(torch.randint(8, 15, (1,), generator=generator))
    source, destination, out = (torch.randperm(d_vocab - 1, generator=generator)[:3] + 1).tolist()
    return dict(d_vocab=d_vocab, source=source, destination=destination, out=out)


def _with(change: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """The solution with its four matrices changed."""
    return lambda *trigram: change(*skip_trigram_head.solution(*trigram))


skip_trigram_head = Exercise(
    solution=skip_trigram_head,
    draw=_a_skip_trigram,
    judge=written_head.judge,
    mistakes={
        **{why: _with(spoil) for why, (spoil, _) in written_head.SPOILED.items()},
        # every value says the answer, that of BOS too
        written_head.NO_REST: _with(lambda q, k, v, o: (q, k, torch.ones_like(v), o)),
        # all ask for the source
        written_head.OTHERS_FIRE: _with(lambda q, k, v, o: (q.amax(0).expand_as(q), k, v, o)),
    },
    hints=(
        "Two questions, two circuits: who should look where (W_Q, W_K), and what should be said "
        "when the source is seen (W_V, W_O).",
        "With d_head 1 the destination finds the source. A second dimension, in which all ask for "
        "BOS (id 0), gives everyone a place to rest.",
        "W_Q[destination, 0] large, W_K[source, 0] = 1; W_Q[:, 1] smaller, W_K[0, 1] = 1; "
        "W_V[source, 0] = 1; W_O[0, out] large.",
    ),
)
