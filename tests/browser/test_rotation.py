"""The rotation explorable in a real browser: what it measures is what the kernel measures, and the
keyboard drives it."""

import base64

import pytest
import torch

from helpers import handmade
from helpers.explorables.rotation import GROUPS, Rotation
from helpers.instruments import basis, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.browser.every import EVERY, stands

pytestmark = pytest.mark.browser

# ---- the model in the page against the model in the kernel

WHOLE = dict(angle=37.0, path="all", plane=[3, 9], breaks=[], turned=list(GROUPS))
INTACT = [
    WHOLE,
    WHOLE | dict(angle=90.0, path="kept"),
    WHOLE | dict(path="plane"),
    WHOLE | dict(path="kept", breaks=["centring"]),
]
BROKEN = [WHOLE | dict(breaks=[name]) for name in ("centring", "gains", "relu")]
BROKEN += [WHOLE | dict(angle=120.0, path="plane", breaks=["centring", "gains", "relu"])]
BROKEN += [WHOLE | dict(turned=[group for group in GROUPS if group != left]) for left in GROUPS]


def models() -> dict[str, Rotation]:
    # so small that the norm's epsilon counts
    small = dict(n_layers=3, n_heads=3, d_model=27, d_head=5, n_ctx=20, d_vocab=12, init_embed=0.02)
    tokens = torch.randint(0, 12, (17,), generator=torch.Generator().manual_seed(0))
    shapes = [
        ("LN", "standard"),
        ("LN", "shortformer"),
        ("RMS", "standard"),
        ("RMS", "shortformer"),
    ]
    drawn = {
        f"{norm} {positions}": Rotation(
            AttentionOnlyTransformer(ModelConfig(**small, normalization=norm, positions=positions)),
            tokens,
        )
        for norm, positions in shapes
    }
    return drawn | {
        "trained": EVERY["rotation"].make(),
        "by hand": Rotation(handmade.induction_head(16, 48), heads.probe(16, 48)[3]),
    }


@pytest.mark.parametrize("name, explorable", models().items())
def test_the_page_measures_what_the_kernel_measures(modules, name, explorable):
    sent = [
        base64.b64encode(getattr(explorable, part)).decode()
        for part in ("rows", "quarter_turns", "gains")
    ]
    cases = INTACT + BROKEN
    measured = modules.probe("rotation/model", "turned", [explorable.shape, *sent, cases])
    for case, page in zip(cases, measured, strict=True):
        kernel = explorable.logits(**case).flatten()
        assert (torch.tensor(page["logits"]) - kernel).abs().max() < 1e-5 * (
            10 + kernel.abs().max()
        ), case
        _, _, seen = explorable._run(**case)
        last = seen[f"blocks.{explorable.model.cfg.n_layers - 1}.hook_resid_post"][0]
        assert page["kurtosis"] == pytest.approx(basis.kurtosis(last), rel=1e-3), case
        if case in INTACT:
            assert page["change"] <= page["rounding"], case
        else:
            settings = {key: value for key, value in case.items() if key != "angle"}
            assert page["change"] == pytest.approx(
                explorable.change(case["angle"], **settings), rel=1e-3
            ), case
            assert page["change"] > 100 * page["rounding"], case


# ---- the view


@pytest.fixture
def explorable(bare):
    yield bare.show(EVERY["rotation"].make())
    bare.screenshot("rotation")


@pytest.fixture
def page(bare, explorable):
    """The explorable of the trained model on the screen."""
    stands(bare.page, "rotation")
    return bare.page


def says(page, words: str) -> str:
    """Wait until the sentence below the pictures has these words; the sentence."""
    page.wait_for_function(
        "(words) => document.querySelector('.rotation .says').textContent.includes(words)",
        arg=words,
    )
    return page.locator(".rotation .says").inner_text()


def test_one_turns_and_breaks_it_by_keyboard(page):
    turned = page.get_by_label("Angle of the rotation")
    turned.focus()
    page.keyboard.press("ArrowRight")
    assert "none moves by more than" in says(page, "At 0.5°")
    page.keyboard.press("PageUp")
    assert "which is float32 rounding; all 48 top predictions stay" in says(page, "At 36.5°")
    predictions = page.locator(".rotation .guess").all_text_contents()
    page.keyboard.press("End")
    says(page, "At 360°")
    assert page.locator(".rotation .guess").all_text_contents() == predictions

    page.keyboard.press("Home")
    says(page, "At 0° nothing has turned")
    page.get_by_label("a gain per coordinate").focus()
    page.keyboard.press("Space")
    says(page, "the readers are divided by it: the same model")
    turned.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    said = says(page, "At 108°, with a gain per coordinate")
    assert "the most moved one moves by" in said and "of 48 top predictions change" in said
    assert page.locator(".rotation .guess").all_text_contents() != predictions

    page.get_by_role("button", name="Reset", exact=True).focus()
    page.keyboard.press("Enter")
    says(page, "At 0° nothing has turned. What")


