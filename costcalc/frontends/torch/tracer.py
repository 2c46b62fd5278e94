"""Runs a module on the meta device and returns the graph of what it did."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from costcalc.classes import replace
from costcalc.errors import CostcalcError, UnknownName
from costcalc.frontends.calls.lower import Lowering
from costcalc.frontends.torch.decided_layers import value_sizes
from costcalc.frontends.torch.differentiation import Autograd, DerivativesAsked, differentiated, not_differentiated
from costcalc.frontends.torch.exclusive import OfATrace, alone
from costcalc.frontends.torch.failures import INTERPRETER, ModelError, forward_failed, values_asked
from costcalc.frontends.torch.guard import counted_apart, untouched, valued_indices, without_autocast
from costcalc.frontends.torch.inputs import (
    SEQUENCES,
    BesideCPU,
    WithConstants,
    WithoutValues,
    WithValues,
    floating_type,
    named,
    other_shapes,
    shape_hint,
    tensors_in,
)
from costcalc.frontends.torch.mixed_types import taken
from costcalc.frontends.torch.python_values import scripts_told, told_by
from costcalc.frontends.torch.pytrees import CPU, has_values
from costcalc.frontends.torch.recorder import Recorder
from costcalc.frontends.torch.scopes import following
from costcalc.frontends.torch.value_dependent import Assumptions, ValuesNeeded
from costcalc.frontends.torch.values import instead_of_the_process
from costcalc.ir.call import Traced
from costcalc.ir.collector import uncollected
from costcalc.ir.graph import Graph

REAL = "run with real tensors: the model asks for values, and its graph may differ with others"

BY_INPUTS = "inputs require gradients: the forward differentiates by them"


def trace(module: nn.Module, *inputs: Any, assume: Mapping[str, int] | None = None, **kwargs: Any) -> Graph:
    """The graph of one forward pass of a PyTorch module; nothing is allocated, nothing is changed.

    inputs, kwargs   for its forward. A shape such as ``(1, 3, 224, 224)`` stands for a tensor; real tensors may be on
                     any device; lists and dicts of them are looked through; anything else is handed on. Without any,
                     the input that the model's own configuration names
    assume           sizes that depend on data: ``{"proposals": 300}``

    Raises ``ModelError`` where the forward does. Figures are those of ``module.eval()``.

    >>> from torch import nn
    >>> [node.name for node in trace(nn.Sequential(nn.Linear(4, 2), nn.ReLU()), (1, 4)).nodes]
    ['0', '1']
    """
    return _trace(module, inputs, kwargs, assume)


def trace_in_training(module: nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Graph:
    """``trace`` of what ``module`` does in training; of what it does in evaluation where the other cannot be traced."""
    options = dict(kwargs)
    assume = options.pop("assume", None)
    try:
        return _trace(module, inputs, options, assume, training=True)
    except CostcalcError:
        return _trace(module, inputs, options, assume)


def _trace(
    module: nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    assume: Mapping[str, int] | None,
    training: bool = False,
) -> Graph:
    if not isinstance(module, nn.Module):
        raise ModelError(f"trace takes a torch.nn.Module, not {_kind(module)}")
    if not inputs and not kwargs:
        from costcalc.frontends.torch.inputs import default_inputs

        inputs = default_inputs(module)
    try:
        return trace_module(module, inputs, kwargs, settings=assume, training=training)
    except ModelError as error:
        error.message += shape_hint(inputs, kwargs) or meant(module, inputs, kwargs)
        raise


def _kind(given: object) -> str:
    """What ``given`` is, and what to do with it instead."""
    if isinstance(given, type) and issubclass(given, nn.Module):
        return f"the class {given.__name__}: make one first"
    if isinstance(given, str):
        return "a name: costcalc.load takes those"
    name = type(given).__name__
    weights = isinstance(given, Mapping) and any(isinstance(value, torch.Tensor) for value in given.values())
    return f"{name}: weights alone do not say what is run" if weights else name


def meant(
    module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any], tell: Callable[[str], str] = "\n{}".format
) -> str:
    """By which other shapes the forward of ``module`` does not fail, in words that ``tell`` puts; "" if by none."""
    for hint, args, options in other_shapes(module, inputs, kwargs):
        with suppress(CostcalcError):
            trace_module(module, args, options)
            return tell(hint)
    return ""


def trace_run(module: nn.Module, inputs: Sequence[Any], graph: Graph) -> Graph:
    """The graph of a run of ``module`` on real ``inputs``, where ``graph`` assumes what values decide.

    Its sizes are what the values of these inputs and of the module's weights made them. Raises as ``trace`` does.
    """
    model = unwrapped(module)
    made = WithValues(floating_type(model))
    known: dict[str, Any] = {"parameters": graph.parameters, "source": graph.source}
    with uncollected():
        return _traced(model, inputs, {}, graph.name, made, settings=None, **known)


def trace_module(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    name: str = "",
    settings: Mapping[str, int] | None = None,
    parameters: Mapping[str, Any] | None = None,
    source: str = "",
    again: Callable[[], nn.Module] | None = None,
    training: bool = False,
) -> Graph:
    """``trace``, for callers that know more.

    name, source   what the graph is to be called, and where it comes from
    parameters     what the model was built with
    again          builds the model anew with values in its weights, should it need them
    training       all of it is in training mode: what is dropped at random is a layer, statistics are those of a batch
    """
    with alone():
        return _attempted(unwrapped(model), args, kwargs, name, settings, parameters, source, again, training)


def _attempted(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str,
    settings: Mapping[str, int] | None,
    parameters: Mapping[str, Any] | None,
    source: str,
    again: Callable[[], nn.Module] | None,
    training: bool,
) -> Graph:
    """Trace with as few values as will do."""
    name = name or type(model).__name__
    lazy = next((n for n, p in (*model.named_parameters(), *model.named_buffers()) if is_lazy(p)), None)
    if lazy is not None:
        raise ModelError(f"the size of {lazy} of {name} is not known yet; let the lazy modules see an input first")
    tensors = (t for _, t in tensors_in("", (args, kwargs)))
    if any(map(torch._C._functorch.is_functorch_wrapped_tensor, (*model.parameters(), *model.buffers(), *tensors))):
        raise ModelError(
            f"{name} or its inputs stand inside a transform of torch.func (vmap, grad); trace outside of it"
        )
    known: dict[str, Any] = {
        "settings": settings, "parameters": parameters, "source": source, "training": training
    }  # fmt: skip
    reason = None
    with uncollected():
        for made in _attempts(model):
            try:
                return _traced(model, args, kwargs, name, made, **known)
            except ValuesNeeded as asked:
                reason = asked
            except UnknownName:
                raise
            except CostcalcError:
                if reason is None:
                    raise
    if again is not None:
        _check_memory(model, name)
        model = unwrapped(again())
    if not all(map(has_values, (*model.parameters(), *model.buffers()))):
        raise ModelError(f"the forward of {name} {reason}") from None
    _check_memory(model, name)
    return _traced(model, args, kwargs, name, WithValues(floating_type(model)), **known)


def _attempts(model: nn.Module) -> Iterator[WithoutValues]:
    """Ways to run a model without weights, each for those that ask for values in the one before."""
    floating = floating_type(model)
    yield (first := WithoutValues(floating))
    yield BesideCPU(floating)
    yield WithConstants(floating)
    if any(rank <= SEQUENCES for rank in first.ranks) and any(isinstance(m, nn.Embedding) for m in model.modules()):
        yield WithConstants(floating, whole_numbers=SEQUENCES)  # perhaps it asks before it looks its input up


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside ``torch.compile``, ``DataParallel`` and their like."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in (
            "DataParallel",
            "DistributedDataParallel",
            "FullyShardedDataParallel",
        ):
            inner = getattr(model, "module", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _traced(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    name: str,
    made: WithoutValues,
    *,
    settings: Mapping[str, int] | None,
    parameters: Mapping[str, Any] | None,
    source: str,
    less: bool = False,
    autograd: Autograd = "off",
    training: bool = False,
) -> Graph:
    assumptions = Assumptions(settings, less=less)
    if made.values == "all":
        assumptions.note(REAL)
    elif made.zeros and made.whole_numbers:
        assumptions.note("whole numbers given as shapes are zeros: the model asks for values")
    given, options = made.of(tuple(args)), made.of(dict(kwargs))
    if autograd == "by inputs":
        assumptions.note(BY_INPUTS)
        for _, tensor in tensors_in("", (given, options)):
            tensor.requires_grad_(tensor.is_floating_point())
    asked = DerivativesAsked()
    with ExitStack() as stack:
        where = stack.enter_context(following(model))
        for guard in (
            untouched(model, whole=autograd == "off", training=training),
            not_differentiated(asked) if autograd == "off" else differentiated(model, on_meta=made.values != "all"),
            _eager(),
            without_autocast(assumptions.note),
            valued_indices(),
            counted_apart(),
        ):
            stack.enter_context(guard)
        recorder = Recorder(model, where, assumptions, made.values, autograd=autograd != "off")
        stack.enter_context(instead_of_the_process(recorder.runner.generator))
        stack.enter_context(told_by(recorder.runner.told, assumptions))
        stack.enter_context(scripts_told(made.values))
        if "torch.nested._internal.ops" in sys.modules:  # there are none before
            from costcalc.frontends.torch.nested import attended_one_by_one

            stack.enter_context(attended_one_by_one(recorder.runner.told))
        inputs: dict[str, Traced] = {}
        for key, tensor in named(model, given, options):
            inputs |= recorder.adopt_input(key, tensor)
        again, wanted = False, autograd
        try:
            with recorder, OnCPU() if made.values == "constants" else nullcontext():
                result = model(*given, **options)
        except Exception as error:
            if asked.by(error):
                wanted = "on" if autograd == "off" else "by inputs"
            # TorchScript makes an error of its own of what is raised below it.
            valued = isinstance(error, ValuesNeeded) or (recorder.asked and INTERPRETER in str(error))
            if wanted == autograd and made.values != "all" and (valued or _needs_values(error)):
                raise ValuesNeeded(values_asked(error, where.failed)) from error
            again = bool(made.ranks) and not made.whole_numbers and _wants_whole_numbers(error)
            if not again and wanted == autograd:
                raise forward_failed(name, error, where.failed, recorder.failing, recorder.calls) from error
        else:
            wanted = "on" if asked.by(None) else autograd
            outputs = [made for _, t in tensors_in("", result) for made in recorder.made(t)]
        finally:
            recorder.runner.shape_back()
    known: dict[str, Any] = {
        "settings": settings, "parameters": parameters, "source": source, "training": training
    }  # fmt: skip
    if again or wanted != autograd:
        number = made.looked_up if again else made.whole_numbers
        anew = type(made)(made.floating, whole_numbers=number)
        return _traced(model, args, kwargs, name, anew, **known, less=less, autograd=wanted)
    if not less:
        assumptions.check_settings(name)
    frozen = (key for key, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad)
    packed = recorder.packed.weights
    weights = {t.weight: t for t in (*recorder.weights, *packed)}
    lowering = Lowering(
        name, inputs, weights, frozenset(frozen), recorder.lines.maker, quantised=bool(packed), training=training
    )
    steps, calls = [], recorder.calls
    calls.reverse()
    while calls:  # of tens of thousands each is let go as its layers are there
        made_of = taken(lowering, calls.pop())
        if assumptions.decisions:
            steps.append(made_of)
    if not outputs:
        raise ModelError(f"the forward of {name} returns no tensor")
    graph = lowering.graph(outputs, {**(parameters or {}), **assumptions.used}, assumptions.made, source, where.classes)
    if less or not assumptions.decisions:
        return graph

    def with_less() -> Graph:
        return _traced(
            model, args, kwargs, name, type(made)(made.floating, whole_numbers=made.whole_numbers), **known, less=True,
            autograd=autograd,
        )  # fmt: skip

    found = value_sizes(
        graph,
        assumptions.names(),
        assumptions.decisions,
        assumptions.bounds,
        steps,
        None if made.values == "all" else with_less,
    )
    return replace(graph, sizes=found)


@contextmanager
def _eager() -> Iterator[None]:
    """Modules compiled by ``torch.compile`` run as they were written."""
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


class OnCPU(OfATrace):
    """While entered, all tensors say that they are on the CPU, so that what a model makes beside them has values."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return CPU if func == _DEVICE else func(*args, **(kwargs or {}))


