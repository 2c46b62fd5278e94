"""What an op must say about itself, and the table of all ops.

An op is a class with typed fields and a handful of rules, each a pure function of the op and its
input types. ``ops/conv.py`` has one that uses them all; the defaults below are those of an op that
does no arithmetic, has no weights and treats each element by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from costcalc.errors import OptionError, UnknownName, listing, near
from costcalc.ir.dims import Dim, Truth
from costcalc.ir.fields import Field
from costcalc.ir.index_map import ElementMap, IndexMap, elementwise
from costcalc.ir.saved import KEPT, NOTHING, Moment, Saves
from costcalc.ir.tensor import TensorType, Weight
from costcalc.ir.under_autocast import UnderAutocast

if TYPE_CHECKING:
    from torch import nn
    from typing_extensions import dataclass_transform

    from costcalc.ir.call import Call
    from costcalc.ir.nest import Nest
else:

    def dataclass_transform(**_: object) -> Any:  # typing has it from Python 3.11 on
        return lambda decorator: decorator


MOST_LISTED = 20
"""Words that a sentence can hold."""

ROLES = ("resolution", "width", "depth", "groups", "kernel", "stride", "dilation", "padding", "options")
"""What an option can mean to a user, in the order in which a diff applies changes of them."""

Condition: TypeAlias = "tuple[Truth, str]"
Example: TypeAlias = "tuple[Any, ...]"  # (op, input type, …)
Outputs: TypeAlias = "TensorType | tuple[TensorType, ...]"


class Op:
    """One kind of layer. The fields hold what the inputs do not already say.

    Fields are immutable and are checked when the op is made; an ``OptionError`` names the option.
    """

    # The hash stands beside the fields: ops are looked up far more often than they are made. So does, of an op whose
    # channels come last, the same op with its channels second: equal ops may be told in letters or be plain numbers.
    __slots__ = ("__dict__", "__weakref__", "_hash", "_plain")
    _hash: int
    _plain: Op

    name: ClassVar[str] = ""
    fields: ClassVar[tuple[Field, ...]] = ()
    choices: ClassVar[Mapping[str, Collection[str]]] = {}
    """The words that each field of words admits, if they are known: ``{"mode": ("nearest", "bilinear")}``."""
    letters: ClassVar[dict[str, str]] = {}
    """How formulas abbreviate the fields: ``{"kernel": "k"}``."""
    roles: ClassVar[Mapping[str, str]] = {}
    """What fields mean to a user who changes them, of ``ROLES``: ``{"out_channels": "width"}``. A field that has the
    name of its role, such as ``kernel``, need not be here; nor need switches, words, axes and shapes, which are
    "options". Every other field that is a number is."""
    computes: ClassVar[str] = ""
    """The op as one indexed equation, if it is one; the tests run it as loops."""
    inputs: ClassVar[tuple[int, int | None]] = (1, 1)
    """The fewest and the most values that the op takes; None for any number."""
    is_view: ClassVar[bool] = False
    """Whether the output is the input's own storage, so that nothing is read or written."""
    is_identity: ClassVar[bool] = False
    """Whether it does nothing at inference: its output is its input."""
    is_reshape: ClassVar[bool] = False
    """Whether its output has the elements of its input, in their order, in another shape."""
    only_moves: ClassVar[bool] = False
    """Whether each element that it makes is one of its only input, which ``index_maps`` tell."""
    slides: ClassVar[bool] = False
    """Whether its first input is (batch, channels, places …) and it moves over the places, or makes others of them."""
    is_bounded_only: ClassVar[bool] = False
    """Whether its ``index_maps`` are a bound: data say where its places look, what came before what, or one channel
    sees less than another."""
    is_untold: ClassVar[bool] = False
    """Whether nobody says which places of its inputs an output depends on, so that its ``index_maps`` say nothing. It
    may be a field."""
    weighs: ClassVar[bool] = False
    """Whether elements are taken times those of another input, of which some may be 0, as in a mask."""
    leaves_zeros: ClassVar[bool] = False
    """Whether some of its outputs are zeros, which see nothing."""
    is_counted: ClassVar[bool] = True
    """False for the stand-in of an operation that has no rule here; reports list those."""
    is_approximate: ClassVar[bool] = False
    """Whether it iterates until the values are good enough, so that its counts are no more than about right."""
    is_random: ClassVar[bool] = False
    """Whether what it makes is drawn anew each time, so that it cannot be made beforehand. It may be a field."""
    channel_axis: ClassVar[int | None] = None
    """The axis of the output along which a scale and a shift can be taken into the op's weights and ``bias``; None if
    they cannot."""
    keeps: ClassVar[str] = ""
    """What PyTorch keeps of it for the backward pass where that is but one thing: "nothing", "input" or "output"."""
    rearranges: ClassVar[bool] = False
    """Whether the gradient by an input lies in that by the output, as it does of what only moves or adds elements."""
    is_view_in_training: ClassVar[bool | None] = None
    """The same as ``is_view`` while training, where that is not the same."""
    under_autocast: ClassVar[UnderAutocast] = UnderAutocast()
    """What PyTorch does with it where products are taken in a narrower type, beside what holds of its operators."""
    aten: ClassVar[str] = ""
    """The PyTorch operators that this op stands for: ``"conv2d convolution"``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields = self.fields
        if len(args) > len(fields):
            most = f"at most {len(fields)} options" if fields else "no options"
            raise OptionError(f"{self.name} takes {most} but was given {len(args)}")
        values = self.__dict__
        for field, value in zip(fields, args, strict=False):
            values[field.name] = value
        for key, value in kwargs.items():
            if key in values:
                raise OptionError(f"{self.name}: {key} is given twice")
            values[key] = value
        for field in fields:
            if field.name not in values:
                if field.required:
                    self._reject_unknown()  # which may be the one that is missing, misspelt
                    raise OptionError(f"{self.name} needs {field.name} ({field.description})")
                values[field.name] = field.default
            else:
                value = values[field.name]
                if isinstance(value, list):
                    value = values[field.name] = _tuples(value)
                if not field.accepts(value):
                    hint = near(value, field.choices) if isinstance(value, str) else ""
                    many = f"is not one of the {len(field.choices)} that exist"
                    wrong = many if len(field.choices) > MOST_LISTED else f"must be {field.description}"
                    raise OptionError(f"{self.name}: {field.name}={_short(value)} {wrong}{hint}")
        if len(values) > len(fields):
            self._reject_unknown()
        self.check()

    def _reject_unknown(self) -> None:
        known = [f.name for f in self.fields]
        unknown = self.__dict__.keys() - set(known)
        if not unknown:
            return
        worst = min(unknown)
        has = f"it has {listing(known)}" if known else "it has none"
        raise OptionError(f"{self.name} has no option '{worst}'{near(worst, known)}; {has}")

    # -- the rules. An op overrides them with its own inputs by name: ``def infer(self, x)``,
    # ``def macs(self, x, *, y)``, every one of them a TensorType, ``y`` the (first) output. To the
    # type checker ``(*Any, **Any)`` is compatible with each of those.

    def check(self) -> None:
        """Raise ``OptionError`` where options contradict each other, whatever the inputs."""

    def requires(self, *x: Any, **_: Any) -> Iterator[Condition]:
        """Each condition on the inputs, with the sentence to say where it fails."""
        yield from ()

    def infer(self, *x: Any, **_: Any) -> Outputs:
        """Type of the output, or a tuple of types for an op with several."""
        first: TensorType = x[0]
        return first

    def weights(self, *x: Any, **_: Any) -> dict[str, Weight]:
        """Each tensor that belongs to the layer, by the name that PyTorch gives it."""
        return {}

    def discards(self, *x: Any, **_: Any) -> tuple[TensorType, ...]:
        """What PyTorch makes beside the outputs though nothing reads it: part of a run's peak, of no figure here."""
        return ()

    def occupies(self, *x: Any, **out: Any) -> TensorType:
        """What PyTorch's kernel for the CPU has memory for when it returns ``y``, which may be the first part of it."""
        y: TensorType = out["y"]
        return y

    def macs(self, *x: Any, **_: Any) -> Dim:
        """Multiply-accumulates. One multiply with its addition counts one."""
        return 0

    def backward_macs(self, *x: Any, y: Any, trained: bool, wanted: tuple[bool, ...]) -> Dim | None:
        """MACs of the gradients, None where there is no rule.

        A MAC multiplies two factors and adds to a result. The gradient by either factor multiplies the result's by the
        other one, once for each MAC: so the gradients by one of the factors take as many MACs as the op itself.

        trained   whether a weight of the layer is trained
        wanted    for each input, whether its gradient is needed: one with something trained before it
        """
        macs = self.macs(*x, y=y)
        if self.weights(*x):  # of weights and data
            return macs * (trained + any(wanted))
        return macs * sum(wanted)  # of data and data

    def saves(self, *x: Any, **_: Any) -> Saves | None:
        """What PyTorch keeps for the gradients, by its CPU kernels and of inputs that lie in a row; None: no rule.

        It is asked where a gradient is worked out at all, with ``y``, ``trained`` and ``wanted`` as ``backward_macs``.
        """
        return KEPT[self.keeps] if self.keeps else NOTHING if self.is_view else None

    def hands_back(self, *x: Any, **_: Any) -> tuple[bool, ...]:
        """For each input whether its gradient is that of the output, in its memory, or a view of it."""
        return (self.rearranges,) * len(x)

    def beside_gradients(self, *x: Any, **_: Any) -> tuple[Moment, ...]:
        """What PyTorch makes for the gradients and drops, asked as ``saves`` is: the moments when that is most."""
        return ()

    def skippable(self, *x: Any, **_: Any) -> tuple[Dim, str]:
        """MACs, of those counted, that need not be done, and which those are: "of scores that a mask hides"."""
        return 0, ""

    def needed_macs(self, *x: Any, **out: Any) -> Dim:
        """MACs, of those counted, that no schedule can leave out: none on what is known to be zero, such as padding."""
        return self.macs(*x, **out) - self.skippable(*x, **out)[0]

    def reuse(self, *x: Any) -> Dim | None:
        """Of an op whose MACs each multiply one element of its first input by one of a weight, or of its second input,
        and add to one of the output: to how many elements of one output channel an element of the first gives, at most
        (or, of a transposed convolution, from how many one takes). None where an op does anything else.
        """
        return None

    def nests(self, *x: Any, **_: Any) -> tuple[Nest, ...] | None:
        """Its MACs as nests of loops, which add up to ``macs``; None where they are none."""
        return () if self.has_default("macs") else None

    def ops(self, *x: Any, **_: Any) -> Dim:
        """Other scalar arithmetic, by the rules of ``docs/counting.md``."""
        return 0

    def reads(self, *x: Any, **_: Any) -> tuple[Dim, ...]:
        """How many elements of each input are read; where that depends on values, the most that can be."""
        return tuple(t.size for t in x)

    def joins(self, *x: Any) -> int | None:
        """The axis along which its output has its inputs one after the other, all else as it is; None if it has not.

        It is what ``index_maps`` say; of thousands of inputs it is known at once.
        """
        return None

    def looks_at(self, *x: Any, **out: Any) -> int:
        """How many places its rules look at one by one, where that grows with sizes; a graph may only have so many."""
        return 0

    def index_maps(self, *x: Any, **out: Any) -> tuple[IndexMap, ...]:
        """How each output place sees each input: one ``IndexMap`` an input."""
        return tuple(elementwise(t, out["y"]) for t in x)

    def view_steps(self, steps: tuple[int, ...], *x: Any, **_: Any) -> tuple[int, ...] | None:
        """Of a view: how far the axes of an output step in memory, in elements, where those of its input step so far.

        None where it is not known, or there is no such view.
        """
        return steps if self.is_identity else None

    def evaluate(self, given: tuple[Sequence[Any], ...], *x: Any, **_: Any) -> Sequence[Any] | None:
        """The elements of its output, in their order, where those of its inputs are ``given``; None: not known."""
        return None

    def leaves(self, mask: int) -> Callable[[Any], bool] | None:
        """Of an op that puts a mask, its input ``mask``, on its other input: whether an element of the mask leaves
        what it stands on, as against 0 or a number; None where that input is no mask.
        """
        return None

    def index_maps_of(self, index: int, *x: Any, **out: Any) -> tuple[IndexMap, ...]:
        """``index_maps`` of output ``index``, for ops whose outputs see unlike places of an input."""
        return self.index_maps(*x, **out)

    def mixes_parts(self) -> bool:
        """Whether an output sees only some of the channels that its ``index_maps`` mix, such as those of its group."""
        return False

    def element_maps(self, index: int, *x: Any, **out: Any) -> tuple[ElementMap, ...] | None:
        """``index_maps_of`` as each element sees its inputs, also along axes of channels; None where data say that."""
        return None if self.is_bounded_only else self.index_maps_of(index, *x, **out)

    def blank(self, *x: Any, **_: Any) -> tuple[tuple[int, ...], Callable[..., bool]] | None:
        """The axes of its output that say where it leaves zeros, and whether it does at places of these, if known."""
        return None

    def is_bound(self) -> bool:
        """Whether its ``index_maps`` are a bound, with these options."""
        return self.is_bounded_only

    def kind(self, *x: Any, **_: Any) -> str:
        """What reports call this use of the op: ``depthwise conv`` for a conv with a group a channel."""
        return self.name

    def as_conv(self, *x: Any) -> Op | None:
        """The plain convolution, transposed or not, that this op computes on its inputs; None if it is none."""
        return None

    def to_torch(self, *x: Any, **_: Any) -> nn.Module:
        """The ``torch.nn.Module`` that this op stands for; it takes the inputs as arguments."""
        raise NotImplementedError(f"{self.name} has no PyTorch counterpart")

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        """Add the steps that stand for a traced call of one of ``aten``, and return what they make.

        As it stands it fits ops without options: every tensor argument is an input. ``NotImplemented``
        says that this call is not one that the op stands for; it is then uncounted.
        """
        return call.add(cls(), *call.tensors())

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Small uses, as (op, input type, …). Every law in ``tests/laws`` is tried on each."""
        yield from ()

    # -- a value: equal if its fields are ------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an op cannot be changed; make a new {self.name}")

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self.__dict__ == other.__dict__)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            known = hash((self.name, *self.__dict__.values()))
            object.__setattr__(self, "_hash", known)
            return known

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__  # the hash of a word is another in each process

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.settings())})"

    def options(self) -> Iterator[tuple[str, Any]]:
        """Each option with its value, in their order."""
        for field in self.fields:
            yield field.name, self.__dict__[field.name]

    @classmethod
    def role(cls, field: str) -> str:
        """What ``field`` means to a user, one of ``ROLES``.

        >>> from costcalc.ops.conv import Conv
        >>> [Conv.role(field.name) for field in Conv.fields][:4]
        ['width', 'kernel', 'stride', 'padding']
        """
        return cls.roles.get(field) or (field if field in ROLES else "options")

    @classmethod
    def has_default(cls, rule: str) -> bool:
        """Whether the op leaves ``rule`` as all ops have it, also where that was made to hold for channels last."""
        found = getattr(cls, rule)
        return getattr(found, "__wrapped__", found) is getattr(Op, rule)

    @classmethod
    def is_pointwise(cls) -> bool:
        """Whether it treats each element by itself."""
        return cls.has_default("index_maps") and cls.inputs != (0, 0) and cls.is_counted

    def settings(self) -> list[str]:
        """The options as a spec writes them, those at their default left out.

        >>> from costcalc.ops.conv import Conv
        >>> Conv(64, 3, stride=2).settings()
        ['64', '3', 'stride=2']
        """
        written = []
        for field in self.fields:
            value = self.__dict__[field.name]
            if field.required:
                written.append(f"{value}" if not isinstance(value, str) else repr(value))
            elif value != field.default or type(value) is not type(field.default):
                written.append(f"{field.name}={value!r}")
        return written


OpType = TypeVar("OpType", bound=type[Op])

OPS: dict[str, type[Op]] = {}
"""The ops that have been imported; ``find_op`` imports the others when they are asked for."""
ATEN: dict[str, str] = {}
"""PyTorch operator → the imported op that stands for it; ``ops/aten.py`` names those of the others."""


@dataclass_transform(frozen_default=True)
def op(name: str, *, inputs: tuple[int, int | None] = (1, 1)) -> Any:
    """Class decorator: the annotated attributes become fields, and specs know the op as ``name``."""

    def define(cls: OpType) -> OpType:
        if name in OPS:
            raise ValueError(f"op {name!r} is already defined by {OPS[name].__module__}")
        fields = []
        for base in reversed(cls.__mro__):
            if issubclass(base, Op) and base is not Op:
                for field, kind in vars(base).get("__annotations__", {}).items():
                    if not kind.startswith("ClassVar"):
                        required = not hasattr(cls, field)
                        words = tuple(cls.choices.get(field, ()))
                        fields.append(Field(field, kind, getattr(cls, field, None), required, words))
        cls.name, cls.fields, cls.inputs = name, tuple(fields), inputs
        if any(field.name == "channels_last" for field in fields):
            from costcalc.ir import channels_last

            channels_last.give(cls)
        OPS[name] = cls
        ATEN.update(dict.fromkeys(cls.aten.split(), name))
        return cls

    return define


def find_op(name: str) -> type[Op]:
    """The op that specs call ``name``, or one of its aliases; its module is imported now if it was not.

    Raises ``UnknownName`` with the nearest name.
    """
    if name not in OPS:
        from costcalc.ops import ALIASES, WHERE

        if name in ALIASES:
            return find_op(ALIASES[name])
        if name not in WHERE:
            known = sorted({*WHERE, *OPS, *ALIASES})
            raise UnknownName(f"no op called '{name[:80]}'{near(name, known)}")
        import_module(f"costcalc.ops.{WHERE[name]}")
    return OPS[name]


def all_ops() -> dict[str, type[Op]]:
    """Every op by name, all modules imported."""
    from costcalc.ops import WHERE

    for name in WHERE:
        find_op(name)
    return dict(OPS)


def _tuples(value: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuples(v) if isinstance(v, list) else v for v in value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
