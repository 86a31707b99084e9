"""The rotation explorable without a browser: its paths are rotations, what breaks it breaks it, and
nothing else does."""

import pytest
import torch
from torch import Generator
from traitlets import TraitError

from helpers import handmade
from helpers.explorables.rotation import (
    BREAKS,
    GROUPS,
    PATHS,
    Rotation,
    _telling_token,
    quarter_turn,
)
from helpers.instruments import basis
from helpers.model import AttentionOnlyTransformer, ModelConfig

ROUNDING, BROKEN = 1e-4, 1e-1  # changes of a logit that the course promises, FACTS 5.1
SIZES = dict(n_layers=2, n_heads=2, d_model=18, d_head=7, n_ctx=14, d_vocab=11, init_weights=1.0)


def random_model(**changes) -> AttentionOnlyTransformer:
    return AttentionOnlyTransformer(ModelConfig(**SIZES | changes)).requires_grad_(False)


def random_tokens(pos: int = 13) -> torch.Tensor:
    return torch.randint(0, SIZES["d_vocab"], (pos,), generator=Generator().manual_seed(1))


@pytest.fixture(scope="module")
def explorable() -> Rotation:
    return Rotation(random_model(), random_tokens())


# ---- the paths


@pytest.mark.parametrize("d", [6, 7])
def test_a_quarter_turn_turns_all_it_can_by_90_degrees(d):
    J = quarter_turn(d, Generator().manual_seed(0))
    assert torch.allclose(J.T, -J)
    assert torch.linalg.matrix_rank(J) == d // 2 * 2
    x = torch.randn(d, generator=Generator().manual_seed(2), dtype=torch.float64) @ J
    assert torch.allclose(x @ J @ J, -x) and abs(x @ J @ x) < 1e-12


@pytest.mark.parametrize("path", PATHS)
def test_a_path_adds_angles_and_stays_among_the_rotations(explorable, path):
    first, second, both = (explorable.rotation(angle, path, (3, 5)) for angle in (25, 40, 65))
    assert torch.allclose(first @ second, both)
    assert torch.allclose(both.T @ both, torch.eye(18).double())
    assert torch.linalg.det(both) == pytest.approx(1)
    assert torch.allclose(explorable.rotation(0, path), torch.eye(18).double())
    assert not torch.allclose(both, torch.eye(18).double(), atol=0.1)


def test_each_path_leaves_alone_what_it_says(explorable):
    ones = torch.ones(18).double()
    assert torch.allclose(ones @ explorable.rotation(70, "kept"), ones)
    assert not torch.allclose(ones @ explorable.rotation(70, "all"), ones, atol=0.1)
    plane = explorable.rotation(90, "plane", (4, 2)) - torch.eye(18).double()
    assert set(plane.nonzero().flatten().tolist()) == {2, 4}
    assert plane[4, 2] == pytest.approx(1)  # the first coordinate turns to the second


# ---- what stays, and what breaks it


@pytest.mark.parametrize(
    "norm, positions",
    [(None, "shortformer"), (None, "standard"), ("RMS", "standard"), ("LN", "shortformer")],
)
@pytest.mark.parametrize("path", PATHS)
def test_turned_whole_a_model_stays_as_it_is(norm, positions, path):
    model = random_model(normalization=norm, positions=positions)
    explorable = Rotation(model, random_tokens())
    assert (explorable.logits(0.0) - model(random_tokens()[None])[0]).abs().max() < ROUNDING
    assert explorable.change(50, path=path, plane=(1, 6)) < ROUNDING


@pytest.mark.parametrize("norm", [None, "RMS"])
@pytest.mark.parametrize("broken", BREAKS)
def test_each_break_breaks_it(norm, broken):
    explorable = Rotation(random_model(normalization=norm), random_tokens())
    assert explorable.change(50, breaks=[broken]) > BROKEN
    if broken != "centring":
        # at rest, the same model
        assert (explorable.logits(0, breaks=[broken]) - explorable.logits(0)).abs().max() < ROUNDING


