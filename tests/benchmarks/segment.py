"""How many tokens the copied segment takes, by the experiment of notebook 05.

The public repository that the target comes from needs 89 million.
"""

from collections.abc import Iterator

from helpers.experiments.segment import run
from tests.benchmarks import Clock, Row, Settings, threads


def segment(settings: Settings) -> Iterator[Row]:
    """Row: tokens until half of the determined rows of fresh sequences are answered rightly, or the
    cap."""
    clock = Clock()
    with threads(1), clock.running():
        found = run("as it is", 0, int(settings.segment_tokens))
    million = (found["tokens"] or settings.segment_tokens) / 1e6
    tokens = f"{million:.2g} million"
    if found["tokens"] is None:
        answered = found["looks"][-1][0] if found["looks"] else 0
        tokens = f"not within {tokens}: {answered:.0%} there"
    yield Row(
        "copied segment (24 of 128 tokens, loss on every row): tokens to 50% accuracy on "
        "determined rows",
        "9 million",
        f"{tokens} ({clock.wall:.0f} s)",
        found["tokens"] is not None and million <= 9,
        "no limit of the machine's",
    )
