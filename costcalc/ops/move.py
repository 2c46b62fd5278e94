"""Moving elements along axes: padding and rolling. No arithmetic, but each element is copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least
from costcalc.ir.fields import Axes, Number, Pairs, ints, number, spelled
from costcalc.ir.index_map import AxisMap, IndexMap, Window
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import INPUT, NOTHING, Saves
from costcalc.ir.tensor import TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.axes import has_axes, position, several
from costcalc.ops.traced_steps import copied, images, reshaped

if TYPE_CHECKING:
    from torch import nn

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
"""Our word → PyTorch's."""


@op("pad")
class Pad(Op):
    """Add elements before and after each spatial axis, or each of ``axes``.

    ``mode`` says what is added: zeros, or rather ``value``, or elements of the input: ``reflect`` mirrors it without
    repeating the edge, ``replicate`` repeats the edge, ``circular`` goes on at the other end.

    Not counted  any arithmetic, there is none; the input is read and the output written.
    """

    under_autocast = UnderAutocast(by_option=(("reflect", "reflection_pad"), ("replicate", "replication_pad")))

    aten = """
    pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d select_backward slice_backward
    """

    choices = {"mode": MODES}

    roles = {"amount": "padding"}

    amount: Pairs
    mode: str = "zeros"
    axes: Axes | None = None
    value: Number = 0
    channels_last: bool = False

    def check(self) -> None:
        if self.channels_last and self.axes is not None:
            raise OptionError("pad: axes say which are padded; leave out channels_last")
        if self.mode != "zeros" and self.value:
            raise OptionError(f"pad: mode='{self.mode}' adds elements of the input; leave out value")
        if self.mode != "zeros" and self.axes is not None:
            raise OptionError(f"pad: mode='{self.mode}' is for the spatial axes; leave out axes")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        axes = self._axes(x)
        yield from has_axes(self, x, *axes)
        yield bool(axes), f"pad takes (batch, channels, places …) or names its axes; the input has {len(x.shape)} axes"
        given = len(self.amount) if isinstance(self.amount, tuple) else len(axes)
        if given != len(axes):
            yield False, f"pad: amount is given for {given} axes, but there are {len(axes)} to pad"
            return
        least = {"reflect": 1, "circular": 0}
        for axis, (before, after) in self._amounts(x):
            if self.mode in least:
                room = x.shape[axis] - least[self.mode]
                for amount in (before, after):
                    yield (
                        at_least(room, amount),
                        f"pad: mode='{self.mode}' adds at most {room} along axis {axis}, not {amount}",
                    )

    def infer(self, x: TensorType) -> TensorType:
        shape = list(x.shape)
        for axis, (before, after) in self._amounts(x):
            shape[axis] = shape[axis] + before + after
        return x.with_shape(*shape)

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves | None:
        return INPUT if self.mode in ("reflect", "replicate") else NOTHING

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        axis_maps = [AxisMap(axis) for axis in range(len(x.shape))]
        for axis, amounts in self._amounts(x):
            (before, _) = ints(amounts)
            # Inner places see the place `before` earlier. What the places at the border see beside it is said, not
            # covered: a window that held it would reach over the whole input of a circular padding.
            border, sees = ("", None) if self.mode == "zeros" else (self.mode, _nearest(before, *ints([x.shape[axis]])))
            axis_maps[axis] = AxisMap(axis, Window(1, -before, -before), border=border, sees=sees)
        return (tuple(axis_maps),)

    def _axes(self, x: TensorType) -> tuple[int, ...]:
        if self.axes is None:
            return tuple(range(2, len(x.shape)))
        return several(self.axes)

    def _amounts(self, x: TensorType) -> Iterator[tuple[int, tuple[Dim, Dim]]]:
        """Each padded axis with what is added before and after."""
        axes = self._axes(x)
        amount = self.amount if isinstance(self.amount, tuple) else (self.amount,) * len(axes)
        for axis, each in zip(axes, amount, strict=True):
            yield position(axis, x), each if isinstance(each, tuple) else (each, each)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch.nn.functional import pad

        from costcalc.ops.functional import functional

        by_axis = dict(self._amounts(x))
        order = range(len(x.shape) - 1, min(by_axis) - 1, -1)
        amounts = ints(amount for axis in order for amount in by_axis.get(axis, (0, 0)))
        mode, value = MODES[self.mode], number(self.value)
        return functional(lambda x: pad(x, amounts, mode, value) if value else pad(x, amounts, mode))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        if call.name in ("select_backward", "slice_backward"):
            return _put_back(call)
        x = call["self"]
        given = call.get("pad") or call.get("padding")
        pairs = [(given[i], given[i + 1]) for i in range(0, len(given), 2)][::-1]
        word = next((w for w in ("reflect", "replic") if call.name.startswith(w)), call.get("mode", "constant"))
        mode = {"constant": "zeros", "replic": "replicate"}.get(word, word)
        if any(p < 0 for pair in pairs for p in pair):
            return _cropped(call, x, pairs, mode)
        if mode == "zeros":
            value = spelled(call.get("value") or 0)
            padded = [i for i, pair in enumerate(pairs) if any(pair)] or [len(pairs) - 1]  # by nothing: a copy
            if len(padded) > 3:
                return NotImplemented  # the language of specs has amounts for three axes
            axes = [len(x.shape) - len(pairs) + i for i in padded]
            return call.add(cls(tuple(pairs[i] for i in padded), axes=once(axes), value=value), x)
        same = all(before == after for before, after in pairs)
        op = cls(once([before for before, _ in pairs]) if same else tuple(pairs), mode)
        return images(call, x, len(pairs), lambda x: call.add(op, x))

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1), TensorType((1, 2, 3, 4))
        yield cls(((2, 1),), axes=1, value=0.5), TensorType((1, 2, 3, 2))
        yield cls(((2, 1), (0, 2)), "reflect"), TensorType((1, 2, 4, 4))
        yield cls((1, (0, 2)), "replicate"), TensorType((1, 2, 3, 3))
        yield cls(((1, 2),), "circular"), TensorType((1, 2, 4))
        yield cls(((2, 1), (0, 2)), "reflect", channels_last=True), TensorType((1, 4, 4, 2))


