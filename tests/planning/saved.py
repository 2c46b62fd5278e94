"""What autograd keeps of one op in a real run, told as the rules tell it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from costcalc.ir.op import Op
from costcalc.ir.saved import Saves
from costcalc.ir.tensor import TensorType


def prepared(op: Op, types: Sequence[TensorType], wanted: Sequence[bool], trained: bool) -> Any:
    """The op's module, its inputs, which of these need a gradient, and whether a weight does; None where nothing."""
    module = op.to_torch(*types).train()
    module.requires_grad_(trained)
    inputs = [values(t, w) for t, w in zip(types, wanted, strict=True)]
    needed = tuple(t.requires_grad for t in inputs)
    weights = trained and any(True for _ in module.parameters())
    return (module, inputs, needed, weights) if any(needed) or weights else None


@contextmanager
def bytes_kept(model: nn.Module) -> Iterator[dict[int, int]]:
    """While open, the bytes of each storage that is kept for the backward pass, but of the model's own."""
    weights = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers())}
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            seen[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        yield seen


def kept(module: nn.Module, inputs: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], Counter[Any]]:
    """The results, and what the hooks see: ("input", i), ("output", i), or the bytes of what is there for that."""
    weights = {t.untyped_storage()._cdata for t in (*module.parameters(), *module.buffers())}
    seen: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        seen.setdefault(tensor.untyped_storage()._cdata, tensor.detach())
        return tensor.detach()

    with warnings.catch_warnings(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        warnings.simplefilter("ignore")
        made = [t for t in tree_leaves(module(*inputs)) if isinstance(t, torch.Tensor)]
    found: Counter[Any] = Counter()
    given = {t.untyped_storage()._cdata: i for i, t in reversed(list(enumerate(inputs)))}
    results = {t.untyped_storage()._cdata: i for i, t in reversed(list(enumerate(made)))}
    for key, tensor in seen.items():
        if key in weights:
            continue
        if key in given:
            found["input", given[key]] += 1
        elif key in results:
            found["output", results[key]] += 1
        else:
            found[tensor.untyped_storage().nbytes()] += 1
    return made, found


def told(saves: Saves) -> Counter[Any]:
    """What a rule says in the same words."""
    found: Counter[Any] = Counter({("input", i): 1 for i in saves.inputs})
    found.update(("output", i) for i in saves.outputs)
    found.update(int(t.bits()) // 8 for t in saves.maps if t.bits())  # type: ignore[arg-type]
    return found


def values(kind: TensorType, wanted: bool) -> torch.Tensor:
    """A tensor of that type in the middle of a graph, or without a gradient."""
    dtype = getattr(torch, kind.dtype)
    if not dtype.is_floating_point:
        return torch.zeros(tuple(kind.shape), dtype=dtype)  # type: ignore[arg-type]
    made = torch.rand(tuple(kind.shape), dtype=dtype)  # type: ignore[arg-type]
    return made.requires_grad_() + 0 if wanted else made


def both(op: Op, types: Sequence[TensorType], wanted: Sequence[bool], trained: bool = True) -> Any:
    """What is kept of ``op`` in a real run and by its rule; None where nothing of it has a gradient."""
    made_ready = prepared(op, types, wanted, trained)
    if made_ready is None:
        return None
    module, inputs, needed, weights = made_ready
    y = op.infer(*types)
    first = y if isinstance(y, TensorType) else y[0]
    rule = op.saves(*types, y=first, trained=weights, wanted=needed)
    made, found = kept(module, inputs)
    if not any(t.requires_grad for t in made):
        return None
    return found, None if rule is None else told(rule), rule


def alike(found: Counter[Any], rule: Counter[Any]) -> bool:
    """Whether both keep the same inputs and outputs, and as many bytes besides."""
    sizes = [sum(key * n for key, n in one.items() if isinstance(key, int)) for one in (found, rule)]
    names = [{key for key in one if not isinstance(key, int)} for one in (found, rule)]
    return sizes[0] == sizes[1] and names[0] == names[1]
