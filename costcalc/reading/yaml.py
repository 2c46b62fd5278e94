"""Bytes → a tree of scalars, lists and mappings that know their places; nothing is interpreted.

YAML gives a spec its structure and no more: every scalar stays text, whose meaning the expression
syntax decides, so YAML's own ideas of numbers and booleans never come in. The reader takes nothing
that could grow out of hand: no tags, no documents after the first, aliases only within the bounds.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from costcalc.errors import Location, SpecError
from costcalc.reading.files import contents
from costcalc.reading.tree import Mapping, Scalar, Sequence, Tree

MAX_NODES = 300_000
MAX_DEPTH = 64
HINTS = {
    "',' or": "; inside [ ] and { } a call that has [ ] or { } itself stands in quotes",
    "mapping values are not allowed": "; one line has one ': '; the options of a call have '=': conv(4, kernel=3)",
}
"""What may have been meant, by a part of what the YAML library says."""


def read_file(path: str, shown: str = "", kind: str = "a spec") -> Tree:
    """The tree of the file at ``path``, which messages call ``shown``, and which is to be ``kind``.

    Raises ``SpecError`` if there is no such file, if it is too large, or if it is not YAML.
    """
    return read(contents(path, shown, kind), shown or path, kind)


def read(data: bytes, shown: str, kind: str = "a spec") -> Tree:
    """The tree of the YAML document ``data``, which is to be ``kind``; messages call its file ``shown``."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"byte {data[error.start]:#04x} is not UTF-8 text; {kind} is a text file", Location(shown, line)
        ) from None
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        tree = _assemble(yaml.parse(text, Loader=loader), shown)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        location = Location(shown, mark.line + 1, mark.column + 1) if mark else Location(shown)
        if mark and "nesting depth" in str(error.problem):
            # The library has a bound of its own, beyond ours, and reads ahead: without the last brackets it does not
            # speak, and ours does, at the place that exceeds it.
            with suppress(yaml.YAMLError):
                _assemble(yaml.parse(text[: mark.index - MAX_DEPTH], Loader=loader), shown)
            raise SpecError(f"lists and mappings are nested more than {MAX_DEPTH} deep", location) from None
        problem = error.problem or error.context
        hint = next((description for part, description in HINTS.items() if part in str(problem)), "")
        hint = _indent_hint(text, mark.line) if mark and not hint else hint
        raise SpecError(f"this is not valid YAML: {problem}{hint}", location) from None
    except yaml.YAMLError as error:
        at = getattr(error, "position", None)
        location = Location(shown, text.count("\n", 0, at) + 1) if isinstance(at, int) else Location(shown)
        raise SpecError(f"this is not valid YAML: {getattr(error, 'reason', error)}", location) from None
    if tree is None:
        needs = "; a spec has at least inputs and layers" if kind == "a spec" else ""
        raise SpecError(f"the file is empty{needs}", Location(shown))
    return tree


def _indent_hint(text: str, line: int) -> str:
    """What is wrong with how ``line``, from 0, is indented, if that is."""
    lines = text.split("\n")
    if line >= len(lines):
        return ""
    here = lines[line]
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return "; a tab indents this line: use spaces"
    above = [one for one in lines[:line] if one.strip() and not one.lstrip().startswith("#")]
    before = {len(one) - len(one.lstrip(" ")) for one in above}
    own = len(here) - len(here.lstrip(" "))
    if here.strip() and before and own not in before and own <= max(before) + 8:
        those = ", ".join(map(str, sorted(before)[:6]))
        return (
            f"; this line begins after {own} space{'s' * (own != 1)}, those above it after {those}: lines that belong "
            "together begin in one column; use spaces"
        )
    return ""


class _Open:
    """A list or mapping whose end has not come yet; ``size`` counts its nodes, aliases written out."""

    __slots__ = ("anchor", "depth", "in_brackets", "is_mapping", "items", "location", "size")

    def __init__(self, location: Location, is_mapping: bool, in_brackets: bool, anchor: str | None) -> None:
        self.location, self.is_mapping, self.in_brackets, self.anchor = location, is_mapping, in_brackets, anchor
        self.items: list[Any] = []
        self.size, self.depth = 1, 1

    def close(self) -> Tree:
        items = self.items
        if not self.is_mapping:
            return Sequence(_rejoined(items) if self.in_brackets else items, self.location)
        pairs = list(zip(items[::2], items[1::2], strict=True))
        if self.in_brackets:
            pairs = _rejoined_pairs(pairs)
        keys: set[str] = set()
        for key, _ in pairs:
            if not isinstance(key, Scalar):
                raise SpecError("a key must be a word or an expression, not a list or a mapping", key.location)
            if key.text in keys:
                raise SpecError(f"'{key.text[:80]}' stands here twice", key.location)
            keys.add(key.text)
        return Mapping(pairs, self.location)


