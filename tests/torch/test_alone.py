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


class Draws(nn.Module):
    """Asks for values, so that it is run for real, and draws random numbers in every way."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            return x
        torch.manual_seed(3)
        x = nn.functional.dropout(self.linear(x), 0.5, training=True) + torch.randn(4)
        x = x + torch.empty(4).uniform_() + torch.bernoulli(torch.full((4,), 0.5)) + torch.randperm(4)
        with torch.random.fork_rng(devices=[]):
            torch.seed()
        return x


def test_a_trace_draws_nothing_from_the_process_and_rewinds_nothing() -> None:
    inside, done = threading.Event(), threading.Event()
    model = nn.Sequential(Draws(), Calls(lambda: (inside.set(), done.wait(WAIT))))
    torch.manual_seed(5)
    alone = torch.rand(3).tolist(), torch.rand(3).tolist()
    torch.manual_seed(5)

    def draw() -> object:
        try:
            assert inside.wait(WAIT)
            return torch.rand(3).tolist()
        finally:
            done.set()

    figures, first = in_threads(lambda: macs(model, (1, 4)), draw)
    assert (figures, first, torch.rand(3).tolist()) == (16 + 8, *alone)


def test_building_without_weights_draws_nothing_from_the_process() -> None:
    from costcalc.frontends.torch.build import built

    before = torch.get_rng_state()

    def make() -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(3, 2), nn.Embedding(4, 2))

    assert built(make)[0].weight.shape == (2, 3)
    assert torch.equal(torch.get_rng_state(), before)


def settings() -> list[object]:
    from costcalc.frontends.torch.settings import SETTINGS

    read = [get() for get, _ in SETTINGS]
    backends = torch.backends
    return [
        *read,
        (backends.cudnn.benchmark, backends.cudnn.deterministic, torch.is_anomaly_enabled(), torch.get_num_threads()),
        (torch.get_default_dtype(), torch.get_default_device(), torch.are_deterministic_algorithms_enabled()),
        (torch.get_float32_matmul_precision(), backends.cuda.math_sdp_enabled(), torch.is_grad_enabled()),
        torch.get_autocast_dtype("cpu"),
        (torch._C._is_multithreading_enabled(), torch.sparse.check_sparse_tensor_invariants.is_enabled()),
        backends.quantized.engine,
    ]


def test_settings_that_a_forward_changes_are_put_back() -> None:
    def change() -> None:
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        torch.backends.cudnn.deterministic = True
        torch.autograd.set_detect_anomaly(True)
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("medium")
        torch.backends.cuda.enable_math_sdp(False)
        torch.backends.mha.set_fastpath_enabled(False)
        torch.set_autocast_dtype("cpu", torch.float16)
        torch.autograd.set_multithreading_enabled(False)
        torch.sparse.check_sparse_tensor_invariants.enable()
        engines = [engine for engine in torch.backends.quantized.supported_engines if engine != "none"]
        torch.backends.quantized.engine = engines[-1]
        torch.set_grad_enabled(True)

    def fail() -> None:
        change()
        raise ValueError("on purpose")

    before = settings()
    assert macs(Calls(change), (1, 4)) == 8
    assert settings() == before
    with pytest.raises(CostcalcError, match="on purpose"):
        macs(Calls(fail), (1, 4))
    assert settings() == before


def test_inside_modes_of_torch() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    real = inner()
    with FakeTensorMode():
        assert macs(real, (1, 10)) == INNER
        fake = inner()
        assert macs(fake, torch.zeros(2, 10)) == 2 * INNER
    assert macs(fake, (1, 10)) == INNER
    with torch.inference_mode():
        assert macs(real, (1, 10)) == macs(real, torch.zeros(1, 10)) == macs(inner(), (1, 10)) == INNER
    real(torch.ones(1, 10)).sum().backward()  # its weights are still such that training can use them
    with torch.device("meta"):
        assert macs(real, (1, 10)) == macs(inner(), (1, 10)) == INNER
    with torch.autocast("cpu", torch.bfloat16):
        assert macs(real, (1, 10)) == INNER and torch.is_autocast_enabled("cpu")


def test_a_fake_model_that_asks_for_values_is_told_so() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        model = Draws()
    with pytest.raises(CostcalcError, match="value"):
        macs(model, (1, 4))


def test_inside_transforms_of_functions() -> None:
    model, figures = inner(), []

    def plain(x: Tensor) -> Tensor:
        figures.append(macs(model, (1, 10)))
        return x.sum()

    def of_its_own(x: Tensor) -> Tensor:
        macs(model, x)
        return x.sum()

    assert torch.func.vmap(plain)(torch.ones(3, 2)).tolist() == [2, 2, 2]
    assert torch.func.grad(plain)(torch.ones(2)).tolist() == [1, 1]
    assert figures == [INNER, INNER]
    for transform in (torch.func.vmap, torch.func.grad):
        with pytest.raises(CostcalcError, match="transform of torch"):
            transform(of_its_own)(torch.ones(1, 10))


def test_inside_code_that_torch_compiles() -> None:
    model = inner()

    @torch.compile(backend="eager")
    def compiled(x: Tensor) -> Tensor:
        return x * macs(model, (1, 10))

    assert compiled(torch.ones(2)).tolist() == [INNER, INNER]


def test_the_witnesses_of_verify_wait_for_a_trace_and_leave_others_their_fast_path() -> None:
    from costcalc.verification.run import unfused

    other = []
    with unfused(nn.Linear(2, 2)):
        assert not torch.backends.mha.get_fastpath_enabled()
        other = in_threads(torch.backends.mha.get_fastpath_enabled)
    assert other == [True] and torch.backends.mha.get_fastpath_enabled()


def test_what_the_compiler_learns_of_torch_during_a_trace_is_true() -> None:
    from torch._dynamo import trace_rules

    trace_rules.get_torch_obj_rule_map.cache_clear()
    assert macs(Calls(trace_rules.get_torch_obj_rule_map), (1, 4)) == 8
    assert torch.backends.mha.get_fastpath_enabled in trace_rules.get_torch_obj_rule_map()
    assert torch.set_autocast_enabled in trace_rules.get_torch_obj_rule_map()
