"""The zoomable diagram without a browser: what it opens with, what it sends, what it refuses, and
its static twin."""

import json
import re

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from helpers import handmade, plotting
from helpers.explorables import virtual_weights as module
from helpers.explorables.virtual_weights import VirtualWeights
from helpers.instruments import virtual_weights
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import runs


def random_model(seed: int = 0, **sizes) -> AttentionOnlyTransformer:
    shape = dict(n_layers=2, n_heads=2, d_model=16, d_head=4, n_ctx=12, d_vocab=9) | sizes
    return AttentionOnlyTransformer(ModelConfig(**shape, seed=seed)).requires_grad_(False)


def trained() -> AttentionOnlyTransformer:
    return runs.load(runs.DATA / "runs" / "two_layers").model_at().requires_grad_(False)


def sent_by(diagram: VirtualWeights, monkeypatch) -> list:
    """What a new view is told: message and blocks of each model."""
    sent = []
    monkeypatch.setattr(
        VirtualWeights, "send", lambda self, message, buffers=(): sent.append((message, buffers))
    )
    diagram._hear(None, dict(do="show"), [])
    return sent


@pytest.fixture(scope="module")
def diagram():
    return VirtualWeights(
        {"trained": trained(), "by hand": handmade.induction_head(12, 24), "random": random_model()}
    )


# ---- what is lit


def test_it_opens_on_the_strongest_key_link_of_the_best_previous_token_head(diagram):
    told = diagram._sent["trained"][0]
    writer = next(end for end in told["writers"] if end["name"] == diagram.lit["writer"])
    heads = [end for end in told["writers"] if end.get("role") == "previous_token"]
    assert diagram.lit["model"] == "trained"
    assert writer["role_score"] == max(end["role_score"] for end in heads)
    rivals = [
        link
        for link in told["links"]
        if link["writer"] == writer["name"] and link["reader"].endswith(".K")
    ]
    assert diagram.lit["reader"] == max(rivals, key=lambda link: link["z"])["reader"]
    reader = next(end for end in told["readers"] if end["name"] == diagram.lit["reader"][:-2])
    assert reader["role"] == "prefix_matching"


def test_it_opens_on_the_previous_token_head_even_if_another_link_is_stronger():
    links = [
        virtual_weights.Link(writer, (1, 0, kind), score, torch.tensor([0.1, 0.2]), 0.9, p)
        for writer, kind, score, p in (
            ((0, 0), "K", 0.8, 0.01),
            ((0, 1), "K", 0.6, 0.02),
            ((0, 1), "Q", 0.9, 0.01),
            ("embed", "K", 0.9, 0.01),
        )
    ]
    assert module.opening_link(links, torch.tensor([[0.1, 0.9]])) == links[1]
    assert module.opening_link(links, None) == links[0]


def test_the_data_choose_it_and_no_index():
    """The same model with the heads of layer 0 in another order opens on the same head, wherever it
    stands."""
    model, order = trained(), [2, 3, 1, 0]
    before = VirtualWeights({"model": model}).lit
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        weights = getattr(model, name)
        weights[0] = weights[0, order].clone()
    after = VirtualWeights({"model": model}).lit
    assert before["writer"] != after["writer"]
    assert after["writer"] == f"0.{order.index(int(before['writer'][-1]))}"


def test_a_model_too_small_for_a_probe_opens_all_the_same():
    diagram = VirtualWeights({"tiny": random_model(n_ctx=5, d_vocab=3)})
    assert diagram.lit["reader"].endswith(".K")
    assert not any("role" in end for end in diagram._sent["tiny"][0]["writers"])


def test_another_link_can_be_lit_from_python(diagram):
    other = dict(model="random", writer="embed", reader="unembed")
    before, diagram.lit = diagram.lit, other
    assert diagram.lit == other
    diagram.lit = before


