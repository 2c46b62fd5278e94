"""Discrete Fourier transforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call
from costcalc.ir.dims import Dim, log2_ceil, maximum
from costcalc.ir.fields import Axes, Size, ints
from costcalc.ir.index_map import IndexMap, mixing
from costcalc.ir.op import Condition, Example, Op, op
from costcalc.ir.saved import INPUT, NOTHING, Saves
from costcalc.ir.tensor import COMPLEX, REAL, TensorType
from costcalc.ir.under_autocast import UnderAutocast
from costcalc.ops.axes import has_axes, position, several

if TYPE_CHECKING:
    from torch import nn


@op("fourier")
class Fourier(Op):
    """The discrete Fourier transform along ``axes``, or back.

    A real input gives its non-redundant half: n/2 + 1 places along the last of ``axes``. With ``size`` a
    complex input gives a real output of that size along it, by the inverse transform. ``inverse`` says it of a complex
    one; ``divides`` says by what results are divided, the "size" of what is transformed or its "root".

    Ops          5·n·⌈log₂ n⌉ for each complex transform of n places, the usual count of the radix-2 algorithm;
                 half of that where input or output is real.
    Source       Cooley & Tukey 1965; the count as in Frigo & Johnson 2005, doi 10.1109/JPROC.2004.840301.
    """

    under_autocast = UnderAutocast(is_known=False)

    aten = "_fft_r2c _fft_c2r _fft_c2c"

    roles = {"size": "resolution"}

    choices = {"divides": ("", "root", "size")}

    axes: Axes
    size: Size | None = None
    whole: bool = False
    inverse: bool = False
    divides: str = ""

    def requires(self, x: TensorType) -> Iterator[Condition]:
        yield from has_axes(self, x, *several(self.axes))

    def infer(self, x: TensorType) -> TensorType:
        last = position(several(self.axes)[-1], x)
        shape = list(x.shape)
        if self.size is not None:
            shape[last] = self.size
            return TensorType(tuple(shape), REAL.get(x.dtype, "float32"))
        if x.dtype.startswith("complex"):
            return x
        if not self.whole:
            shape[last] = shape[last] // 2 + 1
        return TensorType(tuple(shape), COMPLEX.get(x.dtype, "complex64"))

    def ops(self, x: TensorType, *, y: TensorType) -> Dim:
        real = y if self.size is not None else x
        complex_throughout = self.size is None and x.dtype.startswith("complex")
        work: Dim = 0
        for axis in several(self.axes):
            work = work + 5 * real.size * maximum(log2_ceil(real.shape[axis]), 1)
        return work if complex_throughout else work // 2

    def saves(self, x: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> Saves:
        """A real input, though its gradient needs its shape alone."""
        return NOTHING if x.dtype.startswith("complex") else INPUT

    def index_maps(self, x: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        return (mixing(x, *several(self.axes)),)

    def check(self) -> None:
        if self.whole and (self.size is not None or self.inverse):
            raise OptionError("fourier: whole is for transforms of real inputs, which have no size and are not inverse")

    def to_torch(self, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        axes, size, whole = several(self.axes), self.size, self.whole
        inverse = self.inverse or size is not None
        words = {"": "forward", "root": "ortho", "size": "backward"}
        norm = words[self.divides] if inverse else {**words, "": "backward", "size": "forward"}[self.divides]
        if size is not None:
            sizes = ints((*(x.shape[a] for a in axes[:-1]), size))
            return functional(lambda x: torch.fft.irfftn(x, sizes, axes, norm))
        if whole and len(axes) == 1:  # that of several axes makes complex numbers of its input first
            return functional(lambda x: torch.fft.fft(x, dim=axes[0], norm=norm))
        function = torch.fft.ifftn if inverse else torch.fft.fftn
        if not whole and not x.dtype.startswith("complex"):
            function = torch.fft.rfftn
        return functional(lambda x: function(x, dim=axes, norm=norm))

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        axes = tuple(call["dim"])
        size = call["last_dim_size"] if call.name == "_fft_c2r" else None
        whole = call.name == "_fft_r2c" and not call["onesided"]
        inverse = call.name == "_fft_c2c" and not call["forward"]
        divides = ("", "root", "size")[call["normalization"]]
        return call.add(cls(axes[0] if len(axes) == 1 else axes, size, whole, inverse, divides), call["self"])

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls((-2, -1)), TensorType((2, 3, 8, 8))
        yield cls(-1, 8), TensorType((2, 5), "complex64")
        yield cls(1), TensorType((2, 6), "complex64")
        yield cls((0, 1), inverse=True, divides="root"), TensorType((2, 6), "complex64")
        yield cls(-1, whole=True), TensorType((2, 5))
