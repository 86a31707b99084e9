"""Who plays which part in a trained model: the heads that the story of induction speaks of, told by
what they do on a probe.

The parts are stable from one training to the next, the numbers of the heads are not. So whatever is
asked of several trainings is asked of parts.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

from torch import Tensor

from helpers.instruments import circuits, heads
from helpers.model import AttentionOnlyTransformer, Head


class Cast(NamedTuple):
    """A model and its heads by their parts.

    `strongest` is the head before the last layer that attends most to the token before. `previous`
    are all that do so more than `heads.LOOKING_BACK`, which is a convention; `strongest` is among
    them. `induction` are the heads that `heads.discover` names, or the best prefix matcher if it
    names none. `others` are all that are left.
    """

    model: AttentionOnlyTransformer
    report: heads.HeadReport
    strongest: Head
    previous: list[Head]
    induction: list[Head]
    others: list[Head]

    @property
    def weaker(self) -> list[Head]:
        """The previous-token heads but for the strongest."""
        return [head for head in self.previous if head != self.strongest]

    @property
    def beside(self) -> list[Head]:
        """The heads of the induction heads' layers that are none."""
        layers = {layer for layer, _ in self.induction}
        rows = [row.at for row in self.report.rows]
        return [at for at in rows if at[0] in layers and at not in self.induction]


def of(model: AttentionOnlyTransformer, ids: Sequence[int] | Tensor | None = None) -> Cast:
    """The parts of a model's heads on the usual probe; `ids`: tokens to draw it from. ValueError
    for a model of fewer than two layers, in which no head comes before another."""
    if model.cfg.n_layers < 2:
        raise ValueError(
            f"the story takes a head before another, and this model has {model.cfg.n_layers} "
            "layers; give one of 2 or more, or ask heads.discover for the scores alone"
        )
    report = heads.discover(model, ids=ids, ablate=False)
    early = [row for row in report.rows if row.layer < model.cfg.n_layers - 1]
    strongest = max(early, key=lambda row: row.previous_token).at
    previous = [strongest, *(at for at in report.previous_token_heads if at != strongest)]
    induction = report.induction_heads or [report.best("prefix_matching").at]
    told = {*previous, *induction}
    others = [row.at for row in report.rows if row.at not in told]
    return Cast(model, report, strongest, sorted(previous), induction, others)


def corners(
    trainings: Sequence[Cast], writers: Callable[[Cast], Sequence[Head]]
) -> list[tuple[float, float]]:
    """(matching, copying) by the weights, as `circuits.corner` gives them, of each training's
    writers with the induction heads that come after them, over all trainings."""
    return [
        circuits.corner(cast.model, writer, reader)
        for cast in trainings
        for writer, reader in product(writers(cast), cast.induction)
        if writer[0] < reader[0]
    ]


def corners_of_random(models: Sequence[AttentionOnlyTransformer]) -> list[tuple[float, float]]:
    """The same of every head of the first layer with every head of the second."""
    return [
        circuits.corner(model, (0, writer), (1, reader))
        for model in models
        for writer, reader in product(range(model.cfg.n_heads), repeat=2)
    ]
