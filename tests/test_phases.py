"""What is measured along the trainings on text, and that what is stored is of the course's own."""

import pytest
import torch
from torch import Generator

from helpers.experiments import phases
from helpers.instruments import contexts, heads
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.training import replicas
from helpers.training.recipes import RECIPES
from tests.test_copying import planted


def drawn(*shape: int, below: int = 20) -> torch.Tensor:
    return torch.randint(1, below, shape, generator=Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> AttentionOnlyTransformer:
    return AttentionOnlyTransformer(ModelConfig(n_ctx=32, d_vocab=20))


@pytest.fixture(scope="module")
def stored() -> dict[str, list[phases.Training]]:
    return phases.load()


def test_a_loss_without_heads_is_what_hooks_on_them_make_it(model):
    tokens = drawn(40, 17)
    whole = phases.losses(model, tokens)
    torch.testing.assert_close(whole, contexts.losses(model, tokens))
    for out in ([(0, 2)], [(0, 1), (1, 3)]):
        ours = phases.losses(model, tokens, out)
        hooked = contexts.losses(model, tokens, heads.zero_heads(model, out))
        torch.testing.assert_close(ours, hooked)
        assert (ours - whole).abs().max() > 0.01
    torch.testing.assert_close(phases.losses(model, tokens), whole)  # the model is as it was
    with pytest.raises(ValueError, match="there is no head -1 in layer 0"):
        phases.losses(model, tokens, [(0, -1)])


def test_with_patterns_kept_a_first_layer_head_costs_what_its_own_writing_is_worth(model):
    tokens = drawn(40, 17)
    last = phases.losses(model, tokens, [(1, 0)])
    torch.testing.assert_close(phases.losses_with_patterns_kept(model, tokens, [(1, 0)]), last)
    first = phases.losses(model, tokens, [(0, 0)])
    kept = phases.losses_with_patterns_kept(model, tokens, [(0, 0)])
    assert (kept - first).abs().max() > 1e-3


def test_laws_are_counted_on_the_text_that_is_trained_on():
    laws = phases.Laws(planted(torch.tensor([0, 1, 2, 1, 2, 1, 3]), torch.tensor([1]), 5))
    single = [(count + 1) / 11 for count in (0, 3, 2, 1, 0)]  # as often as each came behind one
    assert laws.unigram.exp().tolist() == pytest.approx(single)
    # after 1 came 2 twice and 3 once
    after_one = [(count + share) / 4 for count, share in zip((0, 0, 2, 1, 0), single, strict=True)]
    assert laws.bigram[1].exp().tolist() == pytest.approx(after_one)
    assert laws.bigram[4].exp().tolist() == pytest.approx(single)  # which never came first
    lost = laws.losses(torch.tensor([[1, 2, 4]])).exp()
    assert lost.tolist()[0] == pytest.approx([1 / after_one[2], 1 / laws.bigram[2, 4].exp().item()])


def test_a_model_that_answers_by_a_law_is_at_no_distance_from_it():
    text = planted(drawn(500, below=9), torch.tensor([1]), 9)
    laws, tokens = phases.Laws(text), drawn(4, 12, below=9)
    single = phases.distances(lambda x: laws.unigram.expand(*x.shape, 9) + 3, tokens, laws)
    pairs = phases.distances(lambda x: laws.bigram[x] - 1, tokens, laws)
    assert abs(single["unigram"]) < 1e-5 < 0.01 < single["bigram"]
    assert abs(pairs["bigram"]) < 1e-5 < 0.01 < pairs["unigram"]


def test_early_and_late_are_a_tenth_and_the_end_of_the_context():
    assert phases.early_and_late(256) == (range(17, 33), range(240, 255))
    assert phases.early_and_late(512) == (range(35, 67), range(480, 511))


def test_a_training_says_from_when_on_a_number_stays_past_a_share_of_its_end():
    def made(**curves):
        steps = range(0, 50, 10)
        return phases.Training(
            "text",
            0,
            [
                dict(step=step, **{name: curve[at] for name, curve in curves.items()})
                for at, step in enumerate(steps)
            ],
            [],
            {},
        )

    training = made(
        in_context=[0.1, -0.9, -0.1, -0.6, -1.0], prefix_matching=[[[0, at / 4]] for at in range(5)]
    )
    assert training.steps == [0, 10, 20, 30, 40]
    assert training.curve("prefix_matching").tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert training.halfway("in_context") == 30  # what it does on the way does not count
    assert training.halfway("prefix_matching") == 30
    assert training.passed("prefix_matching", 0.2) == 10
    assert training.nearest("in_context") == 40


def test_a_short_training_is_measured_as_it_is(monkeypatch):
    at_the_end = phases.at_the_end  # whose windows are all, and not what is asked here
    monkeypatch.setattr(
        phases, "at_the_end", lambda model, tokens, probe: at_the_end(model, tokens[::32], probe)
    )
    monkeypatch.setattr(torch, "set_num_threads", None)  # its caller's to choose
    record, tensors = phases.run("text_smeared_keys", 5, steps=5)
    assert [snapshot["step"] for snapshot in record["snapshots"]] == [0, 5]
    recipe = RECIPES["text_smeared_keys"].seeded(5)
    trainer = recipe.trainer()
    for _ in range(5):
        trainer.step()
    tokens = recipe.text().validation_windows(256, phases.WINDOWS).tokens
    losses = contexts.losses(trainer.model, tokens)
    rows = phases.fixed_rows(phases.WINDOWS, 255)
    torch.testing.assert_close(tensors["losses"][1], losses.gather(1, rows).flatten())
    assert record["snapshots"][1]["held_out"] == pytest.approx(losses.mean().item(), abs=1e-4)
    by_place = torch.stack([part.mean() for part in losses.chunk(phases.PLACES, 1)])
    torch.testing.assert_close(tensors["places"][1], by_place)
    gate = trainer.model.smear.sigmoid()
    torch.testing.assert_close(
        torch.tensor(record["snapshots"][1]["gate"]), gate, atol=1e-4, rtol=0
    )


def test_nine_trainings_are_stored_of_three_seeds_each(stored):
    assert list(stored) == list(phases.KINDS)
    for kind, trainings in stored.items():
        assert [training.seed for training in trainings] == [0, 1, 2]
        for training in trainings:
            n_heads = 8 if kind == "text" else 4
            assert training.kind == kind and training.steps == phases.SCHEDULE
            assert training.tensors["lost"].shape == (len(phases.ABLATED), n_heads, 226)
            assert len(training.without) == len(training.tensors["scores"])


def test_what_is_left_without_a_head_is_its_own_share():
    ways = [("nothing", []), ("one head", [[0, 0]]), ("one head", [[0, 1]]), ("matching", [[0, 1]])]
    without = [dict(out=out, heads=heads, way="all anew", loss=0.0) for out, heads in ways]
    scores = torch.tensor([[-2.0, -4], [-1, -2], [-3, -9], [0, 0]])
    training = phases.Training("text", 0, [], without, {"scores": scores})
    assert [training.left_without((0, head)) for head in (0, 1)] == pytest.approx([0.5, 2.0])
    assert training.matching == [(0, 1)]
    assert [one.tolist() for one in training.scores("matching")] == [[0, 0]]


@pytest.mark.parametrize("kind", ["text", "text_one_layer"])
def test_they_are_the_trainings_whose_weights_are_stored(kind, stored):
    """But for rounding: that of half precision, and another processor's, which 2,400 steps carry
    on."""
    tokens = RECIPES[kind].text().validation_windows(256, phases.WINDOWS).tokens[::8]
    rows = phases.fixed_rows(phases.WINDOWS, 255)[::8]
    models = replicas.models(kind).values()
    found = torch.stack([phases.losses(model, tokens).gather(1, rows) for model in models])
    kept = torch.stack([one.tensors["losses"][-1].view(-1, 2)[::8] for one in stored[kind]])
    off = (found[:, None] - kept).abs().mean((2, 3))  # [model, training]
    assert off.diagonal().max() < 0.1 < 0.3 < off[~torch.eye(3, dtype=bool)].min()


def test_others_are_as_many_of_the_same_layer_or_those_that_are_left(model):
    assert len(phases.as_many_others(model, [(1, 0), (1, 3)])) == 1
    assert sorted(phases.as_many_others(model, [(1, 3)])) == [[(1, 0)], [(1, 1)], [(1, 2)]]
    assert phases.as_many_others(model, [(1, 0), (1, 1), (1, 2)]) == [[(1, 3)]]


def test_paths_lie_in_the_plane_in_which_the_losses_vary_most():
    generator = Generator().manual_seed(0)
    plane = torch.linalg.qr(torch.randn(30, 2, generator=generator)).Q.T
    walks = [
        torch.tensor([[-9.0, 1], [0, -2], [9, 4]]),
        torch.tensor([[-9.0, -1], [0, -4], [9, 2]]),
    ]
    for turn in (1, -1):  # a component has no sign of its own
        clouds = {"first": [walk @ (turn * plane) + 3 for walk in walks]}
        first, second = phases.principal_paths(clouds)["first"]
        for path, walk in ((first, walks[0]), (second, walks[1])):
            moved = (path[-1] - path[0]) * 1.0
            assert (moved > 0).all()
            torch.testing.assert_close(moved.norm(), (walk[-1] - walk[0]).norm(), atol=1e-3, rtol=0)
        gap = torch.stack([first, second]).mean((0, 1))
        torch.testing.assert_close(gap, torch.zeros(2), atol=1e-4, rtol=0)
