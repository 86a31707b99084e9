"""Token tasks: what the models of the course read.

Every sequence opens with BOS, id 0, which no task draws again. Row i of a batch holds token i and
asks for token i + 1. `determined` marks the rows at which the task's own rule settles the answer
(for the random chains: its distribution). A loss over the other rows measures noise, and a score
over them measures luck.

The data decides what a model can learn. A block repeated at one fixed distance can be continued
without looking at a single token (`fixed_period`, the trap), so `repeated_block` draws another
distance for every sequence, and some distances never (`split_periods`): those are for the test.

Sources: repeated random tokens, Olsson et al. 2022, "Model Analysis Table"; trigger bigrams, Bietti
et al. 2023, section 3; in-context Markov chains, Edelman et al. 2024, section 2; skip-trigrams,
Elhage et al. 2021, "Skip-Trigram Bugs"; the additive chain is the course's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

BOS = 0


class Batch(NamedTuple):
    """Sequences, the next token at each of their rows, and the rows that the task's rule
    determines."""

    tokens: Int[Tensor, "batch n_ctx"]
    targets: Int[Tensor, "batch n_ctx"]
    determined: Bool[Tensor, "batch n_ctx"]


@dataclass(frozen=True)
class Task:
    """A task with its options, by name: what a run writes down. `task(batch, generator)` draws from
    it."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.name not in TASKS:
            raise ValueError(f"no task is called {self.name!r}; choose one of {', '.join(TASKS)}")

    def __call__(self, batch: int, generator: Generator) -> Batch:
        return TASKS[self.name](batch=batch, generator=generator, **self.options)


TokenIds = Sequence | np.ndarray | Tensor  # of whole numbers


def token_ids(values: TokenIds, name: str = "tokens") -> Int[Tensor, "..."]:
    """As int64. ValueError for what is not whole numbers, with this name for it."""
    try:
        given = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:  # of words, or of rows unequal in length
        raise ValueError(
            f"{name} cannot be made into a tensor ({error}); expected whole numbers, in rows of "
            "one length"
        ) from error
    ids = given.long()
    if given.dtype == torch.bool or not torch.equal(ids.to(given.dtype), given):
        raise ValueError(
            f"{name} holds {given.dtype}, {given.flatten()[:3].tolist()}, ...; "
            "expected whole numbers, the ids of tokens"
        )
    return ids


def cross_entropy(
    logits: Float[Tensor, "*batch pos d_vocab"],
    targets: Int[Tensor, "*batch pos"],
    rows: Bool[Tensor, "*batch pos"] | None = None,
) -> Float[Tensor, ""]:
    """Mean loss in nats, -log p(target), over the marked rows: those that a task determines, or
    those whose token has occurred before. `rows` None: over all. ValueError when no row is
    marked."""
    if rows is None:
        logits, targets = logits.flatten(0, -2), targets.flatten()
    elif rows.any():
        logits, targets = logits[rows], targets[rows]
    else:
        raise ValueError(
            "`rows` marks no row, so there is no loss to take; mark some, or leave it out for all"
        )
    return torch.nn.functional.cross_entropy(logits, targets.to(logits.device))


# ---- something occurs again


