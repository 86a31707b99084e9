"""One model with what notebook 02 asks of it, each answer measured when it is first asked for.

A sentence about training rests on several seeds, so the same questions go to a run and to its
replicas: which head looks back and which does induction, how much the second reads of what the
first writes, which pairs compose by more than chance, and what it costs to cut them.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.experiments import composers
from helpers.instruments import heads, virtual_weights
from helpers.instruments.interventions import patch_effect
from helpers.model import Head


class Study:
    """`model`, of two layers, on `tokens` in which blocks repeat."""

    def __init__(self, model, tokens: Int[Tensor, "batch pos"]):
        self.model, self.tokens = model, tokens

    @cached_property
    def report(self) -> heads.HeadReport:
        return heads.discover(self.model, tokens=self.tokens, ablate=False)

    @property
    def previous(self) -> Head:
        """The head with most of its attention on the token before."""
        return self.report.best("previous_token").at

    @property
    def induction(self) -> Head:
        """The head with the highest prefix matching."""
        return self.report.best("prefix_matching").at

    @cached_property
    def boards(self) -> composers.Boards:
        """Every pair's composition scores beside their nulls, by kind."""
        return composers.judge_all(self.model)

    def share_read(self, side: str) -> float:
        """Of what the previous-token head writes, the share that the induction head's Q, K or V
        reads."""
        reader = (*self.induction, side)
        return virtual_weights.share_read(self.model, self.previous, reader).read

    def unrelated_shares(self, side: str, draws: int = 200) -> Float[Tensor, " draws"]:
        """The same share for readers drawn at random."""
        reader, generator = (*self.induction, side), torch.Generator().manual_seed(0)
        return virtual_weights.unrelated_shares(self.model, self.previous, reader, draws, generator)

    def key_scores_change(self, other, score: Callable) -> float:
        """The largest relative change of a score of pairs (such as
        `composition.composition_scores`) at the induction head's keys, from this model to
        another."""
        ratio = score(other, "K") / score(self.model, "K")
        return (ratio - 1)[:, self.induction[1]].abs().max().item()

    def pairs_above(self, kinds: str) -> int:
        """How many pairs lie above chance by these kinds, such as "QV"."""
        return sum(int(self.boards[kind].above.sum()) for kind in kinds)

    def share_below(self, kinds: str) -> float:
        """The share of the pairs, by these kinds, that lie below the mean of their null."""
        over = torch.stack([self.boards[kind].over_mean for kind in kinds])
        return (over < 0).double().mean().item()

    def p_by_keys(self) -> Float[Tensor, " induction_heads"]:
        """p of the previous-token head to the keys of every head that was named, the best first."""
        named = {self.induction: None} | dict.fromkeys(self.report.induction_heads)
        return self.boards["K"].p[self.previous[1], [head for _, head in named]]

    def next_head(self) -> float:
        """How far the next best first-layer head lies over the mean at the induction head's
        keys."""
        over = self.boards["K"].over_mean[:, self.induction[1]].clone()
        over[self.previous[1]] = -torch.inf
        return over.max().item()

    def cost_of_cutting(self) -> tuple[float, float]:
        """The rise of the repeat loss, in nats, when the edges above chance are cut, and when all
        others are."""
        groups = composers.edges(self.model, self.boards)
        above, rest = (patch_effect(self.model, self.tokens, edges).loss for edges in groups)
        return above, rest
