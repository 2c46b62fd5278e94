"""How ONNX Runtime plans the memory of a session's calls.

Buffers are chosen once, before anything runs. A call writes over an input that nothing needs any more, where its
kernel may; else it takes, of the buffers that nothing needs, the one given up last of exactly its shape and element
size, which then is held meanwhile; else a new one. The first run asks for each buffer when it is written and gives it
back after its last use; as it goes it notes down a plan of one block, each buffer at the tightest gap of those that
there are at that moment, and all later runs take that block at once. Results are the caller's, and what kernels need
for themselves lies beside.

Sources: onnxruntime 1.32.0, ``core/framework/allocation_planner.cc`` (ComputeSingleStreamReusePlan) and
``mem_pattern_planner.h`` (TraceAllocation).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from costcalc.planning.ort.calls import KernelCall, SessionCalls, Value
from costcalc.planning.records import ArenaTensor

ALIGNMENT = 64
"""Bytes to which the sizes of buffers in the block are rounded up."""


class Planned:
    """The buffers of ``session``, each with its first and last call.

    tensors   in the order in which they are asked for; results and working buffers among them
    beside    the names of those that do not lie in the block
    """

    def __init__(self, session: SessionCalls) -> None:
        self.buffer: dict[str, str] = {}
        """Value → the one whose buffer it uses."""
        self._choose(session)
        self.tensors: list[ArenaTensor] = []
        self.beside: set[str] = set()
        self._live(session)

    def _choose(self, session: SessionCalls) -> None:
        calls, buffer = session.calls, self.buffer
        results = {*session.outputs}
        needed = Counter(session.outputs)
        known: dict[str, Value] = {}
        for name in session.inputs:
            buffer[name] = name
            needed[name] += 1  # the caller's, so nothing is written over it
        for call in calls:
            needed.update(call.reads)
            needed.update(value.name for value in call.makes)
        free: list[str] = []

        def done(name: str) -> None:
            at = buffer[name]
            needed[at] -= 1
            if not needed[at] and at in known:
                free.insert(0, at)

        for call in calls:
            for i, value in enumerate(call.makes):
                known[value.name] = value
                buffer[value.name] = value.name
                if value.name in results:
                    continue
                old = self._old(call, value, known, needed, free) if i == 0 else _free(value, known, free)
                if old:
                    buffer[value.name] = buffer[old]
                    needed[buffer[old]] += needed[value.name]
            for name in call.reads:
                done(name)
            for value in call.makes:
                done(value.name)

    def _old(
        self, call: KernelCall, value: Value, known: dict[str, Value], needed: Counter[str], free: list[str]
    ) -> str:  # fmt: skip
        """The value in whose buffer ``value`` is put; "" if it gets a new one."""
        if call.shares:
            return call.reads[0]
        for name in call.over:
            old = known.get(name)
            if old is not None and needed[self.buffer[name]] == 1 and old[1:] == value[1:]:
                return name
        return _free(value, known, free)

    def _live(self, session: SessionCalls) -> None:
        calls, buffer = session.calls, self.buffer
        last: dict[str, int] = {}
        for i, call in enumerate(calls):
            for name in (*call.reads, *(v.name for v in call.makes)):
                last[buffer[name]] = i
        end = max(len(calls) - 1, 0)
        last.update((buffer[name], end) for name in session.outputs if name in buffer)
        results = {buffer[name] for name in session.outputs if name in buffer}
        for i, call in enumerate(calls):
            for value in call.makes:
                if buffer[value.name] == value.name:
                    self.tensors.append(ArenaTensor(value.name, value.bytes, i, last[value.name]))
                    if value.name in results:
                        self.beside.add(value.name)
            if call.scratch:
                name = f"{call.layer} (scratch)"
                self.tensors.append(ArenaTensor(name, call.scratch, i, i))
                self.beside.add(name)

    def placed(self) -> list[ArenaTensor]:
        """The tensors at their offsets in the block; those beside it are told behind its end."""
        offsets, top = _noted([t for t in self.tensors if t.name not in self.beside], ALIGNMENT)
        behind, _ = _noted([t for t in self.tensors if t.name in self.beside], 1)
        offsets.update((name, top + offset) for name, offset in behind.items())
        return [t._replace(offset=offsets[t.name]) for t in self.tensors]


def _free(value: Value, known: dict[str, Value], free: list[str]) -> str:
    """The buffer given up last that is of the shape and size of ``value``, taken from the list; "" if there is none."""
    if not value.shape:
        return ""
    found = next((name for name in free if known[name][1:] == value[1:]), "")
    if found:
        free.remove(found)
    return found


def _noted(tensors: Iterable[ArenaTensor], align: int) -> tuple[dict[str, int], int]:
    """The offsets that a plan has which is noted down while the tensors come and go, and the bytes that it takes."""
    offsets: dict[str, int] = {}
    there: list[tuple[int, int, int]] = []  # offset, end, last step
    top = 0
    for tensor in tensors:
        size = -(-tensor.bytes // align) * align
        there = [one for one in there if one[2] >= tensor.first]
        begin = behind = room = 0
        best = -1
        for start, end, _ in sorted((*there, (top, top, 0))):
            gap, behind = start - begin, begin
            if gap >= size and (best < 0 or gap < room):
                best, room = begin, gap
            begin = max(begin, end)
        offset = behind if best < 0 else best
        offsets[tensor.name] = offset
        there.append((offset, offset + size, tensor.last))
        top = max(top, offset + size)
    return offsets, top
