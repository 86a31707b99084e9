"""Exercises of notebook 07: a step that does not know the axes, kurtosis with its null, and
rounding to few bits."""

import torch

from helpers.checks import Exercise, different

# ---- a step that does not know the axes


def whole_matrix_step(M):
    U, S, Vh = torch.linalg.svd(M, full_matrices=False)
    return U @ Vh


def _draw_momentum(generator):
    columns, rows = sorted(different(generator, 2, low=3))
    return dict(M=torch.randn(rows, columns, generator=generator))


def _pulled_to_one(M):
    """Newton's iteration pulls every singular value to 1 and leaves the directions alone."""
    X = M.double() / torch.linalg.matrix_norm(M.double())
    for _ in range(100):
        X = 1.5 * X - 0.5 * X @ X.T @ X
    return X.float()


whole_matrix_step = Exercise(
    solution=whole_matrix_step,
    draw=_draw_momentum,
    oracle=_pulled_to_one,
    mistakes={
        "the sizes are still there: this is the momentum as it was": lambda M: M,
        "these are the signs, entry by entry: that looks at the axes, as AdamW does": torch.sign,
        "one number divides the whole matrix: the singular values keep their ratios": lambda M: (
            M / torch.linalg.matrix_norm(M)
        ),
        "torch.linalg.svd gives V already transposed, and it was transposed again": lambda M: (
            (svd := torch.linalg.svd(M, full_matrices=False)).U @ svd.Vh.T
        ),
        "every column has length 1 now, but they do not stand at right angles": lambda M: (
            M / M.norm(dim=0)
        ),
        "every row has length 1 now; it is the singular values that have to be 1": lambda M: (
            M / M.norm(dim=1, keepdim=True)
        ),
        "this is the Q of a QR decomposition, which begins with the first column: it depends on "
        "the axes": lambda M: torch.linalg.qr(M).Q,
    },
    hints=(
        "Which part of U S V^T holds the sizes, and which the directions?",
        "Take the singular value decomposition, and leave the middle out.",
        "U, S, Vh = torch.linalg.svd(M, full_matrices=False), then U @ Vh.",
    ),
)


# ---- kurtosis


def kurtosis_and_null(x):
    d = x.shape[1]
    centred = x - x.mean(1, keepdim=True)
    kurtosis = (centred**4).mean(1) / (centred**2).mean(1) ** 2
    return kurtosis.mean(), 3 * (d - 1) / (d + 1)


def _kurtosis_slowly(x):
    found, d = [], x.shape[1]
    for token in x.tolist():
        mean = sum(token) / d
        moments = [sum((value - mean) ** power for value in token) / d for power in (2, 4)]
        found.append(moments[1] / moments[0] ** 2)
    return sum(found) / len(found), 3 - 6 / (d + 1)


def _kurtosis(x, along, centred=True, unbiased=False):
    x = x - x.mean(along, keepdim=True) if centred else x
    squares = x.square().sum(along) / (x.shape[along] - unbiased)
    return (x**4).mean(along) / squares**2


def _draw_activations(generator):
    tokens, d = different(generator, 2, low=5, high=24)
    loud = torch.where(torch.arange(d) == 1, 4.0, 1.0)
    return dict(
        x=(torch.randn(tokens, d, generator=generator) * loud + 0.5)
        * (1 + torch.rand(tokens, 1, generator=generator))
    )


def _null(x):
    return 3 * (x.shape[1] - 1) / (x.shape[1] + 1)


def _pooled(x):
    centred = x - x.mean(1, keepdim=True)
    return (centred**4).mean() / centred.square().mean() ** 2


