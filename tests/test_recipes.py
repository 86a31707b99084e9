"""The course's own runs: the default one forms its head, its control does not, and both are
measured on unseen data."""

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers import corpus
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import split_periods
from helpers.training import loop, recipes
from helpers.training.loop import Snapshot, TrainingConfig, train
from helpers.training.recipes import RECIPES, Recipe, run_recipe


def best(snapshot: Snapshot) -> float:
    """The highest prefix matching of any head."""
    return max(score for layer in snapshot.scores["prefix_matching"] for score in layer)


def seeded(name: str, seed: int) -> Recipe:
    recipe = RECIPES[name]
    return replace(
        recipe, model=replace(recipe.model, seed=seed), training=replace(recipe.training, seed=seed)
    )


# ---- the head is born, and only where it should be


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_default_run_forms_the_head_on_unseen_periods(seed):
    recipe = seeded("two_layers", seed)
    trainer = recipe.trainer()
    scores = []
    for snapshot in train(trainer, recipe.measure()):
        scores.append(best(snapshot))
        if scores[-1] > 0.5:
            break
    assert scores[0] < 0.1 and scores[-1] > 0.5
    assert snapshot.step < recipe.training.steps / 2
    # it stands in the second layer,
    assert all(prefix < 0.1 for prefix in snapshot.scores["prefix_matching"][0])
    assert max(snapshot.scores["previous_token"][0]) > 0.3  # on a previous-token head in the first
    assert snapshot.scores["repeat_loss"] < math.log(64) - 1


@pytest.mark.slow
@pytest.mark.usefixtures("shapes_unchecked")
def test_one_layer_does_not_form_it_within_the_same_budget():
    recipe = seeded("one_layer", 0)
    snapshots = list(train(recipe.trainer(), recipe.measure(), range(0, 401, 40)))
    assert snapshots[-1].step == recipe.training.steps == RECIPES["two_layers"].training.steps
    assert max(best(snapshot) for snapshot in snapshots) < 0.2
    assert snapshots[-1].loss < math.log(64) - 0.1  # though it does learn something


@pytest.mark.parametrize(
    ("name", "control"), [("two_layers", "one_layer"), ("text", "text_one_layer")]
)
def test_a_control_differs_by_a_layer_and_by_nothing_else(name, control):
    assert RECIPES[name].model.n_layers == 2
    assert (
        replace(RECIPES[name], model=replace(RECIPES[name].model, n_layers=1)) == RECIPES[control]
    )


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_together_and_can_be_written_down(name):
    recipe = RECIPES[name]
    assert json.loads(json.dumps(recipe.task)) == recipe.task and json.dumps(asdict(recipe))
    for field, value in recipe.task["options"].items():
        assert getattr(recipe.model, field) == value


# ---- what is measured


def periods_of(tokens: Tensor) -> list[int]:
    """The distance between a token and its copy, for each sequence."""
    return [
        next(
            row - sequence.index(token)
            for row, token in enumerate(sequence)
            if sequence.index(token) < row
        )
        for sequence in tokens.tolist()
    ]


