"""The arithmetic of the views' modules, each module by itself: the camera, the places of a diagram
and of a matrix in it, tokens in lines, colours, and how numbers are written."""

import base64
import math

import pytest
import torch

from helpers.instruments import basis, virtual_weights
from tests.browser.every import EVERY, trained

pytestmark = pytest.mark.browser


# ---- numbers and colours


@pytest.mark.parametrize(
    "number, written",
    [(0, "0.00"), (0.054, "0.05"), (0.056, "0.06"), (9.99, "9.99"), (9.995, "10.0")]
    + [(99.94, "99.9"), (99.95, "100"), (1234.5, "1235")],
)
def test_a_tokens_number_has_three_digits(ask, number, written):
    assert ask("shared/formats", "({ decimal }, number) => decimal(number)", number) == written


@pytest.mark.parametrize(
    "number, written",
    [(0, "0"), (23.4, "23"), (2.34, "2.3"), (0.01, "0.01"), (0.234, "0.23")]
    + [(0.00234, "2 × 10⁻³"), (9.96e-13, "1 × 10⁻¹²")],
)
def test_a_change_is_short_over_all_its_decades(ask, number, written):
    assert (
        ask("shared/formats", "({ scientific }, number) => scientific(number)", number) == written
    )


def test_shades_are_cividis_and_grow_lighter(ask):
    shades = torch.tensor(ask("shared/cividis", "({ SHADES }) => SHADES"), dtype=torch.float)
    assert shades.shape == (256, 3)
    assert shades[0].tolist() == [0x00, 0x22, 0x4E] and shades[255].tolist() == [0xFE, 0xE8, 0x38]
    assert ((shades @ torch.tensor([0.2126, 0.7152, 0.0722])).diff() > 0).all()


def test_bytes_at_any_offset_are_numbers(probe):
    """Bytes from Python begin anywhere in a larger buffer."""
    assert probe("shared/numbers", "atAnyOffset") == [1.5, -2]


def test_an_element_is_made_of_what_is_given(probe):
    html, clicks, drawn, written = probe("shared/common", "made")
    assert html == '<button class="main">Go <b>on</b></button>' and clicks == 1
    assert drawn.endswith("svg") and written.endswith("xhtml")


def test_a_share_is_nothing_at_chance_and_all_at_the_ceiling(ask):
    links = [dict(score=s, mean=0.1, ceiling=0.5) for s in (0.0, 0.1, 0.3, 0.5, 0.9)]
    shares = ask(
        "virtual_weights/links", "({ shareOfCeiling }, links) => links.map(shareOfCeiling)", links
    )
    assert shares == pytest.approx([0, 0, 0.5, 1, 1])


def test_softmax_and_kurtosis_are_pythons(ask):
    rows = torch.randn(3, 9, generator=torch.Generator().manual_seed(0)).double() * 30
    softmax = ask("shared/numbers", "({ softmax }, row) => softmax(row)", rows[0].tolist())
    assert softmax == pytest.approx(rows[0].softmax(0).tolist(), abs=1e-9)
    whole = "({ kurtosis }, values) => kurtosis(values, 9)"
    found = ask("rotation/model", whole, rows.flatten().tolist())
    assert found == pytest.approx(basis.kurtosis(rows))


# ---- the camera

CAMERA = "virtual_weights/camera"
# A camera on a view of 800 by 600.
VIEW = "const c = (await import('/tests/browser/probes.js')).camera(module);"


def test_a_camera_turns_places_into_pixels_and_back(ask):
    there_and_back = (
        f"async (module) => {{ {VIEW} c.zoomAt([200, 450], 7); c.pan(31, -17);"
        " return [c.toWorld(c.toScreen([123, 456])), c.toScreen([0, 0]), c.k]; }"
    )
    place, origin, k = ask(CAMERA, there_and_back)
    assert place == pytest.approx([123, 456]) and k == 7
    # (200, 450) stays where it is: a place x is painted at 7 x - 6 * 200, and then panned
    assert origin == pytest.approx([-1200 + 31, -2700 - 17])


@pytest.mark.parametrize("at", [[400, 300], [10, 590], [799, 1]])
def test_what_the_pointer_holds_stays_under_it_while_it_zooms(ask, at):
    held = (
        f"async (module, at) => {{ {VIEW} c.zoomAt([400, 300], 3); const before = c.toWorld(at);"
        " c.zoomAt(at, 2.5); return [before, c.toWorld(at)]; }"
    )
    before, after = ask(CAMERA, held, at)
    assert after == pytest.approx(before)


