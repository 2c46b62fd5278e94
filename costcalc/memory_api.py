"""The functions of ``costcalc`` for what is held at once: ``memory`` of an engine, ``training``, and ``fits``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.arguments import built, check_given, check_numbers, graph_of, how_built
from costcalc.errors import OptionError
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.ir.allocations import ObservedRun
    from costcalc.planning.fits import Fits
    from costcalc.planning.records import Memory
    from costcalc.planning.training import StepAsked, Training


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
    hints: bool = False,
    **kwargs: Any,
) -> Memory:
    """What ``engine`` holds while it runs ``model`` once: the peak, each tensor's life, and where it lies in one block.

    engine   ``"eager"`` (PyTorch), ``"ort"`` (ONNX Runtime), ``"tflite"``, ``"tflm"`` (TFLite Micro), ``"mcu"`` or
             ``"ideal"``: docs/memory.md
    hints    also which one change of the network would save memory, each planned; not where a model's own code was run

    With ``"eager"`` the Python of a PyTorch model is run, without values, and its memory seen to come and go; a spec
    has none, and blocks hold what they are given. The other arguments are those of ``analyze``. Raises a
    ``CostcalcError`` for anything that is wrong with them.

    >>> memory("mobilenet_v2", engine="mcu", bits=8).peak_bytes / 1024
    1372.0
    """
    how = how_built(batch, input, parameters, apply=apply, fold_norm=fold_norm, layout=layout)
    return _memory(model, inputs, kwargs, engine, bits, how, hints=hints)


def _memory(
    model: Graph | str | os.PathLike[str] | nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    engine: str,
    bits: int | None,
    how: Mapping[str, Any],
    *,
    patches: bool = True,
    hints: bool = False,
) -> Memory:
    """``memory``; ``patches`` as ``plan`` has it."""
    from costcalc.planning.engines import known, plan

    check_numbers(bits, None)
    known(engine)
    if engine != "eager" or isinstance(model, Graph) or how.get("apply") or how.get("fold_norm"):
        graph = graph_of(model, inputs, kwargs, how)
        return _hinted(plan(graph, engine, bits, patches=patches), graph, hints)
    check_given(model, inputs, kwargs, how)
    run: ObservedRun | str
    if isinstance(model, (str, os.PathLike)):
        from costcalc.frontends.sources import with_run
        from costcalc.models import wanted

        graph, run = with_run(os.fspath(model), wanted(**built(how)))
    else:
        from costcalc.frontends.torch.memory_run import trace_with_run

        graph, run = trace_with_run(model, inputs, kwargs)
    found = plan(graph, engine, bits, run)
    return _hinted(found, graph, hints and isinstance(run, str))


def _hinted(found: Memory, graph: Graph, hints: bool) -> Memory:
    """``found`` with what one change would save, if ``hints``."""
    if not hints:
        return found
    from costcalc.classes import replace
    from costcalc.planning.hints import hints as hinted

    return replace(found, hints=hinted(graph, found.engine, found.bits))


def fits(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    ram: int | str,
    flash: int | str | None = None,
    engine: str | None = None,
    train: bool = False,
    optimizer: str | None = None,
    checkpoint: int | str | None = None,
    autocast: str | None = None,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Fits:
    """Whether ``model`` fits into ``ram``, its weights into ``flash``; and which batch, width or image would.

    ram      bytes, or an amount with its unit: ``"320 KiB"``
    flash    bytes for the weights; without it they are in RAM too
    engine   by whose rules, ``"tflm"`` if not said
    train    a step of training in PyTorch is meant, all of it in ``ram``; ``optimizer``, ``checkpoint`` and
             ``autocast`` as ``training`` has them, among which what would fit is looked for as well

    The other arguments are those of ``memory``. Other sizes are tried of what has a spec: a PyTorch model would be
    traced for each.

    >>> fits("mobilenet_v2", ram=512 * 1024, flash=2 * 1024**2, bits=8).fits
    False
    >>> fits("resnet50", ram="8 GiB", train=True, optimizer="adamw", batch=64).fits
    True
    """
    from costcalc.amounts.parsing import bytes_of
    from costcalc.planning import fits as fitting
    from costcalc.planning.training import StepAsked

    room = fitting.Room(bytes_of(ram, "ram"), None if flash is None else bytes_of(flash, "flash"))
    how = how_built(batch, input, parameters, apply=apply, fold_norm=fold_norm, layout=layout)
    told = {"optimizer": optimizer, "checkpoint": checkpoint, "autocast": autocast}
    step = StepAsked(**{name: value for name, value in told.items() if value is not None}).check()  # type: ignore[arg-type]
    if train:
        _check_for_training(flash, engine, bits, how)
    elif given := [name for name, value in told.items() if value is not None]:
        raise OptionError(f"{given[0]} is for a step of training: add train=True")

    def needed(args: tuple[Any, ...], options: Mapping[str, Any], how: Mapping[str, Any], asked: StepAsked) -> Any:
        if train:
            return _training(model, args, options, asked, how)
        return _memory(model, args, options, engine or "tflm", bits, how, patches=False)

    found = needed(inputs, kwargs, how, step)
    choices = None
    if isinstance(model, (str, os.PathLike)):
        from costcalc.frontends.sources import source_of

        if not source_of(os.fspath(model)).runs_code:
            graph = graph_of(model, (), {}, how_built(batch, input, parameters))
            choices = fitting.choices(graph, batch or 1, step if train else None)

    def plan(other: fitting.Other) -> Memory | Training:
        sizes = {"batch": other.batch or batch, "input": other.image or input}
        again = {**how, **sizes, "parameters": {**(parameters or {}), **dict(other.parameters)} or None}
        return needed((), {}, again, other.step or step)  # type: ignore[no-any-return]

    return fitting.fits(found, room, choices, plan)


def _check_for_training(flash: int | str | None, engine: str | None, bits: int | None, how: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` for what a step of training is not asked with."""
    if flash is not None:
        raise OptionError("a step of training is in RAM, weights too: leave flash out")
    if engine not in (None, "eager"):
        raise OptionError(f"a step of training is PyTorch's, so not of engine {str(engine)[:40]!r}")
    if bits is not None:
        raise OptionError("a step of training takes no bits")
    for name in ("apply", "fold_norm", "layout"):
        if how.get(name):
            raise OptionError(f"a step of training takes no {name}: models are trained as they are")


