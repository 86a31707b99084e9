"""Pictures of a training, and of what is compared after it."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.figure import Figure
from PIL import Image  # a dependency of matplotlib
from PIL.PngImagePlugin import PngInfo

from helpers.plotting.attention import draw_pattern
from helpers.plotting.core import (
    COLOUR,
    DPI,
    FAINT,
    INK,
    NAME,
    QUIET,
    Picture,
    array,
    chance_line,
    figure,
    hatched,
    styled,
    two_digits,
)
from helpers.plotting.palette import few

COLOURS_OF_A_MOVIE = 24  # the same in all its frames, and few, so that it is small


@styled
def training_story(
    history: Sequence[Mapping[str, Any]],
    losses: Sequence[float],
    chance_loss: float,
    chance: Mapping[str, float],
    birth: int | None,
    title: str = "",
    guesses: Mapping[str, float] | None = None,
    controls: Mapping[str, tuple[Sequence[int], Any]] | None = None,
) -> Picture:
    """The loss, and below it every head's prefix matching and previous-token score, over the steps
    of a training.

    `history`: one entry a snapshot with "step", "prefix_matching" and "previous_token" (both
    [layer][head]). `birth`: the step to mark (`heads.birth`), if there was one. `guesses`: what
    better guesses cost than `chance_loss` (nats). `controls`: the steps and losses (nats) of other
    trainings.
    """
    guesses, controls = guesses or {}, controls or {}
    fig = figure(height=5)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=[1, 1.15])
    above.plot(
        np.arange(1, len(losses) + 1), losses, color=COLOUR["loss"], lw=1.1, label="this training"
    )
    for name, (at, other) in controls.items():
        above.plot(_from_step_0(at), other, color=COLOUR["control"], ls=(0, (4, 1.5)), label=name)
    for name, level in {"guessing": chance_loss, **guesses}.items():
        chance_line(above, level, f"{name}: {level:.2f}")
    if controls:
        above.legend(loc="lower left")
    theirs = [array(other).max() for _, other in controls.values()]
    highest = max(chance_loss, *losses, *guesses.values(), *theirs)
    above.set(ylabel="loss (nats)", ylim=(0, 1.12 * highest))
    steps = _from_step_0([entry["step"] for entry in history])
    for name, dash in (("previous_token", (0, (4, 1.5))), ("prefix_matching", "solid")):
        curves = np.array([np.ravel(np.array(entry[name], dtype=float)) for entry in history])
        for number, curve in enumerate(curves.T):
            below.plot(
                steps,
                curve,
                color=COLOUR[name],
                ls=dash,
                lw=1.6,
                alpha=0.9,
                label=NAME[name] if number == 0 else None,
            )
        chance_line(below, chance[name], "chance" if name == "prefix_matching" else None)
    below.set(
        xlabel="training step",
        ylabel="score of every head\n(share of attention)",
        ylim=(-0.02, 1.04),
        xscale="log",
    )
    below.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    below.legend(loc="upper left")
    if birth is not None:
        for ax in (above, below):
            ax.axvline(birth, color=INK, lw=1.2, ls="-.", zorder=0)
        above.text(
            birth,
            above.get_ylim()[1],
            f" birth, step {birth}",
            va="top",
        )
    forms = "No head forms" if birth is None else "The loss falls when the heads form"
    above.set_title(title or forms)
    when = (
        f"first passes one half before {_rounded_up(birth)}"
        if birth is not None
        else "never passes one half"
    )
    fell = (
        "falls below half of what guessing costs"
        if np.mean(losses[-20:]) < chance_loss / 2
        else "stays above half of what guessing costs"
    )
    beside = [
        f"{name} ends at {array(other)[-1]:.2f} nats" for name, (_, other) in controls.items()
    ]
    beside += [f"guessing {name} costs {level:.2f}" for name, level in guesses.items()]
    return (
        fig,
        f"Over {len(losses)} steps the loss {fell} ({chance_loss:.1f} nats), and the best "
        f"prefix-matching score {when}." + (f" Beside it: {'; '.join(beside)}." if beside else ""),
    )


@styled
def answer_story(history: Sequence[Mapping[str, Any]], chance: float, title: str = "") -> Picture:
    """The probability that a model gives to the token to copy, and its best prefix matching, over
    the steps of a training.

    `history`: one entry a snapshot with "step", "prefix_matching" [layer][head] and "answers", of
    which "copied" is that probability. `chance`: the probability of each token for a guesser.
    """
    steps = [entry["step"] for entry in history]
    given = np.array([entry["answers"]["copied"] for entry in history])
    matching = np.array([np.max(entry["prefix_matching"]) for entry in history])
    fig = figure(height=3)
    ax = fig.subplots()
    ax.plot(steps, given, color=COLOUR["loss"], lw=2.2, label="probability of the answer")
    ax.plot(steps, matching, color=COLOUR["prefix_matching"], lw=1.6, label="best prefix matching")
    chance_line(ax, chance, "guessing")
    ax.set(xlabel="training step", ylim=(-0.02, 1.04), xlim=(0, steps[-1]), title=title)
    ax.legend(loc="lower right")
    sure = [step for step, share in zip(steps, given, strict=True) if share > 0.5]
    when = f"passes one half before {_rounded_up(sure[0])}" if sure else "never passes one half"
    return (
        fig,
        f"Over {steps[-1]} steps the probability {when}, beside the best prefix matching; guessing "
        f"gives {chance:.3f}, and it ends at {given[-1]:.2f}.",
    )


def _rounded_up(step: float) -> str:
    """In whole hundreds, which another machine finds too."""
    return f"step {math.ceil((step + 1) / 100) * 100}"


def _from_step_0(steps: Sequence[int]) -> list[float]:
    """The steps as they stand on an axis of even ratios, which has no place for step 0."""
    return [max(step, 0.7) for step in steps]


@styled
def bars(
    groups: Mapping[str, float],
    ylabel: str,
    chance: float | None = None,
    title: str = "",
    highlight: Sequence[str] = (),
    says: str = "",
    xlabel: str = "",
) -> Picture:
    """One number each, as bars with the numbers on them; those in `highlight` stand out."""
    longest = max(len(line) for name in groups for line in name.split("\n"))
    fig = figure(max(4.5, max(0.5, 0.11 * longest) * len(groups) + 1.6), 3.1)
    ax = fig.subplots()
    drawn = ax.bar(list(groups), list(groups.values()), width=0.72, color=QUIET)
    for name, bar in zip(groups, drawn, strict=True):
        if name in highlight:
            bar.set(**hatched(COLOUR["prefix_matching"]))
    ax.bar_label(drawn, fmt=two_digits, padding=2, fontsize=8.5)
    if chance is not None:
        chance_line(ax, chance, f"chance: {chance:.2f}")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(x=0.02, y=0.14)
    ax.set_title(title)
    return fig, says or f"{ylabel}: " + ", ".join(
        f"{' '.join(name.split())} {two_digits(value)}" for name, value in groups.items()
    ) + "."


@styled
def birth_frame(
    losses: Sequence[float], step: int, chance_loss: float, by_layer: Sequence
) -> Picture:
    """One moment of a training: the loss up to `step`, and every head's pattern on one sequence at
    that step."""
    by_layer = [array(pattern) for pattern in by_layer]
    n_layers, n_heads = len(by_layer), len(by_layer[0])
    fig = figure(height=3)
    left, right = fig.subfigures(1, 2, width_ratios=[1, 1.9])
    ax = left.subplots()
    ax.plot(np.arange(1, len(losses) + 1), losses, color=FAINT, lw=1)
    ax.plot(np.arange(1, step + 1), losses[:step], color=COLOUR["loss"], lw=1.4)
    ax.plot(max(step, 1), losses[max(step, 1) - 1], "o", color=COLOUR["accent"], ms=7)
    chance_line(ax, chance_loss)
    ax.set(
        xscale="log",
        xlabel="training step",
        ylabel="loss (nats)",
        ylim=(0, max(chance_loss * 1.1, *losses)),
    )
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.set_title(f"step {step}")
    axes = right.subplots(n_layers, n_heads, squeeze=False)
    for layer, head in np.ndindex(n_layers, n_heads):
        draw_pattern(axes[layer, head], by_layer[layer][head])
        axes[layer, head].set(xticks=[], yticks=[])
    for layer in range(n_layers):
        axes[layer, 0].set_ylabel(f"layer {layer}")
    return (
        fig,
        f"At step {step} the loss is {losses[max(step, 1) - 1]:.1f} nats; beside it the patterns "
        f"of {n_layers * n_heads} heads.",
    )


def movie(figures: Sequence[Figure], says: str, seconds_a_frame: float = 0.2) -> bytes:
    """The figures as an animated PNG that rests on the last one, in few enough colours to be small;
    its description is the sentence that says what it shows."""
    drawn = []
    for fig in figures:
        content = io.BytesIO()
        fig.savefig(content, format="png", dpi=DPI, facecolor="none")
        drawn.append(np.asarray(Image.open(content)))
    strip, high = few(Image.fromarray(np.concatenate(drawn)), COLOURS_OF_A_MOVIE), len(drawn[0])
    frames = [strip.crop((0, top, strip.width, top + high)) for top in range(0, strip.height, high)]
    described, out = PngInfo(), io.BytesIO()
    described.add_text("Description", says)
    frames[0].save(
        out,
        format="PNG",
        save_all=True,
        append_images=frames[1:],
        duration=[int(1000 * seconds_a_frame)] * (len(frames) - 1) + [2500],
        loop=0,
        optimize=True,
        pnginfo=described,
    )
    return out.getvalue()
