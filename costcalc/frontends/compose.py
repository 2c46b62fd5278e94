"""What one operator of a file is, as layers under its name: several are a block, which one kernel of an engine does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from costcalc.classes import NamedTuple
from costcalc.errors import Location
from costcalc.ir.graph import GraphBuilder, Group
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType

_OTHERS = re.compile(r"[^A-Za-z0-9_.-]+")


def plain(name: str, most: int = 120) -> str:
    """``name`` as a layer can be called, its scopes parted by dots.

    >>> plain("model/conv2d/Conv2D"), plain("serving_default_x:0"), plain("a;b")
    ('model.conv2d.Conv2D', 'serving_default_x_0', 'a')
    """
    first = name.partition(";")[0]
    parts = [_OTHERS.sub("_", part).strip("_.-") for part in first.replace("/", ".").split(".")]
    return ".".join(part for part in parts if part)[:most].rstrip(".")


def inputs_named(names: Iterable[str]) -> list[str]:
    """What inputs that a file calls ``names`` are called, each apart from the others.

    >>> inputs_named(["a/b", "a.b", "", ""])
    ['a.b', 'a.b_1', 'input', 'input_1']
    """
    found: dict[str, None] = {}
    numbered: dict[str, int] = {}
    for name in names:
        label = first = plain(name) or "input"
        while label in found:
            numbered[first] = numbered.get(first, 0) + 1
            label = f"{first}_{numbered[first]}"
        found[label] = None
    return list(found)


Rule = TypeVar("Rule", bound=Callable[..., Any])


def registering(rules: dict[str, Rule]) -> Callable[..., Callable[[Rule], Rule]]:
    """A decorator that takes names: the function below it is their rule in ``rules``."""

    def rule(*names: str) -> Callable[[Rule], Rule]:
        def give(function: Rule) -> Rule:
            rules.update(dict.fromkeys(names, function))
            return function

        return give

    return rule


class Unlike(Exception):
    """A rule that does not hold for an operator; its message is the reason."""


class Intermediate(NamedTuple):
    """A value that an operator makes on its way, before its layers have names: of which layer, which output."""

    layer: int
    output: int


Value = str | Intermediate
"""A value of the graph by its name, or one that is being made."""


class ComposedLayer(NamedTuple):
    """A layer of the operator at hand."""

    op: Op
    inputs: tuple[Value, ...]
    called: Mapping[str, str]
    stored_as: Mapping[str, str]
    makes: tuple[TensorType, ...]


class Composer:
    """Gathers the layers of one operator after another, and adds them to ``builder`` once their names are known.

    groups   the layers that one operator is, where they are several that do something
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.groups: list[Group] = []
        self._layers: list[ComposedLayer] = []
        self._blocks: set[str] = set()
        self._numbered: dict[str, int] = {}

    def begin(self) -> None:
        """Forget the layers of an operator that was not finished."""
        self._layers = []

    def type_of(self, value: Value) -> TensorType:
        """The type of a value."""
        return (
            self._layers[value.layer].makes[value.output]
            if isinstance(value, Intermediate)
            else self.builder.types[value]
        )

    def add(
        self, op: Op, values: Sequence[Value], called: Mapping[str, str] = {}, stored_as: Mapping[str, str] = {}
    ) -> tuple[Value, ...]:
        """Add a layer of the operator at hand; the values that it makes. Raises as ``GraphBuilder.add`` does."""
        makes = self.builder.types_made(op, tuple(map(self.type_of, values)))
        self._layers.append(ComposedLayer(op, tuple(values), called, stored_as, makes))
        return tuple(Intermediate(len(self._layers) - 1, i) for i in range(len(makes)))

    def finish(self, name: str, location: Location | None, operator: str) -> Mapping[Intermediate, str]:
        """Add the operator's layers to the graph: one under ``name``, of several each under its op's inside it.

        operator   what the file knows the operator by

        Returns what the values that they make are called.
        """
        made: dict[Intermediate, str] = {}
        doing = []
        block = self.free(name, block=len(self._layers) > 1)
        for i, layer in enumerate(self._layers):
            label = getattr(layer.op, "function", layer.op.name)
            called = block if len(self._layers) == 1 else self.free(f"{block}.{label}")
            inputs = [made[v] if isinstance(v, Intermediate) else v for v in layer.inputs]
            outputs = self.builder.add(called, layer.op, inputs, layer.called, location, stored_as=layer.stored_as)
            if operator:
                self.builder.operators[called] = operator
            made.update((Intermediate(i, k), value) for k, value in enumerate(outputs))
            if not layer.op.is_view:
                doing.append(called)
        if len(doing) > 1:
            self.groups.append(Group(doing[0], tuple(doing)))
        self._layers = []
        return made

    def free(self, name: str, block: bool = False) -> str:
        """``name``, numbered if a layer, or a block of layers, is called so; nothing is both."""
        parts = name.split(".")
        if any(self.builder.has(".".join(parts[:i])) for i in range(1, len(parts))):
            parts = ["_".join(parts)]
        name = found = ".".join(parts)
        while self.builder.has(found) or found in self._blocks:
            self._numbered[name] = self._numbered.get(name, 0) + 1
            found = f"{name}_{self._numbered[name]}"
        if block:
            self._blocks.add(found)
        self._blocks.update(".".join(parts[:i]) for i in range(1, len(parts)))
        return found
