"""A forward that differentiates: what autograd runs are layers, as many MACs as torch's own counter sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, _FlopCounterMode

import costcalc
from costcalc.analysis.report import report
from costcalc.errors import CostcalcError

grad = torch.autograd.grad


class Calls(nn.Module):
    """A function of some layers and the inputs as a module."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs: Any) -> Any:
        return self.function(self, *inputs)


def counted(model: nn.Module, *shapes: tuple[int, ...]) -> int:
    """MACs of all that torch's counter sees on the meta device, in the backward pass too."""
    counter = FlopCounterMode(display=False)  # its hooks on modules fail in torch.autograd.grad
    with _FlopCounterMode(counter):  # type: ignore[no-untyped-call]
        model.eval().to("meta")(*(torch.empty(shape, device="meta") for shape in shapes))
    return int(counter.get_total_flops() // 2)


def forces(m: Any, x: Tensor) -> Any:
    with torch.enable_grad():
        energy = m.net(x.requires_grad_()).sum()
        return energy, -grad(energy, x)[0]


def twice(m: Any, x: Tensor) -> Tensor:
    (first,) = grad(m.net(x.requires_grad_()).sum(), x, create_graph=True)
    return grad(first.square().sum(), x)[0]


def learning(m: Any, x: Tensor) -> Tensor:
    m.net(x).square().mean().backward()
    return sum(p.grad.sum() for p in m.net.parameters() if p.grad is not None)  # type: ignore[return-value]


class Through(torch.autograd.Function):
    """Rounds, with a gradient of its own that has a product in it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(w)
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0] @ ctx.saved_tensors[0], None


def dense() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1))


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, 2, groups=8),
        nn.GELU(),
        nn.ConvTranspose2d(8, 4, 3, 2, 1, 1),
        nn.AvgPool2d(2),
        nn.GroupNorm(2, 4),
        nn.Flatten(),
        nn.Linear(16, 5),
        nn.LogSoftmax(-1),
    )


CASES: dict[str, tuple[Calls, list[tuple[int, ...]]]] = {
    "forces": (Calls(forces, net=dense()), [(5, 3)]),
    "forces of images": (Calls(forces, net=images()), [(2, 3, 12, 12)]),
    "twice": (Calls(twice, net=dense()), [(5, 3)]),
    "a step of learning": (Calls(learning, net=dense()), [(5, 3)]),
    "a step of learning, frozen first": (
        Calls(learning, net=nn.Sequential(nn.Linear(3, 4).requires_grad_(False), nn.Linear(4, 2))),
        [(5, 3)],
    ),
    "attention": (Calls(forces, net=nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)), [(1, 6, 16)]),
    "recurrent": (Calls(lambda m, x: grad(m.net(x.requires_grad_())[0].sum(), x)[0], net=nn.LSTM(4, 6)), [(3, 1, 4)]),
    "vmap of grad": (
        Calls(lambda m, x: torch.func.vmap(torch.func.grad(lambda p: m.net(p)[0]))(x), net=dense()),
        [(4, 3)],
    ),
    "hessian": (Calls(lambda m, x: torch.func.hessian(lambda p: m.net(p)[0])(x[0]), net=dense()), [(2, 3)]),
    "jacrev": (Calls(lambda m, x: torch.func.jacrev(m.net)(x), net=dense()), [(2, 3)]),
    "vjp": (
        Calls(lambda m, x: torch.func.vjp(m.net, x)[1](torch.ones(2, 1, device=x.device))[0], net=dense()),
        [(2, 3)],
    ),
    "jvp": (Calls(lambda m, x: torch.func.jvp(m.net, (x,), (torch.ones_like(x),))[1], net=dense()), [(2, 3)]),
    "functional jacobian": (
        Calls(lambda m, x: torch.autograd.functional.jacobian(lambda p: m.net(p).sum(0), x), net=dense()),
        [(2, 3)],
    ),
    "a gradient of its own": (
        Calls(lambda m, x, w: grad(m.net(Through.apply(x.requires_grad_(), w)).sum(), x)[0], net=dense()),
        [(2, 3), (3, 3)],
    ),
    "done again": (
        Calls(
            lambda m, x: grad(
                torch.utils.checkpoint.checkpoint(m.net, x.requires_grad_(), use_reentrant=False).sum(), x
            )[0],
            net=dense(),
        ),
        [(2, 3)],
    ),
    "in two dimensions more": (Calls(forces, net=nn.Linear(3, 4)), [(2, 5, 6, 3)]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_what_autograd_runs_is_counted(name: str, device: str) -> None:
    model, shapes = CASES[name]
    model.eval().to(device) if device == "meta" else model.to_empty(device="cpu").eval()
    before = {key: (p.device, p.grad, p.requires_grad) for key, p in model.named_parameters()}
    found = report(costcalc.trace(model, *shapes))
    after = {key: (p.device, p.grad, p.requires_grad) for key, p in model.named_parameters()}

    assert before == after
    assert [layer.kind for layer in found.uncounted] == []
    assert found.total.macs == counted(model, *shapes)


def test_gradients_are_layers_below_backward_called_by_what_they_are_of() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 1))
    graph = costcalc.trace(Calls(forces, net=net), (1, 3, 4, 4))

    assert [node.name for node in graph.nodes if not node.op.is_view and node.inputs] == [
        "net.0.conv",
        "net.1",
        "net.3.linear",
        "sum",
        "backward.net.3.linear",
        "backward.net.1",
        "backward.net.0.conv",
        "neg",
    ]
    by_name = {node.name: node for node in graph.nodes}
    assert by_name["net.3.linear"].op.name == "linear" and by_name["net.0.conv"].op.name == "conv"
    assert by_name["backward.net.0.conv"].op.name == "dynamic_conv"


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradients_of_convolutions_are_those_of_torch(axes: int) -> None:
    """Shapes and MACs of 200 random ones; by the weight, torch's counter takes a grouped one for one without groups."""
    draw = torch.Generator().manual_seed(axes)

    def number(least: int, most: int) -> int:
        return int(torch.randint(least, most + 1, (), generator=draw))

    for _ in range(60):
        groups, transposed = number(1, 3), number(0, 1)
        kernel, stride, padding, dilation = number(1, 3), number(1, 3), number(0, 1), number(1, 2)
        kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[
            axes - 1 + 3 * transposed
        ]
        options = {"output_padding": number(0, max(stride, dilation) - 1)} if transposed else {}
        conv = kind(2 * groups, 3 * groups, kernel, stride, padding, dilation=dilation, groups=groups, **options)
        shape = (2, 2 * groups, *(number(5, 8) for _ in range(axes)))

        def both(m: Any, x: Tensor) -> Any:
            return grad(m.conv(x.requires_grad_()).sum(), [x, m.conv.weight, m.conv.bias])

        model = Calls(both, conv=conv)
        found = report(costcalc.trace(model, shape))
        forward = report(costcalc.trace(conv, shape)).total.macs
        assert found.total.macs == 3 * forward
        assert not found.uncounted
        assert counted(model, shape) == (2 + groups) * forward


def test_the_weights_gradients_are_stored_nowhere_and_the_model_is_as_it_was() -> None:
    model = Calls(learning, net=dense())
    x = torch.rand(5, 3)
    costcalc.trace(model, x)
    assert all(p.grad is None and not p.is_meta for p in model.parameters())

    y = torch.rand(5, 3)
    costcalc.trace(Calls(forces, net=dense()), y)
    assert not y.requires_grad and y.grad is None


def test_receptive_fields_of_gradients_are_bounds_or_unknown() -> None:
    """What a maximum's gradient sees is not told; that of a function of each element is what the function saw."""
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Tanh())
    found = report(costcalc.trace(Calls(forces, net=net), (1, 1, 12, 12)))
    fields: dict[str, Any] = {layer.name: layer.receptive_field for layer in found.layers}
    of_tanh = fields["backward.net.2"]
    assert (of_tanh.size, of_tanh.stride, of_tanh.bound) == ((4, 4), (2, 2), True)
    assert {fields[name] for name in ("backward.net.1", "backward.net.0.conv", "neg")} == {"unknown"}


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (F.hardswish, (2, 3)),
        (F.hardsigmoid, (2, 3)),
        (F.hardtanh, (2, 3)),
        (F.leaky_relu, (2, 3)),
        (F.elu, (2, 3)),
        (F.softplus, (2, 3)),
        (F.mish, (2, 3)),
        (F.glu, (2, 4)),
        (F.softshrink, (2, 3)),
        (F.hardshrink, (2, 3)),
        (F.logsigmoid, (2, 3)),
        (torch.sigmoid, (2, 3)),
        (lambda x: F.softmax(x, -1), (2, 3)),
        (lambda x: F.layer_norm(x, (4,)), (2, 4)),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
        (lambda x: F.interpolate(x, scale_factor=2), (1, 2, 3, 3)),
        (lambda x: F.adaptive_avg_pool2d(x, 2), (1, 2, 4, 4)),
        (lambda x: F.pad(x, (1, 1), mode="reflect"), (1, 2, 4)),
        (lambda x: x[:, 1:3:2].sum(0), (2, 5)),
        (lambda x: x[1], (2, 5)),
        (lambda x: x[:, ::2], (2, 5)),
        (lambda x: x[:, [0, 2]], (2, 5)),
        (lambda x: F.mse_loss(x, torch.ones_like(x)), (2, 5)),
        (lambda x: x.cumsum(0), (2, 5)),
        (lambda x: x.sort(-1)[0], (2, 5)),
        (lambda x: x.max(-1)[0], (2, 5)),
        (lambda x: torch.linalg.norm(x, dim=-1), (2, 5)),
        (lambda x: torch.cdist(x, x[:2]), (4, 3)),
        (lambda x: x.std(-1), (2, 5)),
        (lambda x: x.unfold(1, 2, 1), (2, 5)),
        (lambda x: torch.einsum("bi,bj->bij", x, x), (2, 5)),
    ],
)
def test_gradients_of_functions_are_counted(function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> None:
    model = Calls(lambda m, x: grad(function(x.requires_grad_()).sum(), x)[0])
    found = report(costcalc.trace(model, shape))
    assert [layer.kind for layer in found.uncounted] == []
    assert found.total.macs == counted(model, shape)


def test_a_written_spec_has_the_same_figures(tmp_path: Any) -> None:
    for model, shapes in (CASES["forces of images"], CASES["attention"], CASES["a step of learning"]):
        graph = costcalc.trace(model, *shapes)
        path = tmp_path / "written.yaml"
        from costcalc.frontends.spec.write import write

        path.write_text(write(graph), encoding="utf-8")
        again = report(costcalc.load(str(path))).total
        assert (again.macs, again.ops, again.params) == (
            (total := report(graph).total).macs,
            total.ops,
            total.params,
        )


def test_what_is_not_recorded_for_a_gradient_is_said() -> None:
    model = Calls(lambda m, x: grad(m.net(x.detach()).sum(), x)[0], net=dense().requires_grad_(False))
    with pytest.raises(CostcalcError, match="by what no gradient is recorded for"):
        costcalc.trace(model, (2, 3))


def test_inputs_that_the_forward_differentiates_by_require_gradients() -> None:
    model = Calls(lambda m, x: grad(m.net(x).sum(), x)[0], net=dense())
    graph = costcalc.trace(model, (2, 3))
    assert graph.assumed == ("inputs require gradients: the forward differentiates by them",)
    given = torch.rand(2, 3, requires_grad=True)
    assert costcalc.trace(model, given).assumed == ()
    assert (
        report(costcalc.trace(model, given)).total.macs
        == report(costcalc.trace(Calls(forces, net=dense()), (2, 3))).total.macs
    )
    assert given.requires_grad and given.grad is None


def test_derivatives_that_are_caught_are_seen_all_the_same() -> None:
    def attempt(m: Any, x: Tensor) -> Tensor:
        try:
            return grad(m.net(x.requires_grad_()).sum(), x)[0]
        except Exception:
            return x

    model = Calls(attempt, net=dense())
    assert report(costcalc.trace(model, (2, 3))).total.macs == counted(model, (2, 3))


def test_each_gradient_of_one_layer_has_a_name() -> None:
    def two(m: Any, x: Tensor) -> list[Tensor]:
        y = m.net(x.requires_grad_())
        return [grad(y[:, i].sum(), x, retain_graph=True)[0] for i in range(3)]

    graph = costcalc.trace(Calls(two, net=nn.Linear(4, 3, bias=False)), (2, 4))
    names = [node.name for node in graph.nodes if node.op.name == "matmul"]
    assert names == [f"backward.net.linear.matmul{f'_{i}' * (i > 0)}" for i in range(3)]
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)


def test_the_model_itself_is_run_with_autograd_to_verify_and_for_its_memory() -> None:
    """Storages alive are those of a real run, whose tensors are seen by hooks of their own."""

    def step(m: Any, x: Tensor) -> Tensor:
        energy = m.net(x).sum()
        m.conv(x.unsqueeze(0)).sum().backward()
        return -grad(energy, x, create_graph=True)[0]

    model = Calls(step, net=dense(), conv=nn.Conv1d(4, 8, 2, groups=4))
    result = costcalc.verify(model, (4, 3))
    assert result.agrees, str(result)
    held = costcalc.memory(model, (4, 3))
    assert "cannot be run" not in str(held)
    assert costcalc.training(model, (4, 3)).forward_macs == report(costcalc.trace(model, (4, 3))).total.macs
