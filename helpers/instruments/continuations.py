"""What a model writes when it is left to go on by itself, and how much of that it takes from what
stands before."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


@torch.no_grad()
def continuation(
    model, tokens: Int[Tensor, "batch pos"], count: int, fwd_hooks: Sequence = ()
) -> Int[Tensor, "batch count"]:
    """The `count` tokens that the model writes after these: each time the likeliest next one, which
    it then reads like the rest. `fwd_hooks` act in every pass. ValueError where text and
    continuation together are longer than the model's context."""
    start = tokens.shape[1]
    if start + count > model.cfg.n_ctx:
        raise ValueError(
            f"{start} tokens and {count} more are {start + count}, and the model reads at most "
            f"{model.cfg.n_ctx}; give a shorter text or ask for fewer"
        )
    for _ in range(count):
        logits = model.run_with_hooks(tokens, fwd_hooks=list(fwd_hooks))
        best = logits[:, -1].argmax(-1, keepdim=True)
        tokens = torch.cat([tokens, best.to(tokens.device)], 1)
    return tokens[:, start:]


def taken_up(
    tokens: Int[Tensor, "batch pos"], more: Int[Tensor, "batch count"]
) -> Float[Tensor, " batch"]:
    """Which share of the tokens in `more` follow their token as one like it did once before: the
    pair of them stands somewhere earlier in its row, in `tokens` or in `more` itself. It is what
    induction would write. ValueError for no tokens in `more`."""
    if not more.shape[1]:
        raise ValueError("no tokens follow these, so no share of them is taken up; give 1 or more")
    rows = torch.cat([tokens, more], 1)
    pairs = torch.stack([rows[:, :-1], rows[:, 1:]], -1)  # [batch, pos - 1, 2]
    alike = (pairs[:, :, None] == pairs[:, None]).all(-1)  # [batch, this pair, that pair]
    before = alike.tril(-1).any(-1)
    return before[:, -more.shape[1] :].float().mean(1)
