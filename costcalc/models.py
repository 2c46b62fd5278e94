"""``load``: a spec, by path or by name, as a graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError, OptionError, Place, SpecError, UnknownName
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from costcalc.analysis.symbols import Symbols


def load(
    model: str | os.PathLike[str],
    *,
    batch: Dim | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    symbols: Iterable[str] | Symbols = (),
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    within: str | None = None,
) -> Graph:
    """The graph of a shipped model (``"resnet50"``) or of a YAML file (``"my/net.yaml"``, ``"my/net.yaml:variant"``);
    or a PyTorch model, traced: ``"torchvision:resnet50"``, ``"timm:resnet50"``, ``"package.module:builder"``,
    ``"path/file.py:Net"``, ``"exported.pt2"``. Of these the code runs.

    batch        how many samples at once: 1 if it is not given, or as many as a program was exported with
    input        shape without the batch, ``(3, 256, 256)``; for several inputs a mapping from their names
    parameters   values for the spec's parameters, ``{"num_classes": 10}``
    symbols      what stays symbolic: ``batch``, an axis of the input (``height``, ``width``, ``depth`` or ``frames``,
                 ``length``, ``tokens``), ``size`` of square images, or names of parameters; of an exported program
                 such of its open sizes
    apply        transforms of the graph, in their order: ``"fold_norm"``, ``"fold_norm,fuse:ort"`` or a list
    fold_norm    the same as ``fold_norm`` before all that ``apply`` names
    layout       what the axes of the input are, ``"nhwc"``, or of several by name; found in the graph unless given
    within       the folder in which lie the files that a spec names; by default its repository, or its folder

    Raises a ``CostcalcError``, with its place in the file, for anything that is wrong.
    """
    if layout is not None or apply or fold_norm:
        from costcalc import transforms

        wanted = transforms.named(apply, fold_norm)
        graph = load(model, batch=batch, input=input, parameters=parameters, symbols=symbols, within=within)
        graph = transforms.apply(graph, wanted)
        if layout is None:
            return graph
        from costcalc.ir.layout import laid_out

        return laid_out(graph, layout)
    name = os.fspath(model)
    if ":" in name or name.endswith(".pt2"):
        from costcalc.frontends.torch.models import is_torch_model, load_model

        if is_torch_model(name):
            if symbols:
                return _of_program(name, batch, input, parameters, symbols)
            try:
                return load_model(name, batch=batch, input=input, parameters=parameters)  # type: ignore[arg-type]
            except UnknownName as error:
                if _is_shipped(name.partition(":")[0]):
                    error.message += "; a shipped model is named without a colon: costcalc list"
                raise
    if name.endswith(".py"):
        raise UnknownName(f"{name} is Python code; say what in it is the model, as in {name}:Net")
    batch = 1 if batch is None else batch
    if not symbols:
        return _of_spec(name, batch, input, parameters or {}, None, within)
    from costcalc.analysis.symbols import Symbols, find_symbols

    if not isinstance(symbols, Symbols):
        counted = _of_spec(name, batch, input, parameters or {}, None, within)
        symbols = find_symbols(counted, symbols, batch)  # type: ignore[arg-type]
    try:
        return _of_spec(name, batch, input, parameters or {}, symbols, within)
    except CostcalcError as error:
        error.message += symbols.blamed(error.message)
        raise


def _of_program(
    name: str,
    batch: Dim | None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None,
    parameters: Mapping[str, Any] | None,
    symbols: Iterable[str] | Symbols,
) -> Graph:
    """The graph of an exported program with open sizes as symbols; the others are as given, or as exported."""
    from costcalc.analysis.symbols import Symbols, find_symbols
    from costcalc.frontends.torch.models import load_model

    if not name.endswith(".pt2"):
        says = "is traced with numbers; export it with dynamic_shapes (torch.export), whose sizes stay symbols"
        raise OptionError(f"{name[:80]} {says}, or write a spec of it with `costcalc trace`")
    given: dict[str, Any] = {"batch": batch, "input": input, "parameters": parameters}
    if not isinstance(symbols, Symbols):
        symbols = find_symbols(load_model(name, **given), symbols)
    try:
        return load_model(name, **given, symbols=symbols.called)
    except CostcalcError as error:
        error.message += symbols.blamed(error.message)
        raise


def _of_spec(
    name: str,
    batch: Dim,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None,
    parameters: Mapping[str, Any],
    symbols: Symbols | None,
    within: str | None,
) -> Graph:
    """The graph of a spec, by path or by name."""
    from costcalc import zoo
    from costcalc.frontends.spec import settings
    from costcalc.frontends.spec.expand import expand
    from costcalc.frontends.spec.files import Files, pick_variant, split_variant
    from costcalc.frontends.spec.reach import reach_of, unquoted
    from costcalc.frontends.spec.values import Budget, admit, is_number, shown

    files, budget = Files(zoo, within or reach_of(split_variant(name)[0])), Budget()
    place = files.locate(name)
    try:
        with unquoted(place.path, place.shown):
            spec = files.spec(place.path, place.shown)
        variant = pick_variant(spec, place.variant)
        values = settings.parameters(spec, variant, parameters, budget, symbols.parameters if symbols else ())
        size = Expr.symbol(symbols.batch) if symbols and symbols.batch else batch
        if not is_number(size) or isinstance(size, float) or (isinstance(size, int) and size < 1):
            raise SpecError(f"batch must be a whole number from 1, not {shown(admit(size))}")
        shapes = _shapes(input, next(iter(spec.inputs), ""))
        for whole in (size, *(s for shape in shapes.values() for s in shape)):
            admit(whole)
        types = settings.inputs(spec, variant, values, budget, size, shapes, symbols.sizes if symbols else None)
        return expand(spec, variant, values, types, files, budget)
    except RecursionError:
        raise SpecError("the spec is nested too deeply", Place(place.shown)) from None


def _shapes(given: Sequence[int] | Mapping[str, Sequence[int]] | None, first: str) -> dict[str, tuple[int, ...]]:
    """The shapes that the user gives, by the name of the input."""
    named = given if isinstance(given, Mapping) else {} if given is None else {first: given}
    for name, shape in named.items():
        good = isinstance(shape, Sequence) and not isinstance(shape, str)
        if not good or not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in shape):
            raise SpecError(f"the shape of {name} must be whole numbers from 1, not {shape!r}")
    return {name: tuple(shape) for name, shape in named.items()}


def _is_shipped(name: str) -> bool:
    """Whether ``name`` is that of a shipped model or of a family of them."""
    from costcalc import zoo

    return name in zoo.models() or any(entry["family"] == name for entry in zoo.models().values())
