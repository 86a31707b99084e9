"""The text box of the attention explorable: a reader's own text, by keyboard and pointer."""

import re
from functools import cache

import pytest

from helpers.corpus import Corpus
from helpers.corpus.tokenizer import open_tokenizer
from helpers.explorables.attention import Attention
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs
from tests.browser.test_everywhere import SMALL

pytestmark = pytest.mark.browser

TEXT = "def mangrove(self, harvest):\n    self.harvest = harvest\n    return self.har"


@cache
def model():
    return runs.load(runs.DATA / "runs" / "text").model_at()


class Reads:
    """What a Corpus does with a text; the corpus itself would read the standard library first."""

    tokenizer = open_tokenizer(runs.DATA / "tokenizer.json")
    d_vocab = 1024
    encode, token_strings, _checked = Corpus.encode, Corpus.token_strings, Corpus._checked


@pytest.fixture
def explorable(bare):
    yield bare.show(Attention(model(), text=TEXT, tokenizer=Reads()))
    bare.screenshot("attention_reads")


@pytest.fixture
def page(bare, explorable):
    bare.page.locator(".attention .chip").first.wait_for()
    bare.page.locator(".attention").scroll_into_view_if_needed()
    return bare.page


def box(page):
    return page.get_by_label("Your text")


def note(page) -> str:
    return page.locator(".attention .note").inner_text()


def labels(page) -> list[str]:
    return page.locator(".attention .chip span").all_inner_texts()


def test_enter_reads_what_stands_in_the_box_and_the_head_stays(bare, explorable, page):
    assert box(page).input_value() == TEXT
    assert re.fullmatch(r"\d+ tokens, of at most 256\.", note(page))
    page.locator(".attention .board button").nth(4).click()
    box(page).fill("wex(zint)")
    box(page).press("Shift+Enter")
    page.keyboard.type("wex(")
    page.keyboard.press("Enter")
    bare.until(lambda: explorable.text == "wex(zint)\nwex(")
    assert labels(page) == ["BOS", *Reads().token_strings(Reads().encode("wex(zint)\nwex("))]
    assert note(page).startswith(f"{len(labels(page))} tokens")
    assert page.evaluate("() => document.activeElement.matches('textarea')")
    says = page.locator(".attention .says").inner_text()
    assert says.startswith(f"Head 1.0 from position {len(labels(page)) - 1} ")


