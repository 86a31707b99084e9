"""`make bench` still prints its table: every row is whole, and a missed target is said."""

import json
import math
import mmap
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helpers import real_model
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
    figure,
    machine,
    ratios,
    speed,
    spread,
    suite,
    tab,
    views,
)
from tests.benchmarks.__main__ import GROUPS, main
from tests.patience import until

TINY = replace(
    QUICK,
    births=2,
    patience=0.0,
    seeds=1,
    budget=10,
    rounds=2,
    small=True,
    segment_tokens=2 * 4096,
    pairs=1,
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
        lambda way, settings: dict(ours=1, all_at_once=4, one_by_one=2, attending=1)[way],
    )
    monkeypatch.setattr(machine, "SHAPES", {"as small as they get": (2, 3, 4)})
    monkeypatch.setattr(machine, "COPIED", 10)
    monkeypatch.setattr(machine, "import_torch", lambda: None)
    monkeypatch.setattr(real_model, "is_installed", lambda: False)
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

ROWS = dict(machine=4, sizes=2, birth=3, tab=1, explorable=1, views=1, pages=2, seeds=1, step=3)
ROWS |= dict(text=1, discover=4, real=1, segment=1, suite=2)


def test_every_group_is_known():
    assert set(ROWS) == set(GROUPS)


@pytest.mark.parametrize("name", ROWS)
def test_a_group_prints_whole_rows(name, capsys):
    rows = printed(capsys, "--quick", name)
    assert len(rows) == ROWS[name]
    for measure, target, measured, met, limit in rows:
        assert measure and re.search(r"\d|green|a limit", target) and measured and limit
        assert met in ("yes", "no") or measured.startswith("no ") or name == "machine"
    assert len({measure for measure, *_ in rows}) == len(rows)


def test_groups_are_chosen_by_name_and_a_wrong_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["sizes", "speeds"])
    assert "nothing is called speeds; choose of machine, sizes" in capsys.readouterr().err


def test_seeds_can_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(births, "stands", lambda seed, budget: seed != 1)
    monkeypatch.setattr(
        births.joblib, "Parallel", lambda n_jobs: lambda jobs: [f(*given) for f, given, _ in jobs]
    )
    assert printed(capsys, "--quick", "--seeds", "5", "seeds")[0][2:4] == ["4 of 5", "no"]
    assert printed(capsys, "--quick", "--seeds", "1", "seeds")[0][2:4] == ["1 of 1", "yes"]


@pytest.mark.parametrize(("met", "verdict"), [(True, "yes"), (False, "no"), (None, "-")])
def test_a_row_says_whether_its_target_was_met(met, verdict):
    assert str(Row("speed", "2", "1.5", met)) == f"| speed | 2 | 1.5 | {verdict} | - |"


def test_json_says_the_same_as_the_table(monkeypatch, capsys):
    rows = [Row("birth", "1 s", "never", False, "0.4 s", (0.5, math.inf)), Row("a", "b", "c", None)]
    monkeypatch.setitem(GROUPS, "sizes", lambda settings: rows)
    assert [" | ".join(row) for row in printed(capsys, "--quick", "sizes")] == [
        str(row).strip("| ") for row in rows
    ]
    main(["--quick", "--json", "sizes"])
    found = json.loads(capsys.readouterr().out)
    assert "load average" in found["machine"]
    assert [Row(**row)[:5] for row in found["rows"]] == [row[:5] for row in rows]
    assert [row["samples"] for row in found["rows"]] == [[0.5, None], []]


# ---- how it is measured


def test_functions_take_turns_and_the_first_round_does_not_count():
    order = []
    rounds = by_turns([lambda: order.append("a"), lambda: order.append("b")], 3)
    assert order == ["a", "b"] * 4
    assert len(rounds) == 3 and all(len(seconds) == 2 for seconds in rounds)


