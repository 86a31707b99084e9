"""Runs everything again: `python -m helpers.experiments.privileged --help`."""

from helpers.experiments.privileged.records import main

main()
