"""Activations by name: what a hook is told and may replace, and the cache that keeps them.

The names are TransformerLens': `blocks.0.attn.hook_pattern`.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class HookPoint(NamedTuple):
    """What a hook function is told besides the tensor: where it stands."""

    name: str


def layer_of(hook) -> int:
    """The layer in which a hook stands, read off its name; a bridge's hooks are named alike."""
    return int(hook.name.split(".")[1])


def check_head_of(hook, head: int, n_heads: int) -> None:
    """ValueError for a head that the layer in which a hook stands does not have."""
    if not 0 <= head < n_heads:
        raise ValueError(
            f"there is no head {head} in layer {layer_of(hook)}: it has {n_heads}, counted from 0; "
            "give pairs (layer, head)"
        )


HookFunction = Callable[[Tensor, HookPoint], Tensor | None]
NameFilter = str | Callable[[str], bool]


class ActivationCache(dict[str, Tensor]):
    """Activations by hook name; `cache["pattern", 0]` is short for
    `cache["blocks.0.attn.hook_pattern"]`."""

    def __getitem__(self, key: str | tuple) -> Tensor:
        if isinstance(key, tuple):
            key = self._full_name(*key)
        elif key not in self and f"hook_{key}" in self:
            key = f"hook_{key}"
        if key not in self:
            raise KeyError(f"{key!r} is not in the cache, which holds: {', '.join(self)}")
        return super().__getitem__(key)

    def _full_name(self, name: str, layer: int, part: str | None = None) -> str:
        inside = part or ("attn" if f"blocks.{layer}.attn.hook_{name}" in self else "")
        return f"blocks.{layer}.{inside}{'.' if inside else ''}hook_{name}"


def pass_through(
    hooks: list[tuple[Callable[[str], bool], HookFunction]], name: str, value: Tensor
) -> Tensor:
    for passes, function in hooks:
        if passes(name):
            replaced = function(value, HookPoint(name))
            value = value if replaced is None else replaced
    return value
