"""``analyze``, ``memory`` and ``fits``: from a model, in whatever form, to what it costs and what an engine holds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.errors import OptionError
from costcalc.ir.fields import ints
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.analysis.roofline import Machine
    from costcalc.ir.run import Run, Step
    from costcalc.planning import fits as fitting
    from costcalc.planning.fits import Fits
    from costcalc.planning.records import Memory
    from costcalc.planning.training import Training


def analyze(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    machine: Machine | str | None = None,
    fps: float | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Report:
    """Every figure of ``model``: a graph, whatever ``load`` takes a name of, or a ``torch.nn.Module``.

    inputs, kwargs             what a module is traced on, as ``trace`` has them
    batch, input, parameters   how to build a model that is named, as ``load`` has them
    bits                       width of floating-point elements, in place of 32: from 1 to 1024
    machine                    also the time on it: a shipped machine's name or a YAML file's path
    fps                        passes a second that are wanted, for the bandwidth that they need: from 0.001 to 10⁹
    layout                     what the axes of the input are, ``"nhwc"``, or of several by name; found unless given
    apply                      transforms, in their order: ``"fold_norm"``, ``"fold_norm,fuse:ort"`` or a list
    fold_norm                  the same as ``fold_norm`` before all that ``apply`` names

    Raises a ``CostcalcError`` for anything that is wrong with what was given.

    >>> analyze("resnet50").total.macs
    4089184256
    """
    _check(bits, fps)
    graph = _graph(model, inputs, kwargs, batch, input, parameters, apply, fold_norm, layout)
    if isinstance(machine, (str, os.PathLike)):
        from costcalc.machines import load_machine

        machine = load_machine(os.fspath(machine))
    return report(graph, bits=bits, machine=machine, fps=fps)


def memory(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    engine: str = "eager",
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Memory:
    """What ``engine`` holds while it runs ``model`` once: the peak, each tensor's life, and where it lies in one block.

    engine   ``"eager"`` (PyTorch), ``"tflite"``, ``"tflm"`` (TFLite Micro), ``"mcu"`` or ``"ideal"``: docs/memory.md

    With ``"eager"`` the Python of a PyTorch model is run, without values, and its memory seen to come and go; a spec
    has none, and blocks hold what they are given. The other arguments are those of ``analyze``. Raises a
    ``CostcalcError`` for anything that is wrong with them.

    >>> memory("mobilenet_v2", engine="mcu", bits=8).peak_bytes / 1024
    1372.0
    """
    given = (batch, input, parameters, apply, fold_norm, layout)
    return _memory(model, inputs, kwargs, engine, bits, given)


def _memory(
    model: Graph | str | os.PathLike[str] | nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    engine: str,
    bits: int | None,
    given: tuple[Any, ...],
    *,
    patches: bool = True,
) -> Memory:
    """``memory``; ``given`` are the last arguments of ``_graph``."""
    from costcalc.planning.engines import known, plan

    _check(bits, None)
    known(engine)
    if engine != "eager" or isinstance(model, Graph) or given[3] or given[4]:
        return plan(_graph(model, inputs, kwargs, *given), engine, bits, patches=patches)
    run: Run | str
    if isinstance(model, (str, os.PathLike)):
        from costcalc.models import load_with_run

        _check_inputs(inputs, kwargs)
        graph, run = load_with_run(model, batch=given[0], input=given[1], parameters=given[2])
    else:
        from costcalc.frontends.torch.lives import trace_with_run

        graph, run = trace_with_run(model, inputs, kwargs)
    return plan(graph, engine, bits, run)


def fits(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    ram: int,
    flash: int | None = None,
    engine: str = "tflm",
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Fits:
    """Whether ``model`` fits into ``ram`` bytes, its weights into ``flash``; and which batch, width or image would.

    flash   bytes for the weights; without it they are in RAM too

    The other arguments are those of ``memory``. Other sizes are tried of what has a spec: a PyTorch model would be
    traced for each.

    >>> fits("mobilenet_v2", ram=512 * 1024, flash=2 * 1024**2, bits=8).fits
    False
    """
    from costcalc.planning import fits as fitting

    given = (batch, input, parameters, apply, fold_norm, layout)
    found = _memory(model, inputs, kwargs, engine, bits, given, patches=False)
    choices = None
    if isinstance(model, (str, os.PathLike)):
        from costcalc.frontends.sources import source_of

        if not source_of(os.fspath(model)).runs_code:
            graph = _graph(model, (), {}, batch, input, parameters, (), False, None)
            choices = _choices(graph, batch or 1)

    def plan(other: Mapping[str, Any]) -> Memory:
        chosen = {name: value for name, value in other.items() if name not in ("batch", "image")}
        again = (
            other.get("batch", batch), other.get("image", input), {**(parameters or {}), **chosen} or None, *given[3:],
        )  # fmt: skip
        return _memory(model, (), {}, engine, bits, again, patches=False)

    return fitting.fits(found, fitting.Room(ram, flash), choices, plan)


def _choices(graph: Graph, batch: int) -> fitting.Choices:
    """What of a spec can be chosen: its batch, the size of its one image, a width among its parameters."""
    from costcalc.planning import fits as fitting

    shapes = [graph.types[value].shape for value in graph.inputs]
    image = shapes[0][1:] if len(shapes) == 1 and len(shapes[0]) == 4 else None
    named = ((name, graph.parameters.get(name)) for name in fitting.WIDTHS)
    width = next(((name, float(w)) for name, w in named if isinstance(w, (int, float)) and w), None)
    return fitting.Choices(batch, image, width)  # type: ignore[arg-type]


def _graph(
    model: Graph | str | os.PathLike[str] | nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    batch: int | None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None,
    parameters: Mapping[str, Any] | None,
    apply: str | Sequence[str],
    fold_norm: bool,
    layout: str | Mapping[str, str] | None,
) -> Graph:
    """The graph of ``model``, as ``analyze`` has the arguments."""
    wanted: tuple[str, ...] = ()
    if apply or fold_norm:
        from costcalc import transforms

        wanted = transforms.named(apply, fold_norm)
    if isinstance(model, (Graph, str, os.PathLike)):
        _check_inputs(inputs, kwargs)
    if isinstance(model, Graph):
        if batch is not None or input is not None or parameters is not None:
            raise OptionError("a graph is built already: batch, input and parameters are given to load()")
        graph = model
    elif not isinstance(model, (str, os.PathLike)):
        from costcalc.frontends.torch.tracer import trace

        graph = trace(model, *inputs, **kwargs)
    else:
        from costcalc.models import load

        graph = load(model, batch=batch, input=input, parameters=parameters)
    if wanted:
        graph = transforms.apply(graph, wanted)
    if layout is not None:
        from costcalc.ir.layout import laid_out

        graph = laid_out(graph, layout)
    return graph


def _check_inputs(inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` where something is given for the forward of what is no module."""
    if inputs or kwargs:
        raise OptionError("only a torch.nn.Module takes inputs; a model that is named takes its shape as input=")


