"""The program: values by name and type, nodes in order; and the builder that every front end uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from costcalc.classes import NamedTuple, dataclass, field
from costcalc.errors import CostcalcError, Location, ShapeError
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr, Relation
from costcalc.ir.memo import Memo
from costcalc.ir.op import Op
from costcalc.ir.origin import Origin, origin_of
from costcalc.ir.tensor import TensorType, Weight
from costcalc.ir.use import Use, Uses
from costcalc.ir.value_size import ValueSize

_NONE: Mapping[str, str] = {}


class Node(NamedTuple):
    """One op applied to named values.

    name      dotted path, ``layer1.0.conv1``; the dots make the tree that reports fold by
    outputs   the values it makes: its own name, or ``name.0``, ``name.1`` … of several
    called    what its weights are called in the whole model: the op's name of each → that name,
              ``{"weight": "embed.weight"}``; a weight not in it is ``name.weight``. Layers that call a
              weight alike share it, see ``Graph.users``
    prepared  weights that no tensor of the model is, but that are made from some beforehand: the op's name of
              each → the value, which depends on no input, ``{"weight": "conv.weight_norm.0"}``
    frozen    its parameters that training leaves as they are, by the op's names
    location  where the user wrote it
    stored_as  element types of its weights, where they are stored in others than the op says, ``{"bias": "int32"}``
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    called: Mapping[str, str] = _NONE
    location: Location | None = None
    prepared: Mapping[str, str] = _NONE
    frozen: frozenset[str] = frozenset()
    stored_as: Mapping[str, str] = _NONE

    @property
    def reads(self) -> tuple[str, ...]:
        """The values that it needs: its inputs, and its weights that are made beforehand."""
        return (*self.inputs, *self.prepared.values()) if self.prepared else self.inputs

    @property
    def is_leaf(self) -> bool:
        """Whether it is a tensor of the model as a value, which nothing makes."""
        return self.op.is_view and not self.inputs

    def stored(self, weights: Mapping[str, Weight]) -> dict[str, Weight]:
        """Those of ``weights``, which its op has, that are tensors of the model; frozen ones say so."""
        own = {local: w for local, w in weights.items() if local not in self.prepared}
        for local, dtype in self.stored_as.items():
            if local in own:
                own[local] = own[local]._replace(type=TensorType(own[local].type.shape, dtype))
        return own | {local: own[local]._replace(frozen=True) for local in self.frozen if local in own}

    def weight(self, local: str) -> str:
        """The one name in the whole model of the weight that the op calls ``local``."""
        return self.called.get(local) or f"{self.name}.{local}"


class Group(NamedTuple):
    """Layers that one kernel does: what passes between them alone is neither written nor read.

    name     the layer that the others join: a convolution or a product, or the first of them
    layers   in the graph's order
    """

    name: str
    layers: tuple[str, ...]


class Joining(NamedTuple):
    """Whether a layer is done by the kernel of another one, and why.

    to        that other layer; "" if it has a kernel of its own
    because   the rule by which it joins, or what prevents it
    """

    to: str
    because: str


