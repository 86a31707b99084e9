"""Induction heads written by hand into the architectures of the field, to be found by their work.

The stream is a sum of parts in orthogonal directions, drawn by QR: the token, the token before, the
answer, a constant, and the position where positions are learned. Two heads do the work. The
previous-token head tells each position the token before; with rotary positions it attends by the
rotation alone. The induction head's queries read the token, its keys the token before, in
coordinates that hardly turn, and it moves the token that it finds to the answer. Norms have random
gains, which readers undo. All other heads attend to anything and write a little of it anywhere;
MLPs are silent.

Every weight is written where the family itself keeps it, in its own layout.

Sources: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Induction heads";
Su et al. 2021, RoFormer, section 3.2 (rotary positions).
"""

import logging
from math import pi, sqrt
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Generator, Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.pytorch_utils import Conv1D

from helpers.instruments.weights import HeadWeights
from helpers.model import Head

VOCABULARY, BOS, CONTEXT, D_HEAD = 32, 1, 48, 64
SHARP = 16.0  # about so much the score of what a head looks for is above others
LOUD, QUIET = 3.0, 0.2  # lengths of the answer and of what random heads write; a token's is 1
WAVES = 8  # of learned positions, each twice as long as the one before
FAST = 4  # so many turning pairs tell one distance from all others

