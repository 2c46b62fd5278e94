"""A step of training without values against real ones: what is saved, the peak, the state, the arithmetic."""

from __future__ import annotations

import gc
import warnings
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import costcalc
from costcalc.analysis.backward import backward
from costcalc.backends.memory.training import markdown, table
from costcalc.backends.module import to_module
from costcalc.errors import CostcalcError
from costcalc.frontends.torch.memory_run import Unseen
from costcalc.frontends.torch.tracer import trace_in_training
from costcalc.frontends.torch.training import step_of, trained
from costcalc.ir.allocations import ObservedStep
from costcalc.ir.fields import ints
from costcalc.ir.graph import GraphBuilder
from costcalc.ir.op import all_ops, find_op
from costcalc.ir.tensor import TensorType
from costcalc.models import load
from costcalc.ops.elementwise import _KEPT, STEPS, TESTS
from costcalc.planning.autograd import step as by_rules
from costcalc.planning.jobs import alive
from costcalc.planning.training import OPTIMIZERS
from tests.planning.live import Live, allocated
from tests.planning.saved import bytes_kept


def loss_of(result: Any) -> Any:
    return sum(t.float().sum() for t in tree_leaves(result) if isinstance(t, torch.Tensor) and t.requires_grad)


def real_peak(model: nn.Module, *inputs: torch.Tensor, clean: bool = True) -> int:
    if clean:
        gc.collect()
    with Live((*model.parameters(), *model.buffers(), *inputs)) as mode:
        result = model(*inputs)
        loss = loss_of(result)
        loss.backward()
    return mode.most


def real_saved(model: nn.Module, *inputs: torch.Tensor) -> int:
    with bytes_kept(model) as seen:
        result = model(*inputs)
        loss = loss_of(result)
    del result, loss
    return sum(seen.values())


def peak_of(step: ObservedStep) -> int:
    return max(sum(s.bytes for s in step.run.stored if s.first <= i <= s.last) for i in range(len(step.run.steps)))


