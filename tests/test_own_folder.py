"""A folder of one's own text: what of it is read and what is said of the rest, what is foretold of
a training on it, and a run on it that is stopped, resumed, and opened when the text is gone."""

import json
import os
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers import corpus
from helpers.corpus import (
    copying,
    load,
    open_tokenizer,
    read_documents,
    read_folder,
    split_documents,
    tokenizer,
)
from helpers.corpus.documents import Document, LeftOut, size
from helpers.model import ModelConfig
from helpers.training import expectations, recipes, runs
from helpers.training.loop import Trainer, TrainingConfig
from helpers.training.recipes import Recipe, run_recipe

NAMES = [f"name_{number}" for number in range(300)]
SMALL = ModelConfig(n_heads=2, d_model=16, d_head=8, n_ctx=32, d_vocab=300)
STEPS = 6


def program(draw: random.Random) -> str:
    """A few short functions that repeat the names they draw."""
    some, other = draw.sample(NAMES, 2)
    return "".join(
        f"def {some}({other}):\n    return {some}({other}) + {number}\n\n" for number in range(2)
    )


def write_odd_folder(folder: Path) -> Path:
    """1,000 files, of which 801 can be read."""
    draw = random.Random(0)
    emoji, latin = "# 🧠 e\u0301\n", "# caf\u00e9\n".encode("latin-1")
    contents: dict[str | bytes, bytes] = {"word.txt": b"ab" * 1_000_000}
    contents |= {f"clean/{number}.py": program(draw).encode() for number in range(560)}
    contents |= {
        f"crlf_{number}.txt": program(draw).replace("\n", "\r\n").encode() for number in range(100)
    }
    contents |= {f"emoji_{number}.rst": (program(draw) + emoji).encode() for number in range(60)}
    contents |= {f"CAPITALS_{number}.TXT": program(draw).encode() for number in range(60)}
    contents |= {b"no_utf8_%d_\xe9\xff.md" % number: program(draw).encode() for number in range(20)}
    contents |= {f"latin_{number}.txt": program(draw).encode() + latin for number in range(100)}
    contents |= {f"nul_{number}.py": b"a\0b\0" for number in range(50)}
    contents |= {f"empty_{number}.md": b" \n" * (number % 2) for number in range(30)}
    contents |= {f".hidden/{number}.py": b"x = 1\n" for number in range(10)}
    contents |= {f"table_{number}.csv": b"1,2\n" for number in range(8)}
    for name, content in contents.items():
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    (folder / "circle").symlink_to(folder)
    return folder


@pytest.fixture(autouse=True)
def no_user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INDUCTION_COURSE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory) -> Path:
    return write_odd_folder(tmp_path_factory.mktemp("odd"))


@pytest.fixture
def folder(tmp_path) -> Path:
    """100 small programs; by their names, five of them are for validation."""
    draw = random.Random(0)
    (tmp_path / "text").mkdir()
    for number in range(100, 200):
        (tmp_path / "text" / f"chapter_{number}.txt").write_text(program(draw), encoding="utf-8")
    return tmp_path / "text"


