"""What is stored of the real model's reading, and how a share of it is drawn."""

import os
from types import SimpleNamespace

import pytest
import torch

from helpers import lens, real_model
from helpers.experiments import reading
from helpers.instruments import contexts, heads


class Letters:
    """A tokenizer of characters, in the place of a language model's."""

    bos_token_id, all_special_ids = 1, (1,)

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return dict(input_ids=[2 + ord(letter) % 90 for letter in text])


MODEL = SimpleNamespace(tokenizer=Letters())


def test_windows_come_from_different_files_behind_bos():
    found = reading.windows(MODEL, count=6, length=80, seed=3)
    assert found.shape == (6, 80) and (found[:, 0] == 1).all() and (found[:, 1:] != 1).all()
    assert torch.equal(found, reading.windows(MODEL, count=6, length=80, seed=3))
    assert not torch.equal(found, reading.windows(MODEL, count=6, length=80, seed=4))
    with pytest.raises(ValueError, match="files of the standard library have 500000 tokens"):
        reading.windows(MODEL, count=2, length=500_000)


def test_a_share_is_of_the_mean_and_its_interval_holds_it():
    gain = -torch.linspace(0.5, 1.5, 40)
    found = reading.share(0.3 * -gain, gain)
    assert found == pytest.approx((0.3, 0.3, 0.3), abs=1e-4)
    lost = torch.linspace(0.0, 1.0, 40)[torch.randperm(40, generator=torch.Generator())]
    mean, least, most = reading.interval(lost)
    assert mean == pytest.approx(0.5, abs=1e-4) and 0.35 < least < mean < most < 0.65
    part, low, high = reading.share(lost, gain)
    assert part == pytest.approx(0.5, abs=1e-4) and 0.3 < low < part < high < 0.7


def test_what_is_stored_is_forty_windows_or_more_with_three_random_groups():
    stored = reading.load()
    windows, pos = stored.tokens.shape
    assert windows >= 40 and stored.intact.shape == stored.named.shape == (windows, pos - 1)
    assert stored.others.shape == (3, windows, pos - 1)
    assert len({tuple(row.tolist()) for row in stored.tokens}) == windows


def test_saved_is_loaded(tmp_path):
    stored = reading.load()
    reading.save(stored, tmp_path / "again.npz")
    again = reading.load(tmp_path / "again.npz")
    assert again.group == stored.group and torch.equal(again.named, stored.named)


def test_the_model_gives_the_stored_losses():
    if not real_model.is_installed():
        assert not os.environ.get("CI"), "in CI the real model must be there"
        pytest.skip("no real model found: `make wild` installs it")
    model, stored = lens.language_model("real"), reading.load()
    window = stored.tokens[3:4, :128]
    for losses, out in ((stored.intact, []), (stored.named, stored.group)):
        now = contexts.losses(model, window, heads.zero_heads(model, out))
        torch.testing.assert_close(now, losses[3:4, :127], rtol=2e-3, atol=2e-2)
