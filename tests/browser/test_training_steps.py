"""The steps of the browser's trainer against torch's: twenty of Muon and AdamW from the same
weights on the same batches, with rates that fall."""

from dataclasses import asdict

import pytest

from helpers.model import AttentionOnlyTransformer
from helpers.training.loop import Trainer, TrainingConfig
from tests.browser.trainer import SEEDS, asked, batches, farthest, shape, told, told_batch

pytestmark = pytest.mark.browser

TRAINING = TrainingConfig(steps=25)  # of the batches that the course trains on


@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_steps_lead_where_torchs_lead(ask, seed):
    model = AttentionOnlyTransformer(shape(seed))
    given = batches(model.cfg, TRAINING.batch, 20)
    sent = dict(batches=[told_batch(batch) for batch in given], training=asdict(TRAINING))
    found = asked(ask, "steps", told(model) | sent)
    rest = iter(given)
    trainer = Trainer(model.double(), lambda batch, generator: next(rest), TRAINING)
    losses = [trainer.step() for _ in given]
    assert found["losses"] == pytest.approx(losses, rel=1e-5)
    for name, weight in model.named_parameters():
        assert farthest(found["weights"][name], weight.detach()) < 1e-5, name