def recipe_of(folder: Path) -> Recipe:
    task = dict(name="text", options=dict(folder=str(folder)))
    return Recipe(SMALL, task, TrainingConfig(steps=STEPS, batch=4, rows="all"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- what is read, and what is said of the rest


def test_every_one_of_a_thousand_odd_files_is_read_or_counted(odd_folder):
    found = read_folder(odd_folder)
    n_bytes = {
        why: sum(path.stat().st_size for path in odd_folder.glob(f"{why}*"))
        for why in ("latin", "nul", "empty", "table")
    }
    assert found.left_out == [
        LeftOut("not in UTF-8", 100, n_bytes["latin"], "latin_0.txt"),
        LeftOut("with NUL bytes, so no text", 50, n_bytes["nul"], "nul_0.py"),
        LeftOut("empty", 30, n_bytes["empty"], "empty_0.md"),
        LeftOut("hidden, with a dot in front", 10, 60, ".hidden/0.py"),
        LeftOut("with another ending than .py .txt .md .rst", 8, n_bytes["table"], "table_0.csv"),
        LeftOut("a link to a folder", 1, (odd_folder / "circle").lstat().st_size, "circle"),
    ]
    assert len(found.documents) == 801 and len(found.documents) + 198 == 999
    texts = {document.name: document.text for document in found.documents}
    assert "\r" not in texts["crlf_0.txt"] and texts["crlf_0.txt"].count("\n") == 6
    assert texts["emoji_0.rst"].endswith("# 🧠 e\u0301\n") and "CAPITALS_0.TXT" in texts
    assert sum(name.startswith("no_utf8") for name in texts) == 20
    assert len(texts["word.txt"]) == 2_000_000
    assert [document.name for document in read_documents(odd_folder)] == sorted(texts)


def test_it_trains_and_says_what_was_left_out(odd_folder, tmp_path, capsys):
    task = dict(name="text", options=dict(folder=str(odd_folder)))
    recipe = Recipe(SMALL, task, TrainingConfig(steps=3, batch=4, rows="all"))
    run = run_recipe(recipe, tmp_path / "run", snapshots=2)
    assert run.losses[-1] < run.losses[0] and run.text["n_documents"] == 801
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Left out:" and len(told) == 7
    assert told[2] == "  50 files, 200 bytes, with NUL bytes, so no text, such as 'nul_0.py'"
    assert re.fullmatch(r"  1 file, \d+ bytes, a link to a folder: 'circle'", told[-1])
    loaded = runs.load(tmp_path / "run")
    assert sum(files["n_files"] for files in loaded.text["left_out"]) == 199
    assert loaded.vocabulary.decode(loaded.vocabulary.encode("🧠 def")) == "🧠 def"


def test_a_file_reads_the_same_wherever_it_was_written(tmp_path):
    for name, content in {
        "windows.txt": b"\xef\xbb\xbfone\r\ntwo\r\n",
        "old.TXT": b"one\rtwo\r",
        "unix.txt": b"one\ntwo\n",
    }.items():
        (tmp_path / name).write_bytes(content)
    assert {document.text for document in read_documents(tmp_path)} == {"one\ntwo\n"}


def test_what_cannot_be_opened_is_counted(tmp_path, monkeypatch):
    for name in ("fine.txt", "locked.txt"):
        (tmp_path / name).write_text("text")
    (tmp_path / "broken.txt").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "closed").mkdir()
    read_bytes, scandir = Path.read_bytes, os.scandir

    def locked(path: Path) -> bytes:
        if path.name == "locked.txt":
            raise PermissionError("locked")
        return read_bytes(path)

    def closed(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "closed", str(path))
        return scandir(path)

    monkeypatch.setattr(Path, "read_bytes", locked)
    monkeypatch.setattr(os, "scandir", closed)
    found = read_folder(tmp_path)
    assert [document.name for document in found.documents] == ["fine.txt"]
    assert [(one.why, one.n_files, one.example) for one in found.left_out] == [
        ("that cannot be opened", 3, "broken.txt"),
        ("a folder that cannot be opened", 1, "closed"),
    ]


def test_a_folder_without_text_says_what_it_holds(tmp_path):
    for number in range(80):
        (tmp_path / f"{number}.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match="80 files, 320 bytes, not in UTF-8, such as '0.txt'; .*"):
        load(tmp_path)
    with pytest.raises(ValueError, match=r"with another ending than .tex: '1.txt'; .* suffixes"):
        for number in set(range(80)) - {1}:
            (tmp_path / f"{number}.txt").unlink()
        load(tmp_path, suffixes=[".tex"])


def test_a_name_that_is_not_utf8_has_a_side_and_counts_in_the_digest(tmp_path):
    cache = dict(cache=tmp_path / "cache")
    documents = [Document(f"{number}_\udce9.txt", "text") for number in range(100)]
    train, validation = split_documents(documents)
    assert len(train) + len(validation) == 100 and validation
    other = [Document(document.name.replace("\udce9", "\udcea"), "text") for document in documents]
    assert corpus.digest_of(documents) != corpus.digest_of(other)
    folder = tmp_path / "text"
    folder.mkdir()
    for document in documents:
        with open(os.fsencode(folder) + b"/" + os.fsencode(document.name), "w") as file:
            file.write(program(random.Random(repr(document.name))))
    assert load(folder, 280, **cache).source.n_documents == 100


def test_load_tells_once_and_only_of_what_was_left_out(folder, monkeypatch):
    told = []
    assert load(folder, 280, tell=told.append).source.left_out == () and told == []
    (folder / "table.csv").write_text("1,2")
    (left_out,) = load(folder, 280, tell=told.append).source.left_out
    assert told == [f"Left out:\n  {left_out}"] and "1 file, 3 bytes, with another" in told[0]
    # of Python's own files some are no text of its own, and nobody waits to hear of them
    monkeypatch.setattr(corpus.documents, "standard_library", lambda: folder)
    for path in folder.glob("*.txt"):
        path.rename(path.with_suffix(".py"))
    assert load(None, 280, tell=told.append).source.left_out == () and len(told) == 1


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345, "12 kB"),
        (2_000_000, "2.0 MB"),
        (3_400_000_000_000, "3400 GB"),
    ],
)
def test_a_size_is_said_as_people_say_it(n_bytes, said):
    assert size(n_bytes) == said


