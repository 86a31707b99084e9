"""The savings explorable in a real browser, by pointer and by keyboard alone."""

import re

import pytest

from helpers.explorables.savings import Savings
from tests.browser.every import EVERY, batch, induction_heads, says, stands, trained

pytestmark = pytest.mark.browser


class Code:
    """A tokenizer whose tokens are parts of lines."""

    def encode(self, text):
        raise NotImplementedError

    def token_strings(self, ids):
        ends = {0: "⏎", 1: "⏎····", 2: "·is"}
        return [ends.get(token % 7, f"·v{token}") if token else "<bos>" for token in ids]


def code() -> Savings:
    """A passage in lines."""
    return Savings(trained(), batch().tokens, without=induction_heads(), tokenizer=Code())


@pytest.fixture
def savings(bare):
    yield bare.show(EVERY["savings"].make())
    bare.screenshot("savings")


@pytest.fixture
def scene(savings):
    return savings.scene


@pytest.fixture
def page(bare, savings):
    stands(bare.page, "savings")
    return bare.page


def chip(page, position):
    return page.locator(".savings .chip").nth(position)


def saved(scene) -> list[float]:
    losses = zip(scene["without"]["loss"], scene["whole"]["loss"], strict=True)
    return [0.0, *(without - whole for without, whole in losses)]


def kinds_of(scene) -> list[str]:
    return ["", *scene["kinds"]]


def looked(page) -> dict[int, str]:
    """The tokens that carry a number, which is the attention they get."""
    notes = page.locator(".savings .chip small").all_inner_texts()
    return {i: note for i, note in enumerate(notes) if note}


def test_it_opens_at_the_token_at_which_most_is_saved(page, scene):
    most = max(range(48), key=lambda i: saved(scene)[i])
    assert page.locator(".savings .chip.chosen").count() == 1
    assert "chosen" in chip(page, most).get_attribute("class")
    assert page.locator(".savings .titled b").inner_text() == f"{saved(scene)[most]:.2f} nats saved"


def test_the_pointer_tells_what_was_expected_with_the_heads_and_without(page, scene):
    for position in (12, 30, 40):
        chip(page, position).hover()
        name, row = scene["tokens"][position], position - 1
        for side, key in enumerate(("whole", "without")):
            told, place = scene[key], scene[key]["place"][row]
            box = page.locator(".savings .sides > div").nth(side)
            loss = float(box.locator(".loss .number").inner_text().removesuffix(" nats"))
            assert loss == pytest.approx(told["loss"][row], abs=0.006)
            best = [str(token) for token in told["best"][row]]
            words = box.locator(".word").all_inner_texts()
            assert words[:3] == best and words[3:] == ([] if place <= 3 else [str(name)])
            right = box.locator(".answer.right")
            assert right.count() == 1 and right.locator(".word").inner_text() == str(name)
            assert right.locator("small").inner_text() == f"{place}." and "✓" in right.inner_text()
            share = box.locator(".answer .number").first.inner_text()
            assert float(share.strip("<> %")) == pytest.approx(
                100 * told["probability"][row][0], abs=0.51
            )
        assert f"the loss at “{name}” is" in says(page, "savings")


def test_it_shows_where_the_heads_looked_and_from_where(page, scene):
    row = next(row for row in range(30, 47) if scene["kinds"][row] == "a copy is right")
    chip(page, row + 1).hover()
    looks = dict(scene["looks"][row])
    assert looked(page) == {key: f"{weight:.2f}" for key, weight in looks.items()}
    marked = page.locator(".savings .chip.looked").count()
    assert marked == page.locator(".savings .threads path").count() == len(looks)
    assert "query" in chip(page, row).get_attribute("class")
    best = max(looks, key=lambda key: key and looks[key])
    assert f"{looks[best]:.2f} of the attention goes to position {best} " in says(page, "savings")
    assert "an induction target, and it comes again" in says(page, "savings")
    assert (
        chip(page, best)
        .get_attribute("aria-label")
        .endswith(f"gets {looks[best]:.2f} of the attention")
    )


def test_it_says_where_a_copy_was_wrong_and_where_the_heads_rest(page, savings):
    """Of a passage with one repeated token, which the heads take for the same again."""
    scene = dict(savings.scene, tokens=[0, 5, 6, 5, 7])
    for name in ("kinds", "looks"):
        scene[name] = scene[name][:4]
    for side in ("whole", "without"):
        scene[side] = {name: rows[:4] for name, rows in scene[side].items()}
    scene["looks"][3] = [(0, 0.6), (2, 0.3)]
    savings.scene = scene
    chip(page, 4).hover()
    assert says(page, "savings").endswith(
        "From “5” 0.30 of the attention goes to position 2 “6”, right after an earlier “5”: an "
        "induction target, which does not come now; 0.60 rests on “BOS”."
    )
    savings.scene = dict(scene, looks=[*scene["looks"][:3], [(0, 0.97)]])
    chip(page, 4).hover()
    assert says(page, "savings").endswith("From “5” 0.97 rests on “BOS”.")
    savings.scene = dict(scene, looks=[*scene["looks"][:3], []])
    chip(page, 4).hover()
    assert says(page, "savings").endswith("the attention goes everywhere, and nowhere much.")


def test_the_threads_end_at_what_was_seen(page, scene):
    row = next(row for row in range(30, 47) if scene["kinds"][row] == "a copy is right")
    chip(page, row + 1).hover()
    ends = page.evaluate(
        "() => [...document.querySelectorAll('.threads path')].map((path) => {"
        " const end = path.getPointAtLength(path.getTotalLength());"
        " const { x, y } = end.matrixTransform(path.getScreenCTM());"
        " const chips = [...document.querySelectorAll('.savings .chip span')];"
        " return chips.findIndex((chip) => { const box = chip.getClientRects()[0];"
        " return x > box.left && x < box.right && y > box.top - 3 && y < box.bottom + 3; }); })"
    )
    assert ends == [key for key, _ in scene["looks"][row]]


