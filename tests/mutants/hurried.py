"""A plugin of pytest for runs beside a fault, which start by the hundred. What never comes is
waited for less long, and an example that fails is not made smaller. Two things that take seconds at
every start are left out: the real model, whose weights are read anew, and a grammar of web
addresses that jsonschema builds."""

import sys

sys.modules["rfc3987_syntax"] = None  # as where it is not installed: jsonschema does without

import hypothesis  # noqa: E402
from hypothesis import Phase  # noqa: E402

from helpers import real_model  # noqa: E402
from tests import patience  # noqa: E402

patience.PATIENCE = 45
patience.TEST = 6 * patience.PATIENCE
real_model.is_installed = lambda: False


def pytest_configure() -> None:
    """After the tests' own profile, and before any test is read."""
    ours = hypothesis.settings.get_profile("course")
    phases = [Phase.explicit, Phase.generate]
    hypothesis.settings.register_profile("hurried", ours, phases=phases)
    hypothesis.settings.load_profile("hurried")
