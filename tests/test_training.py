"""A training can be watched, stopped anywhere and resumed bit by bit, and a loss that is no number
stops it."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import Batch, Task
from helpers.training.loop import Diverged, Snapshot, Trainer, TrainingConfig, log_spaced, train
from helpers.training.optimizers import Muon, make_optimizers, orthogonalise
from tests.course import ROOT

RATES = {"AdamW": dict(lr=0.01), "SGD": dict(lr=0.5), "Muon": dict(lr=0.01, muon_lr=0.03)}
OPTIMIZERS = list(RATES)
SHAPE = dict(n_layers=2, n_heads=2, d_model=16, d_head=8, n_ctx=24, d_vocab=24)
BLOCKS = Task("repeated_block", dict(n_ctx=24, d_vocab=24))


def small_trainer(
    optimizer: str = "AdamW", task=BLOCKS, model: dict | None = None, **options
) -> Trainer:
    config = TrainingConfig(
        **(dict(steps=20, batch=4, optimizer=optimizer) | RATES[optimizer] | options)
    )
    return Trainer(AttentionOnlyTransformer(ModelConfig(**(SHAPE | (model or {})))), task, config)


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def same(some: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Equal bit by bit."""
    return some.keys() == others.keys() and all(
        torch.equal(some[name], others[name]) for name in some
    )


def seen_by(trainer: Trainer, steps: int = 3) -> list[Tensor]:
    """The tokens of the next steps."""
    seen, task = [], trainer.task
    trainer.task = lambda batch, generator: (
        drawn := task(batch, generator),
        seen.append(drawn.tokens),
    )[0]
    for _ in range(steps):
        trainer.step()
    return seen


def nothing(model: AttentionOnlyTransformer) -> dict:
    return {}


# ---- steps


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(optimizer):
    trainer = small_trainer(
        optimizer, Task("bigram_chain", dict(n_ctx=24, d_vocab=24)), steps=40, batch=8
    )
    losses = [trainer.step() for _ in range(40)]
    assert losses == trainer.losses and trainer.step_number == 40
    assert losses[0] == pytest.approx(math.log(24), abs=0.2)
    assert sum(losses[-10:]) / 10 < losses[0] - 0.5


@pytest.mark.parametrize("layers", [0, 1])
def test_models_with_fewer_layers_train(layers):
    trainer = small_trainer("Muon", model=dict(n_layers=layers))
    before = weights_of(trainer)
    trainer.step()
    after = weights_of(trainer)
    unused = {"W_pos"} if layers == 0 else set()
    assert {
        name for name in before if torch.equal(before[name], after[name]) and before[name].numel()
    } == unused


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_weight_moves_at_the_first_step(optimizer):
    trainer = small_trainer(optimizer, model=dict(normalization="LN", smeared_keys=True))
    before = weights_of(trainer)
    trainer.step()
    assert [
        name
        for name, weight in trainer.model.named_parameters()
        if torch.equal(before[name], weight)
    ] == []


def test_a_step_takes_the_gradient_of_its_own_batch_alone():
    """On one batch, and with steps too small to move a weight, it is the same again."""

    def again(batch, generator):
        return BLOCKS(batch, torch.Generator().manual_seed(0))

    trainer, gradients = small_trainer(task=again, lr=1e-30), []
    for _ in range(2):
        trainer.step()
        gradients.append(trainer.model.W_U.grad.clone())
    assert torch.equal(*gradients) and gradients[0].any()


def test_the_loss_is_that_of_the_determined_rows_before_the_update():
    trainer = small_trainer()
    batch = BLOCKS(4, torch.Generator().manual_seed(0))
    losses = (
        -trainer.model(batch.tokens).log_softmax(-1).gather(-1, batch.targets[..., None])[..., 0]
    )
    assert trainer.step() == pytest.approx(losses[batch.determined].mean().item(), abs=1e-5)
    assert small_trainer(rows="all").step() == pytest.approx(losses.mean().item(), abs=1e-5)