class Block(nn.Module):
    """Two ways from one value, in place and not, one of them unused."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.silu(self.norm(self.a(x)))
        self.b(x)
        return F.relu_(x * torch.sigmoid(y.mean((2, 3), keepdim=True)) + y)


def models() -> list[tuple[str, nn.Module, tuple[torch.Tensor, ...]]]:
    image = torch.randn(2, 3, 16, 16)
    tokens = torch.randn(2, 10, 16)
    conv = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2), Block(), Block()
    )
    up = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.GELU(), nn.ConvTranspose2d(8, 4, 4, stride=2, groups=2), nn.Hardswish()
    )
    encoder = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True)
    frozen = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))
    frozen[0].requires_grad_(False)
    return [
        ("conv", conv, (image,)),
        ("up", up, (image,)),
        ("encoder", encoder, (tokens,)),
        ("gru", nn.GRU(16, 8, batch_first=True), (tokens,)),
        ("frozen", frozen, (tokens,)),
        ("attention", nn.MultiheadAttention(16, 2, batch_first=True), (tokens, tokens, tokens)),
    ]


@pytest.mark.parametrize(("name", "model", "inputs"), models(), ids=[name for name, *_ in models()])
def test_a_step_holds_what_a_real_one_does(name: str, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    step = step_of(model, inputs, {})
    assert all(p.grad is None for p in model.parameters())
    assert sum(k.bytes for k in step.saved) == real_saved(model, *inputs)
    assert peak_of(step) == real_peak(model, *inputs)
    assert step.gradients == sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)


NOT_RUN = {
    "roi_pool": "the module asks for values",
    "householder_qr": "PyTorch has no rule for tensors without values",
    "least_squares": "the same",
    "ldl": "it has no derivative",
    "qr": "it has none in two of its modes",
    "bucketize": "of places there is no gradient",
    "histogram": "of counts there is none",
    "reduction": "of places there is no gradient",
    "sort": "the same",
}
"""Ops of which a step cannot be taken without values."""


def test_what_each_op_keeps_is_what_autograd_keeps() -> None:
    """Of every op with trainable weights or not, as its module: against the hooks in a real run."""
    tried = 0
    wrong, unseen = [], []
    warnings.simplefilter("ignore")
    for name, op in all_ops().items():
        for one, *types in op.examples():
            if not types or any(t.dtype != "float32" for t in types) or any(t.size > 1 << 18 for t in types):
                continue
            try:
                module = nn.Sequential(one.to_torch(*types)) if len(types) == 1 else one.to_torch(*types)
                inputs = [torch.rand(tuple(t.shape)) for t in types]
            except NotImplementedError:
                continue

            class Behind(nn.Module):
                """The op on values that have a gradient."""

                def __init__(self, module: nn.Module) -> None:
                    super().__init__()
                    self.module, self.scale = module, nn.Parameter(torch.ones(()))

                def forward(self, *x: torch.Tensor) -> Any:
                    return self.module(*(t + self.scale for t in x))

            behind = Behind(module)
            try:
                real = real_saved(behind, *inputs)
            except (RuntimeError, AttributeError):
                continue  # nothing of it has a gradient
            try:
                step = step_of(behind, inputs, {})
            except Unseen as error:
                unseen.append((name, str(error)))
                continue
            tried += 1
            found = sum(k.bytes for k in step.saved)
            if step.unknown:
                assert found < real and name == "lstm"
            elif found != real:
                wrong.append((str(one), found, real))
    assert wrong == []
    assert {name for name, _ in unseen} <= NOT_RUN.keys()
    assert tried > 250


def test_resnet18_keeps_what_was_measured() -> None:
    """torch 2.13.0 on the CPU, batch 1 and 2, by its hooks for saved tensors and by counting storages that live."""
    one, two = (costcalc.training("resnet18", batch=b, optimizer="momentum") for b in (1, 2))
    assert one.saved_bytes == 22_218_240
    assert (two.saved_bytes, two.peak_bytes) == (44_398_080, 83_780_840)
    assert two.optimizer_bytes == two.gradient_bytes == 4 * 11_689_512


@pytest.mark.parametrize("name", ["lenet5", "squeezenet1_1", "resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_rules_tell_what_pytorchs_own_layers_hold(name: str) -> None:
    """The same layers as modules, run by PyTorch without values: equal to the byte."""
    graph = load(name, batch=2)
    types = [graph.types[v] for v in graph.inputs]
    given = [torch.empty(ints(t.shape), device="meta") for t in types]
    theirs = trained(to_module(graph, device="meta", initialise=False), given, {})
    ours = by_rules(graph)
    assert ours.unknown == ()
    assert sum(k.bytes for k in ours.saved) == sum(k.bytes for k in theirs.saved)
    assert peak_of(ours) == peak_of(theirs)
    assert (ours.gradients, sorted(ours.parameters)) == (theirs.gradients, sorted(theirs.parameters))


LINEAR: tuple[str, dict[str, Any]] = ("linear", {"out_features": 3})
VIEWS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "channels to the end": [("permute", {"axes": (0, 2, 3, 1)}), LINEAR],
    "length and batch": [
        ("reshape", {"shape": (8, -1)}),
        ("transpose", {"first": 0, "second": 1}),
        ("linear", {"out_features": 3}),
    ],
    "a part": [("slice", {"axis": 2, "start": 1}), LINEAR],
    "the first part": [("slice", {"axis": 0, "start": 0, "stop": 1}), LINEAR],
    "one of them": [("select", {"axis": 1, "index": 0}), LINEAR],
    "in a row again": [
        ("permute", {"axes": (0, 2, 3, 1)}),
        ("permute", {"axes": (0, 3, 1, 2)}),
        ("linear", {"out_features": 3}),
    ],
}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", VIEWS)
def test_what_a_product_copies_first_is_told(name: str, batch: int) -> None:
    """Of views that cannot be read as rows a copy is kept."""
    b = GraphBuilder("views", {"image": TensorType((batch, 8, 4, 6))})
    (value,) = b.add("first", find_op("conv")(8, 1), ["image"])
    for i, (op, options) in enumerate(VIEWS[name]):
        (value,) = b.add(f"{op}{i}", find_op(op)(**options), [value])
    graph = b.build([value])
    theirs = trained(to_module(graph, device="meta", initialise=False), (torch.empty(batch, 8, 4, 6),), {})
    assert sum(k.bytes for k in by_rules(graph).saved) == sum(k.bytes for k in theirs.saved)


def adds(run: Any) -> tuple[int, int]:
    """How often gradients are added in new memory and in place, as the profiler has it, where no mode watches."""
    x = torch.rand(4, 8, requires_grad=True)
    loss = run(x * 1.0).sum()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        loss.backward()
    names = [event.name for event in profile.events()]
    return names.count("aten::add"), names.count("aten::add_")


def shared(h: torch.Tensor) -> torch.Tensor:
    g, k = h * 1.0, h.exp()
    return (g.sigmoid() * 0 + (k + g)).tanh()


@pytest.mark.parametrize(
    ("run", "new", "in_place"),
    [
        (lambda h: h.relu() + h.sigmoid(), 0, 1),
        (lambda h: h + h.sigmoid(), 1, 0),
        (lambda h: (h + (h + h.sigmoid()).exp()).tanh(), 0, 2),
        (lambda h: torch.cat([h, h.relu(), h.sigmoid()], 1).tanh(), 1, 1),
        (lambda h: torch.cat([h, h.relu(), h.sigmoid()], 0).tanh(), 1, 1),
        (shared, 1, 1),
    ],
    ids=["both new", "of the loss", "nested", "parts", "whole parts", "held by another"],
)
def test_gradients_are_added_where_autograd_adds_them(run: Any, new: int, in_place: int) -> None:
    """A dispatch mode keeps autograd from adding in place; a run that is watched by one must not tell that."""
    assert adds(run) == (new, in_place)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> Any:
            return run(x * self.scale)

    x, sizes = torch.rand(4, 8), []
    model = Scaled()

    class Counts(Live):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            before = len(self.known)
            made = super().__torch_dispatch__(func, types, args, kwargs)
            if "add" in str(func) and torch._C._current_autograd_node() is not None:
                sizes.append(len(self.known) > before)
            return made

    loss = model(x).sum()
    with Counts((model.scale, x)):
        loss.backward()
    assert (sizes.count(True), sizes.count(False)) == (new, in_place)
    assert peak_of(step_of(model, (x,), {})) == real_peak(model, x)


MAKERS: dict[str, Any] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
def test_optimizers_keep_what_they_were_seen_to_keep(kind: str) -> None:
    model = nn.Sequential(nn.Linear(256, 512), nn.BatchNorm1d(512))
    optimizer = MAKERS[kind](model.parameters())
    model(torch.randn(4, 256)).sum().backward()
    optimizer.step()
    held = sum(t.nbytes for state in optimizer.state.values() for t in state.values() if isinstance(t, torch.Tensor))
    assert costcalc.training(model, torch.randn(4, 256), optimizer=kind).optimizer_bytes == held


class Unused(nn.Module):
    """With a large layer that leads to no result, whose parameters have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.unused, self.used = nn.Linear(16, 500), nn.Linear(16, 20)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.unused(x)
        return self.used(x).relu()


