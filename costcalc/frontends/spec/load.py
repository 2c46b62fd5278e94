"""A spec, by path or by name, as a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from costcalc.errors import CostcalcError, Location, SpecError
from costcalc.frontends.sources import Request, check_order
from costcalc.frontends.spec import settings
from costcalc.frontends.spec.expand import expand
from costcalc.frontends.spec.files import YAML, Files, pick_variant, split_variant
from costcalc.frontends.spec.values import WorkLimit, admit, is_number, shown
from costcalc.ir.collector import uncollected
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.reading.reach import reach_of

MOST_BLAMED = 3
"""Parameters without which a spec is tried, to tell which one does not fit."""


@uncollected()
def load(name: str, request: Request) -> Graph:
    """The graph of the spec ``name``. Raises ``SpecError`` or another, placed, if there is none."""
    try:
        return _load(name, request)
    except CostcalcError as error:
        if request.symbols is None:
            if request.parameters:
                _blame(error, name, request)
            if request.batch not in (None, 1):
                _blame_batch(error, name, request)
            if request.input is not None:
                _blame_input(error, name, request)
        raise


def _blame(error: CostcalcError, name: str, request: Request) -> None:
    """Say in ``error`` which of the parameters that were given does not fit, where the spec is right without it."""
    for parameter, value in [*request.parameters.items()][:MOST_BLAMED]:
        others = {key: given for key, given in request.parameters.items() if key != parameter}
        try:
            usual = _load(name, request._replace(parameters=others)).parameters.get(parameter)
        except CostcalcError:
            continue
        if usual is None or error.message.startswith(f"{parameter} "):
            return
        said = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        where = f" ({error.location})" if error.location else ""
        fits_not = f"{parameter}={said[:60]} does not fit {name[:80]}, where it is {str(usual)[:60]}"
        error.message = f"{fits_not}: {error.message}{where}"
        if isinstance(value, tuple) and not isinstance(usual, tuple):
            error.message += (
                f"; a model has one {parameter}: run the command for each value, or keep it open with "
                f"`costcalc formula {name[:80]} --symbols {parameter}`"
            )
        error.location = None
        return


def _blame_batch(error: CostcalcError, name: str, request: Request) -> None:
    """Say in ``error`` that the batch does not fit, where the spec is right with a batch of 1."""
    if error.location is None:
        return  # it is about no layer
    try:
        _load(name, request._replace(batch=None))
    except CostcalcError:
        return
    says = f"{name[:80]} has layers that are written for a batch of 1, and cannot have {request.batch}"
    error.message = f"{says}: {error.message}; `costcalc trace --batch {request.batch}` writes a model for that batch"


def _blame_input(error: CostcalcError, name: str, request: Request) -> None:
    """Say in ``error`` that the input does not fit, where the spec is right with its own."""
    if error.location is None:
        return  # it is about no layer
    try:
        own = _load(name, request._replace(input=None))
    except CostcalcError:
        return
    first, *_ = own.inputs
    given = shapes_of(request.input, first)
    wrong = ", ".join("×".join(map(str, shape)) for shape in given.values())
    usual = ", ".join("×".join(map(str, own.types[v].shape[1:])) for v in given)
    error.message = (
        f"{wrong[:80]} does not fit {name[:80]}, whose own input is {usual[:80]}: {error.message} ({error.location})"
    )
    error.location = None


def _refuse_foreign(name: str, path: str) -> None:
    """Raise ``SpecError`` or ``UnknownName`` for a file of another kind, and for a name or path as others have them."""
    is_yaml = path.endswith(YAML)
    if is_yaml and "\\" not in path:
        return
    from costcalc.frontends.unsupported import refuse_foreign, refuse_unread

    if not is_yaml:
        refuse_unread(path)
    refuse_foreign(name)


def _load(name: str, request: Request) -> Graph:
    path = split_variant(name)[0]
    if request.shelf is None or path not in request.shelf.models():
        _refuse_foreign(name, path)
    assert request.shelf is not None
    files, budget = Files(request.shelf, request.within or reach_of(path)), WorkLimit()
    location, symbols = files.locate(name), request.symbols
    try:
        spec = files.spec(location.path, location.shown)
        variant = pick_variant(spec, location.variant)
        values = settings.parameters(spec, variant, request.parameters, budget, symbols.parameters if symbols else ())
        size = 1 if request.batch is None else request.batch
        if symbols and symbols.batch:
            size = Expr.symbol(symbols.batch)
        if not is_number(size) or isinstance(size, float) or (isinstance(size, int) and size < 1):
            raise SpecError(f"batch must be a whole number from 1, not {shown(admit(size))}")
        shapes = shapes_of(request.input, next(iter(spec.inputs), ""))
        for whole in (size, *(s for shape in shapes.values() for s in shape)):
            admit(whole)
        types = settings.inputs(spec, variant, values, budget, size, shapes, symbols.sizes if symbols else None)
        if shapes and not request.laid_out:
            own = settings.inputs(spec, variant, values, budget, size, {})
            for key, shape in shapes.items():
                is_batched = len(own[key].shape) > len(shape)
                check_order(name, key, shape, own[key].shape[is_batched:])
        return expand(spec, variant, values, types, files, budget)
    except RecursionError:
        raise SpecError("the spec is nested too deeply", Location(location.shown)) from None


def shapes_of(given: Sequence[int] | Mapping[str, Sequence[int]] | None, first: str) -> dict[str, tuple[int, ...]]:
    """The shapes that the user gives, by the name of the input."""
    named = given if isinstance(given, Mapping) else {} if given is None else {first: given}
    for name, shape in named.items():
        good = isinstance(shape, Sequence) and not isinstance(shape, str)
        if not good or not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in shape):
            raise SpecError(f"the shape of {name} must be whole numbers from 1, not {shape!r}")
    return {name: tuple(shape) for name, shape in named.items()}
