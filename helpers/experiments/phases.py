"""Nine trainings on Python source, and what each has learned from its context at every snapshot:
two layers, one layer, and one layer with smeared keys, three seeds of each.

All read the same windows of files that no training reads. `data/sweeps/phases` holds what they
found, without weights; the first two kinds are trainings of `replicas`, so theirs stand there.

    python -m helpers.experiments.phases

Source: Olsson et al. 2022, In-context Learning and Induction Heads, arguments 1 to 3 and "Model
Analysis Techniques" (per-token-loss PCA, before-and-after attribution).
"""

import argparse
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Generator, Tensor

from helpers.corpus import Corpus, copying
from helpers.instruments import contexts, groups, heads
from helpers.instruments.interventions import frozen_patterns
from helpers.instruments.weights import all_heads
from helpers.model import AttentionOnlyTransformer, Head, check_head
from helpers.training import runs, sweeps
from helpers.training.command import as_typed, positive, where_to_run
from helpers.training.loop import train
from helpers.training.recipes import RECIPES

FOLDER = runs.DATA / "sweeps" / "phases"
KINDS = ("text", "text_one_layer", "text_smeared_keys")
SEEDS = 3
SCHEDULE = [  # dense where things happen
    *(0, 5, 10, 20, 30, 40, 60, 80, 100, 125, 150, 175),
    *range(200, 1200, 25),
    *range(1200, 2401, 100),
]
ABLATED = SCHEDULE[8::4]  # where every head is taken out as well
WINDOWS, PLACES = 113, 17  # every fourth held-out window; groups of 15 rows


class Laws:
    """What can be known of the next token without a context, and from one token: log-probabilities
    counted on the text that is trained on."""

    def __init__(self, text: Corpus):
        counts = copying.pair_counts(text)
        self.unigram = ((counts.sum(0) + 1) / (counts.sum() + len(counts))).log()
        self.bigram = copying.bigrams(counts).log()

    def losses(self, tokens: Int[Tensor, "window pos"]) -> Float[Tensor, "window row"]:
        """What bigrams lose (nats) at every row whose next token is known."""
        return -self.bigram[tokens[:, :-1], tokens[:, 1:]]


@torch.no_grad()
def distances(model, tokens: Int[Tensor, "batch pos"], laws: Laws) -> dict[str, float]:
    """By how many nats the model's answers miss each law: KL(law, model), the mean of all rows but
    BOS's."""
    answers = model(tokens)[:, 1:].log_softmax(-1)
    told = {"unigram": laws.unigram.expand_as(answers), "bigram": laws.bigram[tokens[:, 1:]]}
    return {
        name: F.kl_div(answers, law, log_target=True, reduction="none").sum(-1).mean().item()
        for name, law in told.items()
    }


@torch.no_grad()
def losses(
    model: AttentionOnlyTransformer, tokens: Int[Tensor, "window pos"], out: Sequence[Head] = ()
) -> Float[Tensor, "window row"]:
    """The loss (nats) of every row without these heads: their output matrices are zero. ValueError
    for a head that does not exist."""
    if out:
        model = copy.deepcopy(model)
        for at in out:
            check_head(model, *at)
            model.W_O[at] = 0
    return torch.cat(
        [
            F.cross_entropy(model(some)[:, :-1].transpose(1, 2), some[:, 1:], reduction="none")
            for some in tokens.split(32)
        ]
    )


def losses_with_patterns_kept(
    model, tokens: Int[Tensor, "window pos"], out: Sequence[Head]
) -> Float[Tensor, "window row"]:
    """The same, and all other heads go on attending where they did."""
    return torch.cat(
        [
            contexts.losses(
                model, some, [*frozen_patterns(model, some), *heads.zero_heads(model, out)]
            )
            for some in tokens.split(32)
        ]
    )


def fixed_rows(windows: int, rows: int) -> Int[Tensor, "window 2"]:
    """Two rows of each window, drawn once for all: those of the per-token losses."""
    return torch.randint(rows, (windows, 2), generator=Generator().manual_seed(0))


def early_and_late(n_ctx: int) -> tuple[range, range]:
    """The rows of the in-context learning score. The paper takes 50 and 500 of 512; here these are
    the same tenth and the last of the context, a sixteenth of it each, for rows are few."""
    width = n_ctx // 16
    return range(n_ctx // 10 - width // 2, n_ctx // 10 + width // 2), range(
        n_ctx - width, n_ctx - 1
    )


def by_place(losses: Float[Tensor, "window row"]) -> Float[Tensor, " place"]:
    """The mean loss of each `PLACES`-th of the context."""
    return losses.mean(0).view(PLACES, -1).mean(1)