class Reader(AttentionOnlyTransformer):
    """A model that keeps what it reads on the explicit path."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.read: list[Tensor] = []

    def run_with_hooks(self, tokens: Tensor, fwd_hooks=()) -> Tensor:
        self.read.append(tokens)
        return super().run_with_hooks(tokens, fwd_hooks)


def read_by_measure(recipe: Recipe) -> Tensor:
    """The tokens on which the recipe measures all scores and the repeat loss, in one pass."""
    model = Reader(recipe.model)
    recipe.measure()(model)
    (tokens,) = model.read
    return tokens


def test_scores_come_from_periods_that_training_never_shows():
    recipe = RECIPES["two_layers"]
    trainer = recipe.trainer()
    drawn = [trainer.task(24, trainer.generator).tokens for _ in range(60)]
    trained = set(periods_of(torch.cat(drawn)))
    seen, unseen = split_periods(48)
    assert trained == set(seen)
    tokens = read_by_measure(recipe)
    assert set(periods_of(tokens)) == set(unseen) and not trained & set(unseen)
    assert len(tokens) == 16 and torch.equal(tokens, recipe.probe())


@pytest.mark.parametrize("sequences", [4, 8])
def test_what_is_held_out_is_the_same_for_whoever_asks(sequences):
    recipe = RECIPES["two_layers"]
    batch = recipe.held_out(sequences)
    assert batch.determined.any() and torch.equal(batch.tokens[:, 1:], batch.targets[:, :-1])
    assert torch.equal(recipe.probe(sequences), batch.tokens) and len(batch.tokens) == sequences
    assert all(map(torch.equal, batch, seeded("two_layers", 3).held_out(sequences)))
    chain = RECIPES["chain"]
    assert torch.equal(chain.probe(sequences), heads.probe(13, 32, sequences))
    assert chain.held_out(sequences).tokens.shape == (sequences, 32)


def test_other_tasks_are_measured_on_the_probe():
    shape = dict(n_ctx=40, d_vocab=20)
    recipe = Recipe(
        ModelConfig(**shape), dict(name="bigram_chain", options=shape), TrainingConfig()
    )
    assert torch.equal(read_by_measure(recipe), heads.probe(20, 40))


def test_a_measure_gives_every_heads_scores_and_the_same_for_the_same_model():
    recipe = RECIPES["two_layers"]
    model, measure = AttentionOnlyTransformer(recipe.model), recipe.measure()
    found = measure(model)
    assert json.loads(json.dumps(found)) == found == measure(model) == recipe.measure()(model)
    assert set(found) == {"prefix_matching", "previous_token", "copying", "repeat_loss"}
    for name in heads.Scores._fields:
        assert [len(layer) for layer in found[name]] == [4, 4]
    assert found["repeat_loss"] == pytest.approx(math.log(64), abs=0.3)


def test_the_validation_loss_is_the_mean_over_all_rows():
    model = AttentionOnlyTransformer(ModelConfig())
    tokens, targets = torch.randint(64, (2, 3, 20))
    by_hand = -model(tokens).log_softmax(-1).gather(-1, targets[..., None]).mean().item()
    assert loop.validation_loss(model, tokens, targets) == pytest.approx(by_hand, abs=1e-5)


# ---- text


@pytest.fixture
def own_text(tmp_path, monkeypatch) -> str:
    """A folder of 100 invented chapters in an invented language of 400 words. Tokens are cached
    beside it."""
    monkeypatch.setenv("INDUCTION_COURSE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "chapters"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvz" for vowel in "aeiou"]

    def some(options: list[str], count: int) -> list[str]:
        return [options[i] for i in torch.randint(len(options), (count,), generator=generator)]

    words = ["".join(some(syllables, 4)) for _ in range(400)]
    for chapter in range(100, 200):  # by their names, five of these are for validation
        (folder / f"chapter_{chapter}.txt").write_text(
            " ".join(some(words, 1000)), encoding="utf-8"
        )
    return str(folder)


def test_the_text_recipe_trains_on_a_folder_of_ones_own(own_text, tmp_path):
    recipe = RECIPES["text"]
    task, training = (
        dict(name="text", options={"folder": own_text}),
        replace(recipe.training, steps=5, batch=8),
    )
    recipe = replace(recipe, task=task, training=training)
    run = run_recipe(recipe, tmp_path / "run", snapshots=2)
    first, *_, last = run.history
    assert [entry["step"] for entry in run.history] == [0, 1, 5]
    assert set(last) - set(
        RECIPES["two_layers"].measure()(AttentionOnlyTransformer(RECIPES["two_layers"].model))
    ) == {
        "step",
        "loss",
        "validation_loss",
    }
    assert first["validation_loss"] == pytest.approx(math.log(1024), abs=0.5)
    assert (
        last["validation_loss"] < first["validation_loss"] - 0.1
        and last["loss"] < first["validation_loss"]
    )
    assert run.model_at().cfg.d_vocab == 1024 and run.probe_ids == recipe.probe_ids()


def test_text_is_read_from_the_train_split_and_scored_on_the_other_with_common_ids(
    own_text, monkeypatch
):
    recipe = replace(RECIPES["text"], task=dict(name="text", options={"folder": own_text}))
    text = corpus.load(own_text, 1024)
    trainer = recipe.trainer()
    drawn = trainer.task(3, torch.Generator().manual_seed(1))
    assert all(map(torch.equal, drawn, text.windows(3, 256, torch.Generator().manual_seed(1))))
    validated = []
    monkeypatch.setattr(
        recipes,
        "validation_loss",
        lambda model, tokens, targets: validated.append((tokens, targets)),
    )
    ids = text.middle_ids().tolist()
    assert recipe.probe_ids() == ids and RECIPES["two_layers"].probe_ids() is None
    assert torch.equal(read_by_measure(recipe), heads.probe(1024, 256, ids=ids))
    assert all(map(torch.equal, validated[0], text.validation_windows(256, 32)))
    assert all(map(torch.equal, recipe.held_out(3), text.validation_windows(256, 3)))
    assert len(validated[0][0]) == 32 < len(text.validation_windows(256)[0])


@pytest.mark.parametrize(("folder", "tokenizer"), [(None, "the course's"), ("mine", None)])
def test_the_courses_tokenizer_is_for_the_library_alone(monkeypatch, tmp_path, folder, tokenizer):
    path = tmp_path / "tokenizer.json"
    path.touch()
    monkeypatch.setattr(recipes, "TOKENIZER", path)
    asked = []

    class Asked(Exception):
        """No text is read here."""

    def load(folder, d_vocab, tokenizer=None, progress=False, tell=print):
        asked.append((folder, d_vocab, tokenizer, progress))
        raise Asked

    monkeypatch.setattr(corpus, "load", load)
    monkeypatch.setattr(recipes, "_LIBRARIES", {})
    options = {} if folder is None else {"folder": folder}
    with pytest.raises(Asked):
        replace(RECIPES["text"], task=dict(name="text", options=options)).trainer()
    assert asked == [(folder, 1024, path if tokenizer else None, False)]


def test_the_command_reads_a_folder_of_ones_own(own_text, tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "library", lambda *_, **__: corpus.load(own_text, 1024))
    arguments = ["text_one_layer", "--steps", "1", "--snapshots", "1", "--folder", own_text]
    recipes.main([*arguments, "--out", str(tmp_path / "run")])
    record = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert record["task"] == {"name": "text", "options": {"folder": own_text}}
    assert "folder" not in RECIPES["text"].task["options"]


def test_the_library_is_read_once_in_a_process_and_a_folder_as_it_stands(own_text, monkeypatch):
    read = []
    load = corpus.load

    def reading(folder, *more, **options):
        read.append(folder)
        return load(own_text, *more, **options)

    monkeypatch.setattr(corpus, "load", reading)
    monkeypatch.setattr(recipes, "TOKENIZER", Path("none"))
    monkeypatch.setattr(recipes, "_LIBRARIES", {})
    folder = replace(RECIPES["text"], task=dict(name="text", options={"folder": own_text}))
    for recipe in (RECIPES["text"], folder):
        assert recipe.text().d_vocab == recipe.text().d_vocab == 1024
    assert read == [None, own_text, own_text]
    asked = recipes.library(1024), recipes.library(1024, True), recipes.library(d_vocab=1024)
    assert len(read) == 3 and len(set(map(id, asked))) == 1


def test_the_help_explains_every_recipe(capsys):
    with pytest.raises(SystemExit):
        recipes.main(["--help"])
    explained = capsys.readouterr().out.split("}")[-1].split("options:")[0]
    assert set(RECIPES) <= set(re.findall(r"\w+", explained))