STEPPED = {
    "one large": nn.Sequential(nn.Linear(16, 300, bias=False), nn.ReLU(), nn.Linear(300, 4)),
    "two in a row": nn.Sequential(nn.Linear(16, 300, bias=False), nn.Linear(300, 64, bias=False), nn.Linear(64, 4)),
    "smaller first": nn.Sequential(nn.Linear(16, 64, bias=False), nn.Linear(64, 300, bias=False), nn.ReLU()),
    "half frozen": nn.Sequential(nn.Linear(16, 300).requires_grad_(False), nn.ReLU(), nn.Linear(300, 40)),
    "unused": Unused(),
    "few weights": nn.Sequential(nn.Conv1d(16, 4, 1), nn.Sigmoid(), nn.Conv1d(4, 16, 1), nn.Tanh()),
}


@pytest.mark.parametrize("kind", list(OPTIMIZERS))
@pytest.mark.parametrize("name", STEPPED)
def test_the_step_of_the_optimizer_holds_what_a_real_one_does(name: str, kind: str) -> None:
    """The second step of a real run, with its state there: Adam makes two tensors, and holds the last one's."""
    model = STEPPED[name]
    x = torch.randn(2, 16, 500) if name == "few weights" else torch.randn(2, 16)
    model.zero_grad()
    optimizer = MAKERS[kind](model.parameters())
    model(x).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    state = [t for t in tree_leaves(list(optimizer.state.values())) if isinstance(t, torch.Tensor)]
    gc.collect()
    with Live((*model.parameters(), *model.buffers(), x, *state)) as mode:
        result = model(x)
        loss = loss_of(result)
        loss.backward()
        optimizer.step()
    traced, ruled = (
        costcalc.training(m, *a, optimizer=kind) for m, a in ((model, (x,)), (costcalc.trace(model, x), ()))
    )
    assert traced.peak_bytes == mode.most
    assert ruled.peak_bytes == mode.most
    assert traced.optimizer_bytes == ruled.optimizer_bytes == sum(t.nbytes for t in state)
    assert (traced.at == "the optimizer's step") == ("adam" in kind and name != "few weights")
    assert ("what the step makes, in the optimizer's step" in " ".join(table(traced, 200, False).split())) == (
        traced.at == "the optimizer's step"
    )


