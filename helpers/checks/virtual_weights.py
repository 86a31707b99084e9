"""The exercises of notebook 02: how layers that never touch talk."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from helpers import handmade
from helpers.checks import Exercise, different
from helpers.instruments import heads, paths
from helpers.instruments.interventions import frozen_patterns
from helpers.model import AttentionOnlyTransformer, ModelConfig
from helpers.sequences import repeated_block

# ---- the virtual weight of a pair


def virtual_weight(W_O, W_read):
    return W_O @ W_read


def a_pair(generator: Generator) -> dict[str, Tensor]:
    d_head, d_model = different(generator, 2)
    draw = torch.randn(2, d_head, d_model, generator=generator)
    return dict(W_O=draw[0], W_read=draw[1].T)


# one unit said at a time
virtual_weight = Exercise(
    solution=virtual_weight,
    draw=a_pair,
    oracle=lambda W_O, W_read: torch.stack([(said[:, None] * W_read).sum(0) for said in W_O]),
    mistakes={
        "this is the paper's matrix, for columns: with rows it is the transpose of "
        "yours": lambda W_O, W_read: (W_O @ W_read).T,
        "the reader stands before the writer: with rows, what happens first stands on the "
        "left": lambda W_O, W_read: W_read @ W_O,
        "you transposed both factors and turned the order round with them": lambda W_O, W_read: (
            W_O.T @ W_read.T
        ),
        "you divided by the root of d_head, which belongs to scores and not to "
        "weights": lambda W_O, W_read: W_O @ W_read / len(W_O) ** 0.5,
        "you divided by the norms: that is how strong the weight is, not the "
        "weight": lambda W_O, W_read: W_O @ W_read / (W_O.norm() * W_read.norm()),
    },
    hints=(
        "What the writer says is a row z of d_head numbers. Follow it: what does it add to the "
        "stream, and what does the reader make of that?",
        "z goes through W_O first and then through W_read. With rows the first matrix stands on "
        "the left.",
        "z @ W_O @ W_read is (z @ M). Return M, of shape [d_head, d_head].",
    ),
)


# ---- a composition score


def composition_score(W_OV, W_QK):
    product = W_OV @ W_QK.T
    return (product.norm() / (W_OV.norm() * W_QK.norm())).item()


def two_circuits(generator: Generator) -> dict[str, Tensor]:
    d_head, d_model = sorted(different(generator, 2))
    W = torch.randn(4, d_model, d_head, generator=generator)
    return dict(W_OV=W[0] @ W[1].T, W_QK=W[2] @ W[3].T)


def by_the_paper(W_OV: Tensor, W_QK: Tensor) -> float:
    """In the paper's columns, entry by entry."""
    OV, QK = W_OV.T.tolist(), W_QK.tolist()
    size = range(len(QK))
    product = [sum(QK[i][k] * OV[k][j] for k in size) for i in size for j in size]
    squares = [sum(x * x for x in entries) for entries in (product, sum(OV, []), sum(QK, []))]
    return (squares[0] / (squares[1] * squares[2])) ** 0.5


