"""What names mean while a spec is written out: of values in expressions, and of layers in references."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count

from costcalc.errors import Location, SpecError, near
from costcalc.frontends.spec.evaluate import brief
from costcalc.frontends.spec.values import Value, shown
from costcalc.ir.tensor import TensorType

MAX_NAME = 256

_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*", re.ASCII)
_AXES = {"batch": 0, "channels": 1, "height": -2, "width": -1, "features": -1}


def is_name(text: str) -> bool:
    """Whether a layer can be called ``text``."""
    return _NAME.fullmatch(text) is not None and len(text) <= MAX_NAME


def size_of(type_: TensorType, name: str) -> Value:
    """What expressions call ``name`` of the running value: ``channels``, ``height``, ``width``, ``features`` …"""
    if name == "shape":
        return type_.shape
    axes = len(type_.shape)
    if axes < {"batch": 1, "features": 1, "channels": 2}.get(name, 3):
        raise SpecError(f"the value here is {type_} and has no {name}")
    return type_.shape[_AXES[name]]


class Names:
    """The names of layers and of the values they make.

    A reference is looked up in the innermost scope, then outward: ``conv1`` inside ``layer1.0.`` means
    ``layer1.0.conv1``, else ``layer1.conv1``, else ``conv1``. The beginning of a dotted name, ``layer1``,
    means the last value made under it.
    """

    # ``claimed`` and ``defined`` have the names in their order; ``reach`` is the length of the shortest prefix with
    # which a name was found, or looked for, since it was set.

    def __init__(self) -> None:
        self.taken: dict[str, Location] = {}
        self.claimed: list[str] = []
        self.defined: list[tuple[str, tuple[str, ...]]] = []
        self.reach = 0
        self._crossed: set[str] = set()
        self._values: dict[str, str] = {}
        self._last: dict[str, str] = {}
        self._next: dict[str, int] = {}
        self._unwritten: set[str] = set()

    def claim(self, name: str, location: Location) -> None:
        """Take ``name`` for a layer or a scope; ``SpecError`` if it is not a name or is taken."""
        if name in self.taken:
            if not self.taken[name].line:
                raise SpecError(f"'{name}' is an input; a layer needs another name", location)
            if self.taken[name] == location:
                last = name.rpartition(".")[2]
                raise SpecError(
                    f"this makes a second layer '{name}'; in a loop a name holds what changes, like `{last}$i`",
                    location,
                )
            raise SpecError(f"two layers are called '{name}', here and at {self.taken[name].short}", location)
        if len(name) > MAX_NAME:
            raise SpecError(f"the name '{brief(name)}' has {len(name)} characters; {MAX_NAME} are the most", location)
        if not _NAME.fullmatch(name):
            raise SpecError(
                f"'{brief(name)}' is not a name for a layer; a name has letters, digits, '_', '-' and '.'", location
            )
        self.taken[name] = location
        self.claimed.append(name)
        scope = name.rpartition(".")[0]
        while scope and scope not in self.taken:
            self._crossed.add(scope)
            scope = scope.rpartition(".")[0]

    def is_crossed(self, prefix: str) -> bool:
        """Whether a layer was called something under ``prefix`` before there was anything of that name."""
        return prefix[:-1] in self._crossed

    def is_unwritten(self, name: str) -> bool:
        """Whether ``name`` is not written in the file."""
        return name in self._unwritten

    def copy(
        self,
        prefix: str,
        claimed: Iterable[tuple[str, Location, bool]],
        defined: list[tuple[str, tuple[str, ...]]],
        last: Mapping[str, str],
    ) -> None:
        """Claim and define, under ``prefix``, names without it; and those of scopes, each with the last value there."""
        for name, location, unwritten in claimed:
            name = prefix + name
            self.taken[name] = location
            self.claimed.append(name)
            if unwritten:
                self._unwritten.add(name)
        for name, outputs in defined:
            self._values[name] = outputs[0]
            if len(outputs) > 1:
                self._values.update(zip([f"{name}.{i}" for i in range(len(outputs))], outputs, strict=True))
        self.defined += defined
        self._last.update(last)
        scope = prefix[:-1]
        while defined and scope:
            self._last[scope] = defined[-1][1][0]
            scope = scope.rpartition(".")[0]

    def free(self, name: str) -> str:
        """A name for what has none written: ``name``, with ``_1``, ``_2`` … after it if it is taken."""
        if name in self.taken:
            i = self._next.get(name, 1)
            while f"{name}_{i}" in self.taken:
                i += 1
            self._next[name] = i + 1
            name = f"{name}_{i}"
        self._unwritten.add(name)
        return name

    def define(self, name: str, outputs: tuple[str, ...]) -> None:
        """Let references find ``outputs`` under ``name``."""
        self.defined.append((name, outputs))
        self._values[name] = outputs[0]
        if len(outputs) > 1:
            self._values.update(zip([f"{name}.{i}" for i in range(len(outputs))], outputs, strict=True))
        dot = name.rfind(".")
        while dot > 0:
            self._last[name[:dot]] = outputs[0]
            dot = name.rfind(".", 0, dot)

    def find(self, name: str, prefix: str) -> str | None:
        """The value that ``name`` means in the scope ``prefix``, if any."""
        full = prefix + name
        value = self._values.get(full) or self._last.get(full)
        if value is not None:
            if len(prefix) < self.reach:
                self.reach = len(prefix)
            return value
        for full in outward(name, prefix)[1:]:
            value = self._values.get(full) or self._last.get(full)
            if value is not None:
                self.reach = min(self.reach, len(full) - len(name))
                return value
        self.reach = 0
        return None

    def given(self, prefix: str) -> int:
        """How many values the block that ``prefix`` lies in is applied to; 0 outside of blocks."""
        inside = next((name for name in outward("inputs", prefix) if name in self._values), "")
        return next(i for i in count() if f"{inside}.{i}" not in self._values)

    def hint(self, name: str, prefix: str) -> str:
        """What to do about a reference that was not found: write the name down, or `` (did you mean …?)``."""
        if any(full in self._unwritten for full in outward(name, prefix)):
            return "; the layer that is called so has no written name, which a reference needs: `- name: op`"
        known = list(self._values)[-2000:]
        return near(name, [*(k[len(prefix) :] for k in known if k.startswith(prefix)), *known])


def outward(name: str, prefix: str) -> list[str]:
    """``name`` in the scope ``prefix`` and in each scope around it.

    >>> outward("conv", "layer1.0.")
    ['layer1.0.conv', 'layer1.conv', 'conv']
    """
    names = [prefix + name]
    while prefix:
        prefix = prefix[: prefix.rfind(".", 0, -1) + 1]
        names.append(prefix + name)
    return names


def bind_arguments(
    what: str, wanted: Mapping[str, object | None], args: tuple[Value, ...], kwargs: Mapping[str, Value]
) -> dict[str, Value]:
    """Which parameter of a block gets which argument; ``SpecError`` for too many or unknown ones."""
    if len(args) > len(wanted):
        raise SpecError(f"{what} takes {', '.join(wanted) or 'nothing'}; it was given {len(args)} arguments")
    bound = dict(zip(wanted, args, strict=False))
    for name, value in kwargs.items():
        if name not in wanted:
            takes = f"it takes {', '.join(wanted)}" if wanted else "it takes nothing"
            raise SpecError(f"{what} has no parameter '{name[:80]}'{near(name, wanted)}; {takes}")
        if name in bound:
            raise SpecError(f"{what}: {name} is given twice, as {shown(bound[name])} and {shown(value)}")
        bound[name] = value
    return bound
