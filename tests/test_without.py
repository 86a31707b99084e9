"""A cell that needs what is not installed says so; what does not need it runs."""

from IPython.core.interactiveshell import InteractiveShell

from helpers import without

CELLS = [
    "x = 1",
    "y = model + x",  # needs it
    "print(y)",  # and so does what it makes
    "def f():\n    return x",
    "def g():\n    return model",
    "g()",
    "y = 2",  # made anew, without it
    "y + f()",
    "for row in model: pass",
    "[row for row in range(3)]",
    "[row for row in range(3)]",  # its own
    "for row in range(3):\n    kept = row\n    print(kept)",
    "z = model",
    "del z",
    "z = 1\nprint(z)",  # made here before it is read
    "def h(model):\n    return model",
    "x = (",
    "w = model",
    "w += 1",  # it reads what it changes
    "for row in range(3):\n    w += row",
    "w",
    "w = 0\nfor row in range(3):\n    w += row",
    "w",  # made anew
    "def h():\n    import model.parts\n    return model",
    "from helpers.lens import model",
    "print(model)",  # imported
]
NEEDS = [0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_a_cell_needs_what_it_reads_and_what_such_cells_make():
    opens = 'without.say_instead("Type make wild.", "model")'
    assert without.cells_that_need([opens, *CELLS]) == [False, *map(bool, NEEDS)]
    assert not any(without.cells_that_need(CELLS))


def test_in_a_kernel_such_a_cell_says_the_sentence_and_nothing_else(monkeypatch, capsys):
    shell = InteractiveShell()
    monkeypatch.setattr(without, "get_ipython", lambda: shell)
    without.say_instead("Type make wild.", "model")
    for cell in ("x = 1", "y = model.anything(x)", "z = y + 1", "print(x + 1)"):
        assert shell.run_cell(cell).success
    assert capsys.readouterr().out.splitlines() == ["Type make wild."] * 3 + ["2"]
