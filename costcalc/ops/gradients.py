"""What autograd calls inside a forward that differentiates, where PyTorch has an operator of its own for a gradient.

Most gradients are made of products, sums and functions that are ops already. The gradient of a convolution by its
input is a transposed convolution with the same kernel, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, divides, equal, prod
from costcalc.ir.fields import Count, Counts, Places, Shapes, Size, Sizes, ints, per_axis
from costcalc.ir.footprint import taps_inside, touched
from costcalc.ir.index_map import ALL_TO_ALL, IndexMap, elementwise
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.tensor import TensorType
from costcalc.ops.traced_steps import expanded, images, reshaped

if TYPE_CHECKING:
    from torch import Tensor, nn

EACH = {
    "_log_softmax_backward_data": 4, "_softmax_backward_data": 4, "embedding_dense_backward": 1, "glu_backward": 8,
    "hardshrink_backward": 2, "hardsigmoid_backward": 3, "hardswish_backward": 5, "hardtanh_backward": 2,
    "leaky_relu_backward": 2, "log_sigmoid_backward": 5, "logit_backward": 3, "max_pool2d_with_indices_backward": 1,
    "max_pool3d_with_indices_backward": 1, "mish_backward": 13, "mse_loss_backward": 3, "native_dropout_backward": 2,
    "sigmoid_backward": 3, "silu_backward": 9, "softplus_backward": 6, "softshrink_backward": 2, "tanh_backward": 3,
    "threshold_backward": 1, "upsample_bilinear2d_backward": 8, "upsample_linear1d_backward": 4,
    "upsample_nearest1d_backward": 1, "upsample_nearest2d_backward": 1, "upsample_nearest3d_backward": 1,
    "_upsample_nearest_exact1d_backward": 1, "_upsample_nearest_exact2d_backward": 1,
    "_upsample_nearest_exact3d_backward": 1, "upsample_trilinear3d_backward": 16, "reflection_pad1d_backward": 1,
    "reflection_pad2d_backward": 1, "reflection_pad3d_backward": 1, "replication_pad1d_backward": 1,
    "replication_pad2d_backward": 1, "replication_pad3d_backward": 1,
}  # fmt: skip
"""Scalar operations for one element of the gradient that comes in, each as its formula is written."""
BY_OPTIONS = (
    "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "_cdist_backward", "_fused_rms_norm_backward",
    "avg_pool2d_backward", "avg_pool3d_backward", "elu_backward", "gelu_backward", "native_batch_norm_backward",
    "native_group_norm_backward", "native_layer_norm_backward",
)  # fmt: skip
"""Functions whose operations depend on how they are called."""


BY_ELEMENT = frozenset(
    (
        "elu_backward", "gelu_backward", "hardshrink_backward", "hardsigmoid_backward", "hardswish_backward",
        "hardtanh_backward", "leaky_relu_backward", "log_sigmoid_backward", "logit_backward", "mish_backward",
        "mse_loss_backward", "native_dropout_backward", "sigmoid_backward", "silu_backward", "softplus_backward",
        "softshrink_backward", "tanh_backward", "threshold_backward",
    )
)  # fmt: skip
"""Functions that treat each element by itself."""


@op("gradient", inputs=(1, None))
class Gradient(Op):
    """A function of PyTorch's backward pass, by its name there: gradients by what a layer read and by its weights.

    The first input is the gradient by the layer's output. What is made has the shapes of the inputs at ``like``, or
    those of ``shapes``.

    Ops          ``each`` for every element of the first input.
    Not counted  clearing what is added to; what a norm keeps of its statistics.
    Source       PyTorch, tools/autograd/derivatives.yaml.
    """

    aten = " ".join([*EACH, *BY_OPTIONS])
    is_bounded_only = True

    choices = {"function": (*EACH, *BY_OPTIONS)}
    roles = {"each": "options"}

    function: str
    like: Places = (0,)
    shapes: Shapes = ()
    each: Count = 0

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        for at in ints(self.like):
            yield at < len(x), f"gradient: like={at}, but there are {len(x)} inputs, the first of which is 0"

    def check(self) -> None:
        if not self.like and not self.shapes:
            raise OptionError("gradient: nothing is made; name an input in like, or shapes")

    def infer(self, *x: TensorType) -> TensorType | tuple[TensorType, ...]:
        shapes = self.shapes or tuple(x[at].shape for at in ints(self.like) if at < len(x))
        made = tuple(x[0].with_shape(*shape) for shape in shapes)
        return made[0] if len(made) == 1 else made

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return self.each * x[0].size

    @property
    def is_untold(self) -> bool:  # type: ignore[override]
        """Of functions of each element it is known what they see."""
        return self.function not in BY_ELEMENT

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,) * len(x) if self.is_untold else tuple(elementwise(t, y) for t in x)

    def kind(self, *x: TensorType) -> str:
        return self.function

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        first, *others = call.tensors()
        if call.name == "mse_loss_backward":
            first = expanded(call, first, *call.made[0].shape)
        each = EACH.get(call.name, 0) or _operations(call)
        if not each or any(t.dtype != first.type.dtype for t in call.made):
            return NotImplemented
        given = [first, *others]
        like = tuple(next((i for i, t in enumerate(given) if t.shape == made.shape), -1) for made in call.made)
        shapes = tuple(t.shape for t in call.made) if -1 in like else ()
        return call.add(cls(call.name, () if shapes else like, shapes, each), *given)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls("tanh_backward", each=3), TensorType((2, 3)), TensorType((2, 3))
        yield (
            cls("native_layer_norm_backward", (0, 2), each=12),
            TensorType((2, 3)),
            TensorType((2, 3)),
            TensorType((3,)),
        )
        yield cls("embedding_dense_backward", (), ((7, 3),), 1), TensorType((2, 4, 3)), TensorType((2, 4), "int64")


def _operations(call: Call) -> int:
    """Scalar operations for one element of the gradient that comes in; 0 where they are not whole."""
    found: int
    if call.name.startswith("_adaptive"):
        sizes = [(n, m) for n, m in zip(call["self"].shape, call["grad_output"].shape, strict=True)]
        found = 0 if any(n % m for n, m in sizes) else math.prod(n // m for n, m in sizes) + 1
        return found
    if call.name.startswith("avg_pool"):
        found = math.prod(call["kernel_size"]) + 1
        return found
    if call.name == "_cdist_backward":
        width: int = call["x1"].shape[-1]
        found = {2.0: 3 * width + 1, 1.0: 4 * width}.get(float(call["p"]), 0)
        return found
    if call.name == "elu_backward":
        return 3 if call["is_result"] is True else 4
    if call.name == "gelu_backward":
        return 18 if call["approximate"] == "tanh" else 11
    by_input, by_weight, *by_bias = call["output_mask"]
    weight, bias = call["weight"] is not None, bool(by_bias and by_bias[0])
    if call.name == "native_batch_norm_backward" and not call["train"]:
        return int(by_input + 4 * by_weight + bias)  # by a scale of each channel, made once
    # The input, normalised, is 2 (1 without a mean); each mean of a product 2, of the gradient alone 1.
    centred = call.name != "_fused_rms_norm_backward"
    normalised = (1 + centred) * (by_input or by_weight)
    through = (weight + 2 + 3 + 2 * centred) * by_input
    return int(normalised + through + 2 * by_weight + bias)


@op("conv_weight_gradient", inputs=(2, 2))
class ConvWeightGradient(Op):
    """The gradient of a conv's kernel, from that of its output and its input; of a transposed one with both swapped.

    MACs         every kernel tap at every output place, as the conv itself, also taps that fall on padding.
    Source       Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016).
    """

    computes = "y[(g k), c, r...] += gradient[n, (g k), o...] * x[n, (g c), (s*o + d*r - p)...]"
    letters = {"kernel": "k", "stride": "s", "padding": "p", "dilation": "d", "groups": "g"}
    is_bounded_only = True
    is_untold = True

    kernel: Sizes
    stride: Sizes = 1
    padding: Counts = 0
    dilation: Sizes = 1
    groups: Size = 1

    def requires(self, gradient: TensorType, x: TensorType) -> Iterator[Condition]:
        axes = len(x.shape) - 2
        if not 1 <= axes <= 3 or len(gradient.shape) != len(x.shape):
            yield False, f"{self.name} takes two of (batch, channels, 1 to 3 spatial axes), not {gradient} and {x}"
            return
        yield (
            equal(gradient.shape[0], x.shape[0]),
            f"the batch is {gradient.shape[0]} in one and {x.shape[0]} in the other",
        )
        yield divides(self.groups, gradient.channels), f"groups={self.groups} must divide {gradient.channels} channels"
        yield divides(self.groups, x.channels), f"groups={self.groups} must divide {x.channels} channels"

    def infer(self, gradient: TensorType, x: TensorType) -> TensorType:
        kernel = per_axis(self.kernel, len(x.spatial))
        return x.with_shape(gradient.channels, x.channels // self.groups, *kernel)

    def macs(self, gradient: TensorType, x: TensorType, *, y: TensorType) -> Dim:
        return gradient.size * (x.channels // self.groups) * prod(per_axis(self.kernel, len(x.spatial)))

    def needed_macs(self, gradient: TensorType, x: TensorType, *, y: TensorType) -> Dim:
        n = len(x.spatial)
        options = (per_axis(given, n) for given in (self.kernel, self.stride, self.dilation, self.padding))
        axes = zip(gradient.spatial, x.spatial, *options, strict=True)
        taps = prod(taps_inside(places, size, k, s, d, p) for places, size, k, s, d, p in axes)
        return x.shape[0] * gradient.channels * (x.channels // self.groups) * taps

    def nests(self, *x: TensorType, y: TensorType) -> None:
        return None

    def reads(self, gradient: TensorType, x: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        n = len(x.spatial)
        options = (per_axis(given, n) for given in (self.kernel, self.stride, self.dilation, self.padding))
        axes = zip(x.spatial, gradient.spatial, *options, strict=True)
        along = (touched(size, places, k, s, d, p, p) for size, places, k, s, d, p in axes)
        return gradient.size, x.shape[0] * x.channels * prod(along)

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return ALL_TO_ALL, ALL_TO_ALL

    aten = "convolution_backward"

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        """By the input, the weight and the bias, those that are asked for."""
        gradient, x, weight = call["grad_output"], call["input"], call["weight"]
        axes, transposed = len(weight.shape) - 2, call["transposed"]
        stride, padding, dilation = (per_axis(once(call[name]), axes) for name in ("stride", "padding", "dilation"))
        options = {
            "stride": once(stride),
            "padding": once(padding),
            "dilation": once(dilation),
            "groups": call["groups"],
        }
        by_input, by_weight, by_bias = call["output_mask"]
        made: list[Traced] = []
        if by_input:
            if not transposed:
                kernel = weight.shape[2:]
                least = [
                    (o - 1) * s - 2 * p + d * (k - 1) + 1
                    for o, s, p, d, k in zip(gradient.shape[-axes:], stride, padding, dilation, kernel, strict=True)
                ]
                options |= {"output_padding": once([n - m for n, m in zip(x.shape[-axes:], least, strict=True)])}
                op = find_op("dynamic_conv")(**options, transposed=True)
                options.pop("output_padding")
                made.append(images(call, gradient, axes, lambda g: call.add(op, g, weight)))
            else:
                made.append(_of_transposed(call, gradient, options))
        if by_weight:
            of, on = (x, gradient) if transposed else (gradient, x)
            of, on = (t if len(t.shape) == axes + 2 else reshaped(call, t, 1, *t.shape) for t in (of, on))
            made.append(call.add(cls(once(weight.shape[2:]), **options), of, on))
        if by_bias:
            summed = tuple(a for a in range(len(gradient.shape)) if a != len(gradient.shape) - axes - 1)
            made.append(call.add(find_op("sum")(summed if len(summed) > 1 else summed[0]), gradient))
        return tuple(made)

    def to_torch(self, gradient: TensorType, x: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        n = len(x.spatial)
        stride, padding, dilation = (
            list(ints(per_axis(given, n))) for given in (self.stride, self.padding, self.dilation)
        )
        shape, groups = ints(self.infer(gradient, x).shape), ints((self.groups,))[0]
        settings = [stride, padding, dilation, False, [0] * n, groups, [False, True, False]]

        def of_the_kernel(gradient: Tensor, x: Tensor) -> Tensor:
            made: Tensor = torch.ops.aten.convolution_backward(gradient, x, x.new_empty(shape), None, *settings)[1]
            return made

        return functional(of_the_kernel)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(3, padding=1), TensorType((2, 6, 4, 3)), TensorType((2, 2, 4, 3))
        yield cls((3, 2), (2, 1), (1, 0), (1, 2), 2), TensorType((1, 6, 4, 4)), TensorType((1, 4, 7, 6))
        yield cls(2, 2), TensorType((1, 3, 2)), TensorType((1, 2, 5))


def _of_transposed(call: Call, gradient: Traced, options: dict[str, Any]) -> Traced:
    """The gradient of a transposed convolution by its input: a convolution over as much as the input's places reach."""
    x, weight = call["input"], call["weight"]
    axes = len(weight.shape) - 2
    pads = []
    first = len(gradient.shape) - axes
    along = (per_axis(options[name], axes) for name in ("stride", "padding", "dilation"))
    for axis, (size, k, s, p, d) in enumerate(zip(x.shape[-axes:], weight.shape[2:], *along, strict=True)):
        beyond = (size - 1) * s + d * (k - 1) + 1 - p - gradient.shape[first + axis]
        if beyond < 0:  # the end of the output that output_padding has added, which nothing is laid over
            gradient = call.add(find_op("slice")(first + axis, 0, gradient.shape[first + axis] + beyond), gradient)
        pads.append((p, max(beyond, 0)))
    same = all(before == after for before, after in pads)
    op = find_op("dynamic_conv")(**options | {"padding": once([p for p, _ in pads]) if same else tuple(pads)})
    return images(call, gradient, axes, lambda g: call.add(op, g, weight))


