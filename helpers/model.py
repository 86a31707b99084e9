"""An attention-only transformer, small enough to read in one sitting.

- Zero or more attention layers between an embedding and an unembedding. Every layer reads the
  residual stream by linear maps and adds its output to it.
- Weights and activations carry the names and the shapes of TransformerLens; vectors are rows, so
  everything is `x @ W`.
- There are two ways through the same weights. Calling the model is the fast path: fused attention,
  nothing kept. `run_with_cache` and `run_with_hooks` are the explicit path: each intermediate has a
  name, can be kept and replaced.

Not here: MLPs, biases (but LayerNorm's), dropout, sampling. The theory does without them.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Model
Simplifications" and "One-Layer Attention-Only Transformers"; smeared keys: Olsson et al. 2022,
In-context Learning and Induction Heads, argument 2.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from helpers.hooks import ActivationCache, HookFunction, NameFilter, pass_through

Head = tuple[int, int]  # (layer, head), both counted from 0


def check_head(model, layer: int, head: int) -> None:
    """ValueError for a head that does not exist."""
    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    if not (0 <= layer < n_layers and 0 <= head < n_heads):
        raise ValueError(
            f"there is no head {head} in layer {layer}: the model has {n_layers} layers of "
            f"{n_heads} heads, both counted from 0; give pairs (layer, head)"
        )


def check_order(model, first: Head, second: Head) -> None:
    """ValueError unless both heads exist and the first stands in an earlier layer."""
    check_head(model, *first)
    check_head(model, *second)
    if first[0] >= second[0]:
        raise ValueError(
            f"head {second} cannot read what head {first} writes; "
            "give a head of an earlier layer first"
        )


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a model and how its weights are drawn.

    `positions`: "shortformer" adds W_pos only to what queries and keys read, so that no position
    ever enters the stream; "standard" adds it to the stream once. `normalization`: what stands
    before each layer and before the unembedding. `init_*` are standard deviations: of an entry of
    W_E and of W_pos, and for the other matrices of an output coordinate when the input coordinates
    have standard deviation 1.
    """

    n_layers: int = 2
    n_heads: int = 4
    d_model: int = 64
    d_head: int = 16
    n_ctx: int = 64
    d_vocab: int = 64
    positions: Literal["shortformer", "standard"] = "shortformer"
    normalization: Literal["RMS", "LN"] | None = None
    smeared_keys: bool = False
    init_embed: float = 0.5
    init_pos: float = 0.5
    init_weights: float = 0.5
    seed: int = 0

    def __post_init__(self):
        fewest = dict(n_layers=0, n_heads=1, d_model=1, d_head=1, n_ctx=1, d_vocab=2)
        for name, least in fewest.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; a model needs at least {least}")
        if self.positions not in ("shortformer", "standard"):
            raise ValueError(f"positions is {self.positions!r}; choose 'shortformer' or 'standard'")
        if self.normalization not in (None, "RMS", "LN"):
            raise ValueError(f"normalization is {self.normalization!r}; choose None, 'RMS' or 'LN'")


def _normal(generator: torch.Generator, *shape: int, std: float) -> nn.Parameter:
    return nn.Parameter(std * torch.randn(shape, generator=generator))