def test_doing_layers_again_saves_nothing_of_the_step_of_the_optimizer() -> None:
    """Where that holds most nothing is done again; the least that can be asked for is what it holds."""
    graph = costcalc.trace(STEPPED["two in a row"], torch.randn(2, 16))
    plain = costcalc.training(graph, optimizer="adamw")
    found = costcalc.training(graph, optimizer="adamw", checkpoint="auto")
    assert plain.at == found.at == "the optimizer's step"
    assert found.peak_bytes == plain.peak_bytes
    assert found.recomputed is not None
    assert found.recomputed.extra_macs == 0
    assert found.recomputed.lower_bound_bytes == found.recomputed.kept_bytes == plain.peak_bytes
    assert costcalc.training(graph, optimizer="adamw", checkpoint=plain.total_bytes) is not None
    with pytest.raises(CostcalcError, match=f"it takes at least {plain.total_bytes:,}"):
        costcalc.training(graph, optimizer="adamw", checkpoint=plain.total_bytes - 1)


def test_what_a_models_own_forward_keeps_has_a_name() -> None:
    class Sigmoid(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(5, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(self.layer(x))

    found = costcalc.training(Sigmoid(), torch.ones(4, 5))
    assert [(kept.layer, kept.title) for kept in found.saved] == [("layer", "layer"), ("", "the model's own forward")]
    assert "the model's own forward" in table(found, 80, False)
    assert "| the model's own forward |" in markdown(found)


def test_markdown_says_each_figure_once() -> None:
    text = markdown(costcalc.training("lenet5"))
    assert text.count("| peak |") == text.count("most is saved by") == 1


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 8, 3, bias=False),
        nn.Conv2d(8, 8, 3, groups=4, stride=2, bias=False),
        nn.Conv2d(8, 16, (3, 1), groups=8, dilation=2, bias=False),
        nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False),
        nn.ConvTranspose2d(8, 4, 4, stride=2, groups=4, bias=False),
        nn.ConvTranspose2d(8, 8, 2, groups=2, dilation=3, bias=False),
        nn.Conv1d(8, 4, 5, groups=2, bias=False),
        nn.Linear(8, 5, bias=False),
    ],
    ids=str,
)
def test_gradients_take_a_mac_for_each_of_the_op(layer: nn.Module) -> None:
    """With ones everywhere each MAC adds 1 to what it makes: so autograd's gradients count those of their own."""
    first = getattr(layer, "in_channels", 8)
    shape = {"Conv1d": (2, first, 11), "Linear": (2, 3, 8)}.get(type(layer).__name__, (2, first, 9, 9))
    x = torch.ones(shape, requires_grad=True)
    nn.init.ones_(layer.weight)  # type: ignore[arg-type]
    layer(x).backward(torch.ones_like(layer(x)))
    counted = layer(x).sum().item(), x.grad.sum().item(), layer.weight.grad.sum().item()  # type: ignore[union-attr,operator]
    graph = costcalc.trace(nn.Sequential(nn.Identity(), layer), shape)
    found = backward(graph)
    (macs,) = (m for m in found.forward.values() if m)
    assert counted == (macs, macs, macs)
    assert sum(found.backward.values()) == macs, "the input needs no gradient"
    behind = backward(costcalc.trace(nn.Sequential(nn.LayerNorm(shape[-1]), layer), shape))
    assert sum(behind.backward.values()) == 2 * macs


