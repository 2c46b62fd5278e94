"""A graph of a TFLite file, operator by operator, with its maps as they lie: channels last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, Location, OptionError, SpecError
from costcalc.frontends.compose import Composer, Intermediate, Unlike, Value, plain
from costcalc.frontends.regrouping import Batch
from costcalc.frontends.tflite.names import named
from costcalc.frontends.tflite.operators import KEEPS_STATE, NO_RULE
from costcalc.frontends.tflite.read import MOST_OPERATORS, Subgraph, TFLiteModel, TFLiteOperator, TFLiteTensor
from costcalc.ir.dims import Dim, prod
from costcalc.ir.fields import elements
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import ELEMENT_BITS, TensorType
from costcalc.ir.value_size import ValueSize

MOST_NESTED = 16
"""How deep composites, branches and loops are written out."""
MOST_SHOWN = 100
"""Letters of the end of a name in a sentence."""
MOST_WEIGHED = 200_000
"""Operators that are walked to weigh branches, those inside others as often as they are weighed."""
Carried = tuple[Value, "list[Dim] | None"]
"""A value that goes into a graph inside another or comes out of it, and its elements if these are known."""


class TensorScope:
    """The tensors of one graph of the file: the values that they are, and what is known of their elements.

    graph  which graph of the file it is: what is held in it is held once, however often it is written out
    same   constants in another element type or shape → the constant that they are made of
    """

    def __init__(self, key: int, graph: Subgraph) -> None:
        self.key, self.graph, self.tensors = key, graph.number, graph.tensors
        self.values: dict[int, Value] = {}
        self.numbers: dict[int, list[Dim]] = {}
        self.same: dict[int, int] = {}


class TFLiteBuilder:
    """A graph under construction.

    types      the types of its inputs, by tensor
    has_inner  whether graphs inside others were written out
    batch      the batch that is asked for, and that of the file
    as_given   whether its inputs have the sizes that the file says
    as_written whether what the operator at hand reads has them, which the file's own shapes of what it makes are for
    as_float   whether quantised tensors are told as the floating-point numbers that they stand for
    settings   what somebody said of sizes that values decide: ``{"trips": 10}``
    used       those that there are, as they were taken
    """

    def __init__(
        self, model: TFLiteModel, graph: Subgraph, name: str, types: Mapping[int, TensorType], as_float: bool = False,
        settings: Mapping[str, int] = {},
    ) -> None:  # fmt: skip
        self._as_float = as_float
        self.model, self.shown = model, model.flat.shown
        self.as_given = self.as_written = all(types[i].shape == graph.tensors[i].shape for i in graph.inputs)
        sizes = ((types[i].shape[0], graph.tensors[i].shape[0]) for i in graph.inputs if graph.tensors[i].shape)
        self.batch: Batch = next(((now, own) for now, own in sizes if own and now != own), (1, 1))
        self.scope = TensorScope(0, graph)
        inputs: dict[str, TensorType] = {}
        for label, i in graph.inputs_named().items():
            inputs[label] = types[i]
            self.scope.values[i] = label
        self.builder = GraphBuilder(name, inputs)
        self._composer = Composer(self.builder)
        self._notes: dict[str, None] = {}
        self._leaves: dict[tuple[int, int], str] = {}
        self._called: dict[tuple[int, int], str] = {}
        self._weights: set[str] = set()
        self._scopes = 1
        self._operator = ""
        self._nested = 0
        self._prefix = ""
        self._count, self._weighed = 0, [0]
        self._settings, self._kinds = settings, dict[str, int]()
        self.used: dict[str, int] = {}
        self._decided: list[tuple[ValueSize, int, int]] = []
        self._choosing: list[tuple[ValueSize, int]] = []
        self._chosen: set[Value] = set()

    # -- what a rule asks ------------------------------------------------------------------------

    def tensor(self, index: int) -> TFLiteTensor:
        """The tensor, or the constant that it is in another element type or shape."""
        return self.scope.tensors[self.scope.same.get(index, index)]

    def is_constant(self, index: int) -> bool:
        """Whether the file holds the values of a tensor."""
        return index >= 0 and index not in self.scope.values and self.tensor(index).constant

    def known(self, index: int) -> list[Dim] | None:
        """The elements of a tensor of whole numbers, if they are known."""
        if index < 0:
            return None
        if index in self.scope.numbers:
            return self.scope.numbers[index]
        found = self.tensor(index).numbers if self.is_constant(index) else None
        return None if found is None else list(found)

    def wanted(self, index: int) -> list[int]:
        """The same, as numbers that the operator needs. Raises ``Unlike`` where they are not known."""
        found = self.known(index)
        if found is None or not all(isinstance(n, int) for n in found):
            raise Unlike("what it needs to know is computed while it runs")
        return found  # type: ignore[return-value]

    def type_of(self, value: int | Value) -> TensorType:
        """The type of a tensor, as it was made or as the file has it; or of a value."""
        if isinstance(value, int):
            found = self.scope.values.get(value)
            if found is None:
                return self.declared(value)
            value = found
        return self._composer.type_of(value)

    def declared(self, index: int) -> TensorType:
        """The type of a tensor by the file."""
        return self._type(self.scope.tensors[index])

    def _type(self, tensor: TFLiteTensor) -> TensorType:
        if tensor.scales and self._as_float:
            return TensorType(tensor.shape, "float32")
        # Texts and handles have no size of their own.
        return TensorType(tensor.shape, tensor.dtype if tensor.dtype in ELEMENT_BITS else "uint8")

    def sizes(self, index: int) -> tuple[int, ...]:
        """The shape of a tensor by the file."""
        return self.scope.tensors[index].shape

    def value(self, index: int) -> Value:
        """The value that a tensor is in the graph; a constant becomes one."""
        found = self.scope.values.get(index)
        if found is not None:
            return found
        root = self.scope.same.get(index, index)
        tensor = self.scope.tensors[root]
        is_known = index in self.scope.numbers  # of numbers that are known, and so made by no layer
        if not tensor.constant and not tensor.variable and not is_known and prod(tensor.shape):
            raise self.model.flat.broken(f"the tensor {index}, '{tensor.name[:80]}', is read before it is made")
        key = self.scope.key, index
        if key not in self._leaves:
            trained = tensor.constant and (tensor.dtype.startswith(("float", "bfloat")) or bool(tensor.scales))
            made, kept = self.declared(index), self.declared(root)
            op, called, stored_as = find_op("parameter")(made.shape, made.dtype, trained), {}, {}
            if is_known and not tensor.constant:
                op = find_op("constant")(made.shape, made.dtype, value=self.elements(index))
            else:
                called = {"weight": self._name_of((self.scope.graph, root), tensor)}
                stored_as = {"weight": kept.dtype} if kept.dtype != made.dtype else {}
            name = self._composer.free(plain(tensor.name) or "constant")
            (self._leaves[key],) = self.builder.add(name, op, [], called, stored_as=stored_as)
        return self._leaves[key]

    def elements(self, index: int) -> Any:
        """The elements of a tensor, as a layer that makes a constant has them."""
        return elements(self.known(index), prod(self.declared(index).shape))

    # -- what a rule does ------------------------------------------------------------------------

    def make(self, op: str, *inputs: int | Value, weights: Mapping[str, int] = {}, **options: Any) -> Value:
        """Add a layer on tensors or values; the value that it makes."""
        return self.several(find_op(op)(**options), *inputs, weights=weights)[0]

    def several(self, op: Op, *inputs: int | Value, weights: Mapping[str, int] = {}) -> tuple[Value, ...]:
        """Add a layer; the values that it makes. ``weights`` are tensors of the file by the op's names for them."""
        values = tuple(self.value(v) if isinstance(v, int) else v for v in inputs)
        wanted = op.weights(*map(self.type_of, values)) if weights else {}
        called, stored_as = {}, {}
        for local, index in weights.items():
            root = self.scope.same.get(index, index)
            tensor, weight = self.scope.tensors[root], wanted[local].type
            if prod(weight.shape) != prod(tensor.shape):
                raise Unlike(f"its {local} has {'×'.join(map(str, tensor.shape))}, by its inputs {weight}")
            called[local] = self._name_of((self.scope.graph, root), tensor)
            if (kept := self._type(tensor).dtype) != weight.dtype:
                stored_as[local] = kept
        return self._composer.add(op, values, called, stored_as)

    def bind(self, index: int, value: int | Value) -> None:
        """Say which value an output is."""
        self.scope.values[index] = self.value(value) if isinstance(value, int) else value

    def same(self, index: int, constant: int) -> None:
        """Say that an output is a constant of the file, in another element type or shape."""
        self.scope.same[index] = self.scope.same.get(constant, constant)

    def note(self, text: str) -> None:
        """Take something for granted of the operator at hand, and say so."""
        self._notes[f"{self._path}: {text}"] = None

    # -- operators -------------------------------------------------------------------------------

    def run(self, operators: Iterable[TFLiteOperator]) -> None:
        """Add all operators in their order, which is one in which they can run."""
        from costcalc.frontends.tflite.rules import rule_of

        for number, operator in enumerate(operators):
            if not self._nested:
                self._operator = str(number)  # also of what stands in it
            self._count += 1
            if self._count > MOST_OPERATORS:
                raise SpecError(
                    f"with its loops and composites written out it has more than {MOST_OPERATORS:,} operators",
                    Location(self.shown),
                )
            self._composer.begin()
            self._path = self._prefix + named(operator, self.scope.tensors)
            chosen = any(self.scope.values.get(i) in self._chosen for i in operator.inputs)
            self.as_written = self.as_given and not chosen
            if operator.name == "STABLEHLO_COMPOSITE" and operator.options2 is not None and self._inlined(operator):
                continue
            rule = None if operator.custom else rule_of(operator.name)
            try:
                if rule is None:
                    raise Unlike("" if operator.custom else NO_RULE.get(operator.name, ""))
                variable = any(self.scope.tensors[i].variable for i in operator.inputs if i >= 0)
                if variable and operator.name not in KEEPS_STATE:
                    raise Unlike("it keeps a state from one inference to the next")
                rule(self, operator)
                self._agree(operator)
            except Unlike as reason:
                self._uncounted(operator, str(reason))
            except (SpecError, OptionError):
                raise
            except CostcalcError as error:
                if not self.as_given:
                    says = (
                        f"the file does not take other sizes than its own: {self._path[-MOST_SHOWN:]}, {operator.name}"
                    )
                    raise SpecError(f"{says}: {error.message}", Location(self.shown)) from None
                self._uncounted(operator, error.message)
            except (LookupError, ValueError, ArithmeticError):
                self._uncounted(operator, "its inputs and options are not those of its kind")
            self._commit(operator, chosen)

    def _agree(self, operator: TFLiteOperator) -> None:
        """Raise ``Unlike`` where our rule makes another shape than the file says, its inputs being of the file's sizes.

        Another element type is what the operator writes.
        """
        as_written = self.as_written and not self._choosing
        for index in operator.outputs:
            if index not in self.scope.values:
                continue
            ours, theirs = self.type_of(index), self.declared(index)
            if as_written and ours.shape != theirs.shape and theirs.shape:
                raise Unlike(f"it makes {theirs}, by our rule {ours}")
            if ours.dtype != theirs.dtype:  # as a product of int8 that is kept in more bits
                self.bind(
                    index, self.make("elementwise", self.scope.values[index], function="copy", dtype=theirs.dtype)
                )

    def _uncounted(self, operator: TFLiteOperator, reason: str) -> None:
        """A stand-in for an operator, whose outputs are as the file has them."""
        self._composer.begin()
        self._choosing.clear()
        for index in operator.outputs:
            if isinstance(self.scope.values.get(index), Intermediate):  # of the rule that did not hold
                del self.scope.values[index]
        # What is made by none, as an assignment is, is still something that was not counted.
        made = [self.declared(index) for index in operator.outputs] or [TensorType((), "uint8")]
        name = plain(operator.name) or "custom"
        op = find_op("uncounted")(
            name if operator.custom else name.lower(), tuple(t.shape for t in made), tuple(t.dtype for t in made)
        )
        values = self.several(op, *(i for i in operator.inputs if i >= 0 and not self._is_empty(i)))
        for index, value in zip(operator.outputs, values, strict=False):
            self.bind(index, value)
        if reason:
            self.note(f"not counted: {reason}")
        if not self.as_written:
            self.note("makes what the file says, whatever the sizes are")

    def _is_empty(self, index: int) -> bool:
        tensor = self.tensor(index)
        return index not in self.scope.values and not tensor.constant and not tensor.variable

    def _commit(self, operator: TFLiteOperator, chosen: bool) -> None:
        """Add the layers of the operator at hand, and bind what it makes to their values.

        chosen   whether its sizes follow from those that values decide
        """
        made = self._composer.finish(self._path, Location(self.shown), self._operator)
        for index in operator.outputs:
            value = self.scope.values.get(index)
            if isinstance(value, Intermediate):
                self.scope.values[index] = made[value]
        if chosen or self._choosing:
            self._chosen.update(self.scope.values[i] for i in operator.outputs if i in self.scope.values)
        for decided in self._choosing:
            self.end(decided)
        self._choosing.clear()

    def _inlined(self, operator: TFLiteOperator) -> bool:
        """Write a composite out as the graph that it is decomposed into; whether that could be done."""
        assert operator.options2 is not None
        graph = self.model.subgraph(operator.options2.whole(1))
        if len(graph.inputs) != len(operator.inputs) or len(graph.outputs) != len(operator.outputs):
            return False
        self.bind_all(operator.outputs, self.body(graph, self.carried(operator.inputs)))
        return True

    # -- graphs inside others --------------------------------------------------------------------

    def carried(self, indices: Sequence[int]) -> list[Carried]:
        """The tensors as they go into a graph inside this one."""
        return [(self.value(i), self.known(i)) for i in indices]

    def body(self, graph: Subgraph, given: Sequence[Carried], part: str = "") -> list[Carried]:
        """Write out ``graph``, its inputs being ``given``; what it makes. ``part`` goes before the names of its layers.

        Raises ``SpecError`` where graphs stand too deep in each other.
        """
        if self._nested >= MOST_NESTED:
            raise SpecError(
                f"composites, branches and loops are nested more than {MOST_NESTED} deep", Location(self.shown)
            )
        outer, around, path, as_written = self.scope, self._prefix, self._path, self.as_written
        self.scope = TensorScope(self._scopes, graph)
        self._scopes, self._nested = self._scopes + 1, self._nested + 1
        if part:
            self._prefix = f"{path}.{part}."
        for index, (value, known) in zip(graph.inputs, given, strict=True):
            self.scope.values[index] = value
            if known is not None:
                self.scope.numbers[index] = known
        self.run(graph.operators)
        made = self.carried(graph.outputs)
        self.scope, self._prefix, self._path, self.as_written = outer, around, path, as_written
        self._nested -= 1
        self._composer.begin()
        return made

    def bind_all(self, outputs: Sequence[int], made: Sequence[Carried]) -> None:
        """Say which values outputs are that a graph inside this one made."""
        for index, (value, known) in zip(outputs, made, strict=True):
            self.bind(index, value)
            if known is not None:
                self.scope.numbers[index] = known

    def weighed(self, graph: Subgraph, given: Sequence[int]) -> int:
        """The MACs of a branch, written out apart. Raises ``SpecError`` where branches in branches have no end."""
        types = {index: self.type_of(i) for index, i in zip(graph.inputs, given, strict=True)}
        apart = TFLiteBuilder(self.model, graph, "branch", types, self._as_float, self._settings)
        apart.as_given, apart._weighed, apart._nested = self.as_written, self._weighed, self._nested + 1
        self._weighed[0] += len(graph.operators)
        if self._nested >= MOST_NESTED or self._weighed[0] > MOST_WEIGHED:
            raise SpecError(
                f"to weigh its branches takes more than {MOST_WEIGHED:,} operators, or more than {MOST_NESTED} in each "
                "other",
                Location(self.shown),
            )
        apart.run(graph.operators)
        macs = 0
        for node in apart.builder.nodes:
            of = [apart.builder.types[v] for v in node.inputs]
            done = node.op.macs(*of, y=apart.builder.types[node.outputs[0]]) if node.outputs else 0
            macs += done if isinstance(done, int) else 0
        return macs

    def setting_name(self, kind: str) -> str:
        """A name for the next size of ``kind`` that values decide: ``trips``, ``trips_1`` …"""
        number = self._kinds[kind] = self._kinds.get(kind, -1) + 1
        return f"{kind}_{number}" if number else kind

    def setting(self, name: str) -> int | None:
        """What somebody said of the size ``name``, or of all of its kind.

        Raises ``OptionError`` for what is no whole number from 0.
        """
        kind = name.partition("_")[0]
        key = name if name in self._settings else kind
        found = self._settings.get(key)
        if found is None:
            return None
        if type(found) is not int or found < 0:
            raise OptionError(f"{key} of {self.shown} is a whole number from 0, not {found!r:.80}")
        self.used[key] = found
        return found

    def chosen(self, most: Dim, kind: str) -> Dim:
        """How many elements values choose: what somebody said, or the most that there can be.

        Sizes of what is made of them are then not those of the file.
        """
        name = self.setting_name("selected")
        given = self.setting(name)
        if not isinstance(most, int):
            self.note(f"there are the most {kind} that there can be")
            return most if given is None else given
        size = most if given is None else min(given, most)
        self._choosing.append(self.decides(name, size, most, kind, given is not None))
        return size

    def decides(self, name: str, size: int, most: int, kind: str, given: bool) -> tuple[ValueSize, int]:
        """Note a size that values decide; it decides the layers that are made until ``end``."""
        self.used.setdefault(name, size)
        return ValueSize(name, size, most, kind, given, given or size == most, False, ()), len(self.builder.nodes)

    def end(self, decided: tuple[ValueSize, int] | None) -> None:
        """The layers that a size decides are made."""
        if decided is not None:
            self._decided.append((*decided, len(self.builder.nodes)))

    def _sizes(self, graph: Graph) -> tuple[ValueSize, ...]:
        found = []
        for size, first, last in self._decided:
            layers = [node.name for node in self.builder.nodes[first:last]]
            inside, reached = set(layers), set[str]()
            for node in graph.nodes:
                if node.name in inside or not reached.isdisjoint(node.inputs):
                    reached.update(node.outputs)
                    inside.add(node.name)
            found.append(size._replace(layers=tuple(node.name for node in graph.nodes if node.name in inside)))
        return tuple(found)

    def is_chosen(self, index: int) -> bool:
        """Whether values decide the sizes of a tensor."""
        return self.scope.values.get(index) in self._chosen

    @property
    def has_inner(self) -> bool:
        return self._scopes > 1

    def _name_of(self, key: tuple[int, int], tensor: TFLiteTensor) -> str:
        """What a tensor of the file is called: as there, and apart from all others."""
        if key not in self._called:
            name = plain(tensor.name, 200) or "tensor"
            found, number = name, key[1]
            while found in self._weights:
                found, number = f"{name}#{number}", number + 1
            self._called[key] = found
            self._weights.add(found)
        return self._called[key]

    def graph(self, outputs: Sequence[int], source: str) -> Graph:
        """The graph as it stands."""
        values = [self.value(i) for i in outputs]
        made = self.builder.build([v for v in values if isinstance(v, str)], source=source)
        made = replace(made, assumed=(*made.assumed, *self._notes), groups=tuple(self._composer.groups))
        return replace(made, sizes=self._sizes(made)) if self._decided else made
