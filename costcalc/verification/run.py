"""Running a module before witnesses: what it returned, and what they counted in each submodule.

Nothing here knows how the module was made.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple
from costcalc.ir.tensor import FLOATING_BITS, TensorType

if TYPE_CHECKING:
    import torch
    from torch import nn

    from costcalc.ir.graph import Graph

Shape = tuple[int, ...]
Counts = Mapping[str, "Counter[str]"]  # submodule → operator → count, without what its own submodules did


class WitnessRun(NamedTuple):
    """What one run of a module showed.

    outputs   shapes of what the module returned
    shapes    by submodule, for each of its calls the shapes of what it returned
    macs      by submodule, what torch's FlopCounterMode counted in it, in MACs
    scopes    submodules in which calls were made, as a module tells that does not call them: an exported program
    refused   where the run broke off and why, in PyTorch's words; empty if it did not
    differentiates   the forward asks for derivatives, so that it was run with autograd
    """

    outputs: tuple[Shape, ...]
    shapes: Mapping[str, list[tuple[Shape, ...]]]
    macs: Counts
    refused: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    differentiates: bool = False


@contextmanager
def repeatable() -> Iterator[None]:
    """While it lasts, what is random is the same as the last time; the process's own random numbers are left alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def input_for(t: TensorType, device: str) -> torch.Tensor:
    """A tensor of type ``t``: noise, or zeros where elements are indices."""
    import torch

    shape, dtype = tuple(d.__index__() for d in t.shape), getattr(torch, t.dtype)  # type: ignore[union-attr]
    if t.dtype in FLOATING_BITS:
        return torch.rand(shape, dtype=dtype, device=device)
    return torch.zeros(shape, dtype=dtype, device=device)


class ModuleCall(NamedTuple):
    """One call of a submodule: which, from 0."""

    path: str
    number: int


def calls_by_number(graph: Graph, ran: WitnessRun) -> dict[str, ModuleCall]:
    """For each layer that is a call of a submodule which is called several times, that call: layers are numbered in the
    order of the calls. Of a submodule that is several layers a call nothing is told.
    """
    layers: dict[str, list[str]] = {}
    for node in graph.nodes:
        path, _, number = node.name.rpartition("_")
        is_numbered = number.isdecimal() and path in ran.shapes and node.name not in ran.shapes
        layers.setdefault(path if is_numbered else node.name, []).append(node.name)
    return {
        name: ModuleCall(path, number)
        for path, names in layers.items()
        if len(names) == len(ran.shapes.get(path, ())) > 1
        for number, name in enumerate(names)
    }


def level_weights(module: nn.Module) -> None:
    """Give each weight one positive value, such that convolutions and linear layers average what they see."""
    import torch

    with torch.no_grad():
        for weight in module.parameters():
            weight.requires_grad_(False).fill_(weight.shape[0] / max(1, weight.numel()) if weight.ndim > 1 else 0.5)


def run(module: nn.Module, inputs: tuple[torch.Tensor, ...], trained: Sequence[torch.nn.Parameter] = ()) -> WitnessRun:
    """Run ``module`` once, watching shapes and torch's own counter; with autograd if its forward differentiates.

    trained   the weights that then require gradients
    """
    found = _run(module, inputs)
    for also in ((), inputs):  # as a trace has it: inputs require gradients where nothing else would do
        if not found.refused or not any(words in found.refused[1] for words in DIFFERENTIATES):
            break
        floating = [t for t in (*also, *trained) if t.is_floating_point()]
        try:
            for tensor in floating:
                tensor.requires_grad_()
            found = _run(module, inputs, differentiates=True)
        finally:
            for tensor in floating:
                tensor.requires_grad_(False).grad = None
    return found


DIFFERENTIATES = ("does not require grad", "_will_engine_execute_node")
"""Words of errors without autograd, and of the hooks by which torch's counter tells modules apart with it."""


class _Whole:
    """Stands for these hooks: all that is counted is the model's."""

    parents = frozenset(("Global",))

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _run(module: nn.Module, inputs: tuple[torch.Tensor, ...], *, differentiates: bool = False) -> WitnessRun:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from costcalc.frontends.torch.program import results_seen
    from costcalc.frontends.torch.scopes import watching

    counter = FlopCounterMode(display=False)
    if differentiates:
        counter.mod_tracker = _Whole()  # type: ignore[assignment]
    inside = [""]
    macs: dict[str, Counter[str]] = {"": Counter()}
    shapes: dict[str, list[tuple[Shape, ...]]] = {}
    counted = 0

    def settle() -> None:
        # What was counted since the last call or return was counted in the submodule that is running.
        nonlocal counted
        now = counter.get_total_flops()
        if now != counted:
            macs.setdefault(inside[-1], Counter())["macs"] += (now - counted) // 2
            counted = now

    def enter(name: str) -> Any:
        def hook(_: nn.Module, __: Any) -> None:
            settle()
            inside.append(name)

        return hook

    def leave(name: str) -> Any:
        def hook(_: nn.Module, __: Any, made: Any) -> None:
            settle()
            inside.pop()
            shapes.setdefault(name, []).append(_shapes(made))

        return hook

    def moved(path: str) -> None:
        settle()
        inside[-1] = path
        told.add(path)

    def returned(path: str, made: torch.Tensor) -> torch.Tensor:
        if path:
            shapes.setdefault(path, []).append(_shapes(made))
        return made

    told: set[str] = set()
    hooks = []
    for name, child in module.named_modules():
        if name:
            hooks += [child.register_forward_pre_hook(enter(name)), child.register_forward_hook(leave(name))]
    try:
        with (
            torch.set_grad_enabled(differentiates),
            unfused(module),
            repeatable(),
            watching(module, moved),
            results_seen(module, returned),
            counter,
        ):
            made = module(*inputs)
            settle()
    except (RuntimeError, ValueError) as error:  # of a norm over one value, for one
        return WitnessRun(
            (), shapes, macs, (inside[-1], str(error).partition("\n")[0]), frozenset(told), differentiates
        )
    finally:
        for handle in hooks:
            handle.remove()
    return WitnessRun(_shapes(made), shapes, macs, (), frozenset(told), differentiates)


def fvcore_counts(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> Counts:
    """What fvcore counts in each submodule, without what it counts in the submodules of that."""
    import torch
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(module, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    with torch.no_grad(), unfused(module), repeatable():
        counts = analysis.by_module_and_operator()
    own = {name: Counter({op: int(n) for op, n in ops.items()}) for name, ops in counts.items()}
    for name in counts:
        if name:
            own[name.rpartition(".")[0]].subtract({op: int(n) for op, n in counts[name].items()})
    return {name: +ops for name, ops in own.items()}


@contextmanager
def unfused(module: nn.Module) -> Iterator[None]:
    """Let torch take the steps that counters see, not kernels that they count as nothing; and without remarks."""
    import torch
    from torch import nn
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from costcalc.frontends.torch.exclusive import alone, replaced_here
    from costcalc.frontends.torch.program import by_parts

    with ExitStack() as stack:
        stack.enter_context(by_parts(module))
        stack.enter_context(alone())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        # An exported program is one module, whose code calls the operator.
        if any(isinstance(m, nn.RNNBase) or "lstm" in getattr(m, "code", "") for m in module.modules()):
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(replaced_here(torch.backends.mha, "get_fastpath_enabled", lambda _: lambda: False))
        yield


def _shapes(made: Any) -> tuple[Shape, ...]:
    import torch
    from torch.utils._pytree import tree_leaves

    return tuple(tuple(t.shape) for t in tree_leaves(made) if isinstance(t, torch.Tensor))
