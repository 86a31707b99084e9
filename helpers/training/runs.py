"""A finished run on disk: what made it, every loss, and its weights over time.

A run is a folder: `run.json` for people (config, task, seed, versions, history) and safetensors
files for the weights. `run.json` names each of them with its sha256, and is replaced last, in one
move: whoever kills the process at any moment finds the run as it was before or as it is now.
Nothing is ever unpickled.

All snapshots but the last are kept in half precision, which halves the clone and moves a score by
less than a picture shows; the last one is kept as it was.
"""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from tokenizers import Tokenizer
from torch import Tensor

from helpers.corpus import Corpus
from helpers.corpus.tokenizer import Vocabulary, open_tokenizer
from helpers.files import write_atomically
from helpers.model import AttentionOnlyTransformer, ModelConfig

# `make fresh` puts runs of other seeds in the place of those that are shipped.
DATA = Path(os.environ.get("COURSE_DATA") or Path(__file__).resolve().parents[2] / "data")


class DamagedRun(ValueError):
    """A file of the run is missing, cut or edited."""


# in run.json as they are in a Run
RECORD = (
    "task",
    "training",
    "command",
    "versions",
    "probe_ids",
    "losses",
    "history",
)


@dataclass
class Run:
    """`history` has one entry a snapshot: its step, the mean loss since the one before (nats) and
    its scores. `losses` has one a step. `weights[step]` are the weights by name. `probe_ids`: the
    tokens that the probe drew from, if not all. `text`: what `about` says of the text that was
    read, if one was."""

    model: ModelConfig
    task: dict[str, Any]
    training: dict[str, Any]
    command: str = ""
    versions: dict[str, str] = field(default_factory=lambda: versions())
    probe_ids: list[int] | None = None
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    weights: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    text: dict[str, Any] | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """What encodes text for this model and decodes its tokens, wherever the text is now.
        ValueError for a run that keeps no tokenizer."""
        if self.text is None:
            raise ValueError(
                "this run keeps no tokenizer: it read no text, or is older than that; the course's "
                "own text runs have the tokens of recipes.library(1024)"
            )
        tokenizer = Tokenizer.from_str(json.dumps(self.text["tokenizer"]))
        return Vocabulary(open_tokenizer(tokenizer), self.model.d_vocab)

    @property
    def steps(self) -> list[int]:
        """The steps at which there are weights."""
        return sorted(self.weights)

    def model_at(self, step: int | None = None) -> AttentionOnlyTransformer:
        """The model as it stood at one of `steps`, by default the last. ValueError for a step
        without weights."""
        step = self.steps[-1] if step is None else step
        if step not in self.weights:
            raise ValueError(f"no weights at step {step}; this run has them at {self.steps}")
        model = AttentionOnlyTransformer(self.model)
        model.load_state_dict({name: tensor.float() for name, tensor in self.weights[step].items()})
        return model


def about(text: Corpus) -> dict[str, Any]:
    """What a run keeps of its text: how much was read and left out, its digest, and the tokenizer
    as JSON."""
    left_out = [files._asdict() for files in text.source.left_out]
    tokenizer = json.loads(text.tokenizer.to_str())
    return asdict(text.source) | dict(left_out=left_out, tokenizer=tokenizer)


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "safetensors", "tokenizers")},
    }