# ---- long words


@pytest.mark.parametrize("word", ["ab" * 50_000, "7" * 3000, " " * 5000, "🧠" * 900, "=-" * 700])
def test_no_piece_handed_to_bpe_is_longer_than_the_bound(word):
    words = tokenizer.pre_tokenizers.ByteLevel(add_prefix_space=False)
    text = f"def short(name):\n    return {word} # short"
    pieces = [piece for piece, _ in tokenizer.in_pieces(words).pre_tokenize_str(text)]
    assert max(map(len, pieces)) == tokenizer.LONGEST_WORD
    whole = [piece for piece, _ in words.pre_tokenize_str(text)]
    assert max(map(len, whole)) > tokenizer.LONGEST_WORD and "".join(whole) == "".join(pieces)


def test_merges_are_learnt_from_pieces_and_words_are_read_whole(monkeypatch):
    monkeypatch.setattr(tokenizer, "LONGEST_WORD", 8)
    documents = [Document("a", "abcdefghijklmnopqrstuvwxyz " * 50)]
    # all merges that there are: of a space and 26 letters in pieces of 8, 8, 8 and 3, or in one
    learnt = tokenizer.train_tokenizer(documents, 257 + 23)
    assert max(map(len, learnt.get_vocab())) == 8
    monkeypatch.setattr(tokenizer, "LONGEST_WORD", 256)
    whole = tokenizer.train_tokenizer(documents, 257 + 26)
    assert max(map(len, whole.get_vocab())) == 27
    assert learnt.pre_tokenizer.pre_tokenize_str("a" * 20) == [("a" * 20, (0, 20))]


def test_text_without_long_words_gives_the_tokenizer_that_it_always_gave(folder, monkeypatch):
    train, _ = split_documents(read_documents(folder))
    bounded = tokenizer.train_tokenizer(train, 300).to_str()
    monkeypatch.setattr(tokenizer, "in_pieces", lambda words: words)
    assert tokenizer.train_tokenizer(train, 300).to_str() == bounded


def test_too_little_text_is_told_what_it_supports(folder):
    with pytest.raises(ValueError, match=r"try more text, or d_vocab=\d+ \(at the command") as told:
        load(folder, 5000)
    supported = int(re.search(r"--d-vocab (\d+)", str(told.value)).group(1))
    assert load(folder, supported).d_vocab == supported


# ---- a run that is stopped and goes on


def stop_after(monkeypatch, saves: int) -> None:
    """The process 'dies' in the save that follows so many."""
    save, calls = runs.save, []

    def dying(*arguments):
        calls.append(1)
        if len(calls) > saves:
            raise KeyboardInterrupt
        save(*arguments)

    monkeypatch.setattr(runs, "save", dying)