@op("roll")
class Roll(Op):
    """Shift each of ``axes`` by its ``shift``; what leaves at one end comes back at the other.

    Not counted  any arithmetic, there is none; the input is read and the output written.
    """

    keeps = "nothing"
    only_moves = True

    aten = "roll"

    shift: Axes
    axes: Axes

    def requires(self, x: TensorType) -> Iterator[Condition]:
        axes, shifts = several(self.axes), several(self.shift)
        yield from has_axes(self, x, *axes)
        yield len(axes) == len(shifts), f"roll: {len(shifts)} shifts for {len(axes)} axes"

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        axis_maps = [AxisMap(axis) for axis in range(len(x.shape))]
        for axis, shift in zip(several(self.axes), several(self.shift), strict=True):
            (size,) = ints([x.shape[axis]])
            by = shift % size
            # The first `by` outputs see what left at the end, the rest what stood `by` before.
            at, window = position(axis, x), Window(1, -by, size - by if by else 0)
            axis_maps[at] = AxisMap(at, window, bound=by != 0, sees=_rolled(by, size))
        return (tuple(axis_maps),)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import roll

        from costcalc.ops.functional import functional

        shift, axes = self.shift, self.axes
        return functional(lambda x: roll(x, shift, axes))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x, axes = call["self"], call["dims"]
        if not axes:  # of all elements in a row
            flat = reshaped(call, x, prod(x.shape))
            return reshaped(call, call.add(cls(once(call["shifts"]), 0), flat), *x.shape)
        return call.add(cls(tuple(call["shifts"]), tuple(axes)), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(-1, 1), TensorType((1, 5, 2))
        yield cls((2, -1), (1, 2)), TensorType((1, 4, 3, 2))


def _put_back(call: Call) -> Traced:
    """The gradient of ``select`` and ``slice``: that of the output in its place among zeros."""
    gradient, sizes, axis = call["grad_output"], call["input_sizes"], call["dim"] % len(call["input_sizes"])
    size = sizes[axis]
    if call.name == "select_backward":
        gradient = call.add(find_op("unsqueeze")(axis), gradient)
        start, step = call["index"] % size, 1
    else:
        start, step = call["start"], call["step"]
        start = min(max(start + size if start < 0 else start, 0), size)
    if step == 1:
        after = size - start - gradient.shape[axis]
        return call.add(Pad(((start, after),), axes=axis), gradient)  # type: ignore[no-any-return]
    zeros = call.add(find_op("constant")(tuple(sizes), gradient.type.dtype))
    return call.add(find_op("overwrite")(axis, start, step), zeros, gradient)  # type: ignore[no-any-return]


def _nearest(before: int, size: int) -> Callable[[int], tuple[int, int]]:
    return lambda output: (min(max(output - before, 0), size - 1),) * 2


def _rolled(by: int, size: int) -> Callable[[int], tuple[int, int]]:
    return lambda output: ((output - by) % size,) * 2


def _cropped(call: Call, x: Traced, pairs: list[tuple[int, int]], mode: str) -> Traced:
    """Padding by negative amounts cuts off; also what is only cut gets memory of its own."""
    from costcalc.ops.join import Slice

    filled, axes_padded = spelled(call.get("value") or 0), range(len(x.shape) - len(pairs), len(x.shape))
    if any(x.shape[a] <= -min(b, 0) - min(c, 0) for a, (b, c) in zip(axes_padded, pairs, strict=True)):
        (made,) = call.made  # nothing of it is left
        return call.add(find_op("constant")(made.shape, made.dtype, value=filled))  # type: ignore[no-any-return]
    for axis, (before, after) in zip(axes_padded, pairs, strict=True):
        if before < 0 or after < 0:
            stop = x.shape[axis] + min(after, 0)
            x = call.add(Slice(axis, max(-before, 0), stop), x)
    rest = tuple((max(before, 0), max(after, 0)) for before, after in pairs)
    axes = tuple(len(x.shape) - len(rest) + i for i, pair in enumerate(rest) if any(pair))
    if not axes:
        return copied(call, x)
    if mode != "zeros":
        return images(call, x, len(rest), lambda x: call.add(Pad(rest, mode), x))
    return call.add(Pad(tuple(p for p in rest if any(p)), mode, axes, filled), x)  # type: ignore[no-any-return]
