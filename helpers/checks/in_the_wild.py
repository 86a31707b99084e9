"""The exercises of notebook 06: score a pattern where BOS has any id, tell copying from
suppression, find the key head of a query head, turn a vector by its position."""

import cmath
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from helpers.checks import Exercise, causal_patterns, different

# ---- 1. prefix matching on a real model's tokens


def matching_share(pattern, tokens):
    before = torch.cat([torch.tensor([-1]), tokens[:-1]])  # the token in front of each key
    targets = (tokens[:, None] == before[None, :]).tril()
    return (pattern * targets).sum(1)[targets.any(1)].mean()


def _on_a_text(generator: Generator) -> dict[str, Tensor]:
    """BOS, of any id but 0, then a block of tokens that ends in 0, the same again, and the same in
    another order. Half of the attention rests on BOS."""
    length, spare = different(generator, 2, 5, 12)
    bos, *ids = torch.randperm(length + spare, generator=generator)[:length] + 1
    block = torch.tensor([*ids, 0])
    shuffled = block[torch.randperm(length, generator=generator)]
    tokens = torch.cat([bos[None], block, block, shuffled])
    pattern = causal_patterns(generator, 1, len(tokens))[0] / 2
    pattern[:, 0] += 1 / 2
    return dict(pattern=pattern, tokens=tokens)


def _copies(t: list[int], i: int) -> list[int]:
    return [j for j in range(1, i) if t[j] == t[i]]


def _after_copies(t: list[int], i: int) -> list[int]:
    return [j + 1 for j in _copies(t, i)]


def _walked(pattern: Tensor, tokens: Tensor, keys: Callable = _after_copies, rows=None) -> float:
    """Row by row the attention on `keys(tokens, row)`, averaged over the rows that have any, or
    over so many `rows`."""
    hits = [keys(tokens.tolist(), i) for i in range(len(tokens))]
    shares = [sum(row[j] for j in js) for row, js in zip(pattern.tolist(), hits, strict=True) if js]
    return sum(shares) / (rows or len(shares))


def _one_diagonal(pattern: Tensor, tokens: Tensor) -> Tensor:
    length = tokens.tolist().index(tokens[1], 2) - 1
    return pattern.diagonal(1 - length).mean()


matching_share = Exercise(
    solution=matching_share,
    draw=_on_a_text,
    oracle=_walked,
    mistakes={
        "you took a bare diagonal: it takes in BOS, and here tokens come back at any "
        "distance": _one_diagonal,
        "you rolled the tokens round: BOS now stands behind the last of them, and is counted as "
        "its target": lambda pattern, tokens: _walked(
            pattern, tokens, lambda t, i: [j for j in range(i + 1) if t[j - 1] == t[i]]
        ),
        "you know BOS by the id 0, and here 0 is a token like others; BOS is what stands "
        "first": lambda pattern, tokens: _walked(
            pattern, tokens, lambda t, i: _after_copies(t, i) if t[i] else []
        ),
        "you cut off too much: the token right after BOS is no BOS, and its copies "
        "count": lambda pattern, tokens: _walked(
            pattern, tokens, lambda t, i: [j + 1 for j in _copies(t, i) if j > 1]
        ),
        "you looked at the copy itself, and not at the key right after it": (
            lambda pattern, tokens: _walked(pattern, tokens, _copies)
        ),
        "you counted the latest copy alone; all earlier ones have a "
        "target": lambda pattern, tokens: _walked(
            pattern, tokens, lambda t, i: _after_copies(t, i)[-1:]
        ),
        "you averaged over all rows, also over those that have nothing to "
        "find": lambda pattern, tokens: _walked(pattern, tokens, rows=len(tokens)),
        "you divided by the attention that is not on BOS; a head that rests there does not match "
        "prefixes": lambda pattern, tokens: _walked(pattern / (1 - pattern[:, :1]), tokens),
    },
    hints=(
        "Which rows have something to find? For each of them, which keys are hits?",
        "Key j is a hit of row i when j <= i and token j - 1 equals token i. In front of key 0 "
        "stands nothing, so give it an id that no token has.",
        "A mask [query, key]: tokens[:, None] == before[None, :], its lower triangle; then "
        "(pattern * mask).sum(1), and the mean over the rows where mask.any(1).",
    ),
    tolerance=1e-6,  # a mean of small shares, in which two mistakes may differ little
)