MULTILINEAR = {"conv", "depthwise", "pointwise", "conv_transpose", "dynamic_conv", "linear", "matmul", "einsum"}


def test_gradients_of_every_product_take_as_many_macs_as_it() -> None:
    """The same with ones for every example: each sum counts the MACs that are not with padding, either way."""
    tried = whole = 0
    for name in sorted(MULTILINEAR):
        for one, *types in find_op(name).examples():
            y = one.infer(*types)
            macs = one.macs(*types, y=y)
            if not macs or len(types) > 2:
                continue
            module = one.to_torch(*types)
            weights = [p for n, p in module.named_parameters() if "bias" not in n]
            for n, p in module.named_parameters():
                nn.init.constant_(p, float("bias" not in n))
            inputs = [torch.ones(tuple(t.shape), requires_grad=True) for t in types]
            made = module(*inputs)
            made.sum().backward()
            sums = {t.grad.sum().item() for t in (*inputs, *weights)} | {made.sum().item()}
            assert len(sums) == 1, (one, sums)
            assert sums.pop() <= macs
            for wanted in product((True, False), repeat=len(types)):
                found = one.backward_macs(*types, y=y, trained=bool(weights), wanted=wanted)
                assert found == macs * (bool(weights) + sum(wanted)), one
            tried += 1
            whole += made.sum().item() == macs
    assert tried > 30
    assert whole > 15


def test_a_plain_network_multiplies_what_torch_counts() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.Flatten(1), nn.Linear(8 * 49, 10)
    )
    x = torch.randn(2, 3, 16, 16)
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    found = costcalc.training(model, x)
    assert 2 * (found.forward_macs + found.backward_macs) == counter.get_total_flops()


def test_a_recurrent_layer_multiplies_what_its_products_do() -> None:
    """4 gates of 8 on 16 inputs and 8 states, 2 × 10 steps; the first states and the input need no gradients."""
    found = costcalc.training(nn.LSTM(16, 8, batch_first=True), torch.randn(2, 10, 16))
    inputs, states = 20 * 32 * 16, 20 * 32 * 8
    assert found.forward_macs == inputs + states
    assert found.backward_macs == inputs + 2 * states - 2 * 32 * 8


def test_a_workspace_of_unknown_size_is_named() -> None:
    found = costcalc.training(nn.LSTM(16, 8, batch_first=True), torch.randn(2, 10, 16))
    assert found.saved_bytes < real_saved(nn.LSTM(16, 8, batch_first=True), torch.randn(2, 10, 16))
    assert "lower bounds" in found.notes[0]
    assert found.lower_bounds == ("saved_bytes", "peak_bytes", "total_bytes")
    assert found.to_dict()["lower_bounds"] == list(found.lower_bounds)
    text = table(found, 100, False)
    assert all(f"{name:9}  ≥ " in text for name in ("peak", "total", "saved"))


