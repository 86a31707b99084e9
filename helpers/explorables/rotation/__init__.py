"""Turn the stream of a trained model by a slider, and watch what moves and what does not; then
break it.

The stream turns along a path of rotations R(t) = 1 + sin(t) J + (1 - cos t) J J, where J turns by
90 degrees inside the planes of the path. The browser holds the weights and runs the whole model in
float32 at each position of the slider, so what one sees is measured, not asserted. `change` is the
same measurement in the kernel, by `basis.rotate`.

Four things break it. Something that works coordinate by coordinate stands on the stream and does
not turn: LayerNorm's centring, a gain for each coordinate, a ReLU. Or only some of the matrices
turn.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
import traitlets
from jaxtyping import Float, Int
from torch import Generator, Tensor

from helpers import plotting
from helpers.explorables import Explorable
from helpers.explorables.shared.tokens import one_sequence
from helpers.instruments import basis, heads
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import TokenIds, token_ids

# Which matrices turn, by group, under the names that the switches have.
GROUPS = {
    "embedding": ("W_E", "W_pos"),
    "readers": ("W_Q", "W_K", "W_V"),
    "writers": ("W_O",),
    "unembedding": ("W_U",),
}
# every plane at once; all that leave (1, ..., 1) where it is; one plane of two axes
PATHS = (
    "all",
    "kept",
    "plane",
)
BREAKS = ("centring", "gains", "relu")
MOST_PRODUCTS = 20_000_000  # in one pass: about 60 ms in a browser
GAIN_SPREAD = 0.5  # standard deviation of the logarithm of a gain


class Rotation(Explorable):
    """The explorable. Everything the controls say can be set from Python: `angle` in degrees,
    `path` and `plane`, what `breaks` it, which groups of matrices are `turned`, and which `token`
    and `head` one looks at.

    A norm's gains and centring are folded into the weights first (`basis.fold_norm`), so that the
    model turns whole. ValueError for a model that cannot be shown: without layers, with smeared
    keys, with a norm that cannot be folded, or too large for the pointer; and for tokens that are
    no single sequence of the model's.
    """

    shape = traitlets.Dict().tag(sync=True)
    # float32 [row, d_model]: all that meets the stream, see `_rows`
    rows = traitlets.Bytes().tag(sync=True)
    # float64 [2, d_model, d_model]: J of the paths "all" and "kept"
    quarter_turns = traitlets.Bytes().tag(sync=True)
    gains = traitlets.Bytes().tag(sync=True)  # float32 [d_model]

    angle = traitlets.Float(0.0).tag(sync=True)
    path = traitlets.Enum(PATHS, "all").tag(sync=True)
    plane = traitlets.List(traitlets.Int(), [0, 1], minlen=2, maxlen=2).tag(sync=True)
    breaks = traitlets.List(traitlets.Enum(BREAKS), []).tag(sync=True)
    turned = traitlets.List(traitlets.Enum(tuple(GROUPS)), list(GROUPS)).tag(sync=True)
    token = traitlets.Int(0).tag(sync=True)
    head = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)
    # what the browser measured where the slider was last let go
    measured = traitlets.Dict().tag(sync=True)

    def __init__(self, model: AttentionOnlyTransformer, tokens: TokenIds, seed: int = 0):
        self.tokens = one_sequence(token_ids(tokens))
        self.model = basis.fold_norm(_checked(model, self.tokens))
        cfg, generator = self.model.cfg, Generator().manual_seed(seed)
        ones = torch.ones(cfg.d_model, dtype=torch.float64)
        self._quarter_turn = {
            "all": quarter_turn(cfg.d_model, generator),
            "kept": quarter_turn(cfg.d_model, generator, fixed=ones),
        }
        self._gains = torch.exp(GAIN_SPREAD * torch.randn(cfg.d_model, generator=generator))
        matching = heads.score(self.model, self.tokens).prefix_matching
        super().__init__(
            shape=dict(
                n_layers=cfg.n_layers,
                n_heads=cfg.n_heads,
                d_head=cfg.d_head,
                d_model=cfg.d_model,
                d_vocab=cfg.d_vocab,
                pos=self.tokens.shape[1],
                standard=cfg.positions == "standard",
                rms=cfg.normalization == "RMS",
                tokens=self.tokens[0].tolist(),
                null=basis.kurtosis_null(cfg.d_model),
            ),
            rows=_bytes(_rows(self.model, self.tokens.shape[1]).float()),
            quarter_turns=_bytes(torch.stack(list(self._quarter_turn.values()))),
            gains=_bytes(self._gains),
            token=_telling_token(self.logits(0.0)),
            plane=_loudest(self.model, self.tokens),
            head=list(divmod(int(matching.argmax()), cfg.n_heads)),
        )

    def __repr__(self) -> str:
        cfg = self.model.cfg
        return (
            f"Rotation(n_layers={cfg.n_layers}, d_model={cfg.d_model}, "
            f"normalization={cfg.normalization!r}, tokens={self.tokens.shape[1]})"
        )

    # ---- the same in the kernel

    def rotation(
        self, angle: float, path: str = "all", plane: Sequence[int] = (0, 1)
    ) -> Float[Tensor, "d_model d_model"]:
        """R at an angle in degrees, in float64. ValueError for a path or a plane that does not
        exist."""
        d = self.model.cfg.d_model
        if path not in PATHS:
            raise ValueError(f"no path is called {path!r}; choose one of {', '.join(PATHS)}")
        if path == "plane":
            i, j = plane
            if i == j or not (0 <= i < d and 0 <= j < d):
                raise ValueError(
                    f"coordinates {i} and {j} span no plane; give two different ones from 0 to "
                    f"{d - 1}"
                )
            J = torch.zeros(d, d, dtype=torch.float64)
            J[i, j], J[j, i] = 1, -1
        else:
            J = self._quarter_turn[path]
        t = torch.tensor(angle, dtype=torch.float64).deg2rad()
        return torch.eye(d, dtype=torch.float64) + t.sin() * J + (1 - t.cos()) * J @ J

    def logits(self, angle: float, **settings: Any) -> Float[Tensor, "pos d_vocab"]:
        """Logits of the sequence with the stream turned by an angle in degrees, in the model's own
        precision. Settings: `path`, `plane`, `breaks` and `turned`; by default nothing breaks it
        and all turns. ValueError for a switch or a group of matrices that does not exist."""
        return self._run(angle, **settings)[1]

    def change(self, angle: float, **settings: Any) -> float:
        """The largest change of a logit against the same settings at 0 degrees. Settings are those
        of `logits`."""
        return (self.logits(angle, **settings) - self.logits(0.0, **settings)).abs().max().item()

    def rounding(self, **settings: Any) -> float:
        """What float32 may change in a logit: the bound for one sum of d_model products of that
        size."""
        return self.model.cfg.d_model * 2**-24 * self.logits(0.0, **settings).abs().max().item()

    def picture(
        self, angles: Sequence[float] = (0, 20, 40, 60, 90), **settings: Any
    ) -> plotting.core.Picture:
        """What turning does, at a few angles, of which the first is to be 0. Settings are those of
        `logits`, by default what the controls say."""
        controls = ("path", "plane", "breaks", "turned")
        settings = {name: getattr(self, name) for name in controls} | settings
        last = f"blocks.{self.model.cfg.n_layers - 1}.hook_resid_post"
        runs = [self._run(angle, **settings)[1:] for angle in angles]
        at_rest, streams = runs[0][0], [seen[last][0] for _, seen in runs]
        return plotting.turned(
            angles,
            changes=[(logits - at_rest).abs().max().item() for logits, _ in runs],
            kurtosis=[float(basis.kurtosis(stream)) for stream in streams],
            coordinates=[streams[0][self.token], streams[-1][self.token]],
            rounding=self.rounding(**settings),
            null=self.shape["null"],
        )

    @traitlets.validate("token", "head", "plane")
    def _that_exists(self, proposal: Any) -> Any:
        cfg, value = self.model.cfg, proposal["value"]
        limits = dict(
            token=[self.tokens.shape[1]], head=[cfg.n_layers, cfg.n_heads], plane=[cfg.d_model] * 2
        )[proposal["trait"].name]
        values = [value] if isinstance(value, int) else value
        if any(not 0 <= given < limit for given, limit in zip(values, limits, strict=True)):
            least = " and ".join(f"0 to {limit - 1}" for limit in limits)
            raise traitlets.TraitError(
                f"{proposal['trait'].name} {value} does not exist; choose from {least}"
            )
        return value

    def _run(
        self,
        angle: float,
        path: str = "all",
        plane: Sequence[int] = (0, 1),
        breaks: Collection[str] = (),
        turned: Collection[str] = tuple(GROUPS),
    ) -> tuple[AttentionOnlyTransformer, Tensor, dict[str, Tensor]]:
        """The turned model, its logits, and its patterns and streams by hook name."""
        for kind, given, known in (
            ("break", breaks, BREAKS),
            ("group of matrices", turned, GROUPS),
        ):
            if unknown := set(given) - set(known):
                raise ValueError(
                    f"no {kind} is called {', '.join(sorted(unknown))}; choose from "
                    f"{', '.join(known)}"
                )
        model = self._with_gains() if "gains" in breaks else self.model
        floors = self._floors(model, breaks) if "relu" in breaks else None
        only = [name for group in turned for name in GROUPS[group]]
        seen: dict[str, Tensor] = {}
        with torch.no_grad():
            model = basis.rotate(model, self.rotation(angle, path, plane), only)
            return (
                model,
                model.run_with_hooks(self.tokens, self._hooks(breaks, floors, seen))[0],
                seen,
            )

    def _with_gains(self) -> AttentionOnlyTransformer:
        """The same function, with readers that expect what they read to be multiplied by the gains
        first."""
        model, g = basis.rotate(self.model, torch.eye(self.model.cfg.d_model)), self._gains
        with torch.no_grad():
            for W in (model.W_Q, model.W_K, model.W_V, model.W_U):
                W /= g[:, None]
            if model.cfg.positions == "shortformer":
                model.W_pos *= g
        return model

    def _hooks(
        self, breaks: Collection[str], floors: Tensor | None, seen: dict[str, Tensor]
    ) -> list:
        """What stands on the stream, in order; `seen` gets the patterns, and the streams after
        their ReLU."""
        cfg = self.model.cfg
        ends = [f"blocks.{layer}.hook_resid_post" for layer in range(cfg.n_layers)]

        def is_read(name: str) -> bool:
            return name.endswith(("q_input", "k_input", "v_input")) or name == ends[-1]

        def is_normalized(name: str) -> bool:
            return name.endswith("hook_normalized") if cfg.normalization else is_read(name)

        hooks = []
        if floors is not None:
            hooks.append(
                (
                    lambda name: name in ends,
                    lambda x, hook: x.maximum(floors[ends.index(hook.name)]),
                )
            )
        hooks.append(
            (
                lambda name: name in ends or name.endswith("pattern"),
                lambda x, hook: seen.update({hook.name: x}),
            )
        )
        if "centring" in breaks:
            hooks.append((is_read, lambda x, hook: x - x.mean(-1, keepdim=True)))
        if "gains" in breaks:
            hooks.append((is_normalized, lambda x, hook: x * self._gains))
        return hooks

    def _floors(
        self, model: AttentionOnlyTransformer, breaks: Collection[str]
    ) -> Float[Tensor, "n_layers d_model"]:
        """The ReLUs' thresholds: what each coordinate never goes below at 0 degrees, so that there
        they do nothing."""
        seen: dict[str, Tensor] = {}
        with torch.no_grad():
            model.run_with_hooks(self.tokens, self._hooks(breaks, None, seen))
        return torch.stack(
            [
                seen[f"blocks.{layer}.hook_resid_post"][0].amin(0)
                for layer in range(model.cfg.n_layers)
            ]
        )


def quarter_turn(
    d: int, generator: Generator, fixed: Float[Tensor, " d"] | None = None
) -> Float[Tensor, "d d"]:
    """J: by 90 degrees in each of as many planes as fit, which together lie at random. What lies in
    none of them, where the planes leave a direction over, is mapped to 0; so is `fixed`."""
    frame = basis.random_rotation(d, generator)
    if fixed is not None:
        frame = torch.linalg.qr(torch.cat([fixed[:, None], frame[:, 1:]], 1)).Q[:, 1:]
    first, second = frame[:, 0 : frame.shape[1] // 2 * 2 : 2], frame[:, 1::2]
    return first @ second.T - second @ first.T


def _rows(model: AttentionOnlyTransformer, pos: int) -> Float[Tensor, "row d_model"]:
    """All that meets the stream, as rows of its coordinates: W_E, W_pos, of each layer W_Q, W_K,
    W_V (transposed) and W_O, and W_U (transposed). Turned, each row is row @ R."""
    rows = [model.W_E, model.W_pos[:pos]]
    for layer in range(model.cfg.n_layers):
        rows += [W[layer].mT.flatten(0, 1) for W in (model.W_Q, model.W_K, model.W_V)] + [
            model.W_O[layer].flatten(0, 1)
        ]
    return torch.cat([*rows, model.W_U.T]).detach().cpu()


def _telling_token(logits: Float[Tensor, "pos d_vocab"]) -> int:
    """The position after BOS with the least certain prediction that still has a favourite: there
    one sees most."""
    top = logits.softmax(-1).amax(-1)[1:]
    return 1 + int(torch.where(top > 0.5, top, 2 - top).argmin())


def _loudest(model: AttentionOnlyTransformer, tokens: Tensor) -> list[int]:
    """The two coordinates with the largest values in the stream that W_U reads."""
    last = f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"
    with torch.no_grad():
        stream = model.run_with_cache(tokens, last)[1][last][0]
    return stream.square().sum(0).topk(2).indices.tolist()


def _bytes(values: Tensor) -> bytes:
    return values.contiguous().numpy().tobytes()


def _checked(
    model: AttentionOnlyTransformer, tokens: Int[Tensor, "1 pos"]
) -> AttentionOnlyTransformer:
    cfg, pos = model.cfg, tokens.shape[1]
    if pos < 2:
        raise ValueError(
            "one token has nothing before it to attend to; give a sequence of two or more"
        )
    model(tokens)  # refuses tokens outside the vocabulary and sequences that are too long
    if not cfg.n_layers:
        raise ValueError(
            "this model has no layers, so nothing reads or writes its stream on the way; give one "
            "with a layer or more"
        )
    if cfg.smeared_keys:
        raise ValueError(
            "the model in the browser does not smear keys; give a model with smeared_keys=False"
        )
    wide = cfg.n_heads * cfg.d_head
    products = pos * (cfg.n_layers * wide * (4 * cfg.d_model + pos) + cfg.d_model * cfg.d_vocab)
    if products > MOST_PRODUCTS:
        raise ValueError(
            f"one pass of this model over {pos} tokens takes {products / 1e6:.0f} million "
            "products, too many to follow the pointer "
            f"(at most {MOST_PRODUCTS / 1e6:.0f} million); give fewer tokens, or a smaller model"
        )
    return model
