"""What the functions of ``costcalc`` are given: a model in whatever form as its graph, and what cannot go together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError, listing
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.analysis.energy import EnergyTable
    from costcalc.analysis.roofline import Machine


def how_built(batch: Any, input: Any, parameters: Any, **then: Any) -> dict[str, Any]:
    """How a model is built, and what is done to its graph then: arguments of ``load``."""
    return {"batch": batch, "input": input, "parameters": parameters, **then}


def built(how: Mapping[str, Any]) -> dict[str, Any]:
    """What of it builds a model, as far as it is given."""
    return {name: how[name] for name in ("batch", "input", "parameters") if how[name] is not None}


def graph_of(
    model: Graph | str | os.PathLike[str] | nn.Module,
    inputs: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    how: Mapping[str, Any],
) -> Graph:
    """The graph of ``model``, as ``analyze`` has the arguments."""
    check_given(model, inputs, kwargs, how)
    if isinstance(model, (str, os.PathLike)):
        from costcalc.models import load

        return load(model, **how)
    wanted: tuple[str, ...] = ()
    if how.get("apply") or how.get("fold_norm"):
        from costcalc import transforms

        wanted = transforms.named(how["apply"], how["fold_norm"])
    if isinstance(model, Graph):
        graph = model
    else:
        from costcalc.frontends.torch.tracer import trace

        graph = trace(model, *inputs, **kwargs)
    if wanted:
        graph = transforms.apply(graph, wanted)
    if how.get("layout") is not None:
        from costcalc.ir.layout import laid_out

        graph = laid_out(graph, how["layout"])
    return graph


def loaded(model: Graph | str | os.PathLike[str], options: Mapping[str, Any]) -> Graph:
    """``model`` as a graph; ``options`` are those of ``load``."""
    if isinstance(model, Graph):
        if options:
            raise OptionError(f"a graph is built already: {listing(options)} {_are(options)} given to load()")
        return model
    from costcalc.models import load

    return load(model, **options)


def _are(names: Mapping[str, Any]) -> str:
    return "is" if len(names) == 1 else "are"


def _of_module(given: Mapping[str, Any]) -> str:
    """What to write where the options of a named model are given with a module."""
    shape = given.get("input")
    if isinstance(shape, Sequence) and all(isinstance(size, int) for size in shape):
        has_batch = "batch" not in given and len(shape) > 3 and shape[0] == 1
        whole = tuple(shape) if has_batch else (given.get("batch", 1), *shape)
        return f"a module takes its inputs one after another, with the batch: analyze(module, {whole})"
    builds = "build" if len(given) > 1 or "parameters" in given else "builds"
    return (
        f"{listing(given)} {builds} a model that is named; a module is built already: analyze(module, (1, 3, 224, 224))"
    )


def no_module(model: Any, function: str) -> Any:
    """``model``, unless it is a module, of which the inputs are not known here."""
    if isinstance(model, (Graph, str, os.PathLike)):
        return model
    if type(model).__module__.partition(".")[0] == "torch" or hasattr(model, "named_modules"):
        first = "analyze" if function == "compare" else "trace"
        raise OptionError(
            f"{function} needs the inputs of a module: {function}(costcalc.{first}(module, (1, 3, 224, 224)), …)"
        )
    raise OptionError(f"{function} takes names of models, files and graphs, not {type(model).__name__}")


def machine_of(given: Machine | str | os.PathLike[str] | None) -> Machine | None:
    """The machine, read if it is named."""
    if not isinstance(given, (str, os.PathLike)):
        return given
    from costcalc.machines import load_machine

    return load_machine(os.fspath(given))


def energy_of(given: EnergyTable | str | os.PathLike[str] | None) -> EnergyTable | None:
    """The table of energies, read if it is named."""
    if not isinstance(given, (str, os.PathLike)):
        return given
    from costcalc.energy import load_energy_table

    return load_energy_table(os.fspath(given))


def check_given(model: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any], how: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` where something is given that is for a model of another kind."""
    if isinstance(model, (Graph, str, os.PathLike)):
        check_no_inputs(inputs, kwargs)
    if isinstance(model, (str, os.PathLike)) or not built(how):
        return
    if isinstance(model, Graph):
        raise OptionError("a graph is already built; give batch, input and parameters to load()")
    raise OptionError(_of_module(built(how)))


def check_no_inputs(inputs: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise ``OptionError`` where something is given for the forward of what is not a module."""
    if inputs or kwargs:
        from costcalc.models import refuse_inputs

        refuse_inputs((*inputs, *kwargs.values()))


def check_numbers(bits: object, fps: object, grid: object = None) -> None:
    """Raise ``OptionError`` for a width, a pace or grams by which figures would be wrong, or not finite."""
    if bits is not None and (type(bits) is not int or not 1 <= bits <= 1024):
        raise OptionError(f"bits must be a whole number from 1 to 1024, not {bits!r}")
    if fps is not None and (type(fps) not in (int, float) or not 1e-3 <= fps <= 1e9):  # type: ignore[operator]
        raise OptionError(f"fps must be a number from 0.001 to 1e9, not {fps!r}")
    if grid is not None and (type(grid) not in (int, float) or not 1e-3 <= grid <= 1e6):  # type: ignore[operator]
        raise OptionError(f"grid must be grams from 0.001 to 1e6, not {grid!r}")
