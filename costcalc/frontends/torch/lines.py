"""Which line of the user's own code made a layer: found on Python's stack, while the model is built and while it runs.

A layer of a library's module, such as ``nn.Conv2d``, stands where that module was made; an operator that the user's
own forward calls stands where it is called. Libraries, the standard library and costcalc are not the user's.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import costcalc
from costcalc.errors import Location

if TYPE_CHECKING:
    from torch import nn

_OURS = str(Path(costcalc.__file__).parent) + os.sep
_SCOPES = str(Path(__file__).with_name("scopes.py"))
_ENDS = frozenset(str(Path(__file__).with_name(name)) for name in ("tracer.py", "build.py", "found.py"))
"""Where the model's own code was entered: what called costcalc is not part of the model."""
_MADE: dict[int, tuple[weakref.ref[Any], dict[str, Location]]] = {}
"""Modules by identity, with the place where each was made; written by one trace at a time."""


class Lines:
    """Where the calls of one trace of ``model`` were made, and its tensors."""

    def __init__(self, model: nn.Module) -> None:
        self._here = str(Path.cwd())
        self._shown: dict[str, str] = {}
        found: dict[str, Location] = {}
        for path, module in model.named_modules():
            for name, location in _notes_of(module).items():
                found[".".join(filter(None, (path, name)))] = location
        for shared in _shared_by_all([*found.values()]):
            found = {path: _without(location, shared) for path, location in found.items()}
        self._made = found

    def of_call(self, path: str) -> Location | None:
        """The place of the call that runs now, inside the module at ``path``; None where no line is the user's."""
        chain: list[tuple[str, int]] = []
        inside = True  # still in the module that is running
        known = self._shown
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            shown = known.get(file)
            if shown is None:
                shown = known[file] = file if file in _ENDS or file == _SCOPES else shown_file(file, self._here)
            if shown:
                if file in _ENDS:
                    break
                if file == _SCOPES:
                    if inside and not chain and (made := self.maker(path)):
                        return made
                    inside = False
                else:
                    chain.append((shown, frame.f_lineno))
            frame = frame.f_back
        return _linked(chain) if chain else None

    def maker(self, path: str) -> Location | None:
        """Where the module or tensor at ``path`` was made, or that of which it is a copied part."""
        while path:
            if path in self._made:
                return self._made[path]
            path = path.rpartition(".")[0]
        return None


_NOTED = ("__init__", "register_parameter", "register_buffer")


@contextmanager
def noting_makers() -> Iterator[None]:
    """While open, note where this thread makes modules and gives them tensors; for one trace at a time."""
    from torch import nn

    from costcalc.frontends.torch.exclusive import replaced_here

    here = str(Path.cwd())

    # Not by the name that a function has: once torch has compiled something, its own stands in place of __init__.
    def noted(method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            frames = ((shown_file(f.f_code.co_filename, here), f.f_lineno) for f in _outwards(sys._getframe(1)))
            location = _linked([(file, line) for file, line in frames if file])
            if location is not None:
                name = "" if method == "__init__" else str(args[0] if args else kwargs.get("name"))
                _note(module, name, location)

        return called

    with ExitStack() as stack:
        for name in _NOTED:
            stack.enter_context(replaced_here(nn.Module, name, partial(noted, name)))
        yield


def _note(module: nn.Module, name: str, location: Location) -> None:
    key = id(module)
    if not _notes_of(module):
        _MADE[key] = weakref.ref(module, lambda _: _MADE.pop(key, None)), {}
    _MADE[key][1][name] = location


def _notes_of(module: nn.Module) -> dict[str, Location]:
    """Where ``module`` was made, as "", and where each of its own tensors was given to it."""
    kept = _MADE.get(id(module))
    return kept[1] if kept and kept[0]() is module else {}


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """``frame`` and those that called it, up to where costcalc entered the model."""
    while frame is not None and frame.f_code.co_filename not in _ENDS:
        yield frame
        frame = frame.f_back


def _linked(chain: list[tuple[str, int]]) -> Location | None:
    """The places of ``chain``, the innermost first, each within the next."""
    location: Location | None = None
    for file, line in reversed(chain):
        if location is None or (location.file, location.line) != (
            file,
            line,
        ):  # as of a list's comprehension, in older Pythons
            location = Location(file, line, within=location)
    return location


def _shared_by_all(locations: list[Location]) -> Iterator[Location]:
    """The outermost calls through which every one of ``locations`` was reached: they tell nothing of any."""
    chains = [location.chain[::-1] for location in locations]
    for calls in zip(*chains, strict=False):
        if len({call.short for call in calls}) > 1 or any(len(chain) == 1 for chain in chains):
            return
        yield calls[0]
        chains = [chain[1:] for chain in chains]


def _without(location: Location, call: Location) -> Location:
    """``location`` without its outermost call, which is ``call``, unless that is all there is."""
    chain = location.chain
    if len(chain) == 1 or chain[-1].short != call.short:
        return location
    found = _linked([(p.file, p.line) for p in chain[:-1]])
    assert found is not None
    return found


@lru_cache(4096)
def shown_file(file: str, here: str) -> str:
    """What a file of code is called in reports if it is the user's, else "".

    Relative to the folder ``here`` where that is in the same folder or repository, for a report goes elsewhere.
    """
    if file.startswith("<"):
        return ""
    file = str(Path(here, file))
    if file.startswith((_OURS, *_libraries())) or {"site-packages", "dist-packages"} & {*Path(file).parts}:
        return ""
    folder = Path(here)
    root = next((above for above in (folder, *folder.parents) if os.path.lexists(above / ".git")), folder)
    near = any(Path(file).is_relative_to(one) for one in (folder, root))
    return os.path.relpath(file, here) if near else file


@lru_cache(1)
def _libraries() -> tuple[str, ...]:
    """The folders of Python's own library, and of torch, which may lie anywhere."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    torch = getattr(sys.modules.get("torch"), "__file__", None)
    return tuple(path + os.sep for path in (*paths, torch and str(Path(torch).parent)) if path)