def test_each_switch_breaks_it_and_the_kept_direction_mends_the_centring(page):
    page.get_by_label("Angle of the rotation").focus()
    for _ in range(2):
        page.keyboard.press("PageUp")
    says(page, "At 72°")
    for name in ("LayerNorm's centring", "a gain per coordinate", "a ReLU"):
        box = page.get_by_label(name, exact=True)
        box.focus()
        page.keyboard.press("Space")
        assert "the most moved one moves by" in says(page, f"At 72°, with {name}:")
        page.keyboard.press("Space")
        says(page, "At 72°: of")
    for name in ("W_E, W_pos", "W_Q, W_K, W_V", "W_O", "W_U"):
        page.get_by_label(name, exact=True).focus()
        page.keyboard.press("Space")
        assert "the most moved one moves by" in says(page, f"At 72°, with {name} not turned:")
        page.keyboard.press("Space")
        says(page, "At 72°: of")
    page.get_by_label("LayerNorm's centring").check()
    page.get_by_label("What turns").select_option(label="all, but (1, …, 1) stays")
    assert "with LayerNorm's centring: of" in says(page, "which is float32 rounding")


def test_a_token_is_chosen_by_arrow_keys_and_the_kernel_follows(bare, page, explorable):
    title = page.locator(".rotation .stack h4")
    before = int(title.inner_text().split()[1])  # "Position 14 (token 3) ..."
    page.get_by_role("application", name="The stream, 48 tokens by 64 coordinates").focus()
    for key, position in (("ArrowUp", before - 1), ("ArrowDown", before)):
        page.keyboard.press(key)
        page.wait_for_function(
            "(begins) => document.querySelector('.rotation .stack "
            "h4').textContent.startsWith(begins)",
            arg=f"Position {position} ",
        )

    explorable.angle, explorable.breaks = 120.0, ["gains"]
    assert "the most moved one moves by" in says(page, "At 120°, with a gain per coordinate")
    page.get_by_label("Angle of the rotation").focus()
    page.keyboard.press("ArrowRight")
    says(page, "At 120.5°")
    # the page tells what it measured
    bare.until(lambda: explorable.measured.get("angle") == explorable.angle == 120.5)


def test_the_graph_is_dragged_as_the_slider_is_and_its_words_cannot_be_selected(bare, page):
    box = page.locator(".rotation .graph").bounding_box()
    # the graph's own margins
    across = [box["x"] + 66 + share * (box["width"] - 80) for share in (0.25, 0.4, 0.5)]
    page.mouse.move(across[0], box["y"] + 60)
    page.mouse.down()
    says(page, "At 90°")
    for x in across[1:]:
        page.mouse.move(x, box["y"] + 150)
    says(page, "At 180°")
    page.mouse.up()
    page.mouse.move(across[0], box["y"] + 60)  # with no button pressed nothing turns
    bare.drawn()
    assert page.locator(".rotation .angle").inner_text() == "180.0°"
    assert (
        page.locator(".rotation .graph").evaluate("(graph) => getComputedStyle(graph).userSelect")
        == "none"
    )


@pytest.mark.parametrize("frame", [7, 16])  # milliseconds
def test_it_turns_by_itself_as_fast_on_any_screen_until_stopped(bare, frame):
    bare.measure("holdFrames")
    bare.show(EVERY["rotation"].make())
    page = bare.page

    def after(milliseconds):
        page.evaluate("(given) => passFrames(...given)", [milliseconds // frame, frame])
        return page.locator(".rotation .angle").inner_text()

    page.get_by_role("button", name="Turn", exact=True).focus()
    page.keyboard.press("Enter")
    turned = 2000 * 360 / 14_000
    assert turned - 1 < float(after(2000).rstrip("°")) < turned + 1
    page.keyboard.press("Enter")
    stopped = after(100)
    assert after(1000) == stopped


def test_it_fits_a_narrow_page(bare, page):
    page.set_viewport_size(dict(width=800, height=1000))
    bare.drawn()
    assert (
        page.evaluate(
            "() => { const e = document.querySelector('.rotation'); return e.scrollWidth - "
            "e.clientWidth }"
        )
        <= 0
    )
    parts = [".stack", ".circles", ".behave", ".turning"]
    assert bare.measure("overlaps", [".rotation", parts]) == []
