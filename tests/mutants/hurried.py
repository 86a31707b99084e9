"""A plugin of pytest for runs beside a fault, which start by the hundred: what never comes is
waited for less long, and two things that take seconds at every start are left out. They are the
real model, whose weights are read anew, and a grammar of web addresses that jsonschema builds."""

import sys

sys.modules["rfc3987_syntax"] = None  # as where it is not installed: jsonschema does without

from helpers import real_model  # noqa: E402
from tests import patience  # noqa: E402

patience.PATIENCE = 45
patience.TEST = 6 * patience.PATIENCE
real_model.is_installed = lambda: False
