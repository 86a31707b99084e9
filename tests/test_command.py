"""What the commands share: a count below one is refused before anything is written, and a record
keeps what was typed."""

import sys

import pytest

from helpers.experiments import births, patients, privileged
from helpers.training import command, recipes, replicas, sweeps

COUNTS = {
    recipes.main: ["steps", "snapshots", "weights", "threads"],
    births.main: ["jobs"],
    patients.main: ["jobs", "seeds"],
    privileged.main: ["jobs", "steps"],
    replicas.main: ["jobs", "count"],
    sweeps.main: ["jobs", "seeds", "steps", "snapshots"],
}


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "few", "\u00b2", ""])
@pytest.mark.parametrize(
    ("main", "option"), [(main, option) for main, many in COUNTS.items() for option in many]
)
def test_a_count_below_one_is_refused_before_anything_is_written(
    tmp_path, capsys, main, option, value
):
    recipe = ["one_layer"] if main in (recipes.main, sweeps.main) else []
    with pytest.raises(SystemExit) as caught:
        main([*recipe, "--out", str(tmp_path / "mine"), f"--{option}={value}"])
    *_, told = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and list(tmp_path.iterdir()) == []
    assert f"--{option}: {value!r} given; expected a whole number from 1 up" in told


def test_a_record_keeps_the_command_as_it_was_typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["a/path/__main__.py", "text", "--seed", "3"])
    assert command.as_typed("helpers.training", None) == "python -m helpers.training text --seed 3"
    assert command.as_typed("helpers.training", []) == "python -m helpers.training"