composition_score = Exercise(
    solution=composition_score,
    draw=two_circuits,
    oracle=by_the_paper,
    mistakes={
        "this is Q-composition: W_QK as it stands joins the earlier head to the query, its "
        "transpose to the key": lambda W_OV, W_QK: (
            (W_OV @ W_QK).norm() / (W_OV.norm() * W_QK.norm())
        ),
        "this is the paper's product W_QK W_OV, and W_OV there is the transpose of "
        "yours": lambda W_OV, W_QK: (W_QK @ W_OV).norm() / (W_OV.norm() * W_QK.norm()),
        "this is the paper's product for Q, W_QK transposed times W_OV: for K it takes W_QK "
        "itself, and W_OV there is yours transposed": lambda W_OV, W_QK: (
            (W_QK.T @ W_OV).norm() / (W_OV.norm() * W_QK.norm())
        ),
        "the normalisation is missing: divide by the norms of both factors": lambda W_OV, W_QK: (
            W_OV @ W_QK.T
        ).norm(),
        "this is the square of the score: take the root": lambda W_OV, W_QK: (
            ((W_OV @ W_QK.T).norm() / (W_OV.norm() * W_QK.norm())) ** 2
        ),
        "you took the largest singular value for the norm; the score is made of Frobenius "
        "norms": lambda W_OV, W_QK: (
            torch.linalg.matrix_norm(W_OV @ W_QK.T, 2)
            / (torch.linalg.matrix_norm(W_OV, 2) * torch.linalg.matrix_norm(W_QK, 2))
        ),
        "you subtracted the random baseline, which was not asked for": lambda W_OV, W_QK: (
            (W_OV @ W_QK.T).norm() / (W_OV.norm() * W_QK.norm()) - len(W_QK) ** -0.5
        ),
    },
    hints=(
        "A score of two positions is x_query @ W_QK @ x_key. Put what the earlier head moved, x @ "
        "W_OV, in the place of x_key.",
        "The key side of W_QK is the right one. In (x @ W_OV) @ M, what must M be so that the key "
        "side comes first?",
        "The norm of W_OV @ W_QK.T, over the product of the two norms. `tensor.norm()` is the "
        "Frobenius norm.",
    ),
)


# ---- induction by hand


def write_induction(model, at):
    eye = torch.eye(model.cfg.d_vocab)
    with torch.no_grad():
        model.W_V[0, 0, at.token] = eye  # the first head moves the token before ...
        model.W_O[0, 0, :, at.previous] = eye  # ... into the block `previous`
        model.W_Q[1, 0, at.token] = 100 * eye  # the second compares its token ...
        model.W_K[1, 0, at.previous] = eye  # ... with the token before each key
        model.W_V[1, 0, at.token] = eye  # and moves the token that stands there
        model.W_O[1, 0, :, at.prediction] = eye
        model.W_U[at.prediction] = 100 * eye
    return model


def a_blank(generator: Generator) -> dict:
    # so large that d_head is d_vocab
    d_vocab, n_ctx = (
        16 + different(generator, 1)[0],
        30 + different(generator, 1)[0],
    )
    model, at = handmade.blank_induction(d_vocab, n_ctx)
    return dict(model=model, at=at)


SWAPPED = (
    "query and key of the second head are exchanged: it looks for the token before the present one"
)
SELF = (
    "the second head's query and key read the same block: it finds copies of the present "
    "token, not what came after them"
)
PREVIOUS_COPIED = (
    "the second head copies `previous`: at the right place it finds the present token again"
)
TOO_FLAT = (
    "the second head looks at the right place, but its scores are too small to win the softmax"
)
UNLOOKED = "the second head's W_Q or W_K is still zero, so it attends to everything alike"
UNMOVED = "the first head moves nothing into `previous`, so the second has nothing to look for"
MISREAD = (
    "W_U reads another block than `prediction`: the logits tell what stands there, not what "
    "the second head found"
)
UNSAID = (
    "the attention is right and nothing of it reaches the logits: look at W_O of the second "
    "head and at W_U"
)


