"""A language model's tokenizer in the place of a corpus: what it makes of a text, and what it calls
its tokens."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from helpers import corpus
from helpers.corpus.tokenizer import open_tokenizer
from helpers.explorables.shared.tokens import Tokenizer as Reads
from helpers.lens import Words
from helpers.training import runs

AWKWARD = "def f(x):\n\treturn x . , 'ü€🧠'\r\x00\u2028"


def words_of(made: Tokenizer, **named) -> Words:
    return Words(SimpleNamespace(tokenizer=PreTrainedTokenizerFast(tokenizer_object=made, **named)))


@pytest.fixture(scope="module")
def library():
    """The course's own tokenizer as a corpus has it."""
    return SimpleNamespace(tokenizer=open_tokenizer(runs.DATA / "tokenizer.json"), d_vocab=1024)


@pytest.fixture(scope="module")
def words(library):
    """The same one, as a language model has it."""
    return words_of(library.tokenizer, bos_token="<bos>")


@pytest.mark.parametrize("text", [AWKWARD, "a <bos> b", "", "    " * 30])
def test_a_text_gives_the_ids_and_labels_that_a_corpus_gives(words, library, text):
    library._checked = corpus.Corpus._checked.__get__(library)
    ids = words.encode(text)
    assert ids == corpus.Corpus.encode(library, text) and 0 not in ids
    assert words.token_strings(ids) == corpus.Corpus.token_strings(library, ids)
    assert words.decode(ids) == text


def test_a_text_is_read_as_it_stands_and_half_a_pair_is_refused(words):
    assert isinstance(words, Reads)
    assert words.token_strings([0]) == ["<bos>"]  # that it has a name, and is not written
    with pytest.raises(UnicodeEncodeError):
        words.encode("wex \ud83d")


def test_a_tokenizer_of_another_kind_is_read_by_what_it_decodes():
    """Where a letter stands for itself and not for a byte, and bytes have names of their own."""
    ids = {"é": 0, "▁": 1, "▁été": 2, "<0xF0>": 3, "\ufffd": 4, "\n": 5, "▁.": 6}
    made = Tokenizer(models.WordLevel(ids, unk_token="é"))
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    words = words_of(made, clean_up_tokenization_spaces=True)  # which would take some away
    labels = ["é", "·", "·été", "<0xF0>", "\ufffd", "⏎", "·."]
    assert words.token_strings(range(7)) == labels
