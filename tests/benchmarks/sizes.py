"""What a reader waits for and stores before anything is trained."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from tests.benchmarks import Row, Settings
from tests.course import NOTEBOOKS, repository_files

IMPORT = (
    "import time, torch; start = time.perf_counter(); import helpers.model; "
    "print(time.perf_counter() - start)"
)


def sizes(settings: Settings) -> Iterator[Row]:
    """Rows: import time, size of the clone, size of the largest notebook."""
    seconds = statistics.median(
        float(
            subprocess.run(
                [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
            ).stdout
        )
        for _ in range(settings.fresh)
    )
    yield Row(
        "import helpers.model, over import torch", "0.2 s", f"{seconds:.2f} s", seconds <= 0.2
    )
    megabytes = sum(path.stat().st_size for path in repository_files()) / 1e6
    yield Row(
        "clone: the files that git lists, without its history",
        "20 MB",
        f"{megabytes:.1f} MB",
        megabytes <= 20,
    )
    size, name = max((path.stat().st_size / 1e6, path.name) for path in NOTEBOOKS)
    yield Row("largest notebook", "1 MB", f"{size:.2f} MB ({name})", size <= 1)
