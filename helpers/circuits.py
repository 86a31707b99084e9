"""What the weights do by themselves: circuits, virtual weights, and the logits as a sum over paths.

Vectors are rows here and columns in the paper. The same things in both:

    here                                        the paper
    stream x [pos, d_model], read by x @ W      x [d_model], read by W x
    QK = W_Q @ W_K.T                            W_QK = W_Q^T W_K, the same matrix
    OV = W_V @ W_O                              W_OV = W_O W_V, the transpose of ours
    full_qk = W_E @ QK @ W_E.T / sqrt(d_head)   W_E^T W_QK W_E (the root is left out there)
    full_ov = W_E @ OV @ W_U                    W_U W_OV W_E, the transpose of ours
    writer @ reader                             W_I^2 W_O^1, the transpose of ours

What reads weights only takes any model with TransformerLens' names, and takes the weights as they stand: fold a
normalization into them first (`basis.fold_norm`). What needs a forward pass takes the course's model, freezes patterns
and norm scales at what they were in that pass, and is exact for every normalization.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Complex, Float, Int
from torch import Generator, Tensor

Head = tuple[int, int]
TOLERANCE = 1e-5  # float32: of the largest number compared, or of 1


def check_head(model, layer: int, head: int) -> None:
    """ValueError for a head that does not exist."""
    cfg = model.cfg
    if not (0 <= layer < cfg.n_layers and 0 <= head < cfg.n_heads):
        has = f"the model has {cfg.n_layers} layers of {cfg.n_heads} heads, both counted from 0"
        raise ValueError(f"there is no head {head} in layer {layer}: {has}")


# ---- the two circuits of a head ("Splitting attention head terms into circuits")


@torch.no_grad()
def QK(model, layer: int, head: int) -> Float[Tensor, "d_model d_model"]:
    """Where a head attends: x_query @ QK @ x_key / sqrt(d_head) is a score. Rank at most d_head."""
    check_head(model, layer, head)
    return model.W_Q[layer, head] @ model.W_K[layer, head].T


@torch.no_grad()
def OV(model, layer: int, head: int) -> Float[Tensor, "d_model d_model"]:
    """What a head moves: attending to x adds x @ OV to the stream. Rank at most d_head."""
    check_head(model, layer, head)
    return model.W_V[layer, head] @ model.W_O[layer, head]


@torch.no_grad()
def full_qk(model, layer: int, head: int) -> Float[Tensor, "query_token key_token"]:
    """The score that a key token gets from a query token, positions left out. Rows are not comparable: softmax takes
    away any constant of a row."""
    check_head(model, layer, head)
    queries, keys = model.W_E @ model.W_Q[layer, head], model.W_E @ model.W_K[layer, head]
    return queries @ keys.T / math.sqrt(keys.shape[1])


@torch.no_grad()
def full_ov(model, layer: int, head: int) -> Float[Tensor, "source_token output_token"]:
    """What full attention to a source token adds to the logit of an output token."""
    check_head(model, layer, head)
    return (model.W_E @ model.W_V[layer, head]) @ (model.W_O[layer, head] @ model.W_U)


# ---- copying ("Summarizing OV/QK matrices")


def positivity(eigenvalues: Complex[Tensor, "*draws rank"]) -> Float[Tensor, "*draws"]:
    """sum(lambda) / sum(|lambda|): 1 when all eigenvalues are positive, -1 when all are negative. 0 if all are 0."""
    return eigenvalues.sum(-1).real / eigenvalues.abs().sum(-1).clamp_min(1e-30)


@torch.no_grad()
def copying_eigenvalues(model, layer: int, head: int) -> Complex[Tensor, " d_head"]:
    """The eigenvalues of full_ov but for its zeros: AB and BA share them, so d_head x d_head is enough."""
    check_head(model, layer, head)
    return _ov_eigenvalues(model.W_E, model.W_V[layer, head], model.W_O[layer, head], model.W_U)


def copying_statistic(model, layer: int, head: int) -> float:
    """The positivity of the copying eigenvalues, from -1 to 1: positive when tokens tend to raise their own logit.

    Judge its size by `copying_null`, and look at `diagonal_copying` too: [[1, 3], [-0.1, -0.2]] has positive
    eigenvalues only and lowers the logit of one of its two tokens.
    """
    return positivity(copying_eigenvalues(model, layer, head)).item()


def copying_null(d_vocab: int, d_model: int, d_head: int, draws: int, generator: Generator) -> Float[Tensor, " draws"]:
    """The copying statistic of Gaussian matrices of these shapes: mean 0, standard deviation 1.5 to 2.1 over d_head."""
    shapes = (d_vocab, d_model), (d_model, d_head), (d_head, d_model), (d_model, d_vocab)
    draw = partial(torch.randn, generator=generator)
    return positivity(torch.stack([_ov_eigenvalues(*map(draw, shapes)) for _ in range(draws)]))


@torch.no_grad()
def diagonal_copying(model, layer: int, head: int) -> float:
    """The share of tokens that raise their own logit: positive on the diagonal of full_ov. 1/2 by chance."""
    check_head(model, layer, head)
    written = (model.W_E @ model.W_V[layer, head]) @ model.W_O[layer, head]
    return ((written * model.W_U.T).sum(-1) > 0).float().mean().item()


@torch.no_grad()
def top1_copying(model, layer: int, head: int) -> float:
    """The share of tokens that raise no other logit as much as their own. 1 / d_vocab by chance."""
    circuit = full_ov(model, layer, head)
    return (circuit.argmax(-1) == torch.arange(len(circuit), device=circuit.device)).float().mean().item()


def _ov_eigenvalues(W_E: Tensor, W_V: Tensor, W_O: Tensor, W_U: Tensor) -> Complex[Tensor, " d_head"]:
    return torch.linalg.eigvals((W_O.double() @ W_U.double()) @ (W_E.double() @ W_V.double()))


# ---- matching ("Checking the mechanistic theory" of induction heads)


@torch.no_grad()
def full_matching(model, previous_head: Head, induction_head: Head) -> Float[Tensor, "query_token moved_token"]:
    """The score that a key gets from a query token, for the token that the earlier head moved to that key.

    For an induction head and its previous-token head the diagonal stands out: look for what followed the present token.
    ValueError unless the second head is in a later layer.
    """
    queries, moved = _matching_factors(model, previous_head, induction_head)
    return queries @ moved.T


@torch.no_grad()
def matching_eigenvalues(model, previous_head: Head, induction_head: Head) -> Complex[Tensor, " d_head"]:
    """The eigenvalues of full_matching but for its zeros, from d_head x d_head. All positive: same tokens match."""
    queries, moved = _matching_factors(model, previous_head, induction_head)
    return torch.linalg.eigvals(moved.double().T @ queries.double())


@torch.no_grad()
def matching_statistic(model, layer: int, head: int, previous_token: Float[Tensor, "layer head"]) -> float:
    """The positivity of the matching eigenvalues against all earlier heads at once, each weighted by how much it attends
    to the previous token (`heads.score`): the paper's QK trace over the sum of absolute values."""
    earlier = [(at, other) for at in range(layer) for other in range(model.cfg.n_heads)]
    if not earlier:
        raise ValueError(f"no head comes before layer {layer}; matching needs a head of a later layer")
    factors = [_matching_factors(model, writer, (layer, head)) for writer in earlier]
    moved = sum(previous_token[writer] * part for writer, (_, part) in zip(earlier, factors, strict=True))
    return positivity(torch.linalg.eigvals(moved.double().T @ factors[0][0].double())).item()


