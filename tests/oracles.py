"""What the paper writes down, computed as it stands there: slow, and with nothing left out."""

import math

from jaxtyping import Float
from torch import Tensor

from helpers.model import AttentionOnlyTransformer, Head


def full_matching(
    model: AttentionOnlyTransformer, previous: Head, induction: Head
) -> Float[Tensor, "query_token moved_token"]:
    """W_E^T W_QK W_OV W_E over sqrt(d_head), in the paper's columns: the score that a key gets from
    a query token, for the token that the earlier head moved to that key."""
    W_E = model.W_E.T
    W_QK = model.W_Q[induction] @ model.W_K[induction].T
    W_OV = (model.W_V[previous] @ model.W_O[previous]).T
    return W_E.T @ W_QK @ W_OV @ W_E / math.sqrt(model.cfg.d_head)