class AttentionOnlyTransformer(nn.Module):
    """`model(tokens)` gives the logits; weights are attributes, with one leading axis for layers
    and one for heads."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.cfg = cfg = config
        normal = partial(_normal, torch.Generator().manual_seed(cfg.seed))
        layers_and_heads = (cfg.n_layers, cfg.n_heads)
        read = cfg.init_weights / math.sqrt(cfg.d_model)
        write = cfg.init_weights / math.sqrt(cfg.d_head)
        self.W_E = normal(cfg.d_vocab, cfg.d_model, std=cfg.init_embed)
        self.W_pos = nn.Parameter(cfg.init_pos * math.sqrt(2) * sinusoids(cfg.n_ctx, cfg.d_model))
        self.W_Q = normal(*layers_and_heads, cfg.d_model, cfg.d_head, std=read)
        self.W_K = normal(*layers_and_heads, cfg.d_model, cfg.d_head, std=read)
        self.W_V = normal(*layers_and_heads, cfg.d_model, cfg.d_head, std=read)
        self.W_O = normal(*layers_and_heads, cfg.d_head, cfg.d_model, std=write)
        self.W_U = normal(cfg.d_model, cfg.d_vocab, std=read)
        # One row a layer, and a last one for the normalization before W_U.
        if cfg.normalization:
            self.norm_gain = nn.Parameter(torch.ones(cfg.n_layers + 1, cfg.d_model))
        if cfg.normalization == "LN":
            self.norm_bias = nn.Parameter(torch.zeros(cfg.n_layers + 1, cfg.d_model))
        if cfg.smeared_keys:
            self.smear = nn.Parameter(torch.zeros(layers_and_heads))

    # ---- the fast path

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits. ValueError for ids outside the vocabulary and sequences longer than n_ctx."""
        resid = self._embed(tokens)
        for layer in range(self.cfg.n_layers):
            resid = resid + self._fused_attention(layer, self._normalize(layer, resid))
        return self._normalize(-1, resid) @ self.W_U

    def _fused_attention(
        self, layer: int, x: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos d_model"]:
        at = x + self.W_pos[: x.shape[1]] if self.cfg.positions == "shortformer" else x
        q, k, v = (
            self._fused_read(W[layer], x)
            for W, x in ((self.W_Q, at), (self.W_K, at), (self.W_V, x))
        )
        if self.cfg.smeared_keys:
            k = self._smear(layer, k)
        z = F.scaled_dot_product_attention(
            *(side.transpose(1, 2) for side in (q, k, v)), is_causal=True
        )
        return z.transpose(1, 2).flatten(2) @ self.W_O[layer].flatten(0, 1)

    def _fused_read(
        self, W: Float[Tensor, "head d_model d_head"], x: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos head d_head"]:
        # [d_model, head * d_head]: one product for all the heads
        joined = W.transpose(0, 1).flatten(1)
        return (x @ joined).unflatten(-1, (self.cfg.n_heads, self.cfg.d_head))

    # ---- the explicit path

    def run_with_cache(
        self, tokens: Int[Tensor, "batch pos"], names_filter: NameFilter | None = None
    ) -> tuple[Float[Tensor, "batch pos d_vocab"], ActivationCache]:
        """Logits, and the activations whose hook names pass the filter (a name or a predicate; by
        default all)."""
        cache = ActivationCache()
        names = names_filter or (lambda name: True)
        logits = self.run_with_hooks(
            tokens, [(names, lambda value, hook: cache.update({hook.name: value}))]
        )
        return logits, cache

    def run_with_hooks(
        self,
        tokens: Int[Tensor, "batch pos"],
        fwd_hooks: Iterable[tuple[NameFilter, HookFunction]] = (),
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits, with each named activation passed through `function(value, hook)`; what it
        returns, if anything, replaces the activation for all that comes after. ValueError for a
        name that the model does not have."""
        hooks = [(self._name_test(name), function) for name, function in fwd_hooks]
        return self._explicit_forward(tokens, partial(pass_through, hooks))

    def hook_names(self) -> list[str]:
        """Every name that a hook can take."""
        parts = ("q", "k", "v", "attn_scores", "pattern", "z", "result")
        attention = [f"hook_{part}" for part in parts]
        norm = ["hook_scale", "hook_normalized"] if self.cfg.normalization else []
        block = [f"hook_{name}" for name in ("resid_pre", "q_input", "k_input", "v_input")]
        block += [f"ln1.{name}" for name in norm] + [f"attn.{name}" for name in attention]
        block += ["hook_attn_out", "hook_resid_post"]
        layers = [f"blocks.{layer}.{name}" for layer in range(self.cfg.n_layers) for name in block]
        return ["hook_embed", "hook_pos_embed", *layers, *(f"ln_final.{name}" for name in norm)]

    def _explicit_forward(self, tokens: Tensor, hook: Callable[[str, Tensor], Tensor]) -> Tensor:
        resid = hook("hook_embed", self.W_E[self._checked(tokens)])
        positions = hook("hook_pos_embed", self.W_pos[: tokens.shape[1]].repeat(len(tokens), 1, 1))
        if self.cfg.positions == "standard":
            resid = resid + positions
        for layer in range(self.cfg.n_layers):
            resid = hook(f"blocks.{layer}.hook_resid_pre", resid)
            attn_out = self._explicit_attention(layer, resid, positions, hook)
            resid = hook(
                f"blocks.{layer}.hook_resid_post",
                resid + hook(f"blocks.{layer}.hook_attn_out", attn_out),
            )
        return self._normalize(-1, resid, hook, "ln_final.") @ self.W_U

    def _explicit_attention(
        self, layer: int, resid: Tensor, positions: Tensor, hook: Callable[[str, Tensor], Tensor]
    ) -> Float[Tensor, "batch pos d_model"]:
        attn = f"blocks.{layer}.attn."
        q, k, v = (self._explicit_read(side, layer, resid, positions, hook) for side in "qkv")
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(self.cfg.d_head)
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = hook(f"{attn}hook_attn_scores", scores.masked_fill(future, -torch.inf))
        pattern = hook(f"{attn}hook_pattern", scores.softmax(-1))
        z = hook(f"{attn}hook_z", torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        result = hook(f"{attn}hook_result", torch.einsum("bphd,hdm->bphm", z, self.W_O[layer]))
        return result.sum(2)

    def _explicit_read(
        self,
        side: str,
        layer: int,
        resid: Tensor,
        positions: Tensor,
        hook: Callable[[str, Tensor], Tensor],
    ) -> Float[Tensor, "batch pos head d_head"]:
        block, W = f"blocks.{layer}.", dict(q=self.W_Q, k=self.W_K, v=self.W_V)[side]
        # A copy of the stream for every head and side, so that a hook can cut one path, in place
        # too, and leave the others. Each copy is normalized by itself: the hooks of ln1 fire for q,
        # then for k, then for v.
        x = hook(f"{block}hook_{side}_input", resid.unsqueeze(2).repeat(1, 1, self.cfg.n_heads, 1))
        x = self._normalize(layer, x, hook, f"{block}ln1.")
        if self.cfg.positions == "shortformer" and side in "qk":
            x = x + positions.unsqueeze(2)
        x = torch.einsum("bphm,hmd->bphd", x, W[layer])
        if self.cfg.smeared_keys and side == "k":
            x = self._smear(layer, x)
        return hook(f"{block}attn.hook_{side}", x)

    # ---- what both paths share

    def _embed(self, tokens: Tensor) -> Float[Tensor, "batch pos d_model"]:
        embedding = F.embedding(self._checked(tokens), self.W_E)
        if self.cfg.positions == "standard":
            embedding = embedding + self.W_pos[: tokens.shape[1]]
        return embedding

    def _normalize(
        self, layer: int, x: Tensor, hook=lambda name, value: value, prefix: str = ""
    ) -> Tensor:
        """What a layer reads (-1: what W_U reads): x, or x over its root mean square, with gain and
        bias."""
        if self.cfg.normalization is None:
            return x
        if self.cfg.normalization == "LN":
            x = x - x.mean(-1, keepdim=True)
        scale = hook(f"{prefix}hook_scale", (x.square().mean(-1, keepdim=True) + 1e-5).sqrt())
        x = hook(f"{prefix}hook_normalized", x / scale) * self.norm_gain[layer]
        return x + self.norm_bias[layer] if self.cfg.normalization == "LN" else x

    def _smear(
        self, layer: int, k: Float[Tensor, "batch pos head d_head"]
    ) -> Float[Tensor, "batch pos head d_head"]:
        """Each key becomes a blend of itself and the key before it; the first stays as it is."""
        gate = self.smear[layer].sigmoid()[:, None]
        return torch.cat([k[:, :1], gate * k[:, 1:] + (1 - gate) * k[:, :-1]], dim=1)

    def _checked(self, tokens: Tensor) -> Tensor:
        if tokens.ndim != 2:
            raise ValueError(
                f"tokens have shape {tuple(tokens.shape)}; expected [batch, pos] (one sequence: "
                "tokens[None])"
            )
        if tokens.shape[1] > self.cfg.n_ctx:
            raise ValueError(
                f"the sequences have {tokens.shape[1]} tokens and the model's context n_ctx is "
                f"{self.cfg.n_ctx}; cut them, or build a model with a larger n_ctx"
            )
        least, most = (int(extreme) for extreme in tokens.aminmax()) if tokens.numel() else (0, 0)
        known = self.cfg.d_vocab
        if least < 0 or most >= known:
            raise ValueError(
                f"token ids run from {least} to {most}; the model knows 0 to {known - 1} (d_vocab "
                f"{known}); draw them from that range, or build a model with a larger d_vocab"
            )
        return tokens

    def _name_test(self, name: NameFilter) -> Callable[[str], bool]:
        if callable(name):
            return name
        if name not in self.hook_names():
            raise ValueError(
                f"no hook is called {name!r}; this model has: {', '.join(self.hook_names())}"
            )
        return lambda fired: fired == name


def sinusoids(n_ctx: int, d_model: int) -> Float[Tensor, "n_ctx d_model"]:
    """Sines and cosines of the position, wavelengths from 2 to 2 n_ctx in even ratios: near
    positions differ in the fast ones, far positions in the slow ones."""
    half = (d_model + 1) // 2
    frequency = math.pi * torch.logspace(0, -math.log2(n_ctx), half, base=2.0)
    angle = torch.arange(n_ctx)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :d_model]
