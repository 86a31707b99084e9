"""What a change of coordinates leaves alone, and what it does not: everything that notebook 03
measures without training.

- `measures` collects what one would say of a model, and `change` compares two collections.
- `norms` and `maps` are the rows and columns of the table: which normalization allows which change
  of coordinates. `PROMISED` is the table as derived, `table` as measured.
- `hidden_layer` does the same to a hidden layer with a ReLU, `rotary_gauge` to the inside of a head
  with RoPE.

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits; norms: Ashkboos et
al. 2024, SliceGPT, section 3; RoPE: Su et al. 2021, RoFormer, section 3.2.
"""

from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from helpers.instruments import basis, circuits, composition, heads, weights
from helpers.model import AttentionOnlyTransformer, ModelConfig

# ---- what one would say of a model


@torch.no_grad()
def measures(
    model: AttentionOnlyTransformer, tokens: Int[Tensor, "batch pos"]
) -> dict[str, Tensor]:
    """Weights, activations and all that the course computes from them, by name."""
    logits, cache = model.run_with_cache(tokens)
    layers, every_head = range(model.cfg.n_layers), weights.all_heads(model)
    return {
        "weights": model.W_O,
        "stream": cache["resid_post", model.cfg.n_layers - 1],
        "queries, keys, values": torch.stack(
            [cache[side, layer] for side in "qkv" for layer in layers]
        ),
        "patterns": torch.stack([cache["pattern", layer] for layer in layers]),
        "head scores": torch.stack(list(heads.score(model, tokens))),
        "OV eigenvalues": torch.stack(
            [circuits.copying_eigenvalues(model, *at).real.sort().values for at in every_head]
        ),
        "Q-, K-, V-composition": torch.stack(
            [composition.composition_scores(model, kind) for kind in "QKV"]
        ),
        "the uncorrected diagram": torch.stack(
            [composition.published_bug_scores(model, kind) for kind in "QKV"]
        ),
        "logits": logits,
    }


def compare(
    model: AttentionOnlyTransformer,
    other: AttentionOnlyTransformer,
    tokens: Int[Tensor, "batch pos"],
) -> dict[str, float]:
    """The `change` of each of the `measures` from one model to the other."""
    return change(measures(model, tokens), measures(other, tokens))


def change(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, float]:
    """The largest change of each measure, as a share of its largest value."""
    return {name: relative_change(before[name], after[name]) for name in before}


def relative_change(before: Float[Tensor, "*shape"], after: Float[Tensor, "*shape"]) -> float:
    """The largest change of an entry over the largest entry."""
    return ((after - before).abs().max() / before.abs().max()).item()


@torch.no_grad()
def forgotten(
    model: AttentionOnlyTransformer,
    R: Float[Tensor, "d_model d_model"],
    tokens: Int[Tensor, "batch pos"],
) -> dict[str, list[float]]:
    """How far logits move (`relative_change`) when one single matrix is left out of a rotation: by
    kind, and for the heads' matrices one number a head."""
    turned, logits = basis.rotate(model, R), model(tokens)
    moved: dict[str, list[float]] = {}
    for name in (name for name in basis.WRITERS + basis.READERS if hasattr(model, name)):
        # each (layer, head), or () for what is one matrix
        every = product(*map(range, getattr(model, name).shape[:-2]))
        moved[name] = []
        for one in every:
            W = getattr(turned, name).clone()
            W[one] = getattr(model, name)[one]
            moved[name].append(
                relative_change(logits, torch.func.functional_call(turned, {name: W}, (tokens,)))
            )
    return moved