def save(run: Run, folder: str | Path, checkpoint: Mapping[str, Tensor] | None = None) -> None:
    """Write the run, and the trainer's checkpoint if given, in place of what the folder held."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    last = max(run.weights, default=0)
    tensors = {
        f"{step:07d}/{name}": tensor if step == last else tensor.half()
        for step, weights in run.weights.items()
        for name, tensor in weights.items()
    }
    files = {"snapshots": write_tensors(folder, "snapshots", tensors)}
    if checkpoint is not None:
        files["checkpoint"] = write_tensors(folder, "checkpoint", dict(checkpoint))
    record = dict(
        model=asdict(run.model),
        task=run.task,
        training=run.training,
        command=run.command,
        versions=run.versions,
        probe_ids=run.probe_ids,
        files=files,
        losses=[round(loss, 5) for loss in run.losses],
        history=run.history,
    )
    if run.text is not None:
        record["text"] = run.text
    write_atomically(folder / "run.json", (json.dumps(record, allow_nan=False) + "\n").encode())
    named = {file["name"] for file in files.values()}
    for stale in folder.glob("*.safetensors*"):  # and what a killed process left half-written
        if stale.name not in named:
            stale.unlink()


def load(folder: str | Path) -> Run:
    """Read a run back. FileNotFoundError without a `run.json`; DamagedRun when a file is missing,
    cut, edited or of another shape."""
    folder = Path(folder)
    record = _read_record(folder)
    tensors = read_tensors(folder, *record["files"]["snapshots"])
    weights: dict[int, dict[str, Tensor]] = {}
    for key, tensor in sorted(tensors.items()):  # safetensors gives them in any order
        step, name = key.split("/")
        weights.setdefault(int(step), {})[name] = tensor
    expected = {
        name: weight.shape
        for name, weight in AttentionOnlyTransformer(record["model"]).named_parameters()
    }
    for step, found in weights.items():
        shapes = {name: tensor.shape for name, tensor in found.items()}
        if shapes != expected:
            raise DamagedRun(
                f"{folder.name} at step {step} holds {shapes}; its config makes {expected}; train "
                "the run again"
            )
    kept = {key: record[key] for key in ("model", *RECORD, "text")}
    return Run(weights=weights, **kept)


def load_checkpoint(folder: str | Path) -> dict[str, Tensor]:
    """The trainer's checkpoint. DamagedRun when it is cut or edited, ValueError when the run was
    saved without one."""
    record = _read_record(Path(folder))
    if "checkpoint" not in record["files"]:
        raise ValueError(
            f"{Path(folder).name} has no checkpoint to go on from: it is finished, or was saved "
            "without one; start a new run"
        )
    return read_tensors(Path(folder), *record["files"]["checkpoint"])


def write_tensors(folder: Path, kind: str, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Write the tensors to a file of this kind, and return its name and sha256: what a record says
    of it."""
    content = safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in tensors.items()}
    )
    digest = hashlib.sha256(content).hexdigest()
    # a new name for new content: the old record keeps its old file
    name = f"{kind}-{digest[:8]}.safetensors"
    write_atomically(folder / name, content)
    return {"name": name, "sha256": digest}


def _read_record(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"no run.json in {str(folder)!r}; give the folder of a run, such as data/runs/<name>"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        files = {kind: found["files"][kind] for kind in {"snapshots", *found["files"]}}
        return dict(
            {key: found[key] for key in RECORD},
            text=found.get("text"),
            model=ModelConfig(**found["model"]),
            files={kind: (file["name"], file["sha256"]) for kind, file in files.items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRun(
            f"run.json of {folder.name} is cut or edited ({error!r}); restore it, or train the run "
            "again"
        ) from error


def read_tensors(folder: Path, name: str, sha256: str) -> dict[str, Tensor]:
    """The tensors of a file. DamagedRun when it is not the one that the record means."""
    path = folder / Path(name).name
    content = path.read_bytes() if path.is_file() else b""
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DamagedRun(
            f"{path.name} of {folder.name} has sha256 {digest[:12]}..., run.json expects "
            f"{sha256[:12]}...: the file is "
            "missing, cut or edited; restore it, or train the run again"
        )
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise DamagedRun(
            f"{path.name} of {folder.name} holds no tensors ({error}); train the run again"
        ) from error


def manifest(data: str | Path = DATA) -> dict[str, Any]:
    """What lies in the data folder and where it came from: the command, seeds, versions and files
    with their sha256 of each run and sweep and of the arrays, and the tokenizer.
    `data/MANIFEST.json` holds it, and a test compares the two."""
    data = Path(data)
    made = {
        "tokenizer.json": dict(
            sha256=hashlib.sha256((data / "tokenizer.json").read_bytes()).hexdigest()
        )
    }
    for folder in sorted(path.parent for path in data.glob("runs/*/run.json")):
        record = _read_record(folder)
        files = dict(record["files"].values())
        files["run.json"] = hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()
        made[f"runs/{folder.name}"] = dict(
            command=record["command"],
            seed=record["training"]["seed"],
            versions=record["versions"],
            sha256=files,
        )
    for path in sorted(data.glob("sweeps/*/sweep.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        files = {file["name"]: file["sha256"] for file in record["files"].values()}
        files["sweep.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
        made[f"sweeps/{path.parent.name}"] = dict(
            command=record["command"],
            seeds=sorted({result["seed"] for result in record["results"]}),
            versions=record["versions"],
            sha256=files,
        )
    for path in sorted(data.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            made[path.name] = dict(
                **json.loads(str(arrays["about"])),
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
    return made


def write_manifest(data: str | Path = DATA) -> None:
    write_atomically(
        Path(data) / "MANIFEST.json", (json.dumps(manifest(data), indent=2) + "\n").encode()
    )


def update_manifest(written: Path) -> None:
    """Write the manifest anew if what was written lies in the data folder."""
    if DATA in written.resolve().parents:
        write_manifest(DATA)
