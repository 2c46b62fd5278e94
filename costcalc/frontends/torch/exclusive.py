"""One trace at a time, which only its own thread sees.

Functions of torch that a trace replaces, and the lock, are the process's; modes, the state of ``torch.jit.trace`` and
the transforms of ``torch.func`` are a thread's. A trace inside another, or inside a mode, sets those aside while it
runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock, get_ident
from typing import Any

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode


class _Turn:
    """Whose turn it is: the lock, its owner, and what other threads would be left with if their owner vanished.

    forked   whether this process came of a fork after torch was imported
    """

    def __init__(self) -> None:
        self.lock, self.owner, self.depth, self.forked = RLock(), 0, 0, False
        self.originals: dict[tuple[object, str], Any] = {}
        self.undo: list[Callable[[], None]] = []


_TURN = _Turn()


class OfATrace(TorchFunctionMode):
    """A mode of a trace, in which no other trace runs."""


@contextmanager
def alone() -> Iterator[None]:
    """While open, no other thread is in here, and nothing that this thread has entered sees what it runs."""
    with _TURN.lock:
        _TURN.owner, _TURN.depth = get_ident(), _TURN.depth + 1
        try:
            with _true_rules(), _single_thread() if _TURN.forked else ExitStack(), unseen():
                yield
        finally:
            _TURN.depth -= 1
            if not _TURN.depth:
                _TURN.owner = 0


@contextmanager
def unseen() -> Iterator[None]:
    """While open, no mode for operators, trace by ``torch.jit`` or transform of ``torch.func`` sees what runs."""
    with ExitStack() as stack:
        if torch._C._len_torch_dispatch_stack() or torch._ops._len_torch_dispatch_stack_pre_dispatch():
            from torch.utils._python_dispatch import _disable_current_modes

            stack.enter_context(_disable_current_modes())
        if "torch._dynamo" in sys.modules:  # perhaps the caller is code that torch.compile has taken apart
            from torch._C._dynamo.eval_frame import set_eval_frame

            stack.callback(set_eval_frame, set_eval_frame(None))
        if torch._C._functorch.peek_interpreter_stack() is not None:
            from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

            stack.enter_context(temporarily_clear_interpreter_stack())
        modes = _get_current_function_mode_stack()
        if any(isinstance(mode, OfATrace) for mode in modes):
            _set_modes([mode for mode in modes if not isinstance(mode, OfATrace)])
            stack.callback(_set_modes, modes)
        state = torch._C._get_tracing_state()
        if state is not None:
            put = torch._C._set_tracing_state  # type: ignore[attr-defined]
            put(None)
            stack.callback(put, state)
        yield


@contextmanager
def _true_rules() -> Iterator[None]:
    """Take from torch's compiler the table of torch's functions, if it was made while some of them were replaced."""
    had = _rules() is not None
    try:
        yield
    finally:
        table = None if had else _rules()
        if table is not None:
            table.cache_clear()  # it is made anew when it is next needed


def _rules() -> Any:
    """The compiler's cached table of functions, by their identity; None where it has not been made."""
    table = getattr(sys.modules.get("torch._dynamo.trace_rules"), "get_torch_obj_rule_map", None)
    return table if table is not None and table.cache_info().currsize else None


def _set_modes(modes: list[TorchFunctionMode]) -> None:
    for _ in _get_current_function_mode_stack():
        _pop_mode()
    for mode in modes:
        _push_mode(mode)


@contextmanager
def _single_thread() -> Iterator[None]:
    """While open, operators start no threads: after a fork, those of the parent that they wait for are not there."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def replaced_here(owner: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> Iterator[None]:
    """While open, calls of ``owner.name`` in this thread go to what ``make`` makes of it; others see no change."""
    here, before = get_ident(), vars(owner).get(name)
    original = _TURN.originals.get((owner, name))
    outermost = original is None
    if original is None:
        original = _TURN.originals[owner, name] = getattr(owner, name)
    replacement = make(original)

    def chosen(*args: Any, **kwargs: Any) -> Any:
        return (replacement if get_ident() == here else original)(*args, **kwargs)

    def put_back() -> None:
        if outermost:
            _TURN.originals.pop((owner, name), None)
        if before is None:
            delattr(owner, name)  # it is inherited
        else:
            setattr(owner, name, before)

    setattr(owner, name, chosen)
    with undone(put_back):
        yield


@contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """Do ``undo`` in the end; and in a process that another thread forks meanwhile, where the end never comes."""
    _TURN.undo.append(undo)
    try:
        yield
    finally:
        _TURN.undo.remove(undo)
        undo()


def _after_fork() -> None:
    """In the child only the thread that forked goes on: a trace of any other is ended here."""
    _TURN.forked = True
    if _TURN.owner != get_ident():
        _TURN.lock, _TURN.owner, _TURN.depth = RLock(), 0, 0
        while _TURN.undo:
            _TURN.undo.pop()()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
