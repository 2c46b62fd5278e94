"""What PyTorch's kernels make beside their results, against the allocator of a real run on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from costcalc.frontends.torch.memory_run import run_of  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.planning.eager import jobs, seen  # noqa: E402
from costcalc.planning.sizes import ValueSizes  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of profiling


class Calls(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def most_made(module: nn.Module, x: Tensor) -> int:
    """The most bytes that are there at once during a call, without its input."""
    with torch.no_grad():
        module(x)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
            module(x)
    now = most = 0
    found = [e for e in run.profiler.kineto_results.events() if e.name() == "[memory]"]  # type: ignore[union-attr]
    for event in sorted(found, key=lambda e: e.start_ns()):  # type: ignore[no-any-return]
        now += event.nbytes()
        most = max(most, now)
    return most


CASES: dict[str, tuple[Callable[[Tensor], Any], tuple[int, ...]]] = {
    "max pooling of one axis": (nn.MaxPool1d(2), (1, 4, 16)),
    "of one axis, with padding": (lambda x: F.max_pool1d(x, 3, 2, 1), (2, 3, 17)),
    "of one axis, by torch's own name": (lambda x: torch.max_pool1d(x, 2), (4, 16)),
    "of two axes": (nn.MaxPool2d(2), (1, 4, 16, 8)),
    "of two axes, of which one is not pooled": (nn.MaxPool2d((1, 2)), (1, 4, 1, 16)),
    "of three axes": (nn.MaxPool3d(2), (1, 2, 4, 4, 4)),
    "of one axis, adaptive": (nn.AdaptiveMaxPool1d(4), (1, 4, 16)),
    "of one axis, with its indices": (lambda x: F.max_pool1d(x, 2, return_indices=True), (1, 4, 16)),
    "sorted": (lambda x: x.sort(-1), (8, 100)),
    "sorted along the first axis": (lambda x: x.sort(0), (8, 100)),
    "the places of an order": (lambda x: x.argsort(1), (8, 100)),
    "the largest": (lambda x: x.topk(5, 1), (8, 100)),
    "the k-th value": (lambda x: x.kthvalue(3, -1), (8, 100)),
    "the k-th value along the first axis": (lambda x: x.kthvalue(3, 0), (8, 10)),
    "a median": (lambda x: x.median(-1), (8, 100)),
    "a median along a middle axis": (lambda x: x.median(1), (4, 6, 10)),
    "a median without what is no number": (lambda x: x.nanmedian(0), (4, 6, 10)),
    "the most frequent": (lambda x: x.mode(0), (8, 10)),
    "a running extreme": (lambda x: x.cummax(1), (8, 10)),
}


@pytest.mark.parametrize("case", CASES)
def test_peaks_know_what_kernels_make(case: str) -> None:
    """Of a run of the module, and by the rule for specs: to the byte."""
    function, size = CASES[case]
    module = function if isinstance(function, nn.Module) else Calls(function)
    x = torch.rand(size)
    made = most_made(module, x)
    tensors, kernels = seen(run_of(module, (size,), {}), None)[1:]
    at_once = max(sum(t.bytes for t in tensors if t.first <= step <= t.last) for step in range(len(tensors)))
    assert at_once - x.nbytes <= made <= kernels - x.nbytes <= made + made // 16
    steps = jobs(ValueSizes(trace(module, size), None)).steps
    assert sum(b for step in steps for _, b in step.makes) + sum(step.scratch for step in steps) == made
