"""What graphs of ncnn and of pnnx networks share while they are built: values by the names that a file has for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from costcalc.classes import replace
from costcalc.errors import Location, SpecError
from costcalc.frontends.compose import Composer, Intermediate, Unlike, Value, inputs_named, plain
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType


class FileLine(Protocol):
    """A line of either file."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def location(self) -> Location: ...


class BlobBuilder:
    """A graph under construction; ``types`` are those of its inputs, by the blob's name, and ``called`` their names."""

    def __init__(self, name: str, types: Mapping[str, TensorType], called: Iterable[str]) -> None:
        names = inputs_named(called)
        self.builder = GraphBuilder(name, dict(zip(names, types.values(), strict=True)))
        self._composer = Composer(self.builder)
        self._values: dict[str, Value] = dict(zip(types, names, strict=True))
        self._notes: dict[str, None] = {}

    def type_of(self, value: Value) -> TensorType:
        """The type of a value."""
        return self._composer.type_of(value)

    def make(self, op: str, *values: Value, stored_as: Mapping[str, str] = {}, **options: Any) -> Value:
        """Add an op; the value that it makes."""
        return self._composer.add(find_op(op)(**options), values, {}, stored_as)[0]

    def several(self, op: str, *values: Value, **options: Any) -> tuple[Value, ...]:
        """Add an op that makes several."""
        return self._composer.add(find_op(op)(**options), values)

    def value(self, blob: str, line: FileLine) -> Value:
        """The value that a blob is, which ``line`` reads."""
        if blob not in self._values:
            raise SpecError(f"'{blob[:80]}' is read before it is made", line.location)
        return self._values[blob]

    def note(self, line: FileLine, text: str) -> None:
        """Take something for granted of a layer, and say so."""
        self._notes[f"{plain(line.name)}: {text}"] = None

    def ruled(
        self, rule: Callable[..., Value | list[Value]] | None, line: FileLine, inputs: Sequence[Value]
    ) -> list[Value]:
        """What the layer of ``line`` makes by its rule. Raises ``Unlike`` where there is none, or it does not hold."""
        self._composer.begin()
        if rule is None:
            raise Unlike("")
        try:
            made = rule(self, line, *inputs)
        except (LookupError, ValueError, ArithmeticError, TypeError, StopIteration):
            raise Unlike("what it reads and its options are not those of its kind") from None
        outputs = list(made) if isinstance(made, list) else [made]
        if len(outputs) < len(line.outputs):
            raise Unlike(f"it makes {len(line.outputs)}, by our rule {len(outputs)}")
        return outputs

    def uncounted(
        self, line: FileLine, inputs: Sequence[Value], types: Sequence[TensorType], reason: str
    ) -> list[Value]:
        """A stand-in that makes ``types``."""
        self._composer.begin()
        if reason:
            self.note(line, f"not counted: {reason}")
        shapes, dtypes = tuple(t.shape for t in types), tuple(t.dtype for t in types)
        operator = plain(line.kind) or "layer"
        return list(self.several("uncounted", *inputs, operator=operator, shapes=shapes, dtypes=dtypes))

    def finish(self, line: FileLine, outputs: Sequence[Value], name: str) -> None:
        """Add the layers of ``line`` to the graph, and bind its blobs to what they make."""
        names = self._composer.finish(name, line.location, line.name)
        for blob, value in zip(line.outputs, outputs, strict=False):
            self._values[blob] = names[value] if isinstance(value, Intermediate) else value

    def built(self, outputs: Iterable[str], source: str) -> Graph:
        """The graph as it stands, with these outputs."""
        if not self.builder.nodes:
            raise SpecError("this network has no layers", Location(source))
        made = self.builder.build(dict.fromkeys(outputs), source=source)
        return replace(made, assumed=(*made.assumed, *self._notes), groups=tuple(self._composer.groups))
