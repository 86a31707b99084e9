"""What TransformerLens cannot express is compared with the equations themselves, written out in
loops."""

from itertools import product
from math import exp, sqrt

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from helpers.model import AttentionOnlyTransformer, ModelConfig

SHAPES = [
    dict(n_layers=0, n_heads=2, d_model=5, d_head=3, n_ctx=4, d_vocab=6),
    dict(n_layers=1, n_heads=1, d_model=6, d_head=7, n_ctx=1, d_vocab=5),
    dict(n_layers=1, n_heads=3, d_model=9, d_head=2, n_ctx=7, d_vocab=4),
    dict(n_layers=2, n_heads=2, d_model=6, d_head=4, n_ctx=8, d_vocab=11),
    dict(n_layers=3, n_heads=2, d_model=8, d_head=3, n_ctx=5, d_vocab=7),
]


def normalized(model: AttentionOnlyTransformer, place: int, x: Tensor) -> Tensor:
    kind = model.cfg.normalization
    if kind is None:
        return x
    if kind == "LN":
        x = torch.stack([row - row.mean() for row in x])
    x = torch.stack([row / sqrt((row * row).mean() + 1e-5) for row in x]) * model.norm_gain[place]
    return x + model.norm_bias[place] if kind == "LN" else x


def by_the_equations(
    model: AttentionOnlyTransformer, ids: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [pos, d_vocab], patterns [layer, head, query, key] and z [layer, pos, head, d_head] of
    one sequence."""
    cfg, n, places = model.cfg, len(ids), range(len(ids))
    pattern = torch.zeros(cfg.n_layers, cfg.n_heads, n, n).double()
    z = torch.zeros(cfg.n_layers, n, cfg.n_heads, cfg.d_head).double()
    late = cfg.positions == "shortformer"
    x = torch.stack([model.W_E[ids[i]] + (0 if late else model.W_pos[i]) for i in places])
    for layer in range(cfg.n_layers):
        plain = normalized(model, layer, x)
        at = torch.stack([plain[i] + (model.W_pos[i] if late else 0) for i in places])
        for h in range(cfg.n_heads):
            q, k, v = (
                at @ model.W_Q[layer, h],
                at @ model.W_K[layer, h],
                plain @ model.W_V[layer, h],
            )
            if cfg.smeared_keys:
                own = 1 / (1 + exp(-model.smear[layer, h]))
                k = torch.stack([k[0]] + [own * k[j] + (1 - own) * k[j - 1] for j in range(1, n)])
            for i in places:
                raw = [exp(q[i] @ k[j] / sqrt(cfg.d_head)) for j in range(i + 1)]
                for j in range(i + 1):
                    pattern[layer, h, i, j] = raw[j] / sum(raw)
                    z[layer, i, h] += pattern[layer, h, i, j] * v[j]
        x = x + sum(z[layer, :, h] @ model.W_O[layer, h] for h in range(cfg.n_heads))
    return normalized(model, -1, x) @ model.W_U, pattern, z


@pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda shape: f"{shape['n_layers']}x{shape['n_heads']}"
)
@pytest.mark.parametrize(
    ("positions", "norm", "smeared"),
    list(product(("shortformer", "standard"), (None, "RMS", "LN"), (False, True))),
)
@torch.no_grad()
def test_the_model_is_what_the_equations_say(shape, positions, norm, smeared):
    """In double precision, so that nothing but a wrong formula can differ."""
    config = ModelConfig(
        positions=positions, normalization=norm, smeared_keys=smeared, init_weights=1.0, **shape
    )
    model = AttentionOnlyTransformer(config).double()
    for weight in model.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    tokens = torch.randint(config.d_vocab, (2, config.n_ctx))
    logits, cache = model.run_with_cache(tokens)
    fast = model(tokens)
    for b, ids in enumerate(tokens.tolist()):
        expected, pattern, z = by_the_equations(model, ids)
        assert_close(logits[b], expected, atol=1e-10, rtol=1e-8)
        assert_close(fast[b], expected, atol=1e-10, rtol=1e-8)
        for layer in range(config.n_layers):
            assert_close(cache["pattern", layer][b], pattern[layer], atol=1e-10, rtol=1e-8)
            assert_close(cache["z", layer][b], z[layer], atol=1e-10, rtol=1e-8)