def scrambled(batch: int, generator: torch.Generator) -> Batch:
    """The same data with other answers on the rows that nothing determines."""
    drawn = BLOCKS(batch, generator)
    return drawn._replace(
        targets=torch.where(drawn.determined, drawn.targets, (drawn.targets + 1) % 24)
    )


@pytest.mark.parametrize(("rows", "blind"), [("determined", True), ("all", False)])
def test_answers_that_nothing_determines_do_not_count(rows, blind):
    plain, other = small_trainer(rows=rows), small_trainer(task=scrambled, rows=rows)
    for trainer in (plain, other):
        for _ in range(3):
            trainer.step()
    assert same(weights_of(plain), weights_of(other)) == blind


def test_the_data_depend_on_the_seed_and_the_step_alone():
    reference = seen_by(small_trainer())
    assert not torch.equal(reference[0], reference[1])
    torch.manual_seed(5)
    for other in (
        small_trainer("SGD", model=dict(seed=3, n_layers=1)),
        small_trainer(lr=0.1, rows="all", steps=50),
    ):
        assert all(map(torch.equal, seen_by(other), reference))
    assert not torch.equal(seen_by(small_trainer(seed=1))[0], reference[0])
    later = small_trainer()
    later.step()
    assert torch.equal(seen_by(later)[0], reference[1])


class Arrived(Exception):
    """Tokens have reached the model."""


class Porter(AttentionOnlyTransformer):
    """A model that only says where its tokens are."""

    def forward(self, tokens: Tensor) -> Tensor:
        raise Arrived(tokens.device.type)


def test_batches_are_drawn_on_the_cpu_and_moved_to_the_model():
    drawn = []

    def task(batch: int, generator: torch.Generator) -> Batch:
        drawn.append(generator.device.type)
        return BLOCKS(batch, generator)

    # a device that is always there, and computes nothing
    model = Porter(ModelConfig(**SHAPE)).to("meta")
    trainer = Trainer(model, task, TrainingConfig(optimizer="SGD"))
    with pytest.raises(Arrived, match="meta"):
        trainer.step()
    assert drawn == ["cpu"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_rates_fall_linearly_to_zero(optimizer):
    trainer = small_trainer(optimizer, steps=5)
    full = [
        RATES[optimizer].get("muon_lr" if isinstance(made, Muon) else "lr")
        for made in trainer.optimizers
    ]
    used = []
    for _ in range(7):
        before = weights_of(trainer)
        trainer.step()
        used.append([group["lr"] for made in trainer.optimizers for group in made.param_groups])
    for share, rates in zip([1, 0.8, 0.6, 0.4, 0.2, 0, 0], used, strict=True):
        assert rates == pytest.approx([share * rate for rate in full])
    assert same(before, weights_of(trainer))  # past the end nothing moves


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_loss_that_is_no_number_stops_the_run_and_names_step_and_rate(optimizer):
    trainer = small_trainer(optimizer, lr=1e6, muon_lr=1e6)
    with pytest.raises(Diverged) as caught:
        while trainer.step_number < 20:
            before = weights_of(trainer)
            trainer.step()
    at = trainer.step_number
    told = str(caught.value)
    assert (
        at >= 1
        and f"at step {at + 1}, learning rate 1000000.0 ({optimizer}, muon_lr 1000000.0)" in told
    )
    assert "smaller" in told
    assert len(trainer.losses) == at and all(map(math.isfinite, trainer.losses))
    after = weights_of(trainer)
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)


def test_weights_that_are_no_numbers_never_make_a_snapshot():
    """The last update of a run has no loss after it to betray it."""
    trainer, taken = small_trainer("SGD", lr=3e38, weight_decay=1.0), []
    with pytest.raises(
        Diverged, match=r"weights are not finite after step 1, learning rate 3e\+38 \(SGD, muon_lr"
    ):
        for snapshot in train(trainer, nothing, [0, 1]):
            taken.append(snapshot.step)
    assert taken == [0] and math.isfinite(trainer.losses[0])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (dict(optimizer="Adam"), "optimizer is 'Adam'; choose 'AdamW', 'SGD' or 'Muon'"),
        (dict(rows="some"), "rows is 'some'; choose 'determined' or 'all'"),
        (dict(steps=0), "steps 0, .* must all be positive"),
        (dict(batch=-1), "batch -1, .* must all be positive"),
        (dict(lr=0.0), "lr 0.0 .* must all be positive"),
        (dict(muon_lr=-0.1), "muon_lr -0.1 must all be positive"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong, told, shapes_unchecked):
    with pytest.raises(ValueError, match=told):
        TrainingConfig(**wrong)


