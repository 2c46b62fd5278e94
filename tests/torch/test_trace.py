"""What tracing makes of a module: names, edges, weights; and that it leaves everything as it was."""

from __future__ import annotations

import copy
import dataclasses
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import costcalc  # noqa: E402
from costcalc.analysis.report import report  # noqa: E402
from costcalc.errors import CostcalcError  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.ir.graph import Graph  # noqa: E402

IMAGE = (1, 3, 8, 8)


class Block(nn.Module):
    """A residual block whose one ReLU is called twice, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.down = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        out += self.down(x)
        return self.relu(out)


def edges(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Each node with what it reads."""
    return {node.name: node.inputs for node in graph.nodes}


class Function(nn.Module):
    """A function, as a module without parts."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.function(*inputs, **kwargs)


# -- names and edges ---------------------------------------------------------------------------


def test_layers_are_called_as_their_modules_and_follow_the_tensors() -> None:
    assert edges(trace(Block(), IMAGE)) == {
        "conv1": ("x",), "bn1": ("conv1",), "relu": ("bn1",), "conv2": ("relu",), "down": ("x",),
        "add": ("conv2", "down"), "relu_1": ("add",),
    }  # fmt: skip


def test_a_module_that_does_several_things_names_each() -> None:
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")), IMAGE)
    assert [n.name for n in graph.nodes] == ["0.pad", "0.conv"]
    assert graph.node("0.conv").called == {"weight": "0.weight", "bias": "0.bias"}


def test_forward_called_directly_still_names_layers_by_their_weights() -> None:
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.body.forward(x)
            return result

    assert edges(trace(Direct(), (2, 8))) == {"body": ("x",)}


def test_a_layer_called_like_an_input_or_like_a_part_of_another_gets_a_name_of_its_own() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x, self.mask = nn.Linear(4, 4), nn.Parameter(torch.zeros(4))
            self.split = nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 3)])

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            a, b = (self.x(x) + self.mask + mask).split(2, 1)
            return torch.add(self.split[0](a), self.split[1](b))

    graph = trace(Net(), (2, 4), (2, 4))
    assert edges(graph) == {
        "x_1": ("x",), "mask_1": (), "add": ("x_1", "mask_1"), "add_1": ("add", "mask"), "split_1": ("add_1",),
        "split.0": ("split_1.0",), "split.1": ("split_1.1",), "add_2": ("split.0", "split.1"),
    }  # fmt: skip
    assert report(graph).total.params == (4 * 4 + 4) + 4 + 2 * (2 * 3 + 3)


def test_inputs_are_called_as_the_parameters_of_forward() -> None:
    class Two(nn.Module):
        def forward(
            self, images: list[Tensor], extra: dict[str, Tensor], scale: float = 1.0, mask: Any = None
        ) -> Tensor:
            return images[0] + images[1] * scale + extra["bias"]

    graph = trace(Two(), [(1, 4), (1, 4)], extra={"bias": (4,)}, scale=2.0, mask=None)
    assert graph.inputs == ("images.0", "images.1", "extra.bias")
    assert [n.op.name for n in graph.nodes] == ["elementwise", "add", "add"]


def test_a_tensor_gives_its_element_type_and_a_shape_is_what_the_model_wants() -> None:
    module = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    for given in (torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.int64, device="meta"), (1, 3)):
        graph = trace(module, given)
        assert graph.types["input"].dtype == "int64"


@pytest.mark.parametrize("kind", ["tuple", "dict", "object"])
def test_outputs_are_found_in_whatever_holds_them(kind: str) -> None:
    class Held:
        def __init__(self, a: Tensor, b: Tensor) -> None:
            self.a, self.b = a, b

    holders = {"tuple": lambda a, b: (a, [b, None]), "dict": lambda a, b: {"a": a, "b": b}, "object": Held}
    graph = trace(Function(lambda x: holders[kind](x.exp(), x.sin())), (2, 3))
    assert graph.outputs == ("exp", "sin")


# -- views and writes in place -------------------------------------------------------------------


def test_a_write_through_a_view_reaches_the_tensor_that_it_views() -> None:
    def forward(x: Tensor) -> Tensor:
        y = x * 2
        y.view(-1).relu_()
        return y.sin()

    graph = trace(Function(forward), (2, 3))
    kinds = {n.name: n.op.name for n in graph.nodes}
    read = edges(graph)
    assert kinds[read["sin"][0]] == "reshape"
    assert kinds[read[read["sin"][0]][0]] == "relu"


def test_a_write_to_a_part_overwrites_that_part() -> None:
    def forward(x: Tensor) -> Tensor:
        y = x.exp()
        y[:, 0] = x[:, 1]
        return y.sin()

    read = edges(trace(Function(forward), (2, 3)))
    assert read["sin"] == ("overwrite",)
    assert read["overwrite"][0] == "exp"


def test_a_write_to_one_part_leaves_the_other_parts_alone() -> None:
    def forward(x: Tensor) -> Tensor:
        left, right = x.exp().chunk(2, 1)
        left.relu_()
        return right.sin()

    read = edges(trace(Function(forward), (2, 6)))
    assert read["sin"] == ("split.1",)


def test_a_write_reaches_views_made_before_it() -> None:
    def forward(x: Tensor) -> Tensor:
        y = x.exp()
        part = y[0]
        y.relu_()
        return part.sin()

    graph = trace(Function(forward), (2, 3))
    (part,) = graph.node("sin").inputs
    assert graph.node(part).inputs == ("relu",)


# -- weights -----------------------------------------------------------------------------------


def test_shared_modules_store_their_weights_once_and_work_each_time() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.layer(self.layer(x))
            return result

    total = report(trace(Twice(), (1, 8))).total
    assert (total.macs, total.params) == (2 * 64, 64 + 8)


def test_tied_weights_are_stored_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.head(self.embed(x))
            return result

    graph = trace(Tied(), (1, 3))
    assert graph.node("head").called == {"weight": "embed.weight"}
    assert report(graph).total.params == 40


def test_weights_that_nothing_reads_are_stored_all_the_same() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(4, 2), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.used(x)
            return result

    found = report(trace(Idle(), (1, 4)))
    assert found.total.params == (8 + 2) + (12 + 3)
    assert found.total.macs == 8
    assert [row.name for row in found.layers if row.params] == ["used", "idle.weight", "idle.bias"]


def test_a_weight_used_as_a_value_is_stored_once_and_read() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.gamma

    found = report(trace(Scaled(), (2, 4)))
    # x and y of 8 elements, gamma of 4, of 32 bits each
    assert found.total.storage_bits == 32 * (8 + 8 + 4)
    assert found.total.read_bits == 32 * (8 + 4)
    assert found.total.params == 4


@pytest.mark.parametrize("parametrised", [True, False])
def test_weight_norm_counts_its_parameters(parametrised: bool) -> None:
    with pytest.warns(FutureWarning) if not parametrised else _nothing():
        norm = nn.utils.parametrizations.weight_norm if parametrised else nn.utils.weight_norm
        module = norm(nn.Linear(8, 4))
    found = report(trace(module, (2, 8)))
    assert found.total.params == 4 * 8 + 4 + 4
    assert found.total.macs == 2 * 8 * 4


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def test_half_precision_weights_are_half_as_large() -> None:
    whole, half = (
        report(trace(nn.Linear(8, 4).to(t), torch.zeros(2, 8, dtype=t))).total for t in (torch.float32, torch.bfloat16)
    )
    assert (whole.weight_bits, half.weight_bits) == (32 * 36, 16 * 36)
    assert half.macs == whole.macs


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_shape_stands_for_numbers_of_the_model_s_element_type(dtype: Any) -> None:
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).to(dtype), IMAGE)
    assert {t.dtype for t in graph.types.values()} == {str(dtype).removeprefix("torch.")}


class Mixed(nn.Module):
    """Casts its layers to bfloat16, on the device of its input if it is asked to."""

    def __init__(self, device: str = "") -> None:
        super().__init__()
        self.body, self.device = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), device

    def forward(self, x: Tensor) -> Any:
        with torch.autocast(self.device or x.device.type, dtype=torch.bfloat16):
            return self.body(x)


@pytest.mark.parametrize("device", ["cpu", ""])
def test_autocast_in_a_forward_is_left_out_and_said(device: str) -> None:
    graph = trace(Mixed(device), (2, 5, 8))
    assert graph.assumed == ("autocast is left out: element types are those of the weights and of what is given",)
    assert report(graph).total.macs == report(trace(Mixed(device).body, (2, 5, 8))).total.macs


def test_autocast_around_a_trace_is_left_out_and_back_on_after_it() -> None:
    switch = torch.set_autocast_enabled
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert report(trace(Block(), IMAGE)) == report(trace(Block(), IMAGE))
        assert torch.is_autocast_enabled("cpu")
    assert torch.set_autocast_enabled is switch and not torch.is_autocast_enabled("cpu")


# -- kinds of modules ----------------------------------------------------------------------------


def test_subclasses_wrappers_and_scripted_modules_are_all_the_same() -> None:
    class MyConv(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x, self.weight, self.bias, padding=self.padding)

    expected = 4 * 3 * 9 * 64
    conv = MyConv(3, 4, 3, padding=1)
    plain = nn.Conv2d(3, 4, 3, padding=1)
    for module in (conv, nn.DataParallel(conv), torch.compile(plain), nn.Sequential(torch.compile(plain))):
        assert report(trace(module, IMAGE)).total.macs == expected


def test_a_scripted_module_traces() -> None:
    with pytest.warns(DeprecationWarning) if torch.__version__ >= "2.10" else _nothing():
        module = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    assert report(trace(module, IMAGE)).total.macs == 4 * 3 * 9 * 36


def test_a_model_on_the_meta_device_traces_to_the_same() -> None:
    with torch.device("meta"):
        meta = Block()
    assert trace(meta, IMAGE) == trace(Block(), IMAGE)


def test_a_model_that_reads_values_is_run_with_values_and_says_so() -> None:
    def forward(x: Tensor) -> Tensor:
        return x.exp() if x.mean() > 0 else x

    graph = trace(Function(forward), (2, 3))
    assert "run with real tensors" in graph.assumed[0]
    assert [n.name for n in graph.nodes] == ["mean", "gt", "exp"]


def test_positions_and_sizes_have_values_without_a_real_run() -> None:
    def forward(x: Tensor) -> Tensor:
        steps = torch.linspace(0, 1, 3).tolist()
        size = int(torch.tensor(x.shape[-2:]).prod())
        return x * steps[1] + size + torch.arange(x.shape[-1])

    assert trace(Function(forward), (2, 3)).assumed == ()


def test_an_axis_put_in_in_place_is_there_each_time() -> None:
    def forward(x: Tensor) -> Tensor:
        a, b, c = (x * n for n in (1, 2, 3))
        return torch.cat([a.unsqueeze_(1), b.unsqueeze_(1), c.transpose_(0, 1).unsqueeze_(1)], 1)

    assert report(trace(Function(forward), (3, 3))).total.ops == 2 * 9 + 9


def test_a_vector_without_elements_stands_among_tensors_of_any_shape() -> None:
    found = trace(Function(lambda x: torch.cat([torch.tensor([]), x], dim=-2)), (2, 3, 4))
    assert found.outputs and report(found).total.ops == 0


def test_a_window_on_the_cpu_meets_an_input_that_is_not() -> None:
    def forward(x: Tensor) -> Tensor:
        return torch.stft(x, 16, window=torch.hann_window(16), return_complex=True).abs()

    graph = trace(Function(forward), (2, 64))
    assert [node.op.name for node in graph.nodes].count("fourier") == 1
    assert report(graph).uncounted == ()


def test_a_result_may_be_a_dataclass_with_slots() -> None:
    @dataclasses.dataclass(slots=True)
    class Result:
        logits: Tensor
        extra: None = None

    assert len(trace(Function(lambda x: Result(x * 2)), (2, 3)).outputs) == 1


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda x: torch.nested.nested_tensor([x[0], x[1, :1]]) * 2, "it makes nested tensors"),
        (
            lambda x: torch.autograd.grad(x.detach().sum(), x)[0],
            "it differentiates by what no gradient is recorded for",
        ),
    ],
)
def test_what_cannot_be_traced_is_named(forward: Any, said: str) -> None:
    with pytest.raises(CostcalcError, match=said):
        trace(Function(forward), (2, 3))


def test_a_tensor_that_gets_another_shape_in_place_has_it_from_then_on() -> None:
    def forward(x: Tensor) -> Tensor:
        steps = torch.arange(3.0)
        y = x * steps
        steps.unsqueeze_(0).unsqueeze_(0)
        steps += x.sum()
        return torch.cat([y[None], y[None] * steps])

    graph = trace(Function(forward), (2, 3))
    assert graph.types[graph.outputs[0]].shape == (2, 2, 3)


@pytest.mark.parametrize("layer", [nn.Linear(3, 4), nn.ConvTranspose1d(3, 4, 1), nn.TransformerEncoderLayer(3, 1, 4)])
def test_an_input_in_another_element_type_than_the_weights_is_the_user_s_error(layer: nn.Module) -> None:
    with pytest.raises(CostcalcError, match="meets float32 and float16; PyTorch wants one element type there"):
        trace(nn.Sequential(layer).half(), torch.zeros(3, 3))


def test_arithmetic_of_numbers_alone_is_a_constant() -> None:
    def forward(x: Tensor) -> Tensor:
        return x.reshape(-1, int(torch.div(x.shape[1], 2, rounding_mode="trunc")))

    assert report(trace(Function(forward), (3, 4))).total.ops == 0


def test_selection_by_value_is_a_size_that_is_assumed() -> None:
    graph = trace(Function(lambda x: x[x > 0].sum()), (2, 3))
    assert graph.assumed == ()
    assert [(size.name, size.size, size.most) for size in graph.sizes] == [("selected", 6, 6)]


# -- what is not counted -------------------------------------------------------------------------


def test_an_operator_without_a_rule_is_named_with_its_shapes() -> None:
    found = report(trace(Function(torch.special.bessel_j0), (2, 3, 3)))
    (row,) = found.uncounted
    assert (row.kind, row.input_shapes, row.output_shapes) == ("special_bessel_j0", ((2, 3, 3),), ((2, 3, 3),))
    assert found.to_dict()["uncounted"][0]["op"] == "special_bessel_j0"


def test_a_user_adds_a_rule_for_an_operator_of_their_own() -> None:
    from costcalc.ir import op as table

    library = torch.library.Library("costcalc_test", "DEF")
    library.define("mix(Tensor x, Tensor w) -> Tensor")
    library.impl("mix", lambda x, w: torch.empty_like(x), "CompositeExplicitAutograd")
    module = Function(lambda x: torch.ops.costcalc_test.mix(x, x))
    assert [u.kind for u in report(trace(module, (4, 4))).uncounted] == ["costcalc_test::mix"]
    try:

        @table.op("mix", inputs=(2, 2))
        class Mix(table.Op):
            """A mixture."""

            aten = "costcalc_test::mix"

            def macs(self, x: Any, w: Any, *, y: Any) -> Any:
                return x.size * w.shape[-1]

        found = report(trace(module, (4, 4)))
        assert (found.total.macs, found.uncounted) == (16 * 4, ())
    finally:
        del table.OPS["mix"], table.ATEN["costcalc_test::mix"]


# -- everything as it was ------------------------------------------------------------------------


class Restless(nn.Module):
    """Does to itself what models do: caches, hooks, counts, buffers, flags; and perhaps fails."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()
        self.register_buffer("calls", torch.zeros(()))
        self.cache: dict[str, Any] = {}
        self.fails = fails
        self.attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.bn.running_mean.mul_(2)
        self.cache["grid"] = torch.arange(3)
        self.new_attribute = x
        self.conv.register_forward_hook(lambda *_: None)
        self.conv.weight.requires_grad_(False)
        self.train()
        self.register_buffer("late", x.detach())
        torch.rand(1)
        if self.fails:
            raise RuntimeError("no more")
        y: Tensor = self.attention(self.bn(self.conv(x)).flatten(2).mT)
        return y


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_torch_are_left_as_they_were(fails: bool) -> None:
    model = Restless(fails).train()
    model.bn.eval()
    before = copy.deepcopy(model.state_dict())
    attributes = {name: set(m.__dict__) for name, m in model.named_modules()}
    modes = {name: m.training for name, m in model.named_modules()}
    seed = torch.get_rng_state()
    call = nn.Module.__call__
    with pytest.raises(CostcalcError, match="no more") if fails else _nothing():
        trace(model, IMAGE)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[k], before[k]) and after[k].device.type == "cpu" for k in before)
    assert {name: set(m.__dict__) for name, m in model.named_modules()} == attributes
    assert {name: m.training for name, m in model.named_modules()} == modes
    assert model.cache == {}
    assert not model.conv._forward_hooks
    assert all(p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), seed)
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert nn.Module.__call__ is call
    assert not torch.nn.modules.module._global_forward_hooks