def _matching_factors(model, previous_head: Head, induction_head: Head) -> tuple[Tensor, Tensor]:
    check_order(model, previous_head, induction_head)
    queries = model.W_E @ model.W_Q[induction_head]
    moved = model.W_E @ model.W_V[previous_head] @ (model.W_O[previous_head] @ model.W_K[induction_head])
    return queries / math.sqrt(queries.shape[1]), moved


def check_order(model, first: Head, second: Head) -> None:
    """ValueError unless both heads exist and the first stands in an earlier layer."""
    check_head(model, *first)
    check_head(model, *second)
    if first[0] >= second[0]:
        raise ValueError(f"head {second} cannot read what head {first} writes; give a head of an earlier layer first")


# ---- virtual weights ("Virtual Weights and the Residual Stream as a Communication Channel")


@torch.no_grad()
def virtual_weights(
    model, writer: str | Head, reader: str | tuple[int, int, str]
) -> Float[Tensor, "writer_inputs reader_outputs"]:
    """The matrix by which two layers that never touch talk: what one writes to the stream, times what the other reads.

    Writers: "embed" (W_E, from d_vocab tokens), "pos" (W_pos, from n_ctx positions), or a head (layer, head) (its W_O,
    from d_head values). Readers: (layer, head, "Q"), "K" or "V" (the head's W_Q, W_K, W_V, to d_head numbers), or
    "unembed" (W_U, to d_vocab logits). The rank is at most the smallest of d_model and the two sizes.

    ValueError for a writer or reader that does not exist, and for a reader that never hears this writer.
    """
    if deaf := why_deaf(model, writer, reader):
        raise ValueError(deaf)
    return writer_weights(model, writer)[0] @ reader_weights(model, reader)[0]


