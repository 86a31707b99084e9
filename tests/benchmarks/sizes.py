"""What the repository weighs."""

from collections.abc import Iterator

from tests.benchmarks import Row, Settings
from tests.course import NOTEBOOKS, repository_files

MOST = 24  # MB, of all files; tests/test_house.py holds it too


def sizes(settings: Settings) -> Iterator[Row]:
    """Rows: size of the clone, size of the largest notebook."""
    megabytes = sum(path.stat().st_size for path in repository_files()) / 1e6
    yield Row(
        "clone: the files that git lists, without its history",
        f"{MOST} MB",
        f"{megabytes:.1f} MB",
        megabytes <= MOST,
    )
    size, name = max((path.stat().st_size / 1e6, path.name) for path in NOTEBOOKS)
    yield Row("largest notebook", "1 MB", f"{size:.2f} MB ({name})", size <= 1)
