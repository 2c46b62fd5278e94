"""Random layers, legal and illegal, each with PyTorch's own way of making it."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from costcalc.errors import CostcalcError
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import Op, find_op
from costcalc.ir.tensor import TensorType

AXES = st.integers(1, 3)
TORCH_NAMES = {"kernel": "kernel_size", "indices": "return_indices", "size": "output_size"}


class Layer(NamedTuple):
    """A use of the op ``name``; ``module`` is the class in ``torch.nn`` and ``given`` what it takes first."""

    name: str
    options: dict[str, Any]
    shape: tuple[int, ...]
    module: str
    given: tuple[int, ...] = ()

    @property
    def type(self) -> TensorType:
        """The type of the input."""
        return TensorType(self.shape)

    def op(self) -> Op:
        """Our op, if it accepts the options and the input; else a ``CostcalcError``."""
        op = find_op(self.name)(**self.options)
        GraphBuilder("random", {"x": self.type}).add("layer", op, ["x"])
        return op

    def twin(self) -> Any:
        """PyTorch's module, made without help of ours."""
        import torch

        renamed = {TORCH_NAMES.get(name, name): value for name, value in self.options.items()}
        if "huffle" in self.module:
            return getattr(torch.nn, self.module)(*self.options.values())
        if self.module == "Upsample":
            renamed = {"scale_factor" if n == "scale" else n.replace("output_", ""): v for n, v in renamed.items()}
        return getattr(torch.nn, self.module)(*self.given, **renamed)

    def accepted(self) -> Op | None:
        """Our op, or None where it is refused."""
        try:
            return self.op()
        except CostcalcError:
            return None


def once_or_per_axis(values: st.SearchStrategy[Any], axes: int) -> st.SearchStrategy[Any]:
    """One value for all axes, or a tuple with one for each."""
    return values | st.tuples(*[values] * axes)


def shapes(axes: int, least: int = 1, most: int = 9) -> st.SearchStrategy[tuple[int, ...]]:
    """Batch, channels and ``axes`` sizes."""
    return st.tuples(st.integers(1, 2), st.integers(1, 8), *[st.integers(least, most)] * axes)


def some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Options: all of ``required``, any of ``optional``."""
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def convs(draw: st.DrawFn, transposed: bool = False) -> Layer:
    """Convolutions and their transposes over one to three axes."""
    axes = draw(AXES)
    shape = draw(shapes(axes, most=9 if axes < 3 else 5))
    least = draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 0]))  # a zero now and then
    optional = {
        "stride": once_or_per_axis(st.integers(least, 3), axes),
        "padding": once_or_per_axis(st.integers(0, 2), axes),
        "dilation": once_or_per_axis(st.integers(1 if transposed else least, 3), axes),
        "groups": st.sampled_from([1, 2, 3, shape[1]]),
        "bias": st.booleans(),
    }
    if transposed:
        optional["output_padding"] = once_or_per_axis(st.integers(0, 2), axes)
    elif draw(st.booleans()):
        optional["padding"] = st.sampled_from(["same", "valid"])
        del optional["stride"]  # PyTorch refuses 'same' with a stride; ours follows TensorFlow's rule
    required = {"out_channels": st.integers(1, 12), "kernel": once_or_per_axis(st.integers(1, 4), axes)}
    options = draw(some(required, optional))
    if transposed:
        return Layer("conv_transpose", options, shape, f"ConvTranspose{axes}d", shape[1:2])
    return Layer("conv", options, shape, f"Conv{axes}d", shape[1:2])


@st.composite
def pools(draw: st.DrawFn, average: bool = False) -> Layer:
    """Max and average pooling over one to three axes."""
    axes = draw(AXES)
    optional = {
        "stride": once_or_per_axis(st.integers(1, 4), axes),
        "padding": once_or_per_axis(st.integers(0, 2), axes),
        "ceil_mode": st.booleans(),
    }
    if average:
        optional["count_include_pad"] = st.booleans()
    else:
        optional |= {"dilation": once_or_per_axis(st.integers(1, 3), axes), "indices": st.booleans()}
    options = draw(some({"kernel": once_or_per_axis(st.integers(1, 5), axes)}, optional))
    kind = "Avg" if average else "Max"
    return Layer(f"{kind.lower()}_pool", options, draw(shapes(axes)), f"{kind}Pool{axes}d")


@st.composite
def adaptive_pools(draw: st.DrawFn) -> Layer:
    """Adaptive pooling over one to three axes."""
    axes, kind = draw(AXES), draw(st.sampled_from(["Avg", "Max"]))
    options = {"size": draw(once_or_per_axis(st.integers(1, 9), axes))}
    return Layer(f"adaptive_{kind.lower()}_pool", options, draw(shapes(axes, most=12)), f"Adaptive{kind}Pool{axes}d")


@st.composite
def upsamples(draw: st.DrawFn) -> Layer:
    """Resampling by scale or size, in each mode."""
    axes = draw(AXES)
    scales = st.integers(1, 4) | st.sampled_from([0.25, 0.5, 0.75, 1.5, 2.5])
    modes = ["nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear"]
    options: dict[str, Any] = {"mode": draw(st.sampled_from(modes))}
    if draw(st.booleans()):
        options["scale"] = draw(once_or_per_axis(scales, axes))
    else:
        options["size"] = draw(once_or_per_axis(st.integers(1, 12), axes))
    if draw(st.booleans()) and draw(st.booleans()):
        options["align_corners"] = True
    return Layer("upsample", options, draw(shapes(axes)), "Upsample")


@st.composite
def shuffles(draw: st.DrawFn) -> Layer:
    """Channel and pixel shuffles."""
    module, name, option = draw(
        st.sampled_from(
            [
                ("ChannelShuffle", "channel_shuffle", "groups"),
                ("PixelShuffle", "pixel_shuffle", "factor"),
                ("PixelUnshuffle", "pixel_unshuffle", "factor"),
            ]
        )
    )
    factor = draw(st.integers(1, 4))
    n, c, h, w = draw(shapes(2, most=8))
    shape = (n, c * draw(st.sampled_from([1, factor, factor**2])), h * factor, w * draw(st.sampled_from([1, factor])))
    return Layer(name, {option: factor}, shape, module)


RANDOM = {
    "conv": convs(),
    "conv_transpose": convs(transposed=True),
    "max_pool": pools(),
    "avg_pool": pools(average=True),
    "adaptive_pool": adaptive_pools(),
    "upsample": upsamples(),
    "shuffle": shuffles(),
}
"""A strategy for each family."""
