"""Resampling without weights: by copying, interpolating, or leaving zeros between."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.errors import OptionError, listing
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, ceil_div, divides, equal, gcd, maximum, minimum, scaled, where
from costcalc.ir.dims import prod as product
from costcalc.ir.expr import Expr
from costcalc.ir.fields import Scales, Sizes, ints, per_axis
from costcalc.ir.index_map import AxisMap, IndexMap, Window, sampled
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import Moment
from costcalc.ir.tensor import TensorType
from costcalc.ops import interpolation
from costcalc.ops.conv import takes_images
from costcalc.ops.interpolation import Resize

if TYPE_CHECKING:
    from torch import Tensor, nn


class Mode(NamedTuple):
    """A way to resample: the spatial axes that it is for (0 for any), and how many elements it
    weighs along each: 1 copies, 0 leaves zeros between; whether it can be antialiased, whether it must be."""

    axes: int
    taps: int
    antialias: tuple[bool, ...] = (False,)


MODES = {
    "nearest": Mode(0, 1),
    "nearest-exact": Mode(0, 1),
    "linear": Mode(1, 2),
    "bilinear": Mode(2, 2, (False, True)),
    "trilinear": Mode(3, 2),
    "bicubic": Mode(2, 4, (False, True)),
    "lanczos": Mode(2, 6, (True,)),
    "zeros": Mode(0, 0),
}


@op("upsample")
class Upsample(Op):
    """Resample each channel to ``scale`` times its size, or to ``size``.

    ``mode`` is ``nearest``, ``nearest-exact``, ``linear``, ``bilinear``, ``trilinear``, ``bicubic``, ``lanczos``, or
    ``zeros``: each element once and zeros between, called bed of nails. With a ``scale``, sizes round down as
    floating-point products do, and place o shows what lies at o/scale; with ``recompute_scale_factor``, or a
    ``size``, at o times the ratio of the sizes. ``antialias`` (bilinear, bicubic; lanczos always) widens
    the kernel by that step where it shrinks.

    MACs         none.
    Ops          interpolation is a weighted sum over its neighbourhood of t elements, 2t - 1 per
                 output: linear 3, bilinear 7, trilinear 15, bicubic 31; the others 0. Antialiased: axis by axis, the
                 last first, 2t - 1 per element of what each pass makes, t being the elements that the kernel reaches
                 from there, fewer at the border: 8 where bilinear shrinks by 4.
    Not counted  the interpolation weights, which all channels share; filling and reading the map between the passes.
    Source       PyTorch, torch.nn.Upsample, torch.nn.functional.interpolate; bicubic: Keys 1981, doi
                 10.1109/TASSP.1981.1163711.
    """

    keeps = "nothing"

    slides = True

    aten = """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa
    """

    choices = {"mode": MODES}

    roles = {"scale": "resolution", "size": "resolution"}

    scale: Scales | None = None
    size: Sizes | None = None
    mode: str = "nearest"
    align_corners: bool = False
    antialias: bool = False
    recompute_scale_factor: bool = False
    channels_last: bool = False

    def check(self) -> None:
        if (self.scale is None) == (self.size is None):
            raise OptionError("upsample needs either scale or size")
        if self.align_corners and MODES[self.mode].taps < 2:
            raise OptionError(f"upsample: align_corners has no meaning with mode='{self.mode}'")
        if self.mode == "zeros" and any(isinstance(s, float) for s in (self.scale, *_items(self.scale))):
            raise OptionError(f"upsample: mode='zeros' needs a whole scale, not {self.scale}")
        if self.mode == "zeros" and self.scale is None:
            raise OptionError("upsample: mode='zeros' needs a scale, not a size")
        if self.antialias not in MODES[self.mode].antialias:
            able = listing(name for name, mode in MODES.items() if True in mode.antialias)
            wants = f"is for mode {able}, not '{self.mode}'" if self.antialias else f"is what mode='{self.mode}' needs"
            raise OptionError(f"upsample: antialias=True {wants}")
        if self.mode == "lanczos" and self.align_corners:
            raise OptionError("upsample: align_corners has no meaning with mode='lanczos'")
        if self.recompute_scale_factor and (self.scale is None or self.mode == "zeros"):
            raise OptionError("upsample: recompute_scale_factor needs a scale, and a mode other than 'zeros'")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.scale, self.size)
        axes, n = MODES[self.mode].axes, len(x.spatial)
        fitting = listing(name for name, mode in MODES.items() if mode.axes in (0, n))
        yield axes in (0, n), f"mode='{self.mode}' is for {axes} spatial axes; for {n} there are {fitting}"
        for size, made in zip(x.spatial, self._made(x), strict=True):
            yield at_least(made, 1), f"nothing is left of the size {size} at scale={self.scale}"
            if self.antialias:
                known = isinstance(size, int) and isinstance(made, int)
                sentence = f"antialias=True weighs as many elements as the sizes say: {size} and {made} must be known"
                yield known, sentence
                most = at_least(MOST_ANTIALIASED, size), at_least(MOST_ANTIALIASED, made)
                yield not known or all(most), f"antialias=True takes sizes up to {MOST_ANTIALIASED:,}"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *self._made(x))

    def looks_at(self, x: TensorType, *, y: TensorType) -> int:
        if self.mode == "zeros" or not all(isinstance(d, int) for t in (x, y) for d in t.spatial):
            return 0
        axes = {*self._resizes(x, y)}
        if self.antialias:
            return sum(4 * max(axis.size, axis.made) for axis in axes)
        return sum(axis.made for axis in axes if axis.made <= interpolation.MOST_PLACES)

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        if self.antialias:
            return x.shape[0] * x.channels * self._antialiased(x, y)
        taps = MODES[self.mode].taps ** len(x.spatial)
        return y.size * (2 * taps - 1) if taps > 1 else 0

    def _antialiased(self, x: TensorType, y: TensorType) -> int:
        """Products and additions of one channel, in one pass an axis, the last axis first."""
        sizes, count = [*ints(x.spatial)], 0
        axes = self._resizes(x, y)
        for axis in reversed(range(len(sizes))):
            others = prod(sizes[:axis] + sizes[axis + 1 :])
            count += others * (2 * interpolation.terms(axes[axis]) - axes[axis].made)
            sizes[axis] = axes[axis].made
        return count

    def reads(self, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        if all(isinstance(d, int) and d <= interpolation.MOST_PLACES for t in (x, y) for d in t.shape):
            along = (interpolation.read(axis) if axis.taps else axis.size for axis in self._resizes(x, y))
            return (x.shape[0] * x.channels * prod(along),)
        axes = zip(x.spatial, y.spatial, self._factors(len(x.spatial)), strict=True)
        return (x.shape[0] * x.channels * product(self._read(*axis) for axis in axes),)

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return ((AxisMap(0), AxisMap(1), *(self._followed(2 + i, axis) for i, axis in enumerate(self._resizes(x, y)))),)

    def _factors(self, axes: int) -> tuple[Any, ...]:
        return (None,) * axes if self.scale is None else per_axis(self.scale, axes)  # type: ignore[arg-type]

    def _made(self, x: TensorType) -> tuple[Dim, ...]:
        """The size of each spatial axis of the output."""
        n = len(x.spatial)
        if self.size is not None:
            return per_axis(self.size, n)
        return tuple(scaled(size, factor) for size, factor in zip(x.spatial, self._factors(n), strict=True))

    def _resizes(self, x: TensorType, y: TensorType) -> list[Resize]:
        """What is done along each spatial axis."""
        keeps = not self.recompute_scale_factor
        return [
            Resize(
                size, made, MODES[self.mode].taps, factor if keeps else None, self.align_corners,
                self.mode == "nearest-exact", self.antialias, x.dtype == "float64",
            )
            for size, made, factor in zip(ints(x.spatial), ints(y.spatial), self._factors(len(x.spatial)), strict=True)
        ]  # fmt: skip

    def beside_gradients(
        self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """What is put into zeros gets its gradient of a copy of all."""
        return (Moment((y,)),) if self.mode == "zeros" else ()

    def _read(self, size: Dim, made: Dim, scale: Any) -> Dim:
        """How many of ``size`` places along an axis some output weighs; all where ``made`` is a symbol."""
        taps = MODES[self.mode].taps
        open_ended = scale is None and isinstance(made, Expr)
        if self.recompute_scale_factor:
            scale, open_ended = None, taps > 1 and isinstance(made, Expr)
        if taps == 0 or self.antialias or open_ended:
            return size
        # Output o looks at (first + o·step) / whole. Where that is a place of the input it weighs this one alone.
        up, down = (made, size) if scale is None else _fraction(scale)
        first, step, whole = (down - up, 2 * down, 2 * up) if taps > 1 else (0, down, up)
        if self.mode == "nearest-exact":
            first, step, whole = down, 2 * down, 2 * up
        if self.align_corners:
            first, step, whole = 0, size - 1, maximum(made - 1, 1)
        last = first + (made - 1) * step
        if taps == 1:
            return minimum(made, minimum(last // whole, size - 1) + 1)
        hits = _hits(made, up, down) if not self.align_corners else gcd(step, whole) + 1
        hits = where(equal(made, 1), where(equal(first % whole, 0), 1, 0), hits)
        beyond = taps // 2
        span = minimum(ceil_div(last, whole) + beyond, size) - maximum(first // whole - beyond + 1, 0)
        return minimum(span, taps * made - (taps - 1) * hits)

    def _followed(self, at: int, axis: Resize) -> AxisMap:
        step = interpolation.step(axis)
        if self.mode == "zeros":
            return AxisMap(at, Window(step, 0, 0))
        if axis.size == 1:
            return AxisMap(at, Window(0, 0, 0))
        looked_at = axis.size <= interpolation.LONGEST and axis.made <= interpolation.MOST_PLACES
        if self.antialias or (looked_at and not interpolation.is_exact(axis)):
            seen = interpolation.spans(axis)
            return AxisMap(at, sampled(step, seen.__getitem__, axis.made, every=True), sees=seen.__getitem__)
        sees, shifts = interpolation.exactly(axis)
        return AxisMap(at, sampled(step, sees, axis.made, shifts), sees=sees)

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        n = len(x.spatial)
        if self.mode == "zeros":
            return _bed_of_nails(ints(per_axis(self.scale, n)))  # type: ignore[arg-type]
        size = None if self.size is None else ints(per_axis(self.size, n))
        scales = None if self.scale is None else tuple(float(s) for s in self._factors(n))
        align = self.align_corners if MODES[self.mode].taps > 1 else None
        if not self.antialias:
            return nn.Upsample(size, scales, self.mode, align, self.recompute_scale_factor or None)
        from torch.nn.functional import interpolate

        from costcalc.ops.functional import functional

        mode, recompute = self.mode, self.recompute_scale_factor or None
        return functional(lambda x: interpolate(x, size, scales, mode, align, recompute, antialias=True))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x, (made,) = call.tensors()[0], call.made
        antialias = call.name.endswith("_aa")
        words = call.name.removeprefix("_").removesuffix("_aa").split("_", 1)[1][:-2]
        mode, align = words.replace("_", "-"), bool(call.get("align_corners", False))
        options: dict[str, Any] = {"mode": mode, "align_corners": align, "antialias": antialias}
        scales = _given(call, len(made.shape) - 2)
        if scales is not None:
            op = cls(once(scales), **options)
            if op.infer(x.type) == made:
                return call.add(op, x)  # type: ignore[no-any-return]
        return call.add(cls(size=once(made.shape[2:]), **options), x)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(2), TensorType((2, 3, 3, 2))
        yield cls(size=(5, 7), mode="nearest-exact"), TensorType((1, 2, 3, 4))
        yield cls(size=8), TensorType((1, 2, 3))
        yield cls(3, mode="linear"), TensorType((1, 2, 4))
        yield cls(2, mode="bilinear"), TensorType((1, 2, 4, 3))
        yield cls(size=(7, 5), mode="bilinear", align_corners=True), TensorType((1, 1, 4, 3))
        yield cls(size=(4, 3), mode="bilinear"), TensorType((1, 1, 8, 7))
        yield cls((2, 1.5), mode="bicubic"), TensorType((1, 1, 5, 4))
        yield cls(0.7, mode="bilinear"), TensorType((1, 1, 10, 9))
        yield cls(0.7, recompute_scale_factor=True), TensorType((1, 2, 9))
        yield cls(0.25, mode="bilinear", antialias=True), TensorType((1, 1, 16, 12))
        yield cls(size=(3, 5), mode="bicubic", antialias=True), TensorType((1, 2, 7, 4))
        yield cls(2, mode="trilinear"), TensorType((1, 1, 2, 3, 2))
        yield cls((2, 3), mode="zeros"), TensorType((1, 2, 3, 2))
        yield cls(size=(7, 6), mode="bilinear", channels_last=True), TensorType((1, 4, 3, 2))


MOST_ANTIALIASED = 1_000_000


def _items(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _given(call: Call, axes: int) -> list[int | float] | None:
    """The factors that a call resizes by, whole ones as ints; None where it was given sizes alone."""
    given = call.get("scale_factors") or [
        call.get("scales" if axes == 1 else f"scales_{letter}") for letter in "dhw"[3 - axes :]
    ]
    if any(factor is None or factor <= 0 for factor in given):
        return None
    return [int(factor) if factor == int(factor) else float(factor) for factor in given]


def _fraction(scale: Any) -> tuple[Any, Any]:
    """A scale as numerator and denominator; 0.1 is meant as 1/10."""
    if not isinstance(scale, float):
        return scale, 1
    from fractions import Fraction

    meant = Fraction(scale).limit_denominator(1 << 20)
    return meant.numerator, meant.denominator


def _hits(made: Dim, up: Dim, down: Dim) -> Dim:
    """How many centres (2o + 1)·down/2up - ½ of ``made`` outputs are whole numbers: where (2o + 1)·down/up is odd."""
    common = gcd(down, up)
    rows = up // common
    both_odd = divides(2, rows * (down // common) - 1)
    return where(both_odd, (made + (rows - 1) // 2) // rows, 0)


def _bed_of_nails(scales: tuple[int, ...]) -> nn.Module:
    import torch

    places = (slice(None), slice(None), *(slice(None, None, s) for s in scales))

    class BedOfNails(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes = (size * s for size, s in zip(x.shape[2:], scales, strict=True))
            y = x.new_zeros(*x.shape[:2], *sizes)
            y[places] = x
            return y

    return BedOfNails()
