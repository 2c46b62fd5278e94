"""Which model a name on the command line means: ``torchvision:resnet50``, ``timm:vit_base_patch16_224``,
``ultralytics:yolo11n``, ``hf:path/to/config.json``, ``package.module:attribute``, ``path/to/file.py:attribute``,
``exported.pt2``.

Code runs only from what the name says: the module or file is imported, and what it calls.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costcalc.classes import NamedTuple, replace
from costcalc.errors import CostcalcError, OptionError
from costcalc.frontends.sources import SOURCES, Request, Shapes, check_shape, source_of
from costcalc.ir.values import value_at
from costcalc.progress import doing

if TYPE_CHECKING:
    from torch import nn

    from costcalc.frontends.torch.hugging_face_sizes import TextSizes
    from costcalc.frontends.torch.named_model import NamedModel
    from costcalc.ir.allocations import ObservedRun, ObservedStep
    from costcalc.ir.graph import Graph

_VALUE_SIZE = re.compile(r"(proposals|selected|distinct|stored)(_\d+)?")
"""Parameters that are for the trace: sizes that values decide (``data.SIZES``)."""


def load(name: str, request: Request) -> Graph:
    """The graph of the PyTorch model that ``name`` means."""
    symbols = request.symbols.called if request.symbols else None
    given: dict[str, Any] = {"batch": request.batch, "input": request.input, "parameters": request.parameters}
    if request.symbols and not symbols and source_of(name) is SOURCES["hf"]:
        raise OptionError(f"{name[:80]} is of diffusers, whose parts are traced with numbers: it has no closed form")
    if request.any_sizes and not symbols and source_of(name) is SOURCES["hf"]:
        return _with_open_sizes(name, **given)
    return load_model(name, **given, symbols=symbols)


def _with_open_sizes(name: str, batch: int | None, input: Shapes, parameters: Mapping[str, Any]) -> Graph:
    """The graph of a model of transformers in numbers, with what its inputs are in the sizes that may stay open."""
    with kept_apart(name):
        wanted = _wanted(name, batch, input, parameters)
        graph, texts = _traced(name, wanted), wanted.found.texts
        if texts is None:
            return graph
        return texts.declare(graph, batch or 1, input, _at_sizes(name, wanted, texts, batch or 1, input))


def _at_sizes(
    name: str, wanted: _Wanted, texts: TextSizes, batch: int, input: Shapes
) -> Callable[[Mapping[str, int]], Graph]:
    """What traces a model of transformers where some of its sizes are others."""

    def traced(sizes: Mapping[str, int]) -> Graph:
        args, forward = texts.inputs(sizes, batch, input)
        return _traced(name, wanted._replace(args=args, kwargs=forward))

    return traced


def load_model(
    name: str,
    *,
    batch: int | None = None,
    input: Shapes = None,
    parameters: Mapping[str, Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    symbols: Mapping[str, str] | None = None,
) -> Graph:
    """The graph of the PyTorch model that ``name`` means.

    batch        1 if it is not given, or that of an exported program
    input        shapes without the batch
    parameters   keyword arguments of the builder; ``proposals``, ``selected`` and ``distinct`` are for the trace
    kwargs       more keyword arguments of the builder
    symbols      sizes of an exported program that stay open, by PyTorch's names, with what they are called
    """
    parameters = {**(parameters or {}), **(kwargs or {})}
    if symbols:
        with kept_apart(name):
            return _with_symbols(name, batch, input, parameters, symbols)
    return load_with_module(name, Request(batch, input, parameters))[0]


def load_with_module(name: str, request: Request) -> tuple[Graph, Callable[[], nn.Module] | None]:
    """The graph of the PyTorch model that ``name`` means, and what builds the model with values in its weights.

    The latter is None where the model takes other than the graph's inputs, one after another.
    """
    with kept_apart(name):
        return _load_with_module(name, request.batch, request.input, request.parameters)  # type: ignore[arg-type]


def load_with_run(name: str, request: Request) -> tuple[Graph, ObservedRun | str]:
    """The graph of the PyTorch model that ``name`` means, and what a run of it holds, or why there is none."""
    from costcalc.frontends.torch.memory_run import run_or_reason

    with kept_apart(name):
        wanted = _wanted(name, request.batch, request.input, request.parameters)  # type: ignore[arg-type]
        graph = _traced(name, wanted)
        if wanted.found.sizes is not None:
            return graph, "it is an exported program, which has no Python code of its own to run"
        return graph, run_or_reason(wanted.found.model, wanted.args, wanted.kwargs)


def load_with_step(name: str, request: Request, autocast: str = "") -> tuple[Graph, ObservedStep | None]:
    """The graph of the PyTorch model that ``name`` means, and what a step of training holds."""
    from costcalc.frontends.torch.training import trained

    with kept_apart(name):
        wanted = _wanted(name, request.batch, request.input, request.parameters)  # type: ignore[arg-type]
        if wanted.found.sizes is not None:
            return _traced(name, wanted), None
        return _traced_in_training(name, wanted), trained(wanted.found.model, wanted.args, wanted.kwargs, autocast)


class _Wanted(NamedTuple):
    """A model and what it is run on. ``settings`` are for the trace, ``parameters`` for what builds it."""

    found: NamedModel
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    settings: Mapping[str, Any]
    parameters: Mapping[str, Any]


def _load_with_module(
    name: str, batch: int | None, input: Shapes, parameters: Mapping[str, Any] | None
) -> tuple[Graph, Callable[[], nn.Module] | None]:
    wanted = _wanted(name, batch, input, parameters)
    graph = _traced(name, wanted)
    nested = any(isinstance(arg, (list, dict)) for arg in wanted.args)
    plain = not wanted.kwargs and len(graph.inputs) == len(wanted.args) and not nested
    return graph, wanted.found.again if plain else None


def _wanted(name: str, batch: int | None, input: Shapes, parameters: Mapping[str, Any] | None) -> _Wanted:
    given = dict(parameters or {})
    settings = {key: given.pop(key) for key in list(given) if _VALUE_SIZE.fullmatch(key.rpartition(".")[2])}
    doing(f"loading PyTorch and {name}")
    found = _find(name, given)
    args: Sequence[Any] = ()
    forward: Mapping[str, Any] = {}
    if found.sizes is not None:
        args, forward, given = found.sizes.inputs(batch, input, given)
    elif found.named is not None:
        args, forward = found.named(batch or 1, input)
    elif isinstance(input, Mapping):
        for key, shape in input.items():
            check_shape(str(key), shape)
        forward = {key: (batch or 1, *shape) for key, shape in input.items()}
    else:
        if input is not None:
            check_shape("the input", input)
        args = found.inputs(batch or 1, None if input is None else tuple(input))
    return _Wanted(found, args, forward, settings, given)


def _traced_in_training(name: str, wanted: _Wanted) -> Graph:
    """What the model does in training; what it does in evaluation where the other cannot be traced."""
    try:
        return _traced(name, wanted, training=True)
    except CostcalcError:
        return _traced(name, wanted)


def _traced(name: str, wanted: _Wanted, training: bool = False) -> Graph:
    from costcalc.frontends.torch.failures import ModelError
    from costcalc.frontends.torch.tracer import meant, trace_module

    found = wanted.found
    doing(f"tracing {name}")
    try:
        graph = trace_module(
            found.model, wanted.args, wanted.kwargs, name=_called(name),
            settings=wanted.settings, parameters=wanted.parameters, source=name, again=found.again,
            training=training,
        )  # fmt: skip
    except ModelError as error:
        if found.sizes is None:
            error.message += meant(found.model, wanted.args, wanted.kwargs, _without_batch)
        raise
    if found.finished is not None:
        graph = found.finished(graph)
    if found.notes:
        graph = replace(graph, assumed=(*found.notes, *graph.assumed))
    return graph if found.sizes is None else replace(graph, declared=found.sizes.declared(graph.inputs))


def _called(name: str) -> str:
    """What the graph of the model ``name`` is called."""
    if not name.startswith("hf:"):
        return name.rpartition(":")[2] if ":" in name else Path(name).stem
    path = Path(name[3:])
    if path.name == "config.json":
        path = path.absolute().parent
    return path.name.removesuffix(".json")


def _without_batch(hint: str) -> str:
    """What a model that is named takes, as configs and command lines write it."""
    shapes = [shape.split(", ")[1:] for shape in re.findall(r"\(([\d, ]+)\)", hint)]
    return f"\nit takes {', '.join(map('x'.join, shapes))}, which is without the batch"


def _with_symbols(
    name: str, batch: int | None, input: Shapes, parameters: Mapping[str, Any], symbols: Mapping[str, str]
) -> Graph:
    """The graph of an exported program with open sizes as symbols."""
    from costcalc.frontends.torch.expressions import expressions
    from costcalc.frontends.torch.open_sizes import in_symbols
    from costcalc.frontends.torch.tracer import trace_module
    from costcalc.ir.expr import Expr

    given = dict(parameters)
    settings = {key: given.pop(key) for key in list(given) if _VALUE_SIZE.fullmatch(key.rpartition(".")[2])}
    found = _find(name, given)
    if found.texts is not None:
        texts = found.texts
        traced = _at_sizes(name, _Wanted(found, (), {}, settings, given), texts, batch or 1, input)
        ranges = texts.ranges(symbols, batch or 1, input)
        return in_symbols(
            lambda sample: traced({word: sample[symbol] for word, symbol in symbols.items()}),
            None, texts.expressions(symbols), ranges, texts.tried(symbols, ranges),
        )  # fmt: skip
    assert found.sizes is not None
    sizes = found.sizes
    _, _, numbers = sizes.inputs(batch, input, given)
    renamed = {size: Expr.symbol(symbols[size]) if size in symbols else value for size, value in numbers.items()}

    def trace(sample: Mapping[str, int]) -> Graph:
        values = {size: sample.get(symbols.get(size, ""), value) for size, value in numbers.items()}
        args, forward, _ = sizes.inputs(None, None, values)
        return trace_module(
            found.model, args, forward, name=Path(name).stem, settings=settings, parameters=given, source=name,
            again=found.again,
        )  # fmt: skip

    declared = sizes.declared(trace({}).inputs)
    return in_symbols(
        trace,
        {key: tuple(value_at(d, renamed) for d in shape) for key, shape in declared.items()},
        [value_at(e, renamed) for e in expressions(sizes.program) if isinstance(e, Expr)],
        {symbols[size]: (numbers[size], *sizes.ranges[size][1:]) for size in symbols},
    )


@contextmanager
def kept_apart(name: str) -> Iterator[None]:
    """While open, what the model's code prints goes to standard error, and it cannot end the process."""
    from costcalc.frontends.torch.failures import constructor_failed

    try:
        with redirect_stdout(sys.stderr), ExitStack() as stack:
            if source_of(name) is SOURCES["hf"]:
                from costcalc.frontends.torch.hugging_face import offline

                stack.enter_context(offline())
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit above all
        failure = constructor_failed(name, error)
        failure.message = failure.message.replace("cannot be built", "ends the process", 1)
        raise failure from error


def _find(name: str, kwargs: dict[str, Any]) -> NamedModel:
    from costcalc.frontends.torch.libraries import timm, torchvision
    from costcalc.frontends.torch.user_models import user_model

    if source_of(name) is SOURCES["exported"]:
        from costcalc.frontends.torch.exported import exported

        return exported(name)
    location, _, attribute = name.rpartition(":")
    if source_of(name) is SOURCES["hf"]:
        from costcalc.frontends.torch.hugging_face import hugging_face

        return hugging_face(name.removeprefix("hf:"), kwargs)
    if location == "torchvision":
        return torchvision(attribute, kwargs)
    if location == "timm":
        return timm(attribute, kwargs)
    if source_of(name) is SOURCES["ultralytics"]:
        from costcalc.frontends.torch.ultralytics_models import ultralytics

        return ultralytics(name.removeprefix("ultralytics:"), kwargs)
    return user_model(location, attribute, kwargs)
