"""`make bench` still prints its table: every row is whole, and a missed target is said."""

import math
import mmap
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Task
from helpers.training.recipes import RECIPES
from tests import benchmarks, browser
from tests.benchmarks import (
    HEADER,
    QUICK,
    Clock,
    Row,
    births,
    by_turns,
    discovery,
    explorable,
    median_ratio,
    segment,
    speed,
    tab,
)
from tests.benchmarks.__main__ import GROUPS, main
from tests.patience import until

TINY = replace(
    QUICK,
    births=2,
    rivals=1,
    patience=0.0,
    seeds=1,
    budget=10,
    rounds=2,
    small=True,
    segment_tokens=2 * 4096,
    fresh=1,
)


def printed(capsys, *arguments: str) -> list[list[str]]:
    """The table that the command prints, cell by cell, without its head."""
    main(list(arguments))
    out = capsys.readouterr().out
    assert out.startswith(HEADER + "\n") and "load average" in out.splitlines()[-1]
    lines = [line for line in out.removeprefix(HEADER).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Tiny settings and shapes, a small stored run in place of the text run, and no more processes
    than two."""
    monkeypatch.setattr("tests.benchmarks.__main__.QUICK", TINY)
    shapes = {
        name: (ModelConfig(n_ctx=40), 2, threads) for name, (*_, threads) in speed.SHAPES.items()
    }
    monkeypatch.setattr(speed, "SHAPES", shapes)
    monkeypatch.setattr(
        discovery,
        "added_memory",
        lambda way, settings: dict(ours=1, all_at_once=4, one_by_one=2)[way],
    )
    monkeypatch.setattr(births, "first_birth", lambda settings: births.Moment(2.0, 2.0, 80))
    monkeypatch.setattr(explorable, "fresh", lambda: 2.0)
    monkeypatch.setattr(explorable, "LIMIT", 0.2)
    monkeypatch.setattr(browser, "BROWSERS", ())
    store_run(monkeypatch, 0.1, 0.4, 0.6, 0.7)


def store_run(monkeypatch, *best: float) -> None:
    """Let the stored text run be the default recipe's, with these best scores at steps 0, 100, 200
    ..."""
    recipe = RECIPES["two_layers"]
    history = [
        dict(step=100 * at, prefix_matching=[[0.0, 0.0], [0.0, score]])
        for at, score in enumerate(best)
    ]
    run = SimpleNamespace(
        model=recipe.model, task=recipe.task, training=vars(recipe.training), history=history
    )
    monkeypatch.setattr(speed.runs, "load", lambda folder: run)


# ---- the table

ROWS = dict(sizes=3, birth=4, tab=1, explorable=7, views=1, pages=2, seeds=1, step=5, text=1)
ROWS |= dict(discover=4, segment=1)


def test_every_group_is_known():
    assert set(ROWS) == set(GROUPS)


@pytest.mark.parametrize("name", ROWS)
def test_a_group_prints_whole_rows(name, capsys):
    rows = printed(capsys, "--quick", name)
    assert len(rows) == ROWS[name]
    for measure, target, measured, met in rows:
        assert measure and re.search(r"\d", target) and measured
        assert met in ("yes", "no") or (met == "-" and measured.startswith("no "))
    assert len({measure for measure, *_ in rows}) == len(rows)


def test_groups_are_chosen_by_name_and_a_wrong_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["sizes", "speeds"])
    assert "nothing is called speeds; choose of sizes, birth" in capsys.readouterr().err


def test_seeds_can_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(births, "stands", lambda seed, budget: seed != 1)
    monkeypatch.setattr(
        births.joblib, "Parallel", lambda n_jobs: lambda jobs: [f(*given) for f, given, _ in jobs]
    )
    assert printed(capsys, "--quick", "--seeds", "5", "seeds")[0][2:] == ["4 of 5", "no"]
    assert printed(capsys, "--quick", "--seeds", "1", "seeds")[0][2:] == ["1 of 1", "yes"]


@pytest.mark.parametrize(("met", "verdict"), [(True, "yes"), (False, "no"), (None, "-")])
def test_a_row_says_whether_its_target_was_met(met, verdict):
    assert str(Row("speed", "2", "1.5", met)) == f"| speed | 2 | 1.5 | {verdict} |"


# ---- how it is measured


def test_functions_take_turns_and_the_first_round_does_not_count():
    order = []
    rounds = by_turns([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert order == ["a", "b"] * 4
    assert len(rounds) == 3 and all(len(seconds) == 2 for seconds in rounds)


def test_a_ratio_is_the_median_over_rounds():
    assert median_ratio([(1.0, 2.0), (1.0, 30.0), (2.0, 6.0)], 1, 0) == 3.0


def test_a_clock_runs_in_its_blocks_only(monkeypatch):
    """By clocks of which the wall's goes three times as fast."""
    now = [0.0]
    clocks = SimpleNamespace(perf_counter=lambda: 3 * now[0], process_time=lambda: now[0])
    monkeypatch.setattr(benchmarks, "time", clocks)
    clock = Clock()
    for _ in range(2):
        with clock.running():
            now[0] += 1
        now[0] += 5
    assert (clock.wall, clock.processor) == (6, 2)


def watched(monkeypatch, scores: list[float], levels=(0.5, 0.9), steps=100, patience=math.inf):
    """What `watch` says of a model that has these best scores, one after the other, whenever it is
    measured."""
    left = iter(scores)
    monkeypatch.setattr(births, "best_head", lambda model, recipe: next(left))
    return births.watch(
        lambda recipe: (None, lambda: None), births.seeded(0), levels, steps, patience
    )


def test_the_moments_are_the_first_measurements_above_each_level(monkeypatch):
    passed, end = watched(monkeypatch, [0.1, 0.5, 0.6, 0.55, 0.95])
    assert {level: moment.step for level, moment in passed.items()} == {
        0.5: 15,
        0.9: 25,
    } and end.step == 25


def test_a_run_ends_with_its_steps_or_its_patience(monkeypatch):
    passed, end = watched(monkeypatch, [0.1, 0.6, 0.6], steps=17)
    assert set(passed) == {0.5} and end.step == 17
    assert watched(monkeypatch, [], patience=0.0)[1].step == 0


def test_half_the_seeds_unborn_is_a_target_missed():
    born = births.Moment(0.5, 0.4, 80)
    assert births.moment_row("birth", 1, [born, born, births.NEVER])[2:] == (
        "0.50 s, 80 steps (processor: 0.40 s)",
        True,
    )
    assert births.moment_row("birth", 1, [born, births.NEVER]).met is False
    assert births.moment_row("birth", 1, [births.Moment(1.5, 0.4, 80)]).met is False


def test_a_rival_that_is_not_born_in_time_is_said_to_be_at_least_that_slow():
    row = births.rival_row([12.01, 12.02], [None, None], benchmarks.Settings())
    assert row.measured.startswith(">= 12.0 (born on 0 of 2 seeds") and row.met
    row = births.rival_row(
        [3.0, 12.01, 4.0],
        [births.Moment(1, 1, 300), None, births.Moment(1, 1, 500)],
        benchmarks.Settings(),
    )
    assert (
        row.measured.startswith("4.0 (born on 2 of 3 seeds")
        and row.measured.endswith("after 400 steps)")
        and not row.met
    )


def test_the_tab_is_compared_with_torch_seed_by_seed():
    torchs, slow = tab.Birth(1.0, 100), tab.Birth(4.0, 100)
    pairs = [(tab.Birth(0.5, 50), torchs), (tab.Birth(1.0, 80), torchs), (slow, slow)]
    row = tab.row(tab.Birth(2.0, 50), pairs)
    assert row.measured == (
        "1.00 (0.50 to 1.00); tab 1.00 s, 80 steps; torch 1.00 s, 100 steps; "
        "a step 1.00 (1.00 to 1.25); in a fresh page 2.00 s; 3 of 3 seeds born in the tab"
    )
    assert row.met and not tab.row(None, [(slow, torchs)]).met
    assert not tab.row(None, [*pairs, (None, torchs)]).met
    assert tab.row(None, [*pairs, (torchs, None)]).met and not tab.row(None, [(None, None)]).met


def test_both_kinds_of_model_read_the_same_batches_and_are_measured_alike(monkeypatch):
    recipe, drawn = births.seeded(3), []
    draw = Task.__call__
    monkeypatch.setattr(
        Task, "__call__", lambda self, *given: (drawn.append(draw(self, *given)), drawn[-1])[1]
    )
    for make in (births.course, births.transformer_lens):
        model, step = make(recipe)
        step(), step()
        assert 0 < births.best_head(model, recipe) < 0.5
    first, second, *theirs = (batch.tokens for batch in drawn)
    assert not torch.equal(first, second)
    assert len(theirs) == 2 and torch.equal(theirs[0], first) and torch.equal(theirs[1], second)


def test_a_birth_in_this_process_is_printed_for_another_to_read(monkeypatch, capsys):
    monkeypatch.setattr(births, "best_head", lambda model, recipe: 0.6)
    births.print_first()
    seconds, processor, step = map(float, capsys.readouterr().out.split())
    assert 0 < seconds and 0 < processor and step == births.EVERY
    births.print_first(budget=3)
    assert capsys.readouterr().out.split() == ["inf"] * 3


@pytest.mark.parametrize("layers", [1, 2])
def test_the_products_are_counted_as_torch_counts_them(layers):
    """All but attention's own, of which torch counts every key and we those that a causal row may
    see."""
    cfg, batch = (
        ModelConfig(n_layers=layers, n_heads=3, d_model=20, d_head=8, n_ctx=12, d_vocab=30),
        5,
    )
    tokens = torch.randint(30, (batch, 12))
    with FlopCounterMode(display=False) as counter:
        speed.train_step(AttentionOnlyTransformer(cfg), tokens, tokens)()
    outside = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    pairs = batch * 12 * 13 // 2 * layers * 3  # of query and key, in all heads
    assert speed.step_flops(cfg, batch) == outside + 3 * pairs * 2 * 2 * 8


def test_as_many_products_are_timed_as_a_step_has():
    cfg = ModelConfig(d_model=256, n_heads=8, d_head=32, n_ctx=128)
    multiply = speed.products(cfg, 2)
    with FlopCounterMode(display=False) as counter:
        multiply()
    assert counter.get_total_flops() == pytest.approx(speed.step_flops(cfg, 2), rel=1e-3)


@pytest.mark.parametrize(
    ("best", "said"), [((0.1, 0.6), "100 steps of"), ((0.1, 0.5), "no such head")]
)
def test_the_text_run_is_computed_from_the_first_step_above_a_half(best, said, monkeypatch, capsys):
    store_run(monkeypatch, *best)
    row = printed(capsys, "--quick", "text")[0]
    assert said in row[2] and row[3] == ("yes" if "steps" in said else "no")


def test_the_largest_memory_in_a_block_is_seen():
    with discovery.peak_memory() as grown:
        # from the system: an allocator may have as much lying about already
        held = mmap.mmap(-1, 80_000_000)
        for _ in range(80):
            held.write(bytes(1_000_000))
        until(lambda: grown[0] > 70)
        held.close()
    assert 70 < grown[0] < 120


def test_memory_is_measured_by_a_command_of_its_own(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["discovery", "one_by_one", "2", "small"])
    discovery.main()
    assert 0 <= float(capsys.readouterr().out) < 1000


def test_the_detector_reads_the_same_tokens_whichever_way_they_are_cached(monkeypatch):
    model, found = discovery.build(small=True), []
    tokens = discovery.probe(model.cfg, 2)
    detect = discovery.detect
    monkeypatch.setattr(discovery, "detect", lambda *given: found.append(detect(*given)))
    discovery.all_at_once(model, tokens)
    discovery.one_by_one(model, tokens)
    assert len(found) == 4 and set(found[0]) == set(discovery.PATTERNS)
    for at in range(2):
        for pattern in discovery.PATTERNS:
            torch.testing.assert_close(found[at][pattern], found[at + 2][pattern])
            assert found[at][pattern].shape == (2, 2) and (found[at][pattern] > 0).all()


def test_accuracy_is_read_at_determined_rows_only():
    test = segment.TASK(4, torch.Generator().manual_seed(0))

    class Oracle:
        def __call__(self, tokens):
            wrong = (test.targets + 1) % 64
            wrong[:2][test.determined[:2]] = test.targets[:2][test.determined[:2]]
            return torch.nn.functional.one_hot(wrong, 64).float()

    assert segment.accuracy(Oracle(), test) == pytest.approx(0.5)
