"""A blind puzzle takes its right answer in every draw and tells others from it, and gives nothing
away before."""

import html
import itertools
import re
from functools import partial

import pytest
import torch
from torch import Generator

from helpers.checks import FAILED, NOT_ATTEMPTED, PASSED, puzzles
from helpers.checks.puzzles import changes, composers, engine, lookups, strangers, streams, triples
from helpers.experiments import privileged, tails
from helpers.instruments import basis, circuits, heads

DRAWS = 100
BY_TEXT = {
    "continuation": (puzzles.continuation, lookups.CONTINUATIONS),
    "twist": (puzzles.twist, lookups.TWISTS),
}
MAKERS = [getattr(puzzles, name) for name in puzzles.__all__]
# With the shape checks of readers, who have none: a hundred draws are many.
in_every_draw = pytest.mark.usefixtures("shapes_unchecked")
every_puzzle = pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)


def state(puzzle, answer, seed: int = 0) -> str:
    return puzzle.check(answer, seed=seed).state


# ---- what comes next


def others(rules, right, seed: int) -> list:
    """Three wrong rules, others at every seed, so that all are tried."""
    wrong = [rule for rule in rules if rule is not right]
    return [wrong[(seed + step) % len(wrong)] for step in range(3)]


@in_every_draw
@pytest.mark.parametrize("name", BY_TEXT)
def test_the_hidden_rule_passes_and_three_others_fail_in_every_draw(name):
    maker, tricks = BY_TEXT[name]
    hidden = set()
    for seed in range(DRAWS):
        puzzle, (right, _) = maker(seed), lookups.drawn(tricks, seed)
        hidden.add(right)
        assert state(puzzle, right, seed) == PASSED
        for wrong in others(lookups.TAKEN_FOR.values(), right, seed):
            assert state(puzzle, wrong, seed) == FAILED
    assert hidden == set(tricks)  # every one of them is drawn


@in_every_draw
def test_the_hidden_triple_passes_and_three_others_fail_in_every_draw():
    hidden = set()
    for seed in range(DRAWS):
        puzzle, (right, roles, _) = puzzles.skip_trigram(seed), triples.drawn(seed)
        hidden.add(right)
        assert state(puzzle, partial(right, roles=roles), seed) == PASSED
        for wrong in others(triples.TAKEN_FOR.values(), right, seed):
            assert state(puzzle, partial(wrong, roles=roles), seed) == FAILED
    assert hidden == set(triples.RULES)


@pytest.mark.parametrize("name", [*BY_TEXT, "skip_trigram"])
def test_a_wrong_rule_is_told_by_its_name_and_the_text_is_one_where_they_differ(name):
    for seed in range(2):
        puzzle, taken_for = getattr(puzzles, name)(seed), lookups.TAKEN_FOR
        if name == "skip_trigram":
            roles = triples.drawn(seed)[1]
            taken_for = {why: partial(rule, roles=roles) for why, rule in triples.TAKEN_FOR.items()}
        verdicts = {why: puzzle.check(rule, seed=seed) for why, rule in taken_for.items()}
        assert [verdict.state for verdict in verdicts.values()].count(PASSED) == 1
        for why, verdict in verdicts.items():
            if verdict.state == FAILED:
                words = verdict.details.removeprefix("After ").split(" the model")[0]
                text = [int(token) for token in words.split()]
                assert puzzle.says(text) != taken_for[why](text)
                assert f"Most likely: {why}." in verdict.details


@pytest.mark.parametrize("name", [*BY_TEXT, "skip_trigram"])
def test_the_model_does_not_check_itself(name):
    puzzle = getattr(puzzles, name)(0)
    assert puzzle.says([3, 5, 3]) in (None, *range(puzzle.model.cfg.d_vocab))
    assert "without the model" in puzzle.check(puzzle.says).details
    puzzle.says([3, 5, 3])  # speaks again


def test_a_rule_that_is_right_but_for_one_kind_of_text_is_found_out():
    seed = next(
        s
        for s in range(DRAWS)
        if lookups.drawn(lookups.TWISTS, s)[0] is lookups.after_the_latest_copy
    )

    def nearly(text):
        return None if len(text) > 18 else lookups.after_the_latest_copy(text)

    assert [state(puzzles.twist(seed), nearly, check) for check in range(20)] == [FAILED] * 20


