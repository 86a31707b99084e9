"""The files that a corpus is made of: which are read, and on which side of the split each lies."""

import hashlib
import os
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VALIDATION_SHARE = 0.05
TEXT_SUFFIXES = (".py", ".txt", ".md", ".rst")
# pydoc_data is one string of generated prose, 8% of all bytes: on either side of the split it would
# drown the code.
NOT_LIBRARY = {
    "test",
    "tests",
    "idlelib",
    "encodings",
    "pydoc_data",
    "site-packages",
    "dist-packages",
}
BUILD_RECORD = "_sysconfigdata"  # generated on the machine that built Python, full of its paths


@dataclass(frozen=True)
class Document:
    """One file: `name` is its POSIX path relative to the folder, `text` its content with `\\n` line
    ends."""

    name: str
    text: str


def standard_library() -> Path:
    """The folder of the running Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def read_documents(
    folder: str | Path | None = None, suffixes: Sequence[str] | None = None
) -> list[Document]:
    """The text files under `folder`, sorted by name.

    The standard library (the default) gives its .py files without tests, idlelib, encodings,
    generated files and installed packages. Another folder gives its .py, .txt, .md and .rst files,
    or those with the `suffixes` given. Hidden folders, files that are not UTF-8 and files of white
    space are left out. Line ends are read as `\\n`, so that a file gives the same tokens on every
    system.

    Raises FileNotFoundError, NotADirectoryError, or ValueError when no text is left.
    """
    root = standard_library() if folder is None else Path(folder)
    if not root.exists():
        raise FileNotFoundError(
            f"no folder {str(root)!r}: expected a folder of text; try an absolute path"
        )
    if not root.is_dir():
        raise NotADirectoryError(
            f"{str(root)!r} is a file: expected a folder of text; try the folder it lies in"
        )
    is_library = root.resolve() == standard_library().resolve()
    suffixes = tuple(suffixes or ((".py",) if is_library else TEXT_SUFFIXES))

    def is_left_out(name: str) -> bool:
        return name.startswith(".") or (
            is_library and (name in NOT_LIBRARY or name.startswith(BUILD_RECORD))
        )

    documents = []
    for directory, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not is_left_out(name)]
        for path in (Path(directory, name) for name in names if not is_left_out(name)):
            if path.suffix not in suffixes or not path.is_file():
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            if text.strip():
                documents.append(Document(path.relative_to(root).as_posix(), text))
    if not documents:
        raise ValueError(
            f"empty corpus: no UTF-8 text in {str(root)!r} with a suffix of {suffixes}; "
            "expected at least one such file; try other suffixes, each with its dot"
        )
    return sorted(documents, key=lambda document: document.name)


def split_documents(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """(train, validation), split by file: about 5% of the names go to validation, chosen by their
    sha256.

    A document's side depends on its name alone, so it stays where it is whatever else is in the
    folder. Raises ValueError when a side is empty.
    """
    train, validation = [], []
    for document in documents:
        draw = int.from_bytes(hashlib.sha256(document.name.encode()).digest()[:8], "big") / 2**64
        (validation if draw < VALIDATION_SHARE else train).append(document)
    if not train or not validation:
        raise ValueError(
            f"{len(documents)} documents gave {len(train)} for training and {len(validation)} for "
            "validation; expected at least one each; try more files, about a hundred, for instance "
            "one for each chapter"
        )
    return train, validation


def digest_of(documents: Sequence[Document]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        name, text = document.name.encode(), document.text.encode()
        # Lengths first, so that no other list of names and texts gives the same bytes.
        digest.update(f"{len(name)} {len(text)}\n".encode() + name + text)
    return digest.hexdigest()
