"""A prediction in a real browser: a word by mouse and by keys alone, what stands beside it
afterwards, and what is refused there."""

import json
import re

import pytest

from helpers.explorables import prediction as module
from helpers.explorables.prediction import Prediction

pytestmark = pytest.mark.browser

QUESTION = "How will the loss fall?"
CHOICES = dict(
    A="evenly",
    B="fast at first, then ever more slowly",
    C="hardly at all for a while, then all at once",
)
NUMBER = "At which step, out of 400, is half of it gone?"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder where predictions are kept."""
    folder = tmp_path / "my_course"
    folder.mkdir()
    (folder / "predictions.json").write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(module, "ASKED", {})
    return folder


@pytest.fixture
def prediction(bare):
    return bare.show(Prediction(QUESTION, CHOICES, NUMBER))


@pytest.fixture
def page(bare, prediction):
    return bare.page


def says(page, view: int = 0) -> str:
    return page.locator(".prediction .says").nth(view).inner_text()


def says_at_last(page, words: str) -> None:
    page.locator(".prediction .says").filter(has_text=words).wait_for()


def test_a_click_and_a_number_are_kept(bare, page, prediction, here):
    assert says(page) == "Your word first: a choice and a number, before you run the next cell."
    page.get_by_text("evenly").click()
    bare.until(lambda: prediction.said["choice"] == "A")
    page.get_by_label(re.compile("At which step")).fill("200")
    page.keyboard.press("Enter")
    bare.until(lambda: prediction.said == dict(choice="A", number=200))
    says_at_last(page, "You say A at 200. Kept in my_course/predictions.json.")
    kept = json.loads((here / "predictions.json").read_text())[QUESTION]
    assert (kept["choice"], kept["number"]) == ("A", 200)


def test_it_is_answered_by_keys_alone(bare, page, prediction):
    page.locator("#before").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    bare.until(lambda: prediction.said["choice"] == "A")
    for key, choice in (("ArrowUp", "C"), ("ArrowDown", "A"), ("ArrowRight", "B")):
        page.keyboard.press(key)
        bare.until(lambda: prediction.said["choice"] == choice)  # noqa: B023
    page.keyboard.press("Tab")
    page.keyboard.type("72")
    page.keyboard.press("Tab")
    bare.until(lambda: prediction.said == dict(choice="B", number=72))
    assert page.evaluate("() => document.activeElement.id") == "after"


def test_an_answer_that_comes_late_undoes_nothing_that_was_pressed_since(bare, page, prediction):
    """Three words at once: each is answered after the last of them was pressed."""
    radios = "[...document.querySelectorAll('.prediction input[type=radio]')]"
    page.evaluate(f"() => [0, 2, 1].forEach((i) => {radios}[i].click())")
    seen = page.evaluate_handle(
        f"""() => {{
            const seen = [], look = () => seen.push({radios}.findIndex((one) => one.checked));
            new MutationObserver(look).observe(document.querySelector(".prediction .says"),
              {{ childList: true }});
            return seen;
        }}"""
    )
    says_at_last(page, "You say B.")
    assert seen.json_value() == [1]  # nor is anything said in between


def test_a_screen_reader_hears_the_question_before_its_choices(page):
    group = page.get_by_role("group", name=QUESTION)
    assert group.get_by_role("radio").count() == 3
    assert group.get_by_role("radio", name="C hardly at all for a while").count() == 1
    assert group.get_by_role("spinbutton", name=NUMBER).count() == 1


def test_what_came_stands_beside_the_word_and_the_word_is_fixed(bare, page, prediction):
    prediction.say("A", 200)
    bare.show(prediction)
    prediction.came("C", 72)
    assert [says(page, view) for view in (0, 1)] == ["", ""]  # the printed line has the words
    marked = page.locator(".prediction .came").all_inner_texts()
    assert [" ".join(text.split()) for text in marked] == [f"C {CHOICES['C']} ✓ it was this"] * 2
    assert page.get_by_text("you said this").count() == 2
    assert page.locator(".prediction :is(input:enabled)").count() == 0
    assert page.locator(".prediction input:checked").first.input_value() == "A"


def test_a_number_that_is_none_is_refused_and_the_word_stays(bare, page, prediction):
    prediction.say("A", 200)
    page.locator(".prediction input[type=number]").fill("")
    page.keyboard.type("1e")
    page.keyboard.press("Enter")
    says_at_last(page, "That is no number.")
    assert prediction.said == dict(choice="A", number=200)
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    bare.until(lambda: prediction.said == dict(choice="A", number=100))
    page.locator(".prediction .says:not(.refused)").wait_for()


def test_a_file_that_cannot_be_read_is_said_on_the_page(bare, page, prediction, here):
    (here / "predictions.json").write_text("no")
    page.get_by_text("evenly").click()
    page.locator(".prediction .refused").filter(has_text="stays as it is").wait_for()
    assert (here / "predictions.json").read_text() == "no" and prediction.said["choice"] == "A"


def test_a_kernel_that_has_gone_is_said(bare, page):
    page.evaluate("() => { views[0].model.gone = true; }")
    page.get_by_text("evenly").click()
    page.locator(".prediction .refused").filter(has_text="the kernel has gone").wait_for()


def test_without_a_number_none_is_asked(bare):
    bare.show(Prediction(QUESTION, CHOICES))
    assert bare.page.locator(".prediction input[type=number]").count() == 0
    assert says(bare.page) == "Your word first: a choice, before you run the next cell."


def test_screens(bare, page, prediction):
    """For people to look at: both themes, wide and narrow, before, between and after."""
    prediction.say("A", 200)
    bare.show(Prediction("Which head matches?", dict(A="the first", B="none", C="both")))
    after = bare.show(Prediction("And on text?", CHOICES, NUMBER))
    after.say("A", 2400)
    after.came("C", 700)
    page.locator(".prediction").first.scroll_into_view_if_needed()
    for theme in ("Light", "Dark"):
        bare.wear(theme)
        for width in (1400, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.locator(".prediction").last.scroll_into_view_if_needed()
            bare.drawn()
            bare.screenshot(f"prediction_{theme}_{width}")
            assert bare.measure("over", ".prediction") == []