def training(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    optimizer: str = "sgd",
    checkpoint: int | str = "none",
    autocast: str = "",
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Training:
    """What a step of training of ``model`` holds and multiplies: kept for the backward pass, gradients, state, peak.

    optimizer    ``"sgd"``, ``"momentum"``, ``"adam"`` or ``"adamw"``
    checkpoint   layers that are done again instead of keeping what they keep: ``"auto"``, those by which least is
                 held; or bytes that all may take, and as little as possible is done again; or ``"none"``
    autocast     ``"bfloat16"`` or ``"float16"``: products are taken in that type, as ``torch.autocast``
                 has it on the CPU

    Of a PyTorch model the forward and the backward pass are run by PyTorch without values; of a spec, another file and
    a graph each op says what PyTorch keeps of it, and PyTorch is not needed. So it is for a model of which something
    is done again. The loss is the sum of all results. The other arguments are those of ``analyze``. Raises a
    ``CostcalcError`` for anything that is wrong with them.

    >>> training("resnet18", batch=2).peak_bytes
    83780840
    """
    from costcalc.planning.training import StepAsked

    asked = StepAsked(optimizer, checkpoint, autocast).check()
    return _training(model, inputs, kwargs, asked, how_built(batch, input, parameters))


def _training(
    model: Graph | str | os.PathLike[str] | nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    asked: StepAsked,
    how: Mapping[str, Any],
) -> Training:
    from costcalc.planning.training import train

    check_given(model, inputs, kwargs, how)
    if isinstance(model, (str, os.PathLike)):
        from costcalc.frontends.sources import with_step
        from costcalc.models import wanted

        graph, seen = with_step(os.fspath(model), wanted(**built(how)), asked.autocast)
        return train(graph, asked, seen)
    if isinstance(model, Graph):
        return train(model, asked)
    from costcalc.frontends.torch.tracer import trace_in_training, unwrapped
    from costcalc.frontends.torch.training import trained

    graph = trace_in_training(model, inputs, kwargs)
    options = {key: value for key, value in kwargs.items() if key != "assume"}
    return train(graph, asked, trained(unwrapped(model), inputs, options, asked.autocast))