def test_a_layernorm_is_folded_and_at_rest_its_centring_does_nothing():
    explorable = Rotation(random_model(normalization="LN"), random_tokens())
    assert (explorable.logits(0, breaks=["centring"]) - explorable.logits(0)).abs().max() < ROUNDING
    assert explorable.change(50, breaks=["centring"]) > BROKEN


def test_the_centring_is_that_of_a_layernorm():
    """Turned with its centring left in place, the folded model is the LayerNorm model with the same
    turned weights."""
    explorable = Rotation(random_model(normalization="LN"), random_tokens())
    twin = random_model(normalization="LN")
    twin.load_state_dict(explorable.model.state_dict() | dict(norm_bias=twin.norm_bias))
    turned = basis.rotate(twin, explorable.rotation(50))(explorable.tokens)[0]
    assert (explorable.logits(50, breaks=["centring"]) - turned).abs().max() < ROUNDING


def test_trained_gains_are_folded_away():
    model = random_model(normalization="RMS", positions="standard")
    model.norm_gain.uniform_(0.5, 2.0, generator=Generator().manual_seed(3))
    explorable = Rotation(model, random_tokens())
    assert (explorable.logits(0.0) - model(random_tokens()[None])[0]).abs().max() < ROUNDING
    assert explorable.change(50) < ROUNDING


def test_what_the_breaks_still_allow(explorable):
    """LayerNorm allows what keeps (1, ..., 1); gains allow to change all signs; a ReLU does not."""
    assert explorable.change(50, path="kept", breaks=["centring"]) < ROUNDING
    assert explorable.change(180, breaks=["centring", "gains"]) < ROUNDING
    assert explorable.change(180, breaks=["relu"]) > BROKEN
    assert explorable.change(50, path="kept", breaks=["gains"]) > BROKEN


@pytest.mark.parametrize("left", GROUPS)
def test_all_matrices_must_turn(explorable, left):
    assert explorable.change(50, turned=[group for group in GROUPS if group != left]) > BROKEN


def test_a_privileged_basis_is_turned_away():
    """The hand-made head's stream is nearly one-hot; after a quarter turn its kurtosis is close to
    the null."""
    model = handmade.induction_head(12, 30)
    explorable = Rotation(model, torch.tensor([0, 3, 7, 1, 9, 4, 3, 7, 1, 9, 4, 3, 7]))
    d, last = model.cfg.d_model, "blocks.1.hook_resid_post"
    kurtosis = [
        basis.kurtosis(
            basis.rotate(model, explorable.rotation(angle)).run_with_cache(explorable.tokens, last)[
                1
            ][last]
        )
        for angle in (0, 90)
    ]
    assert kurtosis[0] > 10 and abs(kurtosis[1] - basis.kurtosis_null(d)) < 0.7
    assert explorable.change(90) < ROUNDING


# ---- its picture


@pytest.mark.parametrize(
    "breaks, said, title",
    [
        ([], "no logit changes by more than float32 rounding", "goes on as before"),
        (["gains"], "a logit changes by up to", "does not bear it"),
    ],
)
def test_the_picture_says_whether_the_model_stayed(explorable, breaks, said, title):
    picture, says = explorable.picture(breaks=breaks)
    assert said in says and says.startswith("The same model from 0 to 90 degrees")
    assert picture.get_suptitle().endswith(title)


def test_the_picture_is_of_the_settings_that_the_controls_have():
    broken = Rotation(random_model(), random_tokens())
    before = broken.picture()[1]
    broken.breaks = ["relu"]
    assert broken.picture()[1] == broken.picture(breaks=["relu"])[1] != before


def test_the_picture_holds_what_is_measured(explorable):
    # at rest the centring is another model already
    centred = explorable.picture((0, 40), breaks=["centring"])[0].axes[2]
    assert centred.lines[0].get_ydata()[1] == explorable.change(40, breaks=["centring"])
    before, after, _, tails = explorable.picture((0, 40))[0].axes
    stream = explorable.model.run_with_cache(explorable.tokens)[1]["resid_post", 1][0]
    turned = stream @ explorable.rotation(40).float()
    for ax, x in ((before, stream), (after, turned)):
        drawn = [bar.get_height() for bar in ax.patches]
        assert drawn == pytest.approx(x[explorable.token].tolist(), abs=1e-4)
    expected = [float(basis.kurtosis(x)) for x in (stream, turned)]
    assert tails.lines[0].get_ydata() == pytest.approx(expected, abs=1e-4)


