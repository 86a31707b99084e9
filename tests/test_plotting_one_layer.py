"""The pictures of notebook 01: each is published with a sentence that its own data decide."""

import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import plotting
from helpers.plotting import core

TABLE = torch.randn(7, 7, generator=torch.Generator().manual_seed(0))
NAMES = [f"t{i}" for i in range(7)]
LEVELS = {"guessing": 3.1, "common": 2.8, "entropy": 2.0}
PAIRS, OUTS = ["a…x", "a…y"], ["p", "q", "r"]


def zero_layers(final: float = 2.0):
    return plotting.loss_and_levels([3.2] * 5 + [final] * 60, LEVELS, "title")


def sweep(narrow: float = 0.8, wide: float = 0.01):
    return plotting.rank_sweep({1: narrow, 4: 0.2, 8: wide}, {1: 1.4, 4: 0.7, 8: 0.0}, 0.8)


def bugs(head):
    return plotting.skip_trigram_board(
        {"direct": torch.eye(2, 3), "head": head, "logits": torch.eye(2, 3) + head},
        PAIRS,
        OUTS,
        [0, 1],
        [1, 0],
    )


BUGGY, CLEAN = torch.tensor([[2.0, 2, 0], [2, 2, 0]]), torch.tensor([[2.0, 0, 0], [0, 2, 0]])

PICTURES = {
    "scores_and_pattern": lambda: plotting.scores_and_pattern(TABLE, _pattern(), NAMES, "title"),
    "loss_and_levels": zero_layers,
    "bigrams": lambda: plotting.bigrams(TABLE, TABLE + 0.1, torch.full((7, 7), 0.02)),
    "rank_sweep": sweep,
    "term_board": lambda: plotting.term_board({"direct": TABLE[0], "head 0": TABLE[1]}, NAMES),
    "token_maps": lambda: plotting.token_maps(
        {"OV": (TABLE, NAMES, NAMES, ("source", "output token"))}
    ),
    "copying_plane": lambda: plotting.copying_plane(
        {"head 0": torch.tensor([1.0, 2 + 1j, 2 - 1j])}, torch.randn(9, 3, dtype=torch.complex64)
    ),
    "skip_trigram_board": lambda: bugs(BUGGY),
    "final_losses": lambda: plotting.final_losses(
        {"1 head": [0.7, 0.3, 0.7], "4 heads": [0.0, 0.0, 0.3]}, {"right": 0.0}, 0.1
    ),
}


def _pattern() -> torch.Tensor:
    pattern = torch.full((7, 7), 0.1).tril()
    pattern[4, 2] = 0.95
    return pattern


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_published_as_png_with_its_sentence(name, monkeypatch):
    sent = []
    monkeypatch.setattr(core, "display", lambda data, raw, metadata: sent.append(data))
    before = dict(mpl.rcParams)
    for _ in range(2):
        torch.manual_seed(0)
        plotting.show(*PICTURES[name]())
    image = Image.open(io.BytesIO(sent[0]["image/png"]))
    assert image.width > 300 and len(np.unique(np.asarray(image))) > 10
    assert len(sent[0]["text/plain"].split()) >= 5
    assert sent[0] == sent[1] and dict(mpl.rcParams) == before


def test_the_pattern_names_its_sharpest_row_and_what_it_attends_to():
    assert "'t4', which attends to 't2'" in plotting.scores_and_pattern(TABLE, _pattern(), NAMES)[1]
    on_the_first = _pattern()
    on_the_first[4, 0] = on_the_first[5, 0] = 0.99
    says = plotting.scores_and_pattern(TABLE, on_the_first, NAMES)[1]
    assert "the first token apart, the sharpest row is that of 't4', which attends to 't2'" in says


@pytest.mark.parametrize("final, says", [(2.03, "comes to rest at"), (2.6, "stays away from")])
def test_the_loss_reaches_the_entropy_or_does_not(final, says):
    assert f"{says} the line 'entropy' at 2.00" in zero_layers(final)[1]


@pytest.mark.parametrize(
    "losses, levels, says",
    [
        ([2.5] * 40, LEVELS, "The loss goes from 2.5 nats and stays away from the line"),
        ([3.2, 3.3], LEVELS, "The loss goes from 3.2 nats and stays away from the line"),
        ([3.2] + [2.0] * 40, {"a": 2.4, "b": 2.0}, "'b' at 2.00 nats, below the other lines."),
        ([3.2] + [2.0] * 40, {"b": 2.0}, "comes to rest at the line 'b' at 2.00 nats."),
    ],
)
def test_where_the_loss_began_and_how_far_the_other_lines_are_is_read_off(losses, levels, says):
    assert says in plotting.loss_and_levels(losses, levels)[1]


@pytest.mark.parametrize(
    "learned, maps, says",
    [
        (TABLE, "Two maps that look alike,", "close to"),
        (TABLE.flip(0), "Two maps,", "away from"),
        (3 * TABLE, "Two maps,", "away from"),  # a line, but not the diagonal
    ],
)
def test_bigrams_lie_on_the_diagonal_or_do_not(learned, maps, says):
    told = plotting.bigrams(TABLE, learned, torch.full((7, 7), 0.02))[1]
    assert told.startswith(maps) and says in told


