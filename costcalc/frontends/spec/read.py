"""Bytes → a tree of scalars, lists and mappings that know their places; nothing is interpreted.

YAML gives a spec its structure and no more: every scalar stays text, whose meaning the expression
syntax decides, so YAML's own ideas of numbers and booleans never come in. The reader takes nothing
that could grow out of hand: no tags, no documents after the first, aliases only within the bounds.
"""

from __future__ import annotations

import os
import stat
from typing import Any, NamedTuple, TypeAlias

from costcalc.errors import Place, SpecError

MAX_BYTES = 8 * 2**20
MAX_NODES = 500_000
MAX_DEPTH = 64


class Scalar(NamedTuple):
    """A piece of text; ``quoted`` if YAML quotes stood around it."""

    text: str
    place: Place
    quoted: bool = False


class Sequence(NamedTuple):
    """A list."""

    items: list[Any]
    place: Place


class Mapping(NamedTuple):
    """Pairs in the order of the file; no key occurs twice."""

    pairs: list[tuple[Scalar, Any]]
    place: Place


Tree: TypeAlias = "Scalar | Sequence | Mapping"


def read_file(path: str, shown: str = "") -> Tree:
    """The tree of the file at ``path``, which messages call ``shown``.

    Raises ``SpecError`` if there is no such file, if it is too large, or if it is not YAML.
    """
    shown = shown or path
    file = Place(shown)
    try:
        # Not blocking, so that a pipe that nobody writes to is refused, not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SpecError("this is not a regular file; a spec is a YAML file", file)
            if status.st_size > MAX_BYTES:
                raise SpecError(f"the file has {status.st_size:,} bytes; a spec has at most {MAX_BYTES:,}", file)
            data = stream.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise SpecError("this is a directory; a spec is a YAML file", file) from None
    except FileNotFoundError:
        raise SpecError("there is no such file", file) from None
    except (OSError, ValueError) as error:
        raise SpecError(f"the file cannot be read: {getattr(error, 'strerror', None) or error}", file) from None
    return read(data, shown)


def read(data: bytes, shown: str) -> Tree:
    """The tree of the YAML document ``data``; messages call its file ``shown``."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"byte {data[error.start]:#04x} is not UTF-8 text; a spec is a text file", Place(shown, line)
        ) from None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _assemble(yaml.parse(text, Loader=loader), shown)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(shown, mark.line + 1, mark.column + 1) if mark else Place(shown)
        raise SpecError(f"this is not valid YAML: {error.problem or error.context}", place) from None
    except yaml.YAMLError as error:
        at = getattr(error, "position", None)
        place = Place(shown, text.count("\n", 0, at) + 1) if isinstance(at, int) else Place(shown)
        raise SpecError(f"this is not valid YAML: {getattr(error, 'reason', error)}", place) from None


class _Open:
    """A list or mapping whose end has not come yet; ``size`` counts its nodes, aliases written out."""

    __slots__ = ("anchor", "depth", "is_mapping", "items", "place", "size")

    def __init__(self, place: Place, is_mapping: bool, anchor: str | None) -> None:
        self.place, self.is_mapping, self.anchor = place, is_mapping, anchor
        self.items: list[Any] = []
        self.size, self.depth = 1, 1

    def close(self) -> Tree:
        if not self.is_mapping:
            return Sequence(self.items, self.place)
        keys: set[str] = set()
        for key in self.items[::2]:
            if not isinstance(key, Scalar):
                raise SpecError("a key must be a word or an expression, not a list or a mapping", key.place)
            if key.text in keys:
                raise SpecError(f"'{key.text[:80]}' stands here twice", key.place)
            keys.add(key.text)
        return Mapping(list(zip(self.items[::2], self.items[1::2], strict=True)), self.place)


def _assemble(events: Any, shown: str) -> Tree:
    """The tree that YAML ``events`` describe, with an explicit stack, so that no depth can exhaust Python's."""
    from yaml import events as kinds

    stack: list[_Open] = []
    anchors: dict[str, tuple[Tree, int, int]] = {}
    root: Tree | None = None
    total = 0
    for event in events:
        kind = type(event)
        anchor: str | None
        if kind is kinds.ScalarEvent:
            place = Place(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            _refuse_tag(event, place)
            made: Tree = Scalar(event.value, place, event.style in ("'", '"'))
            size, depth, anchor = 1, 0, event.anchor
        elif kind is kinds.SequenceStartEvent or kind is kinds.MappingStartEvent:
            place = Place(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            _refuse_tag(event, place)
            stack.append(_Open(place, kind is kinds.MappingStartEvent, event.anchor))
            if len(stack) > MAX_DEPTH:
                raise SpecError(f"lists and mappings are nested more than {MAX_DEPTH} deep", place)
            continue
        elif kind is kinds.SequenceEndEvent or kind is kinds.MappingEndEvent:
            done = stack.pop()
            made, size, depth, anchor, place = done.close(), done.size, done.depth, done.anchor, done.place
        elif kind is kinds.AliasEvent:
            place = Place(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            if event.anchor not in anchors:
                raise SpecError(f"the alias '*{event.anchor[:80]}' names nothing that is complete before it", place)
            (made, size, depth), anchor = anchors[event.anchor], None
        elif kind is kinds.DocumentStartEvent and root is not None:
            place = Place(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            raise SpecError("a second document begins here; a spec is one document", place)
        else:
            continue
        if anchor is not None:
            anchors[anchor] = made, size, depth
        if not stack:
            root = made
            continue
        parent = stack[-1]
        parent.items.append(made)
        parent.size += size
        parent.depth = max(parent.depth, depth + 1)
        total += size if kind is kinds.AliasEvent else 1
        if total > MAX_NODES:
            raise SpecError(f"the file has more than {MAX_NODES:,} items, aliases written out", place)
        if len(stack) + depth > MAX_DEPTH:
            raise SpecError(f"lists and mappings are nested more than {MAX_DEPTH} deep", place)
    if root is None:
        raise SpecError("the file is empty; a spec has at least inputs and layers", Place(shown))
    return root


def _refuse_tag(event: Any, place: Place) -> None:
    if event.tag is not None:
        raise SpecError(f"the tag '{event.tag[:80]}' is not allowed; specs have no tags", place)