@dataclass(frozen=True, repr=False)
class Graph:
    """Nodes in an order in which each value is made before it is used; every value with its type.

    A graph made by ``GraphBuilder`` is legal: each op accepted its inputs.

    parameters   what the model was built with, ``{"num_classes": 1000}``
    source       the paper, file or module that it comes from
    assumed      what must hold of the symbols, where dimensions are symbols; what a trace took for granted
    sizes        those that values decide
    layouts      input → its layout, ``nhwc``, where that was given
    declared     input → its shape in the sizes that an exported program leaves open, which are ``parameters``
    own_names    closed forms call its open sizes as it does: those names were given by people
    applied      the transforms that made it of the model as it was, in their order
    groups       the layers that are done by one kernel, as an engine joins them; all others have one each
    joinings     layer → why it is in the group of another, or not
    modules      name of a layer, or of a block of them → the class of the module that it is, where one was traced
    operators    layer → the operator of its file that it is of: its name there, in a TFLite file its number
    """

    name: str
    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, TensorType]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    assumed: tuple[str, ...] = ()
    sizes: tuple[ValueSize, ...] = ()
    layouts: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, tuple[Dim, ...]] = field(default_factory=dict)
    applied: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    joinings: Mapping[str, Joining] = field(default_factory=dict)
    own_names: bool = False
    modules: Mapping[str, str] = field(default_factory=dict)
    operators: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        from costcalc.backends.escape import visible

        values = (", ".join(f"{visible(v)} {self.types[v]}" for v in some) for some in (self.inputs, self.outputs))
        return f"<Graph {visible(self.name)}: {len(self.nodes)} layers, {' → '.join(values)}>"

    def __str__(self) -> str:
        """A layer a line: its name, its op, and the shapes that it reads and makes."""
        from costcalc.backends.escape import console, visible

        shapes = [map(_listed, (self.input_types(n), self.output_types(n))) for n in self.nodes]
        rows = [(visible(n.name), n.op.name, *some) for n, some in zip(self.nodes, shapes, strict=True)]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
        lines = [
            "  ".join((name.ljust(widths[0]), op.ljust(widths[1]), f"{read.rjust(widths[2])} → {made}"))
            for name, op, read, made in rows
        ]
        return console("\n".join([repr(self)[1:-1], "", *lines]))

    def _repr_html_(self) -> str:
        from costcalc.backends.graph.html import fragment

        return fragment(self)

    def __len__(self) -> int:
        return len(self.nodes)

    def __bool__(self) -> bool:
        return True  # without layers too

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Node:
        """The node called ``name``; ``KeyError`` if there is none."""
        return self.node(name)

    def input_types(self, node: Node) -> tuple[TensorType, ...]:
        """The types of the values that ``node`` reads."""
        return tuple([self.types[v] for v in node.inputs])

    def output_types(self, node: Node) -> tuple[TensorType, ...]:
        """The types of the values that ``node`` makes."""
        return tuple([self.types[v] for v in node.outputs])

    @cached_property
    def is_symbolic(self) -> bool:
        """Whether a size of a value is a symbol."""
        return any(isinstance(d, Expr) for t in {*self.types.values()} for d in t.shape)

    def runs(self, node: Node) -> bool:
        """Whether an inference does anything for ``node``: it is not a view, and is not made beforehand."""
        return not node.op.is_view and node.outputs[0] not in self.settled

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """What each of the nodes does, wherever it stands: equal ones are one object."""
        return Uses().of_nodes(self.nodes, self.types)

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """For each weight by its name in the whole model, who uses it, the first one first: ``("embed.weight",
        "head.weight")``. A weight is shared where there are several.
        """
        found: dict[str, tuple[str, ...]] = {}
        for node in self.nodes:
            for local in node.stored(node.op.weights(*self.input_types(node))):
                name = node.weight(local)
                found[name] = (*found.get(name, ()), f"{node.name}.{local}")
        return found

    @cached_property
    def settled(self) -> frozenset[str]:
        """The values that depend on no input and nothing random, so that they can be made once, beforehand."""
        leaves = any(not node.inputs for node in self.nodes)
        found = dict.fromkeys(self.inputs, Origin.DATA)
        for node in self.nodes if leaves else ():
            met = [found[v] for v in node.inputs]
            kind = origin_of(node.op, met, self.input_types(node), self.output_types(node))
            found.update(dict.fromkeys(node.outputs, kind))
        return frozenset(value for value, kind in found.items() if kind is not Origin.DATA)

    @cached_property
    def group_of(self) -> Mapping[str, Group]:
        """Layer → its group, of those that are in one."""
        return {name: group for group in self.groups for name in group.layers}

    @cached_property
    def kernels(self) -> tuple[tuple[Node, ...], ...]:
        """The nodes by kernel, those of a group together, in an order in which each value is made before it is used.

        A kernel runs where the last of its layers stands, or before that where another waits for it. Views of what a
        group makes are with it. Raises ``CostcalcError`` where two kernels wait for each other.
        """
        if not self.groups:
            return tuple((node,) for node in self.nodes)
        units: dict[str, list[Node]] = {}
        in_group: dict[str, Group] = {}
        unit_of: dict[str, list[Node]] = {}
        for node in self.nodes:
            group = self.group_of.get(node.name)
            if group is None and node.op.is_view and node.inputs and node.inputs[0] in in_group:
                group = in_group[node.inputs[0]]
            unit = units.setdefault(group.name, []) if group else []
            if group:
                in_group.update(dict.fromkeys(node.outputs, group))
            unit.append(node)
            unit_of.update(dict.fromkeys(node.outputs, unit))
        done: dict[int, tuple[Node, ...]] = {}
        waiting: dict[int, None] = {}
        for node in self.nodes:
            unit = unit_of[node.outputs[0]]
            stack = [unit] if unit[-1] is node else []
            while stack:
                unit = stack[-1]
                if id(unit) in done:
                    stack.pop()
                    continue
                needs = [unit_of[v] for member in unit for v in member.reads if v in unit_of]
                open_ = [other for other in needs if other is not unit and id(other) not in done]
                if not open_:
                    waiting.pop(id(unit), None)
                    done[id(unit)] = tuple(unit)
                    continue
                waiting[id(unit)] = None
                if any(id(other) in waiting for other in open_):
                    raise CostcalcError(f"{self.name}: the kernel of {unit[0].name} waits for one that waits for it")
                stack += open_
        return tuple(done.values())

    def node(self, name: str) -> Node:
        """The node called ``name``; ``KeyError`` if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)


def _listed(types: tuple[TensorType, ...]) -> str:
    return ", ".join(map(str, types)) or "nothing"


MOST_LOOKED_AT = 1_000_000
"""Places that the rules of different layers look at one by one: two seconds of work."""

MOST_VALUES = 400_000
"""Tensors of one graph: what a layer of many outputs makes is listed one by one."""


class GraphBuilder:
    """Builds a legal graph node by node, checking each op against its inputs.

    >>> from costcalc.ops.conv import Conv
    >>> b = GraphBuilder("tiny", {"image": TensorType((1, 3, 8, 8))})
    >>> b.add("conv1", Conv(4, 3), ["image"])
    ('conv1',)
    >>> b.types["conv1"].shape
    (1, 4, 6, 6)
    >>> len(b.build(["conv1"]).nodes)
    1
    """

    def __init__(self, name: str, inputs: Mapping[str, TensorType]) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.types: dict[str, TensorType] = dict(inputs)
        self.nodes: list[Node] = []
        self.beforehand: dict[str, Origin] = {}  # of the values that do not depend on data
        self.assumed: dict[str, None] = {}
        self._looked: set[tuple[Op, tuple[TensorType, ...]]] = set()
        self._places = 0  # at which these look one by one
        self._relations = 0  # conditions on symbols that were met
        self.operators: dict[str, str] = {}
        self._names: set[str] = set(inputs)
        # Deep networks repeat few (op, input types): what they yield is worked out once.
        self._known = Memo("types that ops make")

    def has(self, name: str) -> bool:
        """Whether a layer or an input is called ``name``."""
        return name in self._names

    def free_name(self, name: str) -> str:
        """``name``, with ``_1``, ``_2`` … after it if it is taken."""
        if name not in self._names:
            return name
        i = 1
        while f"{name}_{i}" in self._names:
            i += 1
        return f"{name}_{i}"

    def add(
        self,
        name: str,
        op: Op,
        inputs: Iterable[str],
        called: Mapping[str, str] | None = None,
        location: Location | None = None,
        prepared: Mapping[str, str] | None = None,
        frozen: Iterable[str] = (),
        stored_as: Mapping[str, str] | None = None,
    ) -> tuple[str, ...]:
        """Append ``op`` applied to ``inputs`` and return the names of the values that it makes.

        Raises ``ShapeError``, placed and named, if the op does not accept them, or not as weights what is ``prepared``.
        """
        if name in self._names:
            raise CostcalcError(f"two layers are called '{name}'", location)
        inputs = tuple(inputs)
        types = tuple([self.types[v] for v in inputs])
        made = self.types_made(op, types, name, location)
        outputs = (name,) if len(made) == 1 else tuple([f"{name}.{i}" for i in range(len(made))])
        if type(op).looks_at is not Op.looks_at:
            self._look(name, op, types, made, location)
        if self.beforehand or not inputs:
            origin = origin_of(op, (self.beforehand.get(v, Origin.DATA) for v in inputs), types, made)
            if origin is not Origin.DATA:
                self.beforehand.update(dict.fromkeys(outputs, origin))
        kept = frozenset(frozen)
        node = Node(name, op, inputs, outputs, called or _NONE, location, prepared or _NONE, kept, stored_as or _NONE)
        if prepared:
            self._check_prepared(node)
        self.put(node, made)
        return outputs

    def put(self, node: Node, types: tuple[TensorType, ...]) -> None:
        """Append ``node``, of a free name, whose outputs are of ``types``: those that ``add`` found for its like."""
        self.nodes.append(node)
        self._names.add(node.name)
        if len(types) == 1:
            self.types[node.name] = types[0]
        else:
            self.types.update(zip(node.outputs, types, strict=True))
            self._names.update(node.outputs)
            if len(self.types) > MOST_VALUES:
                many = f"the layers up to {node.name} make more than {MOST_VALUES:,} tensors"
                raise ShapeError(f"{many}, which takes too long", node.location)

    def _look(
        self, name: str, op: Op, types: tuple[TensorType, ...], made: tuple[TensorType, ...], location: Location | None
    ) -> None:
        """Raise ``ShapeError`` where the rules of so many different layers would look at too many places."""
        if (op, types) not in self._looked:
            self._looked.add((op, types))
            self._places += op.looks_at(*types, y=made[0])
            if self._places > MOST_LOOKED_AT:
                many = f"the layers up to {name} resize to so many different sizes that more than {MOST_LOOKED_AT:,}"
                raise ShapeError(f"{many} places would have to be looked at one by one, which takes too long", location)

    def _check_prepared(self, node: Node) -> None:
        """Raise ``ShapeError`` where a weight is to be made beforehand of what does not fit, or is not there then."""
        weights = node.op.weights(*(self.types[v] for v in node.inputs))
        for local, value in node.prepared.items():
            if local not in weights:
                has = ", ".join(weights) or "none"
                raise ShapeError(f"{node.name} has no weight '{local[:80]}'; it has {has}", node.location)
            if value not in self.beforehand:
                reason = f"{node.name}: the weight '{local}' cannot be '{value[:80]}', which depends on an input"
                raise ShapeError(f"{reason} or is random; dynamic_conv and matmul take such", node.location)
            wanted, given = weights[local].type, self.types[value]
            if wanted != given:
                both = f"{wanted} {wanted.dtype}, but '{value[:80]}' is {given} {given.dtype}"
                raise ShapeError(f"{node.name} needs {local} of {both}", node.location)

    def types_made(
        self, op: Op, types: tuple[TensorType, ...], name: str = "", location: Location | None = None
    ) -> tuple[TensorType, ...]:
        """What ``op`` would make of inputs of these types. Raises as ``add`` does."""
        key = (op, types)
        made: tuple[TensorType, ...] | None = self._known.get(key)
        if made is None:
            relations = self._relations
            made = self._apply(name or op.name, op, types, location)
            if self._relations == relations:
                self._known.put(key, made)
            else:
                self._known.own[key] = made  # another model assumes it anew
        return made

    def build(self, outputs: Iterable[str], parameters: Mapping[str, Any] | None = None, source: str = "") -> Graph:
        """The graph as it stands, with ``outputs`` as its results."""
        return Graph(
            self.name, self.inputs, tuple(self.nodes), tuple(outputs), self.types,
            parameters or {}, source, tuple(self.assumed), operators=self.operators,
        )  # fmt: skip

    def _apply(
        self, name: str, op: Op, types: tuple[TensorType, ...], location: Location | None
    ) -> tuple[TensorType, ...]:
        least, most = op.inputs
        if len(types) < least or (most is not None and len(types) > most):
            wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            raise ShapeError(f"{name}: {op.name} takes {wanted} inputs, not {len(types)}", location)
        try:
            for holds, sentence in op.requires(*types):
                if isinstance(holds, Relation):
                    self.assumed[str(holds)[1:-1]] = None
                    self._relations += 1
                elif not holds:
                    raise ShapeError(sentence)
            made = op.infer(*types)
        except CostcalcError as error:
            shapes = " and ".join(str(t) for t in types)
            where = "" if name == op.name else f"{name}: "
            error.message = f"{where}{error.message} (input {shapes})"
            raise error.at(location) from None
        except ZeroDivisionError:
            raise ShapeError(f"{name}: a size is divided by zero", location) from None
        return (made,) if isinstance(made, TensorType) else made
