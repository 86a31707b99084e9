"""What the Python tests share: shapes are enforced, draws are repeated, no window opens."""

import asyncio
import random
import sys

import hypothesis
import jaxtyping
import matplotlib
import pytest

import tests.course

# From here on every annotated function of helpers checks the shapes it is given and returns. Set
# JAXTYPING_DISABLE=1 to run without.
jaxtyping.install_import_hook("helpers", f"{tests.course.__name__}.typechecked")

# Not through MPLBACKEND: the notebooks' kernels would inherit it and draw no inline pictures.
matplotlib.use("agg")

hypothesis.settings.register_profile("course", derandomize=True, deadline=None)
hypothesis.settings.load_profile("course")


@pytest.fixture
def uncheck_shapes(monkeypatch):
    """`uncheck_shapes()`: from then on the shape checks are off, as readers have it. Of a hundred
    draws the first shows what the shapes are, and checking them takes as long as all the rest."""
    return lambda: monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def shapes_unchecked(uncheck_shapes):
    """The same from the beginning: for what helpers say to bad input, and for trainings of hundreds
    of steps, of which shorter ones show the shapes."""
    uncheck_shapes()


@pytest.fixture(autouse=True)
def seeded():
    """Start every test from the same random state, whichever tests ran before it, and on one
    thread: more would add in another order, and matrices this small lose by being shared out."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    for name, seed in (("numpy.random", "seed"), ("torch", "manual_seed")):
        if name in sys.modules:
            getattr(sys.modules[name], seed)(0)


@pytest.fixture(autouse=True)
def no_loop_sleeps_here(request):
    """Playwright's event loop sleeps in the main thread from the first browser test on. A test that
    runs after it in the same process, and has no browser, starts loops of its own there."""
    loop = asyncio._get_running_loop()
    if loop is None or "browser" in request.fixturenames:
        yield
        return
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)
