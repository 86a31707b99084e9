"""What the paths of a model are worth, by how many heads they go through."""

from collections.abc import Mapping, Sequence

from helpers.plotting.core import COLOUR, Picture, figure, styled


@styled
def orders(models: Mapping[str, Sequence[float]], title: str = "") -> Picture:
    """What the paths of each length are worth, in nats: the direct path over guessing, then each
    order over the one before."""
    names = ["direct", "one\nhead", "two\nheads"]
    fig = figure(10, 3.3)
    axes = fig.subplots(1, len(models), squeeze=False)[0]
    for ax, (name, worth) in zip(axes, models.items(), strict=True):
        drawn = ax.bar(
            range(len(worth)), worth, width=0.7, color=["#b9bfc4", "#8a9096", COLOUR["control"]]
        )
        drawn[-1].set(hatch="//", edgecolor="white")
        ax.bar_label(drawn, fmt=lambda value: f"{round(value, 1) + 0.0:.1f}", padding=2, fontsize=9)
        ax.set_xticks(range(len(worth)), names[: len(worth)], fontsize=9)
        ax.axhline(0, color="#999999", lw=0.8)
        ax.margins(y=0.16)
        ax.set_title(name, fontsize=9.5)
    axes[0].set_ylabel("loss saved (nats)")
    fig.suptitle(title, x=0.01, ha="left", fontsize=11)
    told = "; ".join(
        f"{' '.join(name.split())} {_share(worth[-1] / sum(worth))}"
        for name, worth in models.items()
    )
    return (
        fig,
        f"Loss saved by paths of each length. Of the whole, paths through two heads save: {told}.",
    )


def _share(part: float) -> str:
    """In words, which another text of the same kind does not change."""
    words = ((0.01, "nothing"), (0.1, "little"), (0.5, "a part"), (0.9, "most"))
    return next((word for limit, word in words if part < limit), "all")