@pytest.fixture
def stopped(folder, tmp_path, monkeypatch) -> Path:
    """The folder of a run on `folder` that was stopped at its third snapshot."""
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe_of(folder), tmp_path / "stopped", snapshots=4)
    assert [entry["step"] for entry in runs.load(tmp_path / "stopped").history] == [0, 1]
    return tmp_path / "stopped"


def test_a_run_on_the_same_text_goes_on_in_its_own_tokens(folder, stopped, tmp_path, monkeypatch):
    run_recipe(recipe_of(folder), tmp_path / "whole", snapshots=4)

    def refuse(*_):
        raise AssertionError("another tokenizer was trained")

    monkeypatch.setenv("INDUCTION_COURSE_CACHE", str(tmp_path / "emptied"))
    monkeypatch.setattr(corpus, "train_tokenizer", refuse)
    run_recipe(recipe_of(folder), stopped, resume=True, snapshots=4)
    assert files(stopped) == files(tmp_path / "whole")


def change(folder: Path) -> None:
    path = folder / "chapter_100.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("0", "1"), encoding="utf-8")


def rename(folder: Path) -> None:
    (folder / "chapter_100.txt").rename(folder / "chapter_99.txt")


def remove(folder: Path) -> None:
    (folder / "chapter_100.txt").unlink()


def add(folder: Path) -> None:
    (folder / "more.txt").write_text("more")


@pytest.mark.parametrize("changed", [change, rename, remove, add])
def test_a_run_whose_text_has_changed_is_not_resumed(folder, stopped, changed):
    before = files(stopped)
    changed(folder)
    now = 100 + (changed is add) - (changed is remove)
    with pytest.raises(ValueError) as told:
        run_recipe(recipe_of(folder), stopped, resume=True, snapshots=4)
    assert re.search(
        rf"text has changed since the run in .*stopped began: it read 100 files, .* bytes, and "
        rf"now there are {now}, .* bytes; give it the text as it was, or begin a new run",
        str(told.value),
    )
    assert files(stopped) == before


def test_what_is_left_out_may_change(folder, stopped):
    (folder / "table.csv").write_text("1,2")
    assert len(run_recipe(recipe_of(folder), stopped, resume=True, snapshots=4).losses) == STEPS


def test_a_training_reads_its_folder_once(folder, tmp_path, monkeypatch):
    """Whatever happens to it meanwhile."""
    read = []
    original = corpus.load

    def reading(**options):
        read.append(options["folder"])
        text = original(**options)
        shutil.rmtree(folder)
        return text

    monkeypatch.setattr(corpus, "load", reading)
    run_recipe(recipe_of(folder), tmp_path / "run", snapshots=2)
    assert read == [str(folder)]


def test_a_run_is_opened_and_its_text_decoded_when_the_text_is_gone(folder, tmp_path):
    text = recipe_of(folder).text()
    run_recipe(recipe_of(folder), tmp_path / "run", snapshots=2)
    shutil.rmtree(folder)
    run = runs.load(tmp_path / "run")
    ids = text.validation[:30]
    assert run.vocabulary.decode(ids) == text.decode(ids)
    assert run.vocabulary.encode("def name_1") == text.encode("def name_1")
    assert run.vocabulary.encode("<bos>") == text.encode("<bos>") != [0]
    assert run.vocabulary.token_strings(ids) == text.token_strings(ids)
    assert run.text["digest"] == text.source.digest
    assert open_tokenizer(run.vocabulary.tokenizer).to_str() == text.tokenizer.to_str()
    assert run.model_at()(ids[None]).shape == (1, 30, 300)


@pytest.mark.parametrize("name", ["text", "two_layers"])
def test_a_run_without_a_tokenizer_says_so(name):
    run = runs.load(runs.DATA / "runs" / name)
    run.text = None
    with pytest.raises(ValueError, match=r"keeps no tokenizer: .* recipes.library\(1024\)"):
        assert run.vocabulary


