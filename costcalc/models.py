"""``load``: a model, by path or by name, as a graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc import zoo
from costcalc.errors import CostcalcError, OptionError, UnknownName
from costcalc.frontends.sources import FrontEnd, Request, Source, checked
from costcalc.ir.dims import Dim
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from costcalc.analysis.symbols import Symbols


def load(
    model: str | os.PathLike[str],
    *inputs: Any,
    batch: Dim | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    symbols: Iterable[str] | Symbols = (),
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    within: str | None = None,
    any_sizes: bool = False,
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
    any_sizes    sizes that a file leaves open and nobody has said may be any that fit: closed forms only want some

    Raises a ``CostcalcError``, with its place in the file, for anything that is wrong.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise OptionError(_no_name(model))
    if inputs:
        refuse_inputs(inputs)
    name = os.fspath(model)
    request = Request(batch, input, parameters or {}, None, within, zoo, any_sizes, layout is not None)
    if not (apply or fold_norm):
        graph = _named(name, request, symbols)
    else:
        from costcalc import transforms

        wanted = transforms.named(apply, fold_norm)
        graph = transforms.apply(_named(name, request, symbols), wanted)
    if layout is None:
        return graph
    from costcalc.ir.layout import laid_out

    return laid_out(graph, layout)


def _named(name: str, request: Request, symbols: Iterable[str] | Symbols) -> Graph:
    """The graph of what ``name`` names, as ``request`` wants it."""
    source = checked(name, request, symbols)
    try:
        with source.unquoted(name):
            return _loaded(source, name, request, symbols)
    except UnknownName as error:
        if not source.is_file and _is_shipped(name.partition(":")[0]):
            error.message += "; a shipped model is named without a colon: costcalc list"
        raise


def refuse_inputs(inputs: Sequence[Any]) -> None:
    """Raise ``OptionError`` where inputs are given by position of what is not a module."""
    says = "only a torch.nn.Module takes inputs; a model that is named takes its shape as input=, without the batch"
    shape = next((one for one in inputs if isinstance(one, (list, tuple)) and len(one) > 1), None)
    if shape is not None and all(isinstance(size, int) for size in shape):
        says += f": input={tuple(shape[1:]) if len(shape) > 3 else tuple(shape)}"
    raise OptionError(says)


def _no_name(given: object) -> str:
    """What to call with what is not a name of a model."""
    says = "load takes the name of a model or a path"
    if hasattr(given, "named_modules"):
        return f"{says}; a module is traced with its inputs: costcalc.trace(module, (1, 3, 224, 224))"
    if isinstance(given, Graph):
        return f"{says}; this is a graph already: costcalc.analyze(graph)"
    return f"{says}, not {type(given).__name__}"


def wanted(
    *,
    batch: Dim | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Request:
    """What is wanted of a model, for ``with_module``, ``with_run`` and ``with_step`` of the sources."""
    return Request(batch, input, parameters or {}, shelf=zoo)


def _loaded(source: Source, name: str, request: Request, symbols: Iterable[str] | Symbols) -> Graph:
    front: FrontEnd = source.front_end()
    if not symbols:
        return front.load(name, request)
    from costcalc.analysis.find_symbols import find_symbols
    from costcalc.analysis.symbols import Symbols

    if not isinstance(symbols, Symbols):
        numbers = front.load(name, request._replace(any_sizes=True))
        symbols = find_symbols(numbers, symbols, request.batch)  # type: ignore[arg-type]
    try:
        return front.load(name, request._replace(symbols=symbols))
    except CostcalcError as error:
        error.message += symbols.blamed(error.message)
        raise


def _is_shipped(name: str) -> bool:
    """Whether ``name`` is that of a shipped model or of a family of them."""
    return name in zoo.models() or any(entry["family"] == name for entry in zoo.models().values())
