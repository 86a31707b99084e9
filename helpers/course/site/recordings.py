"""Trainings that were recorded, for a page that replays them: the default one from its stored run,
and one on text, which `python -m helpers.course.site.recordings` trains anew into `data/` in some
ten minutes."""

import argparse
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.course.site import states
from helpers.explorables.discovery import Discovery
from helpers.explorables.discovery.scene import Choices, Scene
from helpers.files import write_atomically
from helpers.training import runs
from helpers.training.command import as_typed

FILE = runs.DATA / "text_training.npz"
EVERY = 10  # looks at the training on text, of which one is kept

NO_TRAINER = (
    "This browser starts no training in a page, so a recorded one is replayed, the default. In "
    "JupyterLab (make lab) it trains."
)
OF_TEXT = (
    "A training on text takes some ten minutes and Python's own library, so this page replays one "
    "that was recorded: two layers of four heads, seed 0. In JupyterLab (make lab) it trains."
)

Look = tuple[dict[str, Any], bytes]  # what was seen of one step, and the patterns


def packed(state: dict[str, Any], looks: Sequence[Look], note: str) -> bytes:
    """A recording as a page takes it: the state that a widget opens with, and what it then says."""
    opened = dict(status="ready", trouble="", note=note)
    said = [
        (dict(type="snapshot", **(seen | dict(seconds=0))), [patterns]) for seen, patterns in looks
    ]
    return states.pack(state | opened, said)


def default() -> bytes:
    """The stored default run, looked at step by step."""
    run, choices = runs.load(runs.DATA / "runs" / "two_layers"), Choices()
    scene, looks = Scene(choices), []
    for step in run.steps:
        scene.trainer.model.load_state_dict(run.model_at(step).state_dict())
        scene.trainer.step_number = step
        looks.append(scene.look())
    state = dict(settings=asdict(choices), shape=scene.shape(), row=scene.row)
    return packed(state, looks, NO_TRAINER)


def text(file: Path = FILE) -> bytes:
    """The stored training on text."""
    with np.load(file, allow_pickle=False) as arrays:
        seen, state = (json.loads(str(arrays[name])) for name in ("seen", "state"))
        patterns = [one.tobytes() for one in arrays["patterns"]]
    return packed(state, list(zip(seen, patterns, strict=True)), OF_TEXT)


def save(discovery: Discovery, command: str, file: Path = FILE) -> None:
    """Write what was seen of a training: every tenth look, and the last."""
    kept = sorted({*range(0, len(discovery.snapshots), EVERY), len(discovery.snapshots) - 1})
    state = dict(settings=discovery.settings, shape=discovery.shape, row=discovery.row)
    about = dict(command=command, seed=discovery.choices.seed, versions=runs.versions())
    patterns = [np.frombuffer(discovery._patterns[at], np.uint8) for at in kept]
    content = io.BytesIO()
    np.savez_compressed(
        content,
        about=np.array(json.dumps(about)),
        state=np.array(json.dumps(state)),
        seen=np.array(json.dumps([discovery.snapshots[at] for at in kept])),
        patterns=np.stack(patterns),
    )
    write_atomically(file, content.getvalue())


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m helpers.course.site.recordings", description="Train on text and record it."
    )
    parser.add_argument("--out", type=Path, default=FILE)
    given = parser.parse_args(arguments)
    command = as_typed("helpers.course.site.recordings", arguments)
    save(Discovery(task="text").run(), command, given.out)
    runs.update_manifest(given.out)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
