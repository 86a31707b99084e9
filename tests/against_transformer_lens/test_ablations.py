"""All four ablations cost the same in the course's model and in its copy in TransformerLens."""

import pytest

from helpers.instruments import heads, interventions
from helpers.lens import to_transformer_lens
from helpers.model import AttentionOnlyTransformer, ModelConfig


@pytest.mark.parametrize("keep_patterns", [False, True])
@pytest.mark.parametrize("to", ["zero", "mean"])
def test_an_ablation_costs_the_same_in_transformer_lens(to, keep_patterns):
    config = ModelConfig(
        n_heads=3, d_model=16, d_head=5, n_ctx=20, d_vocab=14, positions="standard", init_embed=1
    )
    model = AttentionOnlyTransformer(config).requires_grad_(False)
    tokens = heads.probe(14, 20, sequences=4)
    for group in ([(0, 1)], [(0, 2), (1, 0)]):
        ours, theirs = (
            interventions.ablation(made, tokens, group, to, keep_patterns)
            for made in (model, to_transformer_lens(model))
        )
        assert ours == pytest.approx(theirs, abs=1e-4) and abs(ours) > 1e-3