# Inside [ ] and { } YAML splits text at commas, also at those of a call: conv(64, 3). The parts are joined again,
# as long as more parentheses have opened than closed.

_MOST_PARTS = 40


def _is_open(part: Any) -> bool:
    return isinstance(part, Scalar) and not part.quoted and part.text.count("(") > part.text.count(")")


def _joined(first: Scalar, more: list[Any]) -> tuple[Scalar, int]:
    """``first`` with as many of ``more`` as close its parentheses, and how many those are; none if they never close."""
    whole = first
    for count, part in enumerate(more[:_MOST_PARTS], 1):
        if not isinstance(part, Scalar) or part.quoted:
            break
        whole = Scalar(f"{whole.text}, {part.text}", first.location)
        if not _is_open(whole):
            return whole, count
    return first, 0


def _rejoined(items: list[Any]) -> list[Any]:
    result, at = [], 0
    while at < len(items):
        item, used = items[at], 0
        more = items[at + 1 : at + 1 + _MOST_PARTS]
        if _is_open(item):
            item, used = _joined(item, more)
        elif isinstance(item, Mapping) and len(item.pairs) == 1 and _is_open(item.pairs[0][1]):
            # [name: call(8, 3)] without braces is a mapping of one pair.
            value, used = _joined(item.pairs[0][1], more)
            item = Mapping([(item.pairs[0][0], value)], item.location)
        result.append(item)
        at += 1 + used
    return result


def _rejoined_pairs(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    result, at = [], 0
    while at < len(pairs):
        key, value = pairs[at]
        following = pairs[at + 1 : at + 1 + _MOST_PARTS]
        used = 0
        if _is_open(key) and _is_empty(value):
            key, used = _joined(key, [k for k, _ in following])
            value = following[used - 1][1] if used else value
        if _is_open(value):
            # What follows the first part of a value looks like keys without values.
            end = next((i for i, (_, v) in enumerate(following) if not _is_empty(v)), len(following))
            value, more = _joined(value, [k for k, _ in following[used:end]])
            used += more
        result.append((key, value))
        at += 1 + used
    return result


def _is_empty(tree: Any) -> bool:
    return isinstance(tree, Scalar) and not tree.text and not tree.quoted


def _assemble(events: Any, shown: str) -> Tree | None:
    """The tree that YAML ``events`` describe, if any, with an explicit stack, so that no depth can exhaust Python's."""
    from yaml import events as kinds

    stack: list[_Open] = []
    anchors: dict[str, tuple[Tree, int, int]] = {}
    root: Tree | None = None
    total = 0
    for event in events:
        kind = type(event)
        anchor: str | None
        if kind is kinds.ScalarEvent:
            location = Location(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            _refuse_tag(event, location)
            made: Tree = Scalar(event.value, location, event.style in ("'", '"'))
            size, depth, anchor = 1, 0, event.anchor
        elif kind is kinds.SequenceStartEvent or kind is kinds.MappingStartEvent:
            location = Location(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            _refuse_tag(event, location)
            stack.append(_Open(location, kind is kinds.MappingStartEvent, event.flow_style, event.anchor))
            if len(stack) > MAX_DEPTH:
                raise SpecError(f"lists and mappings are nested more than {MAX_DEPTH} deep", location)
            continue
        elif kind is kinds.SequenceEndEvent or kind is kinds.MappingEndEvent:
            done = stack.pop()
            made, size, depth, anchor, location = done.close(), done.size, done.depth, done.anchor, done.location
        elif kind is kinds.AliasEvent:
            location = Location(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            if event.anchor not in anchors:
                raise SpecError(f"the alias '*{event.anchor[:80]}' names nothing that is complete before it", location)
            (made, size, depth), anchor = anchors[event.anchor], None
        elif kind is kinds.DocumentStartEvent and root is not None:
            location = Location(shown, event.start_mark.line + 1, event.start_mark.column + 1)
            raise SpecError("a second document begins here; a spec is one document", location)
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
            raise SpecError(f"the file has more than {MAX_NODES:,} items, aliases written out", location)
        if len(stack) + depth > MAX_DEPTH:
            raise SpecError(f"lists and mappings are nested more than {MAX_DEPTH} deep", location)
    return root


def _refuse_tag(event: Any, location: Location) -> None:
    if event.tag is not None:
        raise SpecError(f"the tag '{event.tag[:80]}' is not allowed; specs have no tags", location)