# ---- 2. does a head copy what it sees, or suppress it?


def raise_of(x, W_V, W_O, W_U, token):
    logits = x @ W_V @ W_O @ W_U
    return logits[token] - logits.mean()


def _one_head(generator: Generator) -> dict:
    d_model, d_head, d_vocab = different(generator, 3, 3, 11)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) / math.sqrt(shape[0])

    return dict(
        x=torch.randn(d_model, generator=generator),
        W_V=normal(d_model, d_head),
        W_O=normal(d_head, d_model),
        W_U=normal(d_model, d_vocab),
        token=int(torch.randint(d_vocab, (), generator=generator)),
    )


def _read_from_behind(x: Tensor, W_V: Tensor, W_O: Tensor, W_U: Tensor, token: int) -> float:
    """From the logit back to x, number by number: what raises the token above the mean?"""
    direction = [row[token] - sum(row) / len(row) for row in W_U.tolist()]
    for W in (W_O, W_V):
        direction = [sum(w * d for w, d in zip(row, direction, strict=True)) for row in W.tolist()]
    return sum(a * d for a, d in zip(x.tolist(), direction, strict=True))


def _of_logits(raised: Callable[[Tensor, int], Tensor]) -> Callable:
    """What one makes of the right logits."""
    return lambda x, W_V, W_O, W_U, token: raised(x @ W_V @ W_O @ W_U, token)


raise_of = Exercise(
    solution=raise_of,
    draw=_one_head,
    oracle=_read_from_behind,
    mistakes={
        "that is the logit itself; what is added to all logits alike changes no probability, so "
        "compare with their mean": _of_logits(lambda logits, token: logits[token]),
        "the sign is wrong: what is raised stands above the mean": _of_logits(
            lambda logits, token: logits.mean() - logits[token]
        ),
        "you asked whether, and not by how much": _of_logits(
            lambda logits, token: logits[token] > logits.mean()
        ),
        "you compared probabilities; the head adds logits to those of others, so leave the softmax "
        "out": _of_logits(lambda logits, token: (p := logits.softmax(-1))[token] - p.mean()),
        "you took the log-probability, as if this head spoke alone": _of_logits(
            lambda logits, token: logits.log_softmax(-1)[token]
        ),
        "you compared with the best token, and not with the mean": _of_logits(
            lambda logits, token: logits[token] - logits.max()
        ),
        "you left the token itself out of the mean of all": _of_logits(
            lambda logits, token: logits[token] - (logits.sum() - logits[token]) / (len(logits) - 1)
        ),
        "that is the direct path: x goes through the head first": (
            lambda x, W_V, W_O, W_U, token: (x @ W_U)[token] - (x @ W_U).mean()
        ),
        "you let x itself through as well; asked is what the head adds": (
            lambda x, W_V, W_O, W_U, token: (
                (logits := (x + x @ W_V @ W_O) @ W_U)[token] - logits.mean()
            )
        ),
    },
    hints=(
        "The head attends to one place and to no other. What does it write to the stream then, and "
        "what does the unembedding make of that?",
        "x @ W_V @ W_O is what it writes. How far does the token's logit stand from the mean of "
        "all?",
        "logits = x @ W_V @ W_O @ W_U; then logits[token] minus logits.mean().",
    ),
    tolerance=1e-5,
)


# ---- 3. fewer key heads than query heads


def key_head_of(query_head, n_heads, n_key_heads):
    group = n_heads // n_key_heads
    return query_head // group


