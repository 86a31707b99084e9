"""Other coordinates, same model: rotations of the stream, gauges inside a head, a norm folded away;
and kurtosis.

Nothing in the architecture says what a coordinate of the stream is. Turn the stream by R, so that x
becomes x @ R: every matrix that writes, turns along (W @ R), every matrix that reads, turns back
first (R.T @ W), and the logits are what they were. Without a normalization R may be any invertible
matrix. RMS asks for an R that keeps lengths. LayerNorm also centres, so R must keep the direction
(1, ..., 1) too. Gains, one to a coordinate, allow almost nothing until they are folded into the
readers.

All functions return new models. They compute in float64 and cast once, to the model's own
precision.

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; Elhage, Lasenby,
Olah 2023, Privileged Bases in the Transformer Residual Stream; folding: Ashkboos et al. 2024,
SliceGPT, section 3.
"""

from collections.abc import Collection
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.instruments.weights import check_ours
from helpers.model import AttentionOnlyTransformer, check_head

# What holds a vector of the stream, and what takes one. Shortformer positions never enter the
# stream but are added to what queries and keys read of it, and a LayerNorm's bias to what everyone
# reads: both turn as vectors do.
WRITERS = ("W_E", "W_pos", "W_O", "norm_bias")
READERS = ("W_Q", "W_K", "W_V", "W_U")


# ---- rotations of the stream


def random_rotation(
    d: int, generator: Generator, fixed: Float[Tensor, " d"] | None = None
) -> Float[Tensor, "d d"]:
    """A rotation or reflection, all equally likely (Haar measure on O(d)), in float64. With
    `fixed`, one that leaves this vector where it is: LayerNorm allows those that fix (1, ..., 1).
    ValueError for a vector of zeros or of another size."""
    if fixed is None:
        Q, R = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))
        return Q * R.diagonal().sign()  # without the signs QR prefers some rotations
    if fixed.shape != (d,) or not fixed.any():
        raise ValueError(
            f"`fixed` has shape {tuple(fixed.shape)} and length {fixed.norm():.3g}; give a vector "
            f"of size {d}, not zero"
        )
    others = torch.randn(d, d - 1, generator=generator, dtype=torch.float64)
    # its first column points along `fixed`
    frame = torch.linalg.qr(torch.cat([fixed.double()[:, None], others], 1)).Q
    return (
        frame
        @ torch.block_diag(torch.ones(1, 1).double(), random_rotation(d - 1, generator))
        @ frame.T
    )


def rotate(
    model: AttentionOnlyTransformer,
    R: Float[Tensor, "d_model d_model"],
    only: Collection[str] | None = None,
) -> AttentionOnlyTransformer:
    """The model with its stream turned by R. The norm's gains, if any, cannot turn and stay.

    `only`: the matrices to turn, out of WRITERS and READERS; fewer than all break the model, which
    is the use of it. ValueError for an R that is not orthogonal or has another size, and for a
    matrix that does not exist.
    """
    check_ours(model, "rotate")
    _check_size(model, R)
    deviation = (R.double().T @ R.double() - torch.eye(len(R)).to(R.device)).abs().max().item()
    if not deviation <= 1e-5:
        raise ValueError(
            f"R is no rotation: R.T @ R differs from the identity by {deviation:.2g}; draw one by "
            "random_rotation, or use general_linear for any invertible matrix"
        )
    return _in_new_basis(model, R.double(), R.double().T, only)


def general_linear(
    model: AttentionOnlyTransformer, G: Float[Tensor, "d_model d_model"]
) -> AttentionOnlyTransformer:
    """The model with its stream mapped by any invertible G: writers W @ G, readers inverse(G) @ W.
    Keeps the logits of a model without normalization, and only of that. ValueError for a G that is
    singular or has another size."""
    check_ours(model, "general_linear")
    _check_size(model, G)
    return _in_new_basis(model, G.double(), _inverse(G, "G", len(G)), None)


def _in_new_basis(
    model, G: Tensor, G_inverse: Tensor, only: Collection[str] | None
) -> AttentionOnlyTransformer:
    present = [name for name in WRITERS + READERS if hasattr(model, name)]
    turned = present if only is None else only
    if unknown := set(turned) - set(present):
        raise ValueError(
            f"{', '.join(sorted(unknown))}: not among the matrices at the stream, "
            f"{', '.join(present)}"
        )
    return _rebuilt(
        model,
        {name: getattr(model, name).double() @ G for name in WRITERS if name in turned}
        | {name: G_inverse @ getattr(model, name).double() for name in READERS if name in turned},
    )


# ---- gauges inside a head


def change_head_gauge(
    model: AttentionOnlyTransformer,
    layer: int,
    head: int,
    qk: Float[Tensor, "d_head d_head"] | None = None,
    vo: Float[Tensor, "d_head d_head"] | None = None,
) -> AttentionOnlyTransformer:
    """The model with other coordinates inside one head: q @ A and k @ inverse(A).T (A is `qk`), v @
    B (B is `vo`).

    W_Q A, W_K A^-T, W_V B, B^-1 W_O: QK and OV, and so everything outside the head, stay the same.
    ValueError for a head that does not exist and for a matrix that is singular or has another size.
    """
    check_ours(model, "change_head_gauge")
    check_head(model, layer, head)
    weights = {
        name: getattr(model, name).detach().double().clone()
        for name in ("W_Q", "W_K", "W_V", "W_O")
    }
    if qk is not None:
        inverse = _inverse(qk, "qk", model.cfg.d_head)
        weights["W_Q"][layer, head] @= qk.double()
        weights["W_K"][layer, head] @= inverse.T
    if vo is not None:
        inverse = _inverse(vo, "vo", model.cfg.d_head)
        weights["W_V"][layer, head] @= vo.double()
        weights["W_O"][layer, head] = inverse @ weights["W_O"][layer, head]
    return _rebuilt(model, weights)