@pytest.mark.parametrize(
    ("lit", "words"),
    [
        (
            dict(model="another", writer="0.0", reader="1.0.K"),
            "no model is called 'another'; this diagram has trained, by hand, random",
        ),
        (
            dict(model="trained", writer="1.0", reader="0.0.K"),
            "nothing links '1.0' to '0.0.K'; give a writer such as",
        ),
        (dict(model="trained"), "nothing links None to None"),
    ],
)
def test_a_link_that_is_not_there_is_refused(diagram, lit, words):
    before = diagram.lit
    with pytest.raises(ValueError, match=re.escape(words)):
        diagram.lit = lit
    assert diagram.lit == before


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({}, "expected models by name, such as"),
        (
            [random_model()],
            "expected models by name, such as {'trained': model}; got list "
            "[AttentionOnlyTransformer()]",
        ),
        (
            {"flat": random_model(n_layers=1)},
            "the model 'flat' has 1 layers; heads talk to later layers",
        ),
        (
            {"big": random_model(n_layers=7, n_heads=7)},
            "the model 'big' has 49 heads; the diagram has room for 48",
        ),
    ],
)
def test_what_makes_no_diagram_is_refused(models, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        VirtualWeights(models)


def test_models_of_different_shapes_share_a_diagram_and_its_name_says_which(diagram):
    assert repr(diagram) == "VirtualWeights(trained, by hand, random)"
    assert repr(VirtualWeights(random_model())) == "VirtualWeights(model)"
    assert {told["d_model"] for told, _ in diagram._sent.values()} > {64, 16}


# ---- what is sent


def matrix(told: dict, blocks: list[bytes], link: dict) -> np.ndarray:
    """What the view multiplies."""
    parts = [link[part] for part in ("before", "weights", "after") if link[part]]
    arrays = [
        np.frombuffer(blocks[part["at"]], np.float32).reshape(part["shape"]) for part in parts
    ]
    return np.linalg.multi_dot(arrays) if len(arrays) > 1 else arrays[0]


def test_a_view_gets_every_model_and_can_multiply_every_matrix(monkeypatch):
    models = {
        "plain": random_model(),
        "standard": random_model(1, positions="standard", n_layers=3),
    }
    diagram = VirtualWeights(models)
    sent = sent_by(diagram, monkeypatch)
    assert [told["name"] for told, _ in sent] == list(models)
    for told, blocks in sent:
        json.dumps(told, allow_nan=False)
        links = diagram.links[told["name"]]
        assert (
            len(told["links"])
            == len(links)
            == len(list(virtual_weights.pairs(models[told["name"]])))
        )
        for link, measured in zip(told["links"], links, strict=True):
            expected = virtual_weights.chain(models[told["name"]], measured.writer, measured.reader)
            assert_close(
                torch.tensor(matrix(told, blocks, link)), expected.product, atol=1e-5, rtol=1e-5
            )
            assert matrix(told, blocks, link).shape == (
                len(told["axes"][link["rows"]]),
                len(told["axes"][link["columns"]]),
            )


def test_a_link_tells_what_share_is_read_and_what_chance_would_read(diagram):
    model, (told, _) = trained(), diagram._sent["trained"]
    for link, measured in zip(told["links"], diagram.links["trained"], strict=True):
        expected = virtual_weights.share_read(model, measured.writer, measured.reader)
        assert (link["share"], link["share_by_chance"]) == pytest.approx(expected)


def test_each_histogram_holds_all_draws_around_its_mean(diagram):
    told, blocks = diagram._sent["trained"]
    for link in told["links"]:
        counts = np.frombuffer(blocks[link["null"]["at"]], np.uint16)
        middles = (np.arange(len(counts)) + 0.5) * told["top"] / len(counts)
        assert counts.sum() == told["draws"]
        assert (counts * middles).sum() / counts.sum() == pytest.approx(
            link["mean"], abs=told["top"] / len(counts)
        )
        assert max(link["score"], link["ceiling"]) < told["top"]


def test_a_large_vocabulary_is_thinned_and_its_tokens_keep_their_names(monkeypatch):
    model = random_model(d_vocab=300)
    told, blocks = sent_by(
        VirtualWeights({"wide": model}, labels=[f"t{i}" for i in range(300)]), monkeypatch
    )[0]
    names = told["axes"]["token"]
    assert len(names) == len(set(names)) == module.MOST_TOKENS and {names[0], names[-1]} == {
        "t0",
        "t299",
    }
    ids = [int(name[1:]) for name in names]
    link = next(
        link for link in told["links"] if (link["writer"], link["reader"]) == ("0.1", "1.0.K")
    )
    assert_close(
        torch.tensor(matrix(told, blocks, link)),
        virtual_weights.chain(model, (0, 1), (1, 0, "K")).product[ids][:, ids],
    )


def test_labels_are_by_token_id_for_the_largest_model_and_too_few_are_refused():
    models, names = (
        {"wide": random_model(d_vocab=12), "small": random_model(d_vocab=9)},
        [f"t{i}" for i in range(12)],
    )
    sent = VirtualWeights(models, names)._sent
    assert [sent[name][0]["axes"]["token"] for name in models] == [names, names[:9]]
    with pytest.raises(ValueError, match="9 labels for 12 tokens"):
        VirtualWeights(models, names[:9])


def test_a_normalization_is_folded_in_first():
    model = random_model(normalization="RMS", positions="standard")
    model.norm_gain[:] = torch.linspace(0.2, 3, 16)
    folded = VirtualWeights({"model": model}).links["model"]
    as_they_stand = virtual_weights.links(model, module.DRAWS)
    reads = [abs(a.score - b.score) for a, b in zip(folded, as_they_stand, strict=True)]
    assert max(reads) > 0.01


def test_tokens_are_named_by_their_ids_and_the_first_is_bos(diagram):
    assert diagram._sent["random"][0]["axes"]["token"] == ["BOS", *map(str, range(1, 9))]


def test_the_two_numbers_the_issue_asks_for_fit_one_message():
    """A model of 2 layers of 8 heads goes over in less than a megabyte."""
    diagram = VirtualWeights(
        {"wide": random_model(n_heads=8, d_model=64, d_head=8, n_ctx=64, d_vocab=64)}
    )
    told, blocks = diagram._sent["wide"]
    assert sum(map(len, blocks)) + len(json.dumps(told)) < 1_000_000


# ---- its static twin


def test_the_static_picture_tells_the_circuit_in_its_sentence(diagram):
    figure, says = diagram.picture("by hand")
    assert says == (
        "7 of 16 links stand above chance: 1 from embedding to Q, 2 from embedding to V, 1 from "
        "heads to K, 1 from heads to unembedding, 1 from positions to K, 1 from positions to Q. "
        "Chance alone brings any of them so far with probability 0.05 at most."
    )
    assert len(figure.axes) == 1
    assert diagram.picture()[1].startswith("30 of 97 links stand above chance")


def test_an_unknown_model_has_no_picture(diagram):
    with pytest.raises(
        ValueError, match="no model is called 'x'; this diagram has trained, by hand, random"
    ):
        diagram.picture("x")


def three_links() -> tuple[list[dict], list[dict], list[dict]]:
    """Writers, readers, and links, two of them strong."""
    ends = [
        dict(name="embed", layer=-1),
        dict(name="0.0", layer=0),
        dict(name="1.0", layer=1, role="prefix_matching", role_score=1.0),
    ]
    link = dict(writer="0.0", reader="1.0.K", score=0.3, mean=0.1, ceiling=0.4)
    links = [
        link | dict(p=0.002),
        link | dict(reader="1.0.Q", p=0.06),
        link | dict(writer="embed", reader="unembed", p=0.04),
    ]
    return ends, [*ends[1:], dict(name="unembed", layer=2)], links


def test_a_diagram_counts_only_what_the_level_lets_through():
    ends, readers, links = three_links()
    assert plotting.stream_diagram(ends, readers, links)[1] == (
        "2 of 3 links stand above chance: 1 from embedding to unembedding, 1 from heads to K. "
        "Chance alone brings any of them so far with probability 0.05 at most."
    )
    assert plotting.stream_diagram(ends, readers, links, 0.001)[1] == (
        "0 of 3 links stand above chance. "
        "Chance alone brings any of them so far with probability 0.001 at most."
    )


def test_a_diagram_draws_every_link_and_the_weak_ones_faintly():
    fig, _ = plotting.stream_diagram(*three_links())
    [ax] = fig.axes
    faint = [line for line in ax.lines if len(line.get_xdata()) > 1]  # the others are ends
    assert (len(faint), len(ax.collections)) == (1, 2)
    assert faint[0].get_linewidth() < ax.collections[0].get_linewidth()[0]
