"""The real model: unpacked once and whole, found again, and each way in which it cannot be had is
told in a sentence."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError

from helpers import lens, real_model
from helpers.explorables.attention import Attention
from helpers.instruments import groups, heads, weights

# Right for this one file of weights, on the paper's own probe: layer, head, prefix matching.
MATCHERS = {
    (18, 6): 0.92,
    (17, 4): 0.87,
    (17, 3): 0.86,
    (17, 5): 0.86,
    (20, 6): 0.64,
    (18, 7): 0.64,
    (23, 7): 0.62,
    (23, 2): 0.60,
    (24, 4): 0.54,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    if not real_model.is_installed() and os.environ.get("CI"):
        pytest.fail("no real model found, and in CI its tests must run: `make wild` comes first")
    if not real_model.is_installed():
        pytest.skip("no real model found: `make wild` installs it")
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def told(cache):
    """What is said while it is unpacked."""
    said = []
    real_model.folder(said.append, cache)
    return said


@pytest.fixture(scope="module")
def bridge(cache, told):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INDUCTION_COURSE_CACHE", str(cache))
        return lens.language_model("real")


@pytest.fixture(scope="module")
def tokens(bridge):
    drawn = heads.repeated_tokens(torch.arange(1_000, 20_000), sequences=4)
    drawn[:, 0] = bridge.tokenizer.bos_token_id
    return drawn


# ---- unpacked


def test_it_says_what_it_does_once_and_opens_in_silence_from_then_on(cache, told):
    assert "half a minute" in told[0] and str(cache) in told[1] and len(told) == 2
    real_model.folder(told.append, cache)
    assert len(told) == 2


def test_one_byte_that_changed_is_noticed(cache, told):
    place = cache / "smollm2-135m"
    flip_last_byte(place / "model.safetensors")
    assert not real_model.is_whole(place)
    flip_last_byte(place / "model.safetensors")
    assert real_model.is_whole(place)


def flip_last_byte(path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))


def test_it_knows_what_everybody_knows(bridge):
    tokens = bridge.to_tokens("The capital of France is")
    with torch.no_grad():
        assert bridge.tokenizer.decode(bridge(tokens)[0, -1].argmax()) == " Paris"


# ---- its heads


def test_the_matchers_are_those_that_were_published_of_this_file(bridge, tokens):
    scores = heads.score(bridge, tokens).prefix_matching
    found = {(int(at) // 9, int(at) % 9) for at in scores.flatten().topk(len(MATCHERS)).indices}
    assert found == set(MATCHERS)
    for at, right in MATCHERS.items():
        assert scores[at].item() == pytest.approx(right, abs=0.02)


def test_nine_query_heads_share_three_key_heads(bridge):
    of_layer = weights.of_layer(bridge, 18)
    assert of_layer.K.shape == of_layer.Q.shape == (9, 576, 64)
    assert torch.equal(of_layer.K[6], of_layer.K[8])
    assert not torch.equal(of_layer.K[5], of_layer.K[6])


def test_the_attention_view_reads_a_text_with_some_of_its_heads(bridge):
    """The last dot had one before it that was followed by a word of its own; BOS is not id 0."""
    words = lens.Words(bridge)
    text = "    def load(self, crates):\n        self.deck.append(crate)\n" * 2
    text = text[: text.rindex("append")]
    view = Attention(bridge, text=text, tokenizer=words, heads=list(MATCHERS))
    tokens, labels = view.scene["tokens"], view.scene["labels"]
    assert tokens == [1, *words.encode(text)] and words.decode(tokens[1:]) == text
    assert labels[:3] == ["BOS", "···", "·def"] and labels[-2:] == ["deck", "."]
    assert len(view.scene["pattern"]) == 2 * 9 * len(tokens) ** 2
    assert "goes to 'append'" in view.picture()[1]


def test_without_the_matchers_it_is_lost_and_without_as_many_others_it_is_not(bridge, tokens):
    others = groups.random_groups(bridge, list(MATCHERS), 3, torch.Generator().manual_seed(0))
    found = groups.worth(bridge, tokens, list(MATCHERS), others)
    assert found.named > 5 and max(found.others) < 1


# ---- what can go wrong


def test_without_the_package_it_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(real_model, "PACKAGE", "no_package_of_this_name")
    with pytest.raises(FileNotFoundError, match="not installed.*make wild"):
        real_model.folder(print, tmp_path)


def packaged(tmp_path, monkeypatch, *files: str) -> None:
    """A package in the model's place, with these files in it."""
    package = tmp_path / "other_package"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in files:
        (package / name).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(real_model, "PACKAGE", package.name)
    monkeypatch.setattr(real_model, "is_installed", lambda: True)


def test_a_package_without_the_file_and_one_with_another_are_told_apart(tmp_path, monkeypatch):
    packaged(tmp_path, monkeypatch)
    with pytest.raises(FileNotFoundError, match="has no SmolLM2.*make wild"):
        real_model.packed_file()
    (tmp_path / "other_package" / real_model.FILE).write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"sha256 .*expected b179c9523d0e.*make wild"):
        real_model.packed_file()


def test_without_room_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(real_model, "packed_file", lambda: tmp_path / "packed")
    monkeypatch.setattr(real_model, "BYTES", 10**18)
    with pytest.raises(OSError, match="MB are free.*INDUCTION_COURSE_CACHE"):
        real_model.folder(print, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    def unpack(packed, into):
        (into / "half").write_bytes(b"half")
        raise RuntimeError("killed")

    monkeypatch.setattr(real_model, "packed_file", lambda: tmp_path / "packed")
    monkeypatch.setattr(real_model, "unpack", unpack)
    with pytest.raises(RuntimeError, match="killed"):
        real_model.folder(lambda words: None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


# ---- other models


def test_a_folder_without_a_model_and_one_that_is_not_there_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="no config.json.*save_pretrained"):
        lens.language_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        lens.language_model(tmp_path / "no" / "such")


def test_a_hub_that_cannot_be_reached_and_one_that_knows_no_such_name(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OSError, match="cannot be reached; 'real' needs no network"):
        lens.language_model("nobody/no-such-model")

    def unknown(name):
        try:
            raise RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None))
        except RepositoryNotFoundError as error:
            raise OSError("not a valid model identifier") from error

    monkeypatch.setattr(lens.TransformerBridge, "boot_transformers", unknown)
    with pytest.raises(OSError, match="the hub has no model 'nobody/no-such-model'"):
        lens.language_model("nobody/no-such-model")


def test_the_package_is_found_without_being_imported():
    """Its own import would ask for a plugin's host, which is not installed."""
    assert real_model.PACKAGE not in sys.modules
