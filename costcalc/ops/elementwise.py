"""Functions that treat each element by itself, other than the activations that have a name in papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import not_
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced
from costcalc.ir.dims import Dim
from costcalc.ir.fields import LARGEST, UNKNOWN, Count, Dtype, Numbers, elements, ints, number
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import KEPT, NOTHING, Moment, Saves
from costcalc.ir.tensor import FLOATING_BITS, TensorType
from costcalc.ops.broadcasting import before_sums, broadcast, joint_dtype, stretches
from costcalc.ops.element_values import Elements, each, stretched
from costcalc.ops.traced_steps import copied, expanded, reshaped, unread

if TYPE_CHECKING:
    from torch import nn

_TRUTHS = """
eq ne lt le gt ge isnan isinf isfinite isposinf isneginf signbit logical_and logical_or logical_xor logical_not isin
"""
_BY_COUNT = {
    # Elements are chosen or moved.
    0: "where masked_fill nan_to_num complex copy",
    # Arithmetic, comparisons, elementary functions.
    1: f"""
    abs absolute neg negative positive reciprocal sqrt rsqrt square exp exp2 expm1 log log2 log10 log1p sin cos tan asin
    acos atan atan2 arctan2 sinh cosh asinh acosh atanh sinc erf erfc erfinv lgamma digamma floor ceil round trunc frac
    sign sgn pow float_power remainder fmod floor_divide trunc_divide rsub maximum minimum fmax fmin bitwise_and
    bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__ __lshift__
    __rshift__ angle real imag conj_physical copysign nextafter heaviside clamp_min clamp_max threshold special_i0
    special_i1 i0 special_i0e special_i1e special_erfcx special_ndtri special_log_ndtr special_zeta polygamma igamma
    igammac gcd lcm xlogy {_TRUTHS}""",
    2: "clamp clip hardshrink addcmul addcdiv rad2deg deg2rad dequantize ldexp",
    3: "lerp softshrink log_sigmoid logit hypot special_entr",
    4: "logaddexp logaddexp2 polar",
    # x / scale, rounded, + zero point, clamped; and back.
    5: "quantize_per_tensor quantize_per_tensor_dynamic quantize_per_channel",
    7: "fake_quantize_per_tensor_affine fake_quantize_per_channel_affine fused_moving_avg_obs_fake_quant",
}
PER_ELEMENT: dict[str, int] = {name: count for count, names in _BY_COUNT.items() for name in names.split()}
"""Scalar operations for one output element, each as its formula is written."""
TRUTHS = frozenset(_TRUTHS.split())
CHOOSING = frozenset({"where", "masked_fill", "heaviside"})
"""What of its inputs these pass on, data say; so they do of what comparisons tell."""
_BY_KEPT = {
    "nothing": "neg negative positive floor ceil round trunc frac sign copy rsub rad2deg deg2rad",
    "output": "reciprocal sqrt rsqrt exp exp2 expm1 tan",
    "input": """abs absolute square log log2 log10 log1p sin cos asin acos atan sinh cosh asinh acosh atanh sinc erf
    erfc erfinv lgamma digamma clamp clip clamp_min clamp_max threshold hardshrink softshrink logit""",
}
_KEPT = {name: word for word, names in _BY_KEPT.items() for name in names.split()}
"""What PyTorch keeps of a function of one tensor, its numbers apart."""
_BY_STEPS = {
    1: "sqrt exp2 expm1 abs absolute log2 log10 log1p sin sinh cosh lgamma digamma",
    2: "reciprocal rsqrt tan square cos atan",
    3: "asinh acosh atanh",
    4: "asin erf erfc erfinv",
    5: "acos",
    7: "sinc",
}
STEPS: dict[str, int] = {name: count for count, names in _BY_STEPS.items() for name in names.split()}
"""How many tensors of the input's size PyTorch has at once besides, on the way to the gradient by one tensor."""
TESTS: dict[str, int] = {"clamp": 2, "clip": 2, "clamp_min": 1, "clamp_max": 1}
"""How many tensors of truth values, as ``STEPS``."""
PASSING = frozenset(("positive", "frac", "copy"))
"""Functions whose gradient is that of their result."""
_OF_TENSORS = {
    1: """abs absolute neg negative positive reciprocal sqrt rsqrt square exp exp2 expm1 log log2 log10 log1p sin cos
    tan asin acos atan sinh cosh asinh acosh atanh sinc erf erfc erfinv lgamma digamma floor ceil round trunc frac sign
    sgn logit bitwise_not logical_not isnan isinf isfinite isposinf isneginf signbit rad2deg deg2rad nan_to_num real
    imag conj_physical angle i0 log_sigmoid special_i0 special_i1 special_i0e special_i1e special_erfcx special_ndtri
    special_log_ndtr special_entr""",
    2: """atan2 arctan2 pow float_power remainder fmod floor_divide trunc_divide maximum minimum fmax fmin copysign
    hypot logaddexp logaddexp2 xlogy heaviside clamp_min clamp_max gcd lcm nextafter bitwise_and bitwise_or bitwise_xor
    bitwise_left_shift bitwise_right_shift eq ne lt le gt ge logical_and logical_or logical_xor complex polar ldexp
    special_zeta igamma igammac add subtract multiply divide""",
    3: "where clamp lerp masked_fill addcmul addcdiv",
}
PLAIN: dict[str, int] = {name: count for count, names in _OF_TENSORS.items() for name in names.split()}
"""Functions of so many tensors, and of no number, under the name that PyTorch has for them."""
_BY_ARGUMENTS = {
    1: "round",
    2: """multiply divide pow float_power remainder fmod floor_divide trunc_divide copysign xlogy eq ne lt le gt ge
    bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift clamp_min clamp_max hardshrink softshrink
    logit add subtract rsub polygamma special_zeta""",
    3: "clamp threshold masked_fill where lerp addcmul addcdiv",
    4: "nan_to_num",
}
NUMBERED: dict[str, int] = {name: count for count, names in _BY_ARGUMENTS.items() for name in names.split()}
"""Functions that can take numbers beside tensors, under PyTorch's name: how many arguments they have, numbers too."""
FACTOR = {
    "add": "alpha",
    "subtract": "alpha",
    "rsub": "alpha",
    "addcmul": "value",
    "addcdiv": "value",
    "round": "decimals",
}
"""What PyTorch calls the number that may come after all others."""
LARGEST_OF = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float64": 1.7976931348623157e308}
"""Numbers of element types other than float32."""
NEUTRAL = {"alpha": 1, "value": 1, "decimals": 0}
"""What that is where nobody says it."""
SYNONYMS = {
    "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor", "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift", "absolute": "abs", "negative": "neg", "arctan2": "atan2",
}  # fmt: skip
"""PyTorch's second names."""
KNOWN = PER_ELEMENT | {"add": 1, "multiply": 1, "subtract": 1, "divide": 1}
"""Addition and its kin have ops of their own for tensors; with a number they are this one."""


