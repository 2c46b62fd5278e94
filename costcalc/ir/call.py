"""What a tracer saw: one call of an ATen operator, and what an op makes of it.

``Op.from_aten`` receives a ``Call``, reads its arguments by the names of the operator's schema, and
adds the steps that stand for it. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from costcalc.ir.origin import Origin, origin_of

if TYPE_CHECKING:
    from costcalc.errors import Location
    from costcalc.ir.op import Op
    from costcalc.ir.tensor import TensorType


class Traced:
    """A tensor of the traced program.

    weight    its name in the model's state dict, if it is a parameter or a buffer, else ``""``
    trained   whether that is a parameter
    origin    what it depends on
    value     its name in the graph, given when its node is made
    apart     axis → what it is with a new axis there, of what is stacked
    numbers   its elements in their order, of what is looked up or put somewhere, if they are known; else None.
              Of a file they may be floating-point numbers, and sizes that it leaves open
    """

    __slots__ = ("_apart", "numbers", "origin", "trained", "type", "value", "weight")

    def __init__(self, type: TensorType, weight: str = "", trained: bool = False, origin: Origin = Origin.DATA) -> None:
        self.type = type
        self.weight = weight
        self.trained = trained
        self.origin = Origin.MODEL if weight else origin
        self.value = ""
        self.numbers: tuple[Any, ...] | None = None
        self._apart: dict[int, Traced] | None = None

    @property
    def apart(self) -> dict[int, Traced]:
        """What has been made of it for stacks."""
        if self._apart is None:
            self._apart = {}
        return self._apart

    @property
    def settled(self) -> bool:
        """Whether it can be made beforehand, once."""
        return self.origin is not Origin.DATA

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes: plain ints, as torch has run it."""
        return self.type.shape  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"<{self.weight or self.value or 'tensor'}: {self.type}>"


NONE: Mapping[str, Any] = MappingProxyType({})
"""What most steps have of what few have."""


class Step:
    """One op applied to traced tensors; it becomes a node of the graph.

    weights    tensors of the model that belong to the op, by its names for them
    prepared   values that are made beforehand and belong to it in the same way
    location   the user's line that asked for it
    stored_as  element types of weights that are stored in another one than the op says
    operator   what its file calls the operator that it stands for
    """

    __slots__ = ("inputs", "location", "op", "operator", "outputs", "prepared", "stored_as", "weights")

    def __init__(
        self, op: Op, inputs: tuple[Traced, ...], weights: dict[str, Traced], outputs: tuple[Traced, ...]
    ) -> None:
        self.op, self.inputs, self.weights, self.outputs = op, inputs, weights, outputs
        self.prepared: Mapping[str, Traced] = NONE
        self.location: Location | None = None
        self.stored_as: Mapping[str, str] = NONE
        self.operator = ""


class Call:
    """One call of an operator. ``call["stride"]`` is an argument; tensors among them are ``Traced``.

    name    without overload: ``conv2d``; operators outside ATen with their namespace: ``torchvision::nms``
    made    the types of the tensors that it returned, as torch says
    copies  it could have returned a view, but copied
    known   the names of the model's tensors
    training  whether the model is trained, so that an op may say what it does then
    steps   what has been added to stand for it
    """

    __slots__ = ("_types_of", "arguments", "copies", "known", "made", "name", "steps", "training")

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, Any],
        made: tuple[TensorType, ...],
        types_of: Callable[[Op, tuple[TensorType, ...]], tuple[TensorType, ...]],
        copies: bool = False,
        known: Container[str] = (),
        training: bool = False,
    ) -> None:
        self.name, self.arguments, self.made, self.copies = name, arguments, made, copies
        self.known, self.training = known, training
        self.steps: list[Step] = []
        self._types_of = types_of

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """An argument that not every overload has."""
        return self.arguments.get(argument, default)

    def tensors(self) -> tuple[Traced, ...]:
        """All tensors among the arguments, in their order, those in lists too."""
        return tuple(traced_in(self.arguments.values()))

    def add(self, op: Op, *inputs: Traced, **weights: Traced | None) -> Any:
        """Add ``op`` applied to ``inputs`` and return what it makes, a tuple if that is several.

        weights   settled tensors that belong to the op, by the names of ``Op.weights``

        Raises ``ShapeError`` where the op does not accept the inputs.
        """
        types = tuple(t.type for t in inputs)
        made = self._types_of(op, types)
        origin = origin_of(op, (t.origin for t in inputs), types, made)
        outputs = tuple(Traced(t, origin=origin) for t in made)
        given = {name: weight for name, weight in weights.items() if weight is not None}
        self.steps.append(Step(op, inputs, given, outputs))
        return outputs[0] if len(outputs) == 1 else outputs


def traced_in(values: Any) -> Iterator[Traced]:
    """The tensors among ``values``, those in lists too."""
    for value in values:
        if isinstance(value, Traced):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from traced_in(value)


def once(values: Any) -> Any:
    """A list of equal numbers as that number, as a person would write it; else a tuple.

    >>> once([3, 3]), once([1, 2]), once(5)
    (3, (1, 2), 5)
    """
    if isinstance(values, (list, tuple)):
        return values[0] if values and all(v == values[0] for v in values) else tuple(values)
    return values
