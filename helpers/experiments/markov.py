"""In-context Markov chains: every sequence follows a chain of its own, which a model can only learn
by counting as it reads. Which of three rules does it follow, at which step of its training?

    uniform    every token is as likely as any other
    unigram    how often has the token come so far?              (c_j + 1) / (c + k)
    bigram     how often has it come after the present token?    (c_ij + 1) / (c_i + k)

The last is the best that can be done (Bayes' rule for rows from Dirichlet(1)), and it takes an
induction head that attends to everything that ever followed the present token.

Source: Edelman et al. 2024, The Evolution of Statistical Induction Heads: In-Context Learning
Markov Chains, section 2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor
from torch.nn.functional import kl_div, one_hot

from helpers.experiments.small import watched
from helpers.instruments import heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Task
from helpers.training.loop import TrainingConfig

# weights so small that the model begins as the uniform rule
MODEL = ModelConfig(n_heads=1, d_model=32, n_ctx=48, d_vocab=4, init_weights=0.1)
TASK = Task("in_context_markov", dict(n_ctx=48, d_vocab=4))
TRAINING = TrainingConfig(steps=220, batch=32)
SCHEDULE = range(0, 221, 10)
RULES = ("uniform", "unigram", "bigram")


# ---- the three rules, and how far a model is from each


def rules(
    tokens: Int[Tensor, "batch pos"], d_vocab: int
) -> dict[str, Float[Tensor, "batch pos symbol"]]:
    """What each rule expects to come next at every row, by the tokens up to there. BOS is no
    symbol."""
    seen = one_hot(tokens, d_vocab)[..., 1:].float()
    same = (tokens[:, :, None] == tokens[:, None, :-1]).float().tril(-1)
    counts = dict(
        uniform=torch.zeros_like(seen),
        unigram=seen.cumsum(1),
        bigram=same @ seen[:, 1:],  # what came right after each earlier copy
    )
    return {name: (c + 1) / (c.sum(-1, keepdim=True) + d_vocab - 1) for name, c in counts.items()}


def distances(
    logits: Float[Tensor, "batch pos d_vocab"],
    expected: Mapping[str, Float[Tensor, "batch pos symbol"]],
    rows: Bool[Tensor, "batch pos"],
) -> dict[str, float]:
    """KL(rule || model) in nats, the mean over the rows: what it costs extra to code what
    the rule draws by the model's probabilities. The model's are those of the symbols, BOS aside."""
    log_probs = logits[rows][:, 1:].log_softmax(-1)
    return {
        name: kl_div(log_probs, rule[rows], reduction="batchmean").item()
        for name, rule in expected.items()
    }


# ---- over a training


class Story(NamedTuple):
    """Trainings from several seeds. At each of `steps` the distance to each of RULES (nats), and
    the best head's prefix matching on the chains themselves."""

    steps: list[int]
    distance: Float[Tensor, "seed snapshot rule"]
    matching: Float[Tensor, "seed snapshot"]

    def phases(self) -> list[list[str]]:
        """The rules that each training comes nearest to, in the order in which they first are the
        nearest."""
        nearest = self.distance.argmin(-1).tolist()
        return [list(dict.fromkeys(RULES[rule] for rule in seed)) for seed in nearest]


def watch(seeds: Sequence[int], n_layers: int = 2, steps: Sequence[int] = SCHEDULE) -> Story:
    """Train a model from each seed to the last of the steps, and measure it at each of them, on
    chains that are the same for all."""
    config = replace(MODEL, n_layers=n_layers)
    return Story(list(steps), **watched(config, TASK, TRAINING, _measure(), steps, seeds))


def _measure() -> Callable[[AttentionOnlyTransformer], dict[str, Any]]:
    tokens, _, rows = TASK(64, Generator().manual_seed(10_000))
    expected = rules(tokens, MODEL.d_vocab)

    @torch.no_grad()
    def measured(model: AttentionOnlyTransformer) -> dict[str, Any]:
        distance = distances(model(tokens), expected, rows)
        matching = heads.score(model, tokens).prefix_matching.max().item()
        return dict(distance=[distance[rule] for rule in RULES], matching=matching)

    return measured
