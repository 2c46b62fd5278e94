"""Leaves a model and torch's settings as they were, whatever happens in between."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from costcalc.frontends.torch.exclusive import replaced_here, undone, unseen
from costcalc.frontends.torch.settings import settings_kept

# Below autograd, operators reach a dispatch mode whole; inference mode would do that too, but leaves tensors
# behind that training cannot use.
_VIEWS = torch._C.DispatchKeySet(torch._C.DispatchKey.ADInplaceOrView)


@contextmanager
def untouched(model: nn.Module, *, whole: bool = True, training: bool = False) -> Iterator[None]:
    """While open, ``model`` may do to itself what it likes; then all is put back.

    All of it is in evaluation mode, or in ``training``.

    whole   operators reach a dispatch mode whole, and modules call those that a trace knows; else as in any run

    Kept are the attributes of every module (with hooks, parameters, buffers and the training flag), and the
    contents of the lists, dicts and plain objects that can be reached through them. Values of tensors are
    not: the recorder sees to those.
    """
    kept: dict[int, tuple[Any, Any]] = {}
    modules = list(model.modules())
    for module in modules:
        _keep(module.__dict__, kept, DEPTH)
    weights = [(t, t.data, t.grad if t.is_leaf else None, t.requires_grad) for t in _weights(model)]

    def put_back() -> None:
        for container, content in kept.values():
            if content or container:
                _refill(container, content)
        for weight, data, gradient, flag in weights:
            if _moved(weight, data):
                weight.data = data
            if not weight.is_leaf:
                continue
            if weight.grad is not gradient:
                weight.grad = gradient
            if weight.requires_grad != flag:
                weight.requires_grad_(flag)

    with undone(put_back), settings_kept(), torch.no_grad(), ExitStack() as stack:
        for module in modules:
            # Not model.eval(): classes override it to merge their branches for good.
            module.__dict__["training"] = training
        if whole:
            stack.enter_context(replaced_here(torch.backends.mha, "get_fastpath_enabled", lambda _: _never))
            stack.enter_context(torch._C._AutoDispatchBelowAutograd())
            stack.enter_context(torch._C._ExcludeDispatchKeyGuard(_VIEWS))
        yield


def _never() -> bool:
    return False


def _weights(model: nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _moved(tensor: torch.Tensor, data: torch.Tensor) -> bool:
    """Whether ``tensor`` no longer holds ``data``, its own at first."""
    if tensor.layout is not torch.strided:
        return False
    same = tensor.untyped_storage()._cdata == data.untyped_storage()._cdata
    return not same or tensor.shape != data.shape or tensor.stride() != data.stride()


DEPTH = 4
"""How far into a module's attributes lists, dicts and objects are kept."""


def _keep(container: Any, kept: dict[int, tuple[Any, Any]], depth: int) -> None:
    """Note what ``container`` holds in ``kept``, and what the containers in it hold, ``depth`` levels of them."""
    if id(container) in kept:
        return
    kind = _holds(type(container)) or list  # type: ignore[arg-type]
    kept[id(container)] = (container, kind(container) if container else ())  # most are dicts of hooks: empty
    if depth and container:
        for value in container.values() if kind is dict else container:
            held = _holds(type(value))  # type: ignore[arg-type]
            if held:
                _keep(value.__dict__ if held is object else value, kept, depth - 1)


@cache
def _holds(kind: type) -> type | None:
    """As what objects of ``kind`` are kept: a list, dict or set, or an object with attributes; None if they are not."""
    for container in (list, dict, set, deque):
        if issubclass(kind, container):
            return container
    if issubclass(kind, SimpleNamespace):
        return object
    library = kind.__module__.partition(".")[0]
    if library == "torch" or library in sys.stdlib_module_names:  # loggers above all, which know one another
        return None
    return object if kind.__dictoffset__ and not issubclass(kind, (type, torch.Tensor, nn.Module)) else None


@contextmanager
def without_autocast(note: Callable[[str], None]) -> Iterator[None]:
    """While open, autocast does nothing in this thread but ``note`` that it was asked for.

    It would cast real weights, and leave inputs on the meta device as they are: the two would not fit.
    """
    switch = torch.set_autocast_enabled
    devices = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]

    def left(*given: Any) -> None:
        if given[-1]:
            note("autocast is left out: element types are those of the weights and of what is given")

    for device in devices:
        switch(device, False)
    try:
        with replaced_here(torch, "set_autocast_enabled", lambda _: left):
            yield
    finally:
        for device in devices:
            switch(device, True)


_TRACERS: tuple[tuple[Any, str], ...] = (
    (torch._C, "_create_graph_by_tracing"),
    (torch._C, "_create_function_from_trace"),
    (torch._C.ScriptModule, "_create_method_from_trace"),
)
"""Where ``torch.jit`` begins a trace."""


@contextmanager
def counted_apart() -> Iterator[None]:
    """While open, what ``torch.jit`` traces in this thread, as counters do that a forward asks, is not recorded."""

    def apart(original: Callable[..., Any]) -> Callable[..., Any]:
        def traced(*args: Any, **kwargs: Any) -> Any:
            with unseen():
                return original(*args, **kwargs)

        return traced

    with ExitStack() as stack:
        for owner, name in _TRACERS:
            stack.enter_context(replaced_here(owner, name, apart))
        yield


@contextmanager
def valued_indices() -> Iterator[None]:
    """While open, a list of numbers that a tensor is indexed with in this thread is a tensor with values.

    PyTorch would make one beside the tensor that is indexed, which has none.
    """
    with (
        replaced_here(torch.Tensor, "__getitem__", _with_values),
        replaced_here(torch.Tensor, "__setitem__", _with_values),
    ):
        yield


def _with_values(method: Callable[..., Any]) -> Callable[..., Any]:
    def indexed(tensor: torch.Tensor, index: Any, *value: Any) -> Any:
        several = type(index) is tuple
        if any(map(_is_row, index)) if several else _is_row(index):
            index = tuple(map(_valued, index)) if several else _valued(index)
        return method(tensor, index, *value)

    return indexed


def _is_row(index: object) -> bool:
    """Whether PyTorch would make a tensor of ``index``."""
    return isinstance(index, (list, range)) or type(index).__name__ == "ndarray"


def _valued(index: Any) -> Any:
    if not _is_row(index) or (isinstance(index, list) and (not index or any(map(_is_no_number, index)))):
        return index
    return torch.as_tensor(list(index) if isinstance(index, range) else index, device="cpu")


def _is_no_number(item: object) -> bool:
    """Whether ``item`` is none of the numbers, or rows of them, that a list of indices has."""
    return any(map(_is_no_number, item)) if isinstance(item, list) else not isinstance(item, int)


def _refill(container: Any, content: Any) -> None:
    if container != content if isinstance(container, set) else _differs(container, content):
        container.clear()
        container.extend(content) if isinstance(container, (list, deque)) else container.update(content)


def _differs(a: Any, b: Any) -> bool:
    """Whether two lists or dicts hold other objects; by identity, since tensors have no truth."""
    if len(a) != len(b):
        return True
    if isinstance(a, dict):
        return list(a) != list(b) or any(a[k] is not b[k] for k in b)
    return any(x is not y for x, y in zip(a, b, strict=True))