def test_ratios_are_taken_round_by_round():
    assert ratios([(1.0, 2.0), (1.0, 30.0), (2.0, 6.0)], 1, 0) == [2.0, 30.0, 3.0]


def test_a_spread_is_the_median_with_its_quartiles():
    assert spread([5, 1, 4, 2, 3], "ms") == "3 ms (2 to 4, of 5)"
    assert spread([7]) == "7 (7 to 7, of 1)" and spread([1, math.inf]) == "inf (1 to inf, of 2)"
    assert [figure(value) for value in (0.01234, 12.34, 99.9, 12345.6)] == [
        "0.0123",
        "12.3",
        "99.9",
        "12,346",
    ]


def test_a_step_is_taken_apart_into_its_products():
    """They are what torch counts as work, and no more; the step's own results are not changed."""
    cfg = ModelConfig(n_layers=1, n_heads=3, d_model=20, d_head=8, n_ctx=12, d_vocab=30)
    tokens, model = torch.randint(30, (5, 12)), AttentionOnlyTransformer(cfg)
    step = speed.train_step(model, tokens, tokens)
    with FlopCounterMode(display=False) as whole:
        step()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    parts = machine.anatomy(step)
    after = {name: weight.clone() for name, weight in model.named_parameters()}
    assert not torch.equal(before["W_E"], after["W_E"])  # it was a step like any
    with FlopCounterMode(display=False) as products:
        parts.products()
    assert products.get_total_flops() == whole.get_total_flops() > 0
    assert all(torch.equal(weight, after[name]) for name, weight in model.named_parameters())
    noted = machine.Noted()
    with noted:
        parts.products()
    assert len(noted.calls) == 4 * 3 + 3 + 2 < parts.calls  # matrices, and attention there and back


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
    row = births.moment_row(0.5, 1, [born, born, births.NEVER], share=0.6)
    assert row.measured == "0.5 s (0.5 to inf, of 3); 80 steps, processor 0.40 s" and row.met
    assert row.limit == "0.30 s: the products of as many steps (60% of them)"
    assert births.moment_row(0.5, 1, [born, births.NEVER], 0.6).met is False
    assert births.moment_row(0.5, 1, [births.Moment(1.5, 0.4, 80)], 0.6).met is False


def test_a_rival_that_is_not_born_has_the_time_it_got():
    ours, end = {births.BORN: births.Moment(1, 1, 100)}, births.Moment(30, 30, 900)
    born = [(ours, {births.BORN: births.Moment(at, at, 300)}, end) for at in (24.0, 12.0)]
    row = births.rival_row([*born, (ours, {}, end), ({}, {}, end)], share=0.5)
    assert row.samples == (24, 12, 30) and row.met
    assert row.measured == (
        "24 (12 to 30, of 3); born on 2 of 3 seeds; 3 times as many steps, each 6 times as long"
    )
    assert row.limit.startswith("48: ")
    assert not births.rival_row(born[1:], share=0.5).met
    assert births.rival_row([({}, {}, end)], share=0.5).met is None


def test_the_share_of_the_products_is_of_a_step():
    assert all(0 < share for share in births.products_share(rounds=2))


def test_the_tab_is_compared_with_torch_seed_by_seed():
    torchs, slow = tab.Birth(1.0, 100), tab.Birth(4.0, 100)
    pairs = [(tab.Birth(0.5, 50), torchs), (tab.Birth(1.0, 80), torchs), (slow, slow)]
    row = tab.row(tab.Birth(2.0, 50), pairs, 0.6)
    assert row.measured == (
        "1 (0.5 to 1, of 3); tab 1.00 s, 80 steps; torch 1.00 s, 100 steps; "
        "a step 1 (1 to 1.25, of 3); in a fresh page 2.00 s; 3 of 3 seeds born in the tab"
    )
    assert row.limit.startswith("0.60: ") and row.samples == (0.5, 1.0, 1.0)
    assert row.met and not tab.row(None, [(slow, torchs)], 0.6).met
    assert not tab.row(None, [*pairs, (None, torchs)], 0.6).met
    assert tab.row(None, [*pairs, (torchs, None)], 0.6).met
    assert not tab.row(None, [(None, None)], 0.6).met


