"""The links of the stream are composition scores, the ends included; the null knows what chance
does."""

import pytest
import torch
from torch.testing import assert_close

from helpers import handmade
from helpers.instruments import basis, circuits, composition, virtual_weights
from helpers.model import AttentionOnlyTransformer, ModelConfig
from tests.oracles import full_matching

DRAWS = 99


def random_model(seed: int = 0, **sizes) -> AttentionOnlyTransformer:
    shape = dict(n_layers=2, n_heads=2, d_model=16, d_head=4, n_ctx=7, d_vocab=9) | sizes
    return AttentionOnlyTransformer(ModelConfig(**shape, seed=seed)).requires_grad_(False)


def by_ends(model, draws: int = DRAWS) -> dict:
    return {(link.writer, link.reader): link for link in virtual_weights.links(model, draws)}


def dense_score(model, writer, reader) -> float:
    """The definition, with d_model x d_model matrices."""
    written = (
        dict(embed=model.W_E, pos=model.W_pos)[writer]
        if isinstance(writer, str)
        else circuits.OV(model, *writer)
    )
    if reader == "unembed":
        read = model.W_U
    else:
        read = (
            circuits.OV(model, *reader[:2]) if reader[2] == "V" else circuits.QK(model, *reader[:2])
        )
        read = read.T if reader[2] == "K" else read
    return ((written @ read).norm() / (written.norm() * read.norm())).item()


@pytest.mark.parametrize(
    "sizes",
    [
        dict(),
        dict(n_layers=3, d_model=10, d_head=3),
        dict(d_head=20, d_vocab=30),
        dict(positions="standard", n_ctx=40),
    ],
)
def test_every_score_is_its_definition(sizes):
    model = random_model(3, **sizes)
    for (writer, reader), link in by_ends(model).items():
        assert link.score == pytest.approx(dense_score(model, writer, reader), abs=1e-6), (
            writer,
            reader,
        )


def test_z_is_how_many_standard_deviations_a_score_lies_above_the_nulls_mean():
    null = torch.tensor([0.1, 0.2, 0.3])
    link = virtual_weights.Link("embed", "unembed", 0.5, null, ceiling=1.0, p=0.01)
    assert link.z == pytest.approx(3)


@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_between_heads_it_is_the_composition_score_and_its_ceiling(kind):
    model = random_model(5, n_layers=3)
    found = by_ends(model)
    scores, ceilings = (
        composition.composition_scores(model, kind),
        composition.spectrum_ceiling(model, kind),
    )
    for row, writer in enumerate(composition.writing_heads(model)):
        for column, reader in enumerate(composition.reading_heads(model)):
            link = found.get((writer, (*reader, kind)))
            assert (link is None) == scores[row, column].isnan().item()
            if link:
                assert link.score == pytest.approx(scores[row, column].item())
                assert link.ceiling == pytest.approx(ceilings[row, column].item())


def test_every_writer_meets_every_later_reader_that_sees_it():
    pairs = set(virtual_weights.pairs(random_model()))
    heads = 2 * 2
    # embed, pos (Q, K), layer 0 to 1, all to U
    assert len(pairs) == 3 * heads + 2 * heads + 3 * heads + heads + 1
    assert (
        ("pos", (0, 0, "Q")) in pairs
        and ("pos", (0, 0, "V")) not in pairs
        and ("pos", "unembed") not in pairs
    )
    assert (
        ((0, 1), (0, 0, "K")) not in pairs
        and ((1, 0), (0, 0, "K")) not in pairs
        and ((0, 1), (1, 0, "K")) in pairs
    )
    standard = set(virtual_weights.pairs(random_model(positions="standard")))
    assert standard - pairs == {
        ("pos", (layer, head, "V")) for layer in (0, 1) for head in (0, 1)
    } | {("pos", "unembed")}


def test_the_null_has_the_mean_square_of_chance_and_stays_under_the_ceiling():
    for link in virtual_weights.links(random_model(1, d_model=32), draws=400):
        assert link.null.square().mean().item() == pytest.approx(1 / 32, rel=0.15)
        assert link.null.max().item() <= link.ceiling + 1e-9
        assert link.score <= link.ceiling + 1e-9


def test_a_rotation_of_the_stream_changes_no_score():
    model = handmade.induction_head(8, 16, positions="standard")
    turned = basis.rotate(
        model, basis.random_rotation(model.cfg.d_model, torch.Generator().manual_seed(0))
    )
    plain, rotated = by_ends(model), by_ends(turned)
    assert plain.keys() == rotated.keys()
    for ends, link in plain.items():
        assert link.score == pytest.approx(rotated[ends].score, abs=1e-5)


