"""Do the claims hold on seeds that nobody has looked at? `make fresh SEEDS="1 2 3"` asks.

For each set of seeds all that the course trains but its models of text (with --text, these too) is
trained anew, in build/fresh, and every notebook is executed on it. COURSE_SEEDS gives the seeds
(set 3 has 3000, 3001, ...), COURSE_DATA the folder of runs; nothing that is shipped is touched.
What has been trained is kept, so a second call only executes. A table of all claims ends it; the
exit status is 1 when one does not hold.

    python -m helpers.course.fresh 1 2 3        --text: also the runs on text, many minutes each
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.claims import Claim
from helpers.course import build

FOLDER = build.ROOT / "build" / "fresh"
SHIPPED = build.ROOT / "data"
KEPT = ("tokenizer.json", "reading.npz")  # in which no seed of the course's has a part
RUN = "helpers.training {name} --seed {seed} --out {out}"
REPLICAS = "helpers.training.replicas {name} --out {parent}"
TOY = {
    "runs/two_layers": RUN,
    "runs/one_layer": RUN,
    "runs/chain": RUN,
    "runs/chain_one_layer": RUN,
    "sweeps/two_layers": REPLICAS,
    "sweeps/chain": REPLICAS,
    "sweeps/chain_one_layer": REPLICAS,
    "sweeps/privileged_basis": "helpers.experiments.privileged --out {out}",
    "sweeps/clinic": "helpers.experiments.patients --seeds 1 --out {out}",
    "sweeps/rarity": "helpers.experiments.rarity --seeds 2 --out {out}",
    "births.npz": "helpers.experiments.births --share 4 --out {out}",
}
TEXT = {
    "runs/text": RUN + " --weights 1",
    "runs/text_one_layer": RUN + " --weights 1",
    "sweeps/text": REPLICAS,
    "sweeps/text_one_layer": REPLICAS,
    "sweeps/phases": "helpers.experiments.phases --out {out}",
    "sweeps/segment": "helpers.experiments.segment --seeds 1 --out {out}",  # which takes as long
}


def environment(number: int, data: Path) -> dict[str, str]:
    """This process' environment, in which the course draws from set `number` of the seeds."""
    return build.kernel_environment() | {"COURSE_SEEDS": str(number), "COURSE_DATA": str(data)}


def train(number: int, data: Path, text: bool = False) -> None:
    """Train what the folder does not hold yet. Without `text`, runs on text are the shipped ones.

    CalledProcessError when a training fails.
    """
    data.mkdir(parents=True, exist_ok=True)
    for kept in KEPT:
        shutil.copy(SHIPPED / kept, data)
    for place, command in (TOY | TEXT if text else TOY).items():
        if not (data / place).exists():
            make(command, data, place, number)
    for place in () if text else TEXT:
        shutil.copytree(SHIPPED / place, data / place, dirs_exist_ok=True)


def make(command: str, data: Path, place: str, number: int) -> None:
    """Run one command beside the folder, and move what it made in when it is whole."""
    out = data / "unfinished" / place
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    words = command.format(out=out, parent=out.parent, name=out.name, seed=1000 * number).split()
    # Seeds come from the number; the runs that a training starts from are the shipped ones.
    subprocess.run([sys.executable, "-m", *words], env=environment(number, SHIPPED), check=True)
    (data / place).parent.mkdir(parents=True, exist_ok=True)
    os.replace(out, data / place)


def claims(number: int, data: Path) -> dict[str, Claim | None]:
    """Every claim of the course by its id, as it comes out on this data; None where its notebook
    did not get so far as to print it. A claim that fails does not stop its notebook."""
    found: dict[str, Claim | None] = {}
    for path in build.all_notebooks():
        made = build.execute(path, environment(number, data), allow_errors=True).notebook
        printed = {claim.id: claim for claim in build.printed_claims(made)}
        shipped = [claim.id for claim in build.printed_claims(build.read(path))]
        found |= {id: printed.get(id) for id in [*shipped, *printed]}
    return found


def table(by_set: dict[int, dict[str, Claim | None]]) -> str:
    """One row a claim, one column a set of seeds; then what was found where one does not hold."""
    ids = list(dict.fromkeys(id for found in by_set.values() for id in found))
    lines = [f"| claim | {' | '.join(f'seeds {number}' for number in by_set)} |"]
    lines += ["|---" * (len(by_set) + 1) + "|"]
    for id in ids:
        lines.append(
            f"| {id} | {' | '.join(verdict(found.get(id)) for found in by_set.values())} |"
        )
    failed = [
        f"- {id}, seeds {number}: {claim or 'its notebook stopped before it'}"
        for number, found in by_set.items()
        for id, claim in found.items()
        if not (claim and claim.holds)
    ]
    return "\n".join([*lines, "", *failed])


def verdict(claim: Claim | None) -> str:
    return "stopped" if claim is None else "yes" if claim.holds else "NO"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0 when all claims hold on all sets of seeds, else 1."""
    parser = argparse.ArgumentParser(
        "python -m helpers.course.fresh", description=__doc__.splitlines()[0]
    )
    parser.add_argument("seeds", nargs="+", type=int, help="sets of seeds, such as 1 2 3; not 0")
    parser.add_argument("--text", action="store_true", help="train the runs on text anew, too")
    parser.add_argument("--train-only", action="store_true", help="execute no notebook")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="default: build/fresh")
    given = parser.parse_args(arguments)
    if min(given.seeds) < 1:
        parser.error(
            f"sets {given.seeds}: set 0 is what the course ships; give whole numbers from 1"
        )
    by_set = {}
    for number in given.seeds:
        data = given.folder.resolve() / str(number)
        train(number, data, given.text)
        if not given.train_only:
            by_set[number] = claims(number, data)
            print(table(by_set), flush=True)
    return int(
        any(verdict(claim) != "yes" for found in by_set.values() for claim in found.values())
    )


if __name__ == "__main__":
    sys.exit(main())