class Hoarder(nn.Module):
    """Keeps what it makes of its input wherever it can."""

    class Store:
        table: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, Any] = {"grids": {}}
        self.store, self.space = self.Store(), types.SimpleNamespace(seen=[])
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Any:
        grid = self.tables["grids"].setdefault(len(x), x.new_zeros(4))
        if self.store.table is None:
            self.store.table = x.new_ones(4)
        self.space.seen.append(x)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True, warn_only=True)
        self.scale.grad = torch.zeros(4, dtype=torch.float32)
        return x * self.scale + grid + self.store.table


def test_what_a_forward_keeps_in_containers_and_objects_is_gone_after_a_trace() -> None:
    model = Hoarder()
    trace(model, (2, 4))
    assert (model.tables, vars(model.store), model.space.seen) == ({"grids": {}}, {}, [])
    assert model.scale.grad is None
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()


def test_weights_that_a_forward_replaces_are_put_back() -> None:
    class Clipped(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            self.weight.data = self.weight.data.clamp(-0.1, 0.1)
            return super().forward(x)

    model = Clipped(8, 4)
    before, place = model.weight.detach().clone(), model.weight.data_ptr()
    assert report(trace(model, (2, 8))).total.macs == 2 * 8 * 4
    assert torch.equal(model.weight, before) and model.weight.data_ptr() == place


def test_a_traced_model_still_trains() -> None:
    model = Block()
    trace(model, IMAGE)
    model(torch.rand(IMAGE)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_a_real_run_changes_no_buffer_either() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            return x + 1 if float(x.sum()) > 0 else x

    model = Counting()
    assert trace(model, (2,)).assumed
    assert float(model.seen) == 0


class Own(nn.Module):
    """Writes to what is its own, by way of ``write``; then perhaps asks for a value."""

    def __init__(self, write: Any, asks: bool) -> None:
        super().__init__()
        self.write, self.asks = write, asks
        self.register_buffer("queue", torch.zeros(4, 4))
        self.table = torch.zeros(4, 4)
        self.fc, self.bn = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.instance = nn.InstanceNorm1d(4, track_running_stats=True)

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            self.write(self, x)
        y = self.fc(x) + self.queue.sum()
        return -y if self.asks and float(y.sum()) > 0 else y


WRITES: dict[str, Any] = {
    "a row of a buffer": lambda m, x: m.queue[0].fill_(1),
    "columns of a buffer, from the input": lambda m, x: m.queue[:, 1:3].copy_(x[:, :2]),
    "parts of a buffer": lambda m, x: m.queue.chunk(2)[1].add_(1),
    "a buffer flattened": lambda m, x: m.queue.view(-1)[3].fill_(1),
    "a buffer that is detached": lambda m, x: m.queue.detach()[0].fill_(1),
    "a buffer's data": lambda m, x: setattr(m.queue, "data", m.queue.data + 1),
    "the shape of a tensor that is not a buffer": lambda m, x: (m.table + x, m.table.unsqueeze_(0)),
    "the shape of one that was not read": lambda m, x: m.table.unsqueeze_(0).add_(x),
    "a buffer's shape": lambda m, x: m.queue.unsqueeze_(0),
    "the shape of a part, and what it holds": lambda m, x: m.queue[:1].squeeze_(0).add_(1),
    "a buffer's rows for its columns": lambda m, x: m.queue.t_(),
    "a parameter's shape": lambda m, x: m.fc.bias.unsqueeze_(0),
    "a buffer's flag": lambda m, x: m.queue.requires_grad_(),
    "a row of a tensor that is not a buffer": lambda m, x: m.table[0].fill_(1),
    "a tensor that is not a buffer, after it was read": lambda m, x: (m.table + x, m.table.add_(1)),
    "a row of a parameter": lambda m, x: m.fc.weight[0].zero_(),
    "a row of a parameter's data": lambda m, x: m.fc.weight.data[0].zero_(),
    "the statistics of a batch norm": lambda m, x: m.bn.train()(x),
    "the statistics of an instance norm": lambda m, x: m.instance.train()(x[None]),
    "statistics, by a function": lambda m, x: F.batch_norm(x, m.bn.running_mean, m.bn.running_var, training=True),
}


@pytest.mark.parametrize("asks", [False, True], ids=["", "with values"])
@pytest.mark.parametrize("what", WRITES)
def test_what_a_forward_writes_is_not_in_the_model_after_a_trace(what: str, asks: bool) -> None:
    model = Own(WRITES[what], asks)
    before, table = copy.deepcopy(model.state_dict()), model.table.clone()
    places = {key: tensor.data_ptr() for key, tensor in model.state_dict().items()}
    assert bool(trace(model, (4, 4)).assumed) == asks
    after = model.state_dict()
    assert all(torch.equal(after[key], before[key]) and after[key].data_ptr() == places[key] for key in before)
    assert torch.equal(model.table, table)
    assert not model.queue.requires_grad


def test_a_run_with_values_reads_what_it_has_written_to_the_model() -> None:
    model = Own(lambda m, x: m.queue[0].fill_(1), asks=False)
    model.fc = nn.Identity()
    model.register_forward_hook(lambda m, given, y: y[: int(y[0, 0]) - 1])  # 0 of the input, 4 · 1 of the queue
    assert report(trace(model, torch.zeros(4, 4))).outputs == {"slice": (3, 4)}
    assert not model.queue.any()


# -- the public names ----------------------------------------------------------------------------


def test_trace_and_analyze_are_public() -> None:
    graph = costcalc.trace(nn.Linear(8, 4), (2, 8))
    assert costcalc.analyze(graph).total.macs == 64
    assert costcalc.analyze(nn.Linear(8, 4), torch.zeros(2, 8)).total.macs == 64


def test_receptive_fields_traffic_and_peak_are_there() -> None:
    found = report(trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, stride=2), nn.ReLU()), (1, 3, 16, 16)))
    last = found.layers[-1]
    assert last.receptive_field is not None and not isinstance(last.receptive_field, str)
    assert last.receptive_field.size == (5, 5)
    assert last.receptive_field.stride == (2, 2)
    assert found.total.peak_bits == 32 * (3 * 256 + 4 * 196)
    assert last.read_bits == 32 * 4 * 36


