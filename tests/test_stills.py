"""Every explorable carries a still: one output that shows the view where there is a kernel, a
picture where there is none, and a text where there are no pictures."""

import base64
import io

import nbformat
import pytest
import torch
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from helpers.course import build
from helpers.course.build import WIDGET_VIEW
from helpers.explorables import Explorable
from helpers.explorables.attention import Attention
from helpers.explorables.discovery import Discovery
from helpers.explorables.paths import Paths
from helpers.explorables.rotation import Rotation
from helpers.explorables.savings import Savings
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.instruments import contexts
from helpers.model import AttentionOnlyTransformer, ModelConfig

MODEL = AttentionOnlyTransformer(ModelConfig(n_heads=2, d_model=16, d_head=8, n_ctx=12, d_vocab=9))
MODEL.requires_grad_(False)
TOKENS = torch.tensor([0, 3, 5, 7, 3, 5])
EVERY = {
    "attention": lambda: Attention(MODEL, TOKENS),
    "discovery": Discovery,
    "paths": lambda: Paths(MODEL, TOKENS[:-1], TOKENS[1:]),
    "rotation": lambda: Rotation(MODEL, TOKENS),
    "savings": lambda: Savings(MODEL, TOKENS, without=[(1, 0), (1, 1)]),
    "virtual_weights": lambda: VirtualWeights(MODEL),
}
MOST_BYTES = 60_000  # of a still, and of the one that moves
MOST_OF_THE_MOVIE = 160_000


@pytest.fixture(scope="module")
def shown():
    """Each explorable with what it gives a front end."""
    made = {name: make() for name, make in EVERY.items()}
    return {name: (one, *one._repr_mimebundle_()) for name, one in made.items()}


def test_every_explorable_is_here():
    found = {one.__module__.rpartition(".")[2] for one in Explorable.__subclasses__()}
    assert found - {"prediction"} == set(EVERY)  # a question has no still: its text stands for it


@pytest.mark.parametrize("name", EVERY)
def test_the_view_the_still_and_the_text_are_one_output(shown, name):
    explorable, data, metadata = shown[name]
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data[WIDGET_VIEW]["model_id"] == explorable.model_id
    assert data["image/png"] == explorable.still()
    settings, says = data["text/plain"].split("\n")
    assert settings == repr(explorable) and len(says.split()) > 12
    assert metadata["image/png"] == {"alt": says}


@pytest.mark.parametrize("name", EVERY)
def test_a_still_is_a_small_picture(shown, name):
    still = shown[name][1]["image/png"]
    image = Image.open(io.BytesIO(still))
    assert 600 < image.width < 1000 and image.getextrema() != (0, 0)
    moves = name == "discovery"
    assert getattr(image, "is_animated", False) == moves
    assert len(still) < (MOST_OF_THE_MOVIE if moves else MOST_BYTES)


def test_attention_shows_the_head_and_the_token_that_a_view_opens_at():
    attention = Attention(MODEL, TOKENS)
    assert "position 5" in attention.picture()[1]
    attention.look(0, 1, 3)
    fig, says = attention.picture()
    assert "position 3" in says and "head 0.1" in fig.axes[0].get_title(loc="left")
    pattern = MODEL.run_with_cache(TOKENS[None])[1]["pattern", 0][0, 1, 3, :4]
    assert f"most attention, {pattern.max():.2f}, goes to" in says


def test_paths_shows_what_the_terms_add_up_to():
    paths = Paths(MODEL, TOKENS[:-1], TOKENS[1:])
    logits = MODEL(TOKENS[None, :-1])[0, -1]
    above_mean = (logits[5] - logits.mean()).item()
    assert f"add up to {above_mean:+.1f}," in paths.picture()[1]
    assert f"all terms {paths.loss_of(paths.terms):.2f}" in paths.picture()[1]


def test_savings_shows_what_the_heads_are_worth_in_the_mean():
    without = [(1, 0), (1, 1)]
    says = Savings(MODEL, TOKENS, without=without).picture()[1]
    assert f"{contexts.savings(MODEL, TOKENS[None], without).mean():+.2f} nats" in says


# ---- what a notebook keeps, and what it becomes


def stored(data, metadata) -> nbformat.NotebookNode:
    """A notebook with this one output, as a kernel's messages leave it."""
    data = data | {"image/png": base64.b64encode(data["image/png"]).decode()}
    output = new_output("execute_result", data=data, metadata=metadata, execution_count=1)
    cell = new_code_cell("explorable", execution_count=1, outputs=[output])
    return new_notebook(cells=[new_markdown_cell("# Why?"), cell])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("clean", [False, True], ids=["a reader's copy", "as it is stored"])
def test_an_exported_page_shows_the_still_once(shown, name, clean):
    _, data, metadata = shown[name]
    notebook = stored(data, metadata)
    if clean:
        notebook = build.normalise(notebook)
    page, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    picture = base64.b64encode(data["image/png"]).decode()
    assert page.replace("\n", "").count(picture) == 1
    assert data[WIDGET_VIEW]["model_id"] not in page and "Error displaying" not in page


def test_what_the_build_stores_is_the_still_without_its_view(shown):
    for _, data, metadata in shown.values():
        output = build.normalise(stored(data, metadata)).cells[1].outputs[0]
        assert set(output.data) == {"image/png", "text/plain"}
        assert output.metadata == metadata