# ---- a normalization folded away


def fold_norm(model: AttentionOnlyTransformer) -> AttentionOnlyTransformer:
    """The same function with nothing left of the norm but its division: any rotation is allowed
    again.

    Gains go into the readers (W_Q, W_K, W_V, W_U), LayerNorm's centring into the writers (W_E, W_O,
    standard W_pos): where all coordinates have mean 0, LayerNorm is RMS, and RMS is what the result
    has. Without normalization this is a copy.

    ValueError for what these weights cannot hold. A LayerNorm bias that is not zero: it is a
    constant in every query, key, value and logit, and the stream has no direction that stays
    constant under the division. Shortformer positions when the layers' gains differ: positions are
    added behind the gain, and there is one W_pos for all layers.
    """
    check_ours(model, "fold_norm")
    cfg = model.cfg
    if cfg.normalization is None:
        return _rebuilt(model, {})
    if cfg.normalization == "LN" and model.norm_bias.any():
        raise ValueError(
            f"the norm's bias is not zero (up to {model.norm_bias.abs().max():.2g}), and there are "
            "no bias weights to "
            "fold it into; fold a model whose norm_bias is zero, or train with normalization='RMS'"
        )
    gain, last_gain = model.norm_gain[:-1].double(), model.norm_gain[-1].double()
    weights = {
        name: gain[:, None, :, None] * getattr(model, name).double()
        for name in ("W_Q", "W_K", "W_V")
    }
    weights["W_U"] = last_gain[:, None] * model.W_U.double()
    in_stream = ["W_E", "W_O"]
    if cfg.positions == "standard":
        in_stream.append("W_pos")
    elif cfg.n_layers:
        if (gain != gain[0]).any() or not gain[0].all():
            raise ValueError(
                "shortformer positions are added behind the gain: one W_pos can make up for it "
                "only if all layers have the same gain and none of it is zero; fold a model with "
                "standard positions, or train without gains"
            )
        weights["W_pos"] = model.W_pos.double() / gain[0]
    if cfg.normalization == "LN":
        weights |= {name: _centred(getattr(model, name).double()) for name in in_stream}
    return _rebuilt(
        model, weights | {"norm_gain": torch.ones_like(model.norm_gain)}, normalization="RMS"
    )


# ---- kurtosis


def kurtosis(activations: Float[Tensor, "*batch d_model"]) -> float:
    """Are some coordinates special? The Pearson kurtosis of one activation's coordinates, averaged
    over activations.

    Far above `kurtosis_null`: a few coordinates stick out, the basis is privileged. At it: nothing
    is proved. ValueError for an activation whose coordinates are all equal. Source: Elhage,
    Lasenby, Olah 2023.
    """
    centred = _centred(activations.double())
    variance = centred.square().mean(-1)
    flat = variance <= 1e-24 * activations.double().square().mean(-1)
    if flat.any():
        raise ValueError(
            f"{flat.sum()} activations have all coordinates equal and so no kurtosis; leave them "
            "out"
        )
    return (centred.pow(4).mean(-1) / variance.square()).mean().item()


def kurtosis_null(d: int) -> float:
    """The kurtosis of d coordinates of a vector that points anywhere: below 3, the value of a
    Gaussian, as one must centre by the coordinates' own mean and divide by their own variance."""
    return 3 * (d - 1) / (d + 1)


# ---- what the basis costs


def quantise(x: Float[Tensor, "*batch d_model"], bits: int) -> Float[Tensor, "*batch d_model"]:
    """Every coordinate rounded to one of 2 ** bits - 1 even steps that reach to the vector's
    largest one (absmax).

    One coordinate that sticks out makes the steps coarse for all the others: what QuaRot and
    SpinQuant rotate away. ValueError for fewer than 2 bits. Source: Ashkboos et al. 2024, QuaRot,
    section 2.
    """
    if bits < 2:
        raise ValueError(
            f"bits is {bits}; rounding to steps on both sides of zero takes at least 2"
        )
    step = x.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (x / step.clamp_min(1e-30)).round() * step


# ---- the pieces


def _rebuilt(model, weights: dict[str, Tensor], **changes) -> AttentionOnlyTransformer:
    """A model with these weights and otherwise those of `model`, in its precision, with changes to
    the config."""
    new = AttentionOnlyTransformer(replace(model.cfg, **changes)).to(model.W_E)
    old = model.state_dict() | weights
    new.load_state_dict({name: old[name] for name in new.state_dict()})
    return new.requires_grad_(model.W_E.requires_grad)


def _inverse(matrix: Tensor, name: str, size: int) -> Tensor:
    if matrix.shape != (size, size):
        raise ValueError(f"{name} has shape {tuple(matrix.shape)}; expected [{size}, {size}]")
    condition = torch.linalg.cond(matrix.double()).item() if matrix.isfinite().all() else torch.inf
    if not condition < 1e12:  # nan, for a matrix of zeros
        raise ValueError(
            f"{name} has no inverse to rely on (condition number {condition:.1e}); give an "
            "invertible one"
        )
    return torch.linalg.inv(matrix.double())


def _check_size(model, R: Tensor) -> None:
    d = model.cfg.d_model
    if R.shape != (d, d):
        raise ValueError(
            f"the matrix has shape {tuple(R.shape)}; the stream of this model takes [{d}, {d}]"
        )


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)
