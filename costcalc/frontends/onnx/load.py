"""The graph of an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError, OptionError, listing, near
from costcalc.frontends.onnx.build import Build
from costcalc.frontends.onnx.following import Following
from costcalc.frontends.onnx.nodes import shown_name
from costcalc.frontends.onnx.read import OnnxModel, read
from costcalc.frontends.onnx.sizes import Open
from costcalc.frontends.onnx.wire import DamagedFile
from costcalc.frontends.sources import Request
from costcalc.ir.call import Traced
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.ir.tensor import TensorType
from costcalc.reading.files import mapped


def load(name: str, request: Request) -> Graph:
    """The graph of the ONNX file ``name``; nothing in it runs, and its weights are not read.

    The parameters of ``request`` are open sizes by the file's names for them, and sizes that values decide.

    Raises a ``CostcalcError`` for a file that cannot be counted.
    """
    symbols = request.symbols.called if request.symbols else {}
    for side in TRIED if request.any_sizes else ():
        try:
            return _built(name, request, symbols, side)[0]
        except OptionError:
            raise
        except CostcalcError:
            pass
    return _built(name, request, symbols)[0]


def values_of(name: str, request: Request) -> tuple[Graph, dict[str, TensorType], OnnxModel]:
    """The graph of ``name``, the type of each value of its main graph by the file's name for it, its records."""
    graph, build = _built(name, request, {})
    types = {key: v.type for key, v in build.whole.items() if isinstance(v, Traced)}
    return graph, types, build.model


TRIED = (224, 256, 512, 64, 16, 8)
"""What sizes may be that are not said, if they fit."""


def _at_others(
    model: OnnxModel, path: str, sizes: Open, named: Mapping[str, Any], rest: Mapping[str, int], following: Following,
    unset: Mapping[str, Any],
) -> tuple[Build, Graph]:  # fmt: skip
    """The graph at other sizes than the file fixes, once ``following`` knows what its nodes met at these.

    Raises ``CostcalcError`` that names the node that does not take them.
    """
    following.begin()
    build = Build(model, Path(path).stem, {**sizes.shapes, **sizes.others}, named, rest, following)
    try:
        return build, build.graph(path, unset)
    except CostcalcError as error:
        fixed = listing(f"{key[:80]} {'×'.join(map(str, sizes.shapes[key]))}" for key in sizes.others)
        error.message = f"it fixes the sizes of {fixed}, and does not take others: {error.message}"
        raise


def _built(path: str, request: Request, symbols: Mapping[str, str], side: int | None = None) -> tuple[Graph, Build]:
    """The graph of the file at ``path``, and what built it; sizes that nobody has said are ``side``."""
    name = Path(path).name
    try:
        with mapped(path, "an ONNX model") as data:
            model = read(data)
        given = {t.name for t in model.graph.tensors}
        sizes = Open([one for one in model.graph.inputs if one.name not in given])
        values, rest = sizes.values(name, request.batch, request.input, request.parameters, side)  # type: ignore[arg-type]
        for key, value in rest.items():
            if type(value) is not int or value < 0:
                raise OptionError(f"{key[:80]} of {name} is a whole number from 0, not {value!r}")
        named: dict[str, Any] = dict(values)
        for size, letter in symbols.items():
            named[size] = Expr.symbol(letter)
        following = Following(sizes.batch) if sizes.others else None
        build = Build(model, Path(path).stem, sizes.shapes, named, rest, following)
        unset = {size: value for size, value in values.items() if size not in symbols}
        graph = build.graph(path, unset)
        if following is not None:
            build, graph = _at_others(model, path, sizes, named, rest, following, unset)
    except DamagedFile as error:
        raise CostcalcError(f"{path} cannot be read: {error.message}") from None
    except RecursionError:
        raise CostcalcError(f"{path} cannot be read: what is in it stands too deep in each other") from None
    except MemoryError:
        raise CostcalcError(f"{path} cannot be read: it needs more memory than there is") from None
    except OptionError:
        raise
    except CostcalcError as error:
        if error.location is None:
            error.message = f"{path}: {error.message}"
        raise
    for key in rest:
        if key not in build.used:
            known = {**sizes.names, **build.used}
            has = f"; it has {listing(known)}" if known else "; it has none"
            raise OptionError(f"{name} leaves no size '{key[:80]}' open{near(key, known)}{has}")
    declared = {shown_name(key): shape for key, shape in sizes.shapes.items()}
    return replace(graph, declared=declared, parameters={**graph.parameters, **build.used}, own_names=True), build
