"""The puzzle of notebook 03: two models say the same, and inside something was changed. What?

The answer is a function that makes the same change to any model of these sizes. It is tried on
models drawn anew, activation by activation.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor

from helpers.checks.puzzles.engine import Puzzle, said
from helpers.instruments import basis
from helpers.model import AttentionOnlyTransformer, Head, ModelConfig

SIZES = dict(n_layers=2, n_heads=3, d_model=24, d_head=6)
Change = Callable[[AttentionOnlyTransformer], AttentionOnlyTransformer]


def _fresh(seed: int, n_ctx: int = 20, d_vocab: int = 40) -> AttentionOnlyTransformer:
    config = ModelConfig(**SIZES, n_ctx=n_ctx, d_vocab=d_vocab, seed=seed)
    return AttentionOnlyTransformer(config).double().requires_grad_(False)


# ---- the changes, and what one may take them for


def turned(R: Tensor) -> Change:
    return lambda model: basis.rotate(model, R)


def stretched(G: Tensor) -> Change:
    return lambda model: basis.general_linear(model, G)


def queries(at: Head, A: Tensor) -> Change:
    return lambda model: basis.change_head_gauge(model, *at, qk=A)


def values(at: Head, B: Tensor) -> Change:
    return lambda model: basis.change_head_gauge(model, *at, vo=B)


def exchanged(layer: int, one: int, other: int) -> Change:
    """Two heads of a layer have changed places."""

    def change(model: AttentionOnlyTransformer) -> AttentionOnlyTransformer:
        order = list(range(model.cfg.n_heads))
        order[one], order[other] = other, one
        changed = AttentionOnlyTransformer(model.cfg).to(model.W_E).requires_grad_(False)
        changed.load_state_dict(model.state_dict())
        for name in ("W_Q", "W_K", "W_V", "W_O"):
            getattr(changed, name)[layer] = getattr(model, name)[layer, order]
        return changed

    return change


def drawn(seed: int) -> tuple[str, Change, dict[str, Change], Generator]:
    """Which change this seed hides, in a word and as a function, and what one may take it for; for
    whoever leads a group."""
    generator = Generator().manual_seed(seed)
    kind = int(torch.randint(5, (), generator=generator))
    layer = int(torch.randint(SIZES["n_layers"], (), generator=generator))
    head, another = torch.randperm(SIZES["n_heads"], generator=generator)[:2].tolist()
    wide = basis.random_rotation(SIZES["d_model"], generator)
    stretch = 2 ** torch.randn(SIZES["d_model"], generator=generator).double()
    G = wide * stretch
    A = torch.randn(SIZES["d_head"], SIZES["d_head"], generator=generator).double()
    at, beside = (layer, head), (layer, another)
    transposed = "you have the matrix transposed, or its inverse"
    elsewhere = "the right change, in another head"
    name, change, wrong = [
        ("turned", turned(wide), {transposed: turned(wide.T)}),
        (
            "stretched",
            stretched(G),
            {
                transposed: stretched(torch.linalg.inv(G)),
                "the stream was stretched too, not only turned": turned(wide),
            },
        ),
        (
            f"queries and keys of {at}",
            queries(at, A),
            {
                transposed: queries(at, torch.linalg.inv(A)),
                "queries and keys were changed, not values": values(at, A),
                elsewhere: queries(beside, A),
            },
        ),
        (
            f"values of {at}",
            values(at, A),
            {
                transposed: values(at, torch.linalg.inv(A)),
                "values were changed, not queries and keys": queries(at, A),
                elsewhere: values(beside, A),
            },
        ),
        (
            f"heads {head} and {another} of layer {layer} exchanged",
            exchanged(layer, head, another),
            {"two heads changed places, in the other layer": exchanged(1 - layer, head, another)},
        ),
    ][kind]
    return name, change, wrong, generator


# ---- the judge


def _inside(model: AttentionOnlyTransformer, tokens: Tensor) -> dict[str, Tensor]:
    logits, cache = model.run_with_cache(tokens)
    return dict(cache) | dict(logits=logits)


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> list[str]:
    """The activations by name in which two models differ."""
    return [
        name
        for name, value in one.items()
        if not torch.allclose(value, other[name].to(value), rtol=1e-4, atol=1e-4)
    ]


def _complaint(
    answer: Change, right: Change, wrong: Mapping[str, Change], generator: Generator
) -> str | None:
    sizes = torch.randint(8, 30, (4,), generator=generator).tolist()
    model = _fresh(sizes[0], n_ctx=sizes[1], d_vocab=sizes[2] + sizes[3])
    tokens = torch.randint(model.cfg.d_vocab, (2, sizes[1]), generator=generator)
    given = said(answer, _fresh(sizes[0], n_ctx=sizes[1], d_vocab=sizes[2] + sizes[3]))
    if not isinstance(given, AttentionOnlyTransformer) or given.cfg != model.cfg:
        return f"It gave a {type(given).__name__}; expected a model of the sizes it was given."
    found = _inside(given, tokens)
    names = differing(_inside(right(model), tokens), found)
    if not names:
        return None
    wrong = {"the model came back as it was": lambda model: model} | dict(wrong)
    likely = next(
        (
            why
            for why, other in wrong.items()
            if not differing(_inside(other(model), tokens), found)
        ),
        None,
    )
    return (
        f"On another model {len(names)} activations come out otherwise, the first of them "
        f"{names[0]}." + (f" Most likely: {likely}." if likely else "")
    )


def change(seed: int) -> Puzzle:
    """Notebook 03's puzzle: what was done to a model that you know?"""
    _, right, wrong, generator = drawn(seed)
    known = _fresh(int(torch.randint(10**6, (), generator=generator)))
    return Puzzle(
        "`puzzle.known` and `puzzle.model` give the same logits, and one of them was made from the "
        "other by one change. Which? Write a function that makes the same change to any model of "
        "these sizes and gives the new model, and check it: `puzzle.check(your_function)`. "
        "`helpers.instruments.basis` has all but one of the tools.",
        lambda answer, generator: _complaint(answer, right, wrong, generator),
        known=known,
        model=right(known),
    )
