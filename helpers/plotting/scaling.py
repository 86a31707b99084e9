"""How what something costs grows with the sizes of a model."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker

from helpers.plotting.core import COLOUR, Picture, figure, styled

SIZE = {
    "heads": COLOUR["prefix_matching"],
    "layers": COLOUR["previous_token"],
    "context": COLOUR["copying"],
    "width": COLOUR["control"],
}
DASH = dict(heads="solid", layers=(0, (5, 1.5)), context=(0, (1, 1.2)), width="dashdot")
MARK = dict(heads="o", layers="s", context="^", width="v")
# by the size: how large, what it cost
Costs = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope through the three largest sizes, both in logarithms: there what every size costs
    counts least."""
    slope = np.polyfit(np.log(sizes[-3:]), np.log(costs[-3:]), 1)[0]
    return round(float(slope), 1) + 0.0  # + 0.0 turns -0.0 into 0.0


@styled
def growth(panels: Mapping[str, Costs]) -> Picture:
    """A panel each, named "what (unit)": its costs over the size, as multiples of the smallest. The
    legend has the exponent of each."""
    rows = (len(panels) + 1) // 2
    fig = figure(height=2.9 * rows)
    axes = fig.subplots(rows, 2, squeeze=False).ravel()
    told = []
    for ax, (title, costs) in zip(axes[: len(panels)], panels.items(), strict=True):
        powers = {name: exponent(*both) for name, both in costs.items()}
        for name, (sizes, values) in costs.items():
            ax.plot(
                np.array(sizes) / sizes[0],
                values,
                color=SIZE[name],
                ls=DASH[name],
                marker=MARK[name],
                ms=4,
                label=f"{name}: {powers[name]:.1f}",
            )
        ax.set(xscale="log", yscale="log", title=title)
        ax.xaxis.set_major_locator(ticker.FixedLocator([1, 2, 4, 8, 16]))
        ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())
        ax.legend(title="exponent", loc="upper left")
        ax.margins(y=0.28)
        told.append(f"{title}: {', '.join(f'{name} {of:.1f}' for name, of in powers.items())}")
    for ax in axes[-2:]:
        ax.set_xlabel("times the smallest size")
    said = "How costs grow with one size of a model, as exponents over its three largest values"
    return fig, f"{said}. {'; '.join(told)}."
