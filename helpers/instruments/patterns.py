"""What one pattern says on the tokens it was seen on: prefix matching, previous token, copying; and
the patterns of ideal heads.

Every score looks at the rows and keys that the tokens themselves single out, never at a bare
diagonal: 1 means all the attention of every such row, 0 none of it. Its chance line is what the
same function gives for `uniform_pattern`. A token PAD fills up a short sequence: it is no copy of
anything, and its rows do not count.

Source: Olsson et al. 2022, In-context Learning and Induction Heads, "Model Analysis Table" (head
activation evaluators).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

PAD = -1


def induction_targets(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """Where an induction head looks: the keys right after an earlier copy of the query's token.
    Token 0 of each sequence is BOS and a copy of nothing."""
    before = F.pad(tokens[:, :-1], (1, 0), value=PAD)  # the token in front of each key
    match = (tokens[:, :, None] == before[:, None, :]) & (tokens != PAD)[:, :, None]
    match[:, :, :2] = False  # in front of key 1 stands BOS, in front of key 0 nothing
    return match.tril()


def rows_with_a_target(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
    """The rows whose token has occurred before. ValueError when there is none."""
    return _some_targets(tokens).any(-1)


def rows_that_count(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch row"]:
    """Of the rows whose next token is known, those whose token has occurred before. ValueError when
    there is none."""
    rows = rows_with_a_target(tokens[:, :-1]) & (tokens[:, 1:] != PAD)
    if not rows.any():
        raise ValueError(
            f"in none of {len(tokens)} sequences does a token follow one that has occurred before, "
            "so there is no answer to score; use repeated tokens (heads.probe)"
        )
    return rows


def _some_targets(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """`induction_targets`. ValueError when there is none."""
    targets = induction_targets(tokens)
    if not targets.any():
        raise ValueError(
            f"no token occurs twice in any of {len(tokens)} sequences of {tokens.shape[1]}, so no "
            "row has an induction target; use repeated tokens (heads.probe)"
        )
    return targets


def window_of(pattern: Float[Tensor, "batch head query key"]) -> int | None:
    """How many tokens, the present one and the last before it, a layer lets a row attend to; None
    where it hides nothing. Known by the attention: all that is nearer gets some, and all that is
    farther away gets none."""
    if not pattern.numel() or pattern[..., -1, 0].any():  # the farthest of all is seen
        return None
    seen = (pattern > 0).flatten(0, 1).any(0)
    query, key = seen.nonzero(as_tuple=True)
    window = int((query - key).max()) + 1
    band = within(torch.ones_like(seen).tril(), window)
    return window if 1 < window < len(seen) and torch.equal(seen, band) else None


def within(
    targets: Bool[Tensor, "*batch query key"], window: int | None
) -> Bool[Tensor, "*batch query key"]:
    """Of the targets those inside the window."""
    return targets if window is None else targets.triu(1 - window)


def prefix_matching(
    pattern: Float[Tensor, "batch head query key"],
    tokens: Int[Tensor, "batch pos"],
    window: int | None = None,
) -> Float[Tensor, " head"]:
    """Attention that falls on any of the row's induction targets, averaged over the rows that have
    one. With a `window`, targets outside it are none; nan where that leaves no row.

    The published text leaves open whether a row with several targets counts their sum; tables with
    values near 1 settle it, because the mean over single cells could not exceed 1/2 there.
    ValueError when no token occurs twice.
    """
    targets = within(_some_targets(tokens), window)
    rows = targets.any(-1)
    on_target = (pattern * targets[:, None]).sum(-1)
    return on_target.transpose(0, 1)[:, rows].mean(-1)


def previous_token(
    pattern: Float[Tensor, "batch head query key"], tokens: Int[Tensor, "batch pos"] | None = None
) -> Float[Tensor, " head"]:
    """Attention one step back, averaged over rows 2 and later (of `tokens`, those that are not
    PAD): before row 1 stands BOS, where idle heads rest. ValueError without a row 2."""
    if pattern.shape[-1] < 3:
        raise ValueError(
            f"{pattern.shape[-1]} positions are too few for a previous-token score: only from row "
            "2 on the token before is not BOS; give 3 or more"
        )
    back = pattern.diagonal(-1, 2, 3)[..., 1:]  # [batch, head, row]
    if tokens is None or (tokens != PAD).all():
        return back.mean((0, 2))
    return back.transpose(0, 1)[:, tokens[:, 2:] != PAD].mean(-1)


def uniform_pattern(pos: int, window: int | None = None) -> Float[Tensor, "1 1 query key"]:
    """Attention spread evenly over the present and all earlier positions, or those in a window: the
    chance line of every pattern score."""
    seen = within(torch.ones(pos, pos).tril().bool(), window).float()
    return (seen / seen.sum(-1, keepdim=True))[None, None]


def copying(
    pattern: Float[Tensor, "batch head query key"],
    z: Float[Tensor, "batch query head d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, " head"]:
    """Does a head raise the logits of the tokens it attends to? From -1, never, to 1, those and no
    others.

    The head's output goes straight to the unembedding. Its raise of a token is that logit minus the
    mean logit, or zero if negative. With a the raise of the attended tokens (weighted by the
    pattern) and S the raise of all the tokens of the sequence, the score is 2 a / S - 1 with both
    summed over the rows that have an induction target. The paper gives the range and not the
    formula; 4 a / (a + S) - 1 shares the endpoints and would fit it as well. BOS and PAD are left
    out. ValueError when no token occurs twice.
    """
    return copying_along(pattern, z, W_O, directions(W_U, tokens), tokens)


def directions(
    W_U: Float[Tensor, "d_model d_vocab"], tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch key d_model"]:
    """What raises the token at a key above the mean of all."""
    mean = W_U.mean(1, dtype=torch.promote_types(W_U.dtype, torch.float))
    return W_U.T[tokens.clamp_min(0)] - mean


def copying_along(
    pattern: Float[Tensor, "batch head query key"],
    z: Float[Tensor, "batch query head d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
    direct: Float[Tensor, "batch key d_model"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, " head"]:
    """`copying`, where the directions that raise the tokens are known."""
    rows = rows_with_a_target(tokens)
    reads = torch.einsum("hdm,bkm->bhdk", W_O, direct)
    counts = (tokens != tokens[:, :1]) & (tokens != PAD)
    raised = torch.einsum("bqhd,bhdk->bhqk", z, reads).relu() * counts[:, None, None]
    # a token that stands at several keys counts once in S
    times = (tokens[:, :, None] == tokens[:, None, :]).sum(-1)
    attended = (pattern * raised).sum(-1).transpose(0, 1)[:, rows].sum(-1)
    total = (raised / times[:, None, None]).sum(-1).transpose(0, 1)[:, rows].sum(-1)
    return 2 * attended / total.clamp_min(1e-30) - 1


def ideal_patterns(
    tokens: Int[Tensor, "batch pos"],
) -> dict[str, Float[Tensor, "batch 1 query key"]]:
    """What perfect heads would do on these tokens: the known cases by which a score is
    calibrated."""
    targets = induction_targets(tokens).float()
    here = torch.eye(tokens.shape[1]).expand_as(targets)
    before = here.roll(-1, -1).tril()
    rest = torch.zeros_like(targets)
    rest[..., 0] = 1  # on BOS
    induction = targets / targets.sum(-1, keepdim=True).clamp_min(1)
    chosen = {
        "induction": induction,
        "previous token": before,
        "present token": here,
        "rest on BOS": rest,
    }
    return {
        name: torch.where(A.any(-1, keepdim=True), A, rest)[:, None] for name, A in chosen.items()
    }
