"""The judge of a head that a reader wrote by hand: it does its one job and keeps still otherwise.

Embedding and unembedding are the identity, so what the head writes are logits, and a row of a
weight belongs to a token. Many heads do the job; what is judged is what a head does to sentences.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

# In logits: what the answer must gain over all others, and what may change elsewhere.
RAISED, QUIET = 5.0, 0.5

# Misconceptions by their names: what spoils a head that works, and what repairs it.
SPOILED = {
    "queries and keys have changed places: the destination asks, the source answers": 2
    * (lambda q, k, v, o: (k, q, v, o),),
    "W_V and W_O have changed places: the value reads the source, W_O writes the answer": 2
    * (lambda q, k, v, o: (q, k, o.T, v.T),),
    "the answer is lowered, not raised: look at the sign": 2 * (lambda q, k, v, o: (q, k, v, -o),),
    "the scores are too small: they are divided by sqrt(d_head), and every other key has a share "
    "too": (
        lambda q, k, v, o: (q / 100, k, v, o),
        lambda q, k, v, o: (q * 100, k, v, o),
    ),
    "what reaches the logits is too small: make W_V or W_O larger": (
        lambda q, k, v, o: (q, k, v, o / 20),
        lambda q, k, v, o: (q, k, v, o * 100),
    ),
}
NO_REST = (
    "without the source the head still speaks: give the destination a place to rest, such as BOS"
)
OTHERS_FIRE = "tokens other than the destination let the head speak: they need a place to rest too"

DESTINATION_AT = 8  # where the destination stands in every sentence


def judge(
    answer: tuple[Tensor, ...], d_vocab: int, source: int, destination: int, out: int
) -> str | None:
    """What is wrong with W_Q, W_K, W_V, W_O, in the words of a misconception where one is known;
    None when after `source ... destination` the answer `out` is raised, and nothing elsewhere."""
    if (
        not isinstance(answer, tuple | list)
        or len(answer) != 4
        or not all(isinstance(W, Tensor) and W.ndim == 2 for W in answer)
    ):
        return "Expected four matrices: W_Q, W_K, W_V [d_vocab, d_head] and W_O [d_head, d_vocab]."
    head = tuple(W.detach().float() for W in answer)
    shapes, d_head = [tuple(W.shape) for W in head], head[0].shape[1]
    if shapes != [(d_vocab, d_head)] * 3 + [(d_head, d_vocab)]:
        return (
            f"The shapes are {shapes}; expected [d_vocab, d_head] three times, and [d_head, "
            "d_vocab] for W_O."
        )
    planted, without = _sentences(d_vocab, source, destination)
    margin = _margin(head, planted, out)
    if not margin > RAISED:
        for why, (_, repair) in SPOILED.items():
            if _margin(repair(*head), planted, out) > RAISED:
                return why
        seen = (_pattern(head, planted)[:, DESTINATION_AT] * (planted == source)).sum(-1).mean()
        return (
            f"After {source} ... {destination} the answer {out} stands {margin:.1f} logits above "
            f"all others; expected {RAISED:.0f}. "
            f"Of the destination's attention {seen:.0%} goes to the source."
        )
    if not _rests(head, without[:, : DESTINATION_AT + 1], DESTINATION_AT):
        return NO_REST
    if not _rests(head, planted[:, :DESTINATION_AT]):
        return OTHERS_FIRE
    return None


def _sentences(d_vocab: int, source: int, destination: int) -> tuple[Tensor, Tensor]:
    """[BOS, noise, source, noise, destination, noise], for several draws of the noise; and the same
    without the source."""
    noise = [token for token in range(1, d_vocab) if token not in (source, destination)]
    draws = torch.tensor(noise)[
        torch.randint(len(noise), (32, 10), generator=Generator().manual_seed(0))
    ]
    draws[:, 0], draws[:, DESTINATION_AT] = 0, destination
    planted = draws.clone()
    planted[torch.arange(32), 1 + torch.arange(32) % 6] = source
    return planted, draws


def _pattern(
    head: tuple[Tensor, ...], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch query key"]:
    W_Q, W_K, *_ = head
    scores = W_Q[tokens] @ W_K[tokens].mT / math.sqrt(W_Q.shape[1])
    future = torch.ones_like(scores).triu(1).bool()
    return scores.masked_fill(future, -torch.inf).softmax(-1)


def _contribution(
    head: tuple[Tensor, ...], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos d_vocab"]:
    """What the head adds to the logits."""
    *_, W_V, W_O = head
    return _pattern(head, tokens) @ (W_V[tokens] @ W_O)


def _margin(head: tuple[Tensor, ...], planted: Tensor, out: int) -> float:
    """By how many logits the answer gains on all other tokens, at the destination where it gains
    least."""
    added = _contribution(head, planted)[:, DESTINATION_AT]
    others = added.clone()
    others[:, out] = -torch.inf
    return (added[:, out] - others.max(-1).values).min().item()


def _rests(head: tuple[Tensor, ...], tokens: Tensor, first: int = 0) -> bool:
    """Whether the head keeps still at every row from the first."""
    return bool((_contribution(head, tokens)[:, first:].abs() < QUIET).all())
