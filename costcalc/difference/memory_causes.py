"""Why more or less memory is held: by the lives of tensors, of which what is alive at the peak is the whole of it.

The peak of a plan is the sum of what lives at its step. So the change of the peak is, over all tensors, what each has
at the new peak less what it has at the old one: these are the causes, and they add up exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from costcalc.classes import NamedTuple, dataclass, replace

if TYPE_CHECKING:
    from costcalc.difference.records import Diff
    from costcalc.ir.graph import Graph


class Tensor(Protocol):
    """A buffer by its name, with its bytes and its first and last step."""

    @property
    def name(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...


class MemoryPlan(Protocol):
    """What an engine holds: ``costcalc.memory`` makes one."""

    @property
    def engine(self) -> str: ...
    @property
    def at(self) -> str: ...
    @property
    def peak_bytes(self) -> int: ...
    @property
    def peak_step(self) -> int: ...
    @property
    def tensors(self) -> Sequence[Tensor]: ...


class HeldCause(NamedTuple):
    """One tensor that has another part in the peak than before: its name, why, in words, and by how many bytes."""

    name: str
    description: str
    effect: int


@dataclass(frozen=True)
class HeldChange:
    """The peak in an engine, before and after; the layers at which it is; the causes, the largest first."""

    engine: str
    old_bytes: int
    new_bytes: int
    old_at: str
    new_at: str
    causes: tuple[HeldCause, ...]


def held_change(old: MemoryPlan, new: MemoryPlan, was: Mapping[str, str]) -> HeldChange:
    """The change of the peak between two plans of one engine.

    was   layer of the new model → the layer of the old one that it was
    """
    causes = sorted(_causes(old, new, was), key=lambda cause: (-abs(cause.effect), cause.name))
    return HeldChange(new.engine, old.peak_bytes, new.peak_bytes, old.at, new.at, tuple(causes))


def with_memory(
    found: Diff, old: Graph | None, new: Graph | None, planned: Callable[[Graph], MemoryPlan] | None
) -> Diff:
    """``found`` with the change of what an engine holds at most, as it is ``planned``, where both sides are there."""
    if planned is None or old is None or new is None:
        return found
    was = {change.name: change.old_name for change in found.layers if change.name and change.old_name}
    return replace(found, memory=held_change(planned(old), planned(new), was))


def _causes(old: MemoryPlan, new: MemoryPlan, was: Mapping[str, str]) -> Iterator[HeldCause]:
    before = _by_name(old.tensors)
    left = dict(before)
    for name, tensor in _by_name(new.tensors).items():
        other = left.pop(_old_name(name, was), None)
        there = _at(tensor, new.peak_step) - (0 if other is None else _at(other, old.peak_step))
        if there:
            yield HeldCause(name, _described(other, tensor, old, new), there)
    for name, tensor in left.items():
        if _at(tensor, old.peak_step):
            yield HeldCause(name, "is gone", -tensor.bytes)


def _by_name(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    """The tensors by their names; of several that are called the same by number too."""
    found: dict[str, Tensor] = {}
    for tensor in tensors:
        name, count = tensor.name, 1
        while name in found:
            count += 1
            name = f"{tensor.name} [{count}]"
        found[name] = tensor
    return found


def _old_name(name: str, was: Mapping[str, str]) -> str:
    """What a tensor was called: by its layer, whatever it says behind that: ``conv (padded)``, ``split.0``."""
    layer, bracket, rest = name.partition(" (")
    if layer in was:
        return f"{was[layer]}{bracket}{rest}"
    before, dot, number = layer.rpartition(".")
    return f"{was[before]}{dot}{number}{bracket}{rest}" if before in was else name


def _at(tensor: Tensor, step: int) -> int:
    return tensor.bytes if tensor.first <= step <= tensor.last else 0


def _described(old: Tensor | None, new: Tensor, before: MemoryPlan, after: MemoryPlan) -> str:
    """Why ``new`` has another part in the peak than ``old`` had."""
    if old is None:
        return "is new"
    was, now = _at(old, before.peak_step), _at(new, after.peak_step)
    if was and now:
        return f"{'grew' if now > was else 'shrank'} from {old.bytes:,} to {new.bytes:,} bytes"
    longer = (new.last - new.first) - (old.last - old.first)
    if longer > 0 and now:
        return f"lives {_steps(longer)} longer, and so at the peak"
    if longer < 0 and was:
        return f"lives {_steps(-longer)} less, and no longer at the peak"
    return f"lives at the peak, which is at {after.at} now" if now else f"does not live at the peak at {after.at}"


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"
