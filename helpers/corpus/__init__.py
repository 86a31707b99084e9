"""Python's own standard library, or any folder of text, as a stream of byte-level BPE tokens.

Every reader has the standard library on disk, and its source repeats its names often enough to pay
for an induction head. Nothing here reaches the network, and no text is written but in the user's
cache folder.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Int
from tokenizers import Tokenizer
from torch import Tensor

from helpers.corpus.documents import (
    Document,
    LeftOut,
    digest_of,
    read_documents,
    read_folder,
    split_documents,
    standard_library,
)
from helpers.corpus.tokenizer import (
    D_VOCAB,
    Vocabulary,
    open_tokenizer,
    tokenise,
    train_tokenizer,
)
from helpers.files import cache_folder, write_atomically
from helpers.sequences import Batch
from helpers.sequences.batch import after_bos

CACHE_FORMAT = 2  # raise it when the same documents would give other tokens


@dataclass(frozen=True)
class Source:
    """What a corpus was made of, both splits together, and what of a reader's folder was left out.
    `digest`: sha256 over every name and text."""

    n_documents: int
    n_bytes: int
    n_tokens: int
    digest: str
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, eq=False)
class Corpus(Vocabulary):
    """Tokenised text: two int64 streams of joined documents, each document preceded by id 0. All on
    the CPU."""

    train: Int[Tensor, " train_tokens"]
    validation: Int[Tensor, " validation_tokens"]
    source: Source

    def windows(
        self, batch: int, n_ctx: int, generator: torch.Generator, split: str = "train"
    ) -> Batch:
        """Random windows. At offset o, targets are stream[o : o + n_ctx] and tokens are BOS and
        then stream[o : o + n_ctx - 1]; all rows count as determined.

        Raises ValueError for an unknown split or a window longer than its stream.
        """
        stream = self._stream(split, n_ctx)
        if batch < 1:
            raise ValueError(f"batch={batch}: expected at least 1 window; try 32")
        offsets = torch.randint(len(stream) - n_ctx + 1, (batch,), generator=generator)
        return _batch(stream.unfold(0, n_ctx, 1)[offsets])

    def validation_windows(self, n_ctx: int, limit: int | None = None) -> Batch:
        """Fixed windows over validation, as `windows` gives them: in order, none overlapping
        another.

        All that fit, or `limit` of them spread evenly, so that a few windows still read many files.
        Raises ValueError for a window longer than the stream or a limit below 1.
        """
        windows = self._stream("validation", n_ctx).unfold(0, n_ctx, n_ctx)
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit}: expected at least 1 window, or None for all; try 64")
        kept = min(limit or len(windows), len(windows))
        return _batch(windows[torch.arange(kept) * len(windows) // kept])

    @cached_property
    def counts(self) -> Int[Tensor, " d_vocab"]:
        """How often each id occurs in train. Id 0 counts the documents; bytes that never stand
        alone count 0."""
        return torch.bincount(self.train, minlength=self.d_vocab)

    def commonest_ids(self) -> Int[Tensor, " d_vocab_without_bos"]:
        """Every id but 0, the commonest in train first; equal counts keep the order of ids."""
        return 1 + self.counts[1:].argsort(descending=True, stable=True)

    def middle_ids(self, most: float = 0.02, least: float = 0.2) -> Int[Tensor, " ids"]:
        """The ids left when the share `most` of the commonest and `least` of the least common are
        dropped, and BOS: those to probe heads with."""
        ids = self.commonest_ids()
        return ids[int(most * len(ids)) : len(ids) - int(least * len(ids))]

    def _stream(self, split: str, n_ctx: int) -> Int[Tensor, " tokens"]:
        if split not in ("train", "validation"):
            raise ValueError(
                f"split={split!r}: expected 'train' or 'validation'; try split='train'"
            )
        stream = self.train if split == "train" else self.validation
        if not 1 <= n_ctx <= len(stream):
            raise ValueError(
                f"n_ctx={n_ctx}: expected 1 to {len(stream)}, the length of the {split} stream; "
                "try more text, or a shorter window"
            )
        return stream


def load(
    folder: str | Path | None = None,
    d_vocab: int | None = None,
    tokenizer: str | Path | Tokenizer | None = None,
    progress: bool = False,
    cache: str | Path | None = None,
    suffixes: Sequence[str] | None = None,
    tell: Callable[[str], object] = print,
) -> Corpus:
    """The standard library, or the text in `folder`, as a Corpus; tokenised once, then read from
    the cache.

    `tokenizer`: one made before, or its JSON file; None trains one of `d_vocab` ids (default 1024)
    on the train split. `cache`: a folder; else the environment variable INDUCTION_COURSE_CACHE,
    else the user's cache folder. A cache that was cut or edited is made anew. `progress` draws bars
    on stderr. `suffixes` as in `read_folder`. `tell` is called with words on what was left out, if
    anything was.

    Raises what `read_folder`, `split_documents`, `train_tokenizer` and `open_tokenizer` raise,
    and ValueError when `d_vocab` is given and is not the tokenizer's.
    """
    documents, left_out = read_folder(folder, suffixes)
    if left_out:
        tell("\n  ".join(["Left out:", *map(str, left_out)]))
    train, validation = split_documents(documents)
    digest = digest_of(documents)
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
    path = Path(cache or cache_folder(), f"{key}.tokens")
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
    n_tokens = len(kept["train"]) + len(kept["validation"])
    return Corpus(
        tokenizer,
        tokenizer.get_vocab_size(),
        train=kept["train"].long(),
        validation=kept["validation"].long(),
        source=Source(len(documents), n_bytes, n_tokens, digest, tuple(left_out)),
    )


def _batch(targets: Int[Tensor, "batch n_ctx"]) -> Batch:
    return after_bos(targets, torch.ones_like(targets, dtype=torch.bool))


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, hashlib.sha256(payload).hexdigest().encode() + payload)
    except OSError as error:
        warnings.warn(
            f"tokens not cached ({error}); try another folder in INDUCTION_COURSE_CACHE",
            stacklevel=3,
        )
