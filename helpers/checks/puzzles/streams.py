"""The puzzle of notebook 07: does this stream have axes, and so an optimiser that made them?

The stored trainings of `privileged` differ in the optimiser. Their streams come in disguise: other
coordinates first, signs turned, another length; and some of them turned by a random rotation, which
no loss would notice.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.checks.puzzles.engine import Puzzle, one_of, said
from helpers.experiments import privileged, tails
from helpers.instruments import basis

STREAMS = 16  # on which an answer is checked
Stream = Float[Tensor, "batch pos d_model"]


def disguised(stream: Stream, turn: bool, generator: Generator) -> Stream:
    """The stream in other coordinates: in another order, with other signs, at another length; or
    turned."""
    d = stream.shape[-1]
    signs = torch.randint(2, (d,), generator=generator) * 2.0 - 1
    coordinates = torch.eye(d)[torch.randperm(d, generator=generator)] * signs
    if turn:
        coordinates = basis.random_rotation(d, generator).float()
    length = 10 ** (2 * torch.rand((), generator=generator) - 1)
    return length * stream @ coordinates


def drawn(models: dict, count: int, generator: Generator) -> list[tuple[Stream, bool]]:
    """So many streams on the same tokens, each with whether AdamW grew it in the coordinates that
    it comes in. `models` as `tails.kept_models` gives them."""
    tokens = privileged.half_repeated(one_of(generator, range(6, 25)), generator)
    streams = {
        name: [privileged.stream(model, tokens)[tails.LAST] for model in models[name].values()]
        for name in ("AdamW", "SGD")
    }
    found, first = [], one_of(generator, (True, False))
    for at in range(count):
        has_axes = first == (at % 2 == 0)  # every other one, so that no answer fits all
        without = (("AdamW", True), ("SGD", True), ("SGD", False))  # trained by, and turned
        trained_by, turn = ("AdamW", False) if has_axes else one_of(generator, without)
        stream = one_of(generator, streams[trained_by])
        found.append((disguised(stream, turn, generator), has_axes))
    return found


def axes(seed: int) -> Puzzle:
    """Notebook 07's puzzle: one stream, and the question who trained it and in which
    coordinates."""

    models = tails.kept_models(privileged.shipped())

    def judge(answer: Callable[[Stream], bool], generator: Generator) -> str | None:
        streams = drawn(models, STREAMS, generator)
        given = [bool(said(answer, stream.clone())) for stream, _ in streams]
        misses = [has for (_, has), found in zip(streams, given, strict=True) if found != has]
        if not misses:
            return None
        return (
            f"Of {STREAMS} streams drawn anew your rule gets {len(misses)} wrong: it misses the "
            f"axes of {sum(misses)}, and sees some in {len(misses) - sum(misses)} that have none."
        )

    return Puzzle(
        "`puzzle.stream`, `[batch, pos, d_model]`, comes from a stored training, by AdamW or by "
        "SGD. Its coordinates were shuffled, and perhaps the whole was turned. Has it axes, as "
        "AdamW makes them? Write a function that takes any such stream and gives `True` or "
        "`False`, and check it: `puzzle.check(your_function)`.",
        judge,
        stream=drawn(models, 1, Generator().manual_seed(seed))[0][0],
    )