def test_a_small_change_is_not_called_rounding(explorable):
    small = explorable.change(0.1, breaks=["gains"])
    assert explorable.rounding() < small < 1
    says = explorable.picture((0, 0.1), breaks=["gains"])[1]
    assert f"a logit changes by up to {small:.1g}." in says


# ---- what is sent, said and refused


def test_the_rows_that_are_sent_are_all_that_meets_the_stream(explorable):
    rows, model = (
        torch.frombuffer(bytearray(explorable.rows), dtype=torch.float32).view(-1, 18),
        explorable.model,
    )
    assert len(rows) == 11 + 13 + 2 * 4 * 2 * 7 + 11
    assert torch.equal(rows[:11], model.W_E) and torch.equal(rows[-11:], model.W_U.T)
    second_layer = rows[24 + 56 : 24 + 112]
    assert torch.equal(second_layer[7 + 3], model.W_Q[1, 1, :, 3])
    assert torch.equal(second_layer[42 + 7 + 3], model.W_O[1, 1, 3])


def test_it_says_its_settings_alone(explorable):
    assert repr(explorable) == "Rotation(n_layers=2, d_model=18, normalization=None, tokens=13)"


def test_it_opens_on_the_least_certain_prediction_that_has_a_favourite():
    even, sure, likely = [0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [2.0, 0.0, 0.0]
    assert _telling_token(torch.tensor([likely, sure, even, likely, sure])) == 3
    assert _telling_token(torch.tensor([likely, even, even])) == 1  # no favourite anywhere


@pytest.mark.parametrize(
    "model, tokens, says",
    [
        (dict(n_layers=0), random_tokens(), "no layers"),
        (dict(smeared_keys=True), random_tokens(), "does not smear keys"),
        (
            dict(d_model=512, d_vocab=5000),
            random_tokens(),
            "34 million products, too many to follow the pointer",
        ),
        (
            {},
            random_tokens()[None].repeat(2, 1),
            r"tokens has shape \(2, 13\); expected one sequence",
        ),
        ({}, random_tokens() / 2, "tokens holds torch.float32"),
        ({}, random_tokens(1), "one token has nothing before it to attend to"),
        ({}, random_tokens() + 9, "token ids run from"),
        ({}, torch.zeros(15, dtype=torch.long), "context n_ctx is 14"),
    ],
)
def test_what_it_cannot_show_is_refused_in_words(model, tokens, says):
    with pytest.raises(ValueError, match=says):
        Rotation(random_model(**model), tokens)


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(path="sideways"), "no path is called 'sideways'; choose one of all, kept, plane"),
        (dict(path="plane", plane=(4, 4)), "coordinates 4 and 4 span no plane"),
        (dict(path="plane", plane=(4, 18)), "two different ones from 0 to 17"),
        (dict(breaks=["dropout"]), "no break is called dropout; choose from centring, gains, relu"),
        (dict(turned=["positions"]), "no group of matrices is called positions"),
    ],
)
def test_settings_that_do_not_exist_are_refused_in_words(explorable, settings, says):
    with pytest.raises(ValueError, match=says):
        explorable.change(10, **settings)


@pytest.mark.parametrize(
    "trait, value, least",
    [
        ("token", 13, "0 to 12"),
        ("head", [0, 2], "0 to 1 and 0 to 1"),
        ("plane", [-1, 3], "0 to 17"),
    ],
)
def test_what_does_not_exist_cannot_be_looked_at(trait, value, least):
    explorable = Rotation(random_model(), random_tokens())
    before = getattr(explorable, trait)
    with pytest.raises(TraitError, match=f"does not exist; choose from {least}"):
        setattr(explorable, trait, value)
    assert getattr(explorable, trait) == before
