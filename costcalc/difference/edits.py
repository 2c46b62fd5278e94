"""The places where a user changed options or inputs, in the order in which a diff applies them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.difference.entries import Entry, own_chain
from costcalc.errors import Location
from costcalc.ir.op import ROLES
from costcalc.ir.tensor import TensorType

KINDS = (ROLES[0], "batch", "input", *ROLES[1:])
"""The order in which causes are applied; then the layers that are on one side only."""
INPUT_KINDS = KINDS[:3]

MOST_STEPS = 40
"""Past this many places that changed, one kind is one step."""


class Edit(NamedTuple):
    """One change that a user made to one layer or input: old index, what kind, which options."""

    at: int
    kind: str
    options: tuple[tuple[str, Any, Any], ...]


def option_changes(old: Entry, new: Entry) -> tuple[tuple[str, Any, Any], ...]:
    """(option, old, new) for those that differ between two uses of an op."""
    if old.node is None or new.node is None or old.op != new.op:
        return ()
    before, after = old.node.op.__dict__, new.node.op.__dict__
    return tuple((name, before[name], after[name]) for name in before if before[name] != after.get(name))


def width_of_input(old: Entry, new: Entry) -> dict[str, Any]:
    """The new options of a layer with a group for each input channel, before and after."""
    if old.node is None or new.node is None:
        return {}
    before, after = old.node.op.__dict__, new.node.op.__dict__
    width = next((name for name in before if old.node.op.role(name) == "width"), "")
    if not width or "groups" not in before or before["groups"] == after["groups"]:
        return {}
    depthwise = before["groups"] == old.takes[0].shape[1] and after["groups"] == new.takes[0].shape[1]
    if not depthwise or before[width] * after["groups"] != after[width] * before["groups"]:
        return {}
    return {"groups": after["groups"], width: after[width]}


def find_edits(index: int, old: Entry, new: Entry, follows: dict[str, Any]) -> Iterator[Edit]:
    if old.node is None:
        (a,), (b,) = old.makes, new.makes
        yield from (Edit(index, kind, (change,)) for kind, change in _input_changes(a, b, old.last))
        return
    changed = option_changes(old, new)
    kinds = {name: old.node.op.role(name) for name, *_ in changed}
    for leader in ("kernel", "dilation"):
        if leader in kinds and kinds.get("padding") == "padding":
            kinds["padding"] = kinds[leader]
    for kind in KINDS:
        own = tuple(change for change in changed if kinds[change[0]] == kind and change[0] not in follows)
        if own:
            yield Edit(index, kind, own)


def _input_changes(a: TensorType, b: TensorType, last: bool) -> Iterator[tuple[str, tuple[str, Any, Any]]]:
    if a == b:
        return
    if len(a.shape) != len(b.shape) or a.dtype != b.dtype:
        yield "input", ("type", f"{a.dtype} {a}", f"{b.dtype} {b}")
        return
    channels, size = _axes_of_input(len(a.shape), last)
    if a.shape[size] != b.shape[size]:
        yield "resolution", ("size", "×".join(map(str, a.shape[size])), "×".join(map(str, b.shape[size])))
    if a.shape[0] != b.shape[0]:
        yield "batch", ("batch", a.shape[0], b.shape[0])
    if a.shape[channels] != b.shape[channels]:
        yield "input", ("channels", a.shape[channels][0], b.shape[channels][0])


def _axes_of_input(axes: int, last: bool) -> tuple[slice, slice]:
    """Which of so many axes are the channels, and which the size: images have their channels before it, or ``last``."""
    if last and axes > 2:
        return slice(axes - 1, axes), slice(1, axes - 1)
    first = 2 if axes > 3 else 1
    return slice(1, first), slice(first, axes)


def in_steps(
    edits: list[Edit], new: list[Entry], partner: dict[int, int]
) -> Iterator[tuple[Location | None, list[Edit]]]:
    """The edits in the order in which they are applied, those of one kind that one line asks for together."""
    asked = _Lines(edits, new, partner)
    # A layer without inputs, such as a table of positions, has its size from the others: it goes with the first step.
    sources = [edit for edit in edits if edit.kind == "options" and not new[partner[edit.at]].inputs]
    leading = [edit for edit in edits if edit.kind != "options" or new[partner[edit.at]].inputs]
    groups: dict[tuple[int, str], tuple[Location | None, list[Edit]]] = {}
    for edit in leading or sources:
        location = asked.line_of(edit)
        line = location.short if location else new[partner[edit.at]].name
        groups.setdefault((KINDS.index(edit.kind), line), (location, []))[1].append(edit)
    if len(groups) > MOST_STEPS:
        merged: dict[tuple[int, str], tuple[Location | None, list[Edit]]] = {}
        for (kind, _), (location, group) in groups.items():
            merged.setdefault((kind, ""), (location, []))[1].extend(group)
        groups = merged
    steps = [step for _, step in sorted(groups.items(), key=lambda item: item[0][0])]
    if leading and sources:
        steps[0][1].extend(sources)
    yield from steps


class _Lines:
    """Which line asked for a change, where a layer stands in a block that other layers come from too.

    It is the innermost line of which every layer of that op changed in the same way; else the outermost
    of which every one changed in that kind of option; else the outermost.
    """

    def __init__(self, edits: list[Edit], new: list[Entry], partner: dict[int, int]) -> None:
        self._entries = {edit.at: new[partner[edit.at]] for edit in edits}
        self._layers: dict[tuple[str, str], int] = {}
        self._same: dict[tuple[str, str, Any], int] = {}
        for entry in new:
            for location in own_chain(entry.location):
                key = entry.op, location.short
                self._layers[key] = self._layers.get(key, 0) + 1
        for edit in edits:
            entry = self._entries[edit.at]
            for location in own_chain(entry.location):
                for way in (edit.options, edit.kind):
                    same = entry.op, location.short, way
                    self._same[same] = self._same.get(same, 0) + 1

    def line_of(self, edit: Edit) -> Location | None:
        entry = self._entries[edit.at]
        chain = own_chain(entry.location)

        def everywhere(location: Location, way: Any) -> bool:
            return self._same[entry.op, location.short, way] == self._layers[entry.op, location.short]

        same = (location for location in chain if everywhere(location, edit.options))
        kind = (location for location in reversed(chain) if everywhere(location, edit.kind))
        return next(same, None) or next(kind, None) or (chain[-1] if chain else None)


def to_apply(
    group: list[Edit], old: list[Entry], new: list[Entry], partner: dict[int, int]
) -> tuple[dict[int, TensorType], dict[int, dict[str, Any]]]:
    inputs: dict[int, TensorType] = {}
    options: dict[int, dict[str, Any]] = {}
    for edit in group:
        if old[edit.at].node is not None:
            options.setdefault(edit.at, {}).update((name, value) for name, _, value in edit.options)
            continue
        a, b = old[edit.at].makes[0], new[partner[edit.at]].makes[0]
        if len(a.shape) != len(b.shape):
            inputs[edit.at] = b
            continue
        channels, size = _axes_of_input(len(a.shape), old[edit.at].last)
        # Resolution comes first, then batch, then the rest; each keeps what those before it changed.
        done = KINDS.index(edit.kind)
        shape = list(a.shape)
        shape[size] = b.shape[size]
        if done >= KINDS.index("batch"):
            shape[0] = b.shape[0]
        if done >= KINDS.index("input"):
            shape[channels] = b.shape[channels]
        inputs[edit.at] = TensorType(tuple(shape), b.dtype if edit.kind == "input" else a.dtype)
    return inputs, options
