"""Tokens and heads: point at a token and see where every head looks from it, or who looks at it;
where there is a tokenizer, in a text of one's own.

One pass through the model gives the patterns of the heads that are shown and the lengths of their
value vectors. They are sent once; what follows the pointer and the keys happens in the browser.

Source of the value-weighted pattern: Elhage et al. 2021, A Mathematical Framework for Transformer
Circuits, "Induction heads"; the length of v is the paper's choice and hangs on the basis inside the
head, so compare within a head.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import traitlets
from jaxtyping import Float, Int
from torch import Tensor

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.shared.home import at_home, running_loop
from helpers.explorables.shared.tokens import (
    Tokenizer,
    encoded,
    one_sequence,
    token_labels,
)
from helpers.instruments import probes, weights
from helpers.model import Head, check_head
from helpers.sequences import TokenIds, token_ids

MOST_ENTRIES = 12_000_000  # of all patterns together; each is sent as two bytes
FEWEST_COLUMNS = 5  # of a board of chosen heads, or a single one would fill it


class Attention(Explorable):
    """The explorable. `model` is the course's, or any that has `run_with_cache` and
    TransformerLens' names. `heads`: pairs (layer, head) to show, in this order, and the view opens
    at the first; None for all, one row a layer.

    With `text` and a `tokenizer` in place of tokens it has a text box: what a reader types there is
    read by the model, in the kernel, and `text` is what was read last. `bos`: the id that opens
    every text; None for none; "own" for the model's own.
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
        bos: int | None | Literal["own"] = "own",
        heads: Sequence[Head] | None = None,
    ):
        if (tokens is None) == (text is None) or (text is None) != (tokenizer is None):
            raise ValueError(
                "expected either tokens, or a text and its tokenizer: Attention(model, tokens) or "
                'Attention(model, text="...", tokenizer=corpus)'
            )
        super().__init__()
        self._model, self._tokenizer, self._bos, self._heads = model, tokenizer, bos, heads
        self._home = running_loop()  # where cells run
        if tokenizer is None:
            self.show(model, tokens, labels)
        else:
            self.read(text)
            self.on_msg(self._hear)

    def __repr__(self) -> str:
        cfg, scene = self._model.cfg, self.scene
        chosen = "" if self._heads is None else f"shown={len(scene['heads'])}, "
        return (
            f"Attention(n_layers={cfg.n_layers}, n_heads={cfg.n_heads}, {chosen}pos={scene['pos']})"
        )

    def show(self, model, tokens: TokenIds, labels: Sequence[str] | None = None) -> None:
        """Another model, or other tokens, in the same place; the heads keep their names. ValueError
        as in `make_scene`; the old ones then stay."""
        self.scene = make_scene(model, tokens, labels, self._heads)
        self._model = model

    def read(self, text: str) -> None:
        """Another text in the same place. ValueError as in `encoded` and `make_scene`; the old one
        then stays. RuntimeError without a tokenizer."""
        if self._tokenizer is None:
            raise RuntimeError(
                "no tokenizer was given, so there is nothing to read a text with; make the view by "
                'Attention(model, text="...", tokenizer=corpus), or call show(model, tokens)'
            )
        n_shown = len(shown_heads(self._model, self._heads))
        most = min(self._model.cfg.n_ctx, math.isqrt(MOST_ENTRIES // n_shown))
        bos = probes.opening_id(self._model) if self._bos == "own" else self._bos
        ids, labels = encoded(text, self._tokenizer, most, bos)
        self.scene = make_scene(self._model, ids, labels, self._heads)
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
        does not exist or is not shown."""
        heads, pos = self.scene["heads"], self.scene["pos"]
        position = pos - 1 if position is None else position
        check_head(self._model, layer, head)
        if (layer, head) not in heads:
            raise ValueError(
                f"head {layer}.{head} is not among the {len(heads)} that are shown here; choose "
                f"one of {', '.join(f'{layer}.{head}' for layer, head in heads)}"
            )
        if not 0 <= position < pos:
            raise ValueError(f"there is no position {position}; choose one from 0 to {pos - 1}")
        self.opens_at = dict(layer=int(layer), head=int(head), position=int(position))

    def picture(self) -> plotting.core.Picture:
        """The token that a view opens at, and where its head looks from there."""
        heads, pos = self.scene["heads"], self.scene["pos"]
        layer, head, position = *heads[self.scene["opens"]], pos - 1
        asked = [self.opens_at.get(name) for name in ("layer", "head", "position")]
        if tuple(asked[:2]) in heads and asked[2] < pos:  # it may have been of another scene
            layer, head, position = asked
        patterns = np.frombuffer(self.scene["pattern"], "<u2").reshape(-1, pos, pos)
        pattern = patterns[heads.index((layer, head))] / 65535
        title = f"Where head {layer}.{head} looks from the framed token, in shares of one"
        return plotting.look_back(self.scene["labels"], pattern, position, title)


def shown_heads(model, heads: Sequence[Head] | None = None) -> list[Head]:
    """The heads to show: those given, or all. ValueError for a model without heads, for heads that
    it does not have, for one that is given twice, and for none at all."""
    if not model.cfg.n_layers:
        raise ValueError(
            "a model of 0 layers has no heads to look at; give one with a layer or more"
        )
    every = weights.all_heads(model)
    if heads is None:
        return every
    strangers = [head for head in heads if head not in every]
    if strangers or not 0 < len(heads) == len(set(heads)):
        raise ValueError(
            f"heads is {list(heads)}; expected one or more pairs (layer, head), each once, from "
            f"{every[0]} to {every[-1]}"
            + (f", and of these are none: {strangers}" if strangers else "")
        )
    return [(int(layer), int(head)) for layer, head in heads]


def make_scene(
    model,
    tokens: TokenIds,
    labels: Sequence[str] | None = None,
    heads: Sequence[Head] | None = None,
) -> dict[str, Any]:
    """What a view needs: the tokens, the heads, and of each of these the pattern and the lengths of
    the value vectors.

    ValueError as in `shown_heads`, for more than one sequence, for labels that are not one a token,
    for patterns that are not finite, and for more than MOST_ENTRIES entries in all patterns
    together.
    """
    tokens = one_sequence(token_ids(tokens))
    labels = token_labels(tokens, labels)
    shown, pos, n_heads = shown_heads(model, heads), tokens.shape[1], model.cfg.n_heads
    if len(shown) * pos**2 > MOST_ENTRIES:
        raise ValueError(
            f"{len(shown)} patterns of {pos} x {pos} are more than {MOST_ENTRIES:,} entries; give "
            "fewer tokens or fewer heads"
        )
    pattern, v_norm = patterns_and_lengths(model, tokens, shown)
    if not (pattern.isfinite().all() and v_norm.isfinite().all()):
        raise ValueError(
            "the patterns hold values that are not finite: the model has diverged; give an earlier "
            "snapshot"
        )
    every, in_a_square = heads is None, round(math.sqrt(2 * len(shown)))
    return dict(
        heads=shown,
        out_of=0 if every else len(shown_heads(model)),  # 0: every head, one row a layer
        columns=n_heads if every else max(FEWEST_COLUMNS, in_a_square),
        opens=len(shown) - n_heads if every else 0,  # at which of them
        pos=pos,
        tokens=tokens[0].tolist(),
        labels=labels,
        pattern=(pattern * 65535).round().numpy().astype("<u2").tobytes(),
        v_norm=v_norm.numpy().astype("<f4").tobytes(),
    )


@torch.no_grad()
def patterns_and_lengths(
    model, tokens: Int[Tensor, "1 pos"], heads: Sequence[Head]
) -> tuple[Float[Tensor, "heads query key"], Float[Tensor, "heads key"]]:
    """A and |v| of these heads, from one forward pass."""
    wanted = {f"blocks.{layer}.attn.hook_{part}" for layer, _ in heads for part in ("pattern", "v")}
    _, cache = model.run_with_cache(
        tokens.to(model.W_U.device), names_filter=lambda name: name in wanted
    )
    pattern = torch.stack([cache["pattern", layer][0, head] for layer, head in heads])
    v = {layer: weights.by_query_head(cache["v", layer], model.cfg)[0] for layer, _ in heads}
    v_norm = torch.stack([v[layer][:, head].norm(dim=-1) for layer, head in heads])
    return pattern.float().cpu(), v_norm.float().cpu()
