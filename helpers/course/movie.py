"""Draws README's moving picture from the shipped run: `python -m helpers.course.movie`, a part of
`make course`."""

import math

import torch

from helpers import plotting
from helpers.files import write_atomically
from helpers.instruments import heads
from helpers.training import runs


def movie() -> bytes:
    """The default run as an animated GIF: the loss, and every head's pattern on one sequence,
    snapshot by snapshot."""
    run = runs.load(runs.DATA / "runs" / "two_layers")
    tokens = heads.probe(run.model.d_vocab, run.model.n_ctx)[3:4]
    frames = []
    for step in (step for step in run.steps if step >= 10):
        with torch.no_grad():
            _, cache = run.model_at(step).run_with_cache(tokens)
        patterns = [cache["pattern", layer][0] for layer in range(run.model.n_layers)]
        frames.append(
            plotting.birth_frame(run.losses, step, math.log(run.model.d_vocab - 1), patterns)[0]
        )
    return plotting.movie(frames)


if __name__ == "__main__":
    write_atomically(runs.DATA / "birth.gif", movie())
