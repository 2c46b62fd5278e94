"""Bodies of blocks that are written out again: what the first time made, under another name.

What a call of a block makes follows from the block, its arguments, the types of its inputs and the parameters of the
model that it stands in. If no name in it leads out of it, a later call that agrees in these makes the same layers,
and they are copied, which takes an eighth of the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import Location
from costcalc.frontends.spec.layers import MAX_LAYERS, Layers
from costcalc.frontends.spec.scopes import MAX_NAME
from costcalc.frontends.spec.values import Value, Word, WorkLimit
from costcalc.ir.graph import Node
from costcalc.ir.op import Op
from costcalc.ir.origin import Origin
from costcalc.ir.tensor import TensorType

Ref = "str | int"  # of a value: what stands after the prefix in its name, or the so manieth input


class Bounds(NamedTuple):
    """Of what there may only be so much: how deep the call stands, and the steps that its body takes."""

    nesting: int
    models: int
    steps: int


class BodyLayer(NamedTuple):
    """One layer of a body; names without the body's prefix."""

    name: str
    op: Op
    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]
    types: tuple[TensorType, ...]
    location: Location
    within: int


class Body(NamedTuple):
    """What a block made, whatever it is called.

    claimed    names with the places of their steps, and whether they are written there
    defined    names with the values that they mean
    last       scopes with the last value under them
    origins    the values that do not depend on data
    within     the calls in it, each with the one that it stands in; that of the body is the first
    running    the value at its end
    longest    of the names
    """

    layers: tuple[BodyLayer, ...]
    claimed: tuple[tuple[str, Location, bool], ...]
    defined: tuple[tuple[str, tuple[Any, ...]], ...]
    last: dict[str, Any]
    origins: dict[str, Origin]
    within: tuple[tuple[Location, int], ...]
    running: Any
    longest: int


class Mark(NamedTuple):
    """How far a model is written out."""

    nodes: int
    claimed: int
    defined: int

    @staticmethod
    def of(layers: Layers) -> Mark:
        """As it stands."""
        return Mark(len(layers.builder.nodes), len(layers.names.claimed), len(layers.names.defined))


class WrittenBody(NamedTuple):
    """Where a body stands that was written out: of which prefix and inputs, in which call, from where to where."""

    prefix: str
    inputs: list[str]
    within: Location
    start: Mark
    end: Mark
    running: str
    bounds: Bounds
    parameters: object