@torch.no_grad()
def small_gauges(
    model: AttentionOnlyTransformer, tokens: Int[Tensor, "batch pos"], seed: int = 0
) -> dict[str, float]:
    """How far log-probabilities move (nats) when a layer's heads change places, when one vector is
    added to what every token reads of the stream (all columns of W_U), and, as a control, when it
    is added for one token only."""
    generator = Generator().manual_seed(seed)
    shift = torch.randn(model.cfg.d_model, 1, generator=generator).to(model.W_U)
    one_token = torch.eye(model.cfg.d_vocab).to(model.W_U)[:1]
    places = [
        torch.randperm(model.cfg.n_heads, generator=generator) for _ in range(model.cfg.n_layers)
    ]
    heads_moved = {
        name: torch.stack([W[at] for W, at in zip(getattr(model, name), places, strict=True)])
        for name in ("W_Q", "W_K", "W_V", "W_O")
    }
    variants = {
        "heads in another order": heads_moved,
        "one vector added for all tokens": {"W_U": model.W_U + shift},
        "the same for one token": {"W_U": model.W_U + shift @ one_token},
    }
    before = model(tokens).log_softmax(-1)
    logits = {
        name: torch.func.functional_call(model, weights, (tokens,))
        for name, weights in variants.items()
    }
    return {
        name: (after.log_softmax(-1) - before).abs().max().item() for name, after in logits.items()
    }


# ---- the table


def normed(
    norm: str | None, gain: bool = False, bias: bool = False, seed: int = 0
) -> AttentionOnlyTransformer:
    """An untrained model in float64 with logits of size 1, and with a gain or a bias that is not
    trivial, if asked."""
    shape = dict(positions="standard", n_ctx=24, init_embed=1.0, init_weights=0.8)
    model = (
        AttentionOnlyTransformer(ModelConfig(normalization=norm, seed=seed, **shape))
        .double()
        .requires_grad_(False)
    )
    generator = Generator().manual_seed(seed)
    if gain:
        model.norm_gain.uniform_(0.2, 2.2, generator=generator)
    if bias:
        model.norm_bias.normal_(generator=generator)
    return model


def norms(seed: int = 0) -> dict[str, AttentionOnlyTransformer]:
    """A model for each row of the table."""
    return {
        "none": normed(None, seed=seed),
        "RMS": normed("RMS", seed=seed),
        "RMS, gains": normed("RMS", gain=True, seed=seed),
        "RMS, gains folded": basis.fold_norm(normed("RMS", gain=True, seed=seed)),
        "LayerNorm": normed("LN", seed=seed),
        "LayerNorm, gains and bias": normed("LN", gain=True, bias=True, seed=seed),
        "LayerNorm, gains, folded": basis.fold_norm(normed("LN", gain=True, seed=seed)),
    }


def maps(d: int, seed: int = 0) -> dict[str, Float[Tensor, "d d"]]:
    """A change of coordinates for each column of the table."""
    generator, eye = Generator().manual_seed(seed), torch.eye(d).double()
    return {
        "any rotation": basis.random_rotation(d, generator),
        "one that keeps (1, …, 1)": basis.random_rotation(d, generator, fixed=torch.ones(d)),
        "another order": eye[torch.randperm(d, generator=generator)],
        "some signs turned": torch.where(torch.arange(d) % 2 == 0, 1.0, -1.0).double().diag(),
        # a Gaussian matrix is as good as singular now and then
        "any invertible": basis.random_rotation(d, generator)
        @ (4 ** torch.linspace(-1, 1, d).double()).diag()
        @ basis.random_rotation(d, generator),
    }


PROMISED = {
    "none": (True, True, True, True, True),
    "RMS": (True, True, True, True, False),
    "RMS, gains": (False, False, False, True, False),
    "RMS, gains folded": (True, True, True, True, False),
    "LayerNorm": (False, True, True, False, False),
    "LayerNorm, gains and bias": (False, False, False, False, False),
    "LayerNorm, gains, folded": (True, True, True, True, False),
}


@torch.no_grad()
def table(seed: int = 0) -> dict[str, dict[str, float]]:
    """The largest change of a logit, for every norm and every map."""
    tokens = torch.randint(64, (8, 24), generator=Generator().manual_seed(seed))
    return {
        norm: {
            name: (basis.general_linear(model, G)(tokens) - model(tokens)).abs().max().item()
            for name, G in maps(model.cfg.d_model, seed).items()
        }
        for norm, model in norms(seed).items()
    }


def as_promised(tables: list[dict[str, dict[str, float]]]) -> tuple[float, float]:
    """(the largest change where PROMISED says none, the smallest change where it says some)."""
    cells = [
        (value, promised)
        for measured in tables
        for norm, row in measured.items()
        for value, promised in zip(row.values(), PROMISED[norm], strict=True)
    ]
    return max(value for value, promised in cells if promised), min(
        value for value, promised in cells if not promised
    )


