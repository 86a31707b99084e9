"""Does a head repeat whatever it has seen, or only what followed an earlier copy of the present
token?

A window of text is read in three versions, which differ in one token v. The present token s has
stood there before:

    followed     ... s v ... w ... s    v comes after the earlier copy, as it was written
    elsewhere    ... s w ... v ... s    v has changed places with another token
    nowhere      ... s w ... w ... s    v does not stand there at all

What a head adds to the logit of v at the last s, more than where v stands nowhere, is what the
token's standing there is worth to it. A head that matches tells the first version from the second;
one that repeats does not.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from helpers.hooks import layer_of
from helpers.instruments.heads import induction_targets
from helpers.sequences import BOS


class Versions(NamedTuple):
    """The texts, the row at which the present token stands, the token v that is moved, and one that
    stands in none of the three."""

    followed: Int[Tensor, "text pos"]
    elsewhere: Int[Tensor, "text pos"]
    nowhere: Int[Tensor, "text pos"]
    row: Int[Tensor, " text"]
    token: Int[Tensor, " text"]
    stranger: Int[Tensor, " text"]


def versions(windows: Int[Tensor, "window pos"], generator: Generator) -> Versions:
    """One place from each window that has one, in three versions.

    The row lies in the second half; up to it v occurs once. The token that changes places with v is
    any earlier one that has nothing to do with the match. The stranger is drawn by how common
    tokens are in the windows. ValueError when no window has a place.
    """
    pos = windows.shape[1]
    same = windows[:, :, None] == windows[:, None, :]  # [window, row, key], as all of these
    once = (same.cumsum(-1) == 1).mT  # up to the row, the key's token stands once
    earlier = torch.ones(pos, pos).tril(-1).bool() & (windows != BOS)[:, None, :]
    after_copy = induction_targets(windows)
    others = earlier & ~same & ~after_copy
    places = earlier & after_copy & once & others.any(-1, keepdim=True)
    places[:, : pos // 2] = False
    kept = places.flatten(1).any(1)
    if not kept.any():
        raise ValueError(
            f"{len(windows)} windows of {pos} tokens hold no row in their second half whose token "
            "has a copy; give more of them, or longer ones"
        )

    def draw(weights: Tensor) -> Int[Tensor, " text"]:
        return torch.multinomial(weights.float(), 1, generator=generator)[:, 0]

    tokens, text = windows[kept], torch.arange(int(kept.sum()))
    place = draw(places[kept].flatten(1))
    row, key = place // pos, place % pos
    token, other = tokens[text, key], draw(others[kept][text, row])
    nowhere, elsewhere = tokens.clone(), tokens.clone()
    nowhere[text, key] = elsewhere[text, key] = tokens[text, other]
    elsewhere[text, other] = token
    absent = torch.bincount(windows.flatten()).expand(len(tokens), -1).scatter(1, tokens, 0)
    return Versions(tokens, elsewhere, nowhere, row, token, stranger=draw(absent))


@torch.no_grad()
def raised(
    model,
    texts: Int[Tensor, "text pos"],
    row: Int[Tensor, " text"],
    answers: Int[Tensor, "answer text"],
) -> Float[Tensor, "layer head answer text"]:
    """What each head adds at the row to the answers' logits, straight through the unembedding and
    measured from its mean over the vocabulary (logits)."""
    text, found = torch.arange(len(texts)), {}
    reads = (model.W_U - model.W_U.mean(1, keepdim=True)).T[answers]  # [answer, text, d_model]

    def read(z, hook):
        written = torch.einsum("thd,hdm->htm", z[text, row], model.W_O[layer_of(hook)])
        found[layer_of(hook)] = torch.einsum("htm,atm->hat", written, reads)

    model.run_with_hooks(texts, [(lambda name: name.endswith("hook_z"), read)])
    return torch.stack([found[layer] for layer in range(model.cfg.n_layers)])


def worth(model, texts: Versions) -> dict[str, Float[Tensor, "layer head"]]:
    """What it is worth to each head (logits, the mean over the texts) that a token stands
    "elsewhere" in the text, and that it "followed" an earlier copy of the present token; and for
    chance, what the former does for a "stranger", which stands nowhere."""
    answers = torch.stack([texts.token, texts.stranger])
    nowhere, elsewhere, followed = (
        raised(model, version, texts.row, answers).mean(-1)
        for version in (texts.nowhere, texts.elsewhere, texts.followed)
    )
    return dict(
        elsewhere=(elsewhere - nowhere)[..., 0],
        followed=(followed - nowhere)[..., 0],
        stranger=(elsewhere - nowhere)[..., 1],
    )


class Most(NamedTuple):
    """What is worth most to any one head (logits): that a token stands elsewhere in the text; the
    same of a stranger, which does not stand there; and, beyond the first, that it followed."""

    elsewhere: float
    stranger: float
    beyond: float


def most(model, texts: Versions) -> Most:
    """What a token's standing in the text is worth to the head to which it is worth most."""
    by_head = worth(model, texts)
    values = (
        by_head["elsewhere"],
        by_head["stranger"],
        by_head["followed"] - by_head["elsewhere"],
    )
    return Most(*(value.max().item() for value in values))
