"""A passage, coloured token by token by the loss that some heads save: what was expected there with
them and without them, and where they looked.

Two passes through the model, one whole and one without these heads, give all of it. It is sent
once; what follows the pointer and the keys happens in the browser.

Source of the ablation: Olsson et al. 2022, In-context Learning and Induction Heads, argument 3.
"""

from collections.abc import Sequence
from typing import Any

import torch
import traitlets
from jaxtyping import Float, Int
from torch import Tensor

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.attention import shown_heads
from helpers.explorables.shared.tokens import Tokenizer, one_sequence, token_labels
from helpers.hooks import layer_of
from helpers.instruments import contexts
from helpers.instruments.heads import zero_heads
from helpers.instruments.weights import in_single
from helpers.model import Head
from helpers.sequences import TokenIds, token_ids

END = 4.0  # nats, where the colours end: of a token that became 55 times as likely, or unlikely
LARGE = 1.0  # nats from which a saving, or a cost, has a mark beside its colour
FEW = 3  # answers listed
WORTH_A_NUMBER = 0.05  # attention from which a token carries it
KINDS = ("a copy is right", "a copy is wrong", "nothing to copy")


class Savings(Explorable):
    """The explorable, on one sequence. `model` is the course's, or any that has `run_with_hooks`
    and TransformerLens' names. `without`: the heads, as pairs (layer, head), whose outputs become
    zero. `tokenizer`: what names the tokens; without one they are called by their ids."""

    scene = traitlets.Dict().tag(sync=True)  # all that a view draws

    def __init__(
        self,
        model,
        tokens: TokenIds,
        *,
        without: Sequence[Head],
        tokenizer: Tokenizer | None = None,
    ):
        super().__init__(scene=make_scene(model, tokens, without, tokenizer))

    def __repr__(self) -> str:
        return f"Savings(pos={len(self.scene['tokens'])}, without={len(self.scene['heads'])})"

    def picture(self) -> plotting.core.Picture:
        """The coloured passage, and what is saved of each kind of token."""
        scene, n_heads = self.scene, len(self.scene["heads"])
        labels = [scene["vocabulary"][str(token)] for token in scene["tokens"]]
        losses = (torch.tensor(scene[side]["loss"]) for side in ("without", "whole"))
        saved = torch.sub(*losses)
        title = f"What {n_heads} head{'s save' if n_heads > 1 else ' saves'} at each token, in nats"
        return plotting.passage(labels, saved, scene["kinds"], KINDS, END, LARGE, title)


@torch.no_grad()
def make_scene(
    model, tokens: TokenIds, without: Sequence[Head], tokenizer: Tokenizer | None = None
) -> dict[str, Any]:
    """What a view needs. All that is said of a token, but of the first, stands in the row of the
    token before it, at which it was predicted.

    ValueError as in `shown_heads`, for more than one sequence, for one that is shorter than two
    tokens, and for losses that are not finite.
    """
    tokens = one_sequence(token_ids(tokens)).cpu()
    if tokens.shape[1] < 2:
        raise ValueError("1 token predicts nothing that is there; give a sequence of 2 or more")
    heads, patterns = shown_heads(model, without), {}

    def keep(pattern, hook):
        patterns[layer_of(hook)] = in_single(pattern)[0].cpu()

    watch = [(f"blocks.{layer}.attn.hook_pattern", keep) for layer in {layer for layer, _ in heads}]
    sides = {
        side: answers(contexts.log_probabilities(model, tokens, hooks)[0].cpu(), tokens[0, 1:])
        for side, hooks in dict(whole=watch, without=zero_heads(model, heads)).items()
    }
    pattern = torch.stack([patterns[layer][head] for layer, head in heads]).mean(0)
    seen = {*tokens[0].tolist()}.union(*(row for side in sides.values() for row in side["best"]))
    return dict(
        heads=heads,
        tokens=tokens[0].tolist(),
        vocabulary=vocabulary(sorted(seen), tokenizer),
        named=tokenizer is not None,
        kinds=kinds(tokens),
        all_kinds=KINDS,
        looks=[looks(row) for row in pattern[:-1]],
        end=END,
        large=LARGE,
        **sides,
    )


def answers(
    expected: Float[Tensor, "row d_vocab"], following: Int[Tensor, " row"]
) -> dict[str, list]:
    """Of each row: the loss (nats), the best answers with their probabilities, and the place of the
    right one among all. ValueError for what is not finite."""
    right = expected.gather(-1, following[:, None])
    if not right.isfinite().all():
        raise ValueError(
            "the losses hold values that are not finite: the model has diverged; give an earlier "
            "snapshot"
        )
    best = expected.topk(min(FEW, expected.shape[-1]))
    return dict(
        loss=(-right[:, 0]).tolist(),
        best=best.indices.tolist(),
        probability=best.values.exp().tolist(),
        place=(1 + (expected > right).sum(-1)).tolist(),
    )


def kinds(tokens: Int[Tensor, "1 pos"]) -> list[str]:
    """What the passage itself could say at each row: what followed the row's token where it stood
    earlier comes again, or something else comes, or it has not stood earlier."""
    right, earlier, wrong, _ = (kind[0] for kind in contexts.copies(tokens))
    places = torch.where(right | earlier, 0, torch.where(wrong, 1, 2))
    return [KINDS[place] for place in places]


def looks(row: Float[Tensor, " key"]) -> list[tuple[int, float]]:
    """The keys that get attention worth a number, the most attended first."""
    keys = row.argsort(descending=True)[: int((row >= WORTH_A_NUMBER).sum())]
    return [(key, row[key].item()) for key in keys.tolist()]


def vocabulary(ids: Sequence[int], tokenizer: Tokenizer | None) -> dict[str, str]:
    """What the tokens of these ids are called."""
    if tokenizer is None:
        labels = token_labels(torch.tensor(ids), None)
    else:
        labels = tokenizer.token_strings(ids)
    return dict(zip(map(str, ids), labels, strict=True))