# ---- a hidden layer


def hidden_layer(seed: int = 0, d_model: int = 64, d_hidden: int = 96) -> dict[str, float]:
    """relu(x @ W_in) @ W_out in other coordinates: how far its output moves when the stream is
    rotated, and when the hidden layer is mapped in several ways (W_in @ G, inverse(G) @ W_out)."""
    generator = Generator().manual_seed(seed)
    shapes = (32, d_model), (d_model, d_hidden), (d_hidden, d_model)
    x, W_in, W_out = (torch.randn(*shape, generator=generator).double() for shape in shapes)
    R, eye = basis.random_rotation(d_model, generator), torch.eye(d_hidden).double()
    scales = (torch.rand(d_hidden, generator=generator).double() + 0.5).diag()
    order = torch.randperm(d_hidden, generator=generator)
    signs = torch.where(torch.arange(d_hidden) % 2 == 0, 1.0, -1.0).double().diag()
    hidden = {
        "another order": eye[order],
        "positive scales": scales,
        "order and positive scales": scales[order],
        "signs turned": signs,
        "hidden layer rotated": basis.random_rotation(d_hidden, generator),
    }
    y = (x @ W_in).relu() @ W_out
    stream = ((x @ R) @ (R.T @ W_in)).relu() @ (W_out @ R)
    changes = {
        name: relative_change(y, (x @ W_in @ G).relu() @ (G.inverse() @ W_out))
        for name, G in hidden.items()
    }
    return {"stream rotated": relative_change(y @ R, stream)} | changes


# ---- inside a rotary head


def rope(position: int, d_head: int, base: float = 100.0) -> Float[Tensor, "d_head d_head"]:
    """What RoPE does to a query or key at this position: each pair of coordinates turned, at a
    frequency of its own."""
    angles = position * base ** -(torch.arange(d_head // 2).double() / (d_head // 2))
    return torch.block_diag(
        *(torch.tensor([[a.cos(), a.sin()], [-a.sin(), a.cos()]]) for a in angles)
    )


def rotary_scores(
    x: Float[Tensor, "pos d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
) -> Float[Tensor, "query key"]:
    """Scores that depend on positions through their distance alone."""
    turns = torch.stack([rope(position, W_Q.shape[1]) for position in range(len(x))])
    q, k = (torch.einsum("pd,pde->pe", x @ W, turns) for W in (W_Q, W_K))
    return q @ k.T


def rotary_freedom(d_head: int, positions: int = 8) -> int:
    """How many dimensions of gauge are left for queries and keys: the solutions A of A @ rope(i) =
    rope(i) @ A."""
    eye = torch.eye(d_head).double()
    turns = [rope(position, d_head).contiguous() for position in range(1, positions + 1)]
    conditions = [torch.kron(eye, turn.T.contiguous()) - torch.kron(turn, eye) for turn in turns]
    return d_head**2 - int(torch.linalg.matrix_rank(torch.cat(conditions)))


def complex_numbers(d_head: int, generator: Generator) -> Float[Tensor, "d_head d_head"]:
    """A stretch and an angle for each pair of coordinates: what RoPE allows."""
    blocks = []
    for stretch, angle in torch.rand(d_head // 2, 2, generator=generator).double() + 0.5:
        blocks.append(
            stretch * torch.tensor([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]])
        )
    return torch.block_diag(*blocks)


def rotary_gauge(d_head: int = 16, seed: int = 0) -> dict[str, float]:
    """How far scores move when a rotary head's queries and keys get other coordinates (W_Q @ A, W_K
    @ inverse(A).T)."""
    generator = Generator().manual_seed(seed)
    x, W_Q, W_K = (
        torch.randn(*shape, generator=generator).double()
        for shape in ((12, 64), (64, d_head), (64, d_head))
    )
    gauges = {
        "one complex number a pair": complex_numbers(d_head, generator),
        "any invertible A": torch.randn(d_head, d_head, generator=generator).double()
        + 2 * torch.eye(d_head),
    }
    before = rotary_scores(x, W_Q, W_K)
    return {
        name: relative_change(before, rotary_scores(x, W_Q @ A, W_K @ A.inverse().T))
        for name, A in gauges.items()
    }