def test_large_savings_have_a_mark_beside_their_colour(page, scene):
    for position, value in enumerate(saved(scene)):
        style = "(chip) => getComputedStyle(chip.firstChild).textDecorationLine"
        line = chip(page, position).evaluate(style)
        assert line == ("underline" if abs(value) >= scene["large"] else "none"), position
        name = chip(page, position).get_attribute("aria-label")
        number = re.search(r"([\d.]+) nats (saved|lost)", name)
        assert (number is None) == (position == 0)
        if number:
            assert float(number[1]) == pytest.approx(abs(value), abs=0.006)
            assert number[2] == ("lost" if value < 0 else "saved")


def test_a_ground_is_as_strong_as_what_is_saved_up_to_the_scales_end(page, scene):
    ground = "(chip) => getComputedStyle(chip.firstChild).backgroundColor"
    for position in range(1, 48):
        value = saved(scene)[position]
        *_, opacity = re.findall(r"[\d.]+", chip(page, position).evaluate(ground))
        assert float(opacity) == pytest.approx(0.78 * min(abs(value) / 4, 1), abs=0.01), position


def test_a_click_holds_a_token_and_so_does_enter(page):
    chip(page, 30).click()
    held = says(page, "savings")
    chip(page, 9).hover()
    assert says(page, "savings") == held
    assert "held" in chip(page, 30).get_attribute("class")
    chip(page, 30).focus()
    page.keyboard.press("Escape")
    chip(page, 9).hover()
    assert says(page, "savings") != held
    page.keyboard.press("Enter")
    assert "held" in chip(page, 9).get_attribute("class")
    chip(page, 30).hover()
    assert "chosen" in chip(page, 9).get_attribute("class")


def test_everything_by_keyboard_alone(page, scene):
    page.locator("#before").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    assert says(page, "savings").startswith("Nothing stands before the first token")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert f"the loss at “{scene['tokens'][20]}” is" in says(page, "savings")
    assert page.evaluate("() => document.activeElement.matches('.savings .chip.chosen')")
    page.keyboard.press("Tab")  # from the tokens, one stop for all, to the kinds
    page.keyboard.press("Space")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-pressed')") == "true"


def test_each_kind_has_its_sum_and_when_pressed_its_tokens_alone(page, scene):
    for place, kind in enumerate(scene["all_kinds"]):
        button = page.locator(".savings .kinds button").nth(place)
        own = [i for i in range(1, 48) if scene["kinds"][i - 1] == kind]
        total = sum(saved(scene)[i] for i in own)
        number = float(button.locator("b").inner_text().replace("−", "-"))
        assert button.locator("span").first.inner_text() == kind
        assert number == pytest.approx(total, abs=0.06)
        assert f"{len(own)} tokens" in button.inner_text()
        button.click()
        aside = [i for i in range(1, 48) if "aside" in chip(page, i).get_attribute("class")]
        assert aside == [i for i in range(1, 48) if i not in own]
    button.click()
    assert page.locator(".savings .aside").count() == 0
    mean = sum(saved(scene)) / 47
    told = f"{abs(mean):.2f} nats {'lost' if mean < 0 else 'saved'} a token: the loss is"
    assert page.locator(".savings .mean").inner_text().startswith(told)


def test_code_stands_in_its_lines(bare):
    savings = bare.show(code())
    labels = [savings.scene["vocabulary"][str(token)] for token in savings.scene["tokens"]]
    text = "".join(labels).replace("·", " ").replace("⏎", "⏎\n").replace("<bos>", "<bos>\n")
    shown = bare.page.locator(".savings .passage").evaluate(
        "(passage) => [...passage.querySelectorAll('.chip')].map((chip) =>"
        " [...chip.childNodes].filter((node) => node.localName !== 'small')"
        " .map((node) => node.textContent).join('')).join('')"
    )
    assert shown == text and text.count("\n") > 4


@pytest.mark.parametrize("width", [1400, 800])
def test_it_fits_a_window_700_pixels_high(bare, page, savings, width):
    scene = dict(code().scene)
    scene["tokens"] = [0, *5 * scene["tokens"][1:]]  # 50 lines
    for name in ("kinds", "looks"):
        scene[name] = 5 * scene[name]
    for side in ("whole", "without"):
        scene[side] = {name: 5 * rows for name, rows in scene[side].items()}
    savings.scene = scene
    page.set_viewport_size({"width": width, "height": 700})
    bare.drawn()
    assert page.locator(".savings").bounding_box()["height"] <= 700


def test_python_shows_another_passage(page, savings):
    savings.scene = Savings(trained(), batch().tokens[:, :20], without=induction_heads()).scene
    assert page.locator(".savings .chip").count() == 20
    assert page.locator(".savings .chip.chosen").count() == 1


def test_what_changes_while_it_is_hidden_has_its_threads_when_it_is_seen(bare, page, savings):
    display = "(how) => { document.querySelector('main').style.display = how; }"
    page.evaluate(display, "none")
    drawn = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(drawn)  # what is hidden and seen again before a frame was never hidden
    savings.scene = dict(savings.scene, large=2.0)
    page.evaluate("() => document.querySelector('.savings .threads').replaceChildren()")
    page.evaluate(display, "")
    page.locator(".savings .threads path").first.wait_for(state="attached")