def split_periods(n_ctx: int, shortest: int = 6) -> tuple[list[int], list[int]]:
    """(seen, unseen): the periods from `shortest` to n_ctx // 2, every fifth of them kept for the
    test."""
    if n_ctx < 2 * shortest + 8:
        raise ValueError(
            f"n_ctx is {n_ctx}; to train on some periods from {shortest} up and test on others "
            "takes at least "
            f"{2 * shortest + 8} positions; try a longer context or a smaller `shortest`"
        )
    periods = range(shortest, n_ctx // 2 + 1)
    return [p for p in periods if p % 5 != 4], [p for p in periods if p % 5 == 4]


def repeated_block(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, periods: Sequence[int] | None = None
) -> Batch:
    """A lead-in of random length, then a block repeated to the end; all tokens of lead-in and block
    are distinct.

    The block's length is drawn for every sequence from `periods` (by default those that
    `split_periods` calls seen and the vocabulary can fill). Rule: find the earlier copy of the
    present token and answer with the token after it. Determined: every row whose token has occurred
    before. A row's distance to the answer is period - 1, which nothing but the match can tell.

    ValueError for a period that leaves no determined row or has more tokens than the vocabulary.
    """
    periods = (
        [p for p in split_periods(n_ctx)[0] if p < d_vocab] if periods is None else list(periods)
    )
    _check_periods(periods, n_ctx, d_vocab)
    period = _choose(periods, batch, generator)
    longest_lead = torch.clamp(torch.minimum(n_ctx - 2 * period, d_vocab - 1 - period), min=0)
    lead = (
        torch.rand(batch, 1, generator=generator, device=generator.device) * (longest_lead + 1)
    ).long()
    return _repeat(batch, n_ctx, d_vocab, generator, lead, period)


def fixed_period(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, period: int = 16
) -> Batch:
    """The trap: a block of `period` distinct tokens, repeated from the start at one distance for
    every sequence.

    Rule: the token period - 1 back, whatever it is. No token needs to be read, and one layer is
    enough. Determined: the same rows as in `repeated_block`. ValueError for a period that does not
    fit.
    """
    _check_periods([period], n_ctx, d_vocab)
    start, every = (
        torch.full((batch, 1), number, device=generator.device) for number in (0, period)
    )
    return _repeat(batch, n_ctx, d_vocab, generator, start, every)


def copied_segment(
    batch: int,
    n_ctx: int,
    d_vocab: int,
    generator: Generator,
    segment: int = 24,
    distinct: bool = True,
) -> Batch:
    """Random tokens, in which one segment occurs a second time, at a random place.

    Rule: as in `repeated_block`. Determined: the rows that hold any token of the copy but its last,
    a small share of all. With `distinct` the segment's tokens differ from one another and occur
    nowhere else, so that the rule is always right. Without it all tokens are drawn freely, and
    chance copies spoil some matches. ValueError for a segment that does not fit.
    """
    most = min(n_ctx // 2, d_vocab - 2) if distinct else n_ctx // 2
    if not 2 <= segment <= most:
        raise ValueError(
            f"a segment of {segment} tokens; it must have at least 2, fit twice into n_ctx {n_ctx} "
            f"and, if distinct, leave another token of d_vocab {d_vocab} over; try 2 to {most}"
        )
    device = generator.device
    # Any pair of places that fits is as likely as any other: drawn one after the other, they would
    # often be neighbours.
    places = torch.rand(batch, n_ctx - 2 * segment + 2, generator=generator, device=device).argsort(
        -1
    )[:, :2]
    first, second = (places.sort(-1).values + torch.tensor([0, segment - 1], device=device)).split(
        1, dim=-1
    )
    position = torch.arange(n_ctx, device=device)
    inside = (position >= second) & (position < second + segment)
    source = torch.where(inside, position - second + first, position)
    if distinct:
        # the first `segment` of them are kept for the segment
        ids = _permutations(batch, d_vocab, generator)
        noise = segment + torch.randint(
            d_vocab - 1 - segment, (batch, n_ctx), generator=generator, device=device
        )
        within = (position >= first) & (position < first + segment)
        body = ids.gather(1, torch.where(within, position - first, noise))
    else:
        body = torch.randint(1, d_vocab, (batch, n_ctx), generator=generator, device=device)
    return _batch(body.gather(1, source), inside & (position > second))


# ---- something is known beforehand


def bigram_chain(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, chain: int = 0
) -> Batch:
    """A Markov chain that is the same for every sequence: `transition_matrix(d_vocab, chain)`.

    Rule: the present token's row of the matrix. Determined (in distribution): all rows.
    """
    matrix = transition_matrix(d_vocab, chain).to(generator.device)
    body = _walk(batch, n_ctx, generator, lambda token: matrix[token])
    return _batch(body, torch.ones_like(body, dtype=torch.bool))


SKIP_TRIGRAMS = ((1, 3, 5), (1, 4, 6), (2, 3, 7), (2, 4, 8))


def skip_trigrams(
    batch: int,
    n_ctx: int,
    d_vocab: int,
    generator: Generator,
    trigrams: Sequence[Sequence[int]] = SKIP_TRIGRAMS,
) -> Batch:
    """Noise with planted `source ... destination -> out`: one source early on, then destinations,
    each with its out.

    Rule: look the pair (source, destination) up in `trigrams`. Determined: the rows that hold a
    destination. With the default table neither the source nor the destination alone says which of
    two outs comes. Noise uses none of the ids in the table. ValueError for a table that contradicts
    itself or leaves no id for the noise.
    """
    columns = [sorted(set(column)) for column in zip(*trigrams, strict=False)]
    used = sorted({token for trigram in trigrams for token in trigram})
    pairs = {tuple(trigram[:2]) for trigram in trigrams}
    apart = len(columns) == 3 and sum(map(len, columns)) == len(used)
    if not apart or len(pairs) < len(trigrams) or used[0] < 1 or used[-1] >= d_vocab:
        raise ValueError(
            f"trigrams {trigrams}: expected (source, destination, out) of ids from 1 to "
            f"{d_vocab - 1}, one out for "
            "each (source, destination) and no id in two of the three places; try SKIP_TRIGRAMS"
        )
    free = [token for token in range(1, d_vocab) if token not in used]
    if not free or n_ctx < 8:
        raise ValueError(
            f"d_vocab {d_vocab} leaves {len(free)} ids for noise and n_ctx is {n_ctx}; try 16 and "
            "8 or more"
        )
    device = generator.device
    table = torch.tensor(trigrams, device=device)
    body = _choose(free, batch, generator, n_ctx)
    source = _choose(columns[0], batch, generator)
    body.scatter_(
        1, torch.randint(n_ctx // 4, (batch, 1), generator=generator, device=device), source
    )
    # From the first quarter on there are slots of two; a third of them get a destination and its
    # out, the first always.
    slot = torch.arange(n_ctx // 4, n_ctx - 1, 2, device=device)
    planted = torch.rand(batch, len(slot), generator=generator, device=device) < 1 / 3
    planted[:, 0] = True
    draw = torch.rand(batch, len(slot), len(table), generator=generator, device=device)
    # any trigram with the right source
    chosen = draw.masked_fill(table[:, 0] != source[..., None], -1).argmax(-1)
    trigram = table[chosen]  # [batch, slot, 3]
    body[:, slot] = torch.where(planted, trigram[..., 1], body[:, slot])
    body[:, slot + 1] = torch.where(planted, trigram[..., 2], body[:, slot + 1])
    determined = torch.zeros_like(body, dtype=torch.bool)
    determined[:, slot + 1] = planted
    return _batch(body, determined)


def additive_chain(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, order: int = 4, chain: int = 0
) -> Batch:
    """Each of the last `order` tokens votes on the next one, and their votes add up: the last
    token, the token before it, and so on, each by a table of its own that is the same for every
    sequence.

    Rule: `additive_log_probs`. Determined (in distribution): the rows with `order` tokens, BOS not
    counted. To know all the votes a model must attend to every one of these distances. ValueError
    for an order that leaves no determined row.
    """
    if not 1 <= order < n_ctx:
        raise ValueError(f"order {order} in sequences of {n_ctx} tokens; try 1 to {n_ctx - 1}")
    votes = vote_tables(d_vocab, order, chain).to(generator.device)
    tokens = [torch.full((batch,), BOS, device=generator.device)] * order
    for _ in range(n_ctx):
        log_odds = sum(table[tokens[-back]] for back, table in enumerate(votes, start=1))
        tokens.append(torch.multinomial(log_odds.softmax(-1), 1, generator=generator)[:, 0])
    body = torch.stack(tokens[order:], 1)
    return _batch(body, (torch.arange(n_ctx, device=generator.device) >= order).expand(batch, -1))


def additive_log_probs(
    tokens: Int[Tensor, "batch pos"], d_vocab: int, order: int = 4, chain: int = 0
) -> Float[Tensor, "batch pos d_vocab"]:
    """The law of `additive_chain`: the log-probability of every next token at each row."""
    pos = tokens.shape[1]
    log_odds = 0
    for steps, table in enumerate(vote_tables(d_vocab, order, chain).to(tokens.device)):
        log_odds = log_odds + table[torch.nn.functional.pad(tokens, (steps, 0), value=BOS)[:, :pos]]
    return log_odds.log_softmax(-1)


@lru_cache
def vote_tables(d_vocab: int, order: int, chain: int = 0) -> Float[Tensor, "order d_vocab d_vocab"]:
    """The votes of `additive_chain` in nats: [how far back, voter, candidate]. They are normal,
    with deviation 1.8 for the present token and a sixth less for each step back. BOS does not vote,
    and nobody votes for it."""
    votes = torch.randn(order, d_vocab, d_vocab, generator=Generator().manual_seed(chain))
    votes *= 1.8 * (5 / 6) ** torch.arange(order)[:, None, None]
    votes[:, BOS] = 0
    votes[:, :, BOS] = -torch.inf
    return votes


# ---- both at once


def trigger_bigrams(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, triggers: int = 4, chain: int = 0
) -> Batch:
    """A Markov chain known beforehand; every sequence has triggers of its own and one fixed
    successor for each.

    Rule: after a trigger, what followed it before. Determined: the rows that hold a trigger for the
    second time or later; at a trigger's first occurrence nothing settles the answer, elsewhere the
    chain does. No successor is a trigger, or some sequences would run in a circle to their end.
    ValueError for triggers that leave no token over.
    """
    if not 1 <= triggers <= d_vocab - 2:
        raise ValueError(
            f"{triggers} triggers out of {d_vocab - 1} tokens, one of which must be left over; "
            f"try a number from 1 to {d_vocab - 2}"
        )
    matrix = transition_matrix(d_vocab, chain).to(generator.device)
    ids = _permutations(batch, d_vocab, generator)
    trigger, others = ids[:, :triggers], ids[:, triggers:]
    drawn = torch.randint(
        others.shape[1], (batch, triggers), generator=generator, device=generator.device
    )
    successor = others.gather(1, drawn)
    outcome = torch.zeros(batch, d_vocab, dtype=torch.long, device=generator.device).scatter_(
        1, trigger, successor
    )
    everyone = torch.arange(batch, device=generator.device)

    def next_distribution(token: Tensor) -> Tensor:
        fixed = outcome[everyone, token]
        certain = torch.nn.functional.one_hot(fixed, d_vocab).to(matrix)
        return torch.where(fixed[:, None] > 0, certain, matrix[token])

    body = _walk(batch, n_ctx, generator, next_distribution)
    walked = _batch(body, torch.ones_like(body, dtype=torch.bool))
    is_trigger = outcome.gather(1, walked.tokens) > 0
    return walked._replace(determined=is_trigger & _seen_before(walked.tokens))


def in_context_markov(batch: int, n_ctx: int, d_vocab: int, generator: Generator) -> Batch:
    """A Markov chain of its own for every sequence: rows drawn from Dirichlet(1), first token from
    the stationary law.

    Rule: count what followed the present token so far. For token i the answer j has probability
    (c_ij + 1) / (c_i + k), k = d_vocab - 1. Determined (in distribution): the rows whose token has
    occurred before.
    """
    k, device = d_vocab - 1, generator.device
    rows = -torch.rand(batch, k, k, generator=generator, device=device).clamp_min(1e-30).log()
    rows = rows / rows.sum(-1, keepdim=True)
    stationary = torch.linalg.matrix_power(rows.double(), 4096)[:, :1].float()
    matrix = torch.cat([stationary, rows], 1)  # row 0, BOS: where the chain starts
    matrix = torch.nn.functional.pad(matrix, (1, 0))
    everyone = torch.arange(batch, device=device)
    body = _walk(batch, n_ctx, generator, lambda token: matrix[everyone, token])
    drawn = _batch(body, torch.ones_like(body, dtype=torch.bool))
    return drawn._replace(determined=_seen_before(drawn.tokens) & (drawn.tokens != BOS))


@lru_cache
def transition_matrix(d_vocab: int, chain: int = 0) -> Float[Tensor, "d_vocab d_vocab"]:
    """The known chain number `chain`: row i holds the probabilities of the tokens after token i;
    BOS never comes again.

    Each row is a Zipf law times random factors: tokens differ both in how common they are and in
    what they lead to.
    """
    generator = Generator().manual_seed(chain)
    zipf = 1 / torch.arange(1, d_vocab)
    spread = -torch.rand(d_vocab, d_vocab - 1, generator=generator).log()
    rows = zipf[torch.randperm(d_vocab - 1, generator=generator)] * spread.pow(2)
    return torch.nn.functional.pad(rows / rows.sum(-1, keepdim=True), (1, 0))


# ---- the pieces


def _batch(body: Tensor, determined: Tensor) -> Batch:
    """BOS in front of a body of n_ctx tokens: token i of the body is what row i asks for."""
    return Batch(torch.nn.functional.pad(body, (1, 0), value=BOS)[:, :-1], body, determined)


def _repeat(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, lead: Tensor, period: Tensor
) -> Batch:
    position = torch.arange(n_ctx, device=generator.device)
    source = torch.where(position < lead, position, lead + (position - lead) % period)
    return _batch(
        _permutations(batch, d_vocab, generator).gather(1, source), position > lead + period
    )


def _permutations(batch: int, d_vocab: int, generator: Generator) -> Int[Tensor, "batch ids"]:
    """All ids but BOS, in a random order for every sequence."""
    return (
        torch.rand(batch, d_vocab - 1, generator=generator, device=generator.device).argsort(-1) + 1
    )


def _choose(
    options: Sequence[int], batch: int, generator: Generator, count: int = 1
) -> Int[Tensor, "batch count"]:
    index = torch.randint(
        len(options), (batch, count), generator=generator, device=generator.device
    )
    return torch.tensor(options, device=generator.device)[index]


def _walk(
    batch: int, n_ctx: int, generator: Generator, next_distribution: Callable[[Tensor], Tensor]
) -> Tensor:
    """A walk from BOS: `next_distribution(token)` [batch, d_vocab] says where each sequence may
    go."""
    token = torch.full((batch,), BOS, device=generator.device)
    body = []
    for _ in range(n_ctx):
        token = torch.multinomial(next_distribution(token), 1, generator=generator)[:, 0]
        body.append(token)
    return torch.stack(body, 1)


def _seen_before(tokens: Int[Tensor, "batch n_ctx"]) -> Bool[Tensor, "batch n_ctx"]:
    return (tokens[:, :, None] == tokens[:, None, :]).tril(-1).any(-1)


def _check_periods(periods: Sequence[int], n_ctx: int, d_vocab: int) -> None:
    most = min(n_ctx - 2, d_vocab - 1)
    wrong = [period for period in periods if not 2 <= period <= most]
    if wrong or not periods:
        raise ValueError(
            f"periods {wrong or periods}: in {n_ctx} positions, with {d_vocab - 1} tokens to draw "
            "from, a period must "
            f"be from 2 to {most}; try shorter blocks, a longer n_ctx or a larger d_vocab"
        )


TASKS: dict[str, Callable[..., Batch]] = {
    task.__name__: task
    for task in (
        repeated_block,
        fixed_period,
        copied_segment,
        bigram_chain,
        additive_chain,
        skip_trigrams,
        trigger_bigrams,
        in_context_markov,
    )
}
