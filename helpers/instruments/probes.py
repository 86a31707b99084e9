"""What heads are scored on: blocks of random tokens that repeat, so that only induction knows how
they go on.

Sources: Olsson et al. 2022, In-context Learning and Induction Heads, "Model Analysis Table".
"""

from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from helpers.sequences import BOS, TokenIds, token_ids


def probe(
    d_vocab: int,
    n_ctx: int,
    sequences: int = 10,
    ids: TokenIds | None = None,
    seed: int = 0,
    bos: int = 0,
    special: Collection[int] = (),
) -> Int[Tensor, "sequences pos"]:
    """BOS and a block of random distinct tokens, over and over: at most 101 tokens, as in the
    paper.

    The paper's blocks have 25 tokens. Here each sequence has another length, spread from 17 to 33
    (less where context or vocabulary are small), so that a head which has learned one fixed
    distance scores low. `ids` are the tokens to draw from, each once however often it is given: by
    default all; for text the paper drops the most and the least common. BOS, whose id is `bos`, and
    the `special` ids never stand in a block. ValueError when a block of 4 does not fit twice.
    """
    ids = torch.arange(d_vocab) if ids is None else distinct(ids)
    ids = ids[~torch.isin(ids, torch.tensor([bos, *special]))]
    pos = min(n_ctx, 101)
    longest = min(33, len(ids), (pos - 1) // 2)
    if longest < 4:
        raise ValueError(
            f"a context of {n_ctx} and {len(ids)} token ids leave room for repeated blocks of "
            f"{longest}; the probe needs "
            "blocks of 4 or more, that is n_ctx 9 and 4 ids (32 and 12 for a score to rely on)"
        )
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for length in torch.linspace((longest + 1) // 2, longest, sequences).round().int().tolist():
        block = ids[torch.randperm(len(ids), generator=generator)[:length]]
        rows.append(F.pad(block[torch.arange(pos - 1) % length], (1, 0), value=bos))
    return torch.stack(rows)


def opening_id(model) -> int | None:
    """What a text opens with: 0 for the course's models; for one with a tokenizer that one's BOS,
    which may be None."""
    tokenizer = getattr(model, "tokenizer", None)
    return BOS if tokenizer is None else getattr(tokenizer, "bos_token_id", None)


def special_ids(model) -> dict[str, Any]:
    """Which id opens a text of this model, 0 where none does, and which are no tokens of a text,
    for `probe`."""
    bos = opening_id(model)
    special = getattr(getattr(model, "tokenizer", None), "all_special_ids", ())
    return dict(bos=BOS if bos is None else bos, special=special)


def repeated_tokens(
    ids: TokenIds,
    block: int = 25,
    repeats: int = 4,
    sequences: int = 10,
    seed: int = 0,
) -> Int[Tensor, "sequences pos"]:
    """The paper's own probe: BOS, then `repeats` times the same `block` random distinct tokens out
    of `ids`. ValueError for fewer distinct ids than that."""
    ids = distinct(ids)
    if len(ids) < block:
        raise ValueError(
            f"a block of {block} distinct tokens out of {len(ids)} ids; give more, or a "
            "shorter block"
        )
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.stack(
        [ids[torch.randperm(len(ids), generator=generator)[:block]] for _ in range(sequences)]
    )
    return F.pad(blocks.repeat(1, repeats), (1, 0))


def distinct(ids: TokenIds) -> Int[Tensor, " ids"]:
    """The ids in the order in which each first stands. ValueError for what is no list of them."""
    ids = token_ids(ids, "ids")
    if ids.ndim != 1:
        raise ValueError(f"ids has shape {tuple(ids.shape)}; expected a plain list of token ids")
    return torch.tensor(list(dict.fromkeys(ids.tolist())), dtype=torch.long)