def test_what_differs_from_the_run_is_named(folder, stopped):
    recipe = recipe_of(folder)
    other = replace(recipe, training=replace(recipe.training, steps=9, lr=0.5))
    with pytest.raises(ValueError, match="steps 6 there, 9 here, lr 0.01 there, 0.5 here$"):
        run_recipe(other, stopped, resume=True)
    with pytest.raises(ValueError, match="for the run: seed 0 there, 4 here$"):
        run_recipe(recipe.seeded(4), stopped, resume=True)
    with pytest.raises(ValueError, match="for the run: folder '.*text' there, '.*other' here$"):
        run_recipe(recipe_of(folder.parent / "other"), stopped, resume=True)


# ---- the command


@pytest.fixture
def small(folder, monkeypatch) -> list[str]:
    """The words of a quick training on `folder`, which stands for the library too."""
    recipe = replace(RECIPES_TEXT, model=replace(SMALL, d_vocab=1024, seed=0))
    monkeypatch.setitem(recipes.RECIPES, "text", recipe)
    shipped = load(folder, 300)
    monkeypatch.setattr(recipes, "library", lambda d_vocab, progress=False: shipped)
    return ["text", "--folder", str(folder), "--d-vocab", "300", "--steps", "6", "--snapshots", "4"]


RECIPES_TEXT = recipes.RECIPES["text"]


