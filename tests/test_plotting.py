"""Pictures: each is published with a sentence that says what its data say."""

import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from helpers import plotting, sequences
from helpers.instruments import heads
from helpers.plotting import core


@pytest.fixture
def published(monkeypatch):
    """What `show` sends to the front end for a picture."""

    def publish(picture):
        sent = []
        monkeypatch.setattr(
            core, "display", lambda data, raw, metadata: sent.append((data, metadata))
        )
        plotting.show(*picture)
        assert len(sent) == 1
        return sent[0]

    return publish


def history(*best: float) -> list[dict]:
    return [
        dict(
            step=10 * i,
            loss=1.0,
            prefix_matching=[[0.1], [score]],
            previous_token=[[score / 2], [0.0]],
        )
        for i, score in enumerate(best)
    ]


def pattern(pos: int = 8) -> torch.Tensor:
    return heads.uniform_pattern(pos)[0]


def batch() -> sequences.Batch:
    return sequences.repeated_block(4, 24, 32, torch.Generator().manual_seed(0), periods=[5, 7])


PICTURES = {
    "sequences": lambda: plotting.sequences(batch().tokens, batch().determined),
    "patterns": lambda: plotting.patterns([pattern(), pattern()], "title"),
    "pattern_row": lambda: plotting.pattern_row({"before": pattern()[0], "after": pattern()[0]}),
    "training_story": lambda: plotting.training_story(
        history(0.1, 0.2, 0.8),
        [4.0] * 10 + [0.5] * 20,
        4.1,
        dict(prefix_matching=0.04, previous_token=0.06),
        birth=20,
    ),
    "bars": lambda: plotting.bars(
        {"a": 0.5, "b\n(2)": -0.001}, "cost (nats)", 0.1, highlight=["a"]
    ),
    "birth_frame": lambda: plotting.birth_frame([4.0, 3.0, 2.0], 2, 4.1, [pattern(), pattern()]),
    "look_back": lambda: plotting.look_back(["BOS", "7", "12", "7"], pattern()[0], 3),
    "passage": lambda: plotting.passage(*PASSAGE, 4, 1),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_published_as_png_with_its_sentence(name, published):
    data, metadata = published(PICTURES[name]())
    image = Image.open(io.BytesIO(data["image/png"]))
    # something is drawn
    assert image.width > 300 and len(np.unique(np.asarray(image))) > 10
    assert len(data["text/plain"].split()) >= 5
    assert metadata["image/png"]["alt"] == data["text/plain"]


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_data_give_the_same_picture(name, published):
    assert published(PICTURES[name]()) == published(PICTURES[name]())


@pytest.mark.parametrize("name", PICTURES)
def test_drawing_leaves_the_readers_style_alone(name):
    before = dict(mpl.rcParams)
    PICTURES[name]()
    assert dict(mpl.rcParams) == before


def test_a_picture_has_no_ground_and_nothing_at_its_edge(published):
    data, _ = published(PICTURES["bars"]())
    alpha = np.asarray(Image.open(io.BytesIO(data["image/png"])).convert("RGBA"))[..., 3]
    assert not any(alpha[edge].any() for edge in (0, -1, (..., 0), (..., -1)))
    assert (alpha == 0).mean() > 0.5


def test_a_picture_that_says_nothing_is_refused():
    with pytest.raises(ValueError, match="the picture says 'a figure'; expected a sentence"):
        plotting.show(core.figure(), "a figure")


def test_the_strip_of_sequences_reads_its_data():
    _, says = plotting.sequences(batch().tokens, batch().determined)
    # the last tokens are inside the repeats
    periods = [len(set(row[-8:].tolist())) for row in batch().tokens]
    assert ", ".join(map(str, periods)) in says
    assert f"{batch().determined.float().mean():.0%} of the positions" in says


def test_sequences_in_which_nothing_repeats_are_not_said_to_repeat():
    tokens = np.array([[0, 3, 1, 2, 1, 2], [0, 1, 2, 3, 4, 5], [0, 1, 2, 1, 3, 4]])
    _, says = plotting.sequences(tokens, np.zeros_like(tokens))
    assert says == (
        "3 sequences of 6 tokens, 1 of them with a block that repeats to the end; the blocks have "
        "2 tokens, and 0% of the positions shown are determined."
    )
    _, says = plotting.sequences(tokens[1:], np.zeros_like(tokens[1:]))
    assert "0 of them with a block that repeats to the end; 0% of the" in says


def test_trainings_are_counted_kind_by_kind():
    one = dict(step=[1, 4], a=[0.5, 2.0])
    _, says = plotting.phase_change({"p": [one], "q": [one, one, one]}, {"a": "nats"})
    assert says.startswith("At the end of 1 or 3 trainings each.")


def test_an_event_that_did_not_come_in_every_training_is_told():
    _, says = plotting.order_of_events({"a": [30.0, 20.0], "b": [np.nan, 90], "c": [np.nan] * 2})
    assert says == "When it comes, in steps: a 20 to 30; b 90 to never; c never."


def test_a_look_back_shades_each_token_by_its_attention_and_no_later_one():
    weights = np.array([[1, 0, 0, 0], [0.2, 0.8, 0, 0], [0.04, 0.7, 0.26, 0], [0.1, 0.2, 0.3, 0.4]])
    fig, says = plotting.look_back(["BOS", "7", "12", "7"], weights, 2)
    ax = fig.axes[0]
    cividis = mpl.colormaps["cividis"]
    assert [box.get_facecolor() for box in ax.patches] == [cividis(w) for w in (0.04, 0.7, 0.26)]
    assert [text.get_text() for text in ax.texts] == ["BOS", "7", "0.70", "12", "0.26"]
    framed = mpl.colors.to_rgba(core.COLOUR["prefix_matching"])
    assert [box.get_edgecolor() == framed for box in ax.patches] == [False, False, True]
    assert "most attention, 0.70, goes to '7', one step back" in says


PASSAGE = (
    ["<bos>", "if", "·x", ":⏎····", "y", "⏎"],
    np.array([0.5, -1.5, 3, 0, 8]),
    ["new", "old", "old", "new", "old"],
    ["old", "new", "odd"],
)


def test_a_passage_stands_as_its_text_does_on_grounds_of_its_values():
    fig, says = plotting.passage(*PASSAGE, 4, 1, "What they save")
    ax = fig.axes[0]
    placed = [(text.get_text(), *text.get_position()) for text in ax.texts]
    assert placed == [
        ("<bos>", 0, 0.52),
        ("if", 0, 1.52),
        (" x", 2, 1.52),
        (":", 4, 1.52),
        ("⏎", 5, 1.52),
        ("    ", 0, 2.52),
        ("y", 4, 2.52),
        ("⏎", 5, 2.52),
    ]
    orange, blue = core.COLOUR["prefix_matching"], core.BELOW
    grounds = [(orange, 1 / 8), (blue, 3 / 8), *[(orange, 3 / 4)] * 3, (orange, 1)]
    assert [box.get_facecolor() for box in ax.patches] == [
        mpl.colors.to_rgba(*ground) for ground in grounds
    ]
    under = [(line.get_color(), *line.get_xdata()) for line in ax.lines]
    assert under == [(blue, 3, 4), (orange, 4, 5), (orange, 5, 6), (orange, 5, 6)]
    assert [line.get_linestyle() for line in ax.lines] == [":", "-", "-", "-"]
    assert says == (
        "What they save: +2.00 nats on average over 5 tokens (old: +3.17 at 3 tokens; new: +0.25 "
        "at 2 tokens; odd: none here). The most, +8.00, is at '⏎'."
    )


def test_a_line_of_a_passage_that_is_too_long_goes_on_below():
    fig, _ = plotting.passage(["BOS", *["word·"] * 40], np.ones(40), ["a"] * 40, ["a"], 4, 1)
    words = [text for text in fig.axes[0].texts if text.get_text() == "word "]
    assert len(words) == 40 and len({text.get_position()[1] for text in words}) == 3
    assert max(text.get_position()[0] for text in words) < 82


def test_of_a_long_text_the_look_back_shows_the_end():
    fig, says = plotting.look_back(list("abcdefgh"), np.tril(np.ones((8, 8))) / 8, 6, most=3)
    assert [t.get_text() for t in fig.axes[0].texts if t.get_text().isalpha()] == list("efg")
    assert says.endswith("goes to 'a', 6 steps back.")


@pytest.mark.parametrize("birth, when", [(20, "before step 100"), (None, "never passes one half")])
def test_the_story_says_when_the_head_was_born(birth, when):
    chance = dict(prefix_matching=0.04, previous_token=0.06)
    fig, says = plotting.training_story(history(0.1, 0.2), [1.0] * 30, 4.1, chance, birth)
    assert when in says
    marked = [text.get_text() for text in fig.axes[0].texts if "birth" in text.get_text()]
    assert marked == ([] if birth is None else [" birth, step 20"])
    assert fig.axes[0].get_title("left").startswith("The loss" if birth else "No head forms")


@pytest.mark.parametrize("final, fell", [(0.5, "falls below half"), (4.0, "stays above half")])
def test_the_story_says_whether_the_loss_fell(final, fell):
    chance = dict(prefix_matching=0.04, previous_token=0.06)
    losses = [4.0] * 10 + [final] * 20
    assert fell in plotting.training_story(history(0.1), losses, 4.1, chance, None)[1]


def test_the_story_says_what_other_trainings_and_guesses_come_to():
    chance = dict(prefix_matching=0.04, previous_token=0.06)
    fig, says = plotting.training_story(
        history(0.1),
        [4.0] * 30,
        4.1,
        chance,
        None,
        guesses={"among the last": 2.2},
        controls={"one layer": ([0, 30], torch.tensor([4.1, 3.1]))},
    )
    assert says.endswith(
        "Beside it: one layer ends at 3.10 nats; guessing among the last costs 2.20."
    )
    loss = fig.axes[0]
    written = [text.get_text() for text in (*loss.texts, *loss.get_legend().get_texts())]
    assert {"guessing: 4.10", "among the last: 2.20", "one layer"} <= set(written)


def test_a_pattern_is_lighter_where_there_is_more_attention():
    fig, _ = plotting.pattern_row({"one": pattern()[0]})
    image = fig.axes[0].images[0]
    light = image.to_rgba([0.0, 0.25, 0.5, 0.75, 1.0])[:, :3] @ (0.299, 0.587, 0.114)
    assert (np.diff(light) > 0.1).all()


def test_a_signed_map_is_blue_below_zero_and_red_above():
    (red, _, blue, _), (more_red, _, less_blue, _) = core.SIGNED([0.0, 1.0])
    assert red < blue and more_red > less_blue


def test_each_line_bears_the_name_of_its_own_curve():
    fig, _ = plotting.lines({"up": {0: 0, 1: 1}, "down": {0: 1, 1: 0}}, "time", "height")
    called = {line.get_label(): line.get_ydata().tolist() for line in fig.axes[0].lines}
    assert called == {"up": [0, 1], "down": [1, 0]}


@pytest.mark.parametrize("count, grid", [(2, (1, 2)), (4, (1, 4)), (5, (2, 3)), (6, (2, 3))])
def test_many_patterns_stand_three_to_a_row(count, grid):
    fig, says = plotting.pattern_row({f"step {i}": pattern()[0] for i in range(count)})
    panels = [ax for ax in fig.axes if ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in panels] == [
        f"step {i}" for i in range(count)
    ] and says.startswith(f"{count} attention")
    places = panels[0].get_gridspec()
    assert (places.nrows, places.ncols) == grid
    assert sum(ax.axison for ax in fig.axes) == count + 1  # no empty frame; one is the colour bar's


def test_bars_stand_out_by_name():
    fig, _ = plotting.bars({"a": 0.5, "b": 0.25}, "cost", highlight=["b"], xlabel="kind")
    assert [bool(bar.get_hatch()) for bar in fig.axes[0].patches] == [False, True] and fig.axes[
        0
    ].get_xlabel() == "kind"


def test_bars_do_not_print_minus_zero():
    assert plotting.bars({"a": -0.001, "b": 0.25}, "cost")[1] == "cost: a 0.00, b 0.25."


def test_a_look_back_prints_what_it_shades_and_names_the_token_attended_to():
    pattern = torch.zeros(4, 4)
    pattern[3] = torch.tensor([0.04, 0.0, 0.9, 0.06])
    fig, says = plotting.look_back(["<bos>", "zor", "b", "zor"], pattern, 3)
    assert says == (
        "From the framed token 'zor', position 3, most attention, 0.90, goes to 'b', one step back."
    )
    assert {text.get_text() for text in fig.axes[0].texts} >= {"0.90", "0.06"}
    assert "0.04" not in {text.get_text() for text in fig.axes[0].texts}


def test_patterns_count_the_stripes():
    scores = dict(prefix_matching=[[0.0], [0.9]], previous_token=[[0.8], [0.1]])
    assert (
        "1 by prefix matching, 1 by previous token"
        in plotting.patterns([pattern(), pattern()], "", scores)[1]
    )


def test_the_movie_moves_and_rests_on_its_last_frame():
    frames = [
        plotting.birth_frame([4.0, 3.0, 2.0], step, 4.1, [pattern()])[0] for step in (1, 2, 3)
    ]
    movie = Image.open(io.BytesIO(plotting.movie(frames, "It moves.")))
    durations = []
    for index in range(movie.n_frames):
        movie.seek(index)
        durations.append(movie.info["duration"])
    assert movie.n_frames == 3 and durations[-1] > 5 * durations[0]
    assert movie.text["Description"] == "It moves."