def why_deaf(model, writer: str | Head, reader: str | tuple[int, int, str]) -> str | None:
    """Why this reader never hears this writer, in words; None if it does. ValueError for one that does not exist."""
    if reader_weights(model, reader)[1] <= writer_weights(model, writer)[1]:
        return f"{reader} reads the stream before {writer} writes to it; choose a reader in a later layer"
    if writer == "pos" and getattr(model.cfg, "positions", None) == "shortformer" and reader[-1] not in "QK":
        return f"{reader} never sees the positions of a shortformer model; only queries and keys do"
    return None


def writer_weights(model, writer: str | Head) -> tuple[Tensor, int]:
    """The matrix a writer writes by, and its layer: -1 before them all. ValueError for one that does not exist."""
    if writer in ("embed", "pos"):
        return (model.W_E if writer == "embed" else model.W_pos), -1
    if isinstance(writer, str) or len(writer) != 2:
        raise ValueError(f"no writer is called {writer!r}; choose 'embed', 'pos' or a pair (layer, head)")
    check_head(model, *writer)
    return model.W_O[writer], writer[0]


def reader_weights(model, reader: str | tuple[int, int, str]) -> tuple[Tensor, int]:
    """The matrix a reader reads by, and its layer: n_layers after them all. ValueError for one that does not exist."""
    if reader == "unembed":
        return model.W_U, model.cfg.n_layers
    if isinstance(reader, str) or len(reader) != 3 or reader[2] not in ("Q", "K", "V"):
        raise ValueError(f"no reader is called {reader!r}; choose 'unembed' or (layer, head, 'Q'), 'K' or 'V'")
    layer, head, side = reader
    check_head(model, layer, head)
    return getattr(model, f"W_{side}")[layer, head], layer


# ---- virtual heads ("Virtual Attention Heads")


@torch.no_grad()
def virtual_head_ov(model, first: Head, second: Head) -> Float[Tensor, "d_model d_model"]:
    """What two heads move together, one after the other: OV of the first times OV of the second (V-composition)."""
    check_order(model, first, second)
    return OV(model, *first) @ OV(model, *second)


@torch.no_grad()
def virtual_head_pattern(
    model, tokens: Int[Tensor, "batch pos"], first: Head, second: Head
) -> Float[Tensor, "batch query key"]:
    """Where two heads attend together: A of the second times A of the first. Rows add up to 1, as any pattern's do."""
    check_order(model, first, second)
    _, cache = model.run_with_cache(tokens, lambda name: name.endswith("hook_pattern"))
    return cache["pattern", second[0]][:, second[1]] @ cache["pattern", first[0]][:, first[1]]


# ---- sums over paths ("Path expansion of logits", "Path expansion of attention scores QK circuit")


