"""StableHLO's convolutions, and its operators whose body is a graph of its own: reductions, sorts, what is put."""

from __future__ import annotations

from collections.abc import Sequence

from costcalc.frontends.compose import Unlike, Value
from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.flat import FlatTable
from costcalc.frontends.tflite.read import MOST_AXES, TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, rule, second_options_of
from costcalc.frontends.tflite.rules.windows import pairs_of, windowed
from costcalc.ir.call import once
from costcalc.ir.op import find_op

_COMBINES = {
    "ADD": "sum", "MUL": "prod", "MULTIPLY": "prod", "MAXIMUM": "amax", "MINIMUM": "amin", "AND": "all", "OR": "any",
    "LOGICAL_AND": "all", "LOGICAL_OR": "any",
}  # fmt: skip


def _combining(b: TFLiteBuilder, number: int) -> str:
    """What a body of one function of two makes of them. Raises ``Unlike`` for another one."""
    body = b.model.subgraph(number)
    if len(body.operators) == 1 and len(body.inputs) == 2 and not body.operators[0].custom:
        (one,) = body.operators
        found = _COMBINES.get(one.name.removeprefix("STABLEHLO_"))
        if found and sorted(one.inputs) == sorted(body.inputs) and one.outputs == body.outputs:
            return found
    raise Unlike("its body is not one sum, product, extreme, and, or or of two elements")


def _argument(b: TFLiteBuilder, number: int) -> str:
    """Which extreme a body of four keeps together with its place. Raises ``Unlike`` for another one."""
    kinds = {one.name.removeprefix("STABLEHLO_"): one for one in b.model.subgraph(number).operators}
    others = {"COMPARE", "SELECT", "SELECT_V2", "OR", "AND", "LOGICAL_OR", "LOGICAL_AND", "MINIMUM", "MAXIMUM"}
    for one in b.model.subgraph(number).operators:
        name = one.name.removeprefix("STABLEHLO_")
        by_number = {2: "max", 3: "max", 4: "min", 5: "min"}
        if name == "COMPARE" and one.options2 is not None and one.options2.count(0) in by_number:
            found = by_number[one.options2.count(0)]
        elif name in ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"):
            found = "max" if name.startswith("G") else "min"
        else:
            continue
        if {*kinds} <= others | {"GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL"}:
            return found
    raise Unlike("its body is not a choice of the largest or least of several")


