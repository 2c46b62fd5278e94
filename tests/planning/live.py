"""What a real run of PyTorch holds, counted while it runs: for the tests, and for the benchmarks of memory."""

from __future__ import annotations

import gc
import json
import tempfile
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

IN_PLACE = {
    torch.ops.aten.scatter.src: torch.ops.aten.scatter_.src,
    torch.ops.aten.scatter_add.default: torch.ops.aten.scatter_add_.default,
    torch.ops.aten.index_add.default: torch.ops.aten.index_add_.default,
}
"""What puts gradients into zeros while a mode is on, and what does so else (torch 2.13, ``areAnyTensorSubclassLike`` in
``FunctionsManual.cpp``); ``test_training`` asks the profiler."""


class Live(TorchDispatchMode):
    """The bytes of all storages that are made while it is open and not let go of, and the most of them.

    given   tensors that were there before, whose storages are not counted
    held    bytes to count from the start
    """

    def __init__(self, given: Iterable[torch.Tensor], held: int = 0) -> None:
        super().__init__()
        self.known = {t.untyped_storage()._cdata for t in given}
        self.now = self.most = held

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.add.Tensor and torch._C._current_autograd_node() is not None and alone(*args):
            func = torch.ops.aten.add_.Tensor  # as autograd adds gradients where no mode is on
        elif torch._C._current_autograd_node() is not None:
            func = IN_PLACE.get(func, func)  # into zeros, which nobody else holds
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.known:
                storage = tensor.untyped_storage()
                self.known.add(storage._cdata)
                self.now += storage.nbytes()
                weakref.finalize(storage, self.died, storage._cdata, storage.nbytes())
        self.most = max(self.most, self.now)
        return made

    def died(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def alone(gradient: Any, other: Any = None) -> bool:
    """Whether nobody but autograd holds ``gradient``, to which ``other`` is added, so that it is added in place.

    Autograd does not do so while a dispatch mode is on, as this one is; ``test_training`` asks the profiler what it
    does without one. Besides autograd the call and Python hold a tensor while they ask, and Python its storage.
    """
    if torch.is_grad_enabled():  # a forward pass that is done again
        return False
    if not isinstance(gradient, torch.Tensor) or not isinstance(other, torch.Tensor) or gradient.shape != other.shape:
        return False
    storage = gradient.untyped_storage()
    whole = gradient.numel() * gradient.element_size() == storage.nbytes()
    return whole and gradient._use_count() <= 4 and torch._C._storage_Use_Count(storage._cdata) <= 2


def allocated(run: Callable[[], Any]) -> int:
    """The most bytes that PyTorch's allocator has given out at once during ``run``, as the profiler has it.

    Nobody watches autograd, but what kernels take for themselves is in it.
    """
    gc.collect()
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profile:
        run()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        profile.export_chrome_trace(file.name)
        events = json.loads(Path(file.name).read_text())["traceEvents"]
    there: dict[int, int] = {}
    now = most = 0
    for event in sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"]):
        size, address = event["args"]["Bytes"], event["args"]["Addr"]
        if size > 0:
            there[address] = size
            now += size
        else:
            now -= there.pop(address, 0)
        most = max(most, now)
    return most