def test_the_hand_made_induction_head_is_found_link_by_link_and_nothing_else():
    found = {
        ends
        for ends, link in by_ends(handmade.induction_head(16, 24), 199).items()
        if link.p <= 0.05
    }
    head, induction = (0, 0), (1, 0)
    looks_back = {("pos", (*head, "Q")), ("pos", (*head, "K")), ("embed", (*head, "V"))}
    matches = {("embed", (*induction, "Q")), (head, (*induction, "K"))}
    copies = {("embed", (*induction, "V")), (induction, "unembed")}
    assert found == looks_back | matches | copies


def test_pointer_arithmetic_composes_by_the_query_and_not_by_the_key():
    found = by_ends(handmade.pointer_arithmetic(8, 16), 199)
    assert found[(0, 0), (1, 0, "Q")].p <= 0.01 and found[(0, 0), (1, 0, "K")].p > 0.05


def test_random_models_give_a_false_alarm_about_as_often_as_they_may():
    """At p 0.05, 60 models give 3; more than 9 would come by chance in fewer than 1 in 1,000
    suites."""
    alarms = sum(
        min(link.p for link in virtual_weights.links(random_model(seed, d_head=3), DRAWS, seed))
        <= 0.05
        for seed in range(60)
    )
    assert alarms <= 9


def test_a_head_of_zeros_has_no_links_and_spoils_no_other():
    model = random_model()
    model.W_O[0, 1] = 0
    found = by_ends(model)
    assert not any((0, 1) == writer or reader == (0, 1, "V") for writer, reader in found)
    assert all(0 <= link.p <= 1 and link.score >= 0 for link in found.values())
    assert ("embed", (0, 1, "Q")) in found


def test_one_layer_is_refused_in_words():
    with pytest.raises(
        ValueError, match="1 layers has no two heads to link; take one of 2 or more"
    ):
        virtual_weights.links(random_model(n_layers=1))


# ---- what a link does between tokens


def test_chains_multiply_to_the_circuits_that_have_names():
    model = random_model(7)
    one, two = (0, 1), (1, 0)

    def product(writer, reader):
        return virtual_weights.chain(model, writer, reader).product

    assert_close(product(one, (*two, "K")), full_matching(model, one, two).T)
    assert_close(product("embed", (*two, "Q")), circuits.full_qk(model, *two))
    assert_close(product("embed", (*two, "K")), circuits.full_qk(model, *two).T)
    assert_close(product("embed", (*two, "V")), circuits.full_ov(model, *two))
    assert_close(product(one, "unembed"), circuits.full_ov(model, *one))
    assert_close(product("embed", "unembed"), model.W_E @ model.W_U)
    moved = model.W_E @ circuits.OV(model, *one)
    assert_close(product(one, (*two, "Q")), moved @ circuits.QK(model, *two) @ model.W_E.T / 2)
    assert_close(product(one, (*two, "V")), moved @ circuits.OV(model, *two) @ model.W_U)
    assert_close(
        product("pos", (*two, "Q")), model.W_pos @ circuits.QK(model, *two) @ model.W_pos.T / 2
    )


@pytest.mark.parametrize("writer", ["embed", "pos", (0, 0)])
def test_the_middle_of_a_chain_is_the_virtual_weights(writer):
    model = random_model(2)
    chain = virtual_weights.chain(model, writer, (1, 1, "K"))
    assert_close(chain.weights, virtual_weights.virtual_weights(model, writer, (1, 1, "K")))
    assert (chain.rows, chain.columns) == (
        ("position", "position") if writer == "pos" else ("token", "token")
    )


def test_positions_in_the_stream_are_shown_where_they_do_the_work():
    model = handmade.pointer_arithmetic(8, 16)
    pointer = virtual_weights.chain(model, (0, 0), (1, 0, "Q"))
    assert (pointer.rows, pointer.columns) == ("position", "position")
    # of each position brought back, the one after it is looked for
    following = pointer.product[1:-1].argmax(1)
    assert following.tolist() == list(range(2, 16))
    assert virtual_weights.chain(model, "embed", (0, 0, "Q")).columns == "token"


def test_a_reader_before_its_writer_is_refused():
    with pytest.raises(ValueError, match="choose a reader in a later layer"):
        virtual_weights.chain(random_model(), (1, 0), (0, 0, "K"))
