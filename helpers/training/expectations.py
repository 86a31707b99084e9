"""What to expect of a training on a folder of one's own, in words, before it starts."""

from helpers.corpus import Source
from helpers.corpus.copying import Copying
from helpers.corpus.documents import size
from helpers.training.loop import TrainingConfig

LITTLE = 0.25  # of what copying is worth on the library: there a head forms, on less it may not


def of_text(source: Source, d_vocab: int) -> str:
    """What was read."""
    return (
        f"Read: {source.n_documents:,} files, {size(source.n_bytes)}, which make "
        f"{source.n_tokens:,} tokens of {d_vocab:,} kinds."
    )


def of_copying(here: Copying, library: Copying) -> str:
    """What a head that copies can earn, beside what it earns on Python's own source."""
    words = (
        "Copying what followed the same token before, as an induction head does, is worth "
        f"{here.gained:.2f} nats a token here, and {library.gained:.2f} on Python's standard "
        "library."
    )
    if here.gained < LITTLE * library.gained:
        words += " That is next to nothing: do not expect an induction head from this text."
    return words


def of_time(training: TrainingConfig, n_ctx: int, n_tokens: int, minutes: float) -> str:
    """How often the text will be read, and how long that takes."""
    seen = training.steps * training.batch * n_ctx
    length = f"about {minutes:.0f} minutes" if minutes >= 1.5 else "about a minute, or less"
    return (
        f"{training.steps:,} steps of {training.batch} x {n_ctx} tokens read {seen:,}, "
        f"{seen / n_tokens:.1f} times the text: {length}."
    )
