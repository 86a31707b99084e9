"""What a head does by its weights alone: its two circuits, whether they copy and match, and heads
made of two.

Vectors are rows here and columns in the paper. The same things in both:

    here                                        the paper
    stream x [pos, d_model], read by x @ W      x [d_model], read by W x
    QK = W_Q @ W_K.T                            W_QK = W_Q^T W_K, the same matrix
    OV = W_V @ W_O                              W_OV = W_O W_V, the transpose of ours
    full_qk = W_E @ QK @ W_E.T / sqrt(d_head)   W_E^T W_QK W_E (the root is left out there)
    full_ov = W_E @ OV @ W_U                    W_U W_OV W_E, the transpose of ours

Everything here takes any model with TransformerLens' names, and takes the weights as they stand:
fold a normalization into them first (`basis.fold_norm`).

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits.
"""

import math
from functools import partial

import torch
from jaxtyping import Complex, Float, Int
from torch import Generator, Tensor

from helpers.instruments.weights import all_heads, of_all_layers, of_head
from helpers.model import Head, check_order

# ---- the two circuits of a head ("Splitting attention head terms into circuits")


@torch.no_grad()
def QK(model, layer: int, head: int) -> Float[Tensor, "d_model d_model"]:
    """Where a head attends: x_query @ QK @ x_key / sqrt(d_head) is a score. Rank at most d_head."""
    W = of_head(model, layer, head)
    return W.Q @ W.K.T


@torch.no_grad()
def OV(model, layer: int, head: int) -> Float[Tensor, "d_model d_model"]:
    """What a head moves: attending to x adds x @ OV to the stream. Rank at most d_head."""
    W = of_head(model, layer, head)
    return W.V @ W.O


@torch.no_grad()
def full_qk(model, layer: int, head: int) -> Float[Tensor, "query_token key_token"]:
    """The score that a key token gets from a query token, positions left out. Rows are not
    comparable: softmax takes away any constant of a row."""
    W = of_head(model, layer, head)
    queries, keys = model.W_E @ W.Q, model.W_E @ W.K
    return queries @ keys.T / math.sqrt(keys.shape[1])


@torch.no_grad()
def full_ov(model, layer: int, head: int) -> Float[Tensor, "source_token output_token"]:
    """What full attention to a source token adds to the logit of an output token."""
    W = of_head(model, layer, head)
    return (model.W_E @ W.V) @ (W.O @ model.W_U)


# ---- copying ("Summarizing OV/QK matrices")


def positivity(eigenvalues: Complex[Tensor, "*draws rank"]) -> Float[Tensor, "*draws"]:
    """sum(lambda) / sum(|lambda|): 1 when all eigenvalues are positive, -1 when all are negative. 0
    if all are 0."""
    return eigenvalues.sum(-1).real / eigenvalues.abs().sum(-1).clamp_min(1e-30)


@torch.no_grad()
def copying_eigenvalues(model, layer: int, head: int) -> Complex[Tensor, " d_head"]:
    """The eigenvalues of full_ov but for its zeros: AB and BA share them, so d_head x d_head is
    enough."""
    W = of_head(model, layer, head)
    return _ov_eigenvalues(model.W_E, W.V, W.O, model.W_U)


def copying_statistic(model, layer: int, head: int) -> float:
    """The positivity of the copying eigenvalues, from -1 to 1: positive when tokens tend to raise
    their own logit.

    Judge its size by `copying_null`, and look at `diagonal_copying` too: [[1, 3], [-0.1, -0.2]] has
    positive eigenvalues only and lowers the logit of one of its two tokens.
    """
    return positivity(copying_eigenvalues(model, layer, head)).item()


@torch.no_grad()
def copying_statistics(model) -> Float[Tensor, "layer head"]:
    """`copying_statistic` of every head."""
    W = of_all_layers(model)
    return positivity(_ov_eigenvalues(model.W_E, W.V, W.O, model.W_U))


def copying_null(
    d_vocab: int, d_model: int, d_head: int, draws: int, generator: Generator
) -> Float[Tensor, " draws"]:
    """The copying statistic of Gaussian matrices of these shapes: mean 0, standard deviation 1.5 to
    2.1 over d_head."""
    shapes = (d_vocab, d_model), (d_model, d_head), (d_head, d_model), (d_model, d_vocab)
    draw = partial(torch.randn, generator=generator)
    return positivity(torch.stack([_ov_eigenvalues(*map(draw, shapes)) for _ in range(draws)]))


