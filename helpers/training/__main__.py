"""Trains one of the course's runs: `python -m helpers.training --help`."""

from helpers.training.recipes import main

main()
