"""The memory in which PyTorch's operators return their results, on the CPU and as a run without values has it.

    python benchmarks/memory_operators.py

Each operator is run on samples that PyTorch has of it for its own tests (at most twelve, float32), without gradients,
with values and without. Told are the operators of which a result is a part of a larger storage, and those whose
storages have other sizes in the two runs once ``returned`` has had its say. Needs expecttest, which PyTorch's own
tests do.
"""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

sys.path.insert(0, str(Path(__file__).parents[1]))

from costcalc.frontends.torch.kernel_workspace import returned

SAMPLES = 12


class Storages(TorchDispatchMode):
    """While entered, notes each new storage by its operator: its bytes, and those of the tensor that came with it.

    told   ask ``returned`` for the bytes, as a run without values does
    """

    def __init__(self, given: list[Tensor], *, told: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: list[tuple[str, int, int]] = []
        self._known = {t.untyped_storage()._cdata for t in given}
        self._kept: list[Tensor] = []
        self._told = told

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        for tensor in tree_leaves(result):
            if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
                continue
            storage = tensor.untyped_storage()
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                self._kept.append(tensor)
                size = returned(func, args, kwargs, tensor) if self._told else storage.nbytes()
                self.made.append((func._schema.name, size, tensor.numel() * tensor.element_size()))
        return result


def without_values(sample: Any) -> Any:
    """The arguments of ``sample`` as tensors without values on the CPU, what was one tensor as one."""
    known: dict[int, Tensor] = {}

    def one(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if not value.is_floating_point() and not value.is_complex():
            known[id(value)] = value
        return known.setdefault(
            id(value), torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cpu")
        )

    return tree_map(one, sample)


def tensors(value: Any) -> list[Tensor]:
    """The tensors in it."""
    return [t for t in tree_leaves(value) if isinstance(t, Tensor)]


def both(function: Any, sample: Any) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """The storages that a run makes, and one without values."""
    first, args, kwargs = sample
    with torch.no_grad(), Storages(tensors(sample), told=False) as real:
        function(first, *args, **kwargs)
    with FakeTensorMode(allow_fallback_kernels=False, allow_non_fake_inputs=True):
        first, args, kwargs = faked = without_values(sample)
        whole = [t for t in tensors(sample) if not t.is_floating_point()]
        with torch.no_grad(), Storages([*tensors(faked), *whole], told=True) as fake:
            function(first, *args, **kwargs)
    return real.made, fake.made


def main() -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    from torch.testing._internal.common_methods_invocations import op_db

    tried, larger = 0, Counter[str]()
    other: dict[str, tuple[int, int]] = {}
    for operator in op_db:
        if torch.float32 not in operator.supported_dtypes("cpu"):
            continue
        try:
            samples = list(operator.sample_inputs("cpu", torch.float32, requires_grad=False))[:SAMPLES]
        except Exception:
            continue
        for one in samples:
            try:
                real, fake = both(operator.op, (one.input, one.args, one.kwargs))
            except Exception:
                continue  # it asks for values, or has no rule without them
            tried += 1
            larger.update({name for name, size, needed in real if size > needed})
            sizes = [sorted(made[:2] for made in run if made[1]) for run in (real, fake)]
            views = {name for name, *_ in fake} - {name for name, *_ in real}  # of what is given as it is
            if sizes[0] != [one for one in sizes[1] if one[0] not in views]:
                other[operator.name] = sum(s for _, s in sizes[0]), sum(s for _, s in sizes[1])
    print(f"torch {torch.__version__}: {tried} samples of {len(op_db)} operators")
    print("a result is a part of a larger storage:", dict(larger))
    print("bytes with values and without, where they differ:", other)


if __name__ == "__main__":
    main()
