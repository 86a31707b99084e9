"""A plugin of pytest for runs beside a fault: what never comes is waited for less long, and the
real model, whose weights are read anew at every start, is left out."""

from helpers import real_model
from tests import patience

patience.PATIENCE = 45
patience.TEST = 6 * patience.PATIENCE
real_model.is_installed = lambda: False
