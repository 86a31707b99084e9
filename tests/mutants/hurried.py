"""A plugin of pytest for runs beside a fault, which start by the hundred: what never comes is
waited for less long, an example that fails is not made smaller, and the real model, whose weights
are read anew at every start, is left out."""

import hypothesis
from hypothesis import Phase

from helpers import real_model
from tests import patience

patience.PATIENCE = 45
patience.TEST = 6 * patience.PATIENCE
real_model.is_installed = lambda: False


def pytest_configure() -> None:
    """After the tests' own profile, and before any test is read."""
    ours = hypothesis.settings.get_profile("course")
    phases = [Phase.explicit, Phase.generate]
    hypothesis.settings.register_profile("hurried", ours, phases=phases)
    hypothesis.settings.load_profile("hurried")
