"""One message from an earlier head to a later one, sent and received in a real run.

Source: Elhage et al. 2021, A Mathematical Framework for Transformer Circuits, "Virtual Weights and
the Residual Stream as a Communication Channel".
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.hooks import check_head_of
from helpers.model import Head, check_head


def push(writer: Head, position: int, message: Float[Tensor, " d_head"]) -> tuple[str, Callable]:
    """A hook by which a head says `message` at one position, on top of what it says there. It
    raises a ValueError for a head that does not exist."""
    layer, head = writer

    def say(z, hook):
        check_head_of(hook, head, z.shape[2])
        z = z.clone()
        z[:, position, head] += message
        return z

    return f"blocks.{layer}.attn.hook_z", say


@torch.no_grad()
def heard(
    model, tokens: Int[Tensor, "batch pos"], reader: Head, hooks: Sequence = ()
) -> dict[str, Float[Tensor, "batch pos d_head"]]:
    """What a head makes of the stream as query, key and value ("Q", "K", "V") while these hooks
    act. ValueError for a head that does not exist."""
    check_head(model, *reader)
    layer, head = reader
    kept = {}

    def keep(x, hook):
        kept[hook.name[-1].upper()] = x[:, :, head].clone()

    listen = [(f"blocks.{layer}.attn.hook_{side}", keep) for side in "qkv"]
    model.run_with_hooks(tokens, [*hooks, *listen])
    return kept
