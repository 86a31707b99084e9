"""What Discovery trains, and what it looks at: the reader's choices, made into a model, its data
and its instruments.

One look at a model costs a few milliseconds: a fast pass for the losses, one explicit pass for the
patterns of all heads, and three statistics that read weights alone.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from helpers.explorables.discovery.row import copied, first_row, names, next_token, read_row
from helpers.explorables.shared.tokens import token_labels
from helpers.instruments import circuits, composition, heads
from helpers.model import AttentionOnlyTransformer
from helpers.sequences import BOS, cross_entropy
from helpers.training.recipes import RECIPES, Recipe

# the recipe of each task
BASE = {
    "random periods": "two_layers",
    "one fixed period": "two_layers",
    "text": "text",
}
HEADS = (1, 2, 4, 8)
LAYERS = (1, 2, 3)
# names that nobody has read
CODE = "def zorblat(quimby):\n    zint = quimby.wex\n    return zorblat(quimby, zint)\n"
NULL_DRAWS = 40


@dataclass(frozen=True)
class Choices:
    """What the controls say. ValueError names a choice that cannot be; `muon_lr` None is the task's
    own rate."""

    n_layers: int = 2
    n_heads: int = 4
    smeared_keys: bool = False
    task: str = "random periods"
    seed: int = 0
    muon_lr: float | None = None

    def __post_init__(self):
        if self.task not in BASE:
            raise ValueError(f"no task is called {self.task!r}; choose one of {', '.join(BASE)}")
        if self.muon_lr is None:
            object.__setattr__(self, "muon_lr", RECIPES[BASE[self.task]].training.muon_lr)
        if self.n_layers not in LAYERS:
            raise ValueError(f"{self.n_layers} layers; choose 1, 2 or 3")
        if self.n_heads not in HEADS:
            raise ValueError(
                f"{self.n_heads} heads a layer; choose 1, 2, 4 or 8, which share the model's "
                "dimensions evenly"
            )
        if not isinstance(self.smeared_keys, bool):
            raise ValueError(f"smeared_keys is {self.smeared_keys!r}; choose True or False")
        if not isinstance(self.muon_lr, (int, float)) or not 0 < self.muon_lr <= 1:
            raise ValueError(
                f"a learning rate of {self.muon_lr}; choose one above 0 and up to 1, such as 0.03"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise ValueError(
                f"seed {self.seed!r}; choose a whole number from 0 up, below 2 to the power of 32"
            )

    def changed(self, **settings: Any) -> "Choices":
        """These choices with some of them changed. Another task brings its own learning rate,
        unless one is given."""
        if unknown := sorted(set(settings) - {field.name for field in fields(self)}):
            raise ValueError(
                f"no setting is called {', '.join(unknown)}; choose of {', '.join(asdict(self))}"
            )
        if settings.get("task", self.task) != self.task:
            settings = {"muon_lr": None} | settings
        return replace(self, **settings)

    def recipe(self) -> Recipe:
        """The course's recipe for this task, with these choices. The heads share the dimensions
        that it has."""
        base = RECIPES[BASE[self.task]]
        cfg, task = base.model, base.task
        if self.task == "one fixed period":
            task = dict(name="fixed_period", options=base.task["options"])
        return replace(
            base,
            model=replace(
                cfg,
                n_layers=self.n_layers,
                n_heads=self.n_heads,
                d_head=cfg.n_heads * cfg.d_head // self.n_heads,
                smeared_keys=self.smeared_keys,
                seed=self.seed,
            ),
            training=replace(base.training, seed=self.seed, muon_lr=self.muon_lr),
            task=task,
        )


class Scene:
    """A trainer at step 0, and the same sequences to look at it at every step.

    `test` asks for the losses, `probe` for the scores, `shown` is the one sequence [1, pos] whose
    patterns are drawn, with a label for each token; `asked` is the reader's row [1, pos]. `n_looks`
    counts: the null of composition is drawn at every tenth look.
    """

    def __init__(self, choices: Choices):
        self.recipe = recipe = choices.recipe()
        self.trainer = recipe.trainer()
        self.probe = recipe.probe(8)
        if choices.task == "text":
            text = recipe.text()
            ids = text.encode(CODE)
            self.test = recipe.held_out(4)
            self.shown = torch.tensor([[BOS, *ids]])
            self.labels = ["BOS", *text.token_strings(ids)]
        else:
            self.test = recipe.held_out(8)
            self.shown = heads.probe(recipe.model.d_vocab, recipe.model.n_ctx)[3:4]
            self.labels = token_labels(self.shown, None)
        # rows whose token came before
        self.seen = heads.induction_targets(self.test.tokens).any(-1)
        # causal: what follows changes nothing before it
        pad = self.probe.shape[1] - self.shown.shape[1]
        self._read = torch.cat([self.probe, F.pad(self.shown, (0, pad))])
        self.n_looks = 0
        self.ask(first_row(recipe))

    def ask(self, typed: str) -> None:
        """Put another row from now on. ValueError, in words, for one that cannot be read."""
        self.asked = read_row(typed, self.recipe)
        self.copied = copied(self.asked)
        called = None if self.copied is None else names([self.copied], self.recipe)[0]
        self.row = dict(typed=typed, copied=called)

    def answers(self, model: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        """What the model says after the reader's row: the three best answers with their
        probabilities, and the probability of what would be copied."""
        shares = next_token(model, self.asked)
        best = shares.topk(3)
        called = names(best.indices.tolist(), self.recipe)
        [likeliest] = rounded([best.values.tolist()], places=6)
        return dict(
            best=list(zip(called, likeliest, strict=True)),
            copied=None if self.copied is None else round(shares[self.copied].item(), 6),
        )

    def shape(self) -> dict[str, Any]:
        """What stays the same for the whole training: sizes, labels, and where chance lies."""
        cfg = self.recipe.model
        return dict(
            n_layers=cfg.n_layers,
            n_heads=cfg.n_heads,
            steps=self.recipe.training.steps,
            pos=self.shown.shape[1],
            tokens=self.shown[0].tolist(),
            labels=self.labels,
            guessing=math.log(cfg.d_vocab - 1),
            chance=heads.chance_lines(self.probe)["prefix_matching"],
            composition_chance=1 / math.sqrt(cfg.d_model),
            copying_chance=copying_band(min(cfg.d_vocab, 64), cfg.d_model, cfg.d_head),
        )

    @torch.no_grad()
    def look(self) -> tuple[dict[str, Any], bytes]:
        """The model as it stands: its answers to the row, losses in nats, scores of every head,
        composition of every pair; and the patterns on `shown` [layer, head, query, key], one byte
        an entry."""
        model = self.trainer.model
        cfg, pos = model.cfg, self.shown.shape[1]
        known, new = self.losses(model)
        _, found = model.run_with_cache(self._read, lambda name: name.endswith("pattern"))
        patterns = torch.cat([found["pattern", layer] for layer in range(cfg.n_layers)], dim=1)
        scored = patterns[:-1]
        shown = patterns[-1, :, :pos, :pos]
        by_layer = (cfg.n_layers, cfg.n_heads)
        seen = dict(
            step=self.trainer.step_number,
            answers=self.answers(model),
            loss=known,
            loss_new=new,
            prefix_matching=rounded(
                heads.prefix_matching(scored, self.probe).view(by_layer).tolist()
            ),
            previous_token=rounded(heads.previous_token(scored).view(by_layer).tolist()),
            copying=rounded(circuits.copying_statistics(model).tolist()),
            composition=rounded(composition.composition_scores(model, "K").tolist())
            if cfg.n_layers > 1
            else None,
            composition_limit=null_limit(model)
            if cfg.n_layers > 1 and self.n_looks % 10 == 0
            else None,
        )
        self.n_looks += 1
        return seen, (shown * 255).round().byte().numpy().tobytes()

    @torch.no_grad()
    def losses(self, model: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Mean loss in nats on rows whose token came before, and on the rest."""
        logits = model(self.test.tokens)
        known, new = (
            cross_entropy(logits, self.test.targets, rows) for rows in (self.seen, ~self.seen)
        )
        return round(known.item(), 4), round(new.item(), 4)


@cache
def copying_band(d_vocab: int, d_model: int, d_head: int) -> float:
    """Nineteen of twenty random heads of these shapes have a copying statistic between minus this
    and this. The vocabulary matters little to it, so a small one will do."""
    null = circuits.copying_null(d_vocab, d_model, d_head, 400, torch.Generator().manual_seed(0))
    return round(null.abs().quantile(0.95).item(), 4)


def null_limit(model: AttentionOnlyTransformer) -> float:
    """Of twenty models whose readers are turned at random, nineteen have no pair with a
    K-composition above this."""
    null = composition.composition_null(model, "K", NULL_DRAWS, torch.Generator().manual_seed(0))
    return round(null.nan_to_num(0).flatten(1).amax(1).quantile(0.95).item(), 4)


def rounded(rows: list[list[float]], places: int = 4) -> list[list[float | None]]:
    """None stands for what is not a number: a browser's JSON knows no nan."""
    finite = math.isfinite
    return [[round(value, places) if finite(value) else None for value in row] for row in rows]
