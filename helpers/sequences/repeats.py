"""Something occurs again: find the earlier copy of the present token, and answer with what followed
it.

A block repeated at one fixed distance can be continued without looking at a single token
(`fixed_period`, the trap), so `repeated_block` draws another distance for every sequence, and some
distances never (`split_periods`): those are for the test.

Source: repeated random tokens, Olsson et al. 2022, "Model Analysis Table".
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from helpers.sequences.batch import Batch, after_bos, choose, permutations


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
    period = choose(periods, batch, generator)
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
        ids = permutations(batch, d_vocab, generator)
        noise = segment + torch.randint(
            d_vocab - 1 - segment, (batch, n_ctx), generator=generator, device=device
        )
        within = (position >= first) & (position < first + segment)
        body = ids.gather(1, torch.where(within, position - first, noise))
    else:
        body = torch.randint(1, d_vocab, (batch, n_ctx), generator=generator, device=device)
    return after_bos(body.gather(1, source), inside & (position > second))


# ---- the pieces


def _repeat(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, lead: Tensor, period: Tensor
) -> Batch:
    position = torch.arange(n_ctx, device=generator.device)
    source = torch.where(position < lead, position, lead + (position - lead) % period)
    return after_bos(
        permutations(batch, d_vocab, generator).gather(1, source), position > lead + period
    )


def _check_periods(periods: Sequence[int], n_ctx: int, d_vocab: int) -> None:
    most = min(n_ctx - 2, d_vocab - 1)
    wrong = [period for period in periods if not 2 <= period <= most]
    if wrong or not periods:
        raise ValueError(
            f"periods {wrong or periods}: in {n_ctx} positions, with {d_vocab - 1} tokens to draw "
            "from, a period must "
            f"be from 2 to {most}; try shorter blocks, a longer n_ctx or a larger d_vocab"
        )
