"""Other shapes of the same elements, parts, joins, and tensors made of nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule, axis_of, dtype_named, symbolic
from costcalc.frontends.onnx.nodes import shown_name
from costcalc.frontends.onnx.rules.known_elements import places, reshaped_to, slices, split_sizes
from costcalc.frontends.regrouping import followed, moved
from costcalc.ir.call import Traced, once
from costcalc.ir.dims import Dim, ceil_div, prod
from costcalc.ir.fields import spelled
from costcalc.ir.tensor import TensorType
from costcalc.ops.broadcasting import broadcast
from costcalc.ops.traced_steps import expanded, permuted
from costcalc.ops.traced_steps import reshaped as of_shape


def _as(n: NodeUse, x: Traced, shape: tuple[Dim, ...]) -> Traced:
    """``x`` under another shape; what holds nothing is made of nothing."""
    if any(isinstance(d, int) and d == 0 for d in shape):
        return n.constant(TensorType(shape, x.type.dtype))
    y = of_shape(n.call, x, *shape)
    if y is not x:
        y.numbers = x.numbers
    return y


def reshape(n: NodeUse) -> Traced:
    x = n.x(0)
    known = n.attribute("shape") or n.numbers(1)
    if known is None:
        made = n.declared()
        if made is None:
            n.known(1, "the shape")  # which says that it is not
        return _as(n, x, made.shape)  # type: ignore[union-attr]
    met = n.before((x.type.shape,), tuple(known))
    if met is not None:
        (shape,) = met.shapes
        made_then = reshaped_to(n, shape, prod(shape), known)
        found = followed(shape, x.type.shape, made_then, n.build.batch)
        if found is not None:
            rank = len(x.type.shape)
            x = permuted(n.call, x, *moved(rank, found.first, 0)) if found.first else x
            y = _as(n, x, found.shape)
            return permuted(n.call, y, *moved(len(found.shape), 0, found.last)) if found.last else y
    return _as(n, x, reshaped_to(n, x.type.shape, x.type.size, known))


def flatten(n: NodeUse) -> Traced:
    x = n.x(0)
    axis = n.attribute("axis", 1)
    shape = x.type.shape
    at = axis_of(axis, len(shape)) if axis != len(shape) else axis
    if at == 1 and len(shape) > 2:
        return n.add("flatten", x)  # type: ignore[no-any-return]
    return _as(n, x, (prod(shape[:at]), prod(shape[at:])))


def squeeze(n: NodeUse) -> Traced:
    x = n.x(0)
    rank = len(x.type.shape)
    given = n.sizes("axes", 1)
    axes = tuple(axis_of(a, rank) for a in given) if given else tuple(i for i, d in enumerate(x.type.shape) if d == 1)
    if not axes:
        return x
    y = n.add("squeeze", x, options=(once(axes) if len(axes) == 1 else axes,))
    y.numbers = x.numbers
    return y  # type: ignore[no-any-return]


def unsqueeze(n: NodeUse) -> Traced:
    x = n.x(0)
    given = n.sizes("axes", 1)
    rank = len(x.type.shape) + len(given)
    for axis in sorted(axis_of(a, rank) for a in given):
        x, numbers = n.add("unsqueeze", x, options=(axis,)), x.numbers
        x.numbers = numbers
    return x


def transpose(n: NodeUse) -> Traced:
    x = n.x(0)
    rank = len(x.type.shape)
    order = tuple(axis_of(a, rank) for a in n.attribute("perm") or reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise FileError(f"Transpose has the order {order} for {rank} axes")
    return permuted(n.call, x, *order)


def expand(n: NodeUse) -> Traced:
    x, wanted = n.x(0), n.known(1, "the shape")
    met = n.before((x.type.shape,), tuple(wanted))
    if met is not None:  # what is as large as the input was is as large as it is
        was, skipped = met.shapes[0], len(wanted) - len(met.shapes[0])
        wanted = tuple(
            x.type.shape[i - skipped] if i >= skipped and d == was[i - skipped] else d for i, d in enumerate(wanted)
        )
    return expanded(n.call, x, *broadcast(x.type.shape, wanted))


def tile(n: NodeUse) -> Traced:
    x, repeats = n.x(0), n.known(1, "the repeats")
    if all(isinstance(r, int) and r == 1 for r in repeats):
        return x
    if any(isinstance(r, int) and r == 0 for r in repeats):
        shape = tuple(d * r for d, r in zip(x.type.shape, repeats, strict=True))
        return n.constant(TensorType(shape, x.type.dtype))
    return n.add("tile", x, options=(tuple(repeats),))  # type: ignore[no-any-return]


def concat(n: NodeUse) -> Traced:
    values = n.all()
    axis = axis_of(n.attribute("axis", 1), len(values[0].type.shape))
    met = n.before(tuple(v.type.shape for v in values))
    if met is not None:
        values = [_beside(n, v, was, values, met.shapes, axis) for v, was in zip(values, met.shapes, strict=True)]
    filled = [v for v in values if not (isinstance(v.type.shape[axis], int) and v.type.shape[axis] == 0)]
    if not filled:
        return values[0]
    return filled[0] if len(filled) == 1 else n.add("concat", *filled, options=(axis,))


def _beside(
    n: NodeUse, x: Traced, was: tuple[Dim, ...], values: list[Traced], before: tuple[tuple[Dim, ...], ...], axis: int
) -> Traced:
    """``x``, which is joined to others; where these were as large as it was and are larger now, it is repeated.

    So is a class token of the file for each image.
    """
    if x.type.shape != was or not x.settled:
        return x
    made: list[Any] = list(was)
    for other, then in zip(values, before, strict=True):
        for i, (old, now) in enumerate(zip(then, other.type.shape, strict=True)):
            if i != axis and old == was[i] and now != old and isinstance(now, int) and now % max(made[i], 1) == 0:
                made[i] = now
    if made == list(was):
        return x
    n.build.notes[
        f"{shown_name(n.node.name) or n.node.operator}: what the file joins once is joined to each sample"
    ] = None
    repeats = tuple(now // old for now, old in zip(made, was, strict=True))
    if all(old in (1, now) for now, old in zip(made, was, strict=True)):
        return expanded(n.call, x, *made)
    return n.add("tile", x, options=(repeats,))  # type: ignore[no-any-return]


def split(n: NodeUse) -> Any:
    x = n.x(0)
    axis = axis_of(n.attribute("axis", 0), len(x.type.shape))
    sizes = split_sizes(n, x.type.shape[axis])
    if len(sizes) == 1:
        return x
    some = tuple(s for s in sizes if not (isinstance(s, int) and s == 0))
    made: Any
    if len(some) < 2:
        made = iter((x,))
    else:
        equal = not symbolic(*some) and len(set(some)) == 1
        made = iter(n.add("split", x, options=(len(some) if equal else some, axis)))
    nothing = x.type._replace(shape=(*x.type.shape[:axis], 0, *x.type.shape[axis + 1 :]))
    return tuple(n.constant(nothing) if isinstance(s, int) and s == 0 else next(made) for s in sizes)


def slice_(n: NodeUse) -> Traced:
    """Each axis that is cut is one step; one that runs backwards is turned round first."""
    x = n.x(0)
    rank = len(x.type.shape)
    cuts = slices(n, rank)
    left = list(x.type.shape)
    for axis, *ends in cuts:
        size = left[axis]
        if isinstance(size, int) and all(isinstance(end, int) for end in ends) and ends[2]:
            left[axis] = len(places(size, *ends))
    if any(isinstance(d, int) and d == 0 for d in left):
        return n.constant(TensorType(tuple(left), x.type.dtype))
    for axis, start, stop, step in cuts:
        size = x.type.shape[axis]
        if not isinstance(step, int) or step == 0:
            raise NoRule("a step that is not known")
        if step < 0:
            x = _backwards(n, x, axis, start, stop, step)
            continue
        begin, end = _bound(start, size), _bound(stop, size)
        whole = end is size or end == size
        if whole and isinstance(begin, int) and begin == 0 and step == 1:
            continue
        x = n.add("slice", x, options=(axis, begin, None if whole else end, step))
    return x


MOST_TAKEN = 4096
"""Places that are named one by one."""
FAR = 2**31 - 1
"""What exporters write for the end of an axis; greater numbers too."""


def _bound(index: Any, size: Dim) -> Dim:
    """An end of a slice, counted from the front and inside of the axis; a symbol is taken to lie inside."""
    if isinstance(index, int):
        if isinstance(size, int):
            return min(max(index + size if index < 0 else index, 0), size)
        return size if index >= FAR else 0 if index <= -FAR else size + index if index < 0 else index
    return index  # type: ignore[no-any-return]


def _backwards(n: NodeUse, x: Traced, axis: int, start: Any, stop: Any, step: int) -> Traced:
    size = x.type.shape[axis]
    if not isinstance(size, int) or not isinstance(start, int) or not isinstance(stop, int):
        raise NoRule("a slice backwards along an axis that stays open")
    taken = places(size, start, stop, step)
    if len(taken) == size:
        return n.add("flip", x, options=(axis,))  # type: ignore[no-any-return]
    if len(taken) > MOST_TAKEN:
        shape = (*x.type.shape[:axis], len(taken), *x.type.shape[axis + 1 :])
        return n.add("gather", x, options=(shape,), axes=axis)  # type: ignore[no-any-return]
    return n.add("take", x, options=(axis, tuple(taken)))  # type: ignore[no-any-return]


def pad(n: NodeUse) -> Traced:
    """``mode`` says what is added; amounts below 0 crop."""
    x = n.x(0)
    rank = len(x.type.shape)
    given = n.sizes("paddings" if "paddings" in n.node.attributes else "pads", 1)
    axes = tuple(axis_of(a, rank) for a in n.numbers(3) or ()) if n.has(3) else tuple(range(rank))
    if len(given) != 2 * len(axes):
        raise FileError(f"Pad has {len(given)} amounts for {len(axes)} axes")
    mode = n.attribute("mode", "constant")
    value = n.attribute("value", 0.0)
    if n.has(2):
        known = n.numbers(2)
        value = known[0] if known and isinstance(known[0], (int, float)) else 0.0
    made = list(x.type.shape)
    for axis, before, after in zip(axes, given[: len(axes)], given[len(axes) :], strict=True):
        made[axis] = made[axis] + before + after
    if any(isinstance(d, int) and d <= 0 for d in made):
        return n.constant(TensorType(tuple(d if not isinstance(d, int) else max(d, 0) for d in made), x.type.dtype))
    pairs = {}
    for axis, before, after in zip(axes, given[: len(axes)], given[len(axes) :], strict=True):
        cut = tuple(-p if isinstance(p, int) and p < 0 else 0 for p in (before, after))
        if any(cut):
            size = x.type.shape[axis]
            x = n.add("slice", x, options=(axis, cut[0], size - cut[1] if cut[1] else None, 1))
        pair = tuple(0 if isinstance(p, int) and p < 0 else p for p in (before, after))
        if any(not isinstance(p, int) or p for p in pair):
            pairs[axis] = pair
    if not pairs:
        return x
    if mode == "constant":
        return _added(n, x, pairs, spelled(float(value)))
    word = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(mode)
    if word is None:
        raise NoRule(f"the mode {mode[:40]}")
    room = {"reflect": 1}.get(word, 0)
    far = word != "replicate" and any(
        isinstance(p, int) and isinstance(x.type.shape[a], int) and p > x.type.shape[a] - room  # type: ignore[operator]
        for a, pair in pairs.items()
        for p in pair
    )
    if far or min(pairs) < 2 or rank > 5:
        shape = tuple(d + sum(pairs.get(a, (0, 0)), 0) for a, d in enumerate(x.type.shape))
        return n.add("gather", x, options=(shape,))  # type: ignore[no-any-return]
    return n.add("pad", x, options=(tuple(pairs.get(a, (0, 0)) for a in range(2, rank)), word))  # type: ignore[no-any-return]


def _added(n: NodeUse, x: Traced, pairs: dict[int, tuple[Any, ...]], value: float | str) -> Traced:
    rank = len(x.type.shape)
    if min(pairs) >= 2 and rank <= 5:
        amounts = tuple(pairs.get(a, (0, 0)) for a in range(2, rank))
        return n.add("pad", x, options=(amounts,), value=value)  # type: ignore[no-any-return]
    for first in range(0, len(pairs), 3):
        some = sorted(pairs)[first : first + 3]
        x = n.add("pad", x, options=(tuple(pairs[a] for a in some),), axes=tuple(some), value=value)
    return x


def crop_or_pad(n: NodeUse) -> Traced:
    """``CenterCropPad``: the odd one is cropped at the end, or added there."""
    x = n.x(0)
    rank = len(x.type.shape)
    wanted = n.known(1, "the shape")
    axes = tuple(axis_of(a, rank) for a in n.attribute("axes") or range(rank))
    for axis, to in zip(axes, wanted, strict=True):
        size = x.type.shape[axis]
        if not isinstance(size, int) or not isinstance(to, int):
            raise NoRule("an axis that stays open")
        if to < size:
            x = n.add("slice", x, options=(axis, (size - to) // 2, (size - to) // 2 + to, 1))
        elif to > size:
            before = (to - size) // 2
            x = n.add("pad", x, options=(((before, to - size - before),),), axes=(axis,))
    return x


def shape(n: NodeUse) -> Any:
    """Of a value whose shape is not known there is no node: its elements are known, always."""
    raise NoRule


def constant(n: NodeUse) -> Any:
    """A tensor that is larger than what is worked out."""
    raise NoRule


def filled(n: NodeUse) -> Traced:
    value = n.attribute("value")
    return n.constant(TensorType(tuple(n.known(0, "the shape")), value.dtype if value else "float32"))


def counted(n: NodeUse) -> Traced:
    """``Range`` of more than is worked out, or up to a size that stays open."""
    start, stop, step = ((n.numbers(i) or (None,))[0] for i in range(3))
    if step is None or start is None or stop is None or not isinstance(step, int) or step < 1:
        made = n.declared()
        if made is None:
            raise NoRule("where it ends is not in the file")
        return n.constant(made)
    return n.constant(TensorType((ceil_div(stop - start, step),), n.type(0).dtype))


def eye(n: NodeUse) -> Traced:
    dtype = dtype_named(n.attribute("dtype")) if n.attribute("dtype") else n.type(0).dtype
    return n.constant(TensorType(n.shape(0), dtype))


def one_hot(n: NodeUse) -> Traced:
    indices = n.x(0)
    depth = (n.numbers(1) or (None,))[0]
    made = n.declared()
    if depth is None and made is None:
        n.known(1, "the depth")
    rank = len(indices.type.shape) + 1
    at = axis_of(n.attribute("axis", -1), rank)
    size = int(depth) if isinstance(depth, float) else depth if depth is not None else made.shape[at]  # type: ignore[union-attr]
    out = (*indices.type.shape[:at], size, *indices.type.shape[at:])
    return n.add("gather", indices, options=(out, n.type(2).dtype))  # type: ignore[no-any-return]


def to_space(n: NodeUse) -> Traced:
    """Blocks of channels laid out in space; the order of the channels does not change what it costs."""
    return n.add("pixel_shuffle", n.x(0), options=(n.attribute("blocksize", 1),))  # type: ignore[no-any-return]


def to_depth(n: NodeUse) -> Traced:
    return n.add("pixel_unshuffle", n.x(0), options=(n.attribute("blocksize", 1),))  # type: ignore[no-any-return]


def reversed_(n: NodeUse) -> Traced:
    return n.add("gather", n.x(0), n.x(1), options=(n.shape(0),))  # type: ignore[no-any-return]


def triangle(n: NodeUse) -> Traced:
    diagonal = n.numbers(1)[0] if n.has(1) and n.numbers(1) else 0  # type: ignore[index]
    diagonal = max(min(diagonal, 2**31), -(2**31)) if isinstance(diagonal, int) else 0
    return n.add("triangle", n.x(0), options=(bool(n.attribute("upper", 1)), diagonal))  # type: ignore[no-any-return]


def random(n: NodeUse) -> Traced:
    operator = n.node.operator
    given = n.attribute("dtype")
    if operator in ("RandomNormal", "RandomUniform"):
        return n.constant(TensorType(tuple(n.attribute("shape", ())), dtype_named(given or 1)), random=True)
    dtype = dtype_named(given) if given else n.type(0).dtype
    if operator == "Bernoulli":
        return n.add("elementwise", n.constant(n.type(0), random=True), n.x(0), options=("lt", dtype))  # type: ignore[no-any-return]
    if operator == "Multinomial":
        shape = (n.shape(0)[0], n.attribute("sample_size", 1))
        return n.add("gather", n.x(0), options=(shape, dtype_named(given or 6)))  # type: ignore[no-any-return]
    return n.constant(TensorType(n.shape(0), dtype), random=True)


def window_of(n: NodeUse) -> Traced:
    """The windows of a Fourier transform."""
    (size,) = n.known(0, "the size")
    return n.constant(TensorType((size,), dtype_named(n.attribute("output_datatype", 1))))


def mel_weights(n: NodeUse) -> Traced:
    bins, length = (n.known(i, "a size")[0] for i in (0, 1))
    return n.constant(TensorType((length // 2 + 1, bins), dtype_named(n.attribute("output_datatype", 1))))


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
    "Expand": expand, "Tile": tile, "Concat": concat, "Split": split, "Slice": slice_, "Pad": pad, "Shape": shape,
    "Size": shape, "Range": counted, "ConstantOfShape": filled, "Constant": constant, "EyeLike": eye,
    "OneHot": one_hot, "DepthToSpace": to_space, "SpaceToDepth": to_depth, "ReverseSequence": reversed_,
    "Trilu": triangle, "CenterCropPad": crop_or_pad, "MelWeightMatrix": mel_weights,
    **dict.fromkeys(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"), random
    ),
    **dict.fromkeys(("HannWindow", "HammingWindow", "BlackmanWindow"), window_of),
}  # fmt: skip