# ---- snapshots


@given(st.integers(1, 10**7), st.integers(1, 100))
def test_the_schedule_runs_from_zero_to_the_last_step(steps, count):
    schedule = log_spaced(steps, count)
    assert schedule == sorted(set(schedule))
    assert (schedule[0], schedule[-1]) == (0, steps)
    assert len(schedule) <= count + 2
    gaps = [after - before for before, after in zip(schedule[1:], schedule[2:], strict=False)]
    # but for rounding
    assert all(wider >= gap - 1 for gap, wider in zip(gaps, gaps[1:], strict=False))


def test_the_schedule_has_even_ratios():
    assert log_spaced(10**6, 7) == [0, 1, 10, 100, 1000, 10**4, 10**5, 10**6]
    assert log_spaced(5, 50) == [0, 1, 2, 3, 4, 5]


def test_snapshots_come_at_the_steps_of_the_schedule_and_no_others():
    trainer = small_trainer()
    steps = []
    for snapshot in train(trainer, nothing, [0, 3, 4, 11, 20]):
        steps.append(snapshot.step)
        assert trainer.step_number == snapshot.step == len(trainer.losses)
    assert steps == [0, 3, 4, 11, 20]
    assert [snapshot.step for snapshot in train(small_trainer(), nothing, (7, 2, 7))] == [2, 7]
    assert [snapshot.step for snapshot in train(small_trainer(), nothing)] == log_spaced(20)


def test_a_snapshot_holds_the_mean_loss_since_the_last_the_scores_and_the_weights_of_its_step():
    trainer = small_trainer()
    snapshots = list(train(trainer, lambda model: {"norm": model.W_U.norm().item()}, [0, 3, 10]))
    assert isinstance(snapshots[0], Snapshot) and snapshots[0].loss is None
    assert [snapshot.loss for snapshot in snapshots[1:]] == pytest.approx(
        [sum(trainer.losses[:3]) / 3, sum(trainer.losses[3:]) / 7]
    )
    for snapshot in snapshots:
        assert snapshot.scores == {"norm": snapshot.weights["W_U"].norm().item()}
        assert not any(weight.requires_grad for weight in snapshot.weights.values())
    untrained = AttentionOnlyTransformer(ModelConfig(**SHAPE))
    assert same(snapshots[0].weights, dict(untrained.named_parameters()))
    assert same(snapshots[-1].weights, weights_of(trainer))
    assert not torch.equal(snapshots[1].weights["W_Q"], snapshots[2].weights["W_Q"])


@pytest.mark.parametrize("stop", [2, 3, 5, 11])
def test_a_run_stopped_at_any_step_goes_on_as_if_it_had_not(stop):
    schedule = [0, 3, 4, 11, 15]
    whole = list(train(small_trainer("Muon"), nothing, schedule))
    trainer = small_trainer("Muon")
    parts = list(train(trainer, nothing, [step for step in schedule if step <= stop]))
    while trainer.step_number < stop:
        trainer.step()
    parts += train(trainer, nothing, schedule)
    assert [snapshot.step for snapshot in parts] == schedule
    for part, expected in zip(parts, whole, strict=True):
        assert same(part.weights, expected.weights)
        assert part.loss == expected.loss or part.step == 0


def test_a_trainer_that_was_stepped_by_hand_shows_where_it_stands():
    """Whoever stepped it has no snapshot yet; `train` itself gives none twice."""
    trainer = small_trainer()
    trainer.step(), trainer.step()
    first = next(iter(train(trainer, nothing, [0, 2, 4])))
    assert first.step == 2 and same(first.weights, weights_of(trainer))
    assert first.loss == sum(trainer.losses) / 2
    assert [snapshot.step for snapshot in train(trainer, nothing, [0, 2, 4])] == [4]
    again = small_trainer()
    again.restore(trainer.checkpoint())
    assert [snapshot.step for snapshot in train(again, nothing, [0, 2, 4])] == [4]
    untrained = small_trainer()
    assert next(train(untrained, nothing, [0, 1])).step == 0
    assert [snapshot.step for snapshot in train(untrained, nothing, [0, 1])] == [1]