def test_what_cannot_be_trained_is_said() -> None:
    with pytest.raises(CostcalcError, match=r"no optimizer called 'adamv'.*did you mean 'adam"):
        costcalc.training("lenet5", optimizer="adamv")
    with pytest.raises(CostcalcError, match="none of its results depends on a parameter"):
        costcalc.training(nn.ReLU(), torch.randn(2, 3))


@pytest.mark.parametrize(
    ("op", "operands", "rows"),
    [
        (find_op("prelu")(per_channel=True), 1, 0),
        (find_op("divide")(), 2, 0),
        (find_op("local_response_norm")(5), 1, 0),
        (find_op("local_response_norm")(2), 1, 0),
        (find_op("rms_norm")(), 1, 0),
        (find_op("rms_norm")(affine=False), 1, 0),
    ],
    ids=str,
)
def test_what_is_made_on_the_way_back_is_part_of_the_peak(op: Any, operands: int, rows: int) -> None:
    """Between two layers, against storages alive in a real step; norms of rows to so many bytes a row."""
    shape = (2, 8, 4, 16)
    b = GraphBuilder("one", {"x": TensorType(shape)})
    given = [b.add(f"in{i}", find_op("linear")(16, bias=False), ["x"])[0] for i in range(operands)]
    made = b.add("op", op, given)
    graph = b.build(b.add("out", find_op("linear")(16, bias=False), made))
    step = by_rules(graph)
    ours = max(alive(step.run.stored, len(step.run.steps)))
    real = real_peak(to_module(graph).train(), torch.rand(shape) + 0.1)
    assert abs(ours - real) <= rows * 2 * 8 * 4


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (find_op("matmul")(), [(5, 1, 12, 13), (4, 13, 12)]),
        (find_op("matmul")(), [(3, 1, 6, 5), (1, 4, 5, 7)]),
        (find_op("matmul")(), [(2, 4, 6, 5), (4, 5, 7)]),
        (find_op("unfold")(3, padding=1), [(2, 3, 9, 16)]),
        (find_op("fold")((16, 12), 2, stride=4), [(2, 12, 12)]),
        (find_op("max_pool")(2, indices=True), [(2, 3, 16, 16)]),
    ],
    ids=str,
)
def test_gradients_that_take_more_than_they_come_to(op: Any, shapes: list[tuple[int, ...]]) -> None:
    """Of stretched factors and patches, and none of indices, against storages alive in a real step."""
    b = GraphBuilder("one", {f"x{i}": TensorType(shape) for i, shape in enumerate(shapes)})
    layer = find_op("linear")
    given = [b.add(f"in{i}", layer(shape[-1], bias=False), [f"x{i}"])[0] for i, shape in enumerate(shapes)]
    made, *others = b.add("op", op, given)
    graph = b.build([*b.add("out", layer(8, bias=False), [made]), *others])
    real = real_peak(to_module(graph).train(), *(torch.rand(shape) + 0.1 for shape in shapes))
    assert peak_of(by_rules(graph)) == real


