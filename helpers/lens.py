"""The bridge to TransformerLens: the only file of the course that imports it.

That import takes seconds, so whoever needs this file imports it at the last moment. Nothing here
reaches the network but `language_model`, and that only for a name of a hub.

TransformerLens 4 has biases where the course has none: they are 0. It knows no shortformer
positions and no smeared keys.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from huggingface_hub.errors import RepositoryNotFoundError
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.model_bridge import TransformerBridge

from helpers import real_model
from helpers.model import AttentionOnlyTransformer, ModelConfig


def to_transformer_lens(model: AttentionOnlyTransformer) -> TransformerBridge:
    """The same model, weight for weight, as a TransformerBridge: same logits, same names of the
    activations.

    The weights are copied, on the model's device and in its precision. ValueError for what
    TransformerLens cannot express: positions "shortformer" and smeared keys.
    """
    cfg = model.cfg
    if cfg.positions != "standard":
        raise ValueError(
            f"positions is {cfg.positions!r}, and TransformerLens can only add them to the stream; "
            "build the model "
            'with positions="standard", or score it as it is: helpers.instruments.heads takes both '
            "kinds of model"
        )
    if cfg.smeared_keys:
        raise ValueError(
            "smeared_keys is True, and TransformerLens has no such keys; build the model with "
            "smeared_keys=False, or "
            "score it as it is: helpers.instruments.heads takes both kinds of model"
        )
    with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten below
        bridge = _boot(cfg, init_weights=False, device=model.W_E.device, dtype=model.W_E.dtype)
    biases = {
        name: torch.zeros_like(value)
        for name, value in bridge.state_dict().items()
        if name.endswith(".bias")
    }
    bridge.load_state_dict(biases | _weights(model))
    return bridge


def language_model(where: str | Path = "real", tell: Callable = print) -> TransformerBridge:
    """A trained language model as a TransformerBridge: "real" for the one of `real_model`, a folder
    with a Hugging Face model, or a name on a hub.

    What `real_model.folder` raises; FileNotFoundError for a folder without a model in it, and
    OSError for a name that a hub does not have or that cannot be asked for.
    """
    if str(where) == "real":
        return TransformerBridge.boot_transformers(str(real_model.folder(tell)))
    place = Path(where).expanduser()
    if place.exists():
        if not (place / "config.json").is_file():
            raise FileNotFoundError(
                f"{place} has no config.json, so it is no Hugging Face model; give the folder that "
                "save_pretrained wrote"
            )
        return TransformerBridge.boot_transformers(str(place))
    if len(place.parts) > 2 or place.is_absolute():
        raise FileNotFoundError(f"there is no folder {place}; on a hub a name is owner/name")
    try:
        return TransformerBridge.boot_transformers(str(where))
    except OSError as error:
        raise OSError(_why_not(str(where), error)) from error


def _why_not(name: str, error: BaseException) -> str:
    """Whether a hub knows no such name, or could not be asked."""
    causes = []
    while error:
        causes.append(error)
        error = error.__cause__ or error.__context__
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return f"the hub has no model {name!r}; look its name up there, it is owner/name"
    return f"{name!r} is no folder here, and the hub cannot be reached; 'real' needs no network"


def native(config: ModelConfig, **settings) -> TransformerBridge:
    """A TransformerLens model of the same shape with TransformerLens' own initial weights: to
    compare speeds with.

    Of `config` it takes the shape, the normalization and the seed. Positions are added to the
    stream and keys are not smeared, whatever `config` says. `settings` go to
    TransformerBridgeConfig and win. ValueError for a model without layers, which TransformerLens
    cannot draw.
    """
    if config.n_layers == 0:
        raise ValueError(
            "n_layers is 0, and the initial scale of TransformerLens divides by the number of "
            "layers; take 1 or more, or fill such a model with to_transformer_lens"
        )
    return _boot(config, **settings)


def _boot(
    config: ModelConfig,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    **settings,
) -> TransformerBridge:
    shape = {
        name: getattr(config, name)
        for name in ("n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab")
    }
    defaults = dict(attn_only=True, normalization_type=config.normalization, seed=config.seed)
    full = TransformerBridgeConfig(**(shape | defaults | settings))
    return TransformerBridge.boot_native(full, device=device, dtype=dtype)


def _weights(model: AttentionOnlyTransformer) -> dict[str, Tensor]:
    """By the names of the bridge, as torch's linear layers have them: [out, in], the heads side by
    side."""
    weights = {
        "embed.weight": model.W_E,
        "pos_embed.weight": model.W_pos,
        "unembed.weight": model.W_U.T,
    }
    for layer in range(model.cfg.n_layers):
        attn = f"blocks.{layer}.attn"
        for side, W in dict(q=model.W_Q, k=model.W_K, v=model.W_V).items():
            weights[f"{attn}.{side}.weight"] = W[layer].mT.flatten(0, 1)
        weights[f"{attn}.o.weight"] = model.W_O[layer].flatten(0, 1).T
    norms = [*(f"blocks.{layer}.ln1" for layer in range(model.cfg.n_layers)), "ln_final"]
    if model.cfg.normalization:
        weights |= {
            f"{name}.weight": gain for name, gain in zip(norms, model.norm_gain, strict=True)
        }
    if model.cfg.normalization == "LN":
        weights |= {f"{name}.bias": bias for name, bias in zip(norms, model.norm_bias, strict=True)}
    return weights
