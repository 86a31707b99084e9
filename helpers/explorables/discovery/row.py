"""The reader's own row: read as tokens, put to a model, and what the trick of copying would say."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.explorables.shared.tokens import encoded, token_labels
from helpers.instruments import heads
from helpers.sequences import BOS
from helpers.training.recipes import Recipe

RIDDLE = "17 4 52 9 31 17 4 52"
NAMES = "class Zorblat(Quimby): pass ⏎class Zorblat("  # the same question, of a text
LINE_END = "⏎"  # as it is typed in a row, and as a strip of tokens shows it


def first_row(recipe: Recipe) -> str:
    """What is asked until the reader asks something else."""
    return NAMES if recipe.task["name"] == "text" else RIDDLE


def read_row(typed: str, recipe: Recipe) -> Int[Tensor, "1 pos"]:
    """What was typed, as the model's tokens with BOS in front: of a text its own tokens (⏎ ends a
    line), else token ids between spaces or commas.

    ValueError for an empty row, for one that is too long, and for what is no token.
    """
    if recipe.task["name"] == "text":
        ids, _ = encoded(typed.replace(LINE_END, "\n"), recipe.text(), recipe.model.n_ctx)
        return torch.tensor([ids])
    ids = [token_id(word, recipe.model.d_vocab) for word in typed.replace(",", " ").split()]
    most = recipe.model.n_ctx - 1
    if not 0 < len(ids) <= most:
        raise ValueError(
            f"{len(ids)} tokens in the row; type 1 to {most}, such as {first_row(recipe)}"
        )
    return torch.tensor([[BOS, *ids]])


def token_id(word: str, d_vocab: int) -> int:
    """ValueError for what is no whole number from 1 up to the vocabulary's last."""
    if not (word.isascii() and word.isdigit() and 0 < int(word) < d_vocab):
        raise ValueError(
            f"{word!r} is no token; tokens are whole numbers from 1 to {d_vocab - 1}, with spaces "
            "between them"
        )
    return int(word)


def names(ids: list[int], recipe: Recipe) -> list[str]:
    """What to call tokens on the screen."""
    if recipe.task["name"] == "text":
        return recipe.text().token_strings(ids)
    return token_labels(torch.tensor(ids), None)


def copied(tokens: Int[Tensor, "1 pos"]) -> int | None:
    """The token right after the latest earlier copy of the last one; None where there is none."""
    places = heads.induction_targets(tokens)[0, -1].nonzero()
    return tokens[0, places[-1]].item() if len(places) else None


@torch.no_grad()
def next_token(
    model: Callable[[Tensor], Float[Tensor, "1 pos d_vocab"]], tokens: Int[Tensor, "1 pos"]
) -> Float[Tensor, " d_vocab"]:
    """The probability of each token to come after the last."""
    return model(tokens)[0, -1].softmax(-1)