@torch.no_grad()
def path_expansion(
    model, tokens: Int[Tensor, "batch pos"], most_terms: int = 1000
) -> dict[str, Float[Tensor, "batch pos d_vocab"]]:
    """The logits as a sum: "direct" (embedding to unembedding), each head "0.1", each virtual head "0.1 -> 1.2", ...

    Shortest paths first. Patterns and norm scales are frozen, so each term is linear in the embedding it starts from.
    Standard positions are part of that embedding; LayerNorm's bias goes with the embedding wherever that is read.
    AssertionError, with the largest difference, if the terms do not sum to the logits, to 1e-5 of the largest of them.
    ValueError for more than `most_terms` paths: L layers of H heads have (1 + H)^L.
    """
    cfg = model.cfg
    if (1 + cfg.n_heads) ** cfg.n_layers > most_terms:
        raise ValueError(
            f"{cfg.n_layers} layers of {cfg.n_heads} heads have {(1 + cfg.n_heads) ** cfg.n_layers} paths, more than "
            f"most_terms = {most_terms}; raise it, or sum all paths of one length (term_importance)"
        )
    logits, cache = model.run_with_cache(tokens)
    embedding = cache["hook_embed"] + cache["hook_pos_embed"] if cfg.positions == "standard" else cache["hook_embed"]
    stream = {(): embedding}  # what each path put there
    for layer in range(cfg.n_layers):
        reads = {path: _read(model, cache, layer, part, starts=not path) for path, part in stream.items()}
        for head in range(cfg.n_heads):
            A, W = cache["pattern", layer][:, head], OV(model, layer, head)
            stream |= {(*path, (layer, head)): A @ (x @ W) for path, x in reads.items()}
    terms = {}
    for path, part in sorted(stream.items(), key=lambda item: len(item[0])):  # shortest first
        name = " -> ".join(f"{layer}.{head}" for layer, head in path) or "direct"
        terms[name] = _read(model, cache, -1, part, starts=not path) @ model.W_U
    _check_sum(terms, logits, "the logits")
    return terms


def path_order(name: str) -> int:
    """How many heads a path goes through: 0 for "direct", 2 for "0.1 -> 1.2"."""
    return 0 if name == "direct" else 1 + name.count("->")


