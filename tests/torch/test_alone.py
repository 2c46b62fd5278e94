"""Traces in several threads, inside one another, in modes and after a fork: right figures, and torch left as it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costcalc
from costcalc.errors import CostcalcError

INNER = 10 * 6  # MACs of the linear layer below, for one row
WAIT = 20.0
"""Seconds after which a thread that does not come gives up."""


def inner() -> nn.Module:
    return nn.Sequential(nn.Linear(10, 6), nn.ReLU())


class Calls(nn.Module):
    """A linear layer, whose forward calls a function before and after."""

    def __init__(self, before: Callable[[], object], after: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.linear, self.called = nn.Linear(4, 2), (before, after)

    def forward(self, x: Tensor) -> Tensor:
        before, after = self.called
        before()
        made: Tensor = self.linear(x)
        after()
        return made


def macs(model: nn.Module, *inputs: Any) -> int:
    total: Any = costcalc.analyze(model, *inputs).total
    return int(total.macs)


def in_threads(*works: Callable[[], object]) -> list[object]:
    """What each of ``works`` returns or raises, all run at once."""
    made: list[object] = [None] * len(works)

    def run(i: int) -> None:
        try:
            made[i] = works[i]()
        except BaseException as error:
            made[i] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)
    return made


def replaced() -> tuple[object, ...]:
    """What a trace replaces."""
    return (
        nn.Module.__call__,
        torch.set_autocast_enabled,
        vars(torch.Tensor).get("__getitem__"),
        vars(torch.Tensor).get("__setitem__"),
        torch.backends.mha.get_fastpath_enabled,
        torch.backends.mha.get_fastpath_enabled(),
        torch.get_default_dtype(),
    )


def test_traces_that_overlap_leave_torch_as_it_was() -> None:
    before = replaced()
    begun, asked = threading.Event(), threading.Event()

    # The second asks to begin while the first is inside; where both could be, the first would leave first.
    first = Calls(lambda: (begun.set(), asked.wait(WAIT)))
    second = Calls(lambda: None)
    model = nn.Sequential(first)

    def later() -> int:
        assert begun.wait(WAIT)
        threading.Timer(0.2, asked.set).start()
        return macs(second, (3, 4))

    assert in_threads(lambda: macs(model, (1, 4)), later) == [8, 24]
    assert replaced() == before
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.is_autocast_enabled("cpu")
        assert nn.Linear(4, 2)(torch.ones(1, 4)).dtype == torch.bfloat16
    assert all(m.training for m in (*first.modules(), *second.modules()))


def test_many_traces_of_one_model_at_once() -> None:
    model, before = Calls(lambda: None), replaced()
    together = threading.Barrier(8, timeout=WAIT)

    def trace() -> int:
        together.wait()
        return sum(macs(model, (1, 4)) for _ in range(5))

    assert in_threads(*[trace] * 8) == [40] * 8
    assert replaced() == before and all(m.training for m in model.modules())


def test_steps_of_other_threads_are_as_ever_while_one_traces() -> None:
    inside, done = threading.Event(), threading.Event()
    model = Calls(lambda: (inside.set(), done.wait(WAIT)))
    encoder = nn.TransformerEncoderLayer(8, 2, 8, batch_first=True).eval()

    def step() -> tuple[object, ...]:
        try:
            assert inside.wait(WAIT)
            with torch.autocast("cpu", torch.bfloat16):
                cast = nn.Linear(4, 2)(torch.ones(1, 4)).dtype
            x = torch.arange(6.0, requires_grad=True)
            x[[0, 2]].sum().backward()
            with torch.profiler.profile() as seen, torch.no_grad():
                encoder(torch.ones(1, 3, 8))
            fast = any("_transformer_encoder_layer_fwd" in str(e.name) for e in seen.events() or ())
            return cast, x.grad.tolist(), fast, torch.backends.mha.get_fastpath_enabled()  # type: ignore[union-attr]
        finally:
            done.set()

    assert in_threads(lambda: macs(model, (1, 4)), step) == [
        8,
        (torch.bfloat16, [1, 0, 1, 0, 0, 0], True, True),
    ]


def test_a_trace_inside_a_trace_has_its_own_figures() -> None:
    seen = []
    model = Calls(lambda: seen.append(macs(inner(), (1, 10))), lambda: seen.append(macs(inner(), (2, 10))))
    report = costcalc.analyze(model, (1, 4))
    assert (report.total.macs, seen) == (8, [INNER, 2 * INNER])
    assert [row.name for row in report.layers] == ["linear"]


def test_a_trace_of_a_part_inside_a_trace_and_one_that_fails() -> None:
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ x

    def fails() -> None:
        with pytest.raises(CostcalcError):
            costcalc.trace(Fails(), (2, 3))

    model = Calls(lambda: seen.append(macs(model.linear, (5, 4))), fails)
    seen: list[int] = []
    assert macs(model, (1, 4)) == 8 and seen == [40]


def test_a_forward_that_asks_fvcore() -> None:
    counts = pytest.importorskip("fvcore.nn")
    seen = []

    def ask() -> None:
        analysis = counts.FlopCountAnalysis(inner(), torch.zeros(1, 10)).unsupported_ops_warnings(False)
        seen.append(analysis.total())

    assert macs(Calls(ask), (1, 4)) == 8 and seen == [INNER]


def test_counters_around_a_trace_count_nothing_of_it() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        assert macs(inner(), (1, 10)) == INNER
        inner()(torch.zeros(1, 10))
    assert counter.get_total_flops() == 2 * INNER
    beside = inner()
    graph = torch.jit.trace(Calls(lambda: macs(beside, (1, 10))), torch.zeros(1, 4)).inlined_graph  # type: ignore[no-untyped-call]
    assert str(graph).count("aten::") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize("elsewhere", [False, True], ids=["alone", "while another thread traces"])
def test_a_trace_in_a_forked_child(elsewhere: bool) -> None:
    inside, done = threading.Event(), threading.Event()
    model = Calls(lambda: (inside.set(), done.wait(WAIT)))
    before = replaced()
    tracing = threading.Thread(target=lambda: macs(model, (1, 4)), daemon=True)
    if elsewhere:
        tracing.start()
        assert inside.wait(WAIT)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            torch_is_whole = replaced() == before and all(m.training for m in model.modules())
            os.write(writing, f"{macs(inner(), (1, 10))} {torch_is_whole}".encode())
        finally:
            os._exit(0)
    done.set()
    os.close(writing)
    timer = threading.Timer(WAIT, os.kill, (child, 9))
    timer.start()
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    timer.cancel()
    if elsewhere:
        tracing.join(WAIT)
    assert said == f"{INNER} True"
