"""What copying from the context is worth on a text, asked of the text alone: no model is trained.

An induction head finds the latest earlier copy of the present token and expects what followed it
there. An oracle does just that. At each row of a window it mixes that successor y with the bigrams
of the training files,

    p(next) = (1 - w) bigram(next | present) + w [next = y],

where the present token has an earlier copy in the window, and takes the bigram alone where it has
none. By how much the loss falls is what a head that copies can earn on this text. The same is asked
of a finer match: by the present token and the one before it.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from helpers.corpus import Corpus
from helpers.sequences import Batch

WINDOWS = 1024  # at most, of the training files and of the others: 262,144 tokens each
WEIGHTS = [w / 100 for w in range(100)]  # at 1 a single wrong copy would cost infinitely many nats


class Copying(NamedTuple):
    """Means over all tokens of the validation windows: losses in nats, shares of the tokens. Only
    `right` is a share of the tokens at which copying is possible; without any it is nan.

    `gained` is by how much copying lowers the loss of the bigrams, `gained_by_two` where two tokens
    have to match.
    """

    bigram_loss: float
    possible: float
    right: float
    right_where_bigram_is_wrong: float
    gained: float
    gained_by_two: float


def worth(text: Corpus, n_ctx: int = 256) -> Copying:
    """Ask the oracle on the validation files, in windows of `n_ctx` tokens. Bigrams and weight come
    from the training files. Seconds, and memory for d_vocab x d_vocab counts.

    ValueError for windows longer than a split.
    """
    learnt = text.windows(WINDOWS, n_ctx, torch.Generator().manual_seed(0))
    asked = text.validation_windows(n_ctx, WINDOWS)
    counts = pair_counts(text)
    bigram = bigram_probability(counts, asked)

    def gained(matching: int) -> float:
        w = best_weight(bigram_probability(counts, learnt), *copied(*learnt[:2], matching))
        return (mixed(bigram, *copied(*asked[:2], matching), w).log() - bigram.log()).mean().item()

    possible, right = copied(*asked[:2])
    bigram_is_right = counts.argmax(-1)[asked.tokens] == asked.targets
    return Copying(
        bigram_loss=-bigram.log().mean().item(),
        possible=possible.float().mean().item(),
        right=right[possible].float().mean().item(),
        right_where_bigram_is_wrong=(right & ~bigram_is_right).float().mean().item(),
        gained=gained(matching=1),
        gained_by_two=gained(matching=2),
    )


def spans(tokens: Int[Tensor, "window row"], matching: int) -> Int[Tensor, "window row"]:
    """The last `matching` tokens up to each row, one or two, as one number, the same where they are
    the same; -1 where BOS, which opens the window, is one of them. ValueError for more."""
    if matching not in (1, 2):
        raise ValueError(f"matching is {matching}; give 1 for the present token, 2 for a pair")
    ids = tokens.clone()
    ids[:, :1] = -1
    if matching == 1:
        return ids
    first, second = ids[:, :-1], ids[:, 1:]
    pairs = first * (ids.max() + 1) + second
    return F.pad(pairs.where((first >= 0) & (second >= 0), -1), (1, 0), value=-1)


def latest_copies(ids: Int[Tensor, "window row"]) -> Int[Tensor, "window row"]:
    """The latest earlier row of the window with the same id, -1 where there is none. An id below 0
    is a copy of nothing."""
    order = ids.argsort(dim=-1, stable=True)  # equal ids side by side, the earlier first
    ranked = ids.gather(-1, order)
    again = F.pad((ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] >= 0), (1, 0))
    before = F.pad(order[:, :-1], (1, 0))
    return torch.empty_like(order).scatter_(-1, order, torch.where(again, before, -1))


def copied(
    tokens: Int[Tensor, "window row"], targets: Int[Tensor, "window row"], matching: int = 1
) -> tuple[Bool[Tensor, "window row"], Bool[Tensor, "window row"]]:
    """(possible, right) at each row: do the last `matching` tokens, one or two, stand earlier in
    the window, and is what followed them there what follows now? The BOS that opens a window is a
    copy of nothing."""
    rows = latest_copies(spans(tokens, matching))
    possible = rows >= 0
    return possible, possible & (targets.gather(-1, rows.clamp(min=0)) == targets)


def pair_counts(text: Corpus) -> Int[Tensor, "present next"]:
    """How often each token follows each in the training files."""
    pairs = text.train[:-1] * text.d_vocab + text.train[1:]
    return torch.bincount(pairs, minlength=text.d_vocab**2).view(text.d_vocab, text.d_vocab)


def bigrams(counts: Int[Tensor, "present next"]) -> Float[Tensor, "present next"]:
    """The probability of each token after each, by the counts and one more, which is shared as the
    tokens are: so none is 0."""
    shares = (counts.sum(0) + 1) / (counts.sum() + len(counts))
    return (counts + shares) / (counts.sum(1, keepdim=True) + 1)


def bigram_probability(
    counts: Int[Tensor, "present next"], windows: Batch
) -> Float[Tensor, "window row"]:
    """The probability of each target given its token."""
    return bigrams(counts)[windows.tokens, windows.targets]


def mixed(
    bigram: Float[Tensor, "window row"],
    possible: Bool[Tensor, "window row"],
    right: Bool[Tensor, "window row"],
    w: float,
) -> Float[Tensor, "window row"]:
    """The oracle's probability of each target."""
    return torch.where(possible, (1 - w) * bigram + w * right, bigram)


def best_weight(
    bigram: Float[Tensor, "window row"],
    possible: Bool[Tensor, "window row"],
    right: Bool[Tensor, "window row"],
) -> float:
    """The weight of the copy, in hundredths, at which the loss is lowest."""
    return max(WEIGHTS, key=lambda w: mixed(bigram, possible, right, w).log().mean().item())
