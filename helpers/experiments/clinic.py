"""Why did no head form? A diagnosis of a training by its symptoms.

A symptom is a question to a training that one can answer from its curves, or from what the model at
its end does; each is a number beside a bound. A cause is a set of answers. The diagnosis is told
nothing of the settings: it sees losses, scores and weights.

The bounds were set on the development trainings of `patients`, and left alone when the held-out
ones were trained.
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Generator

from helpers.claims import Bound, above, below
from helpers.experiments.periods import accuracy_by_period
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import cross_entropy, repeated_block, split_periods
from helpers.training.recipes import RECIPES

N_CTX, D_VOCAB = RECIPES["two_layers"].model.n_ctx, RECIPES["two_layers"].model.d_vocab
LENGTHS = range(2, 25)
GUESSING = math.log(D_VOCAB - 1)  # nats
FORMED, UNKNOWN = "a head formed", "none of these"
COLUMNS = 66  # of a diagnosis, so that a narrow window breaks no word


# ---- what is looked at


class Chart(NamedTuple):
    """A training, as the clinic sees it.

    `losses`: one a step, as the training counts them (nats). At each of `steps` the best head's
    score. Of the model at the end: `like_start`, the cosine of the weights of queries and keys with
    those at the start; the loss on rows that repeat, with blocks of lengths that the default run
    trains on (`usual`) and of those that it keeps back (`kept_back`); and the accuracy on blocks of
    each of LENGTHS.
    """

    losses: list[float]
    steps: list[int]
    prefix_matching: list[float]
    previous_token: list[float]
    like_start: float
    usual: float
    kept_back: float
    accuracy: list[float]

    @property
    def last_loss(self) -> float:
        """The mean of the last 20 steps."""
        return _mean(self.losses[-20:])


@torch.no_grad()
def examine(
    losses: Sequence[float], history: Sequence[Mapping], model: AttentionOnlyTransformer
) -> Chart:
    """The chart of a training: what a trainer keeps in `losses`; snapshots with "step",
    "prefix_matching" and "previous_token" [layer][head], as `train`, Discovery and a stored run
    have them; and the model at the end.

    ValueError for a training without steps or snapshots, and for a model of another context or
    vocabulary than the default run's.
    """
    if (model.cfg.n_ctx, model.cfg.d_vocab) != (N_CTX, D_VOCAB):
        raise ValueError(
            f"a model of n_ctx {model.cfg.n_ctx} and d_vocab {model.cfg.d_vocab}; the clinic "
            f"knows the default run, with {N_CTX} and {D_VOCAB}, and its bounds hold for no other"
        )
    if not losses or not history:
        raise ValueError(
            f"{len(losses)} losses and {len(history)} snapshots; train some steps first"
        )
    untrained = AttentionOnlyTransformer(model.cfg)  # from the seed that its config names
    start, end = (torch.cat([made.W_Q, made.W_K]).flatten() for made in (untrained, model))
    usual, kept_back = (_loss_on(model, periods) for periods in split_periods(N_CTX))
    accuracy = accuracy_by_period([model], LENGTHS, lead_in=False, sequences=16)[0]
    return Chart(
        list(losses),
        [entry["step"] for entry in history],
        *([best(entry, name) for entry in history] for name in Chart._fields[2:4]),
        torch.cosine_similarity(start, end, dim=0).item(),
        usual,
        kept_back,
        accuracy.tolist(),
    )


def best(entry: Mapping, score: str) -> float:
    """The best head's score in a snapshot; nan without one."""
    values = [value for layer in entry[score] for value in layer if value is not None]
    return max(values, default=math.nan)


def _loss_on(model: AttentionOnlyTransformer, periods: Sequence[int]) -> float:
    batch = repeated_block(128, N_CTX, D_VOCAB, Generator().manual_seed(0), periods)
    return cross_entropy(model(batch.tokens), batch.targets, batch.determined).item()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def among_seen() -> float:
    """What a guess among the tokens that a sequence has shown costs, on rows that repeat (nats)."""
    usual = repeated_block(2000, N_CTX, D_VOCAB, Generator().manual_seed(0))
    shown = torch.tensor([len(set(row)) - 1 for row in usual.tokens.tolist()])  # not BOS
    return shown.log()[:, None].expand(usual.determined.shape)[usual.determined].mean().item()