def test_steps_by_hand_between_two_snapshots_skip_what_they_pass():
    trainer, seen = small_trainer(), []
    for snapshot in train(trainer, nothing, [0, 1, 3]):
        seen.append(snapshot.step)
        assert same(snapshot.weights, weights_of(trainer)) and trainer.step_number == snapshot.step
        if snapshot.step == 0:
            trainer.step(), trainer.step()
    assert seen == [0, 3]


def test_a_run_stopped_between_snapshots_reports_the_whole_interval():
    """Stepped to 2 by hand, then to 5 through `train`: the loss is the mean of all five."""
    trainer = small_trainer()
    trainer.step(), trainer.step()
    (snapshot,) = train(trainer, nothing, [5])
    assert snapshot.loss == pytest.approx(sum(trainer.losses) / 5)


# ---- checkpoints


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_restored_trainer_goes_on_bit_by_bit(optimizer, at):
    trainer = small_trainer(optimizer)
    for _ in range(at):
        trainer.step()
    checkpoint = trainer.checkpoint()
    restored = small_trainer(optimizer, model=dict(seed=9))
    restored.restore(checkpoint)
    assert (restored.step_number, restored.losses) == (at, trainer.losses)
    for _ in range(6):
        trainer.step(), restored.step()
    assert same(weights_of(trainer), weights_of(restored)) and trainer.losses == restored.losses
    assert same(trainer.checkpoint(), restored.checkpoint())


def test_a_checkpoint_stays_as_it_was_taken():
    trainer = small_trainer("Muon")
    trainer.step()
    checkpoint = trainer.checkpoint()
    copy = {name: tensor.clone() for name, tensor in checkpoint.items()}
    restored = small_trainer("Muon")
    restored.restore(checkpoint)
    trainer.step(), restored.step()
    assert same(checkpoint, copy)


@pytest.mark.parametrize("of", OPTIMIZERS)
@pytest.mark.parametrize("into", OPTIMIZERS)
def test_a_checkpoint_of_another_optimizer_is_refused_and_changes_nothing(of, into):
    trainer, other = small_trainer(of), small_trainer(into, model=dict(seed=1))
    trainer.step()
    before = weights_of(other)
    if of == into:
        other.restore(trainer.checkpoint())
        return
    with pytest.raises(
        ValueError, match=f"another optimiser than {into}; use the run's own config"
    ):
        other.restore(trainer.checkpoint())
    assert same(before, weights_of(other)) and other.step_number == 0


def test_muon_without_heads_is_adamw_and_restores_as_such():
    trainer, other = (
        small_trainer(optimizer, model=dict(n_layers=0)) for optimizer in ("Muon", "AdamW")
    )
    trainer.step()
    other.restore(trainer.checkpoint())
    assert other.step_number == 1


@pytest.mark.parametrize(
    "other", [dict(d_model=8), dict(n_layers=1), dict(normalization="RMS"), dict(d_vocab=25)]
)
def test_a_checkpoint_of_another_shape_is_refused_and_changes_nothing(other):
    trainer = small_trainer(model=other)
    before = weights_of(trainer)
    with pytest.raises(
        ValueError, match="the checkpoint holds .*W_Q.* expects .*W_Q.*; build the model from the"
    ):
        trainer.restore(small_trainer().checkpoint())
    assert same(before, weights_of(trainer))


# ---- optimisers


