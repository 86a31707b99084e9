"""A group of heads beside others of its layers; and the command that asks this of any model."""

import json

import pytest
from torch import Generator

from helpers import handmade
from helpers import heads as command
from helpers.instruments import groups, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.plotting import head_board
from helpers.training import runs

MODEL = AttentionOnlyTransformer(ModelConfig(n_layers=3, n_heads=5))
TEXT = runs.DATA / "runs" / "text"


def drawn(group, draws=20, seed=0):
    return groups.random_groups(MODEL, group, draws, Generator().manual_seed(seed))


def test_random_groups_have_as_many_heads_of_each_layer_and_none_of_the_group():
    group = [(0, 1), (2, 0), (2, 4)]
    found = drawn(group)
    assert len({frozenset(one) for one in found}) == len(found) == 4 * 3  # all there are
    for one in found:
        assert sorted(layer for layer, _ in one) == [0, 2, 2]
        assert not set(one) & set(group) and len(set(one)) == 3


def test_no_more_are_drawn_than_asked_for_and_a_seed_repeats_them():
    group = [(1, 0), (2, 3)]
    assert len(drawn(group, 7)) == 7
    assert drawn(group, 7) == drawn(group, 7) != drawn(group, 7, seed=1)


def test_a_layer_without_enough_others_is_named():
    with pytest.raises(ValueError, match="3 heads of layer 1 are in the group, and 2 others"):
        drawn([(1, 0), (1, 1), (1, 2)])


def test_a_group_is_worth_what_its_ablation_costs():
    model = handmade.induction_head(d_vocab=24, n_ctx=48)
    tokens = heads.probe(24, 48)
    found = groups.worth(model, tokens, [(1, 0)], [[], [(0, 0), (1, 0)]])
    effect = heads.ablation_effect(model, tokens, [(1, 0)])[1, 0]
    assert found.named == pytest.approx(effect, abs=1e-5) and effect > 1
    assert found.others[0] == 0 and found.others[1] > 1


def test_the_interval_leaves_out_a_tenth():
    low, high = groups.Worth(9.0, [float(n) for n in range(101)]).interval()
    assert (low, high) == pytest.approx((5, 95))


def test_the_matching_heads_need_not_copy():
    rows = [heads.HeadRow(0, 0, 0.6, 0, -1.0, None), heads.HeadRow(0, 1, 0.4, 0, 1.0, None)]
    assert groups.matching(heads.HeadReport(rows, {}, [])) == [(0, 0)]


# ---- the command


def asked(capsys, *words: str) -> tuple[int, str, str]:
    code = command.main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_shipped_text_run_has_the_table_of_discover(capsys):
    run = runs.load(TEXT)
    code, out, _ = asked(capsys, str(TEXT))
    report = heads.discover(run.model_at(), ids=run.probe_ids, ablate=False)
    rows = [line.split()[:4] for line in out.splitlines()[1:]]
    assert code == 0 and rows[: len(report.rows) + 1] == [row[:4] for row in report.table().rows]
    assert "Without the heads that match (1.0 1.3): +" in out
    assert "the only such group" in out  # two of four heads are left in that layer


def test_a_program_gets_every_head(capsys):
    _, out, _ = asked(capsys, str(TEXT), "--json")
    record = json.loads(out)
    assert len(record["heads"]) == 8 and record["matching"] == [[1, 0], [1, 3]]
    direct = [head["direct_effect"] for head in record["heads"]]
    assert direct[4] > 2 > abs(direct[1])
    assert record["nats_without_matching"] > 1 > record["nats_without_others"][0]


def test_a_model_without_such_heads_and_one_with_nothing_else_are_told_apart(capsys):
    _, out, _ = asked(capsys, str(runs.DATA / "runs" / "one_layer"))
    assert "No head matches prefixes above one half" in out
    _, out, _ = asked(capsys, str(runs.DATA / "runs" / "two_layers"))
    assert "there are not as many others to compare with" in out


def test_of_many_heads_the_best_are_shown():
    quiet = [heads.HeadRow(layer, 0, 0.1, 0.1, 0.0, None) for layer in range(100)]
    matches, looks_back = ((50, 1, 0.9, 0.0, 0.0, None), (60, 1, 0.0, 0.8, 0.0, None))
    rows = [*quiet, heads.HeadRow(*matches), heads.HeadRow(*looks_back)]
    table = command.short(heads.HeadReport(rows, {}, []))
    shown = [row[0] for row in table.rows]
    assert table.head[-1] == "direct effect (logits)" and table.rows[-1][-1] == "-"
    assert {"50.1", "60.1"} < set(shown) and len(shown) <= command.SHOWN + 1


def test_a_text_may_end_in_one_token_again_and_again():
    tokens = heads.probe(64, 40, sequences=2)
    tokens[:, -4:] = 7
    answer = command.asked(command.Subject(MODEL, None), tokens, draws=1)
    assert len(answer["report"].rows) == 15


def test_the_short_table_keeps_the_chance_lines_of_windows():
    rows = [heads.HeadRow(layer, 0, 0.1, 0.1, 0.0, None) for layer in range(100)]
    report = heads.HeadReport(rows, {}, [], {3: 16}, {16: dict(prefix_matching=0.06)})
    assert "layers that see 16 tokens: 3" in str(command.short(report))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["no/such/folder"], "there is no folder no/such/folder"),
        ([str(TEXT), "--text", __file__], "no tokenizer of its own"),
        ([str(TEXT), "--plot", "/no/such/folder/out.png"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(capsys, words, says):
    code, out, err = asked(capsys, *words)
    assert (code, out) == (2, "") and says in err and len(err.splitlines()[-1]) < 300
    assert "Traceback" not in err


def test_the_board_is_saved_and_holds_every_head(capsys, tmp_path):
    asked(capsys, str(TEXT), "--plot", str(tmp_path / "out.png"))
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"
    report = heads.discover(runs.load(TEXT).model_at(), ablate=False)
    figure, says = head_board(report, "A board")
    everyone, *discs = figure.axes[0].collections
    everywhere = sorted(map(tuple, everyone.get_offsets().tolist()))
    assert everywhere == sorted(row.at for row in report.rows)
    shown = {tuple(map(int, at)): size for disc in discs
             for at, size in zip(disc.get_offsets(), disc.get_sizes(), strict=True)}  # fmt: skip
    back = report.best("previous_token")
    assert shown[back.at] == pytest.approx(150 * back.previous_token)
    assert "8 heads" in says and "3 look at the token before" in says


def test_a_head_that_copies_and_one_that_does_not_have_their_own_colours():
    rows = [
        heads.HeadRow(0, 0, 0.9, 0.1, 0.5, None),
        heads.HeadRow(0, 1, 0.9, 0.1, -0.95, None),
        heads.HeadRow(1, 0, 0.1, 0.9, 0.5, None),
        heads.HeadRow(1, 1, 0.05, 0.05, 0.5, None),
    ]
    figure, says = head_board(heads.HeadReport(rows, dict(copying=-0.9), [(0, 0)]), "A board")
    discs = [disc.get_offsets().tolist() for disc in figure.axes[0].collections[1:]]
    assert discs == [[[0, 0]], [[0, 1]], [[1, 0]]]
    assert "1 look right after earlier copies, do not copy directly" in says


def test_the_rule_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    help = capsys.readouterr().out
    assert "An induction head matches above one half and copies at least twice" in help
