"""Pictures of what an optimiser does to a stream that has no axes: twins, tails, and the cost of
rounding."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import ticker
from matplotlib.axis import Axis

from helpers.plotting.core import (
    CHANCE,
    COLOUR,
    INK,
    Picture,
    chance_line,
    either,
    figure,
    styled,
    two_digits,
    with_looks,
)

OPTIMISER = {
    "AdamW": COLOUR["accent"],
    "SGD": "#56B4E9",
    "Muon everywhere": "#8A7F00",
    "Muon": "#9C5A8A",
}
DASH = {
    "AdamW": "solid",
    "SGD": (0, (5, 1.5)),
    "Muon everywhere": (0, (1, 1.2)),
    "Muon": (0, (4, 1.2, 1, 1.2)),
}
MARK = {"AdamW": "o", "SGD": "s", "Muon everywhere": "^", "Muon": "v"}
LABEL = {
    "AdamW": "AdamW",
    "SGD": "SGD",
    "Muon everywhere": "Muon on every matrix",
    "Muon": "Muon, AdamW for the rest",
}


@styled
def twin_gaps(
    records: Sequence[Mapping[str, Any]],
    panels: Mapping[str, Mapping[tuple[str, str], str]],
    title: str = "",
) -> Picture:
    """How far the losses of twins are apart, step by step: a panel a question, in each the groups
    `panels[question][optimizer, turn]` by name. A group is its middle seed and, shaded, all of
    them."""
    top = max(1, *(1.5 * max(record["gaps"]) for record in records))
    fig = figure(height=2.9 * len(panels) + 0.4)
    axes = fig.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    told = []
    for ax, (question, names) in zip(axes, panels.items(), strict=True):
        ax.axhspan(1e-8, 1e-5, color=COLOUR["copying"], alpha=0.12, lw=0, zorder=0)
        for (optimizer, turn), name in names.items():
            group = [r for r in records if (r["optimizer"], r["turn"]) == (optimizer, turn)]
            gaps = np.maximum([_lately(record["gaps"]) for record in group], 2e-8)
            steps = np.arange(1, gaps.shape[1] + 1)
            colour = INK if turn == "order" else OPTIMISER[optimizer]
            ax.fill_between(steps, gaps.min(0), gaps.max(0), color=colour, alpha=0.22, lw=0)
            label = f"{name}, {len(group)} seeds"
            ax.plot(steps, np.median(gaps, 0), color=colour, ls=DASH[optimizer], label=label)
            told.append(f"{label}: {_apart([max(record['gaps']) for record in group])}")
        ax.set(xscale="log", yscale="log", ylim=(1e-8, top))
        ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ax.set_title(question, fontsize=10.5)
        ax.legend(loc="upper left", fontsize=9)
    axes[-1].set_xlabel("training step")
    fig.supylabel("gap between the twins' losses (nats, largest of the last 20 steps)", fontsize=9)
    axes[0].text(3, 7e-6, "rounding in float32", va="top")
    fig.suptitle(title, x=0.01, ha="left")
    return fig, f"Largest gap between the twins' losses, in nats. {'; '.join(told)}."


def _lately(gaps: Sequence[float]) -> list[float]:
    """The largest of the last 20, at every step."""
    return [max(gaps[max(0, step - 19) : step + 1]) for step in range(len(gaps))]


def _apart(gaps: list[float]) -> str:
    if max(gaps) < 1e-5:
        return "below one in a hundred thousand"
    return "above one in a thousand on each" if min(gaps) > 1e-3 else f"up to {max(gaps):.0e}"


@styled
def kurtosis_on_the_way(
    records: Sequence[Mapping[str, Any]],
    null: float,
    at_loss: float,
    title: str = "",
    point: int = 2,
) -> Picture:
    """The kurtosis of the stream against the held-out loss, from 2.8 nats on, or higher
    where a training ends higher: each seed a line, which goes back where its loss rises. An
    optimiser's second rate has open marks."""
    fig = figure(height=4.4)
    ax = fig.subplots()
    lines: dict[str, int] = {}
    first_rate: dict[str, float] = {}
    for record in records:
        label = f"{LABEL[record['optimizer']]}, rate {record['lr']:g}"
        filled = record["lr"] == first_rate.setdefault(record["optimizer"], record["lr"])
        history = record["history"]
        held_out = [entry["loss"] for entry in history]
        values = [entry["used"][point] for entry in history]
        colour, dash = OPTIMISER[record["optimizer"]], DASH[record["optimizer"]]
        ax.plot(
            held_out,
            values,
            color=colour,
            ls=dash,
            marker=MARK[record["optimizer"]],
            ms=2.5 if filled else 4.5,
            mfc=None if filled else "none",
            lw=1.3 if filled else 0.9,
            alpha=0.9,
            label=None if label in lines else label,
        )
        lines[label] = lines.get(label, 0) + 1
    chance_line(ax, null, f"a vector that\npoints anywhere:\n{null:.2f}")
    ax.axvline(at_loss, color=INK, lw=0.9, ls=(0, (1, 2)))
    ax.text(
        at_loss,
        0.985,
        "compared here ",
        va="top",
        ha="right",
        transform=ax.get_xaxis_transform(),
    )
    worst = max(record["history"][-1]["loss"] for record in records)
    best = min(entry["loss"] for record in records for entry in record["history"])
    ax.set(xlim=(max(2.8, worst + 0.03), best - 0.03), ylim=(min(2.4, ax.dataLim.y0), None))
    ax.set(
        xlabel="held-out loss (nats), better to the right",
        ylabel="kurtosis of the last stream",
        yscale="log",
    )
    _count(ax.yaxis, [3, 5, 10, 20])
    ax.legend(loc="upper left", fontsize=9)
    ax.set_title(title)
    ends = {
        label: [
            r["history"][-1]["used"][point]
            for r in records
            if f"{LABEL[r['optimizer']]}, rate {r['lr']:g}" == label
        ]
        for label in lines
    }
    told = "; ".join(
        f"{label}: {min(values):.1f} to {max(values):.1f}" for label, values in ends.items()
    )
    return (
        fig,
        f"Kurtosis of the last stream at the end of training, over {either(lines.values())} seeds. "
        f"{told}. Null {null:.2f}.",
    )


