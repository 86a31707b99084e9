"""Draws the moving picture of README and of Discovery's still from the shipped run:
`python -m helpers.course.movie`, a part of `make course`."""

import math

import torch

from helpers import plotting
from helpers.files import write_atomically
from helpers.instruments import heads
from helpers.training import runs

# The snapshots shown: close together at the birth, and the ends.
MOMENTS = {10, 21, 31, 41, 49, 54, 60, 66, 72, 79, 87, 96, 106, 128, 170, 226, 301, 400}


def movie() -> bytes:
    """The default run as an animated PNG: the loss, and every head's pattern on one sequence,
    snapshot by snapshot."""
    run = runs.load(runs.DATA / "runs" / "two_layers")
    chance_loss = math.log(run.model.d_vocab - 1)
    tokens = heads.probe(run.model.d_vocab, run.model.n_ctx)[3:4]
    frames = []
    for step in (step for step in run.steps if step in MOMENTS):
        with torch.no_grad():
            _, cache = run.model_at(step).run_with_cache(tokens)
        patterns = [cache["pattern", layer][0] for layer in range(run.model.n_layers)]
        frames.append(plotting.birth_frame(run.losses, step, chance_loss, patterns)[0])
    return plotting.movie(frames, says(run, chance_loss))


def says(run: runs.Run, chance_loss: float) -> str:
    """What the movie shows, in a sentence."""
    return (
        f"A training in motion, the stored default run of {run.steps[-1]} steps. Left, the loss: "
        f"near guessing ({chance_loss:.1f} nats) at first, {run.losses[-1]:.1f} in the end. Right, "
        f"what {run.model.n_layers * run.model.n_heads} heads attend to: noise, and then, from "
        f"step {heads.birth(run.history)} on, induction heads."
    )


if __name__ == "__main__":
    write_atomically(runs.DATA / "birth.png", movie())
