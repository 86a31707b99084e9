"""Few colours for a picture, so that its file is small, and none that anyone would miss."""

import heapq

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image  # a dependency of matplotlib

Colours = UInt8[np.ndarray, "colour rgba"]


def few(image: Image.Image, most: int = 192) -> Image.Image:
    """The picture in at most so many colours, transparent ones among them, chosen for it: the group
    of colours that differ most, each by how often it occurs, is cut in two, again and again (median
    cut, Heckbert 1982), and each group becomes its mean."""
    pixels = np.asarray(image.convert("RGBA"))
    codes, places, counts = np.unique(
        pixels.view(np.uint32).ravel(), return_inverse=True, return_counts=True
    )
    seen, weights = as_seen(codes.view(np.uint8).reshape(-1, 4)), np.sqrt(counts)
    clear = seen.any(1) == 0  # the page itself, exactly
    groups = _cut(seen, weights, np.flatnonzero(~clear), most - 1) + [np.flatnonzero(clear)]
    groups = [group for group in groups if len(group)]
    means = np.stack([np.average(seen[group], 0, weights[group]) for group in groups])
    palette, group_of = from_seen(means), np.empty(len(codes), np.uint8)
    for number, at in enumerate(np.lexsort(palette.T)):  # by alpha, the opaque ones last
        group_of[groups[at]] = number
    palette = palette[np.lexsort(palette.T)]
    made = Image.fromarray(group_of[places].reshape(pixels.shape[:2]), "P")
    made.putpalette(palette[:, :3].tobytes())
    made.info["transparency"] = palette[:, 3].tobytes()
    return made


def as_seen(colours: Colours) -> Float[np.ndarray, "colour 6"]:
    """Each colour as it looks on a black page, and as much as it takes from a white one."""
    alpha = colours[:, 3:] / 255
    on_black = colours[:, :3] * alpha
    return np.concatenate([on_black, 255 * alpha - on_black], 1)


def from_seen(seen: Float[np.ndarray, "colour 6"]) -> Colours:
    """The colours that look so."""
    alpha = (seen[:, :3] + seen[:, 3:]).mean(1, keepdims=True)
    colours = 255 * seen[:, :3] / np.maximum(alpha, 1)
    return np.concatenate([colours, alpha], 1).round().clip(0, 255).astype(np.uint8)


def _cut(seen: np.ndarray, weights: np.ndarray, whole: np.ndarray, most: int) -> list[np.ndarray]:
    """The colours of `whole` in at most so many groups, all as indices."""
    heap = [(*_spread(seen, weights, whole), 0, whole)] if len(whole) else []
    while len(heap) < most and heap and heap[0][0] < 0:
        _, axis, middle, number, group = heapq.heappop(heap)
        low = seen[group, axis] <= middle
        for part in (group[low], group[~low]):
            number += len(seen)  # no two are alike, so that no arrays are compared
            heapq.heappush(heap, (*_spread(seen, weights, part), number + part[0], part))
    return [group for *_, group in heap]


def _spread(seen: np.ndarray, weights: np.ndarray, group: np.ndarray) -> tuple:
    """How much a group's colours differ, with a minus, for the heap; along which axis most; and
    their mean there."""
    values, weights = seen[group], weights[group]
    means = np.average(values, 0, weights)
    spread = weights @ np.square(values - means)
    axis = int(spread.argmax())
    return -round(float(spread.sum()), 6), axis, float(means[axis])
