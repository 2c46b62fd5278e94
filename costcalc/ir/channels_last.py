"""Ops on maps whose channels come last, (batch, places …, channels), as TensorFlow has them.

An op with the field ``channels_last`` writes its rules once, for channels second. ``give`` makes each hold for both:
with the field set, a rule is that of the same op without it, on types whose channels were moved.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from costcalc.ir.index_map import Anywhere, AxisMap, AxisMaps, IndexMap, Regroup, Steps
from costcalc.ir.tensor import TensorType

if TYPE_CHECKING:
    from torch import nn

    from costcalc.ir.op import Op

FIELD = "channels_last"
AS_THEY_ARE = (
    *("requires", "weights", "macs", "skippable", "ops", "reads", "kind", "saves", "beside_gradients", "nests"),
)
"""Rules whose answer says nothing of where the channels are."""


def channels_second(t: TensorType) -> TensorType:
    """(batch, places …, channels) as (batch, channels, places …).

    >>> channels_second(TensorType((1, 8, 9, 3))).shape, channels_second(TensorType((1, 3))).shape
    ((1, 3, 8, 9), (1, 3))
    """
    first, *places, channels = t.shape
    return t.with_shape(first, channels, *places)


def channels_last(t: TensorType) -> TensorType:
    """(batch, channels, places …) as (batch, places …, channels).

    >>> channels_last(TensorType((1, 3, 8, 9))).shape
    (1, 8, 9, 3)
    """
    first, channels, *places = t.shape
    return t.with_shape(first, *places, channels)


def plain(op: Any) -> Any:
    """``op`` with its channels second."""
    try:
        return op._plain
    except AttributeError:
        made = type(op)(**{**vars(op), FIELD: False})
        object.__setattr__(op, "_plain", made)
        return made


def give(cls: type[Op]) -> None:
    """Make the rules of ``cls`` those for either place of the channels, by the field."""
    backs: dict[str, Callable[..., Any]] = {
        "infer": _types, "discards": _types, "to_torch": _module,
        "index_maps": _index_maps, "index_maps_of": _index_maps, "element_maps": _element_maps,
        **dict.fromkeys(AS_THEY_ARE, _as_it_is),
    }  # fmt: skip
    for name, back in backs.items():
        setattr(cls, name, _either(getattr(cls, name), name, back))
    if cls.channel_axis == 1:
        cls.channel_axis = property(lambda op: -1 if vars(op)[FIELD] else 1)  # type: ignore[assignment]


def _either(rule: Callable[..., Any], name: str, back: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(rule)
    def by_field(self: Any, *x: Any, **out: Any) -> Any:
        if not vars(self)[FIELD]:
            return rule(self, *x, **out)
        first = 1 if name in ("index_maps_of", "element_maps") else 0  # before the types stands which output is meant
        types = x[first:]
        if any(len(t.shape) < 2 for t in types):
            return rule(self, *x, **out)  # which tells what is wrong
        moved = {key: channels_second(t) if key == "y" else t for key, t in out.items()}
        found = rule(plain(self), *x[:first], *map(channels_second, types), **moved)
        return back(found, types, out.get("y"))

    return by_field


def _as_it_is(found: Any, *_: Any) -> Any:
    return found


def _types(found: Any, *_: Any) -> Any:
    return channels_last(found) if isinstance(found, TensorType) else tuple(map(channels_last, found))


def _index_maps(found: tuple[IndexMap, ...], types: tuple[TensorType, ...], y: TensorType) -> tuple[IndexMap, ...]:
    return tuple(_index_map(index_map, x, y) for index_map, x in zip(found, types, strict=True))


def _element_maps(found: tuple[IndexMap, ...] | None, *types: Any) -> tuple[IndexMap, ...] | None:
    return found and _index_maps(found, *types)  # none of these is in several ways


def _index_map(index_map: IndexMap, x: TensorType, y: TensorType) -> IndexMap:
    rank, made = len(x.shape), len(y.shape)
    if isinstance(index_map, (Regroup, Steps)):
        steps = index_map.steps if isinstance(index_map, Steps) else ((index_map, channels_second(y).shape),)
        moved = (_second(rank), channels_second(x).shape)
        return Steps((moved, *steps, (_last(made), y.shape)))
    if not index_map:
        return index_map
    there = [_moved(entry, rank, made) for entry in index_map]
    return (*(there[a] for a in (0, *range(2, made), 1)), *there[made:])


def _second(rank: int) -> AxisMaps:
    return tuple(AxisMap(axis) for axis in (0, rank - 1, *range(1, rank - 1)))


def _last(rank: int) -> AxisMaps:
    return tuple(AxisMap(axis) for axis in (0, *range(2, rank), 1))


def _moved(entry: AxisMap | Anywhere | None, rank: int, made: int) -> AxisMap | Anywhere | None:
    """``entry`` with the numbers of its axes as they are with the channels last."""
    if entry is None:
        return None
    axis = _to_last(entry.axis, rank)
    if isinstance(entry, Anywhere):
        return Anywhere(axis)
    return entry._replace(axis=axis, along=None if entry.along is None else _to_last(entry.along, made))


def _to_last(axis: int, rank: int) -> int:
    return axis if axis == 0 else rank - 1 if axis == 1 else axis - 1


def _module(module: nn.Module, *_: Any) -> nn.Module:
    """``module`` that takes and makes maps with their channels last; its weights are called as before."""
    module.register_forward_pre_hook(lambda _, inputs: tuple(t.movedim(-1, 1) for t in inputs), prepend=True)
    module.register_forward_hook(lambda _, inputs, made: _moved_back(made))
    return module


def _moved_back(made: Any) -> Any:
    return tuple(t.movedim(1, -1) for t in made) if isinstance(made, tuple) else made.movedim(1, -1)
