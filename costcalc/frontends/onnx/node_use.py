"""One node, as the rule of its operator sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError
from costcalc.frontends.onnx.following import Met
from costcalc.frontends.onnx.read import OnnxNode
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.fields import UNKNOWN, elements
from costcalc.ir.op import find_op
from costcalc.ir.origin import Origin
from costcalc.ir.tensor import ELEMENT_BITS, TensorType

if TYPE_CHECKING:
    from costcalc.frontends.onnx.build import Build


class NoRule(Exception):
    """This use of the operator is one that no rule says how to count."""


class FileError(CostcalcError):
    """A file whose graph does not hold together."""


class KnownTensor(Traced):
    """A tensor whose elements are known and that no layer has made; it becomes one where a layer reads it.

    called   its name in the file, if it has one
    """

    __slots__ = ("called", "made")

    def __init__(self, type: TensorType, numbers: Sequence[Any] | None, called: str = "") -> None:
        super().__init__(type)
        self.numbers = None if numbers is None else tuple(numbers)
        self.called = called
        self.made: Traced | None = None


class QuantisedTensor(Traced):
    """A tensor of the file in floating point that is stored in another element type. A layer that takes it as its own
    has it as it is stored; for one that reads it as a value it is made beforehand.

    source   the tensor of the file
    """

    __slots__ = ("made", "source")

    def __init__(self, type: TensorType, source: Traced) -> None:
        super().__init__(type, origin=Origin.MODEL)
        self.source = source
        self.made: Traced | None = None


class NodeUse:
    """One node with what it reads.

    given   its inputs; None for one that is left out, a list for a sequence
    call    what its rule adds steps to
    opset   the version of its domain
    """

    __slots__ = ("build", "call", "given", "node", "opset")

    def __init__(self, build: Build, node: OnnxNode, given: Sequence[Any], call: Call, opset: int) -> None:
        self.build, self.node, self.given, self.call, self.opset = build, node, given, call, opset

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute; ``default`` where it is left out."""
        value = self.node.attributes.get(name)
        return default if value is None else value

    def has(self, index: int) -> bool:
        """Whether input ``index`` is there."""
        return index < len(self.given) and self.given[index] is not None

    def held(self, index: int) -> Traced:
        """Input ``index`` as it is: perhaps a constant that nothing has made yet."""
        if not self.has(index):
            raise FileError(f"{self.node.operator} needs an input {index + 1}, which is missing")
        value = self.given[index]
        if isinstance(value, list):
            raise FileError(f"input {index + 1} of {self.node.operator} is a sequence")
        return value  # type: ignore[no-any-return]

    def type(self, index: int) -> TensorType:
        """The type of input ``index``."""
        return self.held(index).type

    def shape(self, index: int) -> tuple[Dim, ...]:
        """Its shape."""
        return self.held(index).type.shape

    def x(self, index: int) -> Traced:
        """Input ``index`` as a value that a layer can read."""
        return self.real(self.held(index))

    def all(self) -> list[Traced]:
        """All inputs that are there, as values."""
        return [self.x(i) for i in range(len(self.given)) if self.has(i)]

    def real(self, value: Traced) -> Traced:
        """``value``, made by a layer if it is a constant."""
        if isinstance(value, KnownTensor):
            if value.made is None:
                value.made = self.constant(value.type, value=elements(value.numbers, value.type.size))
                self.build.made.append(value)
            return value.made
        if value.weight and is_number(value):
            return self.constant(value.type)
        if isinstance(value, QuantisedTensor):
            if value.made is None:
                value.made = self.elementwise("dequantize", value.source, dtype=value.type.dtype)
                self.build.made.append(value)
            return value.made
        return value

    def constant(self, type: TensorType, random: bool = False, value: Any = UNKNOWN) -> Traced:
        """A tensor of numbers that are known beforehand, or drawn."""
        value = 0 if random else value
        return self.add("constant", options=(type.shape, type.dtype, random, value))  # type: ignore[no-any-return]

    def numbers(self, index: int) -> tuple[Any, ...] | None:
        """The elements of input ``index``, if they are known."""
        value = self.held(index)
        if value.numbers is not None:
            self.build.looked_at(value)
        return value.numbers

    def known(self, index: int, what: str) -> tuple[Any, ...]:
        """The elements of input ``index``; raises ``NoRule`` where they are not known."""
        found = self.numbers(index)
        if found is None:
            raise NoRule(f"{what} is not in the file")
        return found

    def sizes(self, name: str, index: int, default: Any = None) -> Any:
        """Whole numbers that are an attribute in older files and input ``index`` in newer ones."""
        if name in self.node.attributes:
            return self.attribute(name)
        if self.has(index):
            return self.known(index, f"'{name}'")
        return default

    def add(self, op: str, *inputs: Traced, options: Sequence[Any] = (), weights: Any = None, **named: Any) -> Any:
        """Add a step: the op called ``op`` with ``options``, on ``inputs``. Returns what it makes."""
        made = find_op(op)(*options, **named)
        return self.call.add(made, *inputs, **(weights or {}))

    def elementwise(self, function: str, *inputs: Traced, dtype: str | None = None, times: int = 1) -> Traced:
        """A function of each element."""
        return self.add("elementwise", *inputs, options=(function, dtype, times))  # type: ignore[no-any-return]

    def is_weight(self, index: int) -> bool:
        """Whether input ``index`` is there and can be a layer's own: of the file, or made of such beforehand."""
        return self.has(index) and (isinstance(self.given[index], KnownTensor) or self.held(index).settled)

    def weight(self, index: int, shape: Sequence[Dim] | None = None, trained: bool = True) -> Traced:
        """Input ``index`` as a layer's own tensor, under ``shape`` if the op has another order of its axes."""
        value = self.held(index)
        return self.as_weight(value, shape, trained)

    def as_weight(self, value: Traced, shape: Sequence[Dim] | None = None, trained: bool = True) -> Traced:
        """``value`` as a layer's own tensor."""
        if isinstance(value, QuantisedTensor):
            shape, value = value.type.shape if shape is None else shape, value.source
        kind = value.type if shape is None else TensorType(tuple(shape), value.type.dtype)
        name = value.called if isinstance(value, KnownTensor) else value.weight
        if name:
            return Traced(kind, name, trained)
        value = self.real(value)
        if value.type.shape != kind.shape:
            from costcalc.ops.traced_steps import permuted, reshaped

            value = (
                permuted(self.call, value, *reversed(range(len(kind.shape))))
                if value.type.shape == tuple(reversed(kind.shape))
                else reshaped(self.call, value, *kind.shape)
            )
        return value

    def beside(self, *indices: int) -> None:
        """Scales and zero points are stored with a layer; nothing trains them by themselves."""
        for index in indices:
            if self.has(index):
                self.held(index).trained = False

    def declared(self, output: int = 0) -> TensorType | None:
        """What the file says that output ``output`` is, where it says it whole."""
        if output >= len(self.node.outputs):
            return None
        return self.build.declared(self.node.outputs[output])

    def before(self, shapes: tuple[tuple[Dim, ...], ...], numbers: tuple[Any, ...] | None = None) -> Met | None:
        """What it met at the sizes of the file, if it is walked at others, and its ``numbers`` are the same there."""
        following = self.build.following
        return following.before(self.node, Met(shapes, numbers)) if following else None

    def wants(self, output: int) -> bool:
        """Whether something may read output ``output``."""
        return output < len(self.node.outputs) and bool(self.node.outputs[output])

    def uncounted(self, reason: str = "") -> Any:
        """The stand-in of an operator without a rule. Raises ``FileError`` where nothing says what it makes."""
        types = []
        for i, name in enumerate(self.node.outputs):
            made = self.build.declared(name) if name else TensorType((), "float32")
            if made is None:
                why = reason or "it has no rule"
                raise FileError(f"{why}, and the file does not say the shape of its output {i + 1}")
            types.append(made)
        shapes, dtypes = tuple(t.shape for t in types), tuple(t.dtype for t in types)
        domain = self.node.domain or "onnx"
        return self.add("uncounted", *self.all(), options=(f"{domain}::{self.node.operator}", shapes, dtypes))


def is_number(value: Traced) -> bool:
    """Whether ``value`` is a number rather than a tensor of the model."""
    if value.type.size != 1 or not all(isinstance(d, int) for d in value.type.shape):
        return False
    if isinstance(value, KnownTensor):
        return True
    # A state dict's name has dots; what an exporter makes of a number has none, or slashes, or says what it is.
    name = value.weight
    kept = "." in name and "/" not in name and ":" not in name and not name.endswith(("_scale", "_zero_point"))
    return bool(name) and not kept


def axis_of(axis: int, rank: int) -> int:
    """``axis`` counted from the front. Raises ``FileError`` for one that there is not."""
    if type(axis) is not int or not -rank <= axis < max(rank, 1):
        raise FileError(f"there is no axis {axis} among {rank}")
    return axis % rank if rank else 0


def dtype_named(number: int) -> str:
    """The element type with the number that ONNX has for it."""
    from costcalc.frontends.onnx.elements import NAMES

    name = NAMES.get(number, "")
    if name not in ELEMENT_BITS:
        raise NoRule
    return name


def symbolic(*dims: Dim) -> bool:
    """Whether one of ``dims`` is left open."""
    return any(isinstance(d, Expr) for d in dims)