# ---- which heads, which change, which stream


@pytest.mark.slow
@in_every_draw
def test_of_all_compositions_only_one_passes_in_every_draw():
    heads = range(composers.N_HEADS)
    for seed in range(DRAWS):
        right, vain, _ = composers.drawn(seed)
        puzzle = puzzles.composition(seed)
        others = [
            vain,
            right._replace(read=vain.read),
            right._replace(reader=vain.reader),
        ]
        if not seed:
            others = [
                pair
                for w, r, read in itertools.product(heads, heads, composers.READS)
                if (pair := composers.Composition((0, w), (1, r), read)) != right
            ]
        assert state(puzzle, right, seed) == PASSED
        assert [state(puzzle, other, seed) for other in others] == [FAILED] * len(others)
    assert "read by no one" in puzzle.check(vain).details
    assert "by another read" in puzzle.check(right._replace(read=vain.read)).details


@in_every_draw
def test_of_all_changes_only_the_hidden_one_passes_in_every_draw():
    kinds = set()
    for seed in range(DRAWS):
        name, right, wrong, _ = changes.drawn(seed)
        puzzle = puzzles.change(seed)
        kinds.add(name.split()[0])
        assert state(puzzle, right, seed) == PASSED
        others = wrong | {"the model came back as it was": lambda model: model}
        for why, other in others.items():
            verdict = puzzle.check(other, seed=seed)
            assert verdict.state == FAILED and f"Most likely: {why}." in verdict.details
        later = (changes.drawn(later) for later in range(seed + 1, seed + 50))
        of_another_kind = (change for kind, change, *_ in later if kind[:3] != name[:3])
        for other in itertools.islice(of_another_kind, 2):
            assert state(puzzle, other, seed) == FAILED
    assert kinds == {"turned", "stretched", "queries", "values", "heads"}


def test_the_change_can_be_found_from_the_two_models_alone():
    """Every kind of it, by what notebook 03 teaches."""

    def found(puzzle):
        one, other = puzzle.known, puzzle.model
        G = torch.linalg.pinv(one.W_E) @ other.W_E
        if not torch.allclose(G, torch.eye(len(G)).double(), atol=1e-6):
            return lambda model: basis.general_linear(model, G)
        for layer, head in itertools.product(range(2), range(3)):
            A = torch.linalg.pinv(one.W_Q[layer, head]) @ other.W_Q[layer, head]
            B = torch.linalg.pinv(one.W_V[layer, head]) @ other.W_V[layer, head]
            same_span = torch.allclose(one.W_Q[layer, head] @ A, other.W_Q[layer, head])
            if not same_span:  # another head has come here
                order = [
                    next(h for h in range(3) if torch.equal(one.W_Q[layer, h], other.W_Q[layer, g]))
                    for g in range(3)
                ]
                moved = [at for at in range(3) if order[at] != at]
                return changes.exchanged(layer, *moved)
            eye = torch.eye(len(A)).double()
            if not (torch.allclose(A, eye) and torch.allclose(B, eye)):
                return (
                    changes.queries((layer, head), A)
                    if not torch.allclose(A, eye)
                    else (changes.values((layer, head), B))
                )

    for seed in range(20):
        puzzle = puzzles.change(seed)
        assert state(puzzle, found(puzzle), seed) == PASSED, changes.drawn(seed)[0]


@in_every_draw
def test_the_names_of_a_strangers_heads_pass_and_others_fail_in_every_draw():
    hidden = set()
    for seed in range(DRAWS):
        puzzle, (kinds, _) = puzzles.stranger(seed), strangers.drawn(seed)
        right = strangers.words(kinds)
        hidden.update(*kinds)
        assert state(puzzle, right, seed) == PASSED
        layer, head = seed % 2, seed // 2 % 4
        another = [word for word in strangers.WORDS if word != right[layer][head]][seed % 3]
        but_for_one = [list(names) for names in right]
        but_for_one[layer][head] = another
        for wrong in (but_for_one, right[::-1], [["none"] * 4] * 2):
            assert state(puzzle, wrong, seed) == FAILED
    assert hidden == set(strangers.KINDS)


