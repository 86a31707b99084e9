"""Where the activation stands decides whether virtual weights exist."""

import pytest
import torch

from helpers.experiments.resnet import (
    ResidualNetwork,
    curves,
    fitted_read,
    misses,
    predicted_read,
    relative_error,
)

PLACES = ("layer", "stream")


def inputs(count: int = 600, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed))


def errors(place: str, strength: float, layer: int = 3, seed: int = 0) -> tuple[float, float]:
    network = ResidualNetwork(place, strength, seed=seed)
    trace = network.run(inputs())
    real = trace.read[layer]
    best = relative_error(fitted_read(trace, layer), real[300:])
    return relative_error(predicted_read(network, trace, layer), real), best


def test_the_two_networks_are_those_of_the_docstring():
    x = inputs(5)
    for place in ("layer", "stream"):
        network = ResidualNetwork(place, n_layers=2)
        trace, W_in, W_out = network.run(x), network.W_in, network.W_out
        first = (
            x + (x @ W_in[0]).relu() @ W_out[0]
            if place == "layer"
            else (x + x @ W_in[0] @ W_out[0]).relu()
        )
        assert torch.allclose(trace.read[0], x @ W_in[0]) and torch.allclose(
            trace.read[1], first @ W_in[1], atol=1e-5
        )


def test_both_places_have_the_same_weights():
    one, other = ResidualNetwork("layer", seed=3), ResidualNetwork("stream", seed=3)
    assert torch.equal(one.W_in, other.W_in) and torch.equal(one.W_out, other.W_out)
    assert not torch.equal(one.W_in, ResidualNetwork("layer", seed=4).W_in)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("layer", [0, 1, 3])
def test_in_the_layer_virtual_weights_are_exact(strength, layer):
    assert errors("layer", strength, layer)[0] < 1e-5


def test_on_the_stream_they_fail_and_more_so_with_a_stronger_activation():
    found = [errors("stream", strength) for strength in (0, 0.1, 0.3, 1)]
    by_weights, best = zip(*found, strict=True)
    assert by_weights[0] < 1e-5 and all(
        b > a + 0.05 for a, b in zip(by_weights, by_weights[1:], strict=False)
    )
    # no fixed matrices do it, though fitted ones come nearer
    assert all(0.02 < b < w for w, b in found[1:])
    assert best[0] < 1e-3


def test_the_first_layer_reads_what_came_in():
    assert errors("stream", 1.0, layer=0)[0] < 1e-6


def test_the_fit_finds_what_is_linear():
    """Its own control: where virtual weights are exact, it finds them."""
    assert errors("layer", 1.0)[1] < 1e-3


def test_relative_error_is_one_for_saying_nothing():
    real = torch.randn(4, 3)
    assert (
        relative_error(torch.zeros(4, 3), real) == pytest.approx(1)
        and relative_error(real, real) == 0
    )


def test_other_places_and_strengths_are_refused(shapes_unchecked):
    with pytest.raises(
        ValueError, match="place is 'side'; the activation stands in the 'layer' or on the 'stream'"
    ):
        ResidualNetwork("side")
    for strength in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"strength is {strength}; give 0"):
            ResidualNetwork("layer", strength)


def test_misses_are_those_of_the_last_layer_on_the_inputs_of_its_seed():
    for place in ("layer", "stream"):
        network = ResidualNetwork(place, 0.5, seed=2)
        x = torch.randn(600, 32, generator=torch.Generator().manual_seed(102))
        trace = network.run(x)
        expected = relative_error(predicted_read(network, trace, 3), trace.read[3])
        found = misses(place, 0.5, seed=2, inputs=600)
        assert found.by_weights == pytest.approx(expected, abs=1e-7)
        assert found.fitted == relative_error(fitted_read(trace, 3), trace.read[3][300:])


def test_a_curve_is_named_for_its_place_and_its_prediction():
    found = curves([0, 1])
    in_layer, on_stream = ([misses(place, strength) for strength in (0, 1)] for place in PLACES)
    assert found == {
        "in the layer": [error.by_weights for error in in_layer],
        "on the stream": [error.by_weights for error in on_stream],
        "on the stream, best fitted matrices": [error.fitted for error in on_stream],
    }
