"""What stands between convolutions, by the course notes: norms, activations, pooling, upsampling, gates and losses.

Symbols and conventions are those of ``test_facts_formulas.py``.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from chain import chain, out

from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.models import load
from costcalc.transforms.fold_norm import fold_norm


def test_batch_norm_has_four_vectors_of_length_c() -> None:
    total = chain((1, 24, 7, 7), ("batch_norm",)).total

    assert total.params == 2 * 24  # α and β
    assert total.buffers == 2 * 24 + 1  # running μ and σ², and PyTorch's count of batches


def test_batch_norm_is_a_scale_and_a_shift_of_each_channel() -> None:
    # Y = (α/σ)·X + (β - αμ/σ), α = 3, β = 5, μ = 2, σ = 4 (PyTorch's ε aside): 0.75·X + 3.5.
    torch = pytest.importorskip("torch")
    x = TensorType((1, 1, 2, 2))
    norm = find_op("batch_norm")().to_torch(x).double().eval()
    state = {"weight": 3.0, "bias": 5.0, "running_mean": 2.0, "running_var": 16.0 - norm.eps}
    norm.load_state_dict({k: torch.tensor([v]) for k, v in state.items()}, strict=False)

    image = torch.tensor([[[[0.0, 2.0], [4.0, -6.0]]]], dtype=torch.float64)
    torch.testing.assert_close(norm(image), 0.75 * image + 3.5, rtol=1e-6, atol=1e-6)


def test_folded_into_the_convolution_before_it_batch_norm_costs_nothing() -> None:
    def graph(*, bias: bool, norm: bool) -> Any:
        builder = GraphBuilder("folding", {"image": TensorType((1, 3, 14, 14))})
        builder.add("conv", find_op("conv")(8, 3, bias=bias), ["image"])
        if norm:
            builder.add("norm", find_op("batch_norm")(), ["conv"])
        return builder.build(["norm" if norm else "conv"])

    biased = report(graph(bias=True, norm=False)).total
    assert report(fold_norm(graph(bias=True, norm=True))).total == biased
    assert report(fold_norm(graph(bias=False, norm=True))).total == biased  # β - αμ/σ is the bias


@pytest.mark.parametrize("name", ["relu", "relu6", "gelu", "silu", "sigmoid", "softmax"])
def test_activations_keep_the_shape_and_are_no_macs(name: str) -> None:
    result = chain((2, 8, 7, 7), (name,))

    assert out(result) == (2, 8, 7, 7)
    assert (result.total.macs, result.total.params) == (0, 0)
    assert result.total.ops >= 2 * 8 * 49


def test_gelu_has_an_exact_form_and_one_by_tanh() -> None:
    torch = pytest.importorskip("torch")
    forms = {
        "none": lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2,
        "tanh": lambda v: 0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))),
    }
    # Exact: erf, two products, a quotient, a sum. By tanh: a cube is two products, and tanh, 4 more products, 2 sums.
    ops = {"none": 5, "tanh": 9}
    points = [-2.0, -0.5, 0.0, 1.0, 3.0]
    x = TensorType((5,))
    for form, formula in forms.items():
        gelu = find_op("gelu")(approximate=form)
        made = gelu.to_torch(x)(torch.tensor(points, dtype=torch.float64))
        torch.testing.assert_close(made, torch.tensor([formula(v) for v in points], dtype=torch.float64))
        assert gelu.ops(x, y=gelu.infer(x)) == ops[form] * 5


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("relu", {-1.0: 0.0, 7.0: 7.0}),
        ("relu6", {-1.0: 0.0, 3.0: 3.0, 7.0: 6.0}),
        ("sigmoid", {0.0: 1 / 2, 1.0: 1 / (1 + math.exp(-1))}),
        ("silu", {0.0: 0.0, 1.0: 1 / (1 + math.exp(-1))}),
        ("softmax", {0.0: 1 / (1 + math.e), 1.0: math.e / (1 + math.e)}),
    ],
)
def test_activations_are_what_their_names_say(name: str, values: dict[float, float]) -> None:
    torch = pytest.importorskip("torch")
    made = find_op(name)().to_torch(TensorType((1, len(values))))(torch.tensor([[*values]], dtype=torch.float64))
    torch.testing.assert_close(made, torch.tensor([[*values.values()]], dtype=torch.float64))


def test_global_average_pooling_leaves_one_number_a_channel() -> None:
    result = chain((1, 2048, 7, 7), ("global_avg_pool",), ("flatten",), ("linear", 1000))
    pool, _, linear = result.layers

    assert pool.output_shapes == ((1, 2048, 1, 1),)
    assert (pool.macs, pool.ops) == (0, 2048 * 49)
    assert (linear.macs, linear.ops, linear.params) == (2048 * 1000, 1000, 2048 * 1000 + 1000)


def test_dropout_costs_nothing_when_the_network_is_used() -> None:
    total = chain((1, 4096), ("dropout", 0.5)).total

    assert (total.macs, total.ops, total.params, total.read_bits, total.write_bits) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("layer", [("upsample", 2), ("upsample", 2, {"mode": "zeros"})])
def test_upsampling_without_weights(layer: tuple[Any, ...]) -> None:
    result = chain((1, 8, 5, 5), layer)

    assert out(result) == (1, 8, 10, 10)
    assert (result.total.macs, result.total.ops, result.total.params) == (0, 0, 0)
    assert result.total.write_bits == 4 * result.total.read_bits


def test_nearest_repeats_and_a_bed_of_nails_leaves_zeros() -> None:
    torch = pytest.importorskip("torch")
    small = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    nearest = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    nails = [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]
    for mode, large in (("nearest", nearest), ("zeros", nails)):
        module = find_op("upsample")(2, mode=mode).to_torch(TensorType((1, 1, 2, 2)))
        assert module(small)[0, 0].tolist() == large


def test_max_unpooling_needs_no_weights_but_where_the_maxima_were() -> None:
    builder = GraphBuilder("unpooling", {"image": TensorType((1, 8, 10, 10))})
    pooled, where = builder.add("pool", find_op("max_pool")(2, indices=True), ["image"])
    (unpooled,) = builder.add("unpool", find_op("max_unpool")(2), [pooled, where])
    layer = report(builder.build([unpooled])).layers[-1]

    assert layer.output_shapes == ((1, 8, 10, 10),)
    assert (layer.macs, layer.ops, layer.params) == (0, 0, 0)
    assert layer.read_bits == (32 + 64) * 8 * 25  # each maximum and its place


def test_squeeze_and_excitation() -> None:
    # GAP → FC → ReLU → FC → sigmoid → channelwise product; 64 channels squeezed to 4.
    builder = GraphBuilder("se", {"x": TensorType((1, 64, 14, 14))})
    value = "x"
    for name, op in {
        "squeeze": find_op("global_avg_pool")(),
        "fc1": find_op("pointwise")(4),
        "relu": find_op("relu")(),
        "fc2": find_op("pointwise")(64),
        "sigmoid": find_op("sigmoid")(),
    }.items():
        (value,) = builder.add(name, op, [value])
    builder.add("product", find_op("multiply")(), ["x", value])
    result = report(builder.build(["product"]))

    assert out(result) == (1, 64, 14, 14)
    assert result.total.macs == 2 * 64 * 4
    assert result.total.params == 64 * 4 + 4 + 4 * 64 + 64
    assert result.layers[-1].ops == 64 * 14 * 14


# -- losses: elementwise, so that they matter to training little beside the network ----------------


def loss(function: Any, *inputs: Any) -> Report:
    """The report of a loss written in PyTorch."""
    import torch

    from costcalc.frontends.torch.tracer import trace

    class Loss(torch.nn.Module):
        def forward(self, *inputs: Any) -> Any:
            return function(*inputs)

    result = report(trace(Loss(), *inputs))
    assert (result.uncounted, result.total.macs, result.total.params) == ((), 0, 0)
    assert out(result) == ()
    return result


def test_cross_entropy_for_each_pixel_is_elementwise() -> None:
    torch = pytest.importorskip("torch")
    b, classes, pixels = 2, 21, 32 * 32
    scores, labels = torch.randn(b, classes, 32, 32), torch.randint(0, classes, (b, 32, 32))

    total = loss(torch.nn.functional.cross_entropy, scores, labels).total
    # Log-softmax 5 for each score (largest, subtract, exp, sum, subtract); -log p of a pixel's class; their mean.
    assert total.ops == 5 * b * classes * pixels + b * pixels + b * pixels
    # A segmentation network does ten thousand times as much for its 388×388 pixels of 2 classes.
    unet = report(load("unet"))
    assert out(unet) == (1, 2, 388, 388)
    assert unet.total.macs > 10_000 * (5 * 2 + 2) * 388 * 388


def test_focal_loss_is_elementwise() -> None:
    torch = pytest.importorskip("torch")
    n = 4 * 9 * 91

    def focal(p: Any) -> Any:  # FL(p) = -α·(1 - p)^γ·log p
        return (-0.25 * (1 - p) ** 2 * torch.log(p)).sum()

    # 1 - p, power, times -α, log, product; n - 1 additions.
    assert loss(focal, torch.rand(4, 9, 91)).total.ops == 5 * n + n - 1


def test_dice_loss_is_elementwise() -> None:
    torch = pytest.importorskip("torch")
    n = 2 * 16 * 16

    def dice(p: Any, g: Any) -> Any:  # 1 - 2·Σpg/(Σp + Σg + ε)
        return 1 - 2 * (p * g).sum() / (p.sum() + g.sum() + 1e-6)

    # n products and three sums; then 2·, +, + ε, /, 1 -.
    assert loss(dice, torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)).total.ops == n + 3 * (n - 1) + 5


@pytest.mark.parametrize(
    ("function", "each"),
    [
        ("mse_loss", 2),  # subtract, square
        ("binary_cross_entropy", 8),  # two logs, two differences from 1, two products, a sum, a sign
        ("binary_cross_entropy_with_logits", 9),  # maximum, product, difference, sum; log, 1 +, exp, sign, absolute
        ("smooth_l1_loss", 6),  # subtract, absolute, compare; square and scale; subtract
        ("huber_loss", 7),  # the same, and the line is scaled too
    ],
)
def test_losses_of_one_operator_count_their_formula_and_the_mean(function: str, each: int) -> None:
    torch = pytest.importorskip("torch")
    n = 3 * 7

    prediction, target = torch.rand(3, 7), torch.rand(3, 7)
    assert loss(getattr(torch.nn.functional, function), prediction, target).total.ops == each * n + n
