"""`make fresh` draws other seeds, trains what is missing, and says which claims do not hold."""

import os
import runpy
import subprocess
import sys

import nbformat
import pytest

from helpers.claims import Claim
from helpers.course import build, fresh
from helpers.training import seeds

GOOD = Claim("good", "1", "2", "3", True)
BAD = Claim("bad", "1", "2", "3", False)


def test_the_course_itself_draws_from_zero_on():
    assert seeds.seeds(3) == [0, 1, 2]


def test_a_set_of_seeds_starts_everything_elsewhere(tmp_path):
    program = (
        "from helpers.training import recipes, runs, seeds, sweeps;"
        "print(seeds.seeds(2), recipes.RECIPES['chain'].training.seed, runs.DATA,"
        " recipes.RECIPES['chain'].model.seed, sweeps.each_seed(2)[0])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env=fresh.environment(3, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == f"[3000, 3001] 3000 {tmp_path} 3000 {{'seed': 3000}}"


def test_what_is_missing_is_trained_and_what_is_there_is_kept(tmp_path, monkeypatch):
    ran = []

    def instead(words, env, check):
        ran.append((words[2], env["COURSE_SEEDS"], env["COURSE_DATA"] == str(fresh.SHIPPED)))
        open(words[words.index("--out") + 1], "w").close()

    monkeypatch.setattr(fresh.subprocess, "run", instead)
    (tmp_path / "runs" / "two_layers").mkdir(parents=True)
    plain = {place: f"module.{place} --out {{out}}" for place in fresh.TOY}
    monkeypatch.setattr(fresh, "TOY", plain)
    fresh.train(4, tmp_path)
    missing = [place for place in plain if place != "runs/two_layers"]
    assert ran == [(f"module.{place}", "4", True) for place in missing]
    assert all((tmp_path / place).exists() for place in [*fresh.TOY, *fresh.TEXT, "tokenizer.json"])
    fresh.train(4, tmp_path)
    assert len(ran) == len(missing)


def test_a_training_that_fails_leaves_nothing_in_its_place(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        fresh.make("helpers.training chain --out {out} --steps nonsense", tmp_path, "runs/a", 1)
    assert not (tmp_path / "runs" / "a").exists()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_the_commands_are_those_of_the_course(monkeypatch, capsys):
    usages = {}
    for place, command in (fresh.TOY | fresh.TEXT).items():
        words = command.format(name=place.split("/")[-1], seed=1, out="x", parent="x").split()
        module, *options = words
        if module not in usages:
            monkeypatch.setattr(sys, "argv", [module, "--help"])
            with pytest.raises(SystemExit):
                runpy.run_module(module, run_name="__main__")
            usages[module] = capsys.readouterr().out
        missing = [word for word in options if word[:2] == "--" and word not in usages[module]]
        assert missing == [], f"{module} does not take {missing}"


def test_every_claim_is_collected_and_a_failure_stops_none(tmp_path, monkeypatch):
    cells = [
        "from helpers.claims import above, below, claim\nimport os",
        "claim('bad', {'x': above(1, 2)}, {'y': below(0, 1)})",
        "claim('good', {'x': above(int(os.environ['COURSE_SEEDS']), 2)}, {'y': below(0, 1)})",
    ]
    path = tmp_path / "00_small.ipynb"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Why?"), *map(nbformat.v4.new_code_cell, cells)]
    )
    nbformat.write(notebook, path)
    monkeypatch.setattr(build, "all_notebooks", lambda: [path])
    found = fresh.claims(5, tmp_path)
    assert {id: claim.holds for id, claim in found.items()} == {"bad": False, "good": True}


def test_the_table_has_a_row_a_claim_and_says_what_fails():
    by_set = {1: {"good": GOOD, "bad": GOOD}, 2: {"good": GOOD, "bad": BAD}, 3: {"good": None}}
    lines = fresh.table(by_set).splitlines()
    assert lines[:4] == [
        "| claim | seeds 1 | seeds 2 | seeds 3 |",
        "|---|---|---|---|",
        "| good | yes | yes | stopped |",
        "| bad | yes | NO | stopped |",
    ]
    assert lines[5:] == [
        f"- bad, seeds 2: {BAD}",
        "- good, seeds 3: its notebook stopped before it",
    ]


def test_set_0_is_what_is_shipped_and_refused(capsys):
    with pytest.raises(SystemExit):
        fresh.main(["0"])
    assert "set 0 is what the course ships" in capsys.readouterr().err
    assert "COURSE_SEEDS" not in os.environ
