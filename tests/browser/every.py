"""All five explorables in one notebook, each in a cell of its own, for what holds of every one of
them."""

from tests.browser.scene import open_with, run_cell

IMPORTS = """import torch
from helpers.instruments import heads
from helpers.training import runs
from helpers.explorables.attention import Attention
from helpers.explorables.discovery import Discovery
from helpers.explorables.paths import Paths
from helpers.explorables.rotation import Rotation
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.sequences import repeated_block
model = runs.load(runs.DATA / "runs" / "two_layers").model_at()
batch = repeated_block(1, 48, 64, torch.Generator().manual_seed(1), periods=[14])"""
# Of each explorable: its cell, what is there once it stands, and a control with what moves it.
EVERY = {
    "attention": (
        "Attention(model, batch.tokens)",
        ".chip:nth-child(48)",
        ".chip[tabindex='0']",
        "ArrowLeft",
    ),
    "paths": (
        "Paths(model, *batch)",
        ".groups[aria-busy=false] .switch",
        ".chip[tabindex='0']",
        "ArrowLeft",
    ),
    "virtual-weights": ("VirtualWeights(model)", ".strip circle", "canvas", "ArrowDown"),
    "rotation": (
        "Rotation(model, heads.probe(64, 48)[3])",
        ".graph circle",
        "input[type=range]",
        "ArrowRight",
    ),
    "discovery": (
        "discovery = Discovery(); discovery",
        ".board button:nth-child(8)",
        "canvas",
        "ArrowUp",
    ),
}
NAMES = list(EVERY)
CELLS = [IMPORTS, *(cell for cell, *_ in EVERY.values()), *["0"] * 30]
SCROLLED = (
    "() => "
    "jupyterapp.shell.currentWidget.content.node.querySelector('.jp-WindowedPanel-outer').scrollTop"
)


def show(lab, folder, name: str, notebook: str = "everyone.ipynb"):
    """The tab's page with one explorable on it, and no other. Two tabs want two notebooks, or they
    share a kernel."""
    open_with(lab, folder, notebook, *CELLS)
    run_cell(lab.page, 1 + NAMES.index(name))
    lab.page.locator(f".{name} {EVERY[name][1]}").first.wait_for(state="attached", timeout=60_000)
    lab.page.locator(f".{name}").scroll_into_view_if_needed()
    return lab.page


def use(page, name: str) -> str:
    """Put the focus on the explorable's main control; the key that moves it."""
    page.locator(f".{name} {EVERY[name][2]}").first.focus()
    return EVERY[name][3]


def says(page, name: str, view: int = 0) -> str:
    """The sentence below its pictures."""
    return page.locator(f".{name} .says").nth(view).inner_text()
