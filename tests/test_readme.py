"""Every command of README is run here, in a folder of its own and made short; or
tests/allowances.json says why not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.course import ALLOWANCES, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = ".venv/bin/python"
# Run in this order, each with these words added, and then the files that it must have left.
RUN = {
    f"{PYTHON} -m helpers.course.copies": (
        "--into my_course",
        ["my_course/00_start_here.ipynb"],
    ),
    f"{PYTHON} -m helpers.course.copies --refresh 00_start_here.ipynb": (
        "--into my_course",
        ["my_course/00_start_here.ipynb"],
    ),
    f"{PYTHON} -m helpers.training text --out runs/text": (
        "--steps 1",
        ["runs/text/run.json"],
    ),
    f"{PYTHON} -m helpers.training.sweeps two_layers one_layer --seeds 8 --out runs/seeds": (
        "--seeds 1 --steps 1",
        ["runs/seeds/records.jsonl"],
    ),
    f"{PYTHON} -m helpers.training.sweeps --merge runs/here runs/there --out runs/both": (
        "",
        ["runs/both/records.jsonl"],
    ),
}


def commands(page: str) -> list[str]:
    """What a reader can type: the lines of its blocks without a language, and what stands in
    backticks and begins as a command does."""
    parts = re.split(r"^```(\w*)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    blocks = [
        block for language, block in zip(parts[1::3], parts[2::3], strict=True) if not language
    ]
    lines = [
        line.partition("  #")[0].partition("    #")[0]
        for block in blocks
        for line in block.splitlines()
    ]
    lines = [line.strip() for line in lines if re.match(r"\.?[\w/\\]+ -?\w", line)]
    inline = re.findall(rf"`((?:make|{re.escape('.venv/bin')}/\S+) [^`]+)`", "".join(parts[::3]))
    return [*dict.fromkeys(lines + inline)]


def test_commands_are_found_where_they_are_typed():
    page = "Type `make x A=1`, not `x.py`:\n```\nmake lab    # opens\n\n.venv/bin/a b\n```\nor\n"
    page += "```python\nmake = 1\n```\n`.venv/bin/python -m c` or\n```\nnotebooks/   files\n```\n"
    assert commands(page) == ["make lab", ".venv/bin/a b", "make x A=1", ".venv/bin/python -m c"]


def test_every_command_of_readme_is_run_or_has_its_reason():
    assert sorted(commands(README)) == sorted([*RUN, *ALLOWANCES["commands_not_run"]])
    assert all(len(reason) > 20 for reason in ALLOWANCES["commands_not_run"].values())


def test_the_commands_of_readme_do_what_it_says(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for command, (shorter, left) in RUN.items():
        if "--merge" in command:  # two machines
            for name in ("here", "there"):
                shutil.copytree(tmp_path / "runs" / "seeds", tmp_path / "runs" / name)
        words = [sys.executable, *command.removeprefix(PYTHON).split(), *shorter.split()]
        ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        assert [name for name in left if not Path(tmp_path, name).is_file()] == [], command
