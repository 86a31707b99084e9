"""The model of the browser's trainer against torch's, weights and batches given: logits, loss and
every gradient, over random shapes. Torch computes in double precision, so that what differs is the
browser's rounding alone."""

import hashlib
from copy import deepcopy

import pytest

from helpers.explorables import HERE
from helpers.sequences import cross_entropy
from tests.browser.trainer import SEEDS, asked, batches, farthest_share, moved, told, told_batch

pytestmark = pytest.mark.browser


CASES = [(seed, "all") for seed in SEEDS]
CASES += [(seed, kernel) for kernel in ("simd", "plain") for seed in SEEDS[::3]]


@pytest.mark.parametrize(("seed", "kernel"), CASES)
def test_logits_loss_and_gradients_are_torchs(ask, seed, kernel):
    """Some rows that the task determines go unmarked, and with several sequences a whole one."""
    model = deepcopy(moved(seed))
    [batch] = batches(model.cfg, 1 + seed % 5, 1)
    batch.determined[-1, -3] = False
    if len(batch.tokens) > 1:
        batch.determined[0] = False
    found = asked(ask, "gradients", dict(**told(model), batch=told_batch(batch), kernel=kernel))
    assert found["isSimd"] == (kernel != "plain")
    model.double()
    logits = model(batch.tokens)
    loss = cross_entropy(logits, batch.targets, batch.determined)
    loss.backward()
    assert farthest_share(found["logits"], logits.detach()) < 1e-6
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-6)
    for name, weight in model.named_parameters():
        assert farthest_share(found["gradients"][name], weight.grad) < 1e-5, name


def test_the_kernel_is_made_of_its_source(ask):
    """By the mark that is left when it is compiled; compiling itself takes a tool that the course
    does without."""
    source = (HERE / "discovery" / "trainer" / "kernel.wat").read_bytes()
    made_of = ask("discovery/trainer/kernel", "({ KERNEL_SOURCE }) => KERNEL_SOURCE")
    assert made_of == hashlib.sha256(source).hexdigest()


@pytest.mark.parametrize(("kernel", "rest"), [("all", 2**-24), ("simd", 0)])
def test_what_is_multiplied_and_added_at_once_is_rounded_once(ask, kernel, rest):
    """1 + 2^-12 squared, less its first two terms: the last one is lost where the square is rounded
    before it is added."""
    product = (
        "({ Arithmetic }, kernel) => { const arithmetic = new Arithmetic(kernel);"
        " const [A, B, C] = [[4, 2], [2, 8], [4, 8]].map((shape) => arithmetic.matrix(...shape));"
        " A.values.set([1, 1 + 2 ** -12]); B.values.fill(-1 - 2 ** -11, 0, 8);"
        " B.values.fill(1 + 2 ** -12, 8); arithmetic.product(C, A, B); return [...C.values]; }"
    )
    assert ask("discovery/trainer/matrix", product, kernel) == [rest] * 8 + [0] * 24