@torch.no_grad()
def diagonal_copying(model, layer: int, head: int) -> float:
    """The share of tokens that raise their own logit: positive on the diagonal of full_ov. 1/2 by
    chance."""
    W = of_head(model, layer, head)
    written = (model.W_E @ W.V) @ W.O
    return ((written * model.W_U.T).sum(-1) > 0).float().mean().item()


@torch.no_grad()
def top1_copying(model, layer: int, head: int) -> float:
    """The share of tokens that raise no other logit as much as their own. 1 / d_vocab by chance."""
    circuit = full_ov(model, layer, head)
    return (
        (circuit.argmax(-1) == torch.arange(len(circuit), device=circuit.device))
        .float()
        .mean()
        .item()
    )


def _ov_eigenvalues(
    W_E: Tensor, W_V: Tensor, W_O: Tensor, W_U: Tensor
) -> Complex[Tensor, "*heads d_head"]:
    return torch.linalg.eigvals((W_O.double() @ W_U.double()) @ (W_E.double() @ W_V.double()))


# ---- matching ("Checking the mechanistic theory" of induction heads)


@torch.no_grad()
def matching_eigenvalues(
    model, previous_head: Head, induction_head: Head
) -> Complex[Tensor, " d_head"]:
    """The eigenvalues, but for zeros, of the score that a key gets from a query token for the token
    that the earlier head moved to that key, [query_token, moved_token]; d_head x d_head is enough.

    For an induction head and its previous-token head they are positive: same tokens match, so that
    it looks for what followed the present token. ValueError unless the second head is in a later
    layer.
    """
    queries, moved = _matching_factors(model, previous_head, induction_head)
    return torch.linalg.eigvals(moved.double().T @ queries.double())


@torch.no_grad()
def matching_statistic(
    model, layer: int, head: int, previous_token: Float[Tensor, "layer head"]
) -> float:
    """The positivity of the matching eigenvalues against all earlier heads at once, each weighted
    by how much it attends to the previous token (`heads.score`): the paper's QK trace over the sum
    of absolute values."""
    earlier = [at for at in all_heads(model) if at[0] < layer]
    if not earlier:
        raise ValueError(
            f"no head comes before layer {layer}; matching needs a head of a later layer"
        )
    factors = [_matching_factors(model, writer, (layer, head)) for writer in earlier]
    moved = sum(
        previous_token[writer] * part for writer, (_, part) in zip(earlier, factors, strict=True)
    )
    return positivity(torch.linalg.eigvals(moved.double().T @ factors[0][0].double())).item()


def matching_statistics(
    model, layer: int, previous_token: Float[Tensor, "layer head"]
) -> Float[Tensor, " head"]:
    """`matching_statistic` of every head of a layer."""
    heads = range(model.cfg.n_heads)
    found = [matching_statistic(model, layer, head, previous_token) for head in heads]
    return torch.tensor(found, dtype=torch.double)


def corner(model, previous: Head, head: Head) -> tuple[float, float]:
    """(matching, copying): the positivity of the head's matching eigenvalues against an earlier
    head, and its copying statistic. Both are near 1 for an induction head and its previous-token
    head. ValueError unless `previous` is in an earlier layer."""
    matching = positivity(matching_eigenvalues(model, previous, head)).item()
    return matching, copying_statistic(model, *head)


def _matching_factors(model, previous_head: Head, induction_head: Head) -> tuple[Tensor, Tensor]:
    check_order(model, previous_head, induction_head)
    writer, reader = of_head(model, *previous_head), of_head(model, *induction_head)
    queries = model.W_E @ reader.Q
    moved = (model.W_E @ writer.V) @ (writer.O @ reader.K)
    return queries / math.sqrt(queries.shape[1]), moved


# ---- virtual heads ("Virtual Attention Heads")


@torch.no_grad()
def virtual_head_ov(model, first: Head, second: Head) -> Float[Tensor, "d_model d_model"]:
    """What two heads move together, one after the other: OV of the first times OV of the second
    (V-composition)."""
    check_order(model, first, second)
    return OV(model, *first) @ OV(model, *second)


@torch.no_grad()
def virtual_head_pattern(
    model, tokens: Int[Tensor, "batch pos"], first: Head, second: Head
) -> Float[Tensor, "batch query key"]:
    """Where two heads attend together: A of the second times A of the first. Rows add up to 1, as
    any pattern's do."""
    check_order(model, first, second)
    _, cache = model.run_with_cache(tokens, lambda name: name.endswith("hook_pattern"))
    return cache["pattern", second[0]][:, second[1]] @ cache["pattern", first[0]][:, first[1]]
