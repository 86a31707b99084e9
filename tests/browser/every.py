"""All explorables, for what holds of every one of them, and what a test asks of any view."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
from playwright.sync_api import Page

from helpers.explorables.attention import Attention
from helpers.explorables.discovery import Discovery
from helpers.explorables.paths import Paths
from helpers.explorables.prediction import Prediction
from helpers.explorables.rotation import Rotation
from helpers.explorables.savings import Savings
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, Head
from helpers.sequences import Batch, repeated_block
from helpers.training import runs


@cache
def trained() -> AttentionOnlyTransformer:
    """The model that ships with the course."""
    return runs.load(runs.DATA / "runs" / "two_layers").model_at()


@cache
def batch() -> Batch:
    """One sequence that repeats itself."""
    return repeated_block(1, 48, 64, torch.Generator().manual_seed(1), periods=[14])


@cache
def induction_heads() -> list[Head]:
    """Those of this model."""
    return heads.discover(trained()).induction_heads


@cache
def measured() -> tuple[VirtualWeights, dict[str, str]]:
    """The diagram, whose links take longer to measure than to show, and what it opens with."""
    diagram = VirtualWeights(trained())
    return diagram, diagram.lit


def as_it_opens() -> VirtualWeights:
    diagram, opened = measured()
    diagram.lit = opened
    return diagram


class One(NamedTuple):
    """An explorable: how to make it, what is there once it stands, and its main control with a key
    that moves it."""

    make: Callable[[], Any]
    stands: str
    control: str
    key: str


EVERY = {
    "attention": One(
        lambda: Attention(trained(), batch().tokens),
        ".chip:nth-child(48)",
        ".chip[tabindex='0']",
        "ArrowLeft",
    ),
    "paths": One(
        lambda: Paths(trained(), *batch()),
        ".groups[aria-busy=false] .switch",
        ".chip[tabindex='0']",
        "ArrowLeft",
    ),
    "virtual-weights": One(as_it_opens, ".strip circle", "canvas", "ArrowDown"),
    "rotation": One(
        lambda: Rotation(trained(), heads.probe(64, 48)[3]),
        ".graph circle",
        "input[type=range]",
        "ArrowRight",
    ),
    "prediction": One(
        lambda: Prediction("What next?", dict(A="the same", B="another"), "At which step?"),
        "input[type=number]",
        "input[type=radio]",
        "ArrowDown",
    ),
    "savings": One(
        lambda: Savings(trained(), batch().tokens, without=induction_heads()),
        ".chip:nth-child(48)",
        ".chip[tabindex='0']",
        "ArrowLeft",
    ),
    "discovery": One(Discovery, ".board button:nth-child(8)", "canvas", "ArrowUp"),
}
NAMES = list(EVERY)


def endless(discovery: Discovery) -> Discovery:
    """Let it train until it is told to stop: a test that is slow finds it so. Nor is a view that is
    slow taken for closed."""
    recipe = discovery.scene.recipe
    discovery.scene.recipe = replace(recipe, training=replace(recipe.training, steps=10**6))
    discovery._left_alone = lambda: False
    return discovery


def stands(page: Page, name: str) -> None:
    """Wait until the explorable is there, whole, and on the screen."""
    page.locator(f".{name} {EVERY[name].stands}").first.wait_for(state="attached")
    page.locator(f".{name}").first.scroll_into_view_if_needed()


def use(page: Page, name: str) -> str:
    """Put the focus on the explorable's main control; the key that moves it."""
    page.locator(f".{name} {EVERY[name].control}").first.focus()
    return EVERY[name].key


def says(page: Page, name: str, view: int = 0) -> str:
    """The sentence below its pictures."""
    return page.locator(f".{name} .says").nth(view).inner_text()


def says_anew(page: Page, name: str, before: str) -> str:
    """Wait until the sentence is another one; that one."""
    page.wait_for_function(
        "([name, before]) => document.querySelector(`.${name} .says`).textContent !== before",
        arg=[name, before],
    )
    return says(page, name)
