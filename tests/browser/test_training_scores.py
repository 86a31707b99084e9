"""What the browser's trainer reads off a model, against the course's instruments: the scores of
heads on given sequences, copying and composition by the weights, and what composes by chance."""

import math

import pytest
import torch

from helpers.explorables.discovery.scene import Choices, Scene
from helpers.explorables.shared.tokens import token_labels
from helpers.instruments import circuits, composition, heads
from tests.browser.trainer import SEEDS, asked, farthest, moved, told

pytestmark = pytest.mark.browser

FOLDER = "discovery/trainer"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_scores_are_the_instruments(ask, seed):
    model = moved(seed)
    cfg = model.cfg
    tokens = heads.probe(cfg.d_vocab, cfg.n_ctx, 5, seed=seed)
    sent = dict(sequences=tokens.tolist())
    found = asked(ask, "scores", told(model) | sent)
    expected = heads.score(model, tokens)
    for name in ("prefix_matching", "previous_token"):
        flat = [score for layer in found[name] for score in layer]
        assert farthest(flat, getattr(expected, name)) < 1e-6, name
    for layer, copying in enumerate(found["copying"]):
        for head, score in enumerate(copying):
            assert abs(score - circuits.copying_statistic(model, layer, head)) < 1e-6
    assert found["repeats"] == heads.rows_with_a_target(tokens).flatten().int().tolist()
    if cfg.n_layers == 1:
        assert found["composition"] is None
        return
    pairs = composition.composition_scores(model, "K")
    scores = torch.tensor(
        [[math.nan if one is None else one for one in row] for row in found["composition"]],
        dtype=torch.float64,
    )
    assert torch.equal(scores.isnan(), pairs.isnan())
    assert (scores - pairs).nan_to_num(0).abs().max() < 1e-6


def test_eigenvalues_are_torchs(ask):
    """Of matrices that come in pairs of conjugates, that repeat one, and that have none but 0."""
    generator = torch.Generator().manual_seed(0)
    matrices = [torch.randn(n, n, generator=generator).double() for n in (1, 2, 3, 8, 16, 33, 64)]
    matrices += [torch.eye(5).double(), torch.zeros(4, 4).double()]
    matrices += [torch.eye(6).roll(1, 0).double(), torch.ones(7, 7).double()]
    for matrix in matrices:
        given = [matrix.flatten().tolist(), len(matrix)]
        found = ask(
            f"{FOLDER}/eigenvalues",
            "({ eigenvalues }, [values, rows]) => eigenvalues({ values, rows })",
            given,
        )
        assert found["steps"] <= 4 * len(matrix)  # with a wrong shift it takes many more
        left = [complex(*pair) for pair in zip(found["re"], found["im"], strict=True)]
        for value in torch.linalg.eigvals(matrix).tolist():
            nearest = min(left, key=lambda one: abs(one - value))
            assert abs(nearest - value) < 1e-8
            left.remove(nearest)


def test_the_null_of_composition_is_the_instruments(ask):
    """Other draws, so many that two estimates of the quantile are near each other."""
    model = moved(16)
    limit = asked(ask, "composedByChance", told(model) | dict(draws=400))
    null = composition.composition_null(model, "K", 400, torch.Generator().manual_seed(0))
    largest = null.nan_to_num(0).flatten(1).amax(1)
    assert limit == pytest.approx(largest.quantile(0.95).item(), rel=0.02)


@pytest.mark.parametrize(
    ("settings", "row"),
    [
        (dict(), "17 4 52 9 31 17 4 52"),
        (dict(n_layers=1, n_heads=8, smeared_keys=True), "5, 6, 5"),
        (dict(n_layers=3, n_heads=2, task="one fixed period"), "7"),
        (dict(n_heads=1), "63 1 63"),
    ],
)
def test_a_look_sees_what_pythons_scene_sees(ask, settings, row):
    """On the same weights and sequences, to the digits that are sent."""
    scene = Scene(Choices(**settings))
    model = scene.trainer.model
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    found = asked(ask, "look", dict(settings=settings, weights=told(model)["weights"], row=row))
    tokens, targets = (torch.tensor(part).view(8, 48) for part in found["test"])
    scene.test = scene.test._replace(tokens=tokens, targets=targets)
    scene.seen = heads.induction_targets(tokens).any(-1)
    scene.probe, scene.shown = torch.tensor(found["probe"]), torch.tensor([found["shown"]])
    scene.labels = token_labels(scene.shown, None)
    scene._read = torch.cat([scene.probe, scene.shown])
    scene.ask(row)
    expected, patterns = scene.look()
    seen = found["seen"]
    assert seen["answers"] == found["again"]
    answers = expected.pop("answers")
    assert [name for name, _ in seen["answers"]["best"]] == [name for name, _ in answers["best"]]
    for (_, share), (_, theirs) in zip(seen.pop("answers")["best"], answers["best"], strict=True):
        assert share == pytest.approx(theirs, abs=2e-6)
    assert flat(found["again"]["copied"]) == pytest.approx(flat(answers["copied"]), abs=2e-6)
    assert found["row"] == scene.row
    limit = expected.pop("composition_limit")
    assert flat(seen.pop("composition_limit")) == pytest.approx(flat(limit), rel=0.05)
    shape = scene.shape()
    for name, value in shape.items():
        same = value if isinstance(value, list) else pytest.approx(value, rel=1e-3)
        assert found["shape"].pop(name) == same, name
    assert not found["shape"]
    apart = torch.tensor(found["patterns"]) - torch.tensor(list(patterns))
    assert apart.abs().max() <= 1 and apart.bool().float().mean() < 0.01
    assert seen.keys() == expected.keys()
    for name, value in expected.items():
        theirs = flat(value)
        assert flat(seen[name]) == pytest.approx(theirs, abs=1.01e-4), name


def flat(value) -> list:
    """Numbers out of lists of lists; -1 stands for none."""
    if isinstance(value, list):
        return [number for part in value for number in flat(part)]
    return [-1 if value is None else value]
