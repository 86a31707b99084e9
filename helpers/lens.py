"""The bridge to TransformerLens: the only file of the course that imports it.

That import takes seconds, so whoever needs this file imports it at the last moment. Nothing here
reaches the network but `language_model`, and that only for a name of a hub.

TransformerLens 4 has biases where the course has none: they are 0. It knows no shortformer
positions and no smeared keys.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import transformers
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


@torch.no_grad()
def from_transformer_lens(bridge: TransformerBridge) -> AttentionOnlyTransformer:
    """A native model of TransformerLens as the course's, weight for weight, for what takes no
    other: paths, bases, path patching.

    ValueError for what the course's model cannot express, which is named: MLPs, positions that are
    not added to the stream, biases, another kind of norm or of attention.
    """
    cfg, state = bridge.cfg, bridge.state_dict()
    if missing := _beyond_ours(bridge):
        raise ValueError(
            f"the course's model has no {', no '.join(missing)}, and this one has; heads, circuits "
            "and composition take it as it is"
        )
    names = ("n_layers", "n_heads", "d_model", "d_head", "n_ctx", "d_vocab")
    shape = {name: getattr(cfg, name) for name in names}
    norm = dict(normalization=cfg.normalization_type)
    model = AttentionOnlyTransformer(ModelConfig(**shape, **norm, positions="standard"))
    model.to(bridge.W_U)
    model.W_E.copy_(state["embed.weight"])
    model.W_pos.copy_(state["pos_embed.weight"])
    model.W_U.copy_(state["unembed.weight"].T)
    for layer in range(cfg.n_layers):
        attn = f"blocks.{layer}.attn"
        for side in "QKV":
            flat = state[f"{attn}.{side.lower()}.weight"].unflatten(0, (cfg.n_heads, -1))
            getattr(model, f"W_{side}")[layer] = flat.mT
        model.W_O[layer] = state[f"{attn}.o.weight"].T.unflatten(0, (cfg.n_heads, -1))
    norms = [*(f"blocks.{layer}.ln1" for layer in range(cfg.n_layers)), "ln_final"]
    for row, name in enumerate(norms if cfg.normalization_type else []):
        model.norm_gain[row] = state[f"{name}.weight"]
        if cfg.normalization_type == "LN":
            model.norm_bias[row] = state[f"{name}.bias"]
    tokens = torch.arange(min(cfg.n_ctx, cfg.d_vocab), device=model.W_E.device)[None]
    if not torch.allclose(model(tokens), bridge(tokens), atol=1e-3, rtol=1e-3):
        raise ValueError(
            "the course's model says something else with these weights, so this one does more than "
            "its config tells; heads, circuits and composition take it as it is"
        )
    return model


def _beyond_ours(bridge: TransformerBridge) -> list[str]:
    """What a model has and the course's has not, in words."""
    cfg = bridge.cfg
    if cfg.architecture != "TransformerLensNative":
        return [f"{cfg.architecture}"]
    biases = [
        name
        for name, value in bridge.state_dict().items()
        if name.endswith(".bias") and ".ln1." not in name and "ln_final." not in name
        if value.any()
    ]
    return [
        words
        for words, is_there in {
            "MLPs": not cfg.attn_only,
            f"{cfg.positional_embedding_type} positions": (
                cfg.positional_embedding_type != "standard"
            ),
            f"biases ({', '.join(biases)})": bool(biases),
            f"norm {cfg.normalization_type}": cfg.normalization_type not in (None, "LN", "RMS"),
        }.items()
        if is_there
    ]


def language_model(where: str | Path = "real", tell: Callable = print) -> TransformerBridge:
    """A trained language model as a TransformerBridge: "real" for the one of `real_model`, a folder
    with a Hugging Face model, or a name on a hub.

    What `real_model.folder` raises; FileNotFoundError for a folder without a model in it, and
    OSError for a name that a hub does not have or that cannot be asked for.
    """
    transformers.utils.logging.disable_progress_bar()  # a second's bar says nothing
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