def test_the_world_never_leaves_the_view(ask):
    """Nor does it grow larger than it may, nor smaller than the view."""
    pushed = (
        f"async (module) => {{ {VIEW} const ends = [];"
        " const end = () => ends.push([c.k, c.toScreen([0, 0]), c.toScreen([800, 600])]);"
        " c.zoomAt([400, 300], 4); c.pan(9999, 9999); end(); c.pan(-99999, -99999); end();"
        " c.zoomAt([1, 1], 1000); end(); c.zoomAt([1, 1], 1e-6); end(); return ends; }"
    )
    ends = ask(CAMERA, pushed)
    assert [k for k, *_ in ends] == [4, 4, 50, 1]
    for _, first, last in ends:
        assert max(first) <= 0 and last[0] >= 800 - 1e-9 and last[1] >= 600 - 1e-9
    assert ends[0][1] == [0, 0] and ends[1][2] == pytest.approx([800, 600])


def test_the_nearer_one_is_the_less_far_from_the_heart_one_can_look(ask):
    """Without a heart one may zoom in on empty ground."""
    into_a_corner = (
        f"async (module, heart) => {{ {VIEW} c.heart = heart; const seen = [];"
        " for (const k of [1.5, 3, 6, 20]) { c.zoomAt([0, 0], 1e-6); c.zoomAt([0, 600], k);"
        " seen.push([c.toScreen([0, 600]), c.toScreen([500, 100]), c.toScreen([700, 300])]); }"
        " return seen; }"
    )
    lost = ask(CAMERA, into_a_corner, None)
    held = ask(CAMERA, into_a_corner, dict(x=500, y=100, width=200, height=200))
    assert held[0] == lost[0] and lost[3][1][0] > 9000
    for _, (left, top), (right, bottom) in held[1:]:
        assert left <= 600 and right >= 200 and top <= 450 and bottom >= 150


def test_another_size_keeps_the_middle(ask):
    resized = (
        f"async (module) => {{ {VIEW} c.zoomAt([600, 200], 5); const before = c.centre();"
        " c.refit(400, 900, 50); return [before, c.centre(), c.k]; }"
    )
    (x, y), after, k = ask(CAMERA, resized)
    assert after == pytest.approx([x / 2, y * 1.5]) and k == 5


def test_a_flight_ends_where_it_should_and_a_far_one_goes_out_before_it_goes_in(probe):
    way = probe(CAMERA, "flight", [[700, 500], 20.5])
    assert way[-1] == pytest.approx([20.5, 700, 500]) and len(way) >= 2
    assert min(k for k, *_ in way) <= 20


def test_without_motion_a_flight_is_a_jump(modules, probe):
    modules.page.emulate_media(reduced_motion="reduce")
    way = probe(CAMERA, "flight", [[700, 500], 8])
    modules.page.emulate_media(reduced_motion="null")
    assert way == [pytest.approx([8, 700, 500])]


def test_a_flight_can_be_stopped(bare):
    """In a page whose time stands still, half way."""
    bare.stop_time()
    begin = f"async (module) => {{ {VIEW} c.fly([700, 500], 20, 300); window.c = c; }}"
    bare.ask(CAMERA, begin)
    bare.pass_time(150)
    half = bare.page.evaluate("() => [c.k, ...c.centre()]")
    assert 1 < half[0] < 20
    bare.page.evaluate("() => c.stop()")
    bare.pass_time(1000)
    assert bare.page.evaluate("() => [c.k, ...c.centre()]") == half


# ---- the wheel and the pointer


def test_the_wheel_is_the_pages_until_the_diagram_has_the_focus(probe):
    """And again when it is as small as it can be. A pinch on a touchpad, which says Ctrl, zooms
    faster than a wheel does; one turn zooms so far and no farther."""
    inwards, outwards, far = dict(deltaY=-100), dict(deltaY=100), dict(deltaY=9999)
    events = [[False, inwards], [False, inwards | dict(ctrlKey=True)], [True, inwards]]
    events += [[True, outwards], [True, far], [True, far], [True, outwards]]
    seen = probe("virtual_weights/pointers", "wheel", events)
    logs = [0, 1, 1 + 0.22, 1, 1 - 2.4 * 0.22, 0, 0]
    assert [k for k, _ in seen] == pytest.approx([math.exp(log) for log in logs])
    assert [taken for _, taken in seen] == [False, True, True, True, True, True, False]