_DEVICE = torch.Tensor.device.__get__
_NEED_VALUES = re.compile(  # then autocast, ``weight.data = …``, sparse tensors, quantised ones
    r"\b[Mm]eta\b|data-dependent|fake impl|unsupported scalarType|set_data.* incompatible tensor type"
    r"|do not have strides|different layout|must be quantized"
)


def _needs_values(error: Exception) -> bool:
    """Whether an operator says that it cannot run without values."""
    return _NEED_VALUES.search(str(error)) is not None


def _wants_whole_numbers(error: Exception) -> bool:
    """Whether a layer complains of floating-point input where it looks things up."""
    text = str(error)
    said = ("scalar types: Long, Int", "tensors used as indices must be long", "indices to be long or int")
    return any(words in text for words in said)


def _check_memory(model: nn.Module, name: str) -> None:
    """A run with values needs room for the weights until they are there, and then for activations: a guess of as much.

    Raises ``CostcalcError`` where there is none.
    """
    needed = sum(p.numel() * p.element_size() for p in model.parameters())
    free = _free_memory()
    if free is not None and needed > free:
        raise CostcalcError(f"{name} needs real values, and {needed >> 20} MiB for them; {free >> 20} MiB are free")


def _free_memory() -> int | None:
    """Bytes that a process can have; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    available = (line.split()[1] for line in lines if line.startswith("MemAvailable"))
    return next((int(kibibytes) << 10 for kibibytes in available), None)