@rule("STABLEHLO_REDUCE")
def reduce(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Along axes, by a body of two elements; or the extreme and its place, by one of four."""
    t, count = second_options_of(o), len(o.outputs)
    axes = tuple(sorted(t.longs(0, MOST_AXES)))
    if not axes:
        raise Unlike("it names no axis")
    if count == 2 and len(o.inputs) == 4:
        made = b.several(
            find_op("reduction")(_argument(b, t.whole(1)), axes if len(axes) > 1 else axes[0], indices=True),
            o.inputs[0],
        )
        for index, value in zip(o.outputs, made, strict=True):
            b.bind(index, value)
        return
    function = _combining(b, t.whole(1))
    if function == "sum":
        finish(b, o, b.make("sum", o.inputs[0], axes=axes))
        return
    dtype = b.declared(o.outputs[0]).dtype
    finish(b, o, b.make("reduction", o.inputs[0], function=function, axes=axes, dtype=dtype))


@rule("STABLEHLO_REDUCE_WINDOW")
def reduce_window(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Windows along any axes, each made one element by a body of two."""
    t, rank = second_options_of(o), len(b.type_of(o.inputs[0]).shape)
    if len(o.outputs) != 1:
        raise Unlike("it reduces several inputs at once")
    size, *rest = (t.longs(field, MOST_AXES) for field in range(4))
    step, stretched, dilation = (given or (1,) * rank for given in rest)
    amounts = pairs_of(t.longs(4, 2 * MOST_AXES)) or [(0, 0)] * rank
    function = _combining(b, t.whole(5))
    finish(b, o, windowed(b, b.value(o.inputs[0]), function, size, step, stretched, dilation, amounts))


@rule("STABLEHLO_SORT")
def sort(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Along an axis, by one of the inputs; the others are brought into the same order."""
    axis = second_options_of(o).long(0)
    first, places = b.several(find_op("sort")(axis=axis), o.inputs[0])
    b.bind(o.outputs[0], first)
    for given, made in zip(o.inputs[1:], o.outputs[1:], strict=True):
        shape = b.type_of(given).shape
        b.bind(made, b.make("gather", given, places, shape=shape, axes=axis, along=True))


@rule("STABLEHLO_SCATTER")
def scatter(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Parts put at places that data tell; or combined with what is there, as the body says."""
    if len(o.inputs) != 3:
        raise Unlike("it puts into several tensors at once")
    body = b.model.subgraph(second_options_of(o).whole(6))
    x, places, parts = o.inputs
    if not body.operators and len(body.inputs) == 2 and body.outputs == body.inputs[1:]:
        finish(b, o, b.make("scatter", x, places, parts))
        return
    combines = _combining(b, body.number)
    if combines in ("all", "any"):
        raise Unlike("it puts truth values together")
    finish(b, o, b.make("scatter", x, places, parts, adds=True, combines=combines))


# -- convolutions ------------------------------------------------------------------------------------


@rule("STABLEHLO_CONVOLUTION")
def convolution(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Axes may lie in any order; an input that is stretched is that of a transposed convolution.

    Groups of the batch, each with filters of its own, are groups of channels: that is how they are counted.
    """
    t = second_options_of(o)
    places, taps, made = (t.longs(field, MOST_AXES) for field in (7, 10, 13))
    n = len(places)
    rank = n + 2
    if not 1 <= n <= 3 or len(taps) != n or len(made) != n:
        raise Unlike(f"it slides along {n} axes")
    order = t.long(5), *places, t.long(6)
    into = t.long(11), *made, t.long(12)
    kernel_order = t.long(9), t.long(8), *taps
    if any(sorted(one) != list(range(rank)) for one in (order, into, kernel_order)):
        raise Unlike("its axes are not those of its inputs")
    x = b.value(o.inputs[0]) if order == tuple(range(rank)) else b.make("permute", o.inputs[0], axes=order)
    groups, batches = t.long(14) or 1, t.long(15) or 1
    if batches > 1:
        x, groups = _batches_as_channels(b, x, batches), batches
    y = _slid(b, o, x, kernel_order, groups, t, n)
    if into != tuple(range(rank)):
        y = b.make("permute", y, axes=tuple(into.index(axis) for axis in range(rank)))
    finish(b, o, y)


def _batches_as_channels(b: TFLiteBuilder, x: Value, batches: int) -> Value:
    batch, *places, channels = b.type_of(x).shape
    if not isinstance(batch, int) or batch % batches:
        raise Unlike(f"its batch of {batch} is not {batches} groups")
    x = b.make("reshape", x, shape=(batches, batch // batches, *places, channels), keep_batch=False)
    x = b.make("permute", x, axes=(*range(1, len(places) + 2), 0, len(places) + 2))
    return b.make("reshape", x, shape=(batch // batches, *places, batches * channels), keep_batch=False)


def _slid(
    b: TFLiteBuilder, o: TFLiteOperator, x: Value, kernel_order: Sequence[int], groups: int, t: FlatTable, n: int
) -> Value:
    """The convolution of (batch, places …, channels)."""
    step, stretched, dilation = (t.longs(field, MOST_AXES) or (1,) * n for field in (0, 2, 3))
    amounts = pairs_of(t.longs(1, 2 * MOST_AXES)) or [(0, 0)] * n
    sizes = b.type_of(o.inputs[1]).shape
    out, channels, *kernel = (sizes[axis] for axis in kernel_order)
    if b.type_of(x).shape[-1] != channels * groups:
        raise Unlike(f"its filter has {channels} channels in {groups} groups, its input {b.type_of(x).shape[-1]}")
    if any(s > 1 for s in stretched):
        if any(s > 1 for s in step):
            raise Unlike("its input is stretched, and its steps are too")
        amounts = [(d * (k - 1) - p, d * (k - 1) - q) for (p, q), k, d in zip(amounts, kernel, dilation, strict=True)]  # type: ignore[misc]
        if any(p < 0 for p, _ in amounts):
            raise Unlike("its input is stretched, and lies beyond its output")
        options = {"stride": stretched, "output_padding": once(tuple(max(-q, 0) for _, q in amounts))}
        amounts = [(p, max(q, 0)) for p, q in amounts]
        op = "conv_transpose"
    else:
        for axis, (p, q) in enumerate(amounts, 1):
            if p < 0 or q < 0:
                x = b.make("slice", x, axis=axis, start=max(-p, 0), stop=q if q < 0 else None)
        amounts = [(max(p, 0), max(q, 0)) for p, q in amounts]
        options, op = {"stride": once(step)}, "conv"
    options |= {"padding": tuple(amounts), "dilation": once(dilation), "groups": groups}
    if b.is_constant(o.inputs[1]):
        return b.make(
            op, x, weights={"weight": o.inputs[1]}, out_channels=out, kernel=once(tuple(kernel)), bias=False,
            channels_last=True, **options,
        )  # fmt: skip
    if op == "conv_transpose":
        raise Unlike("it is transposed, and its weights are computed while it runs")
    x = b.make("permute", x, axes=(0, n + 1, *range(1, n + 1)))
    y = b.make("dynamic_conv", x, b.make("permute", o.inputs[1], axes=tuple(kernel_order)), **options)
    return b.make("permute", y, axes=(0, *range(2, n + 2), 1))
