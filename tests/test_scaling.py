"""README's figures on how the costs grow are those of its command."""

import json

import pytest
import torch

from helpers.course import build
from helpers.plotting.scaling import exponent
from tests.benchmarks import scaling


def stored() -> dict:
    return json.loads(scaling.NUMBERS.read_text(encoding="utf-8"))


def test_readme_says_what_was_measured():
    readme = build.README.read_text(encoding="utf-8")
    assert readme == scaling.with_words(readme, stored())


def test_an_exponent_is_that_of_the_largest_sizes():
    assert exponent([1, 2, 4, 8], [50, 4, 16, 64]) == 2
    assert str(exponent([1, 2, 4], [5.1, 5, 4.99])) == "0.0"


def test_memory_is_of_the_tensors_that_are_alive_at_once():
    weights = torch.zeros(100)

    def work():
        first = torch.zeros(1000)
        second = (first + 1).view(10, 100)
        del first
        weights.add_(1)  # there before
        return second, torch.zeros(500)  # 6,000 bytes now, 8,000 before

    assert scaling.memory(work) == 8000


def test_what_a_backward_pass_needs_is_alive_until_then():
    def work():
        x = torch.zeros(1000, requires_grad=True)
        (x.exp() * 2).sum().backward()

    # x, exp, 2 exp; then back: the gradients of both products, x and exp still there
    assert 3 * 4000 <= scaling.memory(work) <= 4 * 4000 + 100


def test_the_stored_memory_is_counted_again():
    for work, make in scaling.WORK.items():
        for name, sizes in scaling.SIZES.items():
            counted = scaling.memory(make(scaling.shape(name, sizes[1])))
            assert counted == pytest.approx(stored()[work][name]["bytes"][1], rel=0.02), (
                work,
                name,
            )


def test_all_is_measured(monkeypatch):
    monkeypatch.setattr(scaling, "SIZES", dict(heads=[8, 32], context=[24, 48]))
    monkeypatch.setattr(scaling, "by_turns", lambda *_: [(0.25, 0.5), (1.0, 2.0)])
    found = scaling.measure()
    assert set(found) == set(scaling.WORK)
    for grown in found.values():
        assert grown["heads"]["seconds"] == [0.625, 1.25]
        assert 0 < grown["heads"]["bytes"][0] < grown["heads"]["bytes"][1]
    (lines,) = {len(costs) for costs in scaling.panels(found).values()}
    assert lines == 2
    assert "| heads, 8 to 32 | 625 to 1,250, 0.5 | 625 to 1,250, 0.5 | " in scaling.words(found)


def test_one_size_grows_at_a_time():
    for name, sizes in scaling.SIZES.items():
        cfg, least = (vars(scaling.shape(name, size)) for size in (sizes[-1], sizes[0]))
        grown = {key for key in cfg if cfg[key] != least[key]}
        assert (
            grown
            == {
                "heads": {"n_heads"},
                "layers": {"n_layers"},
                "context": {"n_ctx"},
                "width": {"d_model", "d_head"},
            }[name]
        )
