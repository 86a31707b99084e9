"""Which heads of a model are induction heads? `python -m helpers.heads MODEL` asks any.

MODEL is a run's folder (such as data/runs/text), `real` for the language model that `make wild`
installs, a folder with a Hugging Face model, or a name on a hub.

How heads are scored. The model reads BOS and blocks of random tokens that repeat. Prefix matching
is the share of a head's attention that falls right after earlier copies of the present token, over
the rows that have such places; the previous-token score is the share on the token before; copying
says whether what the head writes raises the tokens that it attends to, by the direct path to the
logits, from -1 to 1. Under each stands the line of chance: even attention, and a raise that is
blind to it. An induction head matches above one half and copies at least twice as much as chance.
The direct effect is by how many logits a head raises the right next token above the mean of all, by
itself, past all that follows it.

Then all heads that match above one half are set to zero together, copying or not, and so are as
many others of the same layers, drawn anew again and again: by how many nats does the loss on
repeated tokens rise?
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

from helpers.instruments import groups, heads, probes
from helpers.instruments.direct import direct_effects
from helpers.instruments.patterns import PAD
from helpers.instruments.writers import named
from helpers.model import Head
from helpers.plotting import head_board
from helpers.sequences import TokenIds
from helpers.tables import Table
from helpers.training import runs
from helpers.training.command import positive

SHOWN = 16  # rows of a table, when a model has many heads


class Subject(NamedTuple):
    """A model, and the tokens that its probe draws from: None for all."""

    model: Any
    ids: TokenIds | None


def opened(name: str) -> Subject:
    """What raises where nothing can be read: FileNotFoundError, ValueError, OSError."""
    if (Path(name) / "run.json").is_file():
        run = runs.load(name)
        return Subject(run.model_at(), run.probe_ids)
    from helpers import lens  # seconds

    model = lens.language_model(name, tell=lambda words: print(words, file=sys.stderr))
    return Subject(model, None)


def own_text(model, path: Path, n_ctx: int) -> torch.Tensor:
    """A file as windows of tokens, BOS in front of each. ValueError for a model that has no
    tokenizer, and for too short a text."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise ValueError(
            "this model has no tokenizer of its own, so it cannot read a file; leave --text out"
        )
    ids = tokenizer(path.read_text(encoding="utf-8"), add_special_tokens=False)["input_ids"]
    length = min(n_ctx, 101) - 1
    windows = len(ids) // length
    if not windows:
        raise ValueError(f"{path} has {len(ids)} tokens; give {length} or more")
    rows = torch.tensor(ids[: windows * length]).view(windows, length)[:10]
    return torch.nn.functional.pad(rows, (1, 0), value=probes.special_ids(model)["bos"])


def asked(subject: Subject, tokens, draws: int, progress: bool = False) -> dict[str, Any]:
    """The report, and what the heads that match are worth beside random groups; with `progress`, a
    bar for these on stderr."""
    model, ids = subject
    if tokens is None:
        tokens = probes.probe(
            model.cfg.d_vocab, model.cfg.n_ctx, ids=ids, **probes.special_ids(model)
        )
    # whole windows: a line of dashes at an end is no padding
    report = heads.discover(model, tokens=tokens, ablate=False, pad=PAD)
    try:
        effects = direct_effects(model, tokens)
        direct = {row.at: effects[row.at].item() for row in report.rows}
    except ValueError:  # a norm stands behind the attention
        direct = None
    group, found = groups.matching(report), None
    if group:
        generator = torch.Generator().manual_seed(0)
        try:
            others = groups.random_groups(model, group, draws, generator)
        except ValueError:  # all heads of a layer match
            others = []
        bar = tqdm(others, "random groups", leave=False, disable=not progress)
        found = groups.worth(model, tokens, group, bar)
    return dict(report=report, direct=direct, group=group, worth=found)


def short(report: heads.HeadReport, direct: dict[Head, float] | None = None) -> Table:
    """The report's table with the `direct` effects; of many heads those with the highest scores."""
    if len(report.rows) > 4 * SHOWN:
        by = [sorted(report.rows, key=lambda row: -row[at]) for at in (2, 3)]
        chosen = {row.at for order in by for row in order[: SHOWN // 2]}
        report = replace(report, rows=[row for row in report.rows if row.at in chosen])
    table, effects = report.table(), {named(at): direct[at] for at in direct or ()}
    place = table.head.index("ablation effect")  # which was measured of none by itself
    head, *rows = (row[:place] + row[place + 1 :] for row in (table.head, *table.rows))
    for row in rows:
        row.insert(place, f"{effects[row[0]]:.2f}" if row[0] in effects else "-")
    return Table(rows, [*head[:place], "direct effect (logits)", *head[place:]])


def told(answer: dict[str, Any]) -> str:
    """The table, and the sentence on the group."""
    report, group, found = answer["report"], answer["group"], answer["worth"]
    words = [str(short(report, answer["direct"])), ""]
    if found is None:
        words.append("No head matches prefixes above one half, so no group was taken out.")
    else:
        group = " ".join(map(named, group))
        words.append(f"Without the heads that match ({group}): {found.named:+.2f} nats.")
        words.append(_others_told(found))
    return "\n".join(words)


def _others_told(found: groups.Worth) -> str:
    if not found.others:
        return "In one of their layers there are not as many others to compare with."
    low, high = found.interval()
    count = len(found.others)
    span = f"{low:+.2f} to {high:+.2f} nats, nine of ten of {count} groups"
    said = span if count > 1 else f"{low:+.2f} nats, the only such group"
    return f"Without as many others of the same layers: {said}."


def as_record(answer: dict[str, Any]) -> dict[str, Any]:
    """The same for a program."""
    report, direct, found = answer["report"], answer["direct"] or {}, answer["worth"]
    return dict(
        heads=[row._asdict() | dict(direct_effect=direct.get(row.at)) for row in report.rows],
        chance=report.chance,
        induction_heads=report.induction_heads,
        matching=answer["group"],
        nats_without_matching=found and found.named,
        nats_without_others=found and found.others,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 2 with one line on stderr for what cannot be read, else 0."""
    parser = argparse.ArgumentParser(
        "python -m helpers.heads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a run's folder, real, a model's folder, or owner/name")
    parser.add_argument("--text", type=Path, help="score on this file, and not on random tokens")
    parser.add_argument("--draws", type=positive, default=20, help="random groups (default 20)")
    parser.add_argument("--json", action="store_true", help="every head, for a program")
    parser.add_argument("--plot", type=Path, help="save the board of all heads, such as out.png")
    given = parser.parse_args(arguments)
    try:
        subject = opened(given.model)
        text = given.text and own_text(subject.model, given.text, subject.model.cfg.n_ctx)
        answer = asked(subject, text, given.draws, progress=True)
        if given.plot:
            title = f"The heads of {given.model}"
            figure, _ = head_board(answer["report"], title)
            figure.savefig(given.plot)
    except (OSError, ValueError) as error:
        print(f"python -m helpers.heads: {error}", file=sys.stderr)
        return 2
    print(json.dumps(as_record(answer)) if given.json else told(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
