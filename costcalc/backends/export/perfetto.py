"""The schedule as a trace in Chrome's JSON, which Perfetto shows: layers in their order, each as long as the roofline
says, below the blocks that they are in; counters of live bytes and of bandwidth.

Source: "Trace Event Format", the document that Chrome's own viewer names; times are in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import nextafter
from typing import Any

from costcalc.analysis.liveness import liveness
from costcalc.analysis.records import Layer, Report
from costcalc.analysis.storage import Storage
from costcalc.backends.escape import json
from costcalc.backends.export import Exported
from costcalc.backends.export.metrics import bytes_of, number
from costcalc.classes import NamedTuple
from costcalc.ir.dims import Dim

MICROSECONDS = 1e6
PROCESS = 1
LAYERS, BLOCKS = 1, 2
"""Threads: of layers, and of the first of the rows of blocks, a row for each depth."""


class TraceSlice(NamedTuple):
    """A layer from one second to another."""

    layer: Layer
    start: float
    end: float


def write(exported: Exported) -> str:
    """JSON, an event a line."""
    exported.say_uncounted()
    exported.say_unset()
    events = (json(event) for event in _events(exported))
    assert exported.machine is not None  # the table of formats says that it is needed
    head = json({"model": exported.graph.name, "machine": exported.machine.title})
    body = ",\n".join(events)
    return f'{{"displayTimeUnit": "ns", "otherData": {head}, "traceEvents": [\n{body}\n]}}\n'


def spans(report: Report) -> list[TraceSlice]:
    """The layers that take time, one after the other; those that are made beforehand take none."""
    found: list[TraceSlice] = []
    now = 0.0
    for layer in report.layers:
        if layer.time is None or not layer.time.seconds or layer.prepared is not None:
            continue
        found.append(TraceSlice(layer, now, now + layer.time.seconds))
        now += layer.time.seconds
    return found


def _events(exported: Exported) -> Iterator[dict[str, Any]]:
    report, graph = exported.report, exported.graph
    timed = spans(report)
    assert exported.machine is not None  # the table of formats says that it is needed
    yield _called("process_name", LAYERS, f"{report.name} on {exported.machine.title}, by the roofline")
    yield _called("thread_name", LAYERS, "layers")
    held = liveness(graph, Storage(graph, exported.bits)).held
    open_blocks: list[tuple[str, float]] = []
    deepest = 0
    for span in timed:
        path = span.layer.name.split(".")[:-1]
        wanted = [".".join(path[: i + 1]) for i in range(len(path))]
        same = 0
        while same < min(len(wanted), len(open_blocks)) and wanted[same] == open_blocks[same][0]:
            same += 1
        yield from _closed(open_blocks, same, span.start)
        open_blocks += [(name, span.start) for name in wanted[same:]]
        deepest = max(deepest, len(open_blocks))
        yield _layer(span)
        yield _counter("live activations (bytes)", span.start, bytes_of(held[span.layer.name]))
        moved = bytes_of(span.layer.amounts["read"] + span.layer.amounts["write"])
        yield _counter("bandwidth (bytes/s)", span.start, moved / (span.end - span.start))
    end = timed[-1].end if timed else 0.0
    yield from _closed(open_blocks, 0, end)
    yield _counter("live activations (bytes)", end, 0)
    yield _counter("bandwidth (bytes/s)", end, 0)
    for depth in range(deepest):
        yield _called("thread_name", BLOCKS + depth, f"blocks, level {depth + 1}")


def _closed(blocks: list[tuple[str, float]], kept: int, now: float) -> Iterator[dict[str, Any]]:
    """The blocks that end now, all but the first ``kept``, which are taken from the list."""
    while len(blocks) > kept:
        name, start = blocks.pop()
        yield _span(BLOCKS + len(blocks), name, "block", start, now, {})


def _layer(span: TraceSlice) -> dict[str, Any]:
    layer = span.layer
    assert layer.time is not None  # or it were no span
    about = {
        "op": layer.op, "bound": layer.time.bound, "macs": _exact(_number(layer.amounts["macs"])),
        "ops": _exact(_number(layer.amounts["ops"])),
        "read bytes": bytes_of(layer.amounts["read"]), "written bytes": bytes_of(layer.amounts["write"]),
        "output": " ".join("×".join(map(str, shape)) for shape in layer.output_shapes),
    }  # fmt: skip
    return _span(LAYERS, layer.name, layer.kind, span.start, span.end, about)


def _span(thread: int, name: str, kind: str, start: float, end: float, about: dict[str, Any]) -> dict[str, Any]:
    at, until = start * MICROSECONDS, end * MICROSECONDS
    took = nextafter(until, at) - at
    while took and at + took >= until:  # readers add them, and some take what begins as this ends for a part of it
        took = nextafter(took, 0.0)
    times = {"ts": at, "dur": took}
    return {"ph": "X", "pid": PROCESS, "tid": thread, "name": name, "cat": kind, **times, "args": about}


def _counter(name: str, at: float, value: float) -> dict[str, Any]:
    return {"ph": "C", "pid": PROCESS, "name": name, "ts": at * MICROSECONDS, "args": {"value": value}}


def _called(what: str, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": PROCESS, "tid": thread, "name": what, "args": {"name": name}}


def _exact(number: int) -> int | str:
    """``number``, as text where a viewer's number would not have all its digits."""
    return number if number < 1 << 53 else str(number)


def _number(value: Dim) -> int:
    return number(value, "a trace")
