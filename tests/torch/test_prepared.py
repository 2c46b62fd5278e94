"""What depends on the weights alone is done beforehand: an inference costs what the plain layer costs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
import torch.nn.utils.parametrizations as P  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.utils import parametrize, prune  # noqa: E402

from costcalc import load  # noqa: E402
from costcalc.analysis.records import Report  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.backends.module import to_module  # noqa: E402
from costcalc.frontends.spec.write import write  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402

Shape = tuple[int, ...]


class Made(nn.Module):
    """A tensor of ``shape`` from parameters and buffers, by a random chain of what people do to weights."""

    def __init__(self, shape: Shape, rng: random.Random, depth: int) -> None:
        super().__init__()
        kind = rng.choice(FORMS) if depth else "parameter"
        self.kind, self.shape = kind, shape
        if kind == "parameter":
            self.w = nn.Parameter(torch.randn(shape))
            return

        def made(shape: Shape) -> Made:
            return Made(shape, rng, depth - 1)

        first, *rest = shape
        longer, turned = (first + 2, *rest), (*rest, first)
        self.inner = made({"slice": longer, "permute": turned}.get(kind, shape))
        if kind == "mask":
            self.register_buffer("mask", torch.ones(shape))
        elif kind == "length":
            self.g = nn.Parameter(torch.ones(first, *(1 for _ in rest)))
        elif kind == "low rank":
            size = torch.Size(rest).numel()
            self.b, self.a = nn.Parameter(torch.randn(first, 2)), nn.Parameter(torch.randn(2, size))
        elif kind == "spectral":
            self.register_buffer("u", torch.randn(first))
            self.register_buffer("v", torch.randn(torch.Size(rest).numel()))
        elif kind == "branches":
            self.other = made(shape)
        elif kind == "gather":
            self.register_buffer("order", torch.randperm(first))
        elif kind == "eight bits":
            self.register_buffer("q", torch.ones(shape, dtype=torch.int8))

    def forward(self) -> Tensor:
        kind, shape = self.kind, self.shape
        if kind == "parameter":
            return self.w
        w = self.inner()
        every = tuple(range(1, len(shape)))
        made: dict[str, Callable[[], Tensor]] = {
            "mask": lambda: w * self.mask,
            "length": lambda: self.g * w / torch.linalg.vector_norm(w, dim=every, keepdim=True),
            "standard": lambda: (w - w.mean(every, keepdim=True)) / (w.var(every, keepdim=True) + 1e-5).sqrt(),
            "batch norm": lambda: F.batch_norm(
                w.reshape(1, shape[0], -1), None, None, training=True, momentum=0.0
            ).reshape(shape),
            "low rank": lambda: w + 0.5 * (self.b @ self.a).view(shape),
            "binary": lambda: torch.sign(w) * w.abs().mean(),
            "spectral": lambda: w / torch.dot(self.u, torch.mv(w.flatten(1), self.v)),
            "branches": lambda: w + self.other() * 2,
            "slice": lambda: w[1:-1],
            "permute": lambda: w.permute(len(shape) - 1, *range(len(shape) - 1)),
            "halves": lambda: torch.cat(list(w.split(max(1, shape[0] // 2)))),
            "gather": lambda: w[self.order],
            "softplus": lambda: F.softplus(w),
            "eight bits": lambda: w * (self.q.float() * 0.1),
        }
        return made[kind]()


FORMS = (
    "mask", "length", "standard", "batch norm", "low rank", "binary", "spectral", "branches", "slice", "permute",
    "halves", "gather", "softplus", "eight bits",
)  # fmt: skip


class Layer(nn.Module):
    """One layer, its weight and perhaps its bias given or made."""

    def __init__(self, apply: Callable[..., Tensor], weight: Made, bias: Made | None) -> None:
        super().__init__()
        self.apply_, self.weight, self.bias = apply, weight, bias

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight(), self.bias() if self.bias else None
        y: Tensor = self.apply_(x, weight, bias)
        return y


def case(seed: int) -> tuple[Layer, Layer, Shape]:
    """A layer whose weights are made, the plain one, and the shape of an input."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    kind = rng.choice(("conv", "conv", "conv_transpose", "linear"))
    depth, biased = rng.randint(1, 3), rng.random() < 0.6
    if kind == "linear":
        shape, x = (rng.randint(2, 6), rng.randint(2, 6)), [rng.randint(1, 4) for _ in range(rng.randint(1, 3))]
        x.append(shape[1])
        apply: Callable[..., Tensor] = F.linear
        out = shape[0]
    else:
        rank, groups = rng.randint(1, 3), rng.choice((1, 1, 2, 4))
        c, m = 4 * rng.randint(1, 2), 4 * rng.randint(1, 2)
        kernel = [rng.randint(1, 3) for _ in range(rank)]
        options: dict[str, Any] = {"stride": rng.randint(1, 2), "padding": rng.randint(0, 1), "groups": groups}
        function = getattr(F, f"{kind}{rank}d")
        shape = (c, m // groups, *kernel) if kind == "conv_transpose" else (m, c // groups, *kernel)
        out, x = m, [rng.randint(1, 2), c, *(rng.randint(4, 7) for _ in kernel)]

        def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            y: Tensor = function(x, weight, bias, **options)
            return y

    bias = Made((out,), rng, rng.choice((0, 1))) if biased else None
    while bias is not None and bias.kind in ("spectral", "standard", "length", "batch norm", "permute", "low rank"):
        bias = Made((out,), rng, 1)
    return (
        Layer(apply, Made(shape, rng, depth), bias),
        Layer(apply, Made(shape, rng, 0), Made((out,), rng, 0) if biased else None),
        tuple(x),
    )


def inference(found: Report) -> dict[str, Any]:
    """What an inference costs, and as what."""
    layers = [layer for layer in found.layers if layer.op != "parameter" and layer.prepared is None]
    total = found.total
    return {
        "layers": [(layer.op, layer.kind, layer.options, layer.output_shapes) for layer in layers],
        "fields": [layer.receptive_field for layer in layers],
        "macs": total.macs,
        "ops": total.ops,
        "peak": total.peak_bits,
        "read": total.read_bits,
        "write": total.write_bits,
    }


def agrees(seed: int) -> None:
    made, plain, shape = case(seed)
    graph = trace(made.eval(), shape)
    ours, theirs = report(graph), report(trace(plain.eval(), shape))
    assert inference(ours) == inference(theirs), seed
    stored = {id(t): t for t in (*made.parameters(), *made.buffers())}.values()
    assert ours.total.params == sum(p.numel() for p in made.parameters()), seed
    assert ours.total.buffers == sum(b.numel() for b in made.buffers()), seed
    assert ours.total.weight_bits == sum(8 * t.numel() * t.element_size() for t in stored), seed
    assert ours.total.storage_bits == sum(layer.weight_bits for layer in ours.layers) + sum(
        bits for bits in (ours.total.prepared.bits if ours.total.prepared else 0, values(ours))
    ), seed


def values(found: Report) -> int:
    """Bits of the inputs and outputs, at 32 an element."""
    shapes = {**found.inputs, **{layer.name: layer.output_shapes[0] for layer in found.layers if runs(layer)}}
    return 32 * sum(torch.Size(shape).numel() for shape in shapes.values())  # type: ignore[arg-type]


def runs(layer: Any) -> bool:
    return layer.prepared is None and layer.op not in ("parameter", "reshape", "permute", "squeeze", "unsqueeze")


@pytest.mark.parametrize("first", range(0, 240, 40))
def test_a_layer_with_weights_that_are_made_costs_what_the_plain_layer_does(first: int) -> None:
    for seed in range(first, first + 40):
        agrees(seed)


@pytest.mark.long
def test_so_do_thousands() -> None:
    for seed in range(1000, 4000):
        agrees(seed)


@pytest.mark.parametrize("seed", range(30))
def test_the_spec_of_a_trace_has_the_same_figures(seed: int, tmp_path: Any) -> None:
    made, _, shape = case(seed)
    graph = trace(made.eval(), shape)
    file = tmp_path / "net.yaml"
    file.write_text(write(graph))
    again = load(str(file))

    ours, theirs = report(again).to_dict(), report(graph).to_dict()
    assert ours["total"] == theirs["total"]
    assert [n.prepared for n in again.nodes] == [n.prepared for n in graph.nodes]


def registered() -> dict[str, tuple[Callable[[nn.Conv2d], object], int, int]]:
    """What PyTorch itself does to a convolution 3→8 with 216 weights and 8 of bias: params, buffers."""

    class Twice(nn.Module):
        def forward(self, w: Tensor) -> Tensor:
            return 2 * w

    return {
        "plain": (lambda conv: conv, 224, 0),
        "pruned": (lambda conv: prune.l1_unstructured(conv, "weight", 0.5), 224, 216),
        "weight norm": (lambda conv: P.weight_norm(conv), 232, 0),
        "old weight norm": (lambda conv: nn.utils.weight_norm(conv), 232, 0),
        "spectral norm": (lambda conv: P.spectral_norm(conv), 224, 8 + 27),
        "old spectral norm": (lambda conv: nn.utils.spectral_norm(conv), 224, 8 + 27),
        "orthogonal": (lambda conv: P.orthogonal(conv), 224, 216),
        "own": (lambda conv: parametrize.register_parametrization(conv, "weight", Twice()), 224, 0),
        "bias too": (lambda conv: parametrize.register_parametrization(conv, "bias", Twice()), 224, 0),
    }


@pytest.mark.parametrize("form", registered())
@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_does_to_weights_is_prepared_once(form: str) -> None:
    # 3·9 products for each of 8·6·6 outputs, and a bias; an input of 3·8·8 and an output of 8·6·6 numbers of 32 bits.
    change, params, buffers = registered()[form]
    conv = nn.Conv2d(3, 8, 3)
    change(conv)
    net = nn.Sequential(conv).eval()
    total = report(trace(net, (1, 3, 8, 8))).total
    assert (total.macs, total.ops, total.peak_bits) == (7776, 288, 15360)
    assert (total.params, total.buffers) == (params, buffers)
    assert total.read_bits == 32 * (224 + 192) and total.write_bits == 32 * 288
    assert (total.prepared is None) == (form == "plain")


def test_what_is_prepared_is_told_with_what_it_costs() -> None:
    # g · v / |v|: 4 operations for each of 216 weights; the weight is kept, the lengths are not.
    conv = P.weight_norm(nn.Conv2d(3, 8, 3))
    found = report(trace(nn.Sequential(conv).eval(), (1, 3, 8, 8)))
    (once,) = (layer for layer in found.layers if layer.prepared)
    assert once.prepared == found.total.prepared == (0, 4 * 216, 32 * 216, 1, 0)
    assert (once.macs, once.ops, once.read_bits, once.write_bits, once.params) == (0, 0, 0, 0, 0)
    assert found.total.storage_bits == 32 * (232 + 216 + 192 + 288)
    told = {"macs": 0, "ops": 864, "bits": 6912, "layers": 1, "uncounted": 0}
    assert found.to_dict()["total"]["prepared"] == told


def test_the_module_of_a_graph_computes_with_what_is_prepared() -> None:
    torch.manual_seed(0)
    graph = trace(nn.Sequential(P.weight_norm(nn.Conv2d(3, 8, 3))).eval(), (1, 3, 8, 8))
    network = to_module(graph).eval()
    state = network.state_dict()
    assert {name.rpartition(".")[2]: tuple(t.shape) for name, t in state.items()}.keys() == {"weight", "bias"}
    v, g = (state[f"0.parametrizations.weight.original{i}.weight"] for i in (1, 0))
    for tensor in state.values():
        tensor.copy_(torch.randn_like(tensor))
    x = torch.randn(1, 3, 8, 8)
    weight = g * v / torch.linalg.vector_norm(v, dim=(1, 2, 3), keepdim=True)
    with torch.no_grad():
        torch.testing.assert_close(network(x), F.conv2d(x, weight, state["0.conv.bias"]))


class State(nn.Module):
    """A cell that begins with zeros, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.u = nn.Parameter(torch.zeros(4, 5)), nn.Parameter(torch.zeros(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 5)
        for t in range(x.shape[1]):
            h = torch.tanh(x[:, t] @ self.w + h @ self.u)
        return h


def test_the_zeros_that_a_cell_begins_with_are_data() -> None:
    # 2 sequences of 3 steps, each 4·5 + 5·5 products.
    assert report(trace(State(), (2, 3, 4))).total.macs == 2 * 3 * (20 + 25)


class Drawn(nn.Module):
    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.w, self.how = nn.Parameter(torch.zeros(5, 4)), how

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.how(self.w))


@pytest.mark.parametrize(
    "how", [lambda w: w + torch.randn_like(w), lambda w: w * torch.bernoulli(w), lambda w: F.dropout(w, 0.5, True)]
)
def test_what_is_random_is_drawn_at_each_inference(how: Callable[[Tensor], Tensor]) -> None:
    found = report(trace(Drawn(how), (2, 4)))
    assert [layer.prepared for layer in found.layers if layer.ops or layer.macs] == [None, None]
    assert found.total.ops > 0 and found.layers[-1].op == "matmul"


class Positions(nn.Module):
    """A table of positions, looked up and resized, and a bias by relative position."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.bias = nn.Parameter(torch.zeros(1, 4, 3, 3)), nn.Parameter(torch.zeros(9, 2))
        self.register_buffer("at", torch.zeros(36, 36, dtype=torch.long))
        self.words = nn.Embedding(50, 4)

    def forward(self, q: Tensor) -> Tensor:
        places = F.interpolate(self.table, (6, 6), mode="bicubic").flatten(2).transpose(1, 2)
        x = q + places + self.words(torch.arange(36))
        mask = self.bias[self.at.flatten()].view(36, 36, 2).permute(2, 0, 1)[None]
        x = x.view(1, 36, 2, 2).transpose(1, 2)
        return F.scaled_dot_product_attention(x, x, x, mask)


def test_tables_of_positions_are_prepared() -> None:
    found = report(trace(Positions().eval(), (1, 36, 4)))
    runs = [layer.op for layer in found.layers if layer.prepared is None and layer.op not in ("parameter", "reshape")]
    assert runs == ["add", "add", "transpose", "scaled_dot_product_attention"]
    assert found.total.prepared is not None and found.total.prepared.ops > 0
    assert found.total.params == 36 + 18 + 200


class Frozen(nn.Module):
    """A norm by four vectors of the module's own, which counts no steps of training."""

    def __init__(self, trained: bool, affine: bool) -> None:
        super().__init__()
        for name in ("mean", "var", "w", "b") if affine else ("mean", "var"):
            vector = torch.ones(8)
            if trained:
                self.register_parameter(name, nn.Parameter(vector))
            else:
                self.register_buffer(name, vector)

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.mean, self.var, getattr(self, "w", None), getattr(self, "b", None))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("trained", [True, False])
def test_a_norm_with_vectors_of_its_own_is_one_scale_and_one_shift(trained: bool, affine: bool) -> None:
    # docs/counting.md: 2 for each of 8·4·4 elements, whoever keeps the vectors.
    total = report(trace(Frozen(trained, affine).eval(), (1, 8, 4, 4))).total
    stored = 8 * (4 if affine else 2)
    assert (total.ops, total.params, total.buffers) == (256, stored * trained, stored * (not trained))
