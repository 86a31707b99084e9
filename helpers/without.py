"""What a notebook does without something that is not installed: the cells that need it say so, and
the others run.

A cell needs it when it reads a name that stands for it, or a name that such a cell makes.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence

from IPython import get_ipython


class Lacking:
    """Which names are not there. Cells are asked about in the order in which they run."""

    def __init__(self, *names: str):
        self.names = set(names)

    def needs(self, source: str) -> bool:
        """Whether this cell can not run. What it would have made is then lacking too; what another
        cell makes is not lacking any more."""
        try:
            tree = ast.parse(source)
        except SyntaxError:  # the kernel will say so
            return False
        made: set[str] = set()
        lacks = False
        for statement in tree.body:
            read, bound = _read_and_bound(statement)
            lacks |= bool((read - made) & self.names)
            made |= bound
        self.names = self.names | made if lacks else self.names - made
        return lacks


def _read_and_bound(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The names that a statement reads from outside, and those that it leaves. What a loop, a
    function or a comprehension binds for itself is not from outside."""
    nodes = list(ast.walk(statement))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    changed = [node.target for node in nodes if isinstance(node, ast.AugAssign)]  # x of x += 1
    stored = [node for node in names if isinstance(node.ctx, ast.Store)]
    read = {node.id for node in names if node in changed or node not in stored}
    bound = {node.id for node in stored if node not in changed}.union(*map(_named, nodes))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return read - bound - own, {statement.name}
    inside = {
        node.id
        for comprehension in nodes
        if isinstance(comprehension, ast.comprehension)
        for node in ast.walk(comprehension.target)
        if isinstance(node, ast.Name)
    }
    if isinstance(statement, ast.For | ast.With):
        inside |= bound
    return read - inside - own, bound | {node.id for node in stored}


def _named(node: ast.AST) -> set[str]:
    """What an import, a function or a class is called where it stands."""
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    return {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()


def say_instead(sentence: str, *names: str) -> None:
    """From the next cell on, whoever needs one of these names says the sentence and does nothing
    else."""
    lacking = Lacking(*names)

    def replaced(lines: list[str]) -> list[str]:
        return [f"print({sentence!r})\n"] if lacking.needs("".join(lines)) else lines

    get_ipython().input_transformers_cleanup.append(replaced)
    print(sentence)


def cells_that_need(sources: Sequence[str]) -> list[bool]:
    """Of each cell of a notebook, whether it is one of these; of none where nothing is said
    instead."""
    lacking = Lacking(*_names_said(sources))
    return [lacking.needs(source) for source in sources]


def _names_said(sources: Iterable[str]) -> Iterator[str]:
    """The names that a notebook gives to `say_instead`."""
    for source in sources:
        for node in ast.walk(ast.parse(source)) if "say_instead(" in source else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("say_instead"):
                yield from (word.value for word in node.args[1:])