@in_every_draw
def test_what_a_strangers_heads_were_taken_for_is_told():
    told = set()
    for seed in range(12):
        puzzle, (kinds, _) = puzzles.stranger(seed), strangers.drawn(seed)
        answers = {why: strangers.words(kinds, as_) for why, as_ in strangers.TAKEN_FOR.items()}
        for answer in answers.values():
            if answer != strangers.words(kinds):
                first = next(why for why, same in answers.items() if same == answer)
                assert f"Most likely: {first}." in puzzle.check(answer, seed=seed).details
                told.add(first)
    assert told == set(strangers.TAKEN_FOR)


def named_by_the_course(model) -> list[list[str]]:
    """By attention, and by whether the OV circuit raises a token above the mean of its row."""
    found = []
    for row in heads.discover(model, ablate=False).rows:
        OV = circuits.full_ov(model, *row.at)
        raised = (OV.diagonal() - OV.mean(1))[1:].mean()
        matching = row.prefix_matching > 0.5
        word = "copies" if matching and raised > 1 else "none"
        word = "suppresses" if matching and raised < -1 else word
        found.append("previous" if row.previous_token > 0.5 else word)
    return [found[:4], found[4:]]


def test_a_strangers_heads_can_be_named_from_the_model_alone():
    for seed in range(20):
        puzzle = puzzles.stranger(seed)
        assert state(puzzle, named_by_the_course(puzzle.model), seed) == PASSED


def test_what_speaks_against_a_name_is_said_in_numbers():
    seed = next(seed for seed in range(DRAWS) if strangers.MUTE in strangers.drawn(seed)[0][1])
    kinds, puzzle = strangers.drawn(seed)[0], puzzles.stranger(seed)
    right, at = strangers.words(kinds), kinds[1].index(strangers.MUTE)

    def said(word: str, layer: int, head: int) -> str:
        answer = [list(names) for names in right]
        answer[layer][head] = word
        return puzzle.check(answer, seed=0).details

    assert "moves the logit of a token found behind a copy by +0.0" in said("copies", 1, at)
    assert "0% of its attention falls on the token before" in said("previous", 1, at)
    previous = kinds[0].index("previous")
    assert "100% of its attention falls on the token before" in said("none", 0, previous)
    elsewhere = next(head for head in range(4) if right[0][head] == "none")
    assert "0% of its attention falls behind earlier copies" in said("copies", 0, elsewhere)
    assert said("copies", 0, elsewhere).startswith("7 of 8 heads do what you say. You call head 0.")


AXES_BY = {
    "kurtosis": lambda stream: basis.kurtosis(stream) > 6,
    "size": lambda stream: stream.abs().max() > 20,
    "uneven": lambda stream: (v := stream.square().mean((0, 1))).max() > 4 * v.mean(),
    "kurtosis over tokens": lambda stream: basis.kurtosis(stream.flatten(0, 1).T) > 6,
    "always": lambda stream: True,
    "never": lambda stream: False,
}


@pytest.fixture
def drawn_once(monkeypatch):
    """All answers that are checked with one seed are asked of the same streams: they are drawn for
    the first of them."""
    draw, kept = streams.drawn, {}

    def drawn(models, count, generator):
        asked = count, generator.initial_seed()
        if asked not in kept:
            kept.clear()
            kept[asked] = draw(models, count, generator)
        return kept[asked]

    monkeypatch.setattr(streams, "drawn", drawn)


@pytest.mark.slow
@in_every_draw
def test_a_stream_is_judged_by_its_axes_in_every_draw(drawn_once):
    puzzle, wrong = puzzles.axes(0), list(AXES_BY)[1:]
    for seed in range(DRAWS):
        assert state(puzzle, AXES_BY["kurtosis"], seed) == PASSED
        for step in range(3):
            assert state(puzzle, AXES_BY[wrong[(seed + step) % len(wrong)]], seed) == FAILED


