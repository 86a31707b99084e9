"""The corpus: what is read, how it is split, tokenised and kept, and what bad input is told."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import corpus as corpus_module
from helpers.corpus import (
    Corpus,
    Document,
    load,
    open_tokenizer,
    read_documents,
    split_documents,
    standard_library,
    tokenise,
    train_tokenizer,
)

D_VOCAB = 300


def write_folder(folder: Path, n_files: int = 100) -> Path:
    """A folder of small programs, each with names of its own and a few characters that are not
    ASCII."""
    for i in range(n_files):
        path = folder / f"part{i % 3}" / f"module_{i}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"def function_{i}(value, other):\n\treturn value * {i} + other  # café\n\n\n" * (
            1 + i % 4
        )
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def no_user_cache(tmp_path, monkeypatch):
    """Nothing here reaches the reader's own cache, even when a test fails."""
    monkeypatch.setenv("INDUCTION_COURSE_CACHE", str(tmp_path / "no_user_cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_folder(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def corpus(folder, tmp_path_factory) -> Corpus:
    return load(folder, D_VOCAB, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def tokenizer_file(corpus, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    corpus.tokenizer.save(str(path))
    return path


def forbid_tokenising(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, a load that does not come from the cache fails."""

    def refuse(*arguments):
        raise RuntimeError("tokenised again")

    monkeypatch.setattr(corpus_module, "tokenise", refuse)
    monkeypatch.setattr(corpus_module, "train_tokenizer", refuse)


class CountOperations(TorchDispatchMode):
    """Counts the tensor operations that run inside it."""

    operations = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.operations += 1
        return function(*args, **(kwargs or {}))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same_tokens(one: Corpus, other: Corpus) -> bool:
    streams = torch.equal(one.train, other.train) and torch.equal(one.validation, other.validation)
    return (
        streams
        and one.tokenizer.to_str() == other.tokenizer.to_str()
        and one.source == other.source
    )


# ---- reading


def test_documents_are_sorted_text_files_with_relative_names(tmp_path):
    contents = {
        "b.py": b"b = 1\r\n",
        "Z.txt": b"z",
        "a/deep/c.md": "\u00e9".encode(),
        "a.rst": b"a",
        "latin.txt": "\u00e9".encode("latin-1"),
        "empty.py": b" \n",
        "data.csv": b"1,2",
        ".hidden/d.py": b"d",
        "tests/e.py": b"e",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert read_documents(tmp_path) == [
        Document("Z.txt", "z"),
        Document("a.rst", "a"),
        Document("a/deep/c.md", "\u00e9"),
        Document("b.py", "b = 1\n"),
        Document("tests/e.py", "e"),
    ]
    assert [document.name for document in read_documents(str(tmp_path), [".csv"])] == ["data.csv"]


def test_standard_library_is_its_own_source_without_tests_and_generated_files():
    names = [document.name for document in read_documents()]
    assert {"argparse.py", "asyncio/events.py", "json/decoder.py"} <= set(names)
    assert all(name.endswith(".py") for name in names)
    parts = {part for name in names for part in name.split("/")}
    assert not parts & {
        "test",
        "tests",
        "idlelib",
        "encodings",
        "site-packages",
        "__pycache__",
        "pydoc_data",
    }
    assert not [name for name in names if "sysconfigdata" in name]
    assert names == sorted(names)
    assert read_documents(standard_library()) == read_documents()


# ---- splitting


def test_split_is_by_file_and_complete(folder):
    documents = read_documents(folder)
    train, validation = split_documents(documents)
    assert not {document.name for document in train} & {document.name for document in validation}
    assert sorted(train + validation, key=lambda document: document.name) == documents


def test_split_puts_about_one_file_in_twenty_into_validation():
    _, validation = split_documents([Document(f"file_{i}.py", "x") for i in range(10_000)])
    assert 400 < len(validation) < 600  # 500, sd 22


def test_other_files_and_other_content_move_no_file(folder):
    documents = read_documents(folder)
    before = {document.name for document in split_documents(documents)[1]}
    more = [Document(f"new_{i}.py", "new") for i in range(200)]
    edited = [Document(document.name, "edited") for document in reversed(documents)]
    after = {document.name for document in split_documents(more + edited)[1]}
    assert {name for name in after if not name.startswith("new_")} == before


def test_split_is_the_same_on_every_machine():
    names = ["chunk.py", "argparse.py", "token.py", "typing.py", "zoneinfo/__init__.py"]
    _, validation = split_documents([Document(name, "x") for name in names])
    assert [document.name for document in validation] == [
        "chunk.py",
        "token.py",
        "zoneinfo/__init__.py",
    ]


# ---- the tokenizer


def test_tokenizer_has_the_size_asked_for_and_bos_first(corpus):
    assert corpus.d_vocab == corpus.tokenizer.get_vocab_size() == D_VOCAB
    assert corpus.tokenizer.id_to_token(0) == "<bos>"
    assert sorted(corpus.tokenizer.get_vocab().values()) == list(range(D_VOCAB))


def test_tokenizer_is_byte_identical_in_another_process(folder, corpus):
    code = (
        "import sys; from helpers.corpus import *; "
        "train, _ = split_documents(read_documents(sys.argv[1])); "
        f"print(train_tokenizer(train, {D_VOCAB}).to_str())"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONIOENCODING": "utf-8",
    }
    command = [sys.executable, "-c", code, str(folder)]
    other = subprocess.run(
        command, capture_output=True, check=True, env=environment, encoding="utf-8"
    )
    assert other.stdout.strip() == corpus.tokenizer.to_str()


def test_tokenizer_reads_the_train_split_only(folder, corpus, tmp_path):
    train, validation = split_documents(read_documents(folder))
    assert corpus.tokenizer.to_str() == train_tokenizer(train, D_VOCAB).to_str()
    for document in train + validation:
        (tmp_path / document.name).parent.mkdir(parents=True, exist_ok=True)
        text = "zqzq " * 5_000 if document in validation else document.text
        (tmp_path / document.name).write_text(text, encoding="utf-8")
    assert load(tmp_path, D_VOCAB, cache=tmp_path).tokenizer.to_str() == corpus.tokenizer.to_str()


@given(st.text())
def test_decode_inverts_encode(corpus, text):
    ids = corpus.encode(text)
    assert corpus.decode(ids) == text
    assert 0 not in ids
    assert corpus.decode(torch.tensor(ids, dtype=torch.int64)) == text


@pytest.mark.parametrize(
    "text", ["a <bos> b", "<bos>", "\r\n\t \u2028", "🧠 e\u0301", "x" * 10_000, " " * 1_000]
)
def test_decode_inverts_encode_on_awkward_text(corpus, text):
    assert corpus.decode(corpus.encode(text)) == text
    assert 0 not in corpus.encode(text)


def test_decode_shows_bos(corpus):
    assert corpus.decode([0, *corpus.encode("def")]) == "<bos>def"


def test_token_strings_are_readable(corpus):
    def label(text: str) -> str:
        return "".join(corpus.token_strings(corpus.encode(text)))

    assert corpus.token_strings([0]) == ["<bos>"]
    assert label("def f(x):\n\treturn x\r\x00") == "def·f(x):⏎⇥return·x\\u000d\\u0000"
    assert label("🧠") == "\\xf0\\x9f\\xa7\\xa0"
    assert "·value" in corpus.token_strings(torch.arange(corpus.d_vocab))
    single = corpus.token_strings(range(corpus.d_vocab))
    assert len(set(single)) == corpus.d_vocab  # no two ticks of an axis look alike
    assert all(string and string.isprintable() and " " not in string for string in single)


# ---- the streams


def test_streams_are_the_documents_each_opened_by_id_0(folder, corpus):
    for documents, stream in zip(
        split_documents(read_documents(folder)), (corpus.train, corpus.validation), strict=True
    ):
        assert stream.dtype == torch.int64
        assert stream[0] == 0 and int((stream == 0).sum()) == len(documents)
        joined = "".join("<bos>" + document.text for document in documents)
        assert corpus.decode(stream) == joined


def test_source_counts_documents_bytes_and_tokens(folder, corpus):
    size = sum(path.stat().st_size for path in folder.rglob("*.py"))
    source = corpus.source
    assert (source.n_documents, source.n_bytes) == (100, size)
    assert source.n_tokens == len(corpus.train) + len(corpus.validation)
    assert re.fullmatch("[0-9a-f]{64}", source.digest)


def test_counts_and_commonest_ids(corpus):
    assert corpus.counts.shape == (D_VOCAB,)
    assert corpus.counts.tolist() == [int((corpus.train == i).sum()) for i in range(D_VOCAB)]
    assert corpus.counts is corpus.counts
    commonest = corpus.commonest_ids()
    assert sorted(commonest.tolist()) == list(range(1, D_VOCAB))
    expected = sorted(range(1, D_VOCAB), key=lambda i: (-int(corpus.counts[i]), i))
    assert commonest.tolist() == expected


def test_the_middle_ids_drop_the_commonest_and_the_least_common(corpus):
    # id 100 is the commonest, BOS apart
    counts = torch.tensor([1000] + [5 * number for number in range(100)])
    other = replace(corpus, train=torch.arange(101).repeat_interleave(counts), d_vocab=101)
    assert sorted(other.middle_ids().tolist()) == list(range(21, 99))
    assert sorted(other.middle_ids(most=0.0, least=0.0).tolist()) == list(range(1, 101))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_windows_are_the_stream_shifted_by_one_behind_bos(corpus, split):
    stream = getattr(corpus, split).tolist()
    tokens, targets, determined = corpus.windows(64, 17, generator(), split)
    assert tokens.shape == targets.shape == determined.shape == (64, 17)
    assert (tokens.dtype, targets.dtype, determined.dtype) == (torch.int64, torch.int64, torch.bool)
    assert (tokens[:, 0] == 0).all() and determined.all()
    assert torch.equal(tokens[:, 1:], targets[:, :-1])
    every_window = {tuple(stream[o : o + 17]) for o in range(len(stream) - 16)}
    assert {tuple(window) for window in targets.tolist()} <= every_window


def test_windows_reach_both_ends_of_the_stream(corpus):
    n_ctx = len(corpus.validation) - 2
    _, targets, _ = corpus.windows(100, n_ctx, generator(), "validation")
    drawn = {tuple(window) for window in targets.tolist()}
    assert drawn == {tuple(corpus.validation[o : o + n_ctx].tolist()) for o in range(3)}


def test_windows_follow_their_generator_alone(corpus):
    one = corpus.windows(8, 16, generator(1))[1]
    torch.manual_seed(5)
    assert torch.equal(one, corpus.windows(8, 16, generator(1))[1])
    assert not torch.equal(one, corpus.windows(8, 16, generator(2))[1])
    moving = generator(1)
    corpus.windows(8, 16, moving)
    assert not torch.equal(one, corpus.windows(8, 16, moving)[1])


def test_windows_do_not_alias_the_stream(corpus):
    before = corpus.validation.clone()
    for window in (corpus.windows(4, 8, generator(), "validation"), corpus.validation_windows(8)):
        for tensor in window:
            tensor.zero_()
    assert torch.equal(corpus.validation, before)


def test_a_larger_batch_takes_no_more_operations(corpus):
    def operations(batch: int) -> int:
        with CountOperations() as count:
            corpus.windows(batch, 8, generator())
        return count.operations

    assert 0 < operations(2) == operations(200) < 20


def test_validation_windows_tile_the_stream_in_order(corpus):
    tokens, targets, determined = corpus.validation_windows(16)
    n_windows = len(corpus.validation) // 16
    assert torch.equal(targets.flatten(), corpus.validation[: n_windows * 16])
    assert (
        (tokens[:, 0] == 0).all()
        and torch.equal(tokens[:, 1:], targets[:, :-1])
        and determined.all()
    )
    assert torch.equal(corpus.validation_windows(16, 10**6)[1], targets)


def test_a_limit_spreads_validation_windows_evenly(corpus):
    everything = corpus.validation_windows(8)[1]
    limited = corpus.validation_windows(8, 5)[1]
    expected = [i * len(everything) // 5 for i in range(5)]
    assert torch.equal(limited, everything[expected])
    assert torch.equal(limited, corpus.validation_windows(8, 5)[1])


# ---- the cache


def test_the_cache_spares_tokenising(folder, tmp_path, corpus, monkeypatch):
    load(folder, D_VOCAB, cache=tmp_path)
    forbid_tokenising(monkeypatch)
    assert same_tokens(load(folder, D_VOCAB, cache=tmp_path), corpus)
    with pytest.raises(RuntimeError, match="tokenised again"):
        load(folder, D_VOCAB, cache=tmp_path / "elsewhere")


def test_the_cache_is_one_whole_file(folder, tmp_path):
    load(folder, D_VOCAB, cache=tmp_path / "new" / "folder")
    assert [path.suffix for path in (tmp_path / "new" / "folder").iterdir()] == [".tokens"]


def test_other_text_vocabulary_or_tokenizer_is_another_entry(tmp_path, tokenizer_file):
    folder, cache = write_folder(tmp_path / "text"), tmp_path / "cache"
    before = load(folder, D_VOCAB, cache=cache)
    assert load(folder, D_VOCAB - 1, cache=cache).d_vocab == D_VOCAB - 1
    load(folder, tokenizer=tokenizer_file, cache=cache)
    assert len(list(cache.iterdir())) == 3
    train, _ = split_documents(read_documents(folder))
    path = folder / train[0].name
    path.write_text(path.read_text(encoding="utf-8").replace("value", "valve"), encoding="utf-8")
    after = load(folder, D_VOCAB, cache=cache)
    assert "valve" in after.decode(after.train)
    assert after.source.digest != before.source.digest
    os.rename(path, path.with_name("another_name.py"))
    assert load(folder, D_VOCAB, cache=cache).source.digest != after.source.digest


@pytest.mark.parametrize("damage", ["cut", "emptied", "edited", "digest edited", "not ours"])
def test_a_damaged_cache_is_made_anew(folder, tmp_path, corpus, damage):
    load(folder, D_VOCAB, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    flipped = bytes([good[-1] ^ 1])
    bad = {
        "cut": good[: len(good) // 2],
        "emptied": b"",
        "edited": good[:-1] + flipped,
        "digest edited": b"0" * 64 + good[64:],
        "not ours": b"cos\nsystem\n(S'false'\ntR.",
    }
    path.write_bytes(bad[damage])
    assert same_tokens(load(folder, D_VOCAB, cache=tmp_path), corpus)
    assert path.read_bytes() == good


def test_a_killed_write_leaves_the_good_file(folder, tmp_path, monkeypatch):
    load(folder, D_VOCAB, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    good = path.read_bytes()
    monkeypatch.setattr(corpus_module, "_read_cache", lambda path: None)

    whole_write = Path.write_bytes

    def killed_half_way(self, content):
        whole_write(self, content[: len(content) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", killed_half_way)
    with pytest.raises(KeyboardInterrupt):
        load(folder, D_VOCAB, cache=tmp_path)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == good


def test_a_cache_that_cannot_be_written_warns_and_goes_on(folder, tmp_path, corpus):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.warns(UserWarning, match="not cached .*INDUCTION_COURSE_CACHE"):
        loaded = load(folder, D_VOCAB, cache=blocked)
    assert same_tokens(loaded, corpus)


def test_where_the_cache_lies(folder, tmp_path, monkeypatch):
    argument, variable, user = tmp_path / "argument", tmp_path / "variable", tmp_path / "user"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(user / name))
    monkeypatch.delenv("INDUCTION_COURSE_CACHE", raising=False)
    load(folder, D_VOCAB)
    assert len(list((user / "induction-course").iterdir())) == 1
    monkeypatch.setenv("INDUCTION_COURSE_CACHE", str(variable))
    load(folder, D_VOCAB)
    load(folder, D_VOCAB, cache=argument)
    assert len(list(variable.iterdir())) == len(list(argument.iterdir())) == 1


def test_progress_is_drawn_only_when_asked(folder, tmp_path, capsys):
    load(folder, D_VOCAB, cache=tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")
    load(folder, D_VOCAB, progress=True, cache=tmp_path / "shown")
    shown = capsys.readouterr()
    assert shown.out == "" and "tokens" in shown.err and "tokenizer" in shown.err


# ---- a tokenizer made before


def test_a_given_tokenizer_is_used_as_it_is(tmp_path, tokenizer_file, corpus):
    folder = write_folder(tmp_path / "other", 130)
    for tokenizer in (tokenizer_file, str(tokenizer_file), corpus.tokenizer):
        loaded = load(folder, tokenizer=tokenizer, cache=tmp_path / "cache")
        assert loaded.tokenizer.to_str() == corpus.tokenizer.to_str()
        assert loaded.d_vocab == D_VOCAB and loaded.source != corpus.source
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_given_tokenizer_neither_cuts_nor_pads_nor_is_changed(corpus):
    given_one = open_tokenizer(corpus.tokenizer)
    given_one.enable_truncation(3)
    given_one.enable_padding(length=50)
    given_one.encode_special_tokens = False
    documents = [Document("a.py", "<bos> return value, other")]
    stream = tokenise(open_tokenizer(given_one), documents)
    assert stream.tolist() == [0, *corpus.encode(documents[0].text)]
    assert given_one.truncation is not None and given_one.padding is not None


# ---- bad input


def check_message(error: pytest.ExceptionInfo, *parts: object) -> None:
    """The message names every part, what was expected and what to try."""
    for part in (*parts, "expected", "try "):
        assert str(part) in str(error.value)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load(tmp_path / "nowhere")
    check_message(error, "nowhere")


def test_file_for_a_folder(tmp_path):
    (tmp_path / "text.py").write_text("x")
    with pytest.raises(NotADirectoryError) as error:
        load(tmp_path / "text.py")
    check_message(error, "text.py")


def test_empty_corpus(tmp_path, folder):
    with pytest.raises(ValueError) as error:
        load(tmp_path)
    check_message(error, "empty corpus", tmp_path.name, ".rst")
    with pytest.raises(ValueError) as error:
        load(folder, suffixes=["py"])
    check_message(error, "('py',)", "dot")


@pytest.mark.parametrize(
    ("name", "counts"), [("argparse.py", "1 for training"), ("chunk.py", "0 for training")]
)
def test_a_split_with_an_empty_side(tmp_path, name, counts):
    (tmp_path / name).write_text("x = 1")
    with pytest.raises(ValueError) as error:
        load(tmp_path, cache=tmp_path)
    check_message(error, "1 documents", counts, "more files")


@pytest.mark.parametrize("d_vocab", [256, 1, 0, -5])
def test_vocabulary_too_small(folder, tmp_path, d_vocab):
    with pytest.raises(ValueError) as error:
        load(folder, d_vocab, cache=tmp_path)
    check_message(error, f"d_vocab={d_vocab}:", 257)


@pytest.mark.parametrize("d_vocab", [5_000, 10**9])
def test_text_too_small_for_the_vocabulary(folder, tmp_path, d_vocab):
    with pytest.raises(ValueError) as error:
        load(folder, d_vocab, cache=tmp_path)
    check_message(error, f"d_vocab={d_vocab},", "only", "more text")
    supported = int(re.search(r"only (\d+)", str(error.value)).group(1))
    assert load(folder, supported, cache=tmp_path).d_vocab == supported


def test_the_smallest_vocabulary_is_the_bytes(folder, tmp_path):
    corpus = load(folder, 257, cache=tmp_path)
    assert len(corpus.encode("café")) == 5
    assert corpus.source.n_tokens == corpus.source.n_bytes + corpus.source.n_documents


def test_missing_tokenizer(folder, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load(folder, tokenizer=tmp_path / "nowhere.json")
    check_message(error, "nowhere.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe", None])
def test_a_file_that_is_no_tokenizer(folder, tmp_path, tokenizer_file, content):
    path = tmp_path / "bad.json"
    path.write_bytes(tokenizer_file.read_bytes()[:-200] if content is None else content)
    with pytest.raises(ValueError) as error:
        load(folder, tokenizer=path)
    check_message(error, "bad.json", "JSON")


@pytest.mark.parametrize(
    "old, new", [('"<bos>"', '"<s>"'), ('"!": 1,', ""), ('"!": 1,', '"!": 5000,')]
)
def test_a_tokenizer_of_another_kind(folder, tmp_path, tokenizer_file, old, new):
    content = tokenizer_file.read_text(encoding="utf-8")
    assert old in content
    path = tmp_path / "other.json"
    path.write_text(content.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError) as error:
        load(folder, tokenizer=path)
    check_message(error, "other.json", "'<bos>'", "every byte")


def test_a_vocabulary_size_that_is_not_the_tokenizers(folder, tmp_path, corpus):
    with pytest.raises(ValueError) as error:
        load(folder, 512, corpus.tokenizer, cache=tmp_path)
    check_message(error, "d_vocab=512", D_VOCAB)
    assert load(folder, D_VOCAB, corpus.tokenizer, cache=tmp_path).d_vocab == D_VOCAB


def test_unknown_split(corpus):
    with pytest.raises(ValueError) as error:
        corpus.windows(4, 8, generator(), "test")
    check_message(error, "'test'", "'train'", "'validation'")


@pytest.mark.parametrize("n_ctx", [0, -1, None])
def test_window_that_does_not_fit(corpus, n_ctx):
    length = len(corpus.validation)
    n_ctx = length + 1 if n_ctx is None else n_ctx
    for draw in (
        lambda: corpus.windows(4, n_ctx, generator(), "validation"),
        lambda: corpus.validation_windows(n_ctx),
    ):
        with pytest.raises(ValueError) as error:
            draw()
        check_message(error, f"n_ctx={n_ctx}", length, "validation")
    assert corpus.windows(4, length, generator(), "validation")[1].shape == (4, length)
    assert corpus.windows(4, 1, generator())[0].tolist() == [[0]] * 4


def test_no_windows_asked_for(corpus):
    with pytest.raises(ValueError) as error:
        corpus.windows(0, 8, generator())
    check_message(error, "batch=0")
    with pytest.raises(ValueError) as error:
        corpus.validation_windows(8, 0)
    check_message(error, "limit=0")


@pytest.mark.parametrize("ids", [[D_VOCAB], [3, -1], torch.tensor([10**6])])
def test_token_ids_out_of_range(corpus, ids):
    for read in (corpus.decode, corpus.token_strings):
        with pytest.raises(ValueError) as error:
            read(ids)
        check_message(error, int(ids[-1]), D_VOCAB - 1)


def test_no_ids_and_no_text(corpus):
    assert corpus.decode([]) == "" and corpus.token_strings([]) == [] and corpus.encode("") == []


def test_half_a_character_cannot_be_encoded(corpus):
    with pytest.raises(ValueError, match="surrogate"):
        corpus.encode("a\ud800")


# ---- the real thing


@pytest.mark.slow
def test_the_standard_library(tmp_path, monkeypatch):
    corpus = load(d_vocab=512, cache=tmp_path)
    source = corpus.source
    assert 300 < source.n_documents < 1_500
    assert 5e6 < source.n_bytes < 2e7
    assert 1.8 < source.n_bytes / source.n_tokens < 2.6  # bytes a token
    share = len(corpus.validation) / source.n_tokens
    assert 0.01 < share < 0.15
    assert corpus.d_vocab == 512 and 0 <= corpus.train.min() and corpus.train.max() < 512
    names = [document.name for document in split_documents(read_documents())[1]]
    assert int((corpus.validation == 0).sum()) == len(names)
    assert {"·self", "·the", "):", "⏎···"} <= set(
        corpus.token_strings(corpus.commonest_ids()[:200])
    )

    (path,) = tmp_path.iterdir()
    first = path.read_bytes()
    path.unlink()
    assert same_tokens(load(d_vocab=512, cache=tmp_path), corpus)
    assert path.read_bytes() == first
    forbid_tokenising(monkeypatch)
    assert same_tokens(load(d_vocab=512, cache=tmp_path), corpus)