def _grouped(query_head: int, n_heads: int, n_key_heads: int) -> int:
    """By a list of all query heads, each with the key head that it reads."""
    return [key for key in range(n_key_heads) for _ in range(n_heads // n_key_heads)][query_head]


MISTAKEN_HEADS = {
    "you let neighbours read different key heads; a group stands side by side": (
        lambda query_head, n_heads, n_key_heads: query_head % n_key_heads
    ),
    "that is the head's place within its group": (
        lambda query_head, n_heads, n_key_heads: query_head % (n_heads // n_key_heads)
    ),
    "you divided by the number of groups, and not by the size of one": (
        lambda query_head, n_heads, n_key_heads: query_head // n_key_heads
    ),
    "you multiplied by the size of a group: that leads from a key head to its first query head": (
        lambda query_head, n_heads, n_key_heads: query_head * (n_heads // n_key_heads)
    ),
    "you divided and did not round down; a head has a whole number": (
        lambda query_head, n_heads, n_key_heads: query_head / (n_heads // n_key_heads)
    ),
    "there are fewer key heads than query heads, and you gave the query head's own number": (
        lambda query_head, n_heads, n_key_heads: query_head
    ),
    "you let all read the first: that is multi-query attention, with one key head": (
        lambda query_head, n_heads, n_key_heads: 0
    ),
}
CASES = [
    (query_head, n_key_heads * group, n_key_heads)
    for n_key_heads in range(2, 9)
    for group in range(2, 9)
    for query_head in range(n_key_heads * group)
]


def _tells_all_apart(case: tuple[int, int, int]) -> bool:
    """Whether every mistake gives a number of its own here."""
    given = [of(*case) for of in (_grouped, *MISTAKEN_HEADS.values())]
    return len(set(given)) == len(given)


TELLING = [case for case in CASES if _tells_all_apart(case)]


def _a_query_head(generator: Generator) -> dict[str, int]:
    at = int(torch.randint(len(TELLING), (), generator=generator))
    return dict(zip(("query_head", "n_heads", "n_key_heads"), TELLING[at], strict=True))


key_head_of = Exercise(
    solution=key_head_of,
    draw=_a_query_head,
    oracle=_grouped,
    mistakes=MISTAKEN_HEADS,
    hints=(
        "How many query heads share one key head?",
        "Heads 0 to group - 1 read key head 0, the next group reads key head 1.",
        "Divide by n_heads // n_key_heads, and round down.",
    ),
)


# ---- 4. rotary positions


def rotated(x, position, base):
    half = len(x) // 2
    angle = position * base ** (-torch.arange(half) / half)
    first, second = x[:half], x[half:]
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin])


def _at_a_position(generator: Generator) -> dict:
    half, position = different(generator, 2, 3, 24)
    base = float(round(10 ** (2 + 3 * torch.rand((), generator=generator).item())))
    return dict(x=torch.randn(2 * half, generator=generator), position=position, base=base)


def _turned(z: complex, angle: float) -> complex:
    return z * cmath.rect(1, angle)


def _pair_by_pair(
    x: Tensor, position: int, base: float, turn: Callable = _turned, neighbours: bool = False
) -> Tensor:
    """Each pair of coordinates as a complex number, turned by its angle."""
    d, half, answer = len(x), len(x) // 2, x.clone()
    for i in range(half):
        pair = [2 * i, 2 * i + 1] if neighbours else [i, i + half]
        z = turn(complex(*x[pair].tolist()), position * base ** (-2 * i / d))
        answer[pair] = torch.tensor([z.real, z.imag])
    return answer


def _without_a_minus(z: complex, angle: float) -> complex:
    cos, sin = math.cos(angle), math.sin(angle)
    return complex(z.real * cos + z.imag * sin, z.imag * cos + z.real * sin)


rotated = Exercise(
    solution=rotated,
    draw=_at_a_position,
    oracle=_pair_by_pair,
    mistakes={
        "you paired neighbours; here coordinate i goes with the one half of d_head behind "
        "it": lambda *given: _pair_by_pair(*given, neighbours=True),
        "you turned the other way round": lambda x, position, base: _pair_by_pair(
            x, -position, base
        ),
        "your exponent is half of what it should be: 2 i / d_head, or i over half of "
        "d_head": lambda x, position, base: _pair_by_pair(x, position, base**0.5),
        "you turned every pair by the same angle; each has its own frequency": (
            lambda x, position, base: _pair_by_pair(x, position, 1.0)
        ),
        "your angles are the same at every position": (
            lambda x, position, base: _pair_by_pair(x, 1, base)
        ),
        "you took the angles for degrees; they are radians": lambda *given: _pair_by_pair(
            *given, turn=lambda z, angle: _turned(z, math.radians(angle))
        ),
        "a minus is missing: a rotation keeps lengths, and yours does not": lambda *given: (
            _pair_by_pair(*given, turn=_without_a_minus)
        ),
    },
    hints=(
        "What are the pairs, and by which angle is each turned?",
        "Split x into two halves. Pair i is (first[i], second[i]), and its angle is position * "
        "base ** (-i / half).",
        "The first half becomes first * cos - second * sin, the second half second * cos + first * "
        "sin; torch.cat puts them together.",
    ),
)
