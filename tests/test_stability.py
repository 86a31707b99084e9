"""The command that asks whether every notebook runs every time."""

import shutil
import subprocess
import sys

import nbformat
import psutil
import pytest

from tests import stability
from tests.course import NOTEBOOKS, ROOT, cells
from tests.stability import SETTINGS, Setting, busy, main

SEEN = "print(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'])"


@pytest.fixture
def notebook(tmp_path):
    """A function from a cell to a notebook with it, set up as those of the course are."""

    def write(source: str):
        first = f"import os, torch\n\n{stability.THREADS}"
        written = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, (first, source))])
        nbformat.write(written, tmp_path / "asked.ipynb")
        return tmp_path / "asked.ipynb"

    return write


def test_a_table_and_a_status_tell_what_failed(notebook, capsys, monkeypatch):
    monkeypatch.setattr(stability, "SETTINGS", (Setting(1), Setting(2)))
    path = notebook("assert torch.get_num_threads() == 1, 'too many'")
    assert main([str(path), "--times", "1"]) == 1
    _, _, one, two, _, count, why = capsys.readouterr().out.splitlines()
    assert one.startswith("| asked | 1 thread | 1 of 1 | ") and one.endswith(" s |")
    assert two == "| asked | 2 threads | 0 of 1 | - |"
    assert count == "failures: 1" and why == "asked, 2 threads: AssertionError: too many"


def test_a_kernel_that_dies_is_a_failure_like_any(notebook, capsys, monkeypatch):
    monkeypatch.setattr(stability, "SETTINGS", (Setting(1),))
    assert main([str(notebook("os._exit(1)")), "--times", "2"]) == 1
    assert "| asked | 1 thread | 0 of 2 | - |" in capsys.readouterr().out


def test_nothing_failed_is_status_zero(monkeypatch, capsys):
    monkeypatch.setattr(stability, "runs", lambda path, setting, times: ([2.0, 4.0, 3.0], []))
    monkeypatch.setattr(stability.real_model, "is_installed", lambda: True)
    assert main(["--times", "3"]) == 0
    out = capsys.readouterr().out
    assert out.count("| 3 of 3 | 3 s, 4 s |") == len(NOTEBOOKS) * len(SETTINGS)
    assert out.endswith("\nfailures: 0\n")


def test_a_notebook_that_cannot_run_here_is_named(monkeypatch, capsys):
    monkeypatch.setattr(stability, "runs", lambda path, setting, times: ([1.0], []))
    monkeypatch.setattr(stability.real_model, "is_installed", lambda: False)
    assert main(["--times", "1"]) == 0
    assert "| 06_in_the_wild | not run: " in capsys.readouterr().out


def test_a_notebook_runs_on_as_many_threads_as_asked(notebook, monkeypatch):
    path = notebook(SEEN)
    ran = []
    monkeypatch.setattr(
        stability.build, "read", lambda path: ran.append(nbformat.read(path, 4)) or ran[-1]
    )
    stability.run(path, Setting(2))
    assert ran[0].cells[1].outputs[0].text == "2 2\n"


def test_every_notebook_says_how_many_threads_it_takes_where_it_is_replaced():
    for path in NOTEBOOKS:
        sources = [cell.source for cell in cells(nbformat.read(path, 4), "code")]
        assert sum(source.count(stability.THREADS) for source in sources) == 1, path.name
        assert sum(source.count("set_num_threads") for source in sources) == 1, path.name


def test_busy_processes_are_there_in_the_block_and_no_longer():
    with busy(2):
        spinning = [
            child
            for child in psutil.Process().children()
            if child.cmdline()[1:] == ["-c", "while True: pass"]
        ]
        assert len(spinning) == 2
    assert not any(child.is_running() for child in spinning)


# ---- the network

ALONE = """
import socket
print([name for _, name in socket.if_nameindex()])
server = socket.create_server(("127.0.0.1", 0))
print(bool(socket.create_connection(server.getsockname())))
"""


def can_be_cut() -> bool:
    """Whether this system lets us leave the network."""
    ways = (["unshare", "--net"], ["unshare", "--net", "--map-root-user"])
    return bool(shutil.which("unshare")) and any(
        subprocess.run([*way, "true"], capture_output=True).returncode == 0 for way in ways
    )


def test_the_tests_of_ci_have_this_machine_and_no_network():
    """Or, where that cannot be had, a word that says so."""
    command = [ROOT / ".ci" / "offline", sys.executable, "-c", ALONE]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    interfaces, talks = ran.stdout.splitlines()
    assert talks == "True"
    assert interfaces == "['lo']" if can_be_cut() else "cannot be cut here" in ran.stderr


def test_a_command_that_fails_offline_fails():
    command = [ROOT / ".ci" / "offline", sys.executable, "-c", "raise SystemExit(3)"]
    assert subprocess.run(command).returncode == 3


def test_where_nothing_can_be_cut_the_command_runs_and_that_is_said(tmp_path):
    refused = tmp_path / "unshare"
    refused.write_text("#!/bin/sh\nexit 1\n")
    refused.chmod(0o755)
    command = [ROOT / ".ci" / "offline", "echo", "it ran"]
    path = f"{tmp_path}:/usr/bin:/bin"
    ran = subprocess.run(command, capture_output=True, text=True, env=dict(PATH=path))
    assert ran.stdout == "it ran\n" and "cannot be cut here" in ran.stderr