# ---- tokens in lines


def test_keys_walk_along_the_strip_which_is_one_stop(probe):
    keys = ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft"]
    given = dict(labels=list("abcdefgh"), keys=keys, width=1000)
    found = probe("shared/tokens", "strip", given)
    moves = [position for position, how in found["heard"] if how == "move"]
    assert moves == [1, 2, 1, 7, 7, 0, 0] and found["now"] == 0 and found["stops"] == 1
    assert found["heard"][-1] == [2, "press"]
    assert found["said"] == [f"token {i}" for i in range(8)]


def test_up_and_down_go_to_the_nearest_in_the_line_beside(probe):
    given = dict(labels=list("abcdefgh"), keys=["ArrowDown", "ArrowRight", "ArrowDown"], width=160)
    found = probe("shared/tokens", "strip", given)
    assert [position for position, how in found["heard"] if how == "move"] == [3, 4, 7]


def test_a_label_that_ends_a_line_ends_it_here_too(probe):
    given = dict(labels=["a", "b⏎", "c", "⏎"], keys=[], width=1000)
    assert probe("shared/tokens", "strip", given)["breaks"] == 2


# ---- the diagram and its matrices


@pytest.fixture(scope="module")
def diagram():
    return EVERY["virtual-weights"].make()


@pytest.mark.parametrize("width", [390, 980])
def test_everything_has_its_place_and_is_found_there(probe, diagram, width):
    told, _ = diagram._sent["model"]
    laid = probe("virtual_weights/scene", "laidOut", [told, width])
    assert all(laid["found"]) and all(laid["ports"]) and len(laid["curves"]) == len(told["links"])
    for side in ("writer", "reader"):  # from the first layer down to the last, left and right
        column = [(layer, y) for of, layer, x, y in laid["places"] if of == side]
        assert column == sorted(column) and 0 < column[0][1] and column[-1][1] < laid["height"]
    left, right = ({x for of, _, x, _ in laid["places"] if of == s} for s in ("writer", "reader"))
    assert max(left) < min(right) < width
    x, y, side = laid["tile"]
    lowest = max(place[3] for place in laid["places"])
    beside, below = x - side / 2 > max(laid["names"]), y - side / 2 > lowest + 20
    assert below if width < 480 else beside, "the matrix lies on the links"
    assert 0 < x - side / 2 and x + side / 2 < width and y + side / 2 < laid["height"]


def test_every_weak_link_is_drawn_faintly_with_those_of_its_kind(probe, diagram):
    told, _ = diagram._sent["model"]
    lying = probe("virtual_weights/diagram", "faint", [told, 980])
    weak = [link["reader"] for link in told["links"] if link["p"] > told["level"]]
    for reader, kinds in zip(weak, lying, strict=True):
        assert set("QKV" if reader == "unembed" else reader[-1]) <= set(kinds)
    assert len(weak) > 10


@pytest.mark.parametrize("bare_weights", [False, True])
def test_every_matrix_is_the_product_that_python_takes(probe, diagram, bare_weights):
    told, blocks = diagram._sent["model"]
    packed = [base64.b64encode(block).decode() for block in blocks]
    given = [told, packed, bare_weights]
    drawn = probe("virtual_weights/matrix", "matrices", given)
    for link, matrix in zip(diagram.links["model"], drawn, strict=True):
        before, weights, after, *_ = virtual_weights.chain(trained(), link.writer, link.reader)
        expected = weights if bare_weights else before @ weights @ after
        assert (matrix["rows"], matrix["columns"]) == tuple(expected.shape)
        values = bytearray(base64.b64decode(matrix["values"]))
        found = torch.frombuffer(values, dtype=torch.float32).view(expected.shape)
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
        assert matrix["most"] == pytest.approx(expected.abs().max().item(), rel=1e-4)


def test_a_tile_lies_in_its_place_and_its_entries_are_found(probe):
    inside, outside = [[0, 0], [3, 7], [2, 5]], [[-1, 0], [0, 8], [4, 0]]
    tile, entries = probe("virtual_weights/matrix", "tile", inside + outside)
    assert (tile["cell"], tile["width"], tile["height"]) == (20, 160, 80)
    assert tile["middle"] == [500, 300] and (tile["x"], tile["y"]) == (420, 260)
    assert entries == [dict(row=row, column=column) for row, column in inside] + [None] * 3