LIKE = [(6, 5, 8), (6, 5, 8)]
APART: list[tuple[Any, list[tuple[int, ...]]]] = [
    *((find_op(name)(), shapes) for name in ("add", "subtract", "multiply", "divide")
      for shapes in ([(6, 5, 8), (6, 1, 8)], [(6, 1, 8), (1, 5, 8)], LIKE)),
    *((find_op("elementwise")(name), shapes) for name in ("maximum", "minimum", "fmax", "fmin", "atan2", "pow")
      for shapes in ([(6, 5, 8), (6, 1, 8)], LIKE) if name not in ("atan2", "pow") or shapes is LIKE),
    *((find_op("reduction")(name, 1), [(6, 5, 8)]) for name in ("amax", "amin", "var", "std", "logsumexp", "nansum")),
    (find_op("reduction")("var", (0, 1), keepdim=True), [(6, 5, 8)]),
    (find_op("reduction")("std_mean", 1), [(6, 5, 8)]),
    *((find_op("reduction")("linalg_vector_norm", 1, number=order), [(6, 5, 8)]) for order in (1, 2, 3, "inf")),
    *((find_op("reduction")(name, 1, indices=True), [(6, 5, 8)]) for name in ("max", "median", "mode")),
    (find_op("sort")(1), [(6, 5, 8)]),
    (find_op("sort")(1, largest=2), [(6, 5, 8)]),
    (find_op("take")(1, indices=(2, 0, 0)), [(6, 5, 8)]),
    *((find_op("scan")(1, function=name), [(6, 5, 8)]) for name in ("cumsum", "logcumsumexp")),
    (find_op("scan")(1, indices=True, function="cummax"), [(6, 5, 8)]),
    (find_op("overwrite")(1, 2), [(2, 6, 3), (2, 3, 3)]),
    (find_op("upsample")(scale=2, mode="zeros"), [(1, 2, 3, 4)]),
    (find_op("cross")(-1), [(6, 5, 3), (6, 1, 3)]),
    (find_op("distances")(), [(2, 30, 8), (2, 20, 8)]),
    (find_op("distances")(by_product=True), [(30, 8), (20, 8)]),
    (find_op("scaled_dot_product_attention")(causal=True), [(2, 20, 8)] * 3),
    (find_op("scaled_dot_product_attention")(), [(2, 3, 20, 8), (2, 3, 30, 8), (2, 3, 30, 5)]),
]  # fmt: skip


class Branch(nn.Module):
    """A branch that is lost at random in training, beside a head that is there in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(3, 50)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.norm(self.conv(x))
        if not self.training:
            return y
        y = y * x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(0.8)
        return (x + y).tanh(), self.head(y.mean((2, 3)))


class Dropping(nn.Module):
    """Attention that drops scores."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> Any:
        q, k, v = self.layer(x).view(2, 50, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.1)