def run(kind: str, seed: int, steps: int | None = None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Train once: a record for JSON, and tensors.

    The record has a list of snapshots, and what the finished model loses without heads (`without`):
    each alone, the one that looks back most, those that match, and groups of as many others.
    Tensors: `losses` [snapshot, token], at `fixed_rows`; `places` [snapshot, place]; `lost`
    [ablation, head, token], by how
    much each head's ablation raises the former at the steps of `ABLATED`; `scores` [way, window],
    the in-context learning scores of all held-out windows, a row for each of `without`; `last`
    [row], the mean loss at the end. `steps` cuts a training short.
    """
    recipe = RECIPES[kind].seeded(seed)
    text, n_ctx, probe = recipe.text(), recipe.model.n_ctx, recipe.probe()
    tokens, laws = text.validation_windows(n_ctx, WINDOWS).tokens, Laws(text)
    rows = fixed_rows(WINDOWS, n_ctx - 1)
    trainer = recipe.trainer()
    schedule = [step for step in SCHEDULE if steps is None or step <= steps]

    def measure(model: AttentionOnlyTransformer) -> dict[str, Any]:
        found, repeat_loss = heads.score_with_loss(model, probe)
        intact = losses(model, tokens)
        at_rows = intact.gather(1, rows).flatten()
        lost = [
            losses(model, tokens, [at]).gather(1, rows).flatten() - at_rows
            for at in all_heads(model)
            if trainer.step_number in ABLATED
        ]
        numbers = {name: rounded(values) for name, values in found._asdict().items()}
        numbers |= dict(repeat_loss=rounded(repeat_loss), held_out=rounded(intact.mean()))
        if recipe.model.smeared_keys:
            numbers["gate"] = rounded(model.smear.sigmoid())
        numbers |= {name: rounded(by) for name, by in distances(model, tokens[::7], laws).items()}
        score = contexts.worth(intact, *early_and_late(n_ctx)).mean()
        return dict(
            numbers=numbers | dict(in_context=rounded(score)),
            losses=at_rows,
            places=by_place(intact),
            lost=lost,
        )

    snapshots, measured = [], []
    for snapshot in train(trainer, measure, schedule):
        trained = None if snapshot.loss is None else rounded(snapshot.loss)
        snapshots.append(dict(step=snapshot.step, trained=trained, **snapshot.scores["numbers"]))
        measured.append(snapshot.scores)
    without, scores, last = at_the_end(trainer.model, text.validation_windows(n_ctx).tokens, probe)
    tensors = {name: torch.stack([one[name] for one in measured]) for name in ("losses", "places")}
    tensors |= dict(scores=scores, last=last)
    lost = [torch.stack(one["lost"]) for one in measured if one["lost"]]
    tensors |= {"lost": torch.stack(lost)} if lost else {}
    record = dict(kind=kind, seed=seed, snapshots=snapshots, without=without)
    return record, tensors


def rounded(value: Any, digits: int = 4) -> Any:
    """Numbers fit for JSON."""
    value = value.tolist() if isinstance(value, Tensor) else value
    if isinstance(value, list):
        return [rounded(one, digits) for one in value]
    return round(value, digits)


def at_the_end(
    model, tokens: Int[Tensor, "window pos"], probe: Int[Tensor, "sequence probe_pos"]
) -> tuple[list[dict[str, Any]], Float[Tensor, "way window"], Float[Tensor, " row"]]:
    """The finished model, whole and without heads: for each way its loss (nats), and the in-context
    learning score of every window. Then the whole model's loss by row."""
    places = early_and_late(tokens.shape[1])
    report = heads.discover(model, tokens=probe, ablate=False)
    matching = groups.matching(report)
    asked = [("nothing", [])] + [("one head", [at]) for at in all_heads(model)]
    asked += [("looking back most", [report.best("previous_token").at])]
    if matching:
        asked += [("matching", matching)]
        asked += [("as many others", other) for other in as_many_others(model, matching)]
    found, scores = [], []
    for name, out in asked:
        ways = {"all anew": losses(model, tokens, out)}
        if name not in ("nothing", "one head"):
            ways["patterns kept"] = losses_with_patterns_kept(model, tokens, out)
        for way, lost in ways.items():
            found.append(dict(out=name, heads=out, way=way, loss=rounded(lost.mean())))
            scores.append(contexts.worth(lost, *places))
    return found, torch.stack(scores), losses(model, tokens).mean(0)


def as_many_others(model, some: list[Head]) -> list[list[Head]]:
    """All groups of as many other heads of the same layers, or else the others that there are."""
    try:
        return groups.random_groups(model, some, 6, Generator().manual_seed(0))
    except ValueError:
        layers = {layer for layer, _ in some}
        return [[at for at in all_heads(model) if at[0] in layers and at not in some]]


# ---- what is stored


@dataclass(frozen=True)
class Training:
    """One of the nine, as `run` gave it."""

    kind: str
    seed: int
    snapshots: list[dict[str, Any]]
    without: list[dict[str, Any]]
    tensors: dict[str, Tensor]

    @property
    def steps(self) -> list[int]:
        return [snapshot["step"] for snapshot in self.snapshots]

    def curve(self, name: str) -> Float[Tensor, " snapshot"]:
        """A number of every snapshot; of the heads' scores the best head's."""
        values = torch.tensor([snapshot[name] for snapshot in self.snapshots])
        return values if values.ndim == 1 else values.flatten(1).amax(1)

    def halfway(self, name: str) -> int:
        """The step from which on the number stays past half of what it ends with."""
        return self.passed(name, 0.5)

    def passed(self, name: str, share: float) -> int:
        """The step from which on the number stays past this share of what it ends with."""
        short = self.curve(name) / self.curve(name)[-1] <= share
        return self.steps[int(short.nonzero().max()) + 1] if short.any() else self.steps[0]

    def nearest(self, law: str) -> int:
        """The step at which the model's answers are nearest to this law."""
        return self.steps[int(self.curve(law).argmin())]

    def scores(self, out: str, way: str = "all anew") -> list[Float[Tensor, " window"]]:
        """The in-context learning scores of the finished model without heads, group by group."""
        return [
            scores
            for one, scores in zip(self.without, self.tensors["scores"], strict=True)
            if (one["out"], one["way"]) == (out, way)
        ]

    def left_without(self, at: Head) -> float:
        """The share of the in-context learning score that is left without this head alone."""
        (whole,) = self.scores("nothing")
        alone = [one["heads"] for one in self.without if one["out"] == "one head"]
        scores = self.scores("one head")[alone.index([[*at]])]
        return (scores.mean() / whole.mean()).item()

    @property
    def matching(self) -> list[Head]:
        """The heads that match in the finished model."""
        return self._taken_out("matching")

    @property
    def looking_back(self) -> Head:
        """The head with most of its attention on the token before, in the finished model."""
        return self._taken_out("looking back most")[0]

    def _taken_out(self, what: str) -> list[Head]:
        for one in self.without:
            if one["out"] == what:
                return [(layer, head) for layer, head in one["heads"]]
        return []


def load(folder: Path = FOLDER) -> dict[str, list[Training]]:
    """The stored trainings of each kind, by their seeds."""
    stored, found = sweeps.load(folder), {kind: [] for kind in KINDS}
    for record in stored.results:
        place = f"{record['kind']}/{record['seed']}/"
        tensors = {
            name.removeprefix(place): values.float()
            for name, values in stored.tensors.items()
            if name.startswith(place)
        }
        found[record["kind"]].append(Training(**record, tensors=tensors))
    return found


def principal_paths(
    clouds: Mapping[str, Sequence[Float[Tensor, "snapshot token"]]],
) -> dict[str, list[Float[Tensor, "snapshot 2"]]]:
    """Trainings as paths in the plane in which their losses, all snapshots of all of them together,
    vary most. Either component grows along the first kind's trainings."""
    everything = torch.cat([cloud for kind in clouds.values() for cloud in kind])
    mean = everything.mean(0)
    _, _, directions = torch.linalg.svd(everything - mean, full_matrices=False)
    first = next(iter(clouds.values()))
    grown = torch.stack([(cloud[-1] - cloud[0]) @ directions[:2].T for cloud in first]).mean(0)
    plane = directions[:2] * grown.sign()[:, None]
    return {name: [(cloud - mean) @ plane.T for cloud in kind] for name, kind in clouds.items()}


def main(arguments: list[str] | None = None) -> None:
    """The command line: trains all that `data/sweeps/phases` holds."""
    parser = argparse.ArgumentParser(
        "python -m helpers.experiments.phases", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=positive, default=SEEDS, help="of each kind")
    parser.add_argument("--steps", type=positive, help="default: to the end")
    where_to_run(parser)
    given = parser.parse_args(arguments)
    settings = [
        setting | dict(kind=kind)
        for setting in sweeps.each_seed(given.seeds, steps=given.steps)
        for kind in KINDS
    ]
    sweeps.sweep_into(
        given.out,
        run,
        settings,
        as_typed("helpers.experiments.phases", arguments),
        given.jobs,
        given.scheduler,
        "trainings on text",
        name=lambda record: f"{record['kind']}/{record['seed']}",
    )


if __name__ == "__main__":
    from helpers.experiments.phases import main

    main()
