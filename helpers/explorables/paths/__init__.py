"""The logits as a sum over paths, each path with a switch: the loss and one position's prediction
follow.

One call of `paths.path_expansion` gives every term's logits. They are sent once, and the sums are
taken in the browser; `loss_of` takes the same sum here.

The patterns are frozen. A term that is off no longer brings its values, but every head goes on
looking where it looked in the whole model: what a head does through another head's queries and keys
stays, whatever is switched.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Path expansion of
logits".
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import traitlets
from jaxtyping import Bool, Int
from torch import Tensor

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.shared.tokens import one_sequence, token_labels
from helpers.instruments.paths import path_expansion, path_order
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import TokenIds, cross_entropy, token_ids

MOST_ENTRIES = 4_000_000  # of all terms' logits together; each is sent as four bytes


class Paths(Explorable):
    """The explorable, on one sequence. `on` holds the names of the terms that are switched on."""

    scene = traitlets.Dict().tag(sync=True)  # all that a view draws
    on = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        model: AttentionOnlyTransformer,
        tokens: TokenIds,
        targets: Int[Tensor, "*batch pos"],
        rows: Bool[Tensor, "*batch pos"] | None = None,
        labels: Sequence[str] | None = None,
        vocabulary: Sequence[str] | None = None,
        most_terms: int = 200,
    ):
        """`rows`: where the loss is taken (default everywhere). `labels`: a string a token of the
        sequence; `vocabulary`: a string a token id, for what is predicted. By default both are ids.

        ValueError for more than one sequence, for targets, rows or labels that do not fit it, for
        another model than the course's, for more than `most_terms` paths, and for more than
        MOST_ENTRIES logits in all terms together.
        """
        tokens = one_sequence(token_ids(tokens))
        targets, rows = fitting(tokens, targets, rows, model)
        names = token_labels(torch.arange(model.cfg.d_vocab), vocabulary)
        self.terms = {
            name: logits[0] for name, logits in path_expansion(model, tokens, most_terms).items()
        }
        labels = token_labels(
            tokens, [names[token] for token in tokens[0].tolist()] if labels is None else labels
        )
        self.targets, self.rows = targets[0], rows[0]
        scene = dict(
            terms=list(self.terms),
            orders=[path_order(name) for name in self.terms],
            n_heads=model.cfg.n_heads,
            n_layers=model.cfg.n_layers,
            d_vocab=model.cfg.d_vocab,
            pos=tokens.shape[1],
            tokens=tokens[0].tolist(),
            labels=labels,
            vocabulary=names,
            targets=self.targets.tolist(),
            rows=self.rows.tolist(),
            logits=torch.stack([*self.terms.values()]).float().numpy().astype("<f4").tobytes(),
        )
        super().__init__(scene=scene, on=list(self.terms))

    def __repr__(self) -> str:
        return (
            f"Paths(terms={len(self.terms)}, pos={len(self.targets)}, rows={int(self.rows.sum())})"
        )

    def picture(self) -> plotting.core.Picture:
        """What each term gives the right answer at the position that a view opens at, the last row
        that counts, and the losses that the view compares."""
        row = int(self.rows.nonzero().max())
        target, names = int(self.targets[row]), self.scene["vocabulary"]
        above_mean = {
            name: (logits[row, target] - logits[row].mean()).item()
            for name, logits in self.terms.items()
        }
        losses = {
            "all terms": self.loss_of(self.terms),
            "direct path alone": self.loss_of(name for name in self.terms if not path_order(name)),
            "no term": self.loss_of([]),
        }
        title = f"After {self.scene['labels'][row]!r}: what each term gives to {names[target]!r}"
        return plotting.term_sum(above_mean, losses, title)

    def loss_of(self, names: Iterable[str]) -> float:
        """The mean loss over the rows, in nats, when only these terms are summed; of none, that of
        a uniform guess.

        ValueError for a name that is no term.
        """
        logits = torch.zeros(len(self.targets), self.scene["d_vocab"], dtype=torch.float64)
        for name in self._checked(names):
            logits += self.terms[name]
        return cross_entropy(logits, self.targets, self.rows).item()

    def switch(self, names: Iterable[str]) -> None:
        """Switch these terms on, and all others off, in every view. ValueError for a name that is
        no term."""
        chosen = self._checked(names)
        self.on = [name for name in self.terms if name in chosen]

    def _checked(self, names: Iterable[str]) -> set[str]:
        names = {names} if isinstance(names, str) else set(names)
        if not names <= self.terms.keys():
            unknown = ", ".join(sorted(map(repr, names - self.terms.keys())))
            raise ValueError(f"no term is called {unknown}; choose among {', '.join(self.terms)}")
        return names


def fitting(tokens: Tensor, targets: Any, rows: Any, model: Any) -> tuple[Tensor, Tensor]:
    """Targets and rows as [1, pos]. ValueError when they do not fit the tokens, or when there is
    too much to send."""
    if not isinstance(model, AttentionOnlyTransformer):
        raise ValueError(
            f"the model is a {type(model).__name__}; the path expansion takes the course's "
            "AttentionOnlyTransformer"
        )
    targets = one_sequence(token_ids(targets, "targets"), "targets")
    rows = one_sequence(torch.ones_like(tokens, dtype=torch.bool) if rows is None else rows, "rows")
    for name, values in dict(targets=targets, rows=rows).items():
        if values.shape != tokens.shape:
            raise ValueError(
                f"{name} has {values.shape[1]} positions and tokens has {tokens.shape[1]}; give "
                "one a token"
            )
    cfg = model.cfg
    if not (0 <= targets.min() and targets.max() < cfg.d_vocab):
        raise ValueError(
            f"targets run from {targets.min()} to {targets.max()}; the model knows 0 to "
            f"{cfg.d_vocab - 1}"
        )
    if rows.dtype != torch.bool or not rows.any():
        raise ValueError(
            f"rows is {rows.dtype} with {int(rows.sum())} of {rows.numel()} marked; expected a "
            "bool mask that marks a row, or leave it out for all"
        )
    entries = (1 + cfg.n_heads) ** cfg.n_layers * tokens.numel() * cfg.d_vocab
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"{entries:,} logits in all terms together are more than {MOST_ENTRIES:,}; give fewer "
            "tokens, or a model with fewer heads or a smaller vocabulary"
        )
    return targets, rows
