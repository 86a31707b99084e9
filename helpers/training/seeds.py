"""Which seeds the course draws from: 0, 1, 2, ... and so on.

What is said of a trained model is to hold on seeds that nobody has looked at. `make fresh` asks:
it sets COURSE_SEEDS, and every training of the course then starts from other seeds.
"""

import os

FIRST = 1000 * int(os.environ.get("COURSE_SEEDS", "0"))


def seeds(count: int) -> list[int]:
    """The first `count` seeds."""
    return list(range(FIRST, FIRST + count))
