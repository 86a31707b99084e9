"""Does a head look back by position, or because tokens like their usual neighbours?"""

import copy

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from helpers.instruments import heads


def looking_back(model, pos: int = 64) -> Float[Tensor, " head"]:
    """The attention of each head of the first layer to the token before (probability), on random
    tokens, which have no usual neighbours."""
    ids = torch.randint(1, model.cfg.d_vocab, (16, pos), generator=Generator().manual_seed(0))
    pattern = "blocks.0.attn.hook_pattern"
    return heads.previous_token(model.run_with_cache(ids, pattern)[1][pattern])


def removed(model):
    """A copy of the model without its position vectors."""
    placeless = copy.deepcopy(model).requires_grad_(False)
    placeless.W_pos.zero_()
    return placeless