def judge_induction(answer, model, at) -> str | None:
    """By behaviour: right continuations of repeated blocks, or what the second head does
    instead."""
    if not isinstance(answer, AttentionOnlyTransformer):
        return f"It returned a {type(answer).__name__}; return the model."
    cfg = answer.cfg
    batch = repeated_block(
        16, cfg.n_ctx, cfg.d_vocab, Generator().manual_seed(0), periods=[6, 8, 11]
    )
    with torch.no_grad():
        logits, cache = answer.run_with_cache(batch.tokens)
    right = (logits.argmax(-1) == batch.targets)[batch.determined].float().mean().item()
    if right > 0.99:
        return None
    pattern, targets = cache["pattern", 1][:, 0], heads.induction_targets(batch.tokens)
    rows = batch.determined
    copies = batch.tokens[:, :, None] == batch.tokens[:, None, :]
    before = copies.roll(1, 1).tril()
    on = {
        name: (pattern * where).sum(-1)[rows].mean().item()
        for name, where in (("copies", copies), ("before", before))
    }
    at_best = targets.gather(2, pattern.argmax(-1, keepdim=True))[rows].float().mean().item()
    prefix = heads.prefix_matching(pattern[:, None], batch.tokens).item()
    again = (logits.argmax(-1) == batch.tokens)[rows].float().mean().item()
    elsewhere = answer.W_U.clone().index_fill(0, torch.arange(cfg.d_model)[at.prediction], 0)
    for said, found in (
        (UNMOVED, not cache["result", 0][..., at.previous].any()),
        (UNLOOKED, not cache["attn_scores", 1].nan_to_num(neginf=0).any()),
        (SELF, on["copies"] > 0.9),
        (SWAPPED, on["before"] > 0.9),
        (UNSAID, prefix > 0.9 and not logits.any()),
        (MISREAD, prefix > 0.9 and elsewhere.any()),
        (PREVIOUS_COPIED, prefix > 0.9 and again > 0.9),
        (TOO_FLAT, at_best > 0.9 and prefix < 0.9),
    ):
        if found:
            return said
    return (
        f"On repeated random tokens {right:.0%} of the answers are right; prefix matching of the "
        f"second head is {prefix:.2f}, 1 would be perfect."
    )


def with_change(**blocks):
    """The solution, but for the named matrices of the second head: which block each reads, and how
    strongly."""

    def wrong(model, at):
        model = write_induction.solution(model, at)
        for name, (block, strength) in blocks.items():
            weight = getattr(model, name)[1, 0]
            weight.zero_()
            weight[getattr(at, block)] = strength * torch.eye(model.cfg.d_vocab)
        return model

    return wrong


def without(name, layer):
    """The solution, but for one matrix that is still zero."""

    def wrong(model, at):
        model = write_induction.solution(model, at)
        getattr(model, name)[layer].zero_()
        return model

    return wrong


def misread(model, at):
    model = write_induction.solution(model, at)
    model.W_U[at.token], model.W_U[at.prediction] = model.W_U[at.prediction].clone(), 0
    return model


write_induction = Exercise(
    solution=write_induction,
    draw=a_blank,
    judge=judge_induction,
    mistakes={
        SWAPPED: with_change(W_Q=("previous", 100), W_K=("token", 1)),
        SELF: with_change(W_K=("token", 1)),
        PREVIOUS_COPIED: with_change(W_V=("previous", 1)),
        TOO_FLAT: with_change(W_Q=("token", 1)),
        UNLOOKED: without("W_Q", 1),
        UNMOVED: without("W_O", 0),
        MISREAD: misread,
        UNSAID: without("W_O", 1),
    },
    hints=(
        "Every matrix here joins one block to another. Write down, for each, which block it reads "
        "and which it writes, before any code.",
        "First head: `token` to `previous`. Second head: query `token`, key `previous`, value "
        "`token`, output `prediction`.",
        "An identity does each of them, such as model.W_V[0, 0, at.token] = torch.eye(V). Make W_Q "
        "large, so that the softmax is sharp, and W_U too.",
    ),
    draws=3,
)


# ---- term importance


class FrozenRun:
    """`run(added)`: one pass with the patterns frozen. Each head adds to the stream what stands for
    it in `added`, nothing if that is None. Gives back the loss (nats) and what the heads
    recorded."""

    def __init__(self, model: AttentionOnlyTransformer, tokens: Tensor, targets: Tensor):
        self.model, self.tokens, self.targets = model, tokens, targets
        self.frozen = frozen_patterns(model, tokens)

    def __call__(self, added=None):
        recorded = {}

        def swap(result, hook):
            recorded[hook.name] = result.clone()
            return torch.zeros_like(result) if added is None else added[hook.name]

        logits = self.model.run_with_hooks(
            self.tokens, [*self.frozen, (lambda name: name.endswith("hook_result"), swap)]
        )
        return self.loss(logits), recorded

    def loss(self, logits: Tensor) -> float:
        return F.cross_entropy(logits.flatten(0, 1), self.targets.flatten()).item()

    def __deepcopy__(self, memo):
        return self