@op("elementwise", inputs=(1, None))
class Elementwise(Op):
    """A function of one or more tensors and constants, element by element; sizes of 1 stretch.

    Ops          by function: arithmetic, comparisons and elementary functions 1 per output, choosing and
                 copying 0. ``times`` counts them so many times, as for complex numbers.

    ``numbers`` are those that stand beside the inputs among the function's arguments: after them, or, with
    ``numbers_first``, before the last one, as in ``2 ** x``. No figure depends on them.
    """

    aten = " ".join(PER_ELEMENT) + " to _to_copy type_as log_sigmoid_forward"

    choices = {"function": KNOWN}

    roles = {"times": "options"}

    function: str
    dtype: Dtype | None = None
    times: Count = 1
    numbers: Numbers = UNKNOWN
    numbers_first: bool = False

    def infer(self, *x: TensorType) -> TensorType:
        dtype = self.dtype or ("bool" if self.function in TRUTHS else joint_dtype(*x))
        return TensorType(broadcast(*(t.shape for t in x)), dtype)

    def saves(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        """By function, where it is known; of products and quotients by a number nothing."""
        if len(x) == 1:
            if self.numbers_first and self.function == "pow":
                return Saves((0,), (0,))
            if self.function in ("add", "subtract", "multiply", "divide") or self.function in TRUTHS:
                return NOTHING
            word = "input" if self.function == "pow" else _KEPT.get(self.function)
            return KEPT[word] if word else None
        if self.function in TRUTHS:
            return NOTHING
        if self.function == "where":
            return Saves((0,))
        if self.function in ("maximum", "minimum", "fmax", "fmin", "atan2", "arctan2"):
            return Saves((0, 1))
        return Saves((0, 1), (0,)) if self.function == "pow" else None

    def hands_back(self, *x: TensorType, y: TensorType) -> tuple[bool, ...]:
        """Of one tensor, where it is passed on as it is, or a number is added to it or taken from it."""
        shifted = self.function in ("add", "subtract") and not self.numbers_first
        return tuple([len(x) == 1 and (shifted or self.function in PASSING)] * len(x))

    def beside_gradients(
        self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        truth, scalar = TensorType(y.shape, "bool"), y.with_shape()
        if len(x) == 1:
            steps = (1 if self.numbers_first else 2) if self.function == "pow" else STEPS.get(self.function, 0)
            tests = TESTS.get(self.function, 0)
            return (Moment((y,) * steps + (truth,) * tests),) if steps or tests else ()
        beside: tuple[TensorType, ...]
        if self.function in ("maximum", "minimum"):
            beside = (y, truth, truth)
        elif self.function in ("fmax", "fmin"):
            beside = (truth, TensorType(x[1].shape, "bool"))
        elif self.function in ("atan2", "arctan2"):
            beside = (y,) * (5 if all(wanted) else 3 if wanted[0] else 4)
        elif self.function == "pow":
            beside = (y,) * (4 if wanted[0] else 3) + (truth, scalar)
        else:
            return ()
        return before_sums(x, y, wanted, (True,) * len(x), beside)

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return KNOWN[self.function] * self.times * y.size

    def is_bound(self) -> bool:
        return self.function in TRUTHS or self.function in CHOOSING

    def evaluate(self, given: tuple[Elements, ...], *x: TensorType, y: TensorType) -> Elements | None:
        if self.times != 1:
            return None
        operands = [stretched(of, ints(t.shape), ints(y.shape)) for of, t in zip(given, x, strict=True)]
        dtype = joint_dtype(*x)
        if self.numbers != UNKNOWN:
            numbers = self._given()
            beside = [[n] * len(operands[0]) for n in numbers]
            operands = [*beside, *operands] if self.numbers_first else [*operands, *beside]
            if dtype not in FLOATING_BITS and any(isinstance(n, float) for n in numbers):
                dtype = "float32"
            elif dtype == "bool" and not all(isinstance(n, bool) for n in numbers):
                dtype = "int64"
        return each(self.function, operands, dtype, y.dtype)

    def leaves(self, mask: int) -> Callable[[Any], bool] | None:
        """``masked_fill`` fills where its second input is true; ``where`` takes its second argument there."""
        if self.function == "masked_fill" and mask == 1:
            return not_
        if self.function == "where" and mask == 0:
            return not_ if self.numbers_first else bool
        return None

    def kind(self, *x: TensorType) -> str:
        return self.function

    def to_torch(self, *x: TensorType) -> nn.Module:
        given = self._given()
        # A sum of complex numbers has 2 operations; with a complex factor, of which no spec tells, 4.
        is_plain = PLAIN.get(self.function) == len(x) and (self.times in (1, 2) or self.function not in FACTOR)
        if self.function != "copy" and not is_plain and not given:
            raise NotImplementedError(f"{self.function} has no PyTorch counterpart: its numbers are not in the spec")
        import torch

        from costcalc.ops.functional import functional

        made = getattr(torch, self.infer(*x).dtype)
        if self.function == "copy":
            return functional(lambda x: x.to(made, copy=True))
        function = _of_torch(self.function)
        factor = {}
        if given and len(x) + len(given) > NUMBERED[self.function]:
            *given, last = given
            factor = {FACTOR[self.function]: last}
        before = len(x) - 1 if self.numbers_first else len(x)
        return functional(lambda *x: function(*x[:before], *given, *x[before:], **factor).to(made))

    def _given(self) -> list[float]:
        """The numbers beside the inputs; none where it is not known which they are."""
        told = self.numbers
        return [] if told == UNKNOWN else [*map(number, told if isinstance(told, tuple) else (told,))]

    def check(self) -> None:
        given = len(self._given())
        most = NUMBERED.get(self.function, 0) + (self.function in FACTOR)
        if given >= max(most, 1):
            takes = f"{self.function} takes at most {most - 1} numbers" if most else f"{self.function} takes none"
            raise OptionError(f"elementwise: numbers={self.numbers}, but {takes} beside its inputs")
        if self.numbers_first and not given:
            raise OptionError("elementwise: numbers_first, but no numbers are given")

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        given = len(self._given())
        if given:
            takes = NUMBERED[self.function]
            arguments = len(x) + given
            fits = arguments == takes or (arguments == takes + 1 and self.function in FACTOR)
            yield fits, f"{self.function} takes {takes} inputs and numbers together, not {arguments}"
        yield from stretches(*(t.shape for t in x))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name in ("to", "_to_copy", "type_as", "copy"):
            return _copied(call)
        if call.name == "isin":
            return _held_against(call)
        if "quant" in call.name:  # what it observes, for training, is not counted
            y = elementwise(call, call.name, call.tensors()[0])
            written = ("running_min", "running_max", "scale", "zero_point") if len(call.made) > 1 else ()
            return (y, *(call[name] for name in written)) if written else y
        if call.name == "log_sigmoid_forward":  # with a buffer for the gradient
            return unread(call, elementwise(call, "log_sigmoid", call["self"]))
        return elementwise(call, _called(call), *call.tensors())

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls("exp"), TensorType((2, 3, 4))
        yield cls("maximum"), TensorType((2, 3)), TensorType((2, 1))
        yield cls("gt"), TensorType((2, 3))
        yield cls("subtract", numbers=(3, 2)), TensorType((2, 3))
        yield cls("pow", numbers=2, numbers_first=True), TensorType((2, 3))
        yield cls("nan_to_num", numbers=(0.0, "inf", -1.0)), TensorType((2, 3))
        yield cls("multiply", "complex64", times=6), TensorType((2, 3), "complex64"), TensorType((3,), "complex64")
        yield cls("where"), TensorType((2, 3), "bool"), TensorType((2, 3)), TensorType((1,))


def _of_torch(name: str) -> Callable[..., Any]:
    """The function of PyTorch that is called ``name`` here."""
    import torch
    from torch.nn.functional import logsigmoid, softshrink

    if name == "trunc_divide":
        return lambda x, y: torch.div(x, y, rounding_mode="trunc")
    found: Any = {"softshrink": softshrink, "log_sigmoid": logsigmoid}.get(name)
    return found or getattr(torch.special if name.startswith("special_") else torch, name.removeprefix("special_"))  # type: ignore[no-any-return]


def _held_against(call: Call) -> Any:
    """``isin``: each element is compared with all of the second input, either of which can be a number."""
    tensors = call.tensors()
    if len(tensors) == 2:
        x, among = tensors
        tensors = call.add(find_op("unsqueeze")(len(x.shape)), x), reshaped(call, among, *ints((among.type.size,)))
    same = call.add(Elementwise("eq"), *tensors)
    axes = tuple(range(len(call.made[0].shape), len(same.shape)))
    return call.add(find_op("reduction")("any", axes), same) if axes else same


def elementwise(call: Call, function: str, *tensors: Traced, times: int = 1) -> Traced:
    """Add ``function`` of ``tensors``, in the element type that torch made."""
    made = call.made[0]
    if not tensors:  # of numbers alone
        return find_op("constant").from_aten(call)[0]  # type: ignore[no-any-return]
    options = _numbers(call, function, tensors)
    op = Elementwise(function, times=times * _real_operations(function, made, tensors), **options)
    if op.infer(*(t.type for t in tensors)).dtype != made.dtype:
        op = Elementwise(function, made.dtype, op.times, **options)
    result: Traced = call.add(op, *tensors)
    return result


def _numbers(call: Call, function: str, tensors: tuple[Traced, ...]) -> dict[str, Any]:
    """The options of ``function`` that tell the numbers among the arguments of ``call``, if a spec can say them."""
    takes, factor = NUMBERED.get(function, 0), FACTOR.get(function)
    if not takes or len(tensors) >= takes + (factor is not None) or tensors != call.tensors():
        return {}
    if function == "nan_to_num":
        return _instead_of_none(call)
    numbers: list[Any] = []
    places: list[int] = []  # how many tensors stand before each number
    before = 0
    for name, value in call.arguments.items():
        if isinstance(value, Traced):
            before += 1
        elif value is None or (name == factor and value == NEUTRAL[name]):
            continue
        elif not (name == "rounding_mode" and function in ("floor_divide", "trunc_divide")):
            numbers.append(value)
            places.append(before)
    told = elements(numbers, len(numbers)) if numbers else UNKNOWN
    first = bool(places) and places[0] < len(tensors)
    arguments = len(tensors) + len(numbers)
    fits = arguments == takes or (arguments == takes + 1 and factor is not None)
    if told == UNKNOWN or not fits or (first and places != [len(tensors) - 1] * len(places)):
        return {}
    told = told if isinstance(told, tuple) or len(numbers) == 1 else (told,) * len(numbers)
    return {"numbers": told} | ({"numbers_first": True} if first else {})


def _instead_of_none(call: Call) -> dict[str, Any]:
    """What ``nan_to_num`` puts in place of what is undefined or infinite, unless that is 0 and the largest numbers."""
    given = [call.get(name) for name in ("nan", "posinf", "neginf")]
    if given == [None, None, None]:
        return {}
    most = LARGEST_OF.get(call.made[0].dtype, LARGEST)
    usual = (0.0, most, -most)
    told = elements([u if n is None else float(n) for n, u in zip(given, usual, strict=True)], 3)
    return {"numbers": told if isinstance(told, tuple) else (told,) * 3}


def _called(call: Call) -> str:
    """The function of ``call`` as we call it: one name of several, and one bound where another is not set."""
    if call.name in ("clamp", "clip"):
        least, most = call.get("min"), call.get("max")
        return "clamp_max" if least is None else "clamp_min" if most is None else "clamp"
    return SYNONYMS.get(call.name, call.name)


def combination(cls: type[Op], call: Call) -> Any:
    """``add``, ``multiply`` … of tensors as an op of its own; with a number as a pointwise function."""
    tensors = call.tensors()
    times = 1 if call.get("alpha", 1) == 1 else 2
    (made,) = call.made
    rounding = call.get("rounding_mode")
    name = f"{rounding}_divide" if rounding else cls.name
    plain = len(tensors) == 2 and times == 1 and not rounding and not made.dtype.startswith("complex")
    if plain and joint_dtype(*(t.type for t in tensors)) == made.dtype:
        return call.add(cls(), *tensors)
    return elementwise(call, name, *tensors, times=times)


def _copied(call: Call) -> Traced:
    """A copy in another shape, element type or memory format; ``copy_`` gives the value that it puts into place."""
    (made,), x = call.made, call.tensors()[1 if call.name == "copy" else 0]
    x = expanded(call, x, *made.shape)
    if x.type == made:
        return copied(call, x) if call.copies or call.name == "_to_copy" else x
    return call.add(Elementwise("copy", made.dtype), x)  # type: ignore[no-any-return]


def _real_operations(function: str, made: TensorType, tensors: tuple[Traced, ...]) -> int:
    """A complex product is 4 products and 2 sums, a complex sum 2 sums."""
    if not made.dtype.startswith("complex"):
        return 1
    both = sum(t.type.dtype.startswith("complex") for t in tensors) > 1
    return 6 if both and function in ("multiply", "divide") else 2