@torch.no_grad()
def score_terms(
    model, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> dict[tuple[str, str], Float[Tensor, "batch query key"]]:
    """A head's attention scores as a sum over who wrote what the query reads and who wrote what the key reads.

    Both are "embed", "pos" or an earlier head "0.1" (with all that it read). Positions have terms of their own, whether
    they stand in the stream or are added to queries and keys. Future keys, which the mask hides, are 0.
    AssertionError, with the largest difference, if the terms do not sum to the scores.
    """
    check_head(model, layer, head)
    _, cache = model.run_with_cache(tokens)
    parts = {"embed": cache["hook_embed"]}
    if model.cfg.positions == "standard":
        parts["pos"] = cache["hook_pos_embed"]
    for earlier in range(layer):
        parts |= {f"{earlier}.{h}": cache["result", earlier][:, :, h] for h in range(model.cfg.n_heads)}
    reads = {name: _read(model, cache, layer, part, starts=name == "embed") for name, part in parts.items()}
    if model.cfg.positions == "shortformer":
        reads["pos"] = cache["hook_pos_embed"]
    queries = {name: read @ model.W_Q[layer, head] for name, read in reads.items()}
    keys = {name: _smeared(model, layer, head, read @ model.W_K[layer, head]) for name, read in reads.items()}
    terms = {
        (of_query, of_key): (q @ k.mT / math.sqrt(model.cfg.d_head)).tril()
        for of_query, q in queries.items()
        for of_key, k in keys.items()
    }
    scores = cache["attn_scores", layer][:, head]
    _check_sum(terms, scores.masked_fill(scores == -torch.inf, 0), "the scores")
    return terms


def score_expansion(
    model, tokens: Int[Tensor, "batch pos"], layer: int, head: int
) -> dict[str, Float[Tensor, "batch query key"]]:
    """The same in four: "direct", "Q" (an earlier head wrote what the query reads), "K" (what the key reads), "both".

    Positions count as direct, beside the embedding. Errors as in `score_terms`.
    """
    terms = score_terms(model, tokens, layer, head)
    sums = {name: torch.zeros_like(terms["embed", "embed"]) for name in ("direct", "Q", "K", "both")}
    for (of_query, of_key), term in terms.items():
        q_composed, k_composed = (part not in ("embed", "pos") for part in (of_query, of_key))
        sums["both" if q_composed and k_composed else "Q" if q_composed else "K" if k_composed else "direct"] += term
    return sums


@torch.no_grad()
def term_importance(
    model,
    tokens: Int[Tensor, "batch pos"],
    targets: Int[Tensor, "batch pos"],
    rows: Bool[Tensor, "batch pos"] | None = None,
    heads: Sequence[Head] | None = None,
) -> Float[Tensor, " orders"]:
    """The loss, in nats, of all paths through at most 0, 1, ... L heads. The drop to an order is its marginal effect.

    Record, then iterate: after one ordinary pass the patterns (and norm scales) are forced, and in each further pass
    every head adds to the stream what it would have written in the pass before, at first nothing. L + 2 passes in all.
    `rows`: where the loss is taken (default everywhere). `heads`: only paths through these (default all).
    AssertionError if, with all heads, order L is not the true loss to 1e-5. ValueError when `rows` marks none.
    Source: "Term importance analysis".
    """
    rows = torch.ones_like(targets, dtype=torch.bool) if rows is None else rows
    if not rows.any():
        raise ValueError("`rows` marks no row, so there is no loss to take; mark some, or leave it out for all")
    logits, frozen = model.run_with_cache(tokens, lambda name: name.endswith(("hook_pattern", "hook_scale")))
    allowed = torch.full((model.cfg.n_layers, model.cfg.n_heads, 1), float(heads is None)).to(logits)
    for layer, head in heads or ():
        check_head(model, layer, head)
        allowed[layer, head] = 1
    force = (frozen.__contains__, lambda value, hook: frozen[hook.name])
    losses, fresh = [F.cross_entropy(logits[rows], targets[rows])], {}
    for _ in range(model.cfg.n_layers + 1):
        before, fresh = fresh, {}
        swap = (lambda name: name.endswith("hook_result"), partial(_swap, allowed, before, fresh))
        losses.append(F.cross_entropy(model.run_with_hooks(tokens, [force, swap])[rows], targets[rows]))
    true, *orders = losses
    if heads is None:
        _check_sum({"order L": orders[-1]}, true, "the true loss")
    return torch.stack(orders)


# ---- the pieces


def _read(model, cache, layer: int, part: Tensor, starts: bool) -> Tensor:
    """What a layer (-1: the unembedding) reads of one part of the stream, with the norm scale of the whole stream. The
    bias, which belongs to no part, is given to the part that starts all paths."""
    kind = model.cfg.normalization
    if kind is None:
        return part
    if kind == "LN":
        part = part - part.mean(-1, keepdim=True)
    # Layers have a scale for each head; they are all the same.
    scale = cache["ln_final.hook_scale"] if layer == -1 else cache["scale", layer, "ln1"][:, :, 0]
    read = part / scale * model.norm_gain[layer]
    return read + model.norm_bias[layer] if kind == "LN" and starts else read


def _swap(allowed: Tensor, before: dict[str, Tensor], fresh: dict[str, Tensor], result: Tensor, hook) -> Tensor:
    """Keep what the heads write now, and let them write what they wrote before."""
    fresh[hook.name] = result * allowed[int(hook.name.split(".")[1])]
    return before.get(hook.name, torch.zeros_like(result))


def _smeared(model, layer: int, head: int, k: Float[Tensor, "batch pos d_head"]) -> Float[Tensor, "batch pos d_head"]:
    if not model.cfg.smeared_keys:
        return k
    return model._smear(layer, k.unsqueeze(2).expand(-1, -1, model.cfg.n_heads, -1))[:, :, head]


def _check_sum(terms: dict, whole: Tensor, name: str) -> None:
    difference = (sum(terms.values()) - whole).abs().max().item()
    allowed = TOLERANCE * max(1.0, whole.abs().max().item())
    if not difference <= allowed:
        raise AssertionError(f"the terms differ from {name} by {difference:.1e}; float32 explains {allowed:.0e}")
