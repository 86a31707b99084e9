"""A prediction: a reader's word before a cell shows, and what came beside it afterwards.

It is kept where a `predictions.json` stands in the notebook's folder, as it does among a reader's
working copies. Elsewhere nothing is read and nothing is written, so a run there has always the same
outputs.
"""

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

import traitlets
from IPython.display import display

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.prediction import answers
from helpers.explorables.prediction.answers import Answer, checked, choice_words
from helpers.plotting.core import Picture

ASKED: dict[str, dict[str, str]] = {}  # in this kernel: every question with its choices


def predict(question: str, choices: Mapping[str, str], number: str | None = None) -> "Prediction":
    """Ask the reader, and go on without waiting. `number`: a second question, for a number.

        loss_falls = predict("How will the loss fall?", dict(A="evenly", B="all at once"))
        loss_falls.came("B")  # in a later cell

    ValueError as of `Prediction`.
    """
    prediction = Prediction(question, choices, number)
    display(prediction)
    return prediction


class Prediction(Explorable):
    """The question with its choices, and what was said to it."""

    scene = traitlets.Dict().tag(sync=True)  # question, choices as pairs, question for a number
    said = traitlets.Dict().tag(sync=True)  # choice, number
    outcome = traitlets.Dict().tag(sync=True)  # the same; empty until it has come
    says = traitlets.Unicode().tag(sync=True)
    trouble = traitlets.Unicode().tag(sync=True)  # why a word was not taken, or is not kept

    def __init__(self, question: str, choices: Mapping[str, str], number: str | None = None):
        """ValueError for an empty question, for fewer than two choices, and for a question that
        was asked before with other choices."""
        self.question, self.choices, self.number = question, _fitting(question, choices), number
        here = Path.cwd() / answers.FILE
        self.file = here if here.is_file() else None
        scene = dict(question=question, choices=[*self.choices.items()], number=number or "")
        super().__init__(scene=scene)
        self._take(Answer())
        self._remember()
        self.on_msg(self._hear)

    def say(self, choice: str, number: float | None = None) -> None:
        """The reader's word, as a click gives it; a later one replaces it until the outcome has
        come. ValueError for one that is no choice, for a number that is not finite, and for a file
        that cannot be read: the word is then taken, and not kept."""
        answer = checked(choice, number, self.choices, "your prediction")
        if self.outcome:
            raise ValueError("it has come already; run the question's cell again to be asked anew")
        self._take(answer)
        if self.file:
            answers.keep(self.file, self.question, self.choices, answer)

    def came(self, choice: str, number: float | None = None, varies: bool = False) -> None:
        """Print the reader's word and what came; the number behind an ≈ when it `varies` from
        machine to machine. The view marks both among its choices and says no more. ValueError for
        an outcome that was no choice, and for a number that is not finite."""
        answer = checked(choice, number, self.choices, "the outcome")
        said, outcome = Answer(**self.said).words(), answer.words("≈ " if varies else "")
        if not choice:
            raise ValueError(f"the outcome has no choice; give one of {', '.join(self.choices)}")
        self.outcome, self.says = answer._asdict(), ""
        print(f"You said {said}; it was {outcome}." if said else f"It was {outcome}.")

    def votes(self, files: str | Path | Iterable[str | Path]) -> Picture:
        """Everyone's choices as bars: `show(*loss_falls.votes("votes.csv"))`.

        `files`: a CSV with a name, an answer and, if one was asked for, a number a line; or each
        one's `predictions.json`, renamed to its reader. ValueError as of `answers.of_group`.
        """
        everyone = answers.of_group(files, self.question, self.choices)
        outcome = Answer(**self.outcome) if self.outcome else Answer()
        return plotting.votes(self.question, self.choices, everyone, *outcome)

    def __repr__(self) -> str:
        lines = [f"  {name}  {text}" for name, text in self.choices.items()]
        return "\n".join([self.question, *lines, *filter(None, [self.number])])

    def _repr_mimebundle_(self, **options):
        """The widget, and what stands in its place where no kernel is."""
        data, metadata = super()._repr_mimebundle_(**options)
        lines = [f"<b>{name}</b> {text}" for name, text in map(_escaped, self.choices.items())]
        lines += [escape(self.number)] if self.number else []
        data["text/html"] = f"<p><b>{escape(self.question)}</b></p><p>{'<br>'.join(lines)}</p>"
        return data, metadata

    # ---- what the reader says

    def _hear(self, _, content: dict, buffers) -> None:
        self.trouble = ""
        try:
            self.say(content.get("choice"), content.get("number"))
        except (ValueError, OSError) as error:
            self.trouble = f"{error}."
        self.send(dict(heard=content.get("view")))

    def _take(self, answer: Answer) -> None:
        self.said = answer._asdict()
        where = f" Kept in {self.file.parent.name}/{self.file.name}." if self.file else ""
        wanted = "a choice and a number" if self.number else "a choice"
        self.says = (
            f"You say {answer.words()}.{where}"
            if answer.words()
            else f"Your word first: {wanted}, before you run the next cell."
        )

    def _remember(self) -> None:
        """What was said before, if it is kept."""
        try:
            before = answers.read(self.file).get(self.question) if self.file else None
            if before and before["choices"] != self.choices:
                self.trouble = (
                    "What you said before was said to other choices, "
                    f"{choice_words(before['choices'])}: say it again."
                )
            elif before:
                what = "what is kept"
                self._take(checked(before["choice"], before["number"], self.choices, what))
        except ValueError as error:
            self.trouble = f"{error}."


def _fitting(question: str, choices: Mapping[str, str]) -> dict[str, str]:
    if not question.strip():
        raise ValueError("the question is empty; ask what the next cell answers")
    if not isinstance(choices, Mapping):
        raise ValueError(f"the choices are {choices!r}; name them: dict(A=..., B=...)")
    if len(choices) < 2 or not all(name and text for name, text in choices.items()):
        raise ValueError(
            f"{question!r} has {len(choices)} choices, {choice_words(choices) or 'none'}; give two "
            'or more, each with words: dict(A="evenly", B="all at once")'
        )
    if ASKED.setdefault(question, dict(choices)) != dict(choices):
        raise ValueError(
            f"{question!r} was asked before with other choices, {choice_words(ASKED[question])}, "
            f"and now has {choice_words(choices)}; give it other words, or restart the kernel"
        )
    return dict(choices)


def _escaped(texts: Iterable[str]) -> list[str]:
    return [escape(text) for text in texts]