def test_streams_with_and_without_axes_are_drawn_and_all_are_in_disguise():
    models = tails.kept_models(privileged.shipped())
    drawn = streams.drawn(models, 40, Generator().manual_seed(0))
    assert sum(has for _, has in drawn) == 20
    assert {streams.drawn(models, 1, Generator().manual_seed(seed))[0][1] for seed in range(8)} == {
        True,
        False,
    }
    lengths = [stream.square().mean().sqrt().item() for stream, _ in drawn]
    assert max(lengths) > 10 * min(lengths)
    assert puzzles.axes(1).stream.shape[-1] == 64


# ---- what holds for all


@every_puzzle
def test_a_puzzle_without_an_answer_is_not_attempted(maker):
    def stub(argument): ...

    def later(argument):
        raise NotImplementedError

    puzzle = maker(0)
    for untouched in ((), (...,), (None,)):
        assert puzzle.check(*untouched).state == NOT_ATTEMPTED
    if maker not in (puzzles.composition, puzzles.stranger):  # whose answers are no functions
        assert puzzle.check(stub).state == puzzle.check(later).state == NOT_ATTEMPTED
    assert repr(puzzle.check()) == "puzzle: not attempted"


@every_puzzle
@pytest.mark.parametrize(
    "junk",
    [5, "words", [], (1, 2, 3), lambda: 0, lambda argument: "words", lambda argument: 1 / 0],
    ids=["number", "words", "nothing", "three", "no argument", "says words", "raises"],
)
def test_no_answer_raises_and_none_of_these_passes(maker, junk):
    verdict = maker(0).check(junk)
    assert verdict.state == FAILED and len(verdict.details) > 20


@every_puzzle
def test_a_question_is_in_lines_that_break_no_word_and_no_code(maker):
    lines = repr(maker(0)).splitlines()
    assert max(map(len, lines)) <= engine.COLUMNS and len(lines) > 1
    for line in lines:
        assert line.count("(") == line.count(")") and line.count("[") == line.count("]"), line


@every_puzzle
def test_on_a_page_the_same_question_breaks_where_the_page_likes_and_code_is_code(maker):
    puzzle = maker(0)
    page = puzzle._repr_html_()
    assert "\n" not in page and "`" not in page + repr(puzzle)
    assert html.unescape(re.sub("<.*?>", "", page)) == " ".join(repr(puzzle).splitlines())
    code = re.findall("<code style=.white-space: nowrap.>(.*?)</code>", page)
    assert any(words.startswith("puzzle.check(") for words in code)


@every_puzzle
def test_one_seed_is_one_puzzle_and_nothing_gives_it_away(maker):
    """The question is the same whatever is hidden, and so is the shape of the model."""
    one, again, *others = (maker(seed) for seed in (0, 0, *range(1, 8)))
    assert repr(one) == repr(again) and all(repr(one) == repr(other) for other in others)
    shown = [name for name in vars(one) if not name.startswith("_")]
    assert set(shown) <= {"model", "known", "stream"}
    if "model" in shown:
        assert torch.equal(one.model.W_E, again.model.W_E)
        assert not torch.equal(one.model.W_E, others[0].model.W_E)
        sizes = [vars(puzzle.model.cfg) | dict(seed=0) for puzzle in (one, *others)]
        assert all(size == sizes[0] for size in sizes)


@pytest.mark.parametrize(
    "maker", [puzzles.composition, puzzles.twist, puzzles.skip_trigram, puzzles.stranger]
)
def test_no_weight_can_be_read_by_eye(maker):
    """No row of the embedding is one token's alone, and no weight but W_pos' own zeros is zero."""
    model = maker(0).model
    assert (model.W_E.abs() > 0.5 * model.W_E.norm(dim=1, keepdim=True)).sum() < 3
    assert all((getattr(model, name) == 0).float().mean() < 0.01 for name in ("W_Q", "W_V", "W_U"))


def test_the_strongest_answer_is_of_the_last_token_whatever_else_is_in_the_batch():
    model, texts = puzzles.twist(0).model, [[3, 5, 3], [4, 4], list(range(1, 13)) + [3]]
    assert engine.strongest(model, texts) == [engine.strongest(model, [text])[0] for text in texts]
    with pytest.raises(ValueError, match="empty"):
        puzzles.twist(0).says([])
