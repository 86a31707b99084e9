"""Python's own standard library, or any folder of text, as a stream of byte-level BPE tokens.

Every reader has the standard library on disk, and its source repeats its names often enough to pay
for an induction head. Nothing here reaches the network, and no text is written but in the user's
cache folder.
"""

import hashlib
import os
import sysconfig
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs
import safetensors.torch
import torch
from jaxtyping import Bool, Int
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

BOS = "<bos>"
BOS_ID = 0
D_VOCAB = 1024
SMALLEST_D_VOCAB = 257  # one id for each byte, one for BOS
VALIDATION_SHARE = 0.05
TEXT_SUFFIXES = (".py", ".txt", ".md", ".rst")
CACHE_FORMAT = 1  # raise it when the same documents would give other tokens
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
READABLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})
# Byte-level BPE writes each byte as one visible character (GPT-2's table): this is the way back.
VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
INVISIBLE = [byte for byte in range(256) if byte not in VISIBLE]
BYTE_OF = {chr(byte): byte for byte in VISIBLE} | {
    chr(256 + i): byte for i, byte in enumerate(INVISIBLE)
}

Windows = tuple[Int[Tensor, "batch n_ctx"], Int[Tensor, "batch n_ctx"], Bool[Tensor, "batch n_ctx"]]


@dataclass(frozen=True)
class Document:
    """One file: `name` is its POSIX path relative to the folder, `text` its content with `\\n` line
    ends."""

    name: str
    text: str


@dataclass(frozen=True)
class Source:
    """What a corpus was made of, both splits together. `digest`: sha256 over every name and
    text."""

    n_documents: int
    n_bytes: int
    n_tokens: int
    digest: str


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