def order_losses(run, n_layers):
    losses, recorded = [], None
    for _ in range(n_layers + 1):
        loss, recorded = run(recorded)
        losses.append(loss)
    return losses


def a_run(generator: Generator) -> dict:
    n_ctx, d_vocab, d_model, d_head = different(generator, 4, low=5)
    n_layers, seed = (
        torch.randint(2, 4, (1,), generator=generator).item(),
        torch.randint(999, (1,), generator=generator).item(),
    )
    shape = dict(
        n_layers=n_layers,
        n_heads=2,
        n_ctx=n_ctx,
        d_vocab=d_vocab,
        d_model=d_model,
        d_head=d_head,
        seed=seed,
    )
    model = AttentionOnlyTransformer(
        ModelConfig(**shape, init_embed=1.0, init_weights=1.5)
    ).requires_grad_(False)
    tokens, targets = torch.randint(d_vocab, (2, 3, n_ctx), generator=generator)
    return dict(run=FrozenRun(model, tokens, targets), n_layers=n_layers)


def path_by_path(run: FrozenRun, n_layers: int) -> Tensor:
    """From the paths themselves: those through at most so many heads, summed."""
    terms = paths.path_expansion(run.model, run.tokens)
    up_to = [
        sum(term for name, term in terms.items() if paths.path_order(name) <= order)
        for order in range(n_layers + 1)
    ]
    return torch.tensor([run.loss(logits) for logits in up_to])


def all_recordings(run, n_layers):
    losses, recorded = [], None
    for _ in range(n_layers + 1):
        loss, fresh = run(recorded)
        losses.append(loss)
        recorded = (
            fresh if recorded is None else {name: recorded[name] + fresh[name] for name in fresh}
        )
    return losses


def first_recording_for_ever(run, n_layers):
    loss, recorded = run(None)
    return [loss] + [run(recorded)[0] for _ in range(n_layers)]


order_losses = Exercise(
    solution=order_losses,
    draw=a_run,
    oracle=path_by_path,
    mistakes={
        "one pass is missing: orders 0 to L are L + 1 numbers": lambda run, n_layers: (
            order_losses.solution(run, n_layers - 1)
        ),
        "one pass too many: order L is already the true loss": lambda run, n_layers: (
            order_losses.solution(run, n_layers + 1)
        ),
        "you add nothing in every pass: hand over what the pass before "
        "recorded": lambda run, n_layers: [run(None)[0]] * (n_layers + 1),
        "you recorded once and kept it: each pass must add what the pass right before it "
        "recorded": first_recording_for_ever,
        "you added all recordings up: the last one alone already holds what the earlier passes "
        "said": all_recordings,
        "the direct path is missing: order 0 is the loss of the pass that adds "
        "nothing": lambda run, n_layers: order_losses.solution(run, n_layers + 1)[1:],
        "these are the drops from one order to the next; the losses were asked "
        "for": lambda run, n_layers: [
            a - b
            for a, b in zip(
                order_losses.solution(run, n_layers + 1),
                order_losses.solution(run, n_layers + 1)[1:],
                strict=False,
            )
        ],
    },
    hints=(
        "Which paths reach the logits when every head adds nothing? And when it adds what it said "
        "while nothing was added?",
        "Each pass gives you a loss and a recording. The recording is what the next pass adds.",
        "Start with recorded = None. Then, n_layers + 1 times: loss, recorded = run(recorded), and "
        "keep the loss.",
    ),
)
