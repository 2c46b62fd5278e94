"""Resampling without weights: by copying, interpolating, or leaving zeros between."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor
from typing import TYPE_CHECKING, Any, NamedTuple

from costcalc.errors import OptionError, listing
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least
from costcalc.ir.fields import Scales, Sizes, ints, per_axis
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.tensor import TensorType
from costcalc.ir.window import Number, Sight, Window, each_channel, ratio, sampled
from costcalc.ops.conv import takes_images

if TYPE_CHECKING:
    from torch import Tensor, nn


class Mode(NamedTuple):
    """A way to resample: the spatial axes that it is for (0 for any), and how many elements it
    weighs along each: 1 copies, 0 leaves zeros between."""

    axes: int
    taps: int


MODES = {
    "nearest": Mode(0, 1),
    "nearest-exact": Mode(0, 1),
    "linear": Mode(1, 2),
    "bilinear": Mode(2, 2),
    "trilinear": Mode(3, 2),
    "bicubic": Mode(2, 4),
    "zeros": Mode(0, 0),
}


@op("upsample")
class Upsample(Op):
    """Resample each channel to ``scale`` times its size, or to ``size``.

    ``mode`` is ``nearest``, ``nearest-exact``, ``linear``, ``bilinear``, ``trilinear``, ``bicubic``, or
    ``zeros``: each element once and zeros between, called bed of nails.

    MACs         none.
    Ops          interpolation is a weighted sum over its neighbourhood of t elements, 2t - 1 per
                 output: linear 3, bilinear 7, trilinear 15, bicubic 31; the others 0.
    Not counted  the interpolation weights, which all channels share.
    Source       PyTorch, torch.nn.Upsample; bicubic: Keys 1981, doi 10.1109/TASSP.1981.1163711.
    """

    aten = """
    upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa
    """

    choices = {"mode": MODES}

    scale: Scales | None = None
    size: Sizes | None = None
    mode: str = "nearest"
    align_corners: bool = False

    def check(self) -> None:
        if (self.scale is None) == (self.size is None):
            raise OptionError("upsample needs either scale or size")
        if self.align_corners and MODES[self.mode].taps < 2:
            raise OptionError(f"upsample: align_corners has no meaning with mode='{self.mode}'")
        if self.mode == "zeros" and any(isinstance(s, float) for s in (self.scale, *_items(self.scale))):
            raise OptionError(f"upsample: mode='zeros' needs a whole scale, not {self.scale}")
        if self.mode == "zeros" and self.scale is None:
            raise OptionError("upsample: mode='zeros' needs a scale, not a size")

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from takes_images(self, x, self.scale, self.size)
        axes, n = MODES[self.mode].axes, len(x.spatial)
        fitting = listing(name for name, mode in MODES.items() if mode.axes in (0, n))
        yield axes in (0, n), f"mode='{self.mode}' is for {axes} spatial axes; for {n} there are {fitting}"
        for size, made in zip(x.spatial, self._made(x), strict=True):
            yield at_least(made, 1), f"nothing is left of the size {size} at scale={self.scale}"

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *self._made(x))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        taps = MODES[self.mode].taps ** len(x.spatial)
        return y.size * (2 * taps - 1) if taps > 1 else 0

    def sights(self, x: TensorType, *, y: TensorType) -> tuple[Sight, ...]:
        scales = per_axis(self.scale, len(x.spatial))  # type: ignore[arg-type]
        axes = zip(ints(x.spatial), ints(y.spatial), scales, strict=True)
        return (each_channel(tuple(self._window(*axis) for axis in axes)),)

    def _made(self, x: TensorType) -> tuple[Dim, ...]:
        """The size of each spatial axis of the output."""
        n = len(x.spatial)
        if self.size is not None:
            return per_axis(self.size, n)
        scales = per_axis(self.scale, n)  # type: ignore[arg-type]
        return tuple(size * up // down for size, (up, down) in zip(x.spatial, map(_fraction, scales), strict=True))

    def _window(self, size: int, made: int, scale: Any) -> Window:
        step = ratio(size, made) if scale is None else ratio(*reversed(_fraction(scale)))
        half, start = ratio(1, 2), ratio(0, 1)
        if self.mode == "zeros":
            return Window(step, 0, 0)
        if self.mode == "nearest":
            return sampled(step, lambda o: (floor(o * step),) * 2, made)
        if self.mode == "nearest-exact":
            return sampled(step, lambda o: (floor((o + half) * step),) * 2, made, (half * step,))
        if self.align_corners:
            step = ratio(size - 1, max(made - 1, 1))
        else:
            start = half * step - half
        beyond = MODES[self.mode].taps // 2 - 1
        return sampled(step, lambda o: _around(start + o * step, beyond), made, (start,))

    def to_torch(self, x: TensorType) -> nn.Module:
        from torch import nn

        n = len(x.spatial)
        if self.mode == "zeros":
            return _bed_of_nails(ints(per_axis(self.scale, n)))  # type: ignore[arg-type]
        size = None if self.size is None else ints(per_axis(self.size, n))
        scales = None if self.scale is None else tuple(float(s) for s in per_axis(self.scale, n))  # type: ignore[arg-type]
        align = self.align_corners if MODES[self.mode].taps > 1 else None
        return nn.Upsample(size, scales, self.mode, align)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x, (made,) = call.tensors()[0], call.made
        words = call.name.removeprefix("_").removesuffix("_aa").split("_", 1)[1][:-2]
        mode = words.replace("_", "-")
        align = bool(call.get("align_corners", False))
        return call.add(cls(size=once(made.shape[2:]), mode=mode, align_corners=align), x)  # type: ignore[no-any-return]

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
        yield cls(2, mode="trilinear"), TensorType((1, 1, 2, 3, 2))
        yield cls((2, 3), mode="zeros"), TensorType((1, 2, 3, 2))


def _items(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _fraction(scale: Any) -> tuple[Any, Any]:
    """A scale as numerator and denominator; a decimal as it is written, 0.1 as 1/10."""
    if not isinstance(scale, float):
        return scale, 1
    from fractions import Fraction

    exact = Fraction(repr(scale))
    return exact.numerator, exact.denominator


def _around(at: Number, beyond: int) -> tuple[int, int]:
    """The inputs that interpolation at ``at`` weighs; where ``at`` hits one, that one alone."""
    first, last = floor(at), -floor(-at)
    return (first - beyond, last + beyond) if first < last else (first, last)


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
