"""Token tasks: what the models of the course read.

Every sequence opens with BOS, id 0, which no task draws again. Row i of a batch holds token i and
asks for token i + 1. `determined` marks the rows at which the task's own rule settles the answer
(for the random chains: its distribution). A loss over the other rows measures noise, and a score
over them measures luck.

The data decides what a model can learn. `repeats` holds the tasks in which something occurs again,
`chains` those in which something is known beforehand, and both at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Generator

from helpers.sequences.batch import BOS, Batch, TokenIds, cross_entropy, token_ids
from helpers.sequences.chains import (
    SKIP_TRIGRAMS,
    additive_chain,
    additive_log_probs,
    bigram_chain,
    in_context_markov,
    skip_trigrams,
    transition_matrix,
    trigger_bigrams,
    vote_tables,
)
from helpers.sequences.repeats import copied_segment, fixed_period, repeated_block, split_periods

TASKS: dict[str, Callable[..., Batch]] = {
    task.__name__: task
    for task in (
        repeated_block,
        fixed_period,
        copied_segment,
        bigram_chain,
        additive_chain,
        skip_trigrams,
        trigger_bigrams,
        in_context_markov,
    )
}


@dataclass(frozen=True)
class Task:
    """A task with its options, by name: what a run writes down. `task(batch, generator)` draws from
    it."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.name not in TASKS:
            raise ValueError(f"no task is called {self.name!r}; choose one of {', '.join(TASKS)}")

    def __call__(self, batch: int, generator: Generator) -> Batch:
        return TASKS[self.name](batch=batch, generator=generator, **self.options)
