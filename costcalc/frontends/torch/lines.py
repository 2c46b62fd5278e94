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
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import costcalc
from costcalc.errors import Place

if TYPE_CHECKING:
    from torch import nn

_OURS = os.path.dirname(costcalc.__file__) + os.sep
_SCOPES = os.path.join(os.path.dirname(__file__), "scopes.py")
_ENDS = frozenset(os.path.join(os.path.dirname(__file__), name) for name in ("tracer.py", "build.py", "found.py"))
"""Where the model's own code was entered: what called costcalc is not part of the model."""
_MADE: dict[int, tuple[weakref.ref[Any], Place]] = {}
"""Modules by identity, with the place where each was made; written by one trace at a time."""


class Lines:
    """Where the calls of one trace of ``model`` were made."""

    def __init__(self, model: nn.Module) -> None:
        self._here = os.getcwd()
        self._made = {path: place for path, module in model.named_modules() if (place := _place_of(module))}
        for shared in _shared_by_all([*self._made.values()]):
            self._made = {path: _without(place, shared) for path, place in self._made.items()}

    def of_call(self, path: str) -> Place | None:
        """The place of the call that runs now, inside the module at ``path``; None where no line is the user's."""
        chain: list[tuple[str, int]] = []
        inside = True  # still in the module that is running
        for frame in _outwards(sys._getframe(1)):
            file = frame.f_code.co_filename
            if file == _SCOPES:
                if inside and not chain and (made := self._maker(path)):
                    return made
                inside = False
            elif shown := shown_file(file, self._here):
                chain.append((shown, frame.f_lineno))
        return _linked(chain)

    def _maker(self, path: str) -> Place | None:
        """Where the module at ``path`` was made, or that of which it is a copied part."""
        while path:
            if path in self._made:
                return self._made[path]
            path = path.rpartition(".")[0]
        return None


@contextmanager
def noting_makers() -> Iterator[None]:
    """While open, note where each module that this thread makes is made. Only one trace at a time may have it open."""
    from torch import nn

    from costcalc.frontends.torch.alone import replaced_here

    here = os.getcwd()

    def noted(original: Callable[..., Any]) -> Callable[..., Any]:
        def made(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            frames = ((shown_file(f.f_code.co_filename, here), f.f_lineno) for f in _outwards(sys._getframe(1)))
            place = _linked([(file, line) for file, line in frames if file])
            if place is not None:
                _keep(module, place)

        return made

    with replaced_here(nn.Module, "__init__", noted):
        yield


def _keep(module: nn.Module, place: Place) -> None:
    key = id(module)
    _MADE[key] = weakref.ref(module, lambda _: _MADE.pop(key, None)), place


def _place_of(module: nn.Module) -> Place | None:
    kept = _MADE.get(id(module))
    return kept[1] if kept and kept[0]() is module else None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """``frame`` and those that called it, up to where costcalc entered the model."""
    while frame is not None and frame.f_code.co_filename not in _ENDS:
        yield frame
        frame = frame.f_back


def _linked(chain: list[tuple[str, int]]) -> Place | None:
    """The places of ``chain``, the innermost first, each within the next."""
    place: Place | None = None
    for file, line in reversed(chain):
        if place is None or (place.file, place.line) != (file, line):  # as of a list's comprehension, in older Pythons
            place = Place(file, line, within=place)
    return place


def _shared_by_all(places: list[Place]) -> Iterator[Place]:
    """The outermost calls through which every one of ``places`` was reached: they tell nothing of any."""
    chains = [place.chain[::-1] for place in places]
    for calls in zip(*chains, strict=False):
        if len({call.short for call in calls}) > 1 or any(len(chain) == 1 for chain in chains):
            return
        yield calls[0]
        chains = [chain[1:] for chain in chains]


def _without(place: Place, call: Place) -> Place:
    """``place`` without its outermost call, which is ``call``, unless that is all there is."""
    chain = place.chain
    if len(chain) == 1 or chain[-1].short != call.short:
        return place
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
    file = os.path.join(here, file)
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
    paths |= {os.path.dirname(module.__file__ or "") for name in ("torch",) if (module := sys.modules.get(name))}
    return tuple(path + os.sep for path in paths if path)
