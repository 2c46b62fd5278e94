"""However a norm and the layer before it are written, folded they are a weight and a bias, and compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import costcalc
from costcalc.backends.module import to_module
from costcalc.transforms.fold_norm import fold_norm


class Frozen(nn.Module):
    """A norm whose four vectors are buffers, as detection networks have them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        rows = [getattr(self, n).reshape(1, -1, 1, 1) for n in ("weight", "bias", "running_mean", "running_var")]
        weight, bias, mean, variance = rows
        scale = weight * (variance + 1e-5).rsqrt()
        return x * scale + (bias - mean * scale)


class Standard(nn.Module):
    """A norm that takes a mean off and divides by a deviation, which are buffers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.rand(channels))
        self.register_buffer("running_var", torch.rand(channels) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = (v.reshape(1, -1, 1, 1) for v in (self.running_mean, self.running_var))
        return (x - mean) / variance.sqrt()


class By(nn.Module):
    """Modules by name, and a forward that is given."""

    def __init__(self, run: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self._run = run
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Any:
        return self._run(self, x)


def conv(c: int = 3, m: int = 8, **more: Any) -> nn.Conv2d:
    return nn.Conv2d(c, m, 3, bias=False, **more)


def weight_normed() -> nn.Module:
    layer = conv()
    parametrizations.weight_norm(layer)
    return layer


class Form(NamedTuple):
    """A network, its input, the layers that take norms in, each with those and its first channel, and the parameters
    that are left."""

    model: nn.Module
    shape: tuple[int, ...]
    takes: dict[str, tuple[list[str], int]]
    params: int


FORMS: dict[str, Callable[[], Form]] = {
    "one": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=conv(), n=nn.BatchNorm2d(8)), (2, 3, 8, 8), {"c": (["n"], 0)}, 224,
    ),
    "two in a row": lambda: Form(
        By(lambda s, x: s.m(s.n(s.c(x))), c=conv(), n=nn.BatchNorm2d(8), m=nn.BatchNorm2d(8)),
        (2, 3, 8, 8), {"c": (["n", "m"], 0)}, 224,
    ),
    "frozen": lambda: Form(By(lambda s, x: s.n(s.c(x)), c=conv(), n=Frozen(8)), (2, 3, 8, 8), {"c": (["n"], 0)}, 224),
    "behind an image without a batch": lambda: Form(
        By(lambda s, x: s.n(s.c(x[0]).unsqueeze(0)), c=conv(), n=nn.BatchNorm2d(8)),
        (1, 3, 8, 8), {"c.conv": (["n"], 0)}, 224,
    ),
    "a pair applied twice": lambda: Form(
        By(lambda s, x: s.n(s.c(s.n(s.c(x)))), c=conv(3, 3, padding=1), n=nn.BatchNorm2d(3)),
        (2, 3, 8, 8), {"c": (["n"], 0)}, 81 + 3,
    ),
    "behind a concatenation": lambda: Form(
        By(lambda s, x: s.n(torch.cat([s.a(x), s.b(x)], 1)), a=conv(3, 5), b=conv(3, 3), n=nn.BatchNorm2d(8)),
        (2, 3, 8, 8), {"a": (["n"], 0), "b": (["n"], 5)}, 224,
    ),
    "behind a flatten": lambda: Form(
        By(lambda s, x: s.n(s.c(x).flatten(2)), c=conv(), n=nn.BatchNorm1d(8)), (2, 3, 8, 8), {"c": (["n"], 0)}, 224,
    ),
    "tokens": lambda: Form(
        By(lambda s, x: s.n(s.c(x).transpose(1, 2)), c=nn.Linear(8, 16), n=nn.BatchNorm1d(16)),
        (2, 6, 8), {"c": (["n"], 0)}, 144,
    ),
    "a kernel that is made beforehand": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=weight_normed(), n=nn.BatchNorm2d(8)), (2, 3, 8, 8), {"c.conv": (["n"], 0)}, 224,
    ),
    "reflected borders": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=conv(padding=1, padding_mode="reflect"), n=nn.BatchNorm2d(8)),
        (2, 3, 8, 8), {"c.conv": (["n"], 0)}, 224,
    ),
    "depthwise": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=conv(4, 8, groups=4), n=nn.BatchNorm2d(8)), (2, 4, 8, 8), {"c": (["n"], 0)}, 80,
    ),
    "frozen, of one channel": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=conv(3, 1), n=Frozen(1)), (2, 3, 8, 8), {"c": (["n"], 0)}, 28,
    ),
    "less a mean, by a deviation": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=conv(), n=Standard(8)), (2, 3, 8, 8), {"c": (["n"], 0)}, 224,
    ),
    "less a mean, by a deviation, of one channel": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=conv(3, 1), n=Standard(1)), (2, 3, 8, 8), {"c": (["n"], 0)}, 28,
    ),
    "volumes": lambda: Form(
        By(lambda s, x: s.n(s.c(x)), c=nn.Conv3d(3, 8, 3), n=nn.BatchNorm3d(8)),
        (1, 3, 4, 4, 4), {"c": (["n"], 0)}, 656,
    ),
}  # fmt: skip


def affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """By what ``norm`` scales and shifts each channel, from its own vectors."""
    if isinstance(norm, Standard):
        return norm.running_var.rsqrt(), -norm.running_mean * norm.running_var.rsqrt()
    scale = norm.weight / (norm.running_var + 1e-5).sqrt()
    return scale, norm.bias - norm.running_mean * scale


@pytest.mark.parametrize("form", FORMS)
def test_it_computes_the_same_with_a_weight_and_a_bias(form: str) -> None:
    torch.manual_seed(0)
    model, shape, takes, params = FORMS[form]()
    model.eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) + 0.5 if "var" in name else torch.randn_like(tensor))
    graph = fold_norm(costcalc.trace(model, shape))
    total = costcalc.analyze(graph).total
    assert (total.params, total.buffers) == (params, 0)

    folded = to_module(graph).eval()
    state = folded.state_dict()
    with torch.no_grad():
        for layer, (norms, first) in takes.items():
            given = model.get_submodule(layer.removesuffix(".conv"))
            weight = given.weight
            bias = getattr(given, "bias", None)
            bias = torch.zeros(weight.shape[0]) if bias is None else bias
            for norm in norms:
                scale, shift = (v[first : first + len(bias)] for v in affine(model.get_submodule(norm)))
                weight, bias = weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), bias * scale + shift
            state[f"{layer}.weight"].copy_(weight)
            state[f"{layer}.bias"].copy_(bias)
        x = torch.randn(shape)
        torch.testing.assert_close(folded(x), model(x), rtol=1e-3, atol=1e-3)


STAYS: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "the raw value is an output": lambda: (
        By(lambda s, x: (y := s.c(x), s.n(y)), c=conv(3, 3, padding=1), n=nn.BatchNorm2d(3)), 1,
    ),
    "one layer with two norms": lambda: (
        By(lambda s, x: s.m(s.c(s.n(s.c(x)))), c=conv(3, 3, padding=1), n=nn.BatchNorm2d(3), m=nn.BatchNorm2d(3)), 2,
    ),
    "before the layer": lambda: (By(lambda s, x: s.c(s.n(x)), c=conv(3, 3, padding=1), n=nn.BatchNorm2d(3)), 1),
    "behind something of a concatenation that is not a layer": lambda: (
        By(lambda s, x: s.n(torch.cat([s.c(x), x], 1)), c=conv(3, 3, padding=1), n=nn.BatchNorm2d(6)), 1,
    ),
    "its kernel's source is another layer's too": lambda: (By(
        lambda s, x: s.n(functional.conv2d(x, s.c.weight / s.c.weight.norm())) + s.c(x),
        c=conv(3, 3), n=nn.BatchNorm2d(3),
    ), 1),
    "from a mean, not less it": lambda: (By(
        lambda s, x: s.n.running_mean.reshape(1, -1, 1, 1) - s.c(x), c=conv(3, 3), n=Frozen(3)), 0),
    "along another axis": lambda: (
        By(lambda s, x: s.n(s.c(x).transpose(1, 2)), c=conv(3, 8, padding=1), n=nn.BatchNorm2d(8)), 1,
    ),
    "behind an activation": lambda: (
        By(lambda s, x: s.n(functional.relu(s.c(x))), c=conv(3, 3, padding=1), n=nn.BatchNorm2d(3)), 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", STAYS)
def test_a_norm_stays(form: str) -> None:
    model, norms = STAYS[form]()
    graph = costcalc.trace(model.eval(), (1, 3, 8, 8))
    folded = fold_norm(graph)
    assert [n.name for n in folded.nodes] == [n.name for n in graph.nodes]
    assert sum(n.op.name == "batch_norm" for n in folded.nodes) == norms


def test_a_scale_that_a_model_learns_is_no_norm() -> None:
    model = By(lambda s, x: s.c(x) * s.gamma, c=conv())
    model.gamma = nn.Parameter(torch.ones(8, 1, 1))
    graph = costcalc.trace(model.eval(), (1, 3, 8, 8))
    assert len(fold_norm(graph).nodes) == len(graph.nodes)
