"""A small residual network, to ask where an activation may stand.

Two places, the same weights, the same function:

    "layer"    x + act(x @ W_in) @ W_out     inside the layer, as in a transformer's MLP
    "stream"   act(x + x @ W_in @ W_out)     on the stream, as in the first ResNet

In the first the stream is a plain sum: what a later layer reads is the sum over all earlier writers
of what they said times their virtual weights, for every input. In the second no fixed
matrix is exact: what arrives depends on everything else in the stream. `strength` blends from no
activation, 0, to a full ReLU, 1.

Not here: convolutions, batch norm, biases, training, and the second ReLU of a ResNet's block,
inside the layer: the place of the activation is all that differs.

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Virtual Weights and
the Residual Stream as a Communication Channel"; He et al. 2015, Deep Residual Learning for Image
Recognition, figure 2.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor

Place = Literal["layer", "stream"]


class Trace(NamedTuple):
    """One run: what entered the stream, what each layer said (before its W_out), and what each read
    (after its W_in)."""

    start: Float[Tensor, "input d_model"]
    said: list[Float[Tensor, "input d_hidden"]]
    read: list[Float[Tensor, "input d_hidden"]]


class ResidualNetwork:
    """`n_layers` layers of `d_hidden` units on a stream of `d_model`, with random weights.
    ValueError for a place that is neither "layer" nor "stream" and for a strength outside 0 to
    1."""

    def __init__(
        self,
        place: Place,
        strength: float = 1.0,
        n_layers: int = 4,
        d_model: int = 32,
        d_hidden: int = 24,
        seed: int = 0,
    ):
        if place not in ("layer", "stream"):
            raise ValueError(
                f"place is {place!r}; the activation stands in the 'layer' or on the 'stream'"
            )
        if not 0 <= strength <= 1:
            raise ValueError(f"strength is {strength}; give 0 (no activation) to 1 (a full ReLU)")
        self.place, self.strength = place, strength
        generator = Generator().manual_seed(seed)
        self.W_in = torch.randn(n_layers, d_model, d_hidden, generator=generator) / math.sqrt(
            d_model
        )
        self.W_out = torch.randn(n_layers, d_hidden, d_model, generator=generator) / math.sqrt(
            d_hidden
        )

    def run(self, x: Float[Tensor, "input d_model"]) -> Trace:
        """Every layer once, from the first to the last."""
        trace = Trace(x, [], [])
        for W_in, W_out in zip(self.W_in, self.W_out, strict=True):
            read = x @ W_in
            said = self.activation(read) if self.place == "layer" else read
            x = x + said @ W_out
            if self.place == "stream":
                x = self.activation(x)
            trace.read.append(read)
            trace.said.append(said)
        return trace

    def activation(self, x: Tensor) -> Tensor:
        return (1 - self.strength) * x + self.strength * x.relu()


def predicted_read(
    network: ResidualNetwork, trace: Trace, layer: int
) -> Float[Tensor, "input d_hidden"]:
    """What virtual weights say that a layer reads: of each earlier writer what it said @ W_out @
    W_in, summed."""
    W_in = network.W_in[layer]
    return trace.start @ W_in + sum(
        trace.said[earlier] @ (network.W_out[earlier] @ W_in) for earlier in range(layer)
    )


def fitted_read(trace: Trace, layer: int) -> Float[Tensor, "half d_hidden"]:
    """The best that any fixed matrices could say, fitted (with a constant) on the first half of the
    inputs: their answer for the second half."""
    half = len(trace.start) // 2
    heard = torch.cat(
        [torch.ones(len(trace.start), 1), trace.start, *trace.said[:layer]], 1
    ).double()
    # writers may be copies of each other
    gram = heard[:half].mT @ heard[:half] + 1e-6 * half * torch.eye(heard.shape[1])
    fitted = torch.linalg.solve(gram, heard[:half].mT @ trace.read[layer][:half].double())
    return (heard[half:] @ fitted).to(trace.start)


def relative_error(
    predicted: Float[Tensor, "input d_hidden"], real: Float[Tensor, "input d_hidden"]
) -> float:
    """Root mean square of the difference, over that of the real values."""
    return ((predicted - real).norm() / real.norm()).item()


class Misses(NamedTuple):
    """How far off one is about what the last layer reads: by virtual weights, and by the best
    matrices fitted on one half of the inputs and asked about the other."""

    by_weights: float
    fitted: float


def misses(place: Place, strength: float = 1.0, seed: int = 0, inputs: int = 2000) -> Misses:
    """Both relative errors for one network of random weights on random inputs. Errors as in
    `ResidualNetwork`."""
    network = ResidualNetwork(place, strength, seed=seed)
    trace = network.run(torch.randn(inputs, 32, generator=Generator().manual_seed(100 + seed)))
    last, half = len(trace.read) - 1, inputs // 2
    real = trace.read[last]
    by_weights = relative_error(predicted_read(network, trace, last), real)
    return Misses(by_weights, relative_error(fitted_read(trace, last), real[half:]))


def curves(strengths: Sequence[float]) -> dict[str, list[float]]:
    """The relative errors over the strength of the activation, by what is said and where the
    activation stands."""
    inside, outside = (
        [misses(place, strength) for strength in strengths] for place in ("layer", "stream")
    )
    return {
        "in the layer": [error.by_weights for error in inside],
        "on the stream": [error.by_weights for error in outside],
        "on the stream, best fitted matrices": [error.fitted for error in outside],
    }