def refused(capsys, *arguments: str) -> str:
    """The one line on stderr of a command that ends with 2."""
    with pytest.raises(SystemExit) as caught:
        recipes.main([*arguments])
    out, err = capsys.readouterr()
    assert caught.value.code == 2 and out == ""
    (line,) = (line for line in err.splitlines() if line and "it/s]" not in line)  # no bar's
    assert line.startswith("python -m helpers.training: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("two_layers --folder {text}", "--folder is for text, text_one_layer.*; two_layers reads"),
        ("text --suffixes .tex", "are for a --folder of text; give that too"),
        ("text --d-vocab 300", "are for a --folder of text; give that too"),
        ("text --folder {text}/none", "no folder '.*none'"),
        ("text --folder {text}/chapter_100.txt", "'.*' is a file: expected a folder of text"),
        ("text --folder {text}", r"supports only \d+; .* try more text, or .*--d-vocab \d+"),
        ("text --folder {text} --suffixes .tex", "empty corpus: .* 100 files, .*chapter_100.txt"),
        ("text --folder {text} --d-vocab 256", "d_vocab=256: expected at least 257"),
        ("text --folder {text} --d-vocab 260", "n_ctx=256: expected 1 to .* try more text"),
        ("text --folder {text} --colour", "unrecognized arguments: --colour .*--help"),
        ("text --folder {text} --device gpu9", "'gpu9' given, which this machine has not"),
        ("text --folder {text} --seed nine", "invalid int value: 'nine'"),
        ("text --folder {text} --resume", "no run.json in"),
        ("poem --folder {text}", "invalid choice: 'poem'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_before_anything_is_written(
    folder, tmp_path, capsys, arguments, told
):
    for number in range(100, 200):
        (folder / f"chapter_{number}.txt").write_text("a rose is a rose", encoding="utf-8")
    words = [word.format(text=folder) for word in arguments.split()]
    assert re.search(told, refused(capsys, *words, "--out", str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


@pytest.fixture(autouse=True)
def no_long_training(monkeypatch):
    """What ought to be refused, and is not, does not train for minutes."""
    step = Trainer.step

    def short(trainer: Trainer) -> float:
        assert trainer.step_number < 200, "nothing here trains for so long"
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", short)


def test_a_run_that_stands_there_is_refused_in_one_line(stopped, folder, capsys):
    words = ["text", "--folder", str(folder), "--out", str(stopped)]
    assert "holds a run already; add --resume" in refused(capsys, *words)
    assert "was made with other settings" in refused(capsys, *words, "--resume")


def test_a_changed_text_is_refused_in_one_line(small, folder, tmp_path, capsys, monkeypatch):
    out = ["--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(SystemExit):
            recipes.main([*small, *out])
    capsys.readouterr()
    change(folder)
    assert "the text has changed since" in refused(capsys, *small, *out, "--resume")


def test_the_command_foretells_and_goes_on_after_it_was_interrupted(
    small, folder, tmp_path, capsys, monkeypatch
):
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    out, step = tmp_path / "run", Trainer.step
    looked = []
    monkeypatch.setattr(recipes, "minutes", lambda *given: looked.append(given) or 7.6)

    def interrupted(trainer: Trainer) -> float:
        if trainer.step_number == 4:
            raise KeyboardInterrupt
        return step(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", interrupted)
        with pytest.raises(SystemExit) as caught:
            recipes.main([*small, "--out", str(out)])
    printed, told = capsys.readouterr()
    assert told.splitlines()[-1].startswith("python -m helpers.training: stopped")
    assert caught.value.code == 130 and printed == "" and looked[0][1:] == (4, "cpu")
    source = load(folder, 300, tell=lambda words: None).source
    for line in (
        "  1 file, 4 bytes, not in UTF-8: 'latin.txt'",
        f"Read: 100 files, {size(source.n_bytes)}, which make {source.n_tokens:,} tokens of 300 "
        "kinds.",
        f"6 steps of 16 x 32 tokens read 3,072, {3072 / source.n_tokens:.1f} times the text: about "
        "8 minutes.",
        f"python -m helpers.training: stopped; {out} holds the run up to step 3, and the same "
        "command with --resume goes on from there",
    ):
        assert line in told.splitlines()
    worth = copying.worth(load(folder, 300, tell=lambda words: None), 32).gained
    assert f"worth {worth:.2f} nats a token here, and {worth:.2f} on Python's" in told
    recipes.main([*small, "--out", str(out), "--resume"])
    assert len(runs.load(out).losses) == 6 and "Read:" not in capsys.readouterr().err


def test_a_command_that_is_interrupted_at_once_says_that_nothing_stands(tmp_path):
    assert recipes.stopped(tmp_path) == "stopped before anything was written"


def test_the_suffixes_are_kept_with_the_run(small, folder, tmp_path):
    for path in folder.iterdir():
        path.rename(path.with_suffix(".TeX"))
    words = [*small, "--suffixes", ".tex", "--out", str(tmp_path / "run")]
    recipes.main(words)
    record = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert record["task"]["options"] == dict(folder=str(folder), suffixes=[".tex"])
    assert record["text"]["n_documents"] == 100 and record["model"]["d_vocab"] == 300


# ---- what is foretold


def worth(gained: float) -> copying.Copying:
    return copying.Copying(4.0, 0.5, 0.4, 0.1, gained, gained)


@pytest.mark.parametrize(("gained", "is_little"), [(0.4, False), (0.11, False), (0.09, True)])
def test_a_text_on_which_copying_is_worth_little_is_told_so(gained, is_little):
    told = expectations.of_copying(worth(gained), worth(0.4))
    assert f"worth {gained:.2f} nats a token here, and 0.40 on Python's" in told
    assert ("do not expect an induction head" in told) == is_little


@pytest.mark.parametrize(
    ("minutes", "said"), [(0.2, "about a minute, or less."), (1.6, "about 2"), (8.4, "about 8")]
)
def test_the_minutes_are_said_roundly(minutes, said):
    config = TrainingConfig(steps=2400, batch=16)
    told = expectations.of_time(config, 256, 3_000_000, minutes)
    assert (
        told.startswith("2,400 steps of 16 x 256 tokens read 9,830,400, 3.3 times") and said in told
    )


def test_the_minutes_follow_the_first_steps_and_the_first_look(folder):
    """A clock on which four steps last 8 seconds and a look 5."""
    recipe = recipe_of(folder).opened()
    recipe = replace(recipe, training=replace(recipe.training, steps=100))
    before = [weight.clone() for weight in recipe.trainer().model.parameters()]
    times = iter([100.0, 108.0, 113.0])
    looks = len(recipes.log_spaced(100, 20))
    found = recipes.minutes(recipe, 20, clock=lambda: next(times))
    assert found == pytest.approx((100 * 2 + looks * 5) / 60)
    assert all(map(torch.equal, before, recipe.trainer().model.parameters()))
