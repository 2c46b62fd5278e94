"""Which traced value each tensor holds, through views and writes in place.

Tensors that share memory form a group. A write through one of them makes a new value for it, and is
noted in the group; when another of the group is read next, it catches up: it is the written
value seen anew, a part of it, or its own old value with a part overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from weakref import ref

import torch
from torch import Tensor

from costcalc.frontends.torch.types import type_of
from costcalc.ir.call import Traced
from costcalc.ir.storage_region import StorageRegion

Note = Callable[[str, Mapping[str, Any], Traced], None]


class AliasEntry:
    """A tensor, the value that it held when last looked at, and the writes of its group seen by then.

    itself   a reference that is the same object for as long as the tensor lives
    tensor   the tensor, where it is kept
    """

    __slots__ = ("itself", "seen", "tensor", "traced", "writes")

    def __init__(self, tensor: Tensor, traced: Traced, writes: list[tuple[Traced, StorageRegion]] | None) -> None:
        self.itself, self.traced, self.writes = ref(tensor), traced, writes
        self.tensor: Any = None
        self.seen = len(writes) if writes else 0


Kept = Literal["all", "real", "none"]
"""Which tensors a trace holds, weights apart: those without values are told anew when another has their memory."""


MANY = 1 << 12
"""Tensors after which those that are gone are forgotten, for the first time."""


class Aliases:
    """All tensors of a trace.

    note    called with the name, arguments and result of each step that catching up needs
    numbers called with a tensor from outside, for its values if they are known
    keep    which tensors are held themselves; the others are freed when the model drops them
    shared  tensors come that nobody has made, in the memory of those that were: autograd keeps tensors so
    """

    def __init__(
        self, note: Note, numbers: Callable[[Tensor], tuple[Any, ...] | None], *, keep: Kept, shared: bool = False
    ) -> None:
        self._in_memory: dict[int, list[AliasEntry]] | None = {} if shared else None
        self._entries: dict[int, AliasEntry] = {}
        self._room = MANY
        self._note, self._numbers, self._keep = note, numbers, keep
        self._storages: dict[int, AliasEntry] = {}

    def find(self, tensor: Tensor) -> AliasEntry | None:
        """The entry of ``tensor`` if it has been seen."""
        entry = self._entries.get(id(tensor))
        return entry if entry is not None and entry.itself is ref(tensor) else None

    def all_known(self, tensors: Iterable[Tensor]) -> bool:
        """Whether each of ``tensors`` has been seen: a concatenation may have thousands."""
        for tensor in tensors:
            entry = self._entries.get(id(tensor))
            if entry is None or entry.itself is not ref(tensor):
                return False
        return True

    def adopt(self, tensor: Tensor, traced: Traced, writes: list[tuple[Traced, StorageRegion]] | None = None) -> Traced:
        """Take in a tensor that holds ``traced``."""
        entry = self._entries[id(tensor)] = AliasEntry(tensor, traced, writes)
        if traced.weight or self._keep == "all" or (self._keep == "real" and not tensor.is_meta):
            entry.tensor = tensor
        if len(self._entries) > self._room:
            self._entries = {key: entry for key, entry in self._entries.items() if entry.itself() is not None}
            self._room = 2 * len(self._entries) + MANY
        if self._in_memory is not None:
            self._in_memory.setdefault(storage_of(tensor), []).append(entry)
        return traced

    def read(self, tensor: Tensor) -> Traced:
        """The value that ``tensor`` holds now."""
        entry = self.find(tensor)
        if entry is None:
            return self._foreign(tensor)
        if entry.writes and entry.seen < len(entry.writes):
            self._catch_up(entry, tensor)
        return entry.traced

    def recognised(self, tensor: Tensor) -> Tensor | None:
        """Take in ``tensor`` if nobody has made it, but another of the same elements of the same memory; and that one.

        Only where tensors are ``shared``, which are kept; None where it is not known, or was before.
        """
        if self._in_memory is None or self.find(tensor) is not None:
            return None
        others = [e for e in self._in_memory.get(storage_of(tensor), ()) if e.tensor.dtype == tensor.dtype]
        region = region_of(tensor)
        for entry in reversed(others):
            if region_of(entry.tensor) == region:
                self.alias(tensor, entry.tensor)
                return entry.tensor  # type: ignore[no-any-return]
        if others:
            base = max(others, key=lambda e: e.tensor.numel())
            made = Traced(type_of(tensor))
            arguments = {"self": self.read(base.tensor), "held": region_of(base.tensor), "wanted": region}
            self._note("costcalc::part", arguments, made)
            self.adopt(tensor, made)
        return None

    def view(self, tensor: Tensor, base: Tensor) -> Traced:
        """Take in ``tensor``, which an operator made from ``base`` and may share its memory."""
        traced = Traced(type_of(tensor))
        if storage_of(tensor) != storage_of(base):
            return self.adopt(tensor, traced)
        entry = self.find(base)
        if entry is None:
            return self.adopt(tensor, traced)
        if entry.writes is None:
            entry.writes = []
        return self.adopt(tensor, traced, entry.writes)

    def alias(self, tensor: Tensor, base: Tensor) -> None:
        """Take in ``tensor``, which is ``base`` under another name."""
        traced = self.read(base)
        entry = self.find(base)
        if entry is not None and entry.writes is None:
            entry.writes = []
        self.adopt(tensor, traced, entry.writes if entry else None)

    def write(self, tensor: Tensor) -> Traced:
        """A new value for ``tensor``, written in place."""
        entry = self.find(tensor)
        traced = Traced(type_of(tensor))
        if entry is None:
            return self.adopt(tensor, traced)
        entry.traced = traced
        if entry.writes is not None:
            entry.writes.append((traced, region_of(tensor)))
            entry.seen = len(entry.writes)
        return traced

    def _foreign(self, tensor: Tensor) -> Traced:
        """A tensor from outside the trace: memory of a weight (``weight.data``), or a constant."""
        if not self._storages:
            for known in list(self._entries.values()):
                if known.traced.weight:
                    self._storages[storage_of(known.tensor)] = known
        owner = self._storages.get(storage_of(tensor))
        if owner is not None and owner.traced.weight:
            if owner.traced.type == type_of(tensor):
                return self.adopt(tensor, owner.traced)
            made = Traced(type_of(tensor))
            regions = {"held": region_of(owner.tensor), "wanted": region_of(tensor)}
            self._note("costcalc::part", {"self": owner.traced, **regions}, made)
            return self.adopt(tensor, made)
        made = Traced(type_of(tensor))
        self._note("costcalc::constant", {"numbers": self._numbers(tensor)}, made)
        return self.adopt(tensor, made)

    def _catch_up(self, entry: AliasEntry, tensor: Tensor) -> None:
        """Apply the writes that ``tensor`` has not seen."""
        assert entry.writes is not None
        mine = region_of(tensor)
        for written, region in entry.writes[entry.seen :]:
            if region == mine:
                entry.traced = written
            elif not written.type.size or _apart(mine, region):
                continue
            elif written.type.size < tensor.numel():  # type: ignore[operator]
                made = Traced(type_of(tensor))
                self._note(
                    "costcalc::overwrite", {"self": entry.traced, "part": written, "held": mine, "wanted": region}, made
                )
                entry.traced = made
            else:
                made = Traced(type_of(tensor))
                self._note("costcalc::part", {"self": written, "held": region, "wanted": mine}, made)
                entry.traced = made
        entry.seen = len(entry.writes)


def storage_of(tensor: Tensor) -> int:
    """Which memory ``tensor`` is in; a sparse one, which is in several, in one of its own."""
    if tensor.layout is not torch.strided:
        return -id(tensor)
    storage: int = tensor.untyped_storage()._cdata
    return storage


def region_of(tensor: Tensor) -> StorageRegion:
    """Which elements of its storage ``tensor`` holds."""
    offset: Any = tensor.storage_offset()
    return StorageRegion(offset, tuple(tensor.shape), tensor.stride())


def _apart(a: StorageRegion, b: StorageRegion) -> bool:
    """Whether two views of one storage certainly have no element in common."""
    (first_a, last_a), (first_b, last_b) = _reach(a), _reach(b)
    if last_a < first_b or last_b < first_a:
        return True
    strides = sorted({s for p in (a, b) for s, n in zip(p.stride, p.shape, strict=True) if n > 1}, reverse=True)
    box_a, box_b = _box(a, strides), _box(b, strides)
    if box_a is None or box_b is None:
        return False
    pairs = zip(box_a, box_b, strict=True)
    return any(at_a + n_a <= at_b or at_b + n_b <= at_a for (at_a, n_a), (at_b, n_b) in pairs)


def _reach(region: StorageRegion) -> tuple[int, int]:
    """The first and the last element of a view."""
    far = sum((n - 1) * s for n, s in zip(region.shape, region.stride, strict=True))
    return region.offset, region.offset + far


def _box(region: StorageRegion, strides: list[int]) -> list[tuple[int, int]] | None:
    """Where a view starts and how many elements it has, by each of ``strides``; None where it runs over one."""
    sizes = {s: n for s, n in zip(region.stride, region.shape, strict=True) if n > 1}
    found, rest, room = [], region.offset, None
    for stride in strides:
        start, n = rest // stride if stride else 0, sizes.get(stride, 1)
        if room is not None and (start + n) * stride > room:
            return None
        found.append((start, n))
        rest, room = rest % stride if stride else rest, stride
    return found