def test_rare_pairs_do_not_count_for_the_sentence():
    rare = torch.full((7, 7), 0.02)
    rare[0] = 1e-6
    spoiled = TABLE.clone()
    spoiled[0] = -9 * TABLE[0]
    assert "close to" in plotting.bigrams(TABLE, spoiled, rare)[1]


def test_the_sweep_says_what_the_width_buys():
    assert "more than 0.5 nats at 1 to less than 0.05 at 8" in sweep()[1]
    assert "to more than 0.05 at 8" in sweep(wide=0.3)[1]


@pytest.mark.parametrize("narrow, better", [(0.8, "do better"), (2.0, "do worse")])
def test_the_sweep_compares_with_the_truncated_svd(narrow, better):
    assert better in sweep(narrow)[1]


def test_the_terms_name_the_winner_and_who_made_it():
    terms = {"direct": torch.tensor([1.0, 0.0]), "head 0": torch.tensor([0.0, 3.0])}
    assert (
        "largest for 'q', which gets most from 'head 0'"
        in plotting.term_board(terms, ["p", "q"])[1]
    )


def test_the_maps_name_their_strongest_cell():
    table = torch.zeros(7, 7)
    table[2, 5] = 1
    assert (
        "OV: strongest 't2' and 't5'"
        in plotting.token_maps({"OV": (table, NAMES, NAMES, ("source", "output token"))})[1]
    )


def test_the_plane_computes_its_statistic():
    null = torch.randn(9, 2, dtype=torch.complex64)
    says = plotting.copying_plane(
        {"copier": torch.tensor([1.0, 2.0]), "turner": torch.tensor([1j, -1j])}, null
    )[1]
    assert "copier +1.00, turner +0.00" in says


def test_an_eigenvalue_beyond_its_panel_is_a_ring_at_the_edge():
    spectrum = np.array([-9.0] + [0.5] * 8 + [0.1j] * 16)  # of a mean size of 0.584
    fig, says = plotting.copying_plane({"head": spectrum}, torch.tensor([[1.0], [-1.0]]) + 0j)
    (ax,) = fig.axes
    rings = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert rings == [[[ax.get_xlim()[0], 0]]] and [text.get_text() for text in ax.texts] == [
        "-15.4"
    ]
    assert "over a random cloud" in says  # that lies on a line


@pytest.mark.parametrize(
    "head, risen", [(BUGGY, "of the other cells in 2"), (CLEAN, "of the other cells in 0")]
)
def test_the_board_counts_the_bugs(head, risen):
    says = bugs(head)[1]
    assert "highest in 2 of 2 rows" in says and risen in says


def test_a_board_whose_parts_sum_to_something_else_is_refused():
    parts = {"direct": torch.eye(2, 3), "head": BUGGY, "logits": BUGGY}
    with pytest.raises(ValueError, match="before 'logits' sum to something else, by up to 1"):
        plotting.skip_trigram_board(parts, PAIRS, OUTS, [0, 1], [1, 0])


def test_the_board_sees_a_planted_answer_that_lost():
    assert "highest in 1 of 2 rows" in bugs(torch.tensor([[0.0, 0, 5], [0, 2, 0]]))[1]


def test_a_bug_cell_is_compared_with_the_bystanders_alone():
    """Not with the planted answer, however low that lies."""
    assert "of the other cells in 1" in bugs(torch.tensor([[-9.0, 0, 5], [2, 2, 0]]))[1]


def test_final_losses_count_the_solved():
    says = PICTURES["final_losses"]()[1]
    assert "with 1 head less than half are solved, with 4 heads more than half" in says
    uneven = plotting.final_losses({"a": [0.1], "b": [0.1] * 3}, {}, 0.1)[1]
    assert says.startswith("Final losses of 3 seeds each") and "1 or 3 seeds each" in uneven


# What is drawn, and not only what is said of it


def test_the_last_row_of_the_terms_is_their_sum_and_zero_is_the_page_itself():
    figure, _ = plotting.term_board({"direct": TABLE[0], "head 0": TABLE[1] + 3}, NAMES)
    (image,) = figure.axes[0].images
    np.testing.assert_allclose(image.get_array()[-1], TABLE[0] + TABLE[1] + 3, rtol=1e-5)
    assert image.cmap(image.norm(0.0))[3] == 0 and image.norm.vmin == -image.norm.vmax


def test_solid_frames_stand_on_what_was_planted_and_dashed_ones_on_the_bugs():
    figure, _ = bugs(BUGGY)
    for axes in figure.axes:
        found = {
            (round(patch.get_y() + 0.5), round(patch.get_x() + 0.5)): patch.get_linestyle()
            for patch in axes.patches
        }
        assert {at for at, style in found.items() if style == "solid"} == {(0, 0), (1, 1)}
        assert found.keys() == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_filled_marks_are_the_solved():
    figure, _ = PICTURES["final_losses"]()
    for marks in figure.axes[0].collections:
        filled = len(marks.get_facecolor()) > 0
        assert all((x < 0.1) == filled for x, _ in marks.get_offsets())
    assert sum(len(marks.get_offsets()) for marks in figure.axes[0].collections) == 6


def test_the_pattern_hides_the_future():
    figure, _ = plotting.scores_and_pattern(TABLE, _pattern(), NAMES)
    for axes in figure.axes[:2]:
        assert np.array_equal(axes.images[0].get_array().mask, np.triu(np.ones((7, 7)), 1))
