"""Byte-level BPE: trained, opened and checked; text to ids, and ids to labels that can be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from tqdm import tqdm

from helpers.corpus.documents import Document
from helpers.sequences import BOS

BOS_TOKEN = "<bos>"
D_VOCAB = 1024
SMALLEST_D_VOCAB = 257  # one id for each byte, one for BOS
LONGEST_WORD = 256  # bytes. Learning the merges takes time quadratic in a word; reading does not
READABLE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})
# Byte-level BPE writes each byte as one visible character (GPT-2's table): this is the way back.
VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
INVISIBLE = [byte for byte in range(256) if byte not in VISIBLE]
BYTE_OF = {chr(byte): byte for byte in VISIBLE} | {
    chr(256 + i): byte for i, byte in enumerate(INVISIBLE)
}


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
            f"d_vocab={d_vocab}: expected at least {SMALLEST_D_VOCAB}, the 256 bytes and "
            f"{BOS_TOKEN}; try 512"
        )
    largest = SMALLEST_D_VOCAB + sum(len(document.text.encode()) for document in documents)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = in_pieces(words)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=min(d_vocab, largest),  # the trainer reserves memory for all it is promised
        min_frequency=2,
        special_tokens=[BOS_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (document.text for document in documents)
    tokenizer.train_from_iterator(
        tqdm(texts, "tokenizer", len(documents), disable=not progress), trainer
    )
    tokenizer.pre_tokenizer = words
    if (supported := tokenizer.get_vocab_size()) != d_vocab:
        raise ValueError(
            f"d_vocab={d_vocab}, but the text of {len(documents)} training documents supports only "
            f"{supported}; expected more repeated pairs; try more text, or d_vocab={supported} (at "
            f"the command --d-vocab {supported})"
        )
    return open_tokenizer(tokenizer)


def in_pieces(words: pre_tokenizers.PreTokenizer) -> pre_tokenizers.PreTokenizer:
    """The same words, and those longer than LONGEST_WORD in pieces."""
    pieces = pre_tokenizers.Split(Regex(f".{{{LONGEST_WORD}}}"), "isolated")
    return pre_tokenizers.Sequence([words, pieces])


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
    if ids.get(BOS_TOKEN) != BOS or not has_bytes:
        raise ValueError(
            f"{came} has {len(ids)} ids, {opened.id_to_token(BOS)!r} the first; expected "
            f"byte-level BPE, {BOS_TOKEN!r} the first, an id for every byte and no gap; try one "
            "made by train_tokenizer, or tokenizer=None"
        )
    opened.no_truncation()
    opened.no_padding()
    # else a "<bos>" written in a text would look like a document's start
    opened.encode_special_tokens = True
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
                pieces.append(np.array([BOS, *encoding.ids], dtype=np.int32))
            bar.update(len(texts))
    return torch.from_numpy(np.concatenate(pieces))


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A tokenizer and the number of its ids: text to ids and back."""

    tokenizer: Tokenizer
    d_vocab: int

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
        return [label(self.tokenizer.id_to_token(token)) for token in self._checked(ids)]

    def _checked(self, ids: Sequence[int] | Int[Tensor, " tokens"]) -> list[int]:
        ids = torch.as_tensor(ids)
        if ids.ndim != 1 or (len(ids) and not 0 <= ids.min() <= ids.max() < self.d_vocab):
            raise ValueError(
                f"token ids of shape {tuple(ids.shape)}, {ids.min()} to {ids.max()}: expected one "
                f"axis and 0 to {self.d_vocab - 1}; try ids from this vocabulary's encode, or one "
                "row of a batch"
            )
        return ids.tolist()


def label(token: str) -> str:
    """A token of byte-level BPE as it can be read; bytes of a cut character as `\\xe2`."""
    content = bytes(BYTE_OF[character] for character in token)
    return readable(content.decode(errors="backslashreplace"))


def readable(text: str) -> str:
    """With a visible sign for every character: space `·`, newline `⏎`, tab `⇥`, others
    `\\u001b`."""
    return "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}"
        for character in text.translate(READABLE)
    )
