"""The files that a corpus is made of: which are read, which are left out and why, and on which side
of the split each lies."""

import hashlib
import os
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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


class LeftOut(NamedTuple):
    """The files that were not read for one reason; `example` is the name of one. As a string: how
    many, how large, and why."""

    why: str
    n_files: int
    n_bytes: int
    example: str

    def __str__(self) -> str:
        files = "1 file" if self.n_files == 1 else f"{self.n_files:,} files"
        # a name that is not UTF-8 can be printed as its repr alone
        example = f"{': ' if self.n_files == 1 else ', such as '}{self.example!r}"
        return f"{files}, {size(self.n_bytes)}, {self.why}{example}"


class Reading(NamedTuple):
    """What a folder gave: every file is in one of the two, but for those of the standard library
    that are no source of its own."""

    documents: list[Document]
    left_out: list[LeftOut]


def standard_library() -> Path:
    """The folder of the running Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def read_documents(
    folder: str | Path | None = None, suffixes: Sequence[str] | None = None
) -> list[Document]:
    """The documents of `read_folder`."""
    return read_folder(folder, suffixes).documents


def read_folder(folder: str | Path | None = None, suffixes: Sequence[str] | None = None) -> Reading:
    """The text files under `folder`, sorted by name, and what was left out.

    The standard library (the default) gives its .py files without tests, idlelib, encodings,
    generated files and installed packages, and says nothing of the rest. Another folder gives its
    .py, .txt, .md and .rst files, or those with the `suffixes` given, in capitals or not. Left out
    are hidden files, those that are not UTF-8, have NUL bytes, hold white space alone or cannot be
    opened. Line ends are read as `\\n` and a byte order mark is dropped, so that a text gives the
    same tokens wherever it was written.

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
    documents, dropped = [], {}
    for path in _library_files(root) if is_library else _files(root):
        name = path.relative_to(root).as_posix()
        text, why = _read(path, name, suffixes)
        if why:
            dropped.setdefault(why, []).append((name, path.lstat().st_size))
        else:
            documents.append(Document(name, text))
    left_out = [
        LeftOut(why, len(files), sum(n_bytes for _, n_bytes in files), min(files)[0])
        for why, files in sorted(dropped.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    if not documents:
        found = "; ".join(map(str, left_out)) or "no file at all"
        raise ValueError(
            f"empty corpus: no UTF-8 text in {str(root)!r} with a suffix of {suffixes}: {found}; "
            "expected at least one such file; try other suffixes, each with its dot, or save the "
            "files as UTF-8"
        )
    documents.sort(key=lambda document: document.name)
    return Reading(documents, [] if is_library else left_out)


def _files(root: Path) -> Iterator[Path]:
    """All that is not a folder that can be walked: files, and links to folders, which may lead in a
    circle."""
    unreadable: list[OSError] = []
    for directory, folders, names in os.walk(root, onerror=unreadable.append):
        yield from (Path(directory, name) for name in names)
        yield from (path for name in folders if (path := Path(directory, name)).is_symlink())
    yield from (Path(error.filename) for error in unreadable)


def _library_files(root: Path) -> Iterator[Path]:
    def is_left_out(name: str) -> bool:
        return name.startswith((".", BUILD_RECORD)) or name in NOT_LIBRARY

    for directory, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not is_left_out(name)]
        yield from (Path(directory, name) for name in names if not is_left_out(name))


def _read(path: Path, name: str, suffixes: Sequence[str]) -> tuple[str, str]:
    """The text of a file and no reason, or no text and why the file is left out."""
    if any(part.startswith(".") for part in Path(name).parts):
        return "", "hidden, with a dot in front"
    if path.is_dir():
        return "", "a link to a folder" if path.is_symlink() else "a folder that cannot be opened"
    if path.suffix.lower() not in {suffix.lower() for suffix in suffixes}:
        return "", f"with another ending than {' '.join(suffixes)}"
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError:
        content = None
    if content is None:
        return "", "that cannot be opened"
    if b"\0" in content:
        return "", "with NUL bytes, so no text"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "", "not in UTF-8"
    return text.replace("\r\n", "\n").replace("\r", "\n"), "" if text.strip() else "empty"


def split_documents(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """(train, validation), split by file: about 5% of the names go to validation, chosen by their
    sha256.

    A document's side depends on its name alone, so it stays where it is whatever else is in the
    folder. Raises ValueError when a side is empty.
    """
    train, validation = [], []
    for document in documents:
        draw = int.from_bytes(hashlib.sha256(_bytes(document.name)).digest()[:8], "big") / 2**64
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
        name, text = _bytes(document.name), document.text.encode()
        # Lengths first, so that no other list of names and texts gives the same bytes.
        digest.update(f"{len(name)} {len(text)}\n".encode() + name + text)
    return digest.hexdigest()


def _bytes(name: str) -> bytes:
    """UTF-8, and of a file name that is not UTF-8 what Python puts in its place."""
    return name.encode("utf-8", "surrogatepass")


def size(n_bytes: int) -> str:
    """As people say it: 512 bytes, 3.4 kB, 12 MB."""
    power = min(len(str(n_bytes)) - 1, 9) // 3
    if power == 0:
        return f"{n_bytes} bytes"
    found = n_bytes / 1000**power
    return f"{found:.{1 if found < 10 else 0}f} {['kB', 'MB', 'GB'][power - 1]}"
