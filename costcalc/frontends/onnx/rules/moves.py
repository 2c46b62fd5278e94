"""Elements looked up, put somewhere, resampled, transformed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from costcalc.frontends.onnx.node_use import FileError, NodeUse, NoRule, axis_of, is_number
from costcalc.ir.call import Traced, once
from costcalc.ir.dims import Dim, prod
from costcalc.ir.expr import Expr
from costcalc.ir.tensor import COMPLEX, TensorType
from costcalc.ops.traced_steps import reshaped

MOST_INDICES = 4096


def _known(n: NodeUse, index: int) -> tuple[int, ...] | None:
    """Places that are known as plain numbers."""
    numbers = n.numbers(index)
    if numbers is None or not 0 < len(numbers) <= MOST_INDICES or any(type(v) is not int for v in numbers):
        return None
    return numbers


def gather(n: NodeUse) -> Traced:
    """Rows of a table of the file are an embedding; known places are cut out or taken; others are looked up."""
    rank = len(n.shape(0))
    axis = axis_of(n.attribute("axis", 0), rank)
    places = n.held(1)
    shape = n.shape(0)
    if axis == 0 and rank == 2 and n.is_weight(0) and not places.settled and not is_number(places):
        rows, width = shape
        return n.add(  # type: ignore[no-any-return]
            "embedding", n.real(places), options=(rows, width, n.type(0).dtype), weights={"weight": n.weight(0)}
        )
    x = n.x(0)
    numbers = _known(n, 1)
    made = (*shape[:axis], *places.type.shape, *shape[axis + 1 :])
    if numbers is not None:
        if not places.type.shape:
            return n.add("select", x, options=(axis, numbers[0]))  # type: ignore[no-any-return]
        size = shape[axis]
        if numbers == tuple(range(len(numbers))) and size == len(numbers):
            picked = x
        else:
            picked = n.add("take", x, options=(axis, numbers))
        return reshaped(n.call, picked, *made)
    if any(isinstance(d, int) and d == 0 for d in made):
        return n.constant(TensorType(made, x.type.dtype))
    return n.add("gather", x, n.x(1), options=(made,), axes=axis)  # type: ignore[no-any-return]


def gather_elements(n: NodeUse) -> Traced:
    x, places = n.x(0), n.x(1)
    axis = axis_of(n.attribute("axis", 0), len(x.type.shape))
    for other, (size, wanted) in enumerate(zip(x.type.shape, places.type.shape, strict=True)):
        if other != axis and isinstance(size, int) and isinstance(wanted, int) and wanted < size:
            x = n.add("slice", x, options=(other, 0, wanted))
    return n.add("gather", x, places, options=(places.type.shape,), axes=axis, along=True)  # type: ignore[no-any-return]


def gather_nd(n: NodeUse) -> Traced:
    """The last axis of the places names as many axes of the table, after ``batch_dims`` that both have."""
    shape, places = n.shape(0), n.shape(1)
    batch, named = n.attribute("batch_dims", 0), places[-1] if places else 0
    if not isinstance(named, int) or batch + named > len(shape) or batch >= max(len(places), 1):
        raise FileError(f"GatherND names {named} axes of {len(shape)}")
    made = (*places[:-1], *shape[batch + named :])
    return n.add("gather", n.x(0), n.x(1), options=(made,))  # type: ignore[no-any-return]


def scatter(n: NodeUse) -> Traced:
    adds = n.attribute("reduction", "none") != "none"
    if n.node.operator == "TensorScatter":
        return n.add("scatter", n.x(0), *([n.x(2)] if n.has(2) else []), n.x(1))  # type: ignore[no-any-return]
    return n.add("scatter", n.x(0), n.x(1), n.x(2), options=(adds,))  # type: ignore[no-any-return]


def scatter_elements(n: NodeUse) -> Traced:
    adds = n.attribute("reduction", "none") != "none"
    axis = axis_of(n.attribute("axis", 0), len(n.shape(0)))
    return n.add("scatter", n.x(0), n.x(1), n.x(2), options=(adds, axis))  # type: ignore[no-any-return]


def single(value: float) -> float:
    """``value`` rounded to float32, in which engines multiply sizes.

    >>> single(5 * single(1.4))
    7.0
    """
    return struct.unpack("<f", struct.pack("<f", value))[0]  # type: ignore[no-any-return]


def resized(size: Dim, scale: float) -> Dim:
    """⌊size · scale⌋ as ONNX Runtime works it out: a product of float32.

    >>> resized(5, single(1.4)), resized(7, 2.0)
    (7, 14)
    """
    if isinstance(size, Expr):
        up, down = float(scale).as_integer_ratio()
        if down > 2**10:
            raise NoRule("a size that stays open times a scale that is not a short fraction")
        return size * up // down
    return int(single(single(size) * scale))


def resize(n: NodeUse) -> Traced:
    """``Resize``, and ``Upsample`` before it: by sizes or by scales."""
    x = n.x(0)
    shape = x.type.shape
    rank = len(shape)
    if n.node.operator == "Upsample":
        scales = n.sizes("scales", 1)
        sizes = None
    elif n.opset and n.opset < 11:
        scales, sizes = n.known(1, "the scales"), None
    else:
        sizes = n.known(3, "the sizes") if n.has(3) and n.type(3).size != 0 else None
        scales = n.known(2, "the scales") if sizes is None and n.has(2) and n.type(2).size != 0 else None
    axes = [axis_of(a, rank) for a in n.attribute("axes") or range(rank)]
    if sizes is None and scales is None:
        raise FileError("Resize has neither sizes nor scales")
    made = list(shape)
    by: list[float | None] = [1.0] * rank
    if sizes is not None:
        policy = n.attribute("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch" and not any(a < 0 for a in n.attribute("axes") or ()):
            ratios = [to / size for to, size in zip(sizes, (shape[a] for a in axes), strict=True)]
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            sizes = tuple(int(ratio * shape[a] + 0.5) for a in axes)
        elif policy != "stretch":
            sizes = tuple(shape[a] for a in axes)  # the policy is off when run, and so is the resize
        met = n.before((shape,), tuple(sizes))
        for axis, size in zip(axes, sizes, strict=True):
            if met is not None and size == met.shapes[0][axis]:
                size = shape[axis]  # as it was at the sizes of the file
            made[axis], by[axis] = size, None if size != shape[axis] else 1.0
    else:
        for axis, scale in zip(axes, scales or (), strict=True):
            made[axis] = resized(shape[axis], scale) if scale != 1 else shape[axis]
            by[axis] = scale
    return resampled(n, x, made, by)


def resampled(n: NodeUse, x: Traced, made: Sequence[Dim], by: Sequence[float | None]) -> Traced:
    """``x`` resampled to ``made``, along each axis by a scale or, for None, to a size."""
    shape = x.type.shape
    if any(isinstance(d, int) and d == 0 for d in made):
        return n.constant(TensorType(tuple(made), x.type.dtype))
    changed = [a for a, scale in enumerate(by) if scale is None or scale != 1]
    if not changed:
        return n.add("identity", x)  # type: ignore[no-any-return]
    mode = n.attribute("mode", "nearest")
    places = len(shape) - 2
    corners = n.attribute("coordinate_transformation_mode", "half_pixel") == "align_corners"
    if n.attribute("coordinate_transformation_mode") == "tf_crop_and_resize" or changed[0] < 2 or not 1 <= places <= 3:
        return _otherwise(n, x, made, mode)
    words = {"linear": ("linear", "bilinear", "trilinear")[places - 1], "cubic": "bicubic", "nearest": "nearest"}
    word = words.get(mode)
    if word is None or (word == "bicubic" and places != 2):
        return _otherwise(n, x, made, mode)
    options: dict[str, Any] = {"mode": word, "align_corners": corners and word != "nearest"}
    if n.attribute("antialias", 0) and word in ("bilinear", "bicubic"):
        options["antialias"] = True
    whole = all(scale is not None and float(scale).is_integer() for scale in by[2:])
    if whole and not options["align_corners"]:
        options["scale"] = once(tuple(int(scale) for scale in by[2:] if scale is not None))
    else:
        options["size"] = once(tuple(made[2:]))
    return n.add("upsample", x, **options)  # type: ignore[no-any-return]


def _otherwise(n: NodeUse, x: Traced, made: Sequence[Dim], mode: str) -> Traced:
    """Along other axes than places: nearest copies elements; for the rest there is no rule."""
    if mode != "nearest":
        raise NoRule(f"mode {mode} along these axes")
    return n.add("gather", x, options=(tuple(made),))  # type: ignore[no-any-return]


def grid_sample(n: NodeUse) -> Traced:
    mode = {"bilinear": "bilinear", "linear": "bilinear", "bicubic": "bicubic", "cubic": "bicubic"}.get(
        n.attribute("mode", "linear"), "nearest"
    )
    return n.add("grid_sample", n.x(0), n.x(1), options=(mode,))  # type: ignore[no-any-return]


def affine_grid(n: NodeUse) -> Traced:
    """Each place of the output times a matrix: (n, places, 3) by (n, 3, 2), or of four numbers by three."""
    theta = n.x(0)
    size = tuple(n.known(1, "the size"))
    axes = len(size) - 2
    base = n.constant(TensorType((size[0], prod(size[2:]), axes + 1), theta.type.dtype))
    y = n.add("matmul", base, n.add("transpose", theta))
    return reshaped(n.call, y, size[0], *size[2:], axes)


def fold(n: NodeUse) -> Traced:
    """``Col2Im``."""
    size, kernel = tuple(n.known(1, "the size")), tuple(n.known(2, "the block"))
    pads = tuple(n.attribute("pads") or (0,) * 2 * len(kernel))
    if len(size) != 2 or pads[:2] != pads[2:]:
        raise NoRule("other than two axes, or uneven padding")
    strides, dilations = n.attribute("strides") or (1, 1), n.attribute("dilations") or (1, 1)
    options = (once(size), once(kernel), once(tuple(strides)), once(pads[:2]), once(tuple(dilations)))
    return n.add("fold", n.x(0), options=options)  # type: ignore[no-any-return]


def dft(n: NodeUse) -> Traced:
    """Real and imaginary parts are the last axis; a transform of ``dft_length`` places along one of the others."""
    x = n.x(0)
    rank = len(x.type.shape)
    given = (n.numbers(2) or (None,))[0] if n.has(2) else n.attribute("axis", -2 if n.opset >= 20 else 1)
    if not isinstance(given, int):
        raise NoRule("an axis that is not known")
    axis = axis_of(given, rank)
    one_sided, back = bool(n.attribute("onesided", 0)), bool(n.attribute("inverse", 0))
    size = x.type.shape[axis]
    length = (n.numbers(1) or (None,))[0] if n.has(1) else 2 * (size - 1) if one_sided and back else size
    if length is None:
        raise NoRule("a length that is not known")
    real = x.type.shape[-1] == 1
    shape = list(x.type.shape[:-1])
    wide = COMPLEX.get(x.type.dtype, "complex64")
    before = length // 2 + 1 if back and one_sided else length
    if shape[axis] != before:
        shape[axis] = before
        x = n.add("gather", x, options=((*shape, x.type.shape[-1]),))
    if real and not (back and one_sided):
        y = n.add("fourier", reshaped(n.call, x, *shape), options=(axis, None, not one_sided))
    else:
        z = n.add("part", x, options=(tuple(shape), wide))
        y = n.add("fourier", z, options=(axis, length if back and one_sided else None))
        if one_sided and not back:
            y = n.add("slice", y, options=(axis, 0, length // 2 + 1))
    if back and one_sided:
        return n.add("unsqueeze", y, options=(rank - 1,))  # type: ignore[no-any-return]
    return n.add("part", y, options=((*y.type.shape, 2), n.type(0).dtype))  # type: ignore[no-any-return]


def stft(n: NodeUse) -> Traced:
    """Frames of a signal (batch, length, 1), each times a window and transformed."""
    x = n.x(0)
    (step,) = n.known(1, "the step")
    if x.type.shape[-1] == 2 or not isinstance(step, int) or step < 1:
        raise NoRule("a complex signal")
    length = n.known(3, "the length of a frame")[0] if n.has(3) else n.shape(2)[0]
    signal = reshaped(n.call, x, *x.type.shape[:2])
    frames = n.add("windows", signal, options=(1, length, step))
    if n.has(2):
        frames = n.add("multiply", frames, n.x(2))
    y = n.add("fourier", frames, options=(2, None, not n.attribute("onesided", 1)))
    return n.add("part", y, options=((*y.type.shape, 2), n.type(0).dtype))  # type: ignore[no-any-return]


RULES: dict[str, Callable[[NodeUse], Any]] = {
    "Gather": gather, "GatherElements": gather_elements, "GatherND": gather_nd, "ScatterElements": scatter_elements,
    "Scatter": scatter_elements, "ScatterND": scatter, "TensorScatter": scatter, "Resize": resize, "Upsample": resize,
    "GridSample": grid_sample, "AffineGrid": affine_grid, "Col2Im": fold, "DFT": dft, "STFT": stft,
}  # fmt: skip