kurtosis_and_null = Exercise(
    solution=kurtosis_and_null,
    draw=_draw_activations,
    oracle=_kurtosis_slowly,
    mistakes={
        "this is the excess kurtosis, 3 less: a Gaussian has 3 here, not 0": lambda x: (
            _kurtosis(x, 1).mean() - 3,
            _null(x),
        ),
        "this is the excess kurtosis, and so is the null: 3 less than asked for": lambda x: (
            _kurtosis(x, 1).mean() - 3,
            _null(x) - 3,
        ),
        "the tokens are the samples here; "
        "take the coordinates of one token, then average over tokens": lambda x: (
            _kurtosis(x, 0).mean(),
            _null(x),
        ),
        "the null is 3 only for infinitely many coordinates; d of them, centred and scaled by "
        "themselves, have less": lambda x: (
            _kurtosis(x, 1).mean(),
            3.0,
        ),
        "this null is for vectors that are not centred, 3 d / (d + 2)": lambda x: (
            _kurtosis(x, 1).mean(),
            3 * x.shape[1] / (x.shape[1] + 2),
        ),
        "the null depends on how many coordinates a vector has, "
        "not on how many tokens there are": lambda x: (
            _kurtosis(x, 1).mean(),
            _null(x.T),
        ),
        "numerator and denominator are averaged over the tokens first, "
        "so that loud tokens count for more": lambda x: (
            _pooled(x),
            _null(x),
        ),
        "the coordinates are not centred by their own mean": lambda x: (
            _kurtosis(x, 1, centred=False).mean(),
            _null(x),
        ),
        "the variance is divided by d - 1 (torch's default); take the mean over d": lambda x: (
            _kurtosis(x, 1, unbiased=True).mean(),
            _null(x),
        ),
    },
    hints=(
        "The samples are the d coordinates of one token. How heavy are their tails?",
        "Fourth central moment over the square of the second, for each token; then the mean. The "
        "null is a little below 3.",
        "centred = x - x.mean(1, keepdim=True); (centred**4).mean(1) / (centred**2).mean(1)**2; "
        "the null is 3 (d - 1) / (d + 1).",
    ),
)


# ---- rounding to few bits


def rounded(x, bits):
    step = x.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (x / step).round() * step


def _nearest_level(x, bits):
    """Every coordinate looks for the nearest of the levels of its own vector."""
    most, found = 2 ** (bits - 1) - 1, []
    for vector in x.tolist():
        top = max(abs(value) for value in vector)
        levels = [top * k / most for k in range(-most, most + 1)]
        found.append([min(levels, key=lambda level: abs(level - value)) for value in vector])
    return torch.tensor(found)


def _draw_vectors(generator):
    tokens, d = different(generator, 2, low=4)
    bits = int(torch.randint(3, 6, (), generator=generator))
    sizes = 1 + 3 * torch.rand(tokens, 1, generator=generator)
    return dict(x=torch.randn(tokens, d, generator=generator) * sizes, bits=bits)


def _rounded(x, bits, top=None, levels=None, to=torch.round, back=True):
    top = x.abs().amax(1, keepdim=True) if top is None else top
    step = top / (levels or 2 ** (bits - 1) - 1)
    return to(x / step) * (step if back else 1)


rounded = Exercise(
    solution=rounded,
    draw=_draw_vectors,
    oracle=_nearest_level,
    mistakes={
        "all tokens share one scale; each vector has its own largest coordinate": lambda x, bits: (
            _rounded(x, bits, top=x.abs().max())
        ),
        "the scale is that of a coordinate over all tokens; it is each token's own": (
            lambda x, bits: _rounded(x, bits, top=x.abs().amax(0))
        ),
        "there is a step too many on each side: 2 ** (bits - 1) - 1 are left beside the 0": (
            lambda x, bits: _rounded(x, bits, levels=2 ** (bits - 1))
        ),
        "there are twice as many steps as these bits can count: they go to both sides of 0": (
            lambda x, bits: _rounded(x, bits, levels=2**bits - 1)
        ),
        "this rounds down; take the nearest step": lambda x, bits: _rounded(
            x, bits, to=torch.floor
        ),
        "this rounds towards 0; take the nearest step": lambda x, bits: _rounded(
            x, bits, to=torch.trunc
        ),
        "these are the numbers of the steps; each has to become a length again": lambda x, bits: (
            _rounded(x, bits, back=False)
        ),
        "the largest coordinate counts only if it is above 0; take its absolute value": (
            lambda x, bits: _rounded(x, bits, top=x.amax(1, keepdim=True))
        ),
    },
    hints=(
        "How long is one step, if 2 ** (bits - 1) - 1 of them reach from 0 to the largest?",
        "Divide by the step, round, multiply by the step. Every token has a step of its own.",
        "step = x.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1); (x / step).round() * step",
    ),
)