IN_TRAINING: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dropout": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.1), nn.Tanh(), nn.Dropout2d(0.1), nn.Conv2d(4, 4, 1)),
                (2, 3, 8, 8)),
    "of nothing": (nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.0), nn.Tanh()), (2, 8)),
    "branch and head": (Branch(), (4, 3, 8, 8)),
    "instance": (nn.Sequential(nn.Conv2d(3, 3, 1), nn.InstanceNorm2d(3, affine=True, track_running_stats=True)),
                 (2, 3, 8, 8)),
    "encoder": (nn.TransformerEncoderLayer(16, 4, 32, dropout=0.1, batch_first=True), (2, 10, 16)),
    "scores": (Dropping(), (2, 50, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_TRAINING)
def test_a_trace_in_training_keeps_what_training_does(name: str) -> None:
    """What is drawn at random, statistics of a batch and layers of training alone are in the graph that is told by
    rules, as where layers are done again; and in the arithmetic.
    """
    model, shape = IN_TRAINING[name]
    real, saved = real_peak(model, torch.rand(shape)), real_saved(model, torch.rand(shape))
    ours = by_rules(trace_in_training(model, (shape,), {}))
    assert sum(kept.bytes for kept in ours.saved) == saved
    assert abs(peak_of(ours) / real - 1) < (0.1 if name == "scores" else 0.01)


def test_layers_of_training_alone_are_multiplied() -> None:
    model = Branch()
    with FlopCounterMode(display=False) as counter:
        loss_of(model(torch.rand(4, 3, 8, 8))).backward()
    found = costcalc.training(model, (4, 3, 8, 8))
    assert 2 * (found.forward_macs + found.backward_macs) == counter.get_total_flops()
    again = costcalc.training(model, (4, 3, 8, 8), checkpoint="auto")
    assert again.forward_macs == found.forward_macs


class OneOp(nn.Module):
    """An op on scaled inputs, and what it makes doubled."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.scale = module, nn.Parameter(torch.ones(()))

    def forward(self, *x: torch.Tensor) -> Any:
        made = self.module(*(t * self.scale for t in x))
        return [t * 2 if t.is_floating_point() else t for t in (made if isinstance(made, tuple) else (made,))]


def test_the_moments_of_one_op_are_those_of_a_real_step() -> None:
    """What its gradients are made of, in which order, and what is summed afterwards: to the byte."""
    wrong = []
    for op, shapes in APART:
        model = OneOp(op.to_torch(*map(TensorType, shapes))).train()
        real = real_peak(model, *(torch.rand(shape) + 0.1 for shape in shapes), clean=False)
        if (ours := peak_of(by_rules(costcalc.trace(model, *shapes)))) != real:
            wrong.append((str(op), shapes, ours, real))
    assert wrong == []


def test_the_steps_of_functions_of_one_tensor_are_those_of_a_real_step() -> None:
    known = {"rsub": (3,), "clamp": (0, 1), "clamp_min": (0,), "clamp_max": (0.5,), "threshold": (0.5, 0)}
    known |= {"softshrink": (0.5,), "hardshrink": (0.5,)}
    wrong = []
    for name in sorted((STEPS.keys() | TESTS.keys() | _KEPT.keys()) - {"clip"}):  # another name of clamp
        op = find_op("elementwise")(name, **({"numbers": known[name]} if name in known else {}))
        model = OneOp(op.to_torch(TensorType((6, 50)))).train()
        real = real_peak(model, torch.rand(6, 50) + (1.1 if name == "acosh" else 0.1), clean=False)
        ours = peak_of(by_rules(costcalc.trace(model, (6, 50))))
        if abs(ours - real) > 4:  # a number may be a tensor
            wrong.append((name, ours, real))
    assert wrong == []


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x.sort(1)[0], lambda x: x.topk(2, 1)[0], lambda x: x.max(1)[0], lambda x: x.cummax(1)[0],
        lambda x: x.index_select(1, torch.tensor([2, 0])), lambda x: x.gather(1, torch.zeros(64, 5, dtype=torch.int64)),
    ],
    ids=["sort", "topk", "max", "cummax", "index_select", "gather"],
)  # fmt: skip
def test_what_picks_elements_puts_its_gradient_into_zeros(run: Any) -> None:
    """As the profiler has it, where no mode watches: one tensor as large as the input is made, and no second one."""
    x = torch.rand(64, 512, requires_grad=True)
    loss = run(x).sum()
    assert allocated(loss.backward) < 1.5 * x.nbytes

    class Picks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x: torch.Tensor) -> Any:
            return run(x * self.scale)

    made = [s.bytes for s in step_of(Picks(), (torch.rand(64, 512),), {}).run.stored if s.bytes == x.nbytes]
    assert len(made) - (run(x).shape == x.shape) == 3, "scaled, the zeros, and times the input"


@pytest.mark.parametrize("name", ["nms", "argmax"])
def test_what_makes_indices_keeps_nothing(name: str) -> None:
    """Which boxes stay, and where a maximum is, have no gradient, though the boxes have one."""
    b = GraphBuilder("boxes", {"x": TensorType((6, 8)), "scores": TensorType((6,))})
    (boxes,) = b.add("boxes", find_op("linear")(4), ["x"])
    op = find_op("nms")(3) if name == "nms" else find_op("reduction")("argmax", 0)
    (kept, *_) = b.add("which", op, [boxes, "scores"] if name == "nms" else [boxes])
    assert not b.types[kept].dtype.startswith("float")
    found = costcalc.training(b.build([boxes, kept]))
    assert found.untold == ()
    assert found.saved_bytes == costcalc.training(nn.Linear(8, 4), (6, 8)).saved_bytes
