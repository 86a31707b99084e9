"""Tokens and heads: point at a token and see where every head looks from it, or who looks at it;
where there is a tokenizer, in a text of one's own.

One pass through the model gives all patterns and the lengths of all value vectors. They are sent
once; what follows the pointer and the keys happens in the browser.

Source of the value-weighted pattern: Elhage et al. 2021, A Mathematical Framework for Transformer
Circuits, "Induction heads"; the length of v is the paper's choice and hangs on the basis inside the
head, so compare within a head.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Int
from torch import Tensor

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.shared.home import at_home, running_loop
from helpers.explorables.shared.tokens import Tokenizer, encoded, one_sequence, token_labels
from helpers.sequences import BOS, TokenIds, token_ids

MOST_ENTRIES = 12_000_000  # of all patterns together; each is sent as two bytes


class Attention(Explorable):
    """The explorable. `model` is the course's, or any that has `run_with_cache` and
    TransformerLens' names.

    With `text` and a `tokenizer` in place of tokens it has a text box: what a reader types there is
    read by the model, in the kernel, and `text` is what was read last. `bos`: the id that opens
    every text; None for a model that has none.
    """

    scene = traitlets.Dict().tag(sync=True)  # all that a view draws
    opens_at = traitlets.Dict().tag(sync=True)  # layer, head, position
    text = traitlets.Unicode("").tag(sync=True)
    most = traitlets.Int(0).tag(sync=True)  # tokens that can be read; 0: there is no text box
    trouble = traitlets.Unicode("").tag(sync=True)  # why a text was refused, in words

    def __init__(
        self,
        model,
        tokens: TokenIds | None = None,
        labels: Sequence[str] | None = None,
        *,
        text: str | None = None,
        tokenizer: Tokenizer | None = None,
        bos: int | None = BOS,
    ):
        if (tokens is None) == (text is None) or (text is None) != (tokenizer is None):
            raise ValueError(
                "expected either tokens, or a text and its tokenizer: Attention(model, tokens) or "
                'Attention(model, text="...", tokenizer=corpus)'
            )
        super().__init__()
        self._model, self._tokenizer, self._bos = model, tokenizer, bos
        self._home = running_loop()  # where cells run
        if tokenizer is None:
            self.show(model, tokens, labels)
        else:
            self.read(text)
            self.on_msg(self._hear)

    def __repr__(self) -> str:
        n_layers, n_heads, pos = (self.scene[name] for name in ("n_layers", "n_heads", "pos"))
        return f"Attention(n_layers={n_layers}, n_heads={n_heads}, pos={pos})"

    def show(self, model, tokens: TokenIds, labels: Sequence[str] | None = None) -> None:
        """Another model, or other tokens, in the same place. ValueError as in `make_scene`; the old
        ones then stay."""
        self.scene = make_scene(model, tokens, labels)
        self._model = model

    def read(self, text: str) -> None:
        """Another text in the same place. ValueError as in `encoded` and `make_scene`; the old one
        then stays. RuntimeError without a tokenizer."""
        if self._tokenizer is None:
            raise RuntimeError(
                "no tokenizer was given, so there is nothing to read a text with; make the view by "
                'Attention(model, text="...", tokenizer=corpus), or call show(model, tokens)'
            )
        cfg = self._model.cfg
        most = min(cfg.n_ctx, math.isqrt(MOST_ENTRIES // (cfg.n_layers * cfg.n_heads)))
        ids, labels = encoded(text, self._tokenizer, most, self._bos)
        self.scene = make_scene(self._model, ids, labels)
        self.text, self.most, self.trouble = text, most, ""

    def _hear(self, _, message: dict[str, Any], buffers: list) -> None:
        if message.get("do") == "read":
            at_home(self._home, self._read, message.get("text", ""))

    def _read(self, text: str) -> None:
        """As the text box asks: a text that cannot be read is refused there, in words."""
        try:
            self.read(text)
        except ValueError as error:
            self.trouble = str(error)
        except Exception as error:  # or the view would wait for ever
            self.trouble = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.send(dict(type="answered"))

    def look(self, layer: int, head: int, position: int | None = None) -> None:
        """Turn all views to this head, and to this token if one is given. ValueError for one that
        does not exist."""
        position = self.scene["pos"] - 1 if position is None else position
        for name, value, end in (
            ("layer", layer, "n_layers"),
            ("head", head, "n_heads"),
            ("position", position, "pos"),
        ):
            if not 0 <= value < self.scene[end]:
                raise ValueError(
                    f"there is no {name} {value}; choose one from 0 to {self.scene[end] - 1}"
                )
        self.opens_at = dict(layer=int(layer), head=int(head), position=int(position))

    def picture(self) -> plotting.core.Picture:
        """The token that a view opens at, and where its head looks from there."""
        n_layers, n_heads, pos = (self.scene[name] for name in ("n_layers", "n_heads", "pos"))
        at = dict(layer=n_layers - 1, head=0, position=pos - 1) | self.opens_at
        patterns = np.frombuffer(self.scene["pattern"], "<u2") / 65535
        pattern = patterns.reshape(n_layers, n_heads, pos, pos)[at["layer"], at["head"]]
        title = (
            f"Where head {at['layer']}.{at['head']} looks from the framed token, in shares of one"
        )
        return plotting.look_back(self.scene["labels"], pattern, at["position"], title)


def make_scene(model, tokens: TokenIds, labels: Sequence[str] | None = None) -> dict[str, Any]:
    """What a view needs: the tokens, and of every head the pattern and the lengths of the value
    vectors.

    ValueError for more than one sequence, for labels that are not one a token, for a model without
    heads or with patterns that are not finite, and for more than MOST_ENTRIES entries in all
    patterns together.
    """
    tokens = one_sequence(token_ids(tokens))
    labels = token_labels(tokens, labels)
    cfg, pos = model.cfg, tokens.shape[1]
    if not cfg.n_layers:
        raise ValueError(
            "a model of 0 layers has no heads to look at; give one with a layer or more"
        )
    if cfg.n_layers * cfg.n_heads * pos**2 > MOST_ENTRIES:
        raise ValueError(
            f"{cfg.n_layers * cfg.n_heads} patterns of {pos} x {pos} are more than "
            f"{MOST_ENTRIES:,} entries; give fewer tokens"
        )
    pattern, v_norm = patterns_and_lengths(model, tokens)
    if not (pattern.isfinite().all() and v_norm.isfinite().all()):
        raise ValueError(
            "the patterns hold values that are not finite: the model has diverged; give an earlier "
            "snapshot"
        )
    return dict(
        n_layers=cfg.n_layers,
        n_heads=cfg.n_heads,
        pos=pos,
        tokens=tokens[0].tolist(),
        labels=labels,
        pattern=(pattern * 65535).round().numpy().astype("<u2").tobytes(),
        v_norm=v_norm.numpy().astype("<f4").tobytes(),
    )


@torch.no_grad()
def patterns_and_lengths(
    model, tokens: Int[Tensor, "1 pos"]
) -> tuple[Float[Tensor, "layer head query key"], Float[Tensor, "layer head key"]]:
    """A and |v| of every head, from one forward pass."""
    tokens = tokens.to(model.W_U.device)
    _, cache = model.run_with_cache(
        tokens, names_filter=lambda name: name.endswith(("hook_pattern", "hook_v"))
    )
    layers = range(model.cfg.n_layers)
    pattern = torch.stack([cache["pattern", layer][0] for layer in layers])
    v = torch.stack([cache["v", layer][0] for layer in layers])
    v = v.unflatten(-1, (model.cfg.n_heads, -1)) if v.ndim == 3 else v  # [layer, key, head, d_head]
    return pattern.float().cpu(), v.norm(dim=-1).transpose(1, 2).float().cpu()
