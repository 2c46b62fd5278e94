"""What a real run of PyTorch holds, counted while it runs: for the tests, and for the benchmarks of memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


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
