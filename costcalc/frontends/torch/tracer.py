"""Runs a module on the meta device and returns the graph of what it did."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from costcalc.errors import CostcalcError
from costcalc.frontends.torch.data import Assumptions, ValuesNeeded
from costcalc.frontends.torch.guard import untouched
from costcalc.frontends.torch.lower import Lowering
from costcalc.frontends.torch.recorder import Recorder
from costcalc.frontends.torch.scopes import following
from costcalc.frontends.torch.types import type_of
from costcalc.ir.call import Traced
from costcalc.ir.graph import Graph


def trace_module(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    name: str = "",
    settings: Mapping[str, int] | None = None,
    parameters: Mapping[str, Any] | None = None,
    source: str = "",
) -> Graph:
    """The graph of one forward pass of ``model``.

    args, kwargs   for its forward: tensors on any device, shapes such as ``(1, 3, 224, 224)``, lists and dicts
                   of them, or anything else, which is handed on as it is
    settings       what to take for work that depends on values: ``{"proposals": 300}``
    """
    assumptions = Assumptions(settings)
    args, kwargs = _on_meta(tuple(args)), _on_meta(dict(kwargs))
    with untouched(model), following(model) as where:
        recorder = Recorder(model, where, assumptions)
        inputs = {
            key: recorder.aliases.adopt(tensor, Traced(type_of(tensor))) for key, tensor in _named(model, args, kwargs)
        }
        with recorder:
            result = model(*args, **kwargs)
        outputs = [recorder.aliases.read(t) for _, t in _tensors("", result)]
        weights = {t.weight: t for t in recorder.weights}
    lowering = Lowering(name or type(model).__name__, inputs, weights)
    for call in recorder.calls:
        lowering.take(call)
    return lowering.graph(outputs, {**(parameters or {}), **assumptions.used}, assumptions.made, source)


def _on_meta(value: Any) -> Any:
    """Tensors and shapes in ``value`` as tensors without values."""
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    if isinstance(value, dict):
        return {key: _on_meta(v) for key, v in value.items()}
    if isinstance(value, torch.Size) or (isinstance(value, tuple) and value and all(type(v) is int for v in value)):
        return torch.empty(value, device="meta")
    if isinstance(value, (list, tuple)):
        return type(value)(_on_meta(v) for v in value)
    return value


def _named(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Each input tensor by the name of the forward's parameter that takes it."""
    signature = inspect.signature(model.forward)
    try:
        bound = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        raise CostcalcError(
            f"{type(model).__name__}.forward{signature} does not take the inputs given: {error}"
        ) from None
    for name, value in bound.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            for key, v in value.items():
                yield from _tensors(key, v)
        else:
            yield from _tensors(name, value)


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a structure, each named by where it is: ``images.0``."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, v in value.items():
            yield from _tensors(f"{name}.{key}" if name else str(key), v)
    elif isinstance(value, (list, tuple)):
        for i, v in enumerate(value):
            yield from _tensors(f"{name}.{i}" if name else str(i), v)
    elif hasattr(value, "__dict__") and not isinstance(value, (type, nn.Module)):
        yield from _tensors(name, vars(value))


__all__ = ["ValuesNeeded", "trace_module"]
