"""Something is known beforehand: chains and skip-trigrams whose tables are the same for every
sequence; and chains that a sequence must be read to know.

Sources: trigger bigrams, Bietti et al. 2023, section 3; in-context Markov chains, Edelman et al.
2024, section 2; skip-trigrams, Elhage et al. 2021, "Skip-Trigram Bugs"; the additive chain is the
course's own.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor

from helpers.sequences.batch import BOS, Batch, after_bos, choose, permutations, seen_before

# ---- known beforehand


def bigram_chain(
    batch: int, n_ctx: int, d_vocab: int, generator: Generator, chain: int = 0
) -> Batch:
    """A Markov chain that is the same for every sequence: `transition_matrix(d_vocab, chain)`.

    Rule: the present token's row of the matrix. Determined (in distribution): all rows.
    """
    matrix = transition_matrix(d_vocab, chain).to(generator.device)
    body = _walk(batch, n_ctx, generator, lambda token: matrix[token])
    return after_bos(body, torch.ones_like(body, dtype=torch.bool))


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
    return F.pad(rows / rows.sum(-1, keepdim=True), (1, 0))


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
    body = choose(free, batch, generator, n_ctx)
    source = choose(columns[0], batch, generator)
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
    return after_bos(body, determined)


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
    return after_bos(
        body, (torch.arange(n_ctx, device=generator.device) >= order).expand(batch, -1)
    )


def additive_log_probs(
    tokens: Int[Tensor, "batch pos"], d_vocab: int, order: int = 4, chain: int = 0
) -> Float[Tensor, "batch pos d_vocab"]:
    """The law of `additive_chain`: the log-probability of every next token at each row."""
    pos = tokens.shape[1]
    log_odds = 0
    for steps, table in enumerate(vote_tables(d_vocab, order, chain).to(tokens.device)):
        log_odds = log_odds + table[F.pad(tokens, (steps, 0), value=BOS)[:, :pos]]
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
    ids = permutations(batch, d_vocab, generator)
    trigger, others = ids[:, :triggers], ids[:, triggers:]
    drawn = torch.randint(
        others.shape[1], (batch, triggers), generator=generator, device=generator.device
    )
    everyone = torch.arange(batch, device=generator.device)
    rows = matrix.repeat(batch, 1, 1)  # one chain a sequence
    rows[everyone[:, None], trigger] = F.one_hot(others.gather(1, drawn), d_vocab).to(rows)
    body = _walk(batch, n_ctx, generator, lambda token: rows[everyone, token])
    walked = after_bos(body, torch.ones_like(body, dtype=torch.bool))
    is_trigger = (walked.tokens[:, :, None] == trigger[:, None, :]).any(-1)
    return walked._replace(determined=is_trigger & seen_before(walked.tokens))


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
    matrix = F.pad(matrix, (1, 0))
    everyone = torch.arange(batch, device=device)
    body = _walk(batch, n_ctx, generator, lambda token: matrix[everyone, token])
    drawn = after_bos(body, torch.ones_like(body, dtype=torch.bool))
    return drawn._replace(determined=seen_before(drawn.tokens) & (drawn.tokens != BOS))


# ---- the pieces


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