# ---- symptoms and causes


class Symptom(NamedTuple):
    """What one sees when the answer is yes, and when it is no; and the number beside its bound that
    answers."""

    yes: str
    no: str
    quantity: str
    measure: Callable[[Chart], Bound]


def _known(chart: Chart) -> list[int]:
    """The lengths of block that the model continues."""
    return [at for at, right in zip(LENGTHS, chart.accuracy, strict=True) if right > 0.5]


def _by_one_shift(chart: Chart) -> float:
    """The share of them that one shift explains: those that divide the longest."""
    known = _known(chart)
    return _mean([max(known) % length == 0 for length in known])


SYMPTOMS = {
    "head": Symptom(
        "a head matches prefixes",
        "no head matches prefixes",
        "best prefix matching",
        lambda chart: above(chart.prefix_matching[-1], 0.5, varies=True),
    ),
    "time": Symptom(
        "the training had its time",
        "the training was too short to tell",
        "steps",
        lambda chart: above(len(chart.losses), 199),
    ),
    "moved": Symptom(
        "the weights of queries and keys have left where they started",
        "the weights of queries and keys still point where they started",
        "cosine with the start",
        lambda chart: below(chart.like_start, 0.7, varies=True),
    ),
    "fell": Symptom(
        "the loss leaves guessing behind",
        "the loss does not leave guessing behind",
        "loss at the end (nats)",
        lambda chart: below(chart.last_loss, GUESSING - 0.1, varies=True),
    ),
    "early": Symptom(
        "it falls at once",
        "it does not fall at once",
        "loss of steps 51 to 60 (nats)",
        lambda chart: below(_mean(chart.losses[50:60]), GUESSING - 0.06, varies=True),
    ),
    "seen": Symptom(
        "the loss gets as low as guesses among the tokens seen",
        "the loss stays above guesses among the tokens seen",
        "loss at the end (nats)",
        lambda chart: below(chart.last_loss, 3.4, varies=True),
    ),
    "noise": Symptom(
        "it lies above the loss on rows that repeat",
        "it is no higher than on rows that repeat",
        "difference at the end (nats)",
        lambda chart: above(chart.last_loss - chart.usual, 0.15, varies=True),
    ),
    "elsewhere": Symptom(
        "lengths kept back cost more than guessing",
        "lengths kept back cost no more than guessing",
        "loss there (nats)",
        lambda chart: above(chart.kept_back, GUESSING + 0.4, varies=True),
    ),
    "shift": Symptom(
        "one shift answers all lengths that the model continues",
        "the lengths that the model continues take several shifts",
        "share of them that divide the longest",
        lambda chart: above(_by_one_shift(chart), 0.99, varies=True),
    ),
    "short": Symptom(
        "the model continues short blocks alone",
        "the model continues long blocks, or none",
        "longest (tokens)",
        lambda chart: below(max(_known(chart), default=math.nan), 9, varies=True),
    ),
    "back": Symptom(
        "a head looks at the token before",
        "no head looks at the token before",
        "best previous-token score",
        lambda chart: above(chart.previous_token[-1], 0.2, varies=True),
    ),
}


class Cause(NamedTuple):
    """The answers by which a cause is known, what it is, what to do about it, and the held-out
    changes that did so."""

    shows: dict[str, bool]
    why: str
    remedy: str
    tried: tuple[str, ...]