@op("attention_gradient", inputs=(4, None))
class AttentionGradient(Op):
    """The gradients of fused attention by query, key and value, from that of its output: (gradient, q, k, v, …).

    MACs         five products: the scores anew, the gradients of the weights and of v from that of the output, and
                 those of q and k from that of the scores.
    Ops          10 per score: 3 for the weights anew, 4 for softmax's gradient, scales of both, and of the product.
    Source       Dao et al. 2022, arXiv 2205.14135, algorithm 4.
    """

    aten = """
    _scaled_dot_product_flash_attention_for_cpu_backward _scaled_dot_product_flash_attention_backward
    _scaled_dot_product_efficient_attention_backward _scaled_dot_product_cudnn_attention_backward
    """
    is_bounded_only = True
    is_untold = True

    def requires(self, *x: TensorType) -> Iterator[Condition]:
        gradient, q, k, v, *_ = x
        least = min(len(t.shape) for t in (gradient, q, k, v))
        if least < 2:
            yield False, "the gradient, query, key and value need at least 2 axes: (…, length, width)"
            return
        yield equal(q.shape[-1], k.shape[-1]), f"the query's width is {q.shape[-1]}, the key's {k.shape[-1]}"
        yield equal(k.shape[-2], v.shape[-2]), f"there are {k.shape[-2]} keys and {v.shape[-2]} values"
        yield equal(gradient.shape[-1], v.shape[-1]), f"the gradient's width is {gradient.shape[-1]}, not {v.shape[-1]}"

    def infer(self, *x: TensorType) -> tuple[TensorType, ...]:
        return x[1], x[2], x[3]

    def macs(self, *x: TensorType, y: TensorType) -> Dim:
        _, q, _, v = x[:4]
        return self._scores(x) * (3 * q.shape[-1] + 2 * v.shape[-1])

    def backward_macs(self, *x: TensorType, y: TensorType, trained: bool, wanted: tuple[bool, ...]) -> None:
        return None

    def ops(self, *x: TensorType, y: TensorType) -> Dim:
        return 10 * self._scores(x)

    def nests(self, *x: TensorType, y: TensorType) -> None:
        return None

    def _scores(self, x: tuple[TensorType, ...]) -> Dim:
        return prod(x[1].shape[:-1]) * x[2].shape[-2]

    def index_maps(self, *x: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        return (ALL_TO_ALL,) * len(x)

    @classmethod
    def from_aten(cls, call: Call) -> Any:
        gradient = call.get("grad_out") or call["grad_out_"]
        query, key, value = call["query"], call["key"], call["value"]
        rest = [
            t for t in call.tensors() if t not in (gradient, query, key, value) and t.type.dtype == query.type.dtype
        ]
        if len(call.made) != 3:
            return NotImplemented  # also by a bias of the scores
        return call.add(cls(), gradient, query, key, value, *rest)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), *(TensorType((2, 3, 4, 5)),) * 4
        yield cls(), TensorType((2, 6, 3)), TensorType((2, 6, 4)), TensorType((2, 5, 4)), TensorType((2, 5, 3))
