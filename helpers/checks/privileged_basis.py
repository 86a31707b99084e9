"""Exercises of notebook 03: rotations of the stream, what LayerNorm leaves of them, and gauges."""

import torch

from helpers.checks import Exercise, different
from helpers.instruments import basis

# ---- a writer and a reader


def turn_both(W_O, W_U, R):
    return W_O @ R, R.T @ W_U


def _draw_both(generator):
    d, d_head = different(generator, 2, low=3)
    R = basis.random_rotation(d, generator).float()
    W_O, W_U = (torch.randn(rows, d, generator=generator) for rows in (d_head, d))
    return dict(W_O=W_O, W_U=W_U, R=R)


def _turned_entry_by_entry(W_O, W_U, R):
    """What a writer puts into the stream, turned; what a reader takes of each new axis, read off by
    the old reader."""
    axes = [R[:, i] for i in range(len(R))]  # the new axis i, in old coordinates
    writes = [
        [sum(row[k] * axis[k] for k in range(len(R))) for axis in axes] for row in W_O.tolist()
    ]
    reads = [
        [sum(axis[k] * column[k] for k in range(len(R))) for column in W_U.T.tolist()]
        for axis in axes
    ]
    return torch.tensor(writes), torch.tensor(reads)


turn_both = Exercise(
    solution=turn_both,
    draw=_draw_both,
    oracle=_turned_entry_by_entry,
    mistakes={
        "both turn the wrong way: "
        "the stream has gone to x @ R.T, not to x @ R": lambda W_O, W_U, R: (
            W_O @ R.T,
            R @ W_U,
        ),
        "the reader turns further by R; it has to turn back by R.T first": lambda W_O, W_U, R: (
            W_O @ R,
            R @ W_U,
        ),
        "the unembedding is turned on its vocabulary side; "
        "a reader meets the stream with its rows": lambda W_O, W_U, R: (
            W_O @ R,
            W_U @ R,
        ),
        "the unembedding is turned back on its vocabulary side; "
        "a reader meets the stream with its rows": lambda W_O, W_U, R: (
            W_O @ R,
            W_U @ R.T,
        ),
        "the unembedding turns on both sides: "
        "only what leads from the stream into the stream does": lambda W_O, W_U, R: (
            W_O @ R,
            R.T @ W_U @ R,
        ),
        "neither has turned: these are the matrices you were given": lambda W_O, W_U, R: (W_O, W_U),
        "the writer turned, and the reader stayed as it was": lambda W_O, W_U, R: (W_O @ R, W_U),
        "the reader turned, and the writer stayed as it was": lambda W_O, W_U, R: (W_O, R.T @ W_U),
        "the writer turned back by R.T; "
        "what it writes has to turn along by R": lambda W_O, W_U, R: (
            W_O @ R.T,
            R.T @ W_U,
        ),
    },
    hints=(
        "What does W_O write now, if it used to write z @ W_O? And what must W_U give, when it "
        "meets x @ R?",
        "What is read must stay: (x @ R) @ new_W_U = x @ W_U for every x. An orthogonal matrix "
        "undoes itself by its transpose.",
        "Multiply the writer by R on the side of the stream, and the reader by R.T on the side of "
        "the stream.",
    ),
)


# ---- what LayerNorm allows


def layernorm_rotation(d):
    # A basis whose first vector points along the ones; turn all the others among each other.
    frame = torch.linalg.qr(torch.cat([torch.ones(d, 1), torch.randn(d, d - 1)], 1).double()).Q
    others = torch.linalg.qr(torch.randn(d - 1, d - 1).double()).Q
    return frame @ torch.block_diag(torch.ones(1, 1).double(), others) @ frame.T


NOT_ORTHOGONAL = (
    "it keeps (1, ..., 1), but it is not orthogonal: lengths change, and LayerNorm divides by them"
)
PROJECTION = (
    "it is the centring itself: it throws the direction (1, ..., 1) away, and cannot be undone"
)
MOVES_ONES = (
    "it is orthogonal, but it moves (1, ..., 1): that takes more than length, since "
    "LayerNorm subtracts the mean"
)
TOO_CHEAP = (
    "it only puts coordinates in another order, or turns signs or nothing at all; "
    "LayerNorm allows far more"
)
HALFWAY = (
    "it takes (1, ..., 1) to an axis, which is half of the way: turn the other axes there, "
    "then come back by the transpose"
)
SHORTER = (
    "it is orthogonal on d - 1 coordinates and leaves one axis alone; it has to leave the "
    "direction (1, ..., 1) alone"
)