def test_a_norm_in_higher_precision_than_its_input_is_counted() -> None:
    found = report(trace(nn.LayerNorm(4), torch.zeros(2, 4, dtype=torch.bfloat16)))
    assert (found.total.params, found.total.ops, found.total.weight_bits) == (8, 7 * 8, 32 * 8)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
@pytest.mark.parametrize("norm", [nn.LayerNorm(4), nn.LayerNorm(4, bias=False), nn.RMSNorm(4), nn.GroupNorm(2, 4)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_a_norm_makes_has_its_inputs_element_type(norm: nn.Module, dtype: torch.dtype) -> None:
    graph = trace(norm, x := torch.zeros(2, 4, dtype=dtype))
    assert f"torch.{graph.types[graph.outputs[0]].dtype}" == str(norm(x).dtype) == str(dtype)
    assert report(graph).total.weight_bits == 32 * sum(p.numel() for p in norm.parameters())


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)])
def test_a_norm_by_statistics_in_higher_precision_than_its_input_is_counted(norm: nn.Module) -> None:
    graph = trace(norm, torch.zeros(2, 4, 3, 3, dtype=torch.bfloat16))
    total = report(graph).total
    assert (total.params, total.ops, total.weight_bits) == (8, 2 * 2 * 4 * 9, 32 * 16 + 64)
    assert graph.types[graph.outputs[0]].dtype == "bfloat16"


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(5), nn.LayerNorm(5)], ids=["batch norm", "layer norm"])
def test_a_norm_that_does_not_fit_its_input_is_the_forward_s_error(norm: nn.Module) -> None:
    with pytest.raises(CostcalcError, match="the forward of Sequential fails in '1'"):
        trace(nn.Sequential(nn.Identity(), norm), (2, 4, 3, 4))


@pytest.mark.parametrize("last", [torch.contiguous_format, torch.channels_last])
def test_norms_keep_shape_and_layout(last: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.norm(x.contiguous(memory_format=last))
            assert y.shape == x.shape
            assert y.is_contiguous(memory_format=last)
            return y

    assert report(trace(Net(), (2, 4, 5, 6))).total.ops == 2 * 2 * 4 * 5 * 6
