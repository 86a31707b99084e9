"""The bare page does for a view what JupyterLab does: state and messages go both ways, bytes and
all, and what goes wrong is seen."""

import anywidget
import pytest
import traitlets

from tests.browser.bare import SITE, Bare

pytestmark = pytest.mark.browser

VIEW = """
let born = 0;
export default {
    initialize({ model }) { model.born = ++born; },
    render({ model, el }) {
        const number = document.createElement("button"), heard = document.createElement("output");
        const draw = () => { number.textContent = model.get("number"); };
        const hear = (content, buffers) => {
            const second = buffers.map((one) => [one.constructor.name, one.getUint8(1)]);
            heard.textContent = JSON.stringify([content, second]);
        };
        number.addEventListener("click", () => {
            model.set("number", model.get("number") + 1);
            model.save_changes();
        });
        heard.addEventListener("click", () => {
            model.send({ do: "greet" }, undefined, [new Uint8Array([7, 8, 9])]);
        });
        model.on("change:number", draw);
        model.on("msg:custom", hear);
        el.append(number, heard);
        draw();
        return () => {
            model.off("change:number", draw);
            model.off("msg:custom", hear);
            window.cleaned = true;
        };
    },
};
"""


class Counter(anywidget.AnyWidget):
    _esm = VIEW
    _css = "output { color: rgb(1, 2, 3); display: block; min-height: 20px }"
    number = traitlets.Int(3, max=9).tag(sync=True)
    packed = traitlets.Dict().tag(sync=True)


@pytest.fixture
def counter(bare):
    return bare.show(Counter(packed=dict(inside=[b"\x01\x02", dict(deep=b"\x03")])))


@pytest.fixture
def alone(browser):
    """A page of which a test expects complaints."""
    page = browser.new_page()
    yield Bare(page)
    page.close()


def test_a_view_stands_in_its_style(bare, counter):
    assert bare.page.locator("main button").inner_text() == "3"
    colour = "() => getComputedStyle(document.querySelector('output')).color"
    assert bare.page.evaluate(colour) == "rgb(1, 2, 3)"


def test_what_the_page_saves_reaches_python_and_what_python_sets_the_page(bare, counter):
    button = bare.page.locator("main button")
    button.click()
    bare.until(lambda: counter.number == 4)
    counter.number = 7
    assert button.inner_text() == "7"


def test_two_views_share_one_model_and_one_may_go(bare, counter):
    bare.show(counter)
    buttons = bare.page.locator("main button")
    buttons.first.click()
    assert buttons.all_inner_texts() == ["4", "4"]
    bare.remove()
    assert bare.page.evaluate("() => window.cleaned")
    counter.number = 8
    assert buttons.all_inner_texts() == ["8"]
    assert bare.page.evaluate("() => views[1].model.born") == 1


def test_bytes_are_where_they_were_in_the_state(bare, counter):
    read = """() => {
        const [one, { deep }] = views[0].model.get("packed").inside;
        return [one.constructor.name, one.getUint8(1), deep.getUint8(0)];
    }"""
    assert bare.page.evaluate(read) == ["DataView", 2, 3]


def test_messages_go_both_ways_with_their_bytes(bare, counter):
    heard = []
    counter.on_msg(lambda _, content, buffers: heard.append((content, bytes(buffers[0]))))
    output = bare.page.locator("main output")
    counter.send(dict(hello=[1, None]), buffers=[b"\x05\x06"])
    assert output.inner_text() == '[{"hello":[1,null]},[["DataView",6]]]'
    output.click()
    bare.until(lambda: heard == [(dict(do="greet"), b"\x07\x08\x09")])


def test_an_answer_may_be_given_at_once(bare, counter):
    """To what the page says, while it waits for nothing."""
    counter.on_msg(lambda *_: counter.send(dict(answer=counter.number), buffers=[b"ab"]))
    bare.page.locator("main output").click()
    bare.page.locator("main output").filter(has_text='"answer":3').wait_for()


def test_what_is_no_json_is_refused(bare, counter):
    with pytest.raises(ValueError, match="not JSON compliant"):
        counter.send(dict(loss=float("nan")))


def test_an_error_in_python_fails_the_test_that_caused_it(alone):
    with pytest.raises(AssertionError, match="should not be greater than 9"):
        with alone.empty():
            counter = alone.show(Counter(number=9))
            seen = []
            counter.on_msg(lambda *_: seen.append(1))
            alone.page.locator("main button").click()
            alone.page.locator("main output").click()
            alone.until(lambda: seen)


def test_an_error_in_the_page_fails_the_test_that_caused_it(alone):
    with pytest.raises(AssertionError, match="page: .*nothing here"):
        with alone.empty():
            alone.page.evaluate(
                "() => { requestAnimationFrame(() => { throw Error('nothing here'); }); }"
            )
            alone.until(lambda: alone.errors)


def test_an_address_elsewhere_fails_the_test_that_asked_for_it(alone):
    with pytest.raises(AssertionError, match="outside this machine: http://elsewhere.test/x"):
        with alone.empty():
            alone.page.evaluate("() => fetch('http://elsewhere.test/x').catch(() => {})")


def test_the_repository_can_be_asked_for_and_nothing_else(bare):
    asked = (
        "path => fetch(path).then((answer) => [answer.status, answer.headers.get('content-type')])"
    )
    shared = f"{SITE}/helpers/explorables/shared/common"
    assert bare.page.evaluate(asked, f"{shared}.js") == [200, "text/javascript"]
    assert bare.page.evaluate(asked, f"{shared}.css") == [200, "text/css"]
    bare.page.evaluate(asked, f"{SITE}/helpers/nothing.js")
    assert "404" in bare.errors.pop()


def test_time_passes_when_it_is_told_to(bare):
    bare.stop_time()
    bare.page.evaluate("() => { window.ticks = 0; setInterval(() => ticks++, 100); }")
    bare.page.evaluate("() => fetch('/')")
    assert bare.page.evaluate("() => ticks") == 0
    bare.pass_time(1000)
    assert bare.page.evaluate("() => ticks") == 10


def test_it_wears_jupyterlabs_colours(bare, counter):
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = bare.page.evaluate(paper)
    bare.wear("Dark")
    assert light == "rgb(255, 255, 255)" and bare.page.evaluate(paper) == "rgb(17, 17, 17)"
    assert bare.page.evaluate("() => document.body.dataset.jpThemeLight") == "false"