def _judge_rotation(answer, d):
    Q = torch.as_tensor(answer).double()
    if Q.shape != (d, d):
        return f"It has shape {list(Q.shape)}; expected {[d, d]}."
    ones, eye = torch.ones(d).double(), torch.eye(d).double()
    orthogonal = (Q.T @ Q - eye).abs().max() < 1e-4
    sums = ones @ Q  # where (1, ..., 1) goes: to itself or to its opposite
    keeps = min((sums - ones).abs().max(), (sums + ones).abs().max()) < 1e-3
    if (Q - (eye - 1 / d)).abs().max() < 1e-4:
        return PROJECTION
    if not orthogonal:
        return NOT_ORTHOGONAL if keeps else "It is not orthogonal: Q.T @ Q is not the identity."
    if ((Q.abs() - 1).abs() < 1e-4).sum() == d:
        return TOO_CHEAP
    if not keeps:
        if any(((side.abs() - d**0.5).abs() < 1e-3).any() for side in (sums, Q @ ones)):
            return HALFWAY
        return SHORTER if ((Q.abs() - 1).abs() < 1e-4).sum() == 1 else MOVES_ONES
    x = torch.randn(5, d, generator=torch.Generator().manual_seed(0)).double()
    normed = torch.nn.functional.layer_norm
    return (
        None
        if torch.allclose(normed(x @ Q, (d,)), normed(x, (d,)) @ Q, atol=1e-3)
        else "LN(x @ Q) is not LN(x) @ Q."
    )


def _averaging(d):
    """Rows and columns sum to 1, and all that keeps is the mean."""
    return torch.eye(d) / 2 + torch.full((d, d), 0.5 / d)


layernorm_rotation = Exercise(
    solution=layernorm_rotation,
    draw=lambda generator: dict(d=different(generator, 1, low=4)[0]),
    judge=_judge_rotation,
    mistakes={
        MOVES_ONES: lambda d: torch.linalg.qr(torch.randn(d, d)).Q,
        TOO_CHEAP: lambda d: torch.eye(d)[torch.arange(d).roll(1)],
        PROJECTION: lambda d: torch.eye(d) - 1 / d,
        NOT_ORTHOGONAL: _averaging,
        HALFWAY: lambda d: (
            torch.linalg.qr(torch.cat([torch.ones(d, 1), torch.randn(d, d - 1)], 1)).Q
        ),
        SHORTER: lambda d: torch.block_diag(
            torch.ones(1, 1), torch.linalg.qr(torch.randn(d - 1, d - 1)).Q
        ),
    },
    hints=(
        "LayerNorm subtracts the mean of the coordinates. Which direction is special to it?",
        "Take an orthogonal basis whose first vector points along (1, ..., 1). In that basis, "
        "which block may turn?",
        "QR of [ones, noise] gives the basis F. Then Q = F @ block_diag(1, any rotation of d - 1) "
        "@ F.T.",
    ),
)


# ---- a gauge inside a head


def keys_for(W_K, A):
    return W_K @ A.inverse().T


def _draw_gauge(generator):
    d_model, d_head = different(generator, 2, low=3)
    A = torch.randn(d_head, d_head, generator=generator) / 2 + 2 * torch.eye(d_head)
    return dict(W_K=torch.randn(d_model, d_head, generator=generator), A=A)


keys_for = Exercise(
    solution=keys_for,
    draw=_draw_gauge,
    oracle=lambda W_K, A: torch.stack([torch.linalg.solve(A, row) for row in W_K]),
    mistakes={
        "the inverse is not transposed: "
        "scores multiply by k.T, so A must meet the transpose of its inverse": lambda W_K, A: (
            W_K @ A.inverse()
        ),
        "keys turn like queries: "
        "that is right for a rotation, and A is any invertible matrix": lambda W_K, A: W_K @ A,
        "A is transposed and not inverted: "
        "that undoes a rotation, and A is any invertible matrix": lambda W_K, A: W_K @ A.T,
        "the keys stayed as they were": lambda W_K, A: W_K,
    },
    hints=(
        "A score is q @ k. With q @ A in place of q, what must stand in place of k?",
        "W_Q @ A @ (new W_K).T has to be W_Q @ W_K.T.",
        "Then (new W_K).T = inverse(A) @ W_K.T. Transpose both sides.",
    ),
)
