"""The site in a real browser: from a disk and from a server every page stands on its own, every
view lives without a kernel, and nothing is asked of anybody else."""

import base64
import io
import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from playwright.sync_api import Page, expect

from helpers.course import build
from helpers.course.site import __main__ as command
from helpers.course.site import recordings, states
from helpers.explorables import HERE, script
from helpers.explorables.discovery import Discovery
from tests.browser import SCREENSHOTS
from tests.browser.every import EVERY, NAMES, says, says_anew, use
from tests.browser.lab import FRAMES
from tests.browser.visits import Visits, serving
from tests.patience import PATIENCE, until

pytestmark = pytest.mark.browser
expect.set_options(1000 * PATIENCE)

SET_UP = """import torch
from tests.browser.every import batch, trained, Discovery, EVERY
from tests.browser.test_attention_reads import TEXT, Reads, model
from helpers.explorables.attention import Attention"""
CELLS = {name: f'EVERY["{name}"].make()' for name in NAMES}
CELLS["prediction"] = f"asked = {CELLS['prediction']}\nasked"
CELLS["reads"] = "Attention(model(), text=TEXT, tokenizer=Reads())"


def still() -> str:
    """A PNG, as it stands in a notebook where a view would be."""
    drawn = io.BytesIO()
    Image.new("RGBA", (600, 300)).save(drawn, "PNG")
    return base64.b64encode(drawn.getvalue()).decode()


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site of one notebook that shows every explorable, and of the course's texts."""
    notebook = new_notebook(cells=[new_markdown_cell("# Does everything live?")])
    for name, source in {"set-up": SET_UP, **CELLS}.items():
        cell = new_code_cell(source, id=name)
        if name in CELLS:
            data = {"image/png": still(), "text/plain": f"{name}, as it opens"}
            cell.outputs = [new_output("execute_result", data, execution_count=1)]
        notebook.cells.append(cell)
    came = new_code_cell('asked.came("A")')  # later than what is on the page
    came.outputs = [new_output("stream", text="measured: 3\nIt was A at ≈ 9.\n")]
    notebook.cells.append(came)
    folder = tmp_path_factory.mktemp("site")
    path = folder / "00_start_here.ipynb"
    nbformat.write(notebook, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(build.ROOT), prepend=os.pathsep)  # for the kernel
        alive = {path: states.of_notebook(path)}
    command.write(command.site([path, *build.all_notebooks()[1:]], alive), folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def served(site):
    """The same folder behind a web server; its address."""
    with serving(site) as address:
        yield address


def lives(page: Page) -> None:
    """Wait until every view of the page lives."""
    expect(page.locator("[data-view]:not([data-alive])")).to_have_count(0)


@pytest.fixture
def visit(visits, site):
    """`visit("index")`: the page, from the disk, with all that lives in it."""

    def visit(name: str, origin: str = f"file://{site}", whole=True, **options) -> Page:
        page = visits.open(origin, name, **options)
        if whole:
            lives(page)
        return page

    visit.complaints = visits.complaints
    return visit


@pytest.fixture
def fresh(visit) -> Page:
    """The page of all views, as it opens."""
    return visit("00_start_here")


@pytest.fixture(scope="module")
def standing(browser, site):
    """The same, opened once for all who leave the others' views alone."""
    visits = Visits(browser)
    page = visits.open(f"file://{site}", "00_start_here")
    lives(page)
    yield page, visits.complaints
    visits.close()


@pytest.fixture
def page(standing) -> Page:
    page, complaints = standing
    yield page
    assert complaints == []


# ---- on its own


def test_every_page_opens_from_a_disk_and_from_a_server_and_asks_nobody(visit, site, served):
    for origin in (f"file://{site}", served):
        page = visit("index", origin)
        for name in sorted(path.stem for path in site.glob("*.html")):
            page.goto(f"{origin}/{name}.html")
            lives(page)
            assert page.locator("h1").first.inner_text()


def test_a_stray_address_is_seen(visit):
    stray = """new Promise((done) => {
      Object.assign(new Image(), { src: "http://course.test/x.png", onerror: done });
    })"""
    visit("index").evaluate(stray)
    assert "asked for http://course.test/x.png" in visit.complaints
    visit.complaints.clear()


def test_every_view_lives(page):
    assert page.locator("[data-view]").count() == len(CELLS)
    assert page.locator("[data-view] .still").count() == 0
    for name in NAMES:
        page.locator(f".{name} {EVERY[name].stands}").first.wait_for(state="attached")


def test_where_a_view_fails_its_still_stands(visit, site):
    folder = site.parent / "without_views"
    shutil.copytree(site, folder, ignore=shutil.ignore_patterns("views"))
    page = visit("00_start_here", f"file://{folder}", whole=False)
    every = 2 * len(NAMES) + len(CELLS)  # scripts and styles that are missing, and what they do
    until(lambda: len(visit.complaints) == every, page)
    expect(page.locator("[data-view] .still img")).to_have_count(len(CELLS))
    visit.complaints.clear()


# ---- by keyboard and by pointer


POINTED = {
    "attention": ".chip:nth-child(20)",
    "paths": ".switch",
    "prediction": "label:nth-of-type(1)",  # the keys choose the other
    "discovery": "canvas",
    "rotation": "input[type=range]",
    "savings": ".chip:nth-child(20)",
    "virtual-weights": "canvas",
}


def words(page: Page, name: str) -> str:
    return page.locator(f".{name}").first.inner_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_view_answers_to_keys(page, name):
    before = words(page, name)
    page.keyboard.press(use(page, name))
    until(lambda: words(page, name) != before, page)


@pytest.mark.parametrize("name", NAMES)
def test_a_view_answers_to_the_pointer(page, name):
    before = words(page, name)
    page.locator(f".{name} {POINTED[name]}").first.click()
    until(lambda: words(page, name) != before, page)


# ---- what a kernel would answer


def test_a_prediction_is_taken_and_can_be_changed(fresh):
    came = fresh.locator(".came pre")
    fresh.get_by_role("radio", name="another").check()
    assert says(fresh, "prediction").startswith("You say B. ")
    expect(came).not_to_be_visible()  # the number is still wanted
    fresh.locator(".prediction input[type=number]").fill("12")
    fresh.keyboard.press("Tab")
    assert says_anew(fresh, "prediction", "").startswith("You say B at 12. ")
    expect(came).to_have_text("measured: 3\nYou said B at 12; it was A at ≈ 9.\n")
    fresh.get_by_role("radio", name="the same").check()
    expect(came).to_have_text("measured: 3\nYou said A at 12; it was A at ≈ 9.\n")


def test_what_came_is_covered_until_one_looks(fresh):
    came = fresh.locator(".came pre")
    expect(came).not_to_be_visible()
    fresh.get_by_role("button", name="Show what came").click()
    expect(came).to_have_text("measured: 3\nIt was A at ≈ 9.\n")
    expect(fresh.get_by_role("button", name="Show what came")).to_have_count(0)


def test_what_came_stands_on_paper_and_without_a_script(fresh, visit, site):
    fresh.emulate_media(media="print")
    expect(fresh.locator(".came pre")).to_be_visible()
    bare = visit("00_start_here", whole=False, java_script_enabled=False)
    expect(bare.locator(".came pre")).to_be_visible()


def test_a_tap_shows_a_picture_in_full_size(visit):
    page = visit("03_privileged_basis", viewport=dict(width=390, height=800))
    picture = page.locator("main > .picture").first
    wide = "(picture) => picture.scrollWidth > picture.clientWidth"
    assert not picture.evaluate(wide)
    picture.click()
    assert picture.evaluate(wide)
    picture.click()
    assert not picture.evaluate(wide)


def train(page: Page) -> None:
    page.locator(".discovery").get_by_role("button", name="Train", exact=True).click()


def to_birth(page: Page):
    return page.locator(".discovery").get_by_role("button", name="To the birth")


def test_a_head_is_born_on_the_front_page_and_answers_a_row_of_ones_own(visit, served):
    """In the tab itself: the recording knows one row only."""
    page = visit("index", served)
    expect(to_birth(page)).to_be_disabled()
    train(page)
    expect(to_birth(page)).to_be_enabled()
    page.get_by_label("Your row").fill("5 6 7 5 6")
    expect(page.locator(".discovery .asking p")).to_contain_text("The trick says 7.")
    expect(page.locator(".discovery .asking li.match b")).to_have_text("7")
    page.locator(".discovery").get_by_role("button", name="Pause").click()
    to_birth(page).click()
    expect(page.locator(".discovery .where")).not_to_contain_text("step 0 of")


def test_a_page_trains_what_is_chosen(fresh):
    view = fresh.locator(".discovery")
    view.get_by_label("layers").select_option("1")
    view.get_by_label("seed").fill("3")
    fresh.keyboard.press("Tab")
    expect(view.locator(".board button")).to_have_count(4)
    view.get_by_role("button", name="Step").click()
    expect(view.locator(".where")).to_have_text("step 1 of 400")
    expect(view.get_by_label("seed")).to_have_value("3")


def test_a_text_is_replayed_and_said_to_be(fresh):
    view = fresh.locator(".discovery")
    view.get_by_label("layers").select_option("3")  # what is recorded has its own
    view.get_by_label("data").select_option("text")
    expect(view.locator(".note")).to_contain_text("replays one that was recorded")
    expect(view.get_by_label("layers")).to_have_value("2")
    view.get_by_label("seed").fill("3")
    fresh.keyboard.press("Enter")
    expect(view.locator(".note")).to_contain_text("one training, recorded")
    expect(view.get_by_label("seed")).to_have_value("0")
    train(fresh)
    expect(to_birth(fresh)).to_be_enabled()
    view.get_by_label("data").select_option("one fixed period")
    expect(view.locator(".where")).to_have_text("step 0 of 400")
    expect(view.locator(".note")).to_have_text("")
    expect(view.get_by_label("Your row")).to_have_value("17 4 52 9 31 17 4 52")


@pytest.fixture
def beside_a_worker(bare):
    """Runs a function of the page on the model of a training there, whose worker is silent: `ask`
    chooses another task, `hear` is the worker's word and gives the status after it, and `heard`
    what the worker was sent."""

    def run(function: str):
        return bare.page.evaluate(
            """async (text) => {
              let worker;
              const heard = [];
              globalThis.Worker = class {
                constructor() {
                  worker = this;
                  const traits = { settings: {}, row: { typed: "1" }, status: "training" };
                  queueMicrotask(() => this.onmessage({ data: { traits } }));
                }
                postMessage(message) { heard.push(message.do); }
              };
              globalThis.course = { trainer: "", recordings: { text } };
              const { modelOfTraining } = await import("/helpers/course/site/training.js");
              const model = await modelOfTraining();
              const ask = (task) => model.send({ do: "reset", settings: { task } });
              const hear = (status) => {
                worker.onmessage({ data: { traits: { status } } });
                return model.get("status");
              };
              return (%s)({ model, ask, hear, heard });
            }"""
            % function,
            base64.b64encode(recordings.text()).decode(),
        )

    return run


def test_a_training_that_is_left_is_not_heard_until_it_is_asked_again(beside_a_worker):
    """Its last look may come when the recording has opened already."""
    statuses = beside_a_worker(
        """async ({ ask, hear }) => {
          await ask("text");
          const left = hear("paused");
          await ask("random periods");
          return [left, hear("finished")];
        }"""
    )
    assert statuses == ["ready", "finished"]


def test_another_choice_while_a_recording_loads_wins(beside_a_worker):
    found = beside_a_worker(
        """async ({ ask, hear, heard }) => {
          const loaded = ask("text");
          ask("random periods");
          await loaded;
          return [hear("finished"), heard];
        }"""
    )
    assert found == ["finished", ["pause", "reset"]]


def test_a_training_that_is_set_going_while_a_recording_loads_rests_when_it_opens(beside_a_worker):
    found = beside_a_worker(
        """async ({ model, ask, hear, heard }) => {
          const loaded = ask("text");
          model.send({ do: "train" });
          await loaded;
          return [hear("training"), heard];
        }"""
    )
    assert found == ["ready", ["pause", "train", "pause"]]


NO_WORKERS = "window.Worker = class { constructor() { throw new Error('forbidden'); } };"


@pytest.fixture
def forbidden(visit):
    """The page in a browser that starts no Worker."""
    page = visit("index", whole=False)
    page.add_init_script(NO_WORKERS)
    page.reload()
    lives(page)
    return page


def test_without_a_worker_the_stored_run_is_replayed_to_its_end_and_begins_again(forbidden):
    view = forbidden.locator(".discovery")
    where = view.locator(".where")  # written at the next frame
    expect(where).to_contain_text("step 0 of")
    expect(view.locator(".note")).to_contain_text("a recorded one is replayed")
    train(forbidden)
    expect(where).not_to_contain_text("step 0 of")
    view.get_by_role("button", name="Pause").click()
    train(forbidden)
    expect(view.get_by_role("button", name="Train")).to_be_disabled()
    expect(where).to_contain_text(re.compile(r"step (\d+) of \1\b"))
    last = where.inner_text().split()
    assert "heads match prefixes" in says(forbidden, "discovery")
    to_birth(forbidden).click()
    expect(where).not_to_contain_text(f"step {last[1]} ")
    view.get_by_role("button", name="Reset").click()
    expect(where).to_contain_text("step 0 of")
    expect(view.get_by_role("button", name="Train")).to_be_enabled()


def test_a_recorded_training_says_what_it_cannot(forbidden):
    view = forbidden.locator(".discovery")
    view.get_by_label("seed").fill("3")
    forbidden.keyboard.press("Enter")
    expect(view.locator(".note")).to_contain_text("one training, recorded")
    expect(view.get_by_label("seed")).to_have_value("0")
    view.get_by_label("Your row").fill("1 2 1")
    expect(view.locator(".note")).to_contain_text("asked this one row")


def test_from_one_recording_to_the_other_and_back_whatever_is_asked_for(forbidden):
    view = forbidden.locator(".discovery")
    view.get_by_label("data").select_option("text")
    expect(view.locator(".where")).to_have_text("step 0 of 2400")
    view.get_by_label("data").select_option("one fixed period")  # of which there is none
    expect(view.locator(".where")).to_have_text("step 0 of 400")
    expect(view.get_by_label("data")).to_have_value("random periods")
    expect(view.locator(".note")).to_contain_text("one training, recorded")


def test_a_recording_that_is_missing_is_said_to_be_and_the_training_stays(visit, site):
    folder = site.parent / "without_recordings"
    shutil.copytree(site, folder, ignore=shutil.ignore_patterns("recordings"))
    page = visit("index", f"file://{folder}")
    view = page.locator(".discovery")
    view.get_by_label("data").select_option("text")
    expect(view.locator(".note")).to_contain_text("a file of this site is missing")
    expect(view.get_by_label("data")).to_have_value("random periods")
    view.get_by_role("button", name="Step").click()
    expect(view.locator(".where")).to_have_text("step 1 of 400")
    visit.complaints.clear()


def test_the_training_opens_as_the_notebooks_did(bare):
    """With the settings and the row that the widget had when it was shown."""
    shown = Discovery(n_layers=1, seed=3)
    shown.ask("5 6 7 5 6")
    program = script(HERE / "discovery" / "trainer" / "worker.js")
    bare.page.evaluate(
        """async ([state, program]) => {
          globalThis.course = { trainer: program, recordings: {} };
          const { modelOfTraining } = await import("/helpers/course/site/training.js");
          globalThis.model = await modelOfTraining(state);
        }""",
        [states.own_state(shown), program],
    )
    for name in ("settings", "row"):
        bare.until(
            lambda name=name: (
                bare.page.evaluate("(n) => model.get(n)", name) == shown.get_state()[name]
            )
        )
    bare.page.evaluate("() => model.close()")


def test_nothing_is_offered_to_type_in_where_nobody_reads_it(page):
    expect(page.locator(".attention")).to_have_count(2)
    expect(page.get_by_label("Your text")).to_have_count(0)


def test_the_diagram_has_its_matrices(page):
    canvas = page.locator(".virtual-weights canvas").first
    drawn = "(canvas) => canvas.toDataURL()"
    before = canvas.evaluate(drawn)
    page.locator(".virtual-weights").get_by_role("button", name="matrix").click()
    until(lambda: canvas.evaluate(drawn) != before, page)


# ---- how it looks


WIDTHS = (1600, 800, 390)
WIDE = "() => document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def wide(browser, site) -> dict[int, dict[str, int]]:
    """How wide every page is in a window that gets narrower."""
    visits, found = Visits(browser), {width: {} for width in WIDTHS}
    page = visits.open(f"file://{site}", "index")
    for name in sorted(path.stem for path in site.glob("*.html")):
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        page.goto(f"file://{site}/{name}.html")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(FRAMES, 2)
            found[width][name] = page.evaluate(WIDE)
            if name == "00_start_here":
                page.screenshot(path=SCREENSHOTS / f"site_{width}.png")
    visits.close()
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_scrolls_sideways(wide, width):
    assert {name: is_wide for name, is_wide in wide[width].items() if is_wide > width} == {}


def ground(page: Page) -> str:
    return page.evaluate("() => getComputedStyle(document.body).backgroundColor")


def test_the_theme_is_the_systems_until_the_reader_chooses(visit, served):
    page = visit("00_start_here", served, color_scheme="dark")
    dark = ground(page)
    assert page.evaluate("() => document.body.dataset.jpThemeLight") == "false"
    page.get_by_role("button", name="Dark").click()
    light = ground(page)
    assert light != dark
    page.reload()
    assert ground(page) == light


def test_on_paper_it_is_light_and_without_its_bar(visit):
    page = visit("00_start_here", color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("() => document.body.dataset.jpThemeLight") == "true"
    assert not page.locator("header").is_visible()
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("() => document.body.dataset.jpThemeLight") == "false"


def test_code_is_folded_until_it_is_asked_for(page):
    code = page.locator("details.code .highlight")
    assert not code.first.is_visible()
    page.get_by_role("button", name="All code").click()
    assert all(one.is_visible() for one in code.all())


# ---- the stand-in for a kernel


def test_bytes_come_back_each_to_its_own_place(ask):
    state = {"flat": b"\x01\x02\x03", "deep": {"bytes": b"\n"}, "words": "é"}
    packed = states.pack(state, [(dict(type="model"), [b"one", b""]), (dict(type="end"), [])])
    read = ask(
        "../course/site/stored",
        """async ({ unpacked }, text) => {
          const numbers = ({ buffer }) => [...new Uint8Array(buffer)];
          const { state, opening } = await unpacked(text);
          return [numbers(state.flat), numbers(state.deep.bytes), state.words,
            opening.map(({ content, buffers }) => [content.type, buffers.map(numbers)])];
        }""",
        base64.b64encode(packed).decode(),
    )
    assert read == [[1, 2, 3], [10], "é", [["model", [[*b"one"], []]], ["end", []]]]


def test_a_model_says_what_changes_and_saves_what_was_set(ask):
    heard, saved = ask(
        "shared/model",
        """({ makeModel }) => {
          const heard = [], saved = [];
          const model = makeModel({ on: 1 }, { save: (state) => saved.push(state), send() {} });
          const hear = (_, value) => heard.push(value);
          model.on("change:on", hear);
          model.set("on", 1); // nothing new
          model.save_changes();
          model.set("on", 2);
          model.save_changes();
          model.off("change:on", hear);
          model.set("on", 3);
          model.send({ do: "nothing" });
          return [heard, saved];
        }""",
    )
    assert heard == [2] and saved == [{"on": 2}]


@pytest.mark.parametrize("view", ["prediction", "attention", "rotation", "paths"])
def test_no_message_throws(ask, view):
    said = ask(
        "../course/site/answers",
        """async ({ modelFor }, view) => {
          const said = [];
          addEventListener("error", ({ message }) => said.push(message));
          const model = await modelFor(view, { state: {}, opening: [] });
          for (const message of [{}, { do: "closed" }, { do: "saw" }, { do: "no such thing" }])
            model.send(message);
          for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
          return said;
        }""",
        view,
    )
    assert said == []
