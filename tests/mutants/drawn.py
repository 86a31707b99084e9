"""Faults that a tool draws: in each of these files the two of different kinds that a hash puts
first, so that they stay the same until their own line changes. Nobody chose them.

The tool is Cosmic Ray, of which the operators are used: `make mutants` installs it.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import parso

from tests.mutants import ROOT, Mutant

PER_FILE = 2
# By file, the tests that are to see whatever is drawn in it.
FILES = {
    "helpers/model.py": "test_model test_circuits against_transformer_lens/test_equations",
    "helpers/hooks.py": "test_model test_interventions",
    "helpers/handmade.py": "test_handmade test_composition",
    "helpers/tables.py": "test_tables",
    "helpers/without.py": "test_without",
    "helpers/sequences/batch.py": "test_sequences test_heads",
    "helpers/sequences/chains.py": "test_sequences",
    "helpers/sequences/repeats.py": "test_sequences",
    "helpers/corpus/copying.py": "test_copying",
    "helpers/corpus/documents.py": "test_own_folder",
    "helpers/instruments/basis.py": "test_basis",
    "helpers/instruments/circuits.py": "test_circuits",
    "helpers/instruments/composition.py": "test_composition",
    "helpers/instruments/contexts.py": "test_contexts",
    "helpers/instruments/continuations.py": "test_continuations",
    "helpers/instruments/groups.py": "test_groups",
    "helpers/instruments/heads.py": "test_heads",
    "helpers/instruments/interventions.py": "test_interventions",
    "helpers/instruments/paths.py": "test_circuits",
    "helpers/instruments/patterns.py": "test_heads",
    "helpers/instruments/probes.py": "test_heads",
    "helpers/instruments/virtual_weights.py": "test_stream",
    "helpers/training/loop.py": "test_training",
    "helpers/training/optimizers.py": "test_training",
    "helpers/training/records.py": "test_records",
    "helpers/training/sweeps.py": "test_sweeps",
}
# Near misses: what is far off fails everywhere.
OPERATORS = {
    "NumberReplacer": "a number is another",
    "ReplaceBinaryOperator_Add_Sub": "+ is -",
    "ReplaceBinaryOperator_Sub_Add": "- is +",
    "ReplaceBinaryOperator_Mul_Div": "* is /",
    "ReplaceBinaryOperator_Div_Mul": "/ is *",
    "ReplaceComparisonOperator_Eq_NotEq": "== is !=",
    "ReplaceComparisonOperator_NotEq_Eq": "!= is ==",
    "ReplaceComparisonOperator_Lt_LtE": "< is <=",
    "ReplaceComparisonOperator_LtE_Lt": "<= is <",
    "ReplaceComparisonOperator_Gt_GtE": "> is >=",
    "ReplaceComparisonOperator_GtE_Gt": ">= is >",
    "ReplaceUnaryOperator_Delete_USub": "a minus is left out",
    "ReplaceUnaryOperator_Delete_Invert": "a ~ is left out",
    "ReplaceUnaryOperator_Delete_Not": "a not is left out",
    "ReplaceAndWithOr": "and is or",
    "ReplaceOrWithAnd": "or is and",
    "ReplaceTrueWithFalse": "True is False",
    "ReplaceFalseWithTrue": "False is True",
    "ReplaceContinueWithBreak": "a loop ends where it should go on",
    "ZeroIterationForLoop": "a loop is not gone through",
}
# Drawn, and found to change nothing that anybody could see: by file, line and what it becomes, the
# reason. They are passed over.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "helpers/sequences/chains.py",
        "return F.pad(rows / rows.sum(-1, keepdim=True), (1, 0))",
        "return F.pad(rows / rows.sum(1, keepdim=True), (1, 0))",
    ): "A matrix has two axes, and the last of them is number 1.",
    (
        "helpers/instruments/patterns.py",
        "return back.transpose(0, 1)[:, tokens[:, 2:] != PAD].mean(-1)",
        "return back.transpose(0, 1)[:, tokens[:, 2:] != PAD].mean(1)",
    ): "Heads and rows are two axes, and the last of them is number 1.",
    (
        "helpers/instruments/patterns.py",
        "times = (tokens[:, :, None] == tokens[:, None, :]).sum(-1)",
        "times = (tokens[:, :, None] == tokens[:, None, :]).sum(1)",
    ): "Which tokens are equal is symmetric: its rows have the sums of its columns.",
    (
        "helpers/instruments/interventions.py",
        "_set_pattern(at, lambda pattern: shift_pattern(pattern.shape[-1], back).to(pattern))",
        "_set_pattern(at, lambda pattern: shift_pattern(pattern.shape[1], back).to(pattern))",
    ): "A head's pattern has as many queries as keys.",
    (
        "helpers/instruments/basis.py",
        'weights["W_pos"] = model.W_pos.double() / gain[0]',
        'weights["W_pos"] = model.W_pos.double() / gain[ -1]',
    ): "The gains of all layers are the same there, or it was refused before.",
}


class Place(NamedTuple):
    """Where an operator can seed a fault: the line, what stands in it, which of the changes it can
    make there, and which of all its changes in the file this is."""

    operator: str
    line: int
    text: str
    change: int
    nth: int

    @property
    def rank(self) -> str:
        """By what stands in the line, not by where it stands: what is drawn outlives edits around
        it."""
        return hashlib.sha256(f"{self.operator} {self.text} {self.change}".encode()).hexdigest()


def drawn() -> list[Mutant]:
    """The faults, file by file. ImportError without the tool."""
    return [mutant for file in FILES for mutant in in_file(file)]


def in_file(file: str) -> list[Mutant]:
    """The first of a file by their hash, each of another kind, on lines that stand there once."""
    from cosmic_ray.mutating import mutate_code

    source, found = (ROOT / file).read_text(encoding="utf-8"), {}
    tests = tuple(f"tests/{name}.py" for name in FILES[file].split())
    for place in sorted(places(source), key=lambda place: place.rank):
        if place.operator in found or source.count(place.text) > 1:
            continue
        changed = mutate_code(source, operators()[place.operator](), place.nth)
        becomes = changed.splitlines()[place.line].strip()
        if (file, place.text, becomes) not in EQUIVALENT:
            name = f"{OPERATORS[place.operator]}, in line {place.line + 1}"
            found[place.operator] = Mutant(name, file, place.text, becomes, tests)
        if len(found) == PER_FILE:
            break
    return list(found.values())


@cache
def operators():
    """Those of the tool, by name."""
    from cosmic_ray.operators.provider import OperatorProvider

    return OperatorProvider()


def places(source: str) -> Iterator[Place]:
    """Where faults can be seeded: in the bodies of functions."""
    from cosmic_ray.ast import ast_nodes

    lines, nodes = source.splitlines(), list(ast_nodes(parso.parse(source)))
    for name in OPERATORS:
        operator, nth = operators()[name](), 0
        for node in nodes:
            for change, ((start, _), _) in enumerate(operator.mutation_positions(node)):
                if is_code(node):
                    yield Place(name, start - 1, lines[start - 1].strip(), change, nth)
                nth += 1


def is_code(node) -> bool:
    """Whether a node stands in the body of a function, in neither an annotation nor a message, and
    is not what the writer of the code guards himself with."""
    body, argument = node.search_ancestor("suite"), node.search_ancestor("argument")
    inside = body and body.search_ancestor("funcdef")
    is_guard = argument and argument.get_first_leaf().value in ("strict", "stacklevel")
    apart = node.search_ancestor("param", "annassign", "fstring")
    return bool(inside) and not is_guard and not apart