def test_an_explorable_that_is_late_says_what_its_time_went_to():
    one = dict(imported=3.0, shown=0.5, kernel=5.0, updates=12.0, share=0.1)
    one |= {births.BORN: 1.5, births.SHARP: 2.5}
    first, born, sharp, pause, *_ = explorable.rows([(2.0, one)] * 3, [0.1, 0.1, 0.4], [5.0])
    assert not (first.met or born.met or sharp.met or pause.met)
    assert first.limit == (
        "2.0 s: a kernel that starts and imports torch; ours has imported all after 3.0 s, stands "
        "0.5 s later, and trains 1.5 s"
    )
    assert pause.limit.startswith("0.005 s: ")


def test_a_view_is_held_to_its_95th_percentile():
    times = [10.0] * 18 + [60.0] * 2
    row = views.row("a", 50, times, idle=[8.0] * 20)
    assert row.measured.startswith("60 ms; 10 ms") and not row.met
    assert row.limit == "8 ms: an empty page, where nothing changes"
    assert views.row("a", 150, times, idle=[8.0] * 20).met


def test_the_suite_is_started_as_the_makefile_starts_it(monkeypatch):
    started = []

    def run(command, **_):
        started.append(command[2:-1])
        report = command[-1].removeprefix("--junitxml=")
        with open(report, "w") as file:
            file.write("<x><testsuite><testcase time='90'/><testcase time='30'><failure/>")
            file.write("</testcase></testsuite></x>")
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(suite.subprocess, "run", run)
    minutes, work, failed = suite.passed()
    assert started == [["pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "loadscope"]]
    assert minutes < 1 and work == 2 and failed == "1 of 2 fail"


@pytest.mark.parametrize(
    ("minutes", "failed", "met"),
    [(5, "", [True] * 2), (7, "", [False, True]), (5, "1", [False] * 2)],
)
def test_the_suite_is_green_and_in_time(minutes, failed, met, monkeypatch):
    monkeypatch.setattr(suite, "passed", lambda: (minutes, 8.0, failed))
    monkeypatch.setattr(suite, "BUSY", 1)
    assert [row.met for row in suite.suite(benchmarks.Settings())] == met


def test_the_least_that_a_scorer_runs_is_all_attention_and_no_logits():
    model = discovery.build(small=True)
    tokens, unembedded = discovery.heads.probe(500, 128, 2), []
    model.unembed.register_forward_hook(lambda *_: unembedded.append(1))
    with machine.Noted() as whole:
        discovery.plain(model, tokens)
    assert unembedded == [1]
    with machine.Noted() as least:
        discovery.attending(model, tokens)
    assert unembedded == [1] and 0 < len(least.calls) < len(whole.calls)


def test_a_real_model_is_timed_where_there_is_one(monkeypatch):
    from helpers import lens

    monkeypatch.setattr(real_model, "is_installed", lambda: True)
    monkeypatch.setattr(lens, "language_model", lambda: discovery.build(small=True))
    (row,) = discovery.real(TINY)
    assert row.met in (True, False) and len(row.samples) == TINY.pairs


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
    tokens = discovery.heads.probe(model.cfg.d_vocab, model.cfg.n_ctx, 2)
    detect = discovery.detect
    monkeypatch.setattr(discovery, "detect", lambda *given: found.append(detect(*given)))
    discovery.all_at_once(model, tokens)
    discovery.one_by_one(model, tokens)
    assert len(found) == 4 and set(found[0]) == set(discovery.PATTERNS)
    for at in range(2):
        for pattern in discovery.PATTERNS:
            torch.testing.assert_close(found[at][pattern], found[at + 2][pattern])
            assert found[at][pattern].shape == (2, 2) and (found[at][pattern] > 0).all()
