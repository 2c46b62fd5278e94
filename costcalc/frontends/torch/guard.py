"""Leaves a model and torch's settings as they were, whatever happens in between."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

# Below autograd, operators reach a dispatch mode whole; inference mode would do that too, but leaves tensors
# behind that training cannot use.
_VIEWS = torch._C.DispatchKeySet(torch._C.DispatchKey.ADInplaceOrView)


@contextmanager
def uncollected() -> Iterator[None]:
    """While open, Python looks for no garbage: with torch loaded it searches long, and a trace leaves none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """While open, ``model`` is in evaluation mode and may do to itself what it likes; then all is put back.

    Kept are the attributes of every module (with hooks, parameters, buffers and the training flag) and
    the contents of the lists and dicts among them. Values of tensors are not: the recorder sees to those.
    """
    kept = []
    for module in model.modules():
        own = module.__dict__
        contents = {
            key: value.copy() if value else ()  # most are dicts of hooks, of which there are none
            for key, value in own.items()
            if isinstance(value, (list, dict, set))
        }
        kept.append((module, own.copy(), contents))
    flags = [(p, p.requires_grad) for p in model.parameters()]
    fused = torch.backends.mha.get_fastpath_enabled()
    random = torch.get_rng_state()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        for module, _, _ in kept:
            # Not model.eval(): classes override it to merge their branches for good.
            module.__dict__["training"] = False
        with torch.no_grad(), torch._C._AutoDispatchBelowAutograd(), torch._C._ExcludeDispatchKeyGuard(_VIEWS):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        torch.set_rng_state(random)
        for module, own, contents in kept:
            module.__dict__.clear()
            module.__dict__.update(own)
            for key, content in contents.items():
                if content or own[key]:
                    _refill(own[key], content)
        for parameter, flag in flags:
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)


@contextmanager
def without_autocast(note: Callable[[str], None]) -> Iterator[None]:
    """While open, autocast does nothing but ``note`` that it was asked for.

    It would cast real weights, and leave inputs on the meta device as they are: the two would not fit.
    """
    switch = torch.set_autocast_enabled
    devices = [device for device in ("cpu", "cuda") if torch.is_autocast_enabled(device)]

    def left(*given: Any) -> None:
        if given[-1]:
            note("autocast is left out: element types are those of the weights and of what is given")

    for device in devices:
        switch(device, False)
    torch.set_autocast_enabled = left  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.set_autocast_enabled = switch
        for device in devices:
            switch(device, True)


def _refill(container: Any, content: Any) -> None:
    if container != content if isinstance(content, set) else _differs(container, content):
        container.clear()
        container.extend(content) if isinstance(content, list) else container.update(content)


def _differs(a: Any, b: Any) -> bool:
    """Whether two lists or dicts hold other objects; by identity, since tensors have no truth."""
    if len(a) != len(b):
        return True
    if isinstance(a, list):
        return any(x is not y for x, y in zip(a, b, strict=True))
    return list(a) != list(b) or any(a[k] is not b[k] for k in b)