CAUSES = {
    FORMED: Cause(dict(head=True), "nothing is wrong", "look at its pattern", ()),
    "too slow": Cause(
        dict(head=False, time=True, moved=False),
        "the steps are too small; curves cannot tell a low rate from a weak optimiser",
        "a higher rate: AdamW at 0.01, SGD at 1",
        ("AdamW at 0.01", "SGD at 1"),
    ),
    "normalization": Cause(
        dict(head=False, time=True, moved=True, fell=True, early=True, seen=False, noise=False),
        "behind a normalization the default rates are too high: the loss drops, then stands still",
        "a third of both rates",
        ("LayerNorm, a third of the rates",),
    ),
    "loss on all rows": Cause(
        dict(head=False, time=True, moved=True, fell=True, noise=True, elsewhere=False),
        "the loss counts rows on which nothing can be known, and their noise drowns the rest",
        "a loss on the determined rows",
        ("nothing changed",),
    ),
    "one period": Cause(
        dict(head=False, time=True, moved=True, seen=True, elsewhere=True, shift=True),
        "one shift answers everything, so no token needs to be read",
        "another length for every sequence",
        ("nothing changed",),
    ),
    "blocks too short": Cause(
        dict(head=False, time=True, moved=True, seen=True, elsewhere=True, shift=False, short=True),
        "a few short shifts can be learned one by one, and cost less than matching",
        "more and longer blocks: 2 to 8 tokens are enough",
        ("blocks of 2 to 8 tokens",),
    ),
    "one layer": Cause(
        dict(
            head=False, time=True, moved=True, seen=True, noise=False, elsewhere=False, back=False
        ),
        "nobody tells a position which token stands before it, so it bets on distances or guesses "
        "among those seen",
        "a second layer, or smeared keys",
        ("nothing changed",),
    ),
}


def seen(cause: str) -> str:
    """What one sees of a cause, in words: the answers that tell it from the others."""
    told = {name: is_so for name, is_so in CAUSES[cause].shows.items() if name != "time"}
    if told.get("moved"):  # as nearly all have
        del told["moved"], told["head"]
    return "; ".join(
        SYMPTOMS[name].yes if is_so else SYMPTOMS[name].no for name, is_so in told.items()
    )


class Diagnosis(NamedTuple):
    """What a chart resembles: a key of CAUSES, or UNKNOWN; every symptom's number beside its bound;
    and the step at which a head was born, if one was."""

    cause: str
    symptoms: dict[str, Bound]
    step: float

    def __str__(self) -> str:
        asked = CAUSES[self.cause].shows if self.cause in CAUSES else SYMPTOMS
        lines = []
        for name in asked:
            symptom, found = SYMPTOMS[name], self.symptoms[name]
            seen = {True: symptom.yes, False: symptom.no, None: "cannot be told"}[answer(found)]
            beside = str(found) if answer(found) else str(found).replace("(", "(not ", 1)
            whole = beside.replace(" ", "\xa0")  # a number and its bound stand in one line
            words = f"- {seen}: {symptom.quantity} {whole}"
            lines.append(textwrap.fill(words, COLUMNS, subsequent_indent="  "))
        return "\n".join([*lines, textwrap.fill(self.verdict, COLUMNS)]).replace("\xa0", " ")

    @property
    def verdict(self) -> str:
        """The last word on it."""
        if self.cause == FORMED:
            return f"A head formed, at step ≈ {self.step:g}."
        if self.cause == UNKNOWN:
            return "None of these: no cause that the clinic knows shows all of this."
        found = CAUSES[self.cause]
        return f"This resembles: {self.cause}. {found.why.capitalize()}. Try {found.remedy}."


def answer(found: Bound) -> bool | None:
    """Yes or no; None where there was nothing to measure, which is neither."""
    return None if any(map(math.isnan, found.values)) else found.holds


def diagnose(chart: Chart) -> Diagnosis:
    """The cause whose symptoms are all there. At most one can be: any two causes disagree on a
    symptom."""
    found = {name: symptom.measure(chart) for name, symptom in SYMPTOMS.items()}
    fits = [
        cause
        for cause, known in CAUSES.items()
        if all(answer(found[name]) == asked for name, asked in known.shows.items())
    ]
    scores = torch.tensor(chart.prefix_matching)
    step = heads.first_above(chart.steps, scores).item()
    return Diagnosis(fits[0] if fits else UNKNOWN, found, step)
