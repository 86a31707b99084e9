"""The oracle that copies: equal to a slow loop, rich on a text that repeats, poor on noise."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from helpers.corpus import Corpus, Source, copying
from helpers.corpus.documents import Document
from helpers.corpus.tokenizer import train_tokenizer
from helpers.sequences.batch import after_bos

D_VOCAB = 30


def planted(train: Tensor, validation: Tensor, d_vocab: int = D_VOCAB) -> Corpus:
    """A corpus of these two streams: its words do not matter."""
    tokenizer = train_tokenizer([Document("a", "a")], 257)
    return Corpus(
        tokenizer, d_vocab, train=train, validation=validation, source=Source(1, 1, 1, "")
    )


def uniform(length: int, seed: int, d_vocab: int = D_VOCAB) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, d_vocab, (length,), generator=generator)


def sticky(length: int, seed: int) -> Tensor:
    """Noise in which each token stays for a while what it was 7 tokens before."""
    tokens = uniform(length, seed).tolist()
    stays = torch.rand(length, generator=torch.Generator().manual_seed(seed)) < 0.6
    for i in range(7, length):
        if stays[i]:
            tokens[i] = tokens[i - 7]
    return torch.tensor(tokens)


def by_loop(text: Corpus, n_ctx: int) -> copying.Copying:
    """The definition, one token at a time."""
    stream, d_vocab = text.train.tolist(), text.d_vocab
    counts = [[0] * d_vocab for _ in range(d_vocab)]
    for present, following in zip(stream[:-1], stream[1:], strict=True):
        counts[present][following] += 1
    totals = [sum(column) for column in zip(*counts, strict=True)]

    def bigram(present: int, following: int) -> float:
        share = (totals[following] + 1) / (sum(totals) + d_vocab)
        return (counts[present][following] + share) / (sum(counts[present]) + 1)

    def answers(windows, matching: int) -> list[tuple[int, int, int | None]]:
        """Of each row its token, its target and what the latest copy says."""
        found = []
        for tokens, targets in zip(windows.tokens.tolist(), windows.targets.tolist(), strict=True):
            for row in range(n_ctx):
                says = None
                for earlier in range(matching, row):
                    span = slice(earlier - matching + 1, earlier + 1)
                    if tokens[span] == tokens[row - matching + 1 : row + 1]:
                        says = targets[earlier]
                found.append((tokens[row], targets[row], says))
        return found

    def loss(rows: list, w: float) -> float:
        return -sum(
            math.log(
                bigram(a, b) if says is None else (1 - w) * bigram(a, b) + w * (says == b),
            )
            for a, b, says in rows
        ) / len(rows)

    learnt = text.windows(copying.WINDOWS, n_ctx, torch.Generator().manual_seed(0))
    asked = text.validation_windows(n_ctx, copying.WINDOWS)
    gained = []
    for matching in (1, 2):
        seen, rows = answers(learnt, matching), answers(asked, matching)
        w = min(copying.WEIGHTS, key=lambda w: loss(seen, w))
        gained.append(loss(rows, 0.0) - loss(rows, w))
    rows = answers(asked, 1)
    possible = [(a, b, says) for a, b, says in rows if says is not None]
    right = [(a, b) for a, b, says in possible if says == b]
    surprising = [(a, b) for a, b in right if max(range(d_vocab), key=counts[a].__getitem__) != b]
    return copying.Copying(
        loss(rows, 0.0),
        len(possible) / len(rows),
        len(right) / len(possible),
        len(surprising) / len(rows),
        *gained,
    )


def test_the_oracle_is_the_slow_loop(monkeypatch):
    monkeypatch.setattr(copying, "WINDOWS", 8)
    monkeypatch.setattr(copying, "WEIGHTS", [0.0, 0.2, 0.4, 0.6])
    text = planted(sticky(700, seed=0), sticky(300, seed=1))
    # documents begin in the middle of windows
    text.validation[[40, 77, 150]] = 0
    text.train[[100, 300, 301]] = 0
    found = copying.worth(text, n_ctx=32)
    assert found == pytest.approx(by_loop(text, 32), abs=1e-5)
    assert found.gained > 0.1 and 0.1 < found.right < 0.9  # nothing compared is 0


def test_a_text_that_repeats_is_nearly_all_copied():
    """Stretches of 20 different tokens, each three times: two thirds of all tokens are known."""
    parts = []
    for seed in range(400):
        order = torch.randperm(D_VOCAB - 1, generator=torch.Generator().manual_seed(seed))
        parts.append((1 + order[:20]).repeat(3))
    stream = torch.cat(parts)
    found = copying.worth(planted(stream, stream[:6000]), n_ctx=60)
    # behind BOS 20 tokens are new, and what follows the others is the end of a window or a copy
    assert found.possible == pytest.approx(39 / 60) and found.right == 1.0 and found.gained > 1.5
    assert found.gained_by_two > 1.5 and found.bigram_loss > 3.0


def test_noise_is_not_worth_copying():
    found = copying.worth(planted(uniform(60_000, 0), uniform(20_000, 1)))
    assert found.possible > 0.8 and found.right == pytest.approx(1 / (D_VOCAB - 1), abs=0.01)
    assert -0.01 < found.gained < 0.01 and -0.01 < found.gained_by_two < 0.01
    assert found.bigram_loss == pytest.approx(math.log(D_VOCAB - 1), abs=0.02)


def test_what_the_bigrams_know_already_is_not_gained_again():
    """A circle of tokens: every copy is right, and no copy is needed."""
    circle = (1 + torch.arange(6000) % (D_VOCAB - 1)).long()
    found = copying.worth(planted(circle, circle[:2000]), n_ctx=100)
    assert found.right > 0.99 and found.right_where_bigram_is_wrong < 0.01
    assert found.gained < 0.02 and found.bigram_loss < 0.1


def test_the_weight_is_chosen_on_the_training_files_alone():
    """Where nothing repeats, so next to nothing is copied from the others, though it would pay."""
    repeats = torch.arange(1, 11).repeat(300)
    text = planted(uniform(30_000, 0), repeats)
    found = copying.worth(text, n_ctx=50)
    windows = text.validation_windows(50)
    bigram = copying.bigram_probability(copying.pair_counts(text), windows)
    assert copying.best_weight(bigram, *copying.copied(*windows[:2])) == 0.99
    assert found.right == 1.0 and found.gained < 1.0 < found.bigram_loss - 2


@pytest.mark.parametrize("matching", [1, 2])
def test_the_opening_bos_is_a_copy_of_nothing_and_a_files_start_is_a_token(matching):
    body = torch.tensor([[5, 6, 0, 5, 6, 0, 5, 7]])
    windows = after_bos(body, torch.ones_like(body, dtype=torch.bool))
    # tokens are BOS 5 6 0 5 6 0 5
    possible, right = copying.copied(*windows[:2], matching)
    if matching == 1:
        assert possible.tolist() == [[False, False, False, False, True, True, True, True]]
        assert right.tolist() == [[False, False, False, False, True, True, True, False]]
    else:
        assert possible.tolist() == [[False] * 5 + [True, True, True]]
        assert right.tolist() == [[False] * 5 + [True, True, False]]


def test_the_latest_copy_is_the_one_that_counts():
    assert copying.latest_copies(torch.tensor([[7, 3, 7, 7, 3, -1]])).tolist() == [
        [-1, -1, 0, 2, 1, -1]
    ]


@pytest.mark.parametrize("matching", [0, 3])
def test_only_one_token_or_two_can_match(matching):
    tokens = torch.tensor([[0, 5, 6, 5, 6]])
    with pytest.raises(ValueError, match=f"matching is {matching}; give 1 .* 2 for a pair"):
        copying.copied(tokens, tokens, matching)


def test_windows_longer_than_the_text_are_refused():
    text = planted(uniform(500, 0), uniform(40, 1))
    with pytest.raises(ValueError, match="n_ctx=256: expected 1 to 40"):
        copying.worth(text)
    nothing_twice = replace(text, train=torch.arange(1, 30), validation=torch.arange(1, 30))
    found = copying.worth(nothing_twice, n_ctx=20)
    assert found.possible == found.gained == 0.0 and math.isnan(found.right)
