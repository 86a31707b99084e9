"""Ten lines that tutorials write with HookedTransformer, which TransformerLens 4 no longer has, and
what they are now. What stands here as text is what runs.
"""

from typing import Any, NamedTuple

import torch

from helpers.lens import TransformerBridge, TransformerBridgeConfig
from helpers.tables import Table


class Idiom(NamedTuple):
    """`now` is an expression over `names()`."""

    before: str
    now: str


IDIOMS = [
    Idiom("HookedTransformer(HookedTransformerConfig(...))", "TransformerBridge.boot_native(cfg)"),
    Idiom("HookedTransformer.from_pretrained(name)", "TransformerBridge.boot_transformers(folder)"),
    Idiom(
        "from_pretrained(name, fold_ln=True, center_unembed=True)",
        "model.enable_compatibility_mode()",
    ),
    Idiom("logits, cache = model.run_with_cache(tokens)", "model.run_with_cache(tokens)[1]"),
    Idiom('cache["pattern", 0]', 'cache["pattern", 0]'),
    Idiom('cache["blocks.0.attn.hook_z"]', 'cache["blocks.0.attn.hook_z"]'),
    Idiom("model.W_K[layer, head]", "model.blocks[0].attn.W_K[1]"),
    Idiom(
        "model.run_with_hooks(tokens, fwd_hooks=[(name, f)])",
        "model.run_with_hooks(tokens, fwd_hooks=[('blocks.0.attn.hook_z', silence)])",
    ),
    Idiom(
        'model(tokens, return_type="loss", loss_per_token=True)',
        "model(tokens, return_type='loss', loss_per_token=True)",
    ),
    Idiom('model.all_composition_scores("K")', 'model.all_composition_scores("K").scores'),
]


def table(folder: str) -> Table:
    """Each idiom, run: what it gives. `folder`: a Hugging Face model's."""
    known = names(folder)
    return Table(
        [[one.before, one.now, given(eval(one.now, known))] for one in IDIOMS],
        ["with HookedTransformer", "now", "gives"],
    )


def names(folder: str) -> dict[str, Any]:
    """What the expressions speak of: a small native model, tokens, a hook."""
    cfg = TransformerBridgeConfig(
        n_layers=2, n_heads=4, d_model=32, d_head=8, n_ctx=16, d_vocab=20, attn_only=True, seed=0
    )
    model = TransformerBridge.boot_native(cfg)
    tokens = torch.arange(12)[None]
    _, cache = model.run_with_cache(tokens)

    def silence(z, hook):
        return torch.zeros_like(z)

    return dict(
        TransformerBridge=TransformerBridge,
        cfg=cfg,
        folder=folder,
        model=model,
        tokens=tokens,
        cache=cache,
        silence=silence,
    )


def given(value: Any) -> str:
    """What came out, in a word or as a shape."""
    if isinstance(value, torch.Tensor):
        return f"[{', '.join(map(str, value.shape))}]"
    return "nothing: it changes the model" if value is None else type(value).__name__