def train_tokenizer(
    documents: Sequence[Document], d_vocab: int = D_VOCAB, progress: bool = False
) -> Tokenizer:
    """Byte-level BPE with exactly `d_vocab` ids: `<bos>` is 0, the 256 bytes follow, then the
    merges.

    The same documents give the same tokenizer, byte by byte as JSON. A merge must occur twice in
    the text. Raises ValueError when `d_vocab` is below 257 or the text too small for it.
    """
    if d_vocab < SMALLEST_D_VOCAB:
        raise ValueError(
            f"d_vocab={d_vocab}: expected at least {SMALLEST_D_VOCAB}, the 256 bytes and {BOS}; "
            "try 512"
        )
    largest = SMALLEST_D_VOCAB + sum(len(document.text.encode()) for document in documents)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(d_vocab, largest),  # the trainer reserves memory for all it is promised
        min_frequency=2,
        special_tokens=[BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (document.text for document in documents)
    tokenizer.train_from_iterator(
        tqdm(texts, "tokenizer", len(documents), disable=not progress), trainer
    )
    if tokenizer.get_vocab_size() != d_vocab:
        raise ValueError(
            f"d_vocab={d_vocab}, but the text of {len(documents)} training documents supports only "
            f"{tokenizer.get_vocab_size()}; expected more repeated pairs; try a smaller d_vocab or "
            "more text"
        )
    return open_tokenizer(tokenizer)


def open_tokenizer(tokenizer: str | Path | Tokenizer) -> Tokenizer:
    """A tokenizer, or its JSON file, copied, checked and set to read `<bos>` in a text as ordinary
    characters.

    Raises FileNotFoundError, or ValueError when it is not a tokenizer of this kind: byte-level BPE
    where id 0 is `<bos>`, every byte has an id, and the ids leave no gap.
    """
    if isinstance(tokenizer, Tokenizer):
        content, came = tokenizer.to_str().encode(), "the tokenizer given"
    elif Path(tokenizer).is_file():
        content, came = Path(tokenizer).read_bytes(), f"tokenizer file {str(tokenizer)!r}"
    else:
        raise FileNotFoundError(
            f"no tokenizer file {str(tokenizer)!r}: expected its JSON; try tokenizer=None"
        )
    try:
        opened = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(
            f"{came}: expected a tokenizer's JSON ({error}); try tokenizer=None"
        ) from error
    ids = opened.get_vocab()
    has_bytes = ids.keys() >= BYTE_OF.keys() and max(ids.values()) == len(ids) - 1
    if ids.get(BOS) != BOS_ID or not has_bytes:
        raise ValueError(
            f"{came} has {len(ids)} ids, {opened.id_to_token(BOS_ID)!r} the first; expected "
            f"byte-level BPE, {BOS!r} the first, an id for every byte and no gap; try one made by "
            "train_tokenizer, or tokenizer=None"
        )
    opened.no_truncation()
    opened.no_padding()
    opened.encode_special_tokens = (
        True  # else a "<bos>" written in a text would look like a document's start
    )
    return opened


def tokenise(
    tokenizer: Tokenizer, documents: Sequence[Document], progress: bool = False
) -> Int[Tensor, " tokens"]:
    """All documents as one int32 stream, each preceded by id 0."""
    pieces = []
    with tqdm(total=len(documents), desc="tokens", disable=not progress) as bar:
        for start in range(0, len(documents), 64):
            texts = [document.text for document in documents[start : start + 64]]
            for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
                pieces.append(np.array([BOS_ID, *encoding.ids], dtype=np.int32))
            bar.update(len(texts))
    return torch.from_numpy(np.concatenate(pieces))


@dataclass(frozen=True, eq=False)
class Corpus:
    """Tokenised text: two int64 streams of joined documents, each document preceded by id 0. All on
    the CPU."""

    tokenizer: Tokenizer
    train: Int[Tensor, " train_tokens"]
    validation: Int[Tensor, " validation_tokens"]
    d_vocab: int
    source: Source

    def windows(
        self, batch: int, n_ctx: int, generator: torch.Generator, split: str = "train"
    ) -> Windows:
        """Random windows as (tokens, targets, determined): the fields of `sequences.Batch`, in its
        order.

        It is a plain tuple because this file imports no other helper: wrap it in `Batch(*...)`. At
        offset o, targets are stream[o : o + n_ctx] and tokens are id 0 followed by stream[o : o +
        n_ctx - 1]. `determined` is True everywhere. Raises ValueError for an unknown split or a
        window longer than its stream.
        """
        stream = self._stream(split, n_ctx)
        if batch < 1:
            raise ValueError(f"batch={batch}: expected at least 1 window; try 32")
        offsets = torch.randint(len(stream) - n_ctx + 1, (batch,), generator=generator)
        return _opened_by_bos(stream.unfold(0, n_ctx, 1)[offsets])

    def validation_windows(self, n_ctx: int, limit: int | None = None) -> Windows:
        """Fixed windows over validation, as `windows` gives them: in order, none overlapping
        another.

        All that fit, or `limit` of them spread evenly, so that a few windows still read many files.
        Raises ValueError for a window longer than the stream or a limit below 1.
        """
        windows = self._stream("validation", n_ctx).unfold(0, n_ctx, n_ctx)
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit}: expected at least 1 window, or None for all; try 64")
        kept = min(limit or len(windows), len(windows))
        return _opened_by_bos(windows[torch.arange(kept) * len(windows) // kept])

    @cached_property
    def counts(self) -> Int[Tensor, " d_vocab"]:
        """How often each id occurs in train. Id 0 counts the documents; bytes that never stand
        alone count 0."""
        return torch.bincount(self.train, minlength=self.d_vocab)

    def commonest_ids(self) -> Int[Tensor, " d_vocab_without_bos"]:
        """Every id but 0, the commonest in train first; equal counts keep the order of ids."""
        return 1 + self.counts[1:].argsort(descending=True, stable=True)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without an opening id 0. A lone surrogate is a UnicodeEncodeError,
        so a ValueError."""
        # fails on a surrogate and says where; the library would call the text "not a str"
        text.encode()
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int] | Int[Tensor, " tokens"]) -> str:
        """The text of `ids`, the inverse of `encode`; a cut character gives U+FFFD. ValueError on a
        foreign id."""
        return self.tokenizer.decode(self._checked(ids), skip_special_tokens=False)

    def token_strings(self, ids: Sequence[int] | Int[Tensor, " tokens"]) -> list[str]:
        """One label an id: space `·`, newline `⏎`, tab `⇥`, other invisibles `\\u001b`, a cut
        character `\\xe2`."""
        return [_label(self.tokenizer.id_to_token(token)) for token in self._checked(ids)]

    def _stream(self, split: str, n_ctx: int) -> Int[Tensor, " tokens"]:
        if split not in ("train", "validation"):
            raise ValueError(
                f"split={split!r}: expected 'train' or 'validation'; try split='train'"
            )
        stream = self.train if split == "train" else self.validation
        if not 1 <= n_ctx <= len(stream):
            raise ValueError(
                f"n_ctx={n_ctx}: expected 1 to {len(stream)}, the length of the {split} stream; "
                "try a shorter window or more text"
            )
        return stream

    def _checked(self, ids: Sequence[int] | Int[Tensor, " tokens"]) -> list[int]:
        ids = torch.as_tensor(ids)
        if ids.ndim != 1 or (len(ids) and not 0 <= ids.min() <= ids.max() < self.d_vocab):
            raise ValueError(
                f"token ids of shape {tuple(ids.shape)}, {ids.min()} to {ids.max()}: expected one "
                "axis and "
                f"0 to {self.d_vocab - 1}; try ids from this corpus' encode, or one row of a batch"
            )
        return ids.tolist()


def load(
    folder: str | Path | None = None,
    d_vocab: int | None = None,
    tokenizer: str | Path | Tokenizer | None = None,
    progress: bool = False,
    cache: str | Path | None = None,
    suffixes: Sequence[str] | None = None,
) -> Corpus:
    """The standard library, or the text in `folder`, as a Corpus; tokenised once, then read from
    the cache.

    `tokenizer`: one made before, or its JSON file; None trains one of `d_vocab` ids (default 1024)
    on the train split. `cache`: a folder; else the environment variable INDUCTION_COURSE_CACHE,
    else the user's cache folder. A cache that was cut or edited is made anew. `progress` draws bars
    on stderr. `suffixes` as in `read_documents`.

    Raises what `read_documents`, `split_documents`, `train_tokenizer` and `open_tokenizer` raise,
    and ValueError when `d_vocab` is given and is not the tokenizer's.
    """
    documents = read_documents(folder, suffixes)
    train, validation = split_documents(documents)
    digest = _digest(documents)
    if tokenizer is None:
        d_vocab = D_VOCAB if d_vocab is None else d_vocab
        recipe = str(d_vocab)
    else:
        tokenizer = open_tokenizer(tokenizer)
        recipe = tokenizer.to_str()
        if d_vocab not in (None, tokenizer.get_vocab_size()):
            raise ValueError(
                f"d_vocab={d_vocab}: expected {tokenizer.get_vocab_size()}, the tokenizer's; try "
                "d_vocab=None"
            )
    key = hashlib.sha256(f"{CACHE_FORMAT}\n{digest}\n{recipe}".encode()).hexdigest()
    cache = (
        cache
        or os.environ.get("INDUCTION_COURSE_CACHE")
        or platformdirs.user_cache_dir("induction-course")
    )
    path = Path(cache, f"{key}.tokens")
    kept = _read_cache(path)
    if kept is None:
        tokenizer = tokenizer or train_tokenizer(train, d_vocab, progress)
        kept = {
            "train": tokenise(tokenizer, train, progress),
            "validation": tokenise(tokenizer, validation, progress),
            "tokenizer": torch.frombuffer(
                bytearray(tokenizer.to_str().encode()), dtype=torch.uint8
            ),
        }
        _write_cache(path, kept)
    tokenizer = open_tokenizer(Tokenizer.from_buffer(kept["tokenizer"].numpy().tobytes()))
    n_bytes = sum(len(document.text.encode()) for document in documents)
    source = Source(len(documents), n_bytes, len(kept["train"]) + len(kept["validation"]), digest)
    return Corpus(
        tokenizer,
        kept["train"].long(),
        kept["validation"].long(),
        tokenizer.get_vocab_size(),
        source,
    )


def _opened_by_bos(targets: Int[Tensor, "batch n_ctx"]) -> Windows:
    return (
        pad(targets[:, :-1], (1, 0), value=BOS_ID),
        targets,
        torch.ones_like(targets, dtype=torch.bool),
    )


def _label(token: str) -> str:
    text = (
        bytes(BYTE_OF[character] for character in token)
        .decode(errors="backslashreplace")
        .translate(READABLE)
    )
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}" for character in text
    )


def _digest(documents: Sequence[Document]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        name, text = document.name.encode(), document.text.encode()
        # Lengths first, so that no other list of names and texts gives the same bytes.
        digest.update(f"{len(name)} {len(text)}\n".encode() + name + text)
    return digest.hexdigest()


def _read_cache(path: Path) -> dict[str, Tensor] | None:
    """The tensors kept at `path`, or None without a file whose first 64 bytes are the sha256 of the
    rest."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    is_whole = hashlib.sha256(content[64:]).hexdigest().encode() == content[:64]
    return safetensors.torch.load(content[64:]) if is_whole else None


def _write_cache(path: Path, tensors: dict[str, Tensor]) -> None:
    """64 hexadecimal digits of sha256, then safetensors. A cache that cannot be written costs time,
    not the run."""
    payload = safetensors.torch.save(tensors)
    unfinished = path.with_suffix(f".{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(hashlib.sha256(payload).hexdigest().encode() + payload)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(
            f"tokens not cached ({error}); try another folder in INDUCTION_COURSE_CACHE",
            stacklevel=3,
        )