def names_in(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    names = {id(weight): name for name, weight in model.named_parameters()}
    return sorted(
        names[id(weight)] for group in optimizer.param_groups for weight in group["params"]
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_weight_has_exactly_one_optimizer(optimizer):
    model = AttentionOnlyTransformer(ModelConfig(**SHAPE, normalization="LN", smeared_keys=True))
    made = make_optimizers(model, optimizer, lr=0.1, muon_lr=0.2, weight_decay=0.3)
    groups = [names_in(model, one) for one in made]
    assert sorted(sum(groups, [])) == sorted(dict(model.named_parameters()))
    if optimizer == "Muon":
        assert groups[1] == ["W_K", "W_O", "W_Q", "W_V"] and isinstance(made[1], Muon)
    rates = [
        (group["lr"], group["initial_lr"], group["weight_decay"])
        for one in made
        for group in one.param_groups
    ]
    assert rates == [(0.1, 0.1, 0.3), (0.2, 0.2, 0.3)][: len(made)]


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="optimizer is 'Lion'; choose 'AdamW', 'SGD' or 'Muon'"):
        make_optimizers(AttentionOnlyTransformer(ModelConfig(**SHAPE)), "Lion", 0.1, 0.1)


@pytest.mark.parametrize("shape", [(64, 16), (16, 64), (32, 32), (2, 4, 64, 16), (3, 2, 5)])
def test_orthogonalising_keeps_the_directions_and_brings_the_singular_values_near_one(shape):
    matrix = torch.randn(shape)
    U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)
    # a direction that is hardly there need not be brought up
    S = S.clamp_min(0.1 * S.amax(-1, keepdim=True))
    matrix = U * S[..., None, :] @ Vh
    result = orthogonalise(matrix)
    assert result.shape == matrix.shape
    inside = U.mT @ result @ Vh.mT
    values = inside.diagonal(dim1=-2, dim2=-1)
    assert 0.6 < values.min() and values.max() < 1.3
    assert (inside - torch.diag_embed(values)).abs().max() < 1e-4
    assert torch.allclose(orthogonalise(1000 * matrix), result, atol=1e-3)


def test_each_matrix_of_a_stack_is_orthogonalised_by_itself():
    stack = torch.randn(2, 3, 16, 8) * torch.tensor([1.0, 100, 0.01])[:, None, None]
    together = orthogonalise(stack)
    for layer in range(2):
        for head in range(3):
            assert torch.allclose(
                together[layer, head], orthogonalise(stack[layer, head]), atol=1e-5
            )


def test_no_gradient_gives_no_update():
    assert torch.equal(orthogonalise(torch.zeros(2, 8, 4)), torch.zeros(2, 8, 4))


@pytest.mark.parametrize(("shape", "size"), [((1, 2, 64, 16), 2.0), ((1, 2, 16, 64), 1.0)])
def test_a_step_of_muon_has_the_size_of_its_rate_in_every_direction(shape, size):
    """Twice that for a matrix four times as tall as wide; and weights decay by rate times decay."""
    weight = nn.Parameter(torch.randn(shape))
    before = weight.detach().clone()
    optimizer = Muon([weight], lr=0.01, weight_decay=0.5)
    weight.grad = 1e-6 * torch.randn(shape)
    optimizer.step()
    step = (before * (1 - 0.01 * 0.5) - weight.detach()) / (0.01 * size)
    values = torch.linalg.svdvals(step)
    assert 0.6 < values.min() and values.max() < 1.3
    assert (step * weight.grad).sum() > 0  # downhill


def test_muon_remembers_the_gradients_before():
    """After steps in one direction, a gradient of nothing still goes on in it."""
    weight = nn.Parameter(torch.zeros(1, 1, 8, 8))
    optimizer = Muon([weight], lr=1.0)
    weight.grad = torch.eye(8)[None, None]
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = torch.zeros(1, 1, 8, 8)
    optimizer.step()
    assert (weight.detach() - before).diagonal(dim1=-2, dim2=-1).max() < -0.6


@pytest.mark.parametrize("optimizer", ["AdamW", "SGD", "Muon"])
def test_no_step_loads_torchs_compiler(optimizer):
    """It takes over a second to load, in every fresh process, and nothing here is compiled."""
    program = (
        "import sys; from dataclasses import replace; from helpers.training.recipes import "
        "RECIPES; base = RECIPES['one_layer'];replace(base, training=replace(base.training, "
        f"optimizer='{optimizer}')).trainer().step();sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
