"""All faults that are written by hand."""

from tests.mutants import Mutant, in_javascript, in_python

BY_HAND = [
    Mutant(name, file, text, becomes, " ".join(f"tests/{test}" for test in tests.split()))
    for faults in (in_python.FAULTS, in_javascript.FAULTS)
    for file, of_file in faults.items()
    for name, text, becomes, tests in of_file
]