def test_the_button_reads_too_and_escape_goes_on_to_the_tokens(bare, explorable, page):
    box(page).fill("frandle")
    page.get_by_role("button", name="Read").click()
    bare.until(lambda: explorable.text == "frandle")
    box(page).focus()
    page.keyboard.press("Shift+ArrowLeft")  # marks a letter, and moves no head
    assert page.evaluate("() => getSelection().toString()") == "e"
    assert "Head 1.0 " in page.locator(".attention .says").inner_text()
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.matches('.chip.chosen')")
    page.keyboard.press("ArrowLeft")
    at = len(labels(page)) - 2
    assert f"from position {at} " in page.locator(".attention .says").inner_text()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", r"there is no text to read; type a line or two"),
        (
            "zorblat " * 100,
            r"this text makes \d+ tokens with BOS, and at most 256 can be read here",
        ),
        ("wex \ud83d", r"character 5 of this text is half of a pair"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words_and_the_old_text_stays(
    bare, explorable, page, typed, words
):
    before = labels(page)
    page.evaluate("typed => { document.querySelector('textarea').value = typed; }", typed)
    box(page).press("Enter")
    bare.until(lambda: explorable.trouble)
    assert re.match(words, note(page)) and labels(page) == before
    assert box(page).get_attribute("aria-invalid") == "true" and explorable.text == TEXT
    box(page).fill("wex")
    box(page).press("Enter")
    bare.until(lambda: explorable.text == "wex")
    assert note(page).startswith("2 tokens") or note(page).startswith("3 tokens")
    assert box(page).get_attribute("aria-invalid") == "false"


def test_the_same_text_may_be_read_again(bare, page):
    for _ in range(2):
        box(page).press("Enter")
        bare.drawn()
        bare.until(lambda: page.get_by_role("button", name="Read", exact=True).count() == 1)


@pytest.mark.parametrize("how", ["asked", "told"])
def test_a_kernel_that_has_gone_is_said(bare, page, how):
    """As it is asked, or as JupyterLab tells of its own accord."""
    box(page).fill("wex")
    if how == "asked":
        page.evaluate("() => { views[0].model.gone = true; }")
        box(page).press("Enter")
    else:
        page.evaluate("() => views[0].model.tell('comm_live_update')")
    assert "restarted or has gone" in note(page) and box(page).input_value() == "wex"
    assert page.get_by_role("button", name="Read", exact=True).count() == 1


def test_a_kernel_that_does_not_answer_is_said(bare):
    bare.stop_time()
    explorable = bare.show(Attention(model(), text=TEXT, tokenizer=Reads()))
    bare.pass_time(100)
    explorable._read = lambda text: None  # it is busy
    box(bare.page).press("Enter")
    bare.pass_time(1000)
    assert "No answer" not in note(bare.page)
    assert bare.page.get_by_role("button", name="Reading…").count() == 1
    bare.pass_time(5000)
    assert note(bare.page).startswith("No answer yet: the kernel is busy")
    explorable.send(dict(type="answered"))
    assert "tokens, of at most" in note(bare.page)


def test_it_can_be_reached_named_read_and_left(bare, page):
    assert bare.measure("nameless", ".attention") == []
    stops = bare.measure("stops", ".attention")
    page.evaluate("() => stops[0].focus()")
    assert page.evaluate("() => document.activeElement.matches('textarea')")
    for _ in range(stops):
        assert bare.measure("focusIsSeen")
        page.keyboard.press("Tab")
        if not page.evaluate("() => !!document.activeElement.closest('.attention')"):
            break
    assert page.evaluate("() => document.activeElement.id") == "after", "Tab never leaves"
    weak = {}
    for theme in ("Light", "Dark"):
        bare.wear(theme)
        box(page).fill("")
        box(page).press("Enter")
        bare.until(lambda: "no text" in note(page))
        weak[theme] = bare.measure("weak", ".attention")
        page.evaluate("() => document.querySelector('.attention').scrollIntoView()")
        bare.screenshot(f"attention_reads_{theme.lower()}")
    assert weak == {"Light": [], "Dark": []}


MANY = [(layer, head) for layer in (4, 2, 1, 0) for head in range(4)][:15]
LINES = "def zorblat(self, quimby):\n    self.frandle = quimby\n" * 4


@pytest.mark.parametrize("weighting", ["attention A", "value-weighted"])
@pytest.mark.parametrize("width", [1400, 800])
def test_fifteen_heads_of_a_large_model_fit_a_window(bare, width, weighting):
    large = AttentionOnlyTransformer(ModelConfig(n_layers=5, n_ctx=256, d_vocab=1024))
    page = bare.page
    page.set_viewport_size({"width": width, "height": 700})
    bare.show(Attention(large, text=LINES, tokenizer=Reads(), heads=MANY))
    page.get_by_label(weighting).click()
    for theme in ("Light", "Dark"):
        bare.wear(theme)
        bare.drawn()
        assert bare.measure("weak", ".attention") == []
        page.evaluate("() => document.querySelector('.attention').scrollIntoView()")
        bare.screenshot(f"attention_some_{width}_{theme.lower()}")
    assert bare.measure("over", ".attention") == []
    height = page.locator(".attention").bounding_box()["height"]
    assert height <= 700, f"{height} px high"
    thumbs = page.locator(".attention .board canvas").all()
    assert min(thumb.bounding_box()["width"] for thumb in thumbs) > 40
    page.set_viewport_size(SMALL[1])  # a telephone
    bare.drawn()
    assert bare.measure("over", ".attention") == []
    bare.screenshot("attention_some_390")


def test_it_fits_a_window_and_every_small_screen(bare, explorable, page):
    explorable.read("zorblat = quimby(frandle)\n" * 16)
    bare.drawn()
    strip, last = (
        page.locator(f".attention {of}").last.bounding_box() for of in (".tokens", ".chip")
    )
    assert strip["y"] <= last["y"] <= strip["y"] + strip["height"] - last["height"]
    assert note(page).startswith(f"{len(labels(page))} tokens")
    bare.screenshot("attention_reads_long")
    height = page.locator(".attention").bounding_box()["height"]
    assert height <= 700, f"{height} px high"
    for size in SMALL:
        page.set_viewport_size(size)
        bare.drawn()
        page.evaluate("() => document.querySelector('.attention').scrollIntoView()")
        assert bare.measure("over", ".attention") == [], size
        bare.screenshot(f"attention_reads_{size['width']}")