class Bodies:
    """The bodies of one model."""

    def __init__(self, layers: Layers, budget: WorkLimit) -> None:
        self._layers, self._budget = layers, budget
        self._made: dict[object, WrittenBody] = {}
        self._bodies: dict[object, Body | None] = {}

    def key(self, block: object, model: int, prefix: str, local: dict[str, Value], inputs: list[str]) -> object:
        """What the body follows from that gets ``prefix``; None where that is not easily said."""
        layers, builder = self._layers, self._layers.builder
        if layers.shared is not None or layers.frozen or any(end.name.startswith(prefix) for end in layers.ends):
            return None
        given = _plain(local.values())
        if given is None:
            return None
        types, origins = builder.types, builder.beforehand
        alike = tuple(map(inputs.index, inputs)) if len(inputs) > 1 else ()
        of = tuple([origins.get(v) for v in inputs]) if origins else (None,) * len(inputs)
        return id(block), model, given, alike, tuple([types[v] for v in inputs]), of

    def keep(self, key: object, made: WrittenBody) -> None:
        """Remember where the body of ``key`` stands."""
        self._made[key] = made

    def copy(self, key: object, prefix: str, inputs: list[str], within: Location, at: Bounds, of: object) -> str | None:
        """Write the body of ``key`` out again, in the call ``within``; its value, or None where it is not to be had.

        at   how deep it stands, and the steps that are left
        of   the parameters of its file
        """
        made, layers = self._made.get(key), self._layers
        if made is None or made.parameters is not of:
            return None
        if key not in self._bodies:
            self._bodies[key] = self._body(made)
        body = self._bodies[key]
        if (
            body is None
            or len(layers.builder.nodes) + len(body.layers) > MAX_LAYERS
            or len(prefix) + body.longest > MAX_NAME
            or layers.names.is_crossed(prefix)
            or made.bounds.steps > at.steps
            or made.bounds.nesting < at.nesting
            or made.bounds.models < at.models
        ):
            return None
        self._budget.spend(made.bounds.steps)
        calls = [within]
        for location, outer in body.within:
            calls.append(Location(location.file, location.line, location.column, calls[outer]))
        for name, op, reads, makes, types, location, call in body.layers:
            layers.put(
                Node(
                    prefix + name, op, tuple([prefix + v if type(v) is str else inputs[v] for v in reads]),
                    tuple([prefix + v for v in makes]), location=Location(*location[:3], calls[call]),
                ),
                types,
            )  # fmt: skip
        layers.builder.beforehand.update([(prefix + v, origin) for v, origin in body.origins.items()])
        names = layers.names
        names.copy(
            prefix,
            body.claimed,
            [(prefix + n, tuple([prefix + v if type(v) is str else inputs[v] for v in vs])) for n, vs in body.defined],
            {prefix + n: prefix + v if type(v) is str else inputs[v] for n, v in body.last.items()},
        )
        return prefix + body.running if type(body.running) is str else inputs[body.running]

    def _body(self, made: WrittenBody) -> Body | None:
        """What stands there, by names without the prefix; None where something leads out of it."""
        builder, names, prefix = self._layers.builder, self._layers.names, made.prefix
        start = len(prefix)

        def ref(value: str) -> Any:
            return value[start:] if value.startswith(prefix) else made.inputs.index(value)

        calls: dict[int, int] = {id(made.within): 0}
        within: list[tuple[Location, int]] = []

        def call(location: Location) -> int:
            if id(location) not in calls:
                assert location.within is not None
                within.append((location, call(location.within)))
                calls[id(location)] = len(within)
            return calls[id(location)]

        layers, origins = [], {}
        try:
            for node in builder.nodes[made.start.nodes : made.end.nodes]:
                if node.called or node.prepared or node.stored_as or node.frozen:
                    return None
                if not node.location or not node.location.within:
                    return None
                makes = tuple(v[start:] for v in node.outputs)
                types = tuple(builder.types[v] for v in node.outputs)
                reads, at = tuple(map(ref, node.inputs)), call(node.location.within)
                layers.append(BodyLayer(node.name[start:], node.op, reads, makes, types, node.location, at))
                if node.outputs[0] in builder.beforehand:
                    origins.update(dict.fromkeys(makes, builder.beforehand[node.outputs[0]]))
            defined = [
                (n[start:], tuple(map(ref, vs))) for n, vs in names.defined[made.start.defined : made.end.defined]
            ]
            running = ref(made.running)
        except ValueError:  # a value that is not an input of the block
            return None
        claimed = names.claimed[made.start.claimed : made.end.claimed]
        written = {prefix[:-1], *claimed}
        if names.is_crossed(prefix) or any(name.rpartition(".")[0] not in written for name in claimed):
            return None
        last: dict[str, Any] = {}
        for name, values in defined:
            dot = name.rfind(".")
            while dot > 0:
                last[name[:dot]] = values[0]
                dot = name.rfind(".", 0, dot)
        told = tuple((name[start:], names.taken[name], names.is_unwritten(name)) for name in claimed)
        longest = max((len(name) for name, _, _ in told), default=0)
        return Body(tuple(layers), told, tuple(defined), last, origins, tuple(within), running, longest)


def _plain(values: Iterable[Value]) -> tuple[object, ...] | None:
    """``values`` with their types, since 1, 1.0 and True are equal; None where one is a symbolic size."""
    found: list[object] = []
    for value in values:
        if type(value) is tuple:
            inner = _plain(value)
            if inner is None:
                return None
            found.append(inner)
        elif type(value) in _PLAIN:
            found.append((type(value), value))
        elif type(value) is float:
            found.append(value.hex())  # 0.0 and -0.0 are equal
        elif type(value) is Word:
            args, kwargs = _plain(value.args), _plain(value.kwargs.values())
            if args is None or kwargs is None:
                return None
            found.append((value.name, args, *value.kwargs, kwargs, id(value.spec)))
        else:
            return None
    return tuple(found)


_PLAIN = frozenset({int, bool, str, type(None)})
