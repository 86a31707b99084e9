"""A process that stands in a copy of the course, has imported what takes seconds and nothing of the
course itself, and forks for every run of pytest: it reads arguments, a line of JSON a run, and
answers with the exit status and what was printed. A run has a cache and a folder for what is
temporary that go with it, and nothing that it started outlives it."""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

PYTEST = ("-q", "--disable-warnings", "-p", "no:cacheprovider", "-p", "tests.mutants.hurried")
PRELOADED = (
    "anywidget",
    "hypothesis",
    "jupyter_client",
    "matplotlib.figure",
    "nbclient",
    "nbval.plugin",
    "playwright.sync_api",
    "tokenizers",
    "transformer_lens",
)
LONGEST = 900  # seconds of work, for a run that a fault keeps from ending


def main() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as fresh:
            printed = Path(fresh) / "printed.txt"
            child = os.fork()
            if not child:
                run(json.loads(line), fresh, printed)
            try:
                _, status = os.waitpid(child, 0)
            finally:
                with suppress(ProcessLookupError):  # a browser may be left
                    os.killpg(child, signal.SIGKILL)
            answer = os.waitstatus_to_exitcode(status), printed.read_text(errors="replace")
            print(json.dumps(answer), flush=True)


def run(arguments: list[str], fresh: str, printed: Path) -> None:
    """In the child, which ends with it."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
    os.environ |= dict(TMPDIR=fresh, INDUCTION_COURSE_CACHE=f"{fresh}/cache")
    tempfile.tempdir = None
    with printed.open("w") as file, open(os.devnull) as nothing:
        for stream, number in ((nothing, 0), (file, 1), (file, 2)):
            os.dup2(stream.fileno(), number)
    status = pytest.main([*PYTEST, *arguments])
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
