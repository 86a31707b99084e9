"""One sequence of tokens and what to call them: what the views with a strip of tokens start
from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from helpers.sequences import BOS


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
