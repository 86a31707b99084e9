"""One sequence of tokens and what to call them: what the views with a strip of tokens start
from."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from helpers.sequences import BOS


@runtime_checkable
class Tokenizer(Protocol):
    """What turns a reader's text into tokens. A `Corpus` does, and `lens.Words`."""

    def encode(self, text: str) -> list[int]:
        """Token ids, without an opening BOS. ValueError for a text that cannot be said in them."""

    def token_strings(self, ids: Sequence[int]) -> list[str]:
        """One label an id, with "⏎" where it ends a line."""


def encoded(
    text: str, tokenizer: Tokenizer, most: int, bos: int | None = BOS
) -> tuple[list[int], list[str]]:
    """The ids of a reader's text, behind `bos` unless that is None, and a label each.

    ValueError, in words for whoever typed it, for no text, for characters that the tokenizer does
    not know, and for more than `most` tokens in all.
    """
    if not text:
        raise ValueError("there is no text to read; type a line or two")
    try:
        ids = tokenizer.encode(text)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start + 1} of this text is half of a pair and stands for nothing; "
            "take it away or type it anew"
        ) from error
    opening = [] if bos is None else [bos]
    n_tokens = len(opening) + len(ids)
    if n_tokens > most:
        raise ValueError(
            f"this text makes {n_tokens} tokens{' with BOS' * len(opening)}, and at most {most} "
            f"can be read here; take {n_tokens - most} or more away"
        )
    return [*opening, *ids], ["BOS" for _ in opening] + list(tokenizer.token_strings(ids))


def one_sequence(values, name: str = "tokens") -> Tensor:
    """As [1, pos]. ValueError unless it is one sequence, [pos] or [1, pos], with something in
    it."""
    values = torch.as_tensor(values)
    if values.ndim == 1:
        values = values[None]
    if values.ndim != 2 or len(values) != 1 or not values.numel():
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}; expected one sequence, [pos] or [1, pos]; of "
            f"a batch give one row, {name}[3]"
        )
    return values


def token_labels(tokens: Tensor, labels: Sequence[str] | None) -> list[str]:
    """The labels given, or the ids, with "BOS" for id 0. ValueError unless there is one label a
    token."""
    ids = tokens.flatten().tolist()
    if labels is None:
        return ["BOS" if token == BOS else str(token) for token in ids]
    if isinstance(labels, str) or len(labels) != len(ids):
        raise ValueError(
            f"{len(labels)} labels for {len(ids)} tokens; expected a list with one string a token, "
            "such as corpus.token_strings(tokens)"
        )
    return [str(label) for label in labels]