def _check(bits: object, fps: object) -> None:
    """Raise ``OptionError`` for a width or a pace by which figures would be wrong, or not finite."""
    if bits is not None and (type(bits) is not int or not 1 <= bits <= 1024):
        raise OptionError(f"bits must be a whole number from 1 to 1024, not {bits!r}")
    if fps is not None and (type(fps) not in (int, float) or not 1e-3 <= fps <= 1e9):  # type: ignore[operator]
        raise OptionError(f"fps must be a number from 0.001 to 1e9, not {fps!r}")


def training(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    optimizer: str = "sgd",
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Training:
    """What a step of training of ``model`` holds and multiplies: kept for the backward pass, gradients, state, peak.

    optimizer   ``"sgd"``, ``"momentum"``, ``"adam"`` or ``"adamw"``

    The forward and the backward pass are run by PyTorch without values: of a PyTorch model its own Python, of a spec
    its layers as PyTorch's modules, so PyTorch is needed in either case. The loss is the sum of all results. The
    other arguments are those of ``analyze``. Raises a ``CostcalcError`` for anything that is wrong with them.
    """
    from costcalc.analysis.backward import backward
    from costcalc.planning import training as planning

    planning.optimizer(optimizer)
    step: Step | None = None
    notes: list[str] = []
    if isinstance(model, (str, os.PathLike)):
        from costcalc.models import load_with_step

        _check_inputs(inputs, kwargs)
        graph, step = load_with_step(model, batch=batch, input=input, parameters=parameters)
    elif isinstance(model, Graph):
        graph = _graph(model, inputs, kwargs, batch, input, parameters, (), False, None)
    else:
        from costcalc.frontends.torch.tracer import trace, unwrapped
        from costcalc.frontends.torch.training import trained

        graph = trace(model, *inputs, **kwargs)
        step = trained(unwrapped(model), inputs, {key: value for key, value in kwargs.items() if key != "assume"})
    if step is None:
        import torch

        from costcalc.backends.module import to_module
        from costcalc.frontends.torch.training import trained

        types = [graph.types[v] for v in graph.inputs]
        given = [torch.empty(ints(t.shape), dtype=getattr(torch, t.dtype), device="meta") for t in types]
        step = trained(to_module(graph, device="meta", initialise=False), given, {})
        notes.append("its layers are run as PyTorch's modules, each value dropped after its last use")

    def macs() -> tuple[int, int, tuple[str, ...]]:
        found = backward(graph)
        return sum(ints(found.forward.values())), sum(ints(found.backward.values())), found.unknown

    return planning.training(graph.name, step, optimizer, macs, notes)