@styled
def kurtosis_sweep(
    records: Sequence[Mapping[str, Any]], null: float, title: str = "", point: int = 2
) -> Picture:
    """The last kurtosis and the last loss of every run over its learning rate; open marks: after a
    random rotation."""
    fig = figure(height=4.1)
    left, right = fig.subplots(1, 2, width_ratios=[1.25, 1])
    for name in dict.fromkeys(record["optimizer"] for record in records):
        mine = [record for record in records if record["optimizer"] == name]
        rates = sorted({record["lr"] for record in mine})
        for ax, value in (
            (left, lambda r: r["history"][-1]["used"][point]),
            (right, lambda r: r["history"][-1]["loss"]),
        ):
            ax.scatter(
                [r["lr"] for r in mine],
                [value(r) for r in mine],
                color=OPTIMISER[name],
                marker=MARK[name],
                s=30,
                label=LABEL[name],
                zorder=3,
            )
            middle = [np.median([value(r) for r in mine if r["lr"] == rate]) for rate in rates]
            ax.plot(rates, middle, color=OPTIMISER[name], ls=DASH[name], lw=1.4)
        left.scatter(
            [r["lr"] for r in mine],
            [r["history"][-1]["turned"][point] for r in mine],
            facecolors="none",
            edgecolors=INK,
            marker=MARK[name],
            s=26,
            zorder=2,
        )
    chance_line(left, null)
    left.set(
        xscale="log", yscale="log", xlabel="learning rate", ylabel="kurtosis of the last stream"
    )
    _count(left.yaxis, [3, 5, 10, 20, 40])
    left.scatter(
        [],
        [],
        facecolors="none",
        edgecolors=INK,
        marker="o",
        s=26,
        label="after a random rotation",
    )
    named = left.get_legend_handles_labels()
    fig.legend(*named, fontsize=9, loc="outside lower center", ncols=3)
    right.set(xscale="log", xlabel="learning rate", ylabel="held-out loss (nats)")
    left.set_title(title)
    turned = [record["history"][-1]["turned"][point] for record in records]
    adam = {
        r: [
            x["history"][-1]["used"][point]
            for x in records
            if x["optimizer"] == "AdamW" and x["lr"] == r
        ]
        for r in sorted({x["lr"] for x in records if x["optimizer"] == "AdamW"})
    }
    told = ", ".join(f"{rate:g}: {np.median(values):.1f}" for rate, values in adam.items())
    return (
        fig,
        f"Median kurtosis of AdamW by learning rate: {told}; after a random rotation at most "
        f"{max(turned):.1f}; null {null:.2f}.",
    )


