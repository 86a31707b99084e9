"""The page of the birth alone: one small file, from a disk and from a server, in which a head is
born, or is not where it should not be."""

import re

import pytest
from playwright.sync_api import Page, expect

from helpers.course.site import __main__ as command
from tests.browser import SCREENSHOTS
from tests.browser.visits import serving
from tests.patience import PATIENCE

pytestmark = pytest.mark.browser
expect.set_options(1000 * PATIENCE)

MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nothing lies beside it."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "birth.html").write_bytes(command.birth())
    return folder


@pytest.fixture
def page(visits, folder) -> Page:
    return alive(visits.open(f"file://{folder}", "birth"))


def alive(page: Page) -> Page:
    expect(page.locator("[data-alive] .where")).to_have_text("step 0 of 400")
    return page


def choose(page: Page, **settings) -> None:
    """Set the controls by their labels."""
    for label, value in settings.items():
        control = page.get_by_label(label.replace("_", " "))
        control.check() if value is True else control.select_option(value)


def train_to(page: Page, step: int) -> None:
    """Train until the training stands at this step or later."""
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_function(
        "(step) => +document.querySelector('.where').textContent.split(' ')[1] >= step", arg=step
    )
    page.get_by_role("button", name="Pause").click()


def to_birth(page: Page):
    return page.get_by_role("button", name="To the birth")


# ---- one file


def test_it_is_small(folder):
    assert (folder / "birth.html").stat().st_size <= MOST_BYTES


def test_it_asks_for_nothing_but_its_own_worker(visits, folder):
    with serving(folder) as address:
        for origin in (f"file://{folder}", address):
            visits.asked.clear()
            alive(visits.open(origin, "birth"))
            [page, worker] = visits.asked
            assert page == f"{origin}/birth.html" and worker.startswith("blob:")


def test_it_leads_to_the_course_where_the_course_is(visits, folder):
    with serving(folder) as address:
        course = visits.open(address, "birth").get_by_role("link", name="The course")
        expect(course).to_have_attribute("href", "index.html")
    alone = visits.open(f"file://{folder}", "birth")
    expect(alone.get_by_role("link", name="The course")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 800, 1600])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_wears_the_systems_theme(visits, folder, width, theme):
    window = {"width": width, "height": 900}
    page = alive(visits.open(f"file://{folder}", "birth", viewport=window, color_scheme=theme))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert (
        page.evaluate("() => document.body.dataset.jpThemeLight") == str(theme == "light").lower()
    )
    page.screenshot(path=SCREENSHOTS / f"birth_{width}_{theme}.png", full_page=True)


# ---- a birth, and its controls


def test_a_head_is_born_and_answers_a_row_of_ones_own(page):
    expect(to_birth(page)).to_be_disabled()
    train_to(page, 120)
    expect(to_birth(page)).to_be_enabled()
    expect(page.locator(".asking li").first).to_have_class("match")
    page.get_by_label("Your row").fill("5 6 7 5 6")
    expect(page.locator(".asking p")).to_contain_text("The trick says 7.")
    expect(page.locator(".asking li.match b")).to_have_text("7")
    to_birth(page).click()
    expect(page.locator(".where")).to_have_text(re.compile(r"step [4-9]\d of 400"))


@pytest.mark.parametrize(
    ("settings", "born"),
    [
        (dict(layers="1"), False),  # nobody to read
        (dict(layers="1", smeared_keys=True), True),  # keys that hold the token before
        (dict(data="one fixed period"), False),  # a distance is enough
    ],
)
def test_the_controls_are_what_the_page_says_of_them(page, settings, born):
    choose(page, **settings)
    train_to(page, 120)
    expect(to_birth(page)).to_be_enabled(enabled=born)


def test_a_text_is_refused_in_words(page):
    choose(page, data="text")
    expect(page.locator(".note")).to_contain_text("a text is not trained on in a browser tab")
    expect(page.get_by_label("data")).to_have_value("random periods")


def test_it_works_from_the_keyboard(page):
    page.keyboard.press("Tab")
    while page.evaluate("() => document.activeElement.textContent") != "Step":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    where = page.locator(".where")
    expect(where).to_have_text("step 1 of 400")
    page.get_by_label("Scrub through the training").focus()
    page.keyboard.press("ArrowLeft")
    expect(where).to_have_text("step 0 of 400")


# ---- browsers that lack something


def changed(folder, name: str, program: str, page: str = "") -> None:
    """The same page, with something before the worker's program and before its own."""
    text = (folder / "birth.html").read_text(encoding="utf-8")
    assert text.count('course.trainer = "') == text.count("<script>(() =>") == 1
    text = text.replace('course.trainer = "', f'course.trainer = "{program}')
    text = text.replace("<script>(() =>", f"<script>{page};(() =>")
    (folder / f"{name}.html").write_text(text, encoding="utf-8")


def test_without_simd_it_trains_all_the_same(visits, folder):
    changed(folder, "plain", "WebAssembly.validate = () => false;")
    page = alive(visits.open(f"file://{folder}", "plain"))
    for step in (1, 2):
        page.get_by_role("button", name="Step").click()
        expect(page.locator(".where")).to_have_text(f"step {step} of 400")


@pytest.mark.parametrize(
    ("program", "page"),
    [
        ("throw new Error('none');", ""),
        ("", "window.Worker = class { constructor() { throw new Error('none'); } }"),
    ],
    ids=["a worker that fails", "no worker"],
)
def test_where_no_training_starts_it_says_so(visits, folder, program, page):
    changed(folder, "without", program, page)
    page = visits.open(f"file://{folder}", "without")
    expect(page.locator("#birth")).to_contain_text("This browser starts no training in a page.")
    assert visits.complaints
    visits.complaints.clear()
