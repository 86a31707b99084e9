"""The paths explorable in a real browser: its sums are Python's, by pointer and by keyboard
alone."""

import pytest

from tests.browser.every import EVERY, stands

pytestmark = pytest.mark.browser


@pytest.fixture
def oracle(bare):
    """The explorable itself: Python's sums."""
    yield bare.show(EVERY["paths"].make())
    bare.screenshot("paths")


@pytest.fixture
def page(bare, oracle):
    stands(bare.page, "paths")
    return bare.page


def settled(page) -> None:
    """What can wait for the next frame has been computed and drawn."""
    page.locator(".paths .groups[aria-busy=false]").wait_for()


def loss(page) -> float:
    return float(page.locator(".paths .losses").get_attribute("data-loss"))


def switch(page, name: str):
    return page.locator(f'.paths .switch input[aria-label^="{name}, worth"]')


def button(page, name: str):
    return page.locator(".paths").get_by_role("button", name=name, exact=True)


def worths(page) -> list[str]:
    return page.locator(".paths .switch .number").all_inner_texts()


def test_the_loss_is_pythons_for_any_terms(page, oracle):
    assert loss(page) == pytest.approx(oracle.loss_of(oracle.terms), abs=1e-6)
    on = set(oracle.terms)
    for name in ("1.1", "0.2 -> 1.0", "1.3", "direct", "1.1", "1.0"):
        switch(page, name).click()
        on ^= {name}
        assert loss(page) == pytest.approx(oracle.loss_of(on), abs=1e-5)
    button(page, "All off").click()
    assert loss(page) == pytest.approx(oracle.loss_of([]), abs=1e-6)
    button(page, "Direct path alone").click()
    assert loss(page) == pytest.approx(oracle.loss_of("direct"), abs=1e-5)


def test_each_switch_says_what_its_term_is_worth(page, oracle):
    names = list(oracle.terms)
    button(page, "Direct path alone").click()
    settled(page)
    alone = oracle.loss_of("direct")
    for name, said in zip(names, worths(page), strict=True):
        without = (
            oracle.loss_of([]) - alone
            if name == "direct"
            else alone - oracle.loss_of(["direct", name])
        )
        assert float(said.replace("−", "-")) == pytest.approx(without, abs=0.0051)
    page.locator(".paths .switch").nth(names.index("1.0")).hover()
    with_it = oracle.loss_of(["direct", "1.0"])
    assert (
        f"With 1.0 the loss would be {with_it:.2f} instead of {alone:.2f} nats"
        in page.locator(".paths .says").inner_text()
    )

    button(page, "Sort by size").click()
    virtual = page.locator(".paths fieldset").last.locator(".switch .number").all_inner_texts()
    sizes = [abs(float(said.replace("−", "-"))) for said in virtual]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]


def test_everything_by_keyboard_alone(page, oracle):
    page.locator(".paths .chip").nth(47).focus()
    page.keyboard.press("Home")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert page.locator(".paths h4").nth(1).inner_text().startswith("After position 30 “")
    for _ in range(4):  # to the buttons
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # the direct path: one stop a group
    page.keyboard.press("Tab")  # all paths through one head
    page.keyboard.press("Space")
    virtual = {name for name in oracle.terms if "->" in name}
    assert loss(page) == pytest.approx(oracle.loss_of({"direct"} | virtual), abs=1e-5)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert loss(page) == pytest.approx(oracle.loss_of({"direct", "0.1"} | virtual), abs=1e-5)
    assert page.locator(".paths legend input").nth(1).evaluate("input => input.indeterminate")
    page.keyboard.press("ArrowDown")  # the term below in the grid
    page.keyboard.press("Space")
    assert loss(page) == pytest.approx(oracle.loss_of({"direct", "0.1", "1.1"} | virtual), abs=1e-5)


def test_the_predictions_follow(page, oracle):
    chosen = page.locator(".paths .chip").nth(40)
    chosen.hover()
    target = oracle.targets[40].item()
    best = page.locator(".paths .top .word").first
    assert best.inner_text() == f"1. {target} ✓"
    button(page, "Direct path alone").click()
    expected = oracle.terms["direct"][40].softmax(-1)
    order = expected.argsort(descending=True).tolist()
    assert best.inner_text().split()[1] == str(order[0])
    said = page.locator(".paths .top").get_attribute("aria-label")
    assert (
        f"the right answer “{target}” is number {order.index(target) + 1} with probability "
        f"{expected[target]:.2f}" in said
    )
    assert chosen.get_attribute("aria-label").endswith(f"right answer {expected[target]:.2f}")


def test_without_any_term_all_tokens_are_alike_and_it_says_so(page, oracle):
    page.locator(".paths .chip").nth(40).hover()
    button(page, "All off").click()
    top, target = page.locator(".paths .top"), oracle.targets[40].item()
    words = f"All {oracle.scene['d_vocab']} tokens are alike"
    assert top.inner_text().startswith(words) and f"“{target}”" in top.inner_text()
    assert words in top.get_attribute("aria-label") and not top.locator(".word").count()
    button(page, "All on").click()
    assert top.locator(".word").first.inner_text() == f"1. {target} ✓"


def test_python_switches_and_hears_of_switches(bare, page, oracle):
    oracle.switch(["direct", "1.0", "0.0 -> 1.1"])
    assert page.locator(".paths .switch input:checked").count() == 3
    assert loss(page) == pytest.approx(oracle.loss_of(["direct", "1.0", "0.0 -> 1.1"]), abs=1e-5)
    switch(page, "0.3 -> 1.3").click()
    bare.until(lambda: oracle.on == ["direct", "1.0", "0.0 -> 1.1", "0.3 -> 1.3"])
