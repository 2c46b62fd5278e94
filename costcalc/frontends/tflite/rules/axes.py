"""Reductions, scans and places of extremes."""

from __future__ import annotations

from costcalc.frontends.tflite.build import TFLiteBuilder
from costcalc.frontends.tflite.read import TFLiteOperator
from costcalc.frontends.tflite.rules.table import finish, rule
from costcalc.ir.dims import prod

_REDUCTIONS = {
    "SUM": "sum", "REDUCE_MAX": "amax", "REDUCE_MIN": "amin", "REDUCE_PROD": "prod", "REDUCE_ANY": "any",
    "REDUCE_ALL": "all",
}  # fmt: skip


def _axes(b: TFLiteBuilder, o: TFLiteOperator) -> tuple[tuple[int, ...], bool]:
    rank = len(b.type_of(o.inputs[0]).shape)
    axes = tuple(sorted({axis % rank for axis in b.wanted(o.inputs[1])}))
    return axes, o.options is not None and o.options.flag(0)


def _of_each_sample(b: TFLiteBuilder, o: TFLiteOperator) -> bool:
    """Whether an axis that the file has once, as converters reduce the batch too, is larger here."""
    was, now = b.declared(o.inputs[0]).shape, b.type_of(o.inputs[0]).shape
    return not b.as_written and b.batch[0] != b.batch[1] and was[:1] == (1,) and now[:1] != (1,)


@rule("MEAN")
def mean(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Over all places it is global pooling."""
    axes, keepdim = _axes(b, o)
    rank = len(b.type_of(o.inputs[0]).shape)
    if 0 in axes and rank > 1 and _of_each_sample(b, o):
        b.note("is over the batch too, which the file has once; its figures are for each sample by itself")
        y = b.make("mean", o.inputs[0], axes=axes[1:], keepdim=keepdim) if axes[1:] else b.value(o.inputs[0])
        shape = b.type_of(y).shape
        if not keepdim and len(shape) > 1:  # as the file has it, without an axis of the batch
            y = b.make("reshape", y, shape=(shape[0] * shape[1], *shape[2:]), keep_batch=False)
        finish(b, o, y)
    elif rank > 3 and axes == tuple(range(1, rank - 1)):
        finish(b, o, b.make("global_avg_pool", o.inputs[0], keepdim=keepdim, channels_last=True))
    else:
        finish(b, o, b.make("mean", o.inputs[0], axes=axes, keepdim=keepdim))


@rule(*_REDUCTIONS)
def reduced(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """A sum, product, largest, smallest … along axes."""
    known = b.known(o.inputs[0])
    if known is not None and o.name == "REDUCE_PROD":
        b.scope.numbers[o.outputs[0]] = [prod(known)]
    axes, keepdim = _axes(b, o)
    if not axes:
        b.bind(o.outputs[0], o.inputs[0])
    elif o.name == "SUM":
        finish(b, o, b.make("sum", o.inputs[0], axes=axes, keepdim=keepdim))
    else:
        function, dtype = _REDUCTIONS[o.name], b.declared(o.outputs[0]).dtype
        finish(b, o, b.make("reduction", o.inputs[0], function=function, axes=axes, keepdim=keepdim, dtype=dtype))


@rule("ARG_MAX", "ARG_MIN")
def place_of_extreme(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Where the largest is."""
    function = "argmax" if o.name == "ARG_MAX" else "argmin"
    rank = len(b.type_of(o.inputs[0]).shape)
    axes = tuple(axis % rank for axis in b.wanted(o.inputs[1]))
    dtype = b.declared(o.outputs[0]).dtype
    finish(b, o, b.make("reduction", o.inputs[0], function=function, axes=axes, dtype=dtype))


@rule("CUMSUM")
def cumsum(b: TFLiteBuilder, o: TFLiteOperator) -> None:
    """Sums of all up to each, which is left out or from the end if the file says so."""
    (axis,) = b.wanted(o.inputs[1])
    exclusive, reverse = (o.options.flag(field) if o.options else False for field in (0, 1))
    finish(b, o, b.make("scan", o.inputs[0], axis=axis, reverse=reverse, exclusive=exclusive))