@styled
def kurtosis_by_basis(
    groups: Mapping[str, Sequence[Mapping[str, Any]]], null: float, title: str = "", point: int = 2
) -> Picture:
    """The last kurtosis of runs that store their weights in other coordinates (a group each), read
    in the coordinates in which weights are used and in those in which a reader is stored: a dot a
    seed."""
    fig = figure(height=3.2)
    ax = fig.subplots()
    looks = {
        "used": ("in the model's coordinates", INK, "s", -0.15),
        "stored": ("in those of the stored weights", COLOUR["accent"], "o", 0.15),
    }
    middle = {}
    for x, (how, records) in enumerate(groups.items()):
        for basis, (name, colour, marker, shift) in looks.items():
            values = [record["history"][-1][basis][point] for record in records]
            middle[how, name] = float(np.median(values))
            ax.scatter(
                [x + shift] * len(values),
                values,
                color=colour,
                marker=marker,
                s=42,
                label=name if x == 0 else None,
                zorder=3,
            )
            ax.annotate(
                f"{middle[how, name]:.1f}",
                (x + shift, middle[how, name]),
                xytext=(9, -3),
                textcoords="offset points",
                fontsize=8.5,
            )
    chance_line(ax, null, f"null: {null:.2f}")
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set(yscale="log", ylabel="kurtosis of the last stream", xlim=(-0.5, len(groups) - 0.4))
    _count(ax.yaxis, [3, 5, 10, 20])
    fig.legend(loc="outside lower center", ncols=2)
    ax.set_title(title)
    told = "; ".join(
        f"stored {' '.join(how.split())}, {name}: {value:.1f}"
        for (how, name), value in middle.items()
    )
    return fig, f"Median kurtosis of the last stream. {told}. Null {null:.2f}."


@styled
def rounding_cost(
    groups: Mapping[str, Sequence[Mapping[str, Any]]],
    null: float,
    bits: Sequence[int] = (4, 3),
    title: str = "",
) -> Picture:
    """What rounding the stream costs each model over the kurtosis of its last stream: filled as
    trained, open after a random rotation, a line from one to the other. A group of records each, by
    name; a panel for each number of bits."""
    fig = figure(height=3.7)
    axes = fig.subplots(1, len(bits))
    tails = [record["kurtosis"] for records in groups.values() for record in records]
    told = []
    for ax, few in zip(axes, map(str, bits), strict=True):
        low = 0.0
        for (name, records), marker in with_looks(groups, "osD"):
            colour = OPTIMISER[records[0]["optimizer"]]
            kurtosis, before, after = np.array(
                [(r["kurtosis"], r["as_trained"][few], r["rotated"][few]) for r in records]
            ).T
            low = min(low, 1.1 * min(*before, *after))
            ax.vlines(kurtosis, after, before, color=colour, lw=1.1, zorder=1)
            ax.scatter(kurtosis, before, color=colour, marker=marker, s=34, label=name, zorder=3)
            ax.scatter(
                kurtosis,
                after,
                facecolors="none",
                edgecolors=colour,
                marker=marker,
                s=34,
                linewidths=1.5,
                zorder=2,
            )
            told.append(
                f"{name}, {few} bits: {two_digits(np.median(before))} to "
                f"{two_digits(np.median(after))}"
            )
        ax.axvline(null, **CHANCE)
        ax.annotate(
            "null",
            (null, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, -8),
            textcoords="offset points",
        )
        ax.set(
            xscale="log",
            xlim=(min(2.4, 0.95 * min(tails)), max(45, 1.15 * max(tails))),
            ylim=(low, None),
            xlabel="kurtosis of the last stream, as trained",
        )
        ax.set_title(f"{few} bits", fontsize=10)
        _count(ax.xaxis, [3, 5, 10, 20, 40])
    axes[0].set_ylabel("rise of the loss by rounding (nats)")
    axes[0].scatter(
        [],
        [],
        facecolors="none",
        edgecolors=INK,
        s=34,
        linewidths=1.5,
        label="each rotated first",
    )
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    fig.suptitle(title, x=0.01, ha="left")
    return (
        fig,
        "Median rise of the loss in nats when the stream is rounded, as trained and rotated "
        f"first: {'; '.join(told)}.",
    )


def _count(axis: Axis, ticks: Sequence[float]) -> None:
    """These ticks on a logarithmic axis, as plain numbers."""
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_minor_formatter(ticker.NullFormatter())
