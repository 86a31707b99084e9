"""The residual stream as a diagram to zoom into, from the whole model to one entry of one
virtual-weight matrix.

Python measures every link once (`helpers.instruments.virtual_weights`) and sends numbers and
factors as bytes; the view multiplies the factors of the lit pair and draws. From then on nothing
asks the kernel.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.shared.tokens import token_labels
from helpers.instruments import basis, heads, virtual_weights

DRAWS = 499  # of the null; the smallest p-value is 1 / (DRAWS + 1)
LEVEL = 0.05  # a p-value from here down draws a link strong
BINS = 240  # of each null's histogram, over the axis that all links of a model share
MOST_HEADS, MOST_TOKENS = 48, 128  # what the diagram, and a matrix in it, have room for


class VirtualWeights(Explorable):
    """The explorable. `lit` says which link is lit: model, writer and reader; write it to light
    another."""

    lit = traitlets.Dict().tag(sync=True)  # dict(model="trained", writer="0.0", reader="1.2.K")

    def __init__(self, models: Any, labels: Sequence[str] | None = None):
        """`models` by the name to choose them by, or a single one. `labels`: what to call the
        tokens, by id; by default their ids.

        ValueError for no model, a model of fewer than two layers, one with more heads than the
        diagram has room for, and fewer labels than tokens.
        """
        super().__init__()
        models = _checked({"model": models} if hasattr(models, "cfg") else models)
        self._names = list(models)
        self.links: dict[str, list[virtual_weights.Link]] = {}
        self._sent: dict[str, tuple[dict[str, Any], list[bytes]]] = {}
        for name, model in models.items():
            if getattr(model.cfg, "normalization", None):
                model = basis.fold_norm(model)
            self.links[name] = virtual_weights.links(model, DRAWS)
            self._sent[name] = _packed(name, model, self.links[name], labels)
        self.lit = dict(model=self._names[0], **self._sent[self._names[0]][0]["start"])
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        return f"VirtualWeights({', '.join(self._names)})"

    def picture(self, model: str | None = None) -> plotting.core.Picture:
        """The same diagram as a static picture, with its sentence: `show(*diagram.picture())`.
        ValueError for a model that is not among those given."""
        model = self._names[0] if model is None else model
        if model not in self._sent:
            raise ValueError(
                f"no model is called {model!r}; this diagram has {', '.join(self._names)}"
            )
        told = self._sent[model][0]
        title = f"Who reads whom in the residual stream ({model})"
        return plotting.stream_diagram(
            told["writers"], told["readers"], told["links"], LEVEL, title
        )

    @traitlets.validate("lit")
    def _known(self, proposal: dict[str, Any]) -> dict[str, Any]:
        lit = proposal["value"]
        if lit.get("model") not in self._sent:
            raise ValueError(
                f"no model is called {lit.get('model')!r}; this diagram has "
                f"{', '.join(self._names)}"
            )
        if not any(
            (name(link.writer), name(link.reader)) == (lit.get("writer"), lit.get("reader"))
            for link in self.links[lit["model"]]
        ):
            raise ValueError(
                f"nothing links {lit.get('writer')!r} to {lit.get('reader')!r}; give a writer such "
                "as 'embed' or '0.1', and what "
                "reads it in a later layer, such as '1.2.K' or 'unembed'"
            )
        return lit

    def _hear(self, _, message: dict[str, Any], buffers: list) -> None:
        if message.get("do") == "show":  # a new view has opened
            for told, blocks in self._sent.values():
                self.send(dict(type="model", **told), buffers=blocks)


def name(end: virtual_weights.Writer | virtual_weights.Reader) -> str:
    """(1, 2, "K") is called 1.2.K."""
    return end if isinstance(end, str) else ".".join(map(str, end))


def opening_link(
    links: Sequence[virtual_weights.Link], previous_token: torch.Tensor | None
) -> virtual_weights.Link:
    """The strongest K link out of the best previous-token head; where no head could be scored, out
    of any head."""
    between = [
        link for link in links if link.reader[-1] == "K" and not isinstance(link.writer, str)
    ]
    if previous_token is not None and between:
        best = max((link.writer for link in between), key=lambda head: previous_token[head].item())
        between = [link for link in between if link.writer == best]
    return min(between or links, key=lambda link: (link.p, -link.z))


# ---- what is sent


def _checked(models: Any) -> Mapping[str, Any]:
    if not isinstance(models, Mapping) or not models:
        raise ValueError(
            f"expected models by name, such as {{'trained': model}}; got {type(models).__name__} "
            f"{models!r:.40}"
        )
    for called, model in models.items():
        layers, width = model.cfg.n_layers, model.cfg.n_heads
        if layers < 2:
            raise ValueError(
                f"the model {called!r} has {layers} layers; heads talk to later layers, so give "
                "one of 2 or more"
            )
        if layers * width > MOST_HEADS:
            raise ValueError(
                f"the model {called!r} has {layers * width} heads; the diagram has room for "
                f"{MOST_HEADS}"
            )
    return models


def _packed(
    called: str, model, links: Sequence[virtual_weights.Link], labels: Sequence[str] | None
) -> tuple[dict[str, Any], list[bytes]]:
    """One model as JSON, and the blocks of bytes that it refers to by number: float32 matrices, and
    the histograms."""
    cfg, blocks = model.cfg, {}
    shown = dict(token=_spread(cfg.d_vocab), position=list(range(min(cfg.n_ctx, MOST_TOKENS))))
    top = 1.04 * max(max(link.score, link.ceiling, link.null.max().item()) for link in links)
    scores = _scores(model)
    told = [_link(model, link, shown, top, blocks) for link in links]
    tokens = token_labels(torch.arange(cfg.d_vocab), labels and labels[: cfg.d_vocab])
    start = opening_link(links, None if scores is None else scores.previous_token)
    ends = [
        dict(name=name(head), layer=head[0], **_role(scores, head))
        for head in virtual_weights.writers(model)[2:]
    ]
    told = dict(
        name=called,
        n_layers=cfg.n_layers,
        d_model=cfg.d_model,
        d_head=cfg.d_head,
        draws=DRAWS,
        level=LEVEL,
        top=top,
        d_vocab=cfg.d_vocab,
        positions=cfg.n_ctx,
        links=told,
        start=dict(writer=name(start.writer), reader=name(start.reader)),
        writers=[dict(name="embed", layer=-1), dict(name="pos", layer=-1), *ends],
        readers=[*ends, dict(name="unembed", layer=cfg.n_layers)],
        axes=dict(
            token=[tokens[i] for i in shown["token"]],
            position=[str(at) for at in shown["position"]],
        ),
    )
    return told, list(blocks)


def _link(
    model,
    link: virtual_weights.Link,
    shown: dict[str, list[int]],
    top: float,
    blocks: dict[bytes, int],
) -> dict[str, Any]:
    before, weights, after, rows, columns = virtual_weights.chain(model, link.writer, link.reader)
    before = before[shown[rows]]
    after = after[:, shown[columns]]
    if isinstance(link.writer, str):  # its inputs are the rows themselves
        before, weights = None, weights[shown[rows]]
    if link.reader == "unembed":
        after, weights = None, weights[:, shown[columns]]
    share = virtual_weights.share_read(model, link.writer, link.reader)
    counts = np.histogram(link.null, BINS, (0, top))[0].astype(np.uint16)
    return dict(
        writer=name(link.writer),
        reader=name(link.reader),
        score=link.score,
        share=share.read,
        share_by_chance=share.by_chance,
        mean=link.null.mean().item(),
        spread=link.null.std().item(),
        ceiling=link.ceiling,
        p=link.p,
        z=link.z,
        rows=rows,
        columns=columns,
        null=_block(counts, blocks),
        before=_block(before, blocks),
        weights=_block(weights, blocks),
        after=_block(after, blocks),
    )


def _block(
    values: torch.Tensor | np.ndarray | None, blocks: dict[bytes, int]
) -> dict[str, Any] | None:
    """Where the bytes stand, and their shape. Equal bytes are sent once."""
    if values is None:
        return None
    array = (
        values
        if isinstance(values, np.ndarray)
        else values.detach().cpu().numpy().astype(np.float32)
    )
    return dict(at=blocks.setdefault(array.tobytes(), len(blocks)), shape=list(array.shape))


def _spread(d_vocab: int) -> list[int]:
    """All token ids, or as many as fit, evenly spread."""
    return np.linspace(0, d_vocab - 1, min(d_vocab, MOST_TOKENS)).round().astype(int).tolist()


def _scores(model) -> heads.Scores | None:
    """What the heads do, on repeated random tokens; None where context or vocabulary are too small
    to tell."""
    try:
        return heads.score(model, heads.probe(model.cfg.d_vocab, model.cfg.n_ctx))
    except ValueError:
        return None


def _role(scores: heads.Scores | None, head: tuple[int, int]) -> dict[str, Any]:
    for role in ("previous_token", "prefix_matching"):
        if scores is not None and getattr(scores, role)[head] > heads.THRESHOLD:
            return dict(role=role, role_score=getattr(scores, role)[head].item())
    return {}
