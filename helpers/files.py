"""A file is written whole, or not at all; and where what can be made again is kept."""

import os
import uuid
from pathlib import Path

import platformdirs


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file in one move: written beside, then moved into place. Whoever kills the
    process at any moment finds the file as it was before or as it is now."""
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def cache_folder() -> Path:
    """The environment variable INDUCTION_COURSE_CACHE, else the user's cache folder."""
    named = os.environ.get("INDUCTION_COURSE_CACHE")
    return Path(named or platformdirs.user_cache_dir("induction-course"))