# Some need to be told the usual scale of scores and logits. No bloom: its positions only slope, so
# that no head attends one step back by position alone.
FAMILIES = {
    "cohere": dict(logit_scale=1.0),
    "falcon": {},
    "gemma": dict(head_dim=D_HEAD),
    "gemma2": dict(head_dim=D_HEAD, query_pre_attn_scalar=D_HEAD),
    "gemma3_text": dict(head_dim=D_HEAD, query_pre_attn_scalar=D_HEAD, sliding_window=20),
    "gpt2": {},
    "gpt_neox": {},
    "gptj": dict(rotary_dim=D_HEAD // 2),
    "granite": dict(attention_multiplier=D_HEAD**-0.5, residual_multiplier=0.5)
    | dict(embedding_multiplier=3.0),
    "llama": {},
    "mistral": {},
    "olmo2": {},
    "opt": {},
    "phi": {},
    "qwen2": {},
    "qwen3": dict(head_dim=D_HEAD),
    "starcoder2": {},
}
OWN_KEYS = {"gpt2", "gpt_neox", "gptj", "opt"}  # a key head for every query head, else for two
LEARNED = {"gpt2", "opt"}  # positions
ONE_PLUS = {"gemma", "gemma2", "gemma3_text"}  # norms multiply by 1 + w, embeddings by sqrt(width)
NEIGHBOURS = {"cohere", "gptj"}  # coordinates 2i and 2i + 1 turn together, else i and i + half
HEAD_BY_HEAD = {"gpt_neox"}  # where queries, keys and values are one: else all queries first


def boot(family: str, n_layers: int, n_heads: int, folder: Path) -> TransformerBridge:
    """A small model of the family as a bridge, for `plant` to write into. Where key heads are
    shared, two query heads share one, or all."""
    config = AutoConfig.for_model(
        family,
        vocab_size=VOCABULARY,
        hidden_size=n_heads * D_HEAD,
        word_embed_proj_dim=n_heads * D_HEAD,
        intermediate_size=8,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        num_key_value_heads=n_heads if family in OWN_KEYS else n_heads // 2,
        max_position_embeddings=CONTEXT,
        pad_token_id=0,
        bos_token_id=BOS,
        eos_token_id=2,
        **FAMILIES[family],
    )
    model = own_model(config)
    parameters = dict(model.named_parameters())
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    write_tokenizer(folder, VOCABULARY)
    logging.getLogger("transformer_lens").setLevel(logging.ERROR)
    bridge = TransformerBridge.boot_transformers(str(folder), hf_model=model)
    bridge.own_parameters = parameters  # by the family's own names
    return bridge


def write_tokenizer(folder: Path, d_vocab: int) -> None:
    """One whose words are t0, t1 and so on: the padding, BOS, the end, what is unknown, the rest. A
    bridge finds it in its model's folder."""
    words = Tokenizer(WordLevel({f"t{i}": i for i in range(d_vocab)}, unk_token="t3"))
    named = dict(pad_token="t0", bos_token="t1", eos_token="t2", unk_token="t3")
    PreTrainedTokenizerFast(tokenizer_object=words, **named).save_pretrained(folder)


def own_model(config, parameters: dict[str, Tensor] | None = None) -> PreTrainedModel:
    """The family's own, with no bridge in it."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    model.load_state_dict(parameters or {}, strict=False)
    return model


class Planted(NamedTuple):
    previous: Head
    induction: Head


@torch.no_grad()
def plant(
    bridge: TransformerBridge, draw: int, previous: float = 1.0, induction: float = 1.0
) -> Planted:
    """Write this draw into the bridge's model, and say where the two heads are. What they write to
    the stream is multiplied by `previous` and `induction`: 0 silences a head, -1 makes it say the
    opposite."""
    generator, config = Generator().manual_seed(draw), bridge.original_model.config
    layers = torch.randperm(config.num_hidden_layers, generator=generator)[:2].sort().values
    heads = torch.randint(config.num_attention_heads, (2,), generator=generator)
    planted = Planted(*zip(layers.tolist(), heads.tolist(), strict=True))

    stream = drawn_stream(config.hidden_size, generator)
    answer = write_ends(bridge, stream, generator)
    written = {
        planted.previous: HeadWeights(
            *look_back(stream, config, generator),
            *move(stream.token, previous * stream.before, generator),
        ),
        planted.induction: HeadWeights(
            *look_for_equal(stream, config, generator),
            *move(stream.token, induction * LOUD * answer, generator),
        ),
    }
    for layer, block in enumerate(bridge.blocks):
        for weight in block.mlp.parameters():
            weight.zero_()
        here = {head: weights for (at, head), weights in written.items() if at == layer}
        write_heads(block, here, config, generator)
    return planted


# ---- the circuit, in directions of the stream


class Stream(NamedTuple):
    """Orthonormal directions, one a column."""

    constant: Tensor
    position: Tensor
    token: Tensor
    before: Tensor
    answer: Tensor


def drawn_stream(width: int, generator: Generator) -> Stream:
    x = torch.randn(width, width, generator=generator)
    x[:, 0] = 1  # along it LayerNorm hears nothing, so nothing is said there
    columns = torch.linalg.qr(x).Q[:, 1:]
    sizes = (1, 2 * WAVES, VOCABULARY, VOCABULARY, VOCABULARY)
    return Stream(*columns[:, : sum(sizes)].split(sizes, 1))


def look_back(stream: Stream, config, generator: Generator) -> tuple[Tensor, Tensor]:
    """W_Q and W_K of a head that attends one step back: its score at a distance is the mean of
    cos(angle (distance - 1)) over some angles, scaled to be 1 higher there than anywhere else."""
    if config.model_type in LEARNED:
        angle = wave_angles()
        cos, sin = angle.cos().diag(), angle.sin().diag()
        one_back = torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])
        shown = frame(2 * WAVES, D_HEAD, generator)
        Q, K = stream.position @ one_back @ shown, stream.position @ shown
    else:
        first, second, angle = (part[:FAST] for part in turning(config))
        Q, K = torch.zeros(2, config.hidden_size, D_HEAD)
        Q[:, first], Q[:, second] = stream.constant * angle.cos(), -stream.constant * angle.sin()
        K[:, first] = stream.constant / FAST
    distance = torch.arange(CONTEXT)
    score = (angle * (distance[:, None] - 1)).cos().mean(-1)
    return Q / (score[1] - score[distance != 1].max()), K


def look_for_equal(stream: Stream, config, generator: Generator) -> tuple[Tensor, Tensor]:
    """W_Q and W_K of a head that attends where the token before is the present token: its score is
    1 there, 1/2 on BOS and 0 elsewhere."""
    speed = torch.zeros(D_HEAD)
    if config.model_type not in LEARNED:
        first, second, angle = turning(config)
        speed[first] = speed[second] = angle
    shown = torch.zeros(VOCABULARY, D_HEAD)
    shown[:, speed.argsort()[:VOCABULARY]] = frame(VOCABULARY, VOCABULARY, generator)
    any_token = shown.sum(0)
    K = stream.before @ shown + stream.token[:, BOS, None] * any_token / 2
    return stream.token @ shown, K


def move(source: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """W_V and W_O of a head that writes what it reads to other directions, BOS left out."""
    source = source.clone()
    source[:, BOS] = 0
    carried = frame(VOCABULARY, D_HEAD, generator)
    return source @ carried, carried.T @ target.T


def turning(config) -> tuple[Tensor, Tensor, Tensor]:
    """Which two coordinates of a query turn together with its position, and by what angle a step;
    the fastest first."""
    rope = getattr(config, "rope_parameters", None) or dict(rope_theta=10000.0)
    rope = rope.get("sliding_attention", rope)
    size = getattr(config, "rotary_dim", int(D_HEAD * rope.get("partial_rotary_factor", 1)))
    pair = torch.arange(size // 2)
    angle = rope["rope_theta"] ** (-2 * pair / size)
    if config.model_type in NEIGHBOURS:
        return 2 * pair, 2 * pair + 1, angle
    return pair, pair + size // 2, angle


def wave_angles() -> Tensor:
    return pi / 2.0 ** torch.arange(WAVES)


def frame(rows: int, columns: int, generator: Generator) -> Tensor:
    """Orthonormal rows."""
    return torch.linalg.qr(torch.randn(columns, rows, generator=generator)).Q.T


# ---- where a family keeps it


def write_ends(bridge: TransformerBridge, stream: Stream, generator: Generator) -> Tensor:
    """Embeddings, the last norm and the unembedding. Gives the directions in which an answer is
    read: the token's own where embedding and unembedding are one."""
    config = bridge.original_model.config
    embed, unembed = (part.original_component for part in (bridge.embed, bridge.unembed))
    embed.weight.copy_((stream.token + stream.constant).T)
    if config.model_type in LEARNED:
        turned = torch.arange(CONTEXT)[:, None] * wave_angles()
        waves = torch.cat([turned.cos(), turned.sin()], 1) / sqrt(WAVES)
        # opt has two rows in front
        bridge.pos_embed.original_component.weight[-CONTEXT:] = waves @ stream.position.T
    if config.tie_word_embeddings:  # so that no reader could undo a gain
        write_gain(bridge.ln_final, config, torch.ones(config.hidden_size))
        return stream.token
    gain = write_gain(bridge.ln_final, config, drawn_gain(config.hidden_size, generator))
    unembed.weight.copy_((stream.answer / gain[:, None]).T)
    return stream.answer


def write_heads(block, planted: dict[int, HeadWeights], config, generator: Generator) -> None:
    """The heads of a layer, drawn at random but for those planted."""
    attn, parts, width = block.attn, block._modules, config.hidden_size
    n_heads, n_keys = config.num_attention_heads, len(attn.k.original_component.weight) // D_HEAD
    embedded = sqrt(width) if config.model_type in ONE_PLUS else 1.0
    token = embedded * getattr(config, "embedding_multiplier", 1.0)  # its length in the stream
    heard = sqrt(width / 3) if "ln1" in parts else token  # and behind a norm, one part of three
    drawn = torch.randn(2 * (n_heads + n_keys), width, D_HEAD, generator=generator) / sqrt(width)
    Q, O, K, V = drawn.split((n_heads, n_heads, n_keys, n_keys))  # noqa: E741
    Q, K, O = 2 * Q, 2 * K, QUIET * token * O.mT / sqrt(D_HEAD)  # noqa: E741
    for head, weights in planted.items():
        key = head * n_keys // n_heads
        Q[head] = weights.Q * SHARP * sqrt(D_HEAD) / heard**2
        K[key], V[key] = weights.K, weights.V
        O[head] = weights.O * token / heard
    if "ln1" in parts:
        gain = write_gain(block.ln1, config, drawn_gain(width, generator))[:, None]
        Q, K, V = Q / gain, K / gain, V / gain
    if "ln1_post" in parts:
        # it makes all that a layer writes one length, which is what its loudest head is to have
        loud = max([QUIET, *(torch.linalg.matrix_norm(it.O, 2) for it in planted.values())])
        gain = drawn_gain(width, generator)
        write_gain(block.ln1_post, config, gain * loud * token / sqrt(width))
        O = O / gain  # noqa: E741
    if "q_norm" in attn._modules:
        # it makes all queries one length, so its gain is how sharp they are
        gains = (
            write_gain(norm, config, size * drawn_gain(len(norm.weight), generator))
            for norm, size in ((attn.q_norm, SHARP / 2), (attn.k_norm, 1))
        )
        Q, K = (W / gain.view(-1, 1, D_HEAD) for W, gain in zip((Q, K), gains, strict=True))
    write_projections(attn, config, Q, K, V, O / getattr(config, "residual_multiplier", 1.0))


def write_projections(attn, config, Q: Tensor, K: Tensor, V: Tensor, O: Tensor) -> None:  # noqa: E741
    """The heads side by side."""
    if "qkv" in attn._modules:
        rows = zip(Q, K, V, strict=True) if config.model_type in HEAD_BY_HEAD else (Q, K, V)
        write(attn.qkv, torch.cat([W for row in rows for W in row], 1))
        attn.set_original_component(attn.original_component)  # which the bridge takes apart
    else:
        for projection, W in ((attn.q, Q), (attn.k, K), (attn.v, V)):
            write(projection, torch.cat([*W], 1))
    write(attn.o, torch.cat([*O]))


def write(projection, W: Tensor) -> None:
    """Most families keep it with the outputs in front."""
    own = projection.original_component
    own.weight.copy_(W if isinstance(own, Conv1D) else W.T)


def write_gain(norm, config, gain: Tensor) -> Tensor:
    """The gain, written."""
    norm.original_component.weight.copy_(gain - 1 if config.model_type in ONE_PLUS else gain)
    return gain


def drawn_gain(size: int, generator: Generator) -> Tensor:
    """Of either sign, so that a reader who forgets it reads nothing."""
    sign = 2 * torch.randint(2, (size,), generator=generator) - 1
    return sign * (0.5 + torch.rand(size, generator=generator))
