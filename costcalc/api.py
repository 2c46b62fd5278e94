"""The functions of ``costcalc``: from models, in whatever form, to what is asked of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costcalc.analysis.records import Report
from costcalc.analysis.report import report
from costcalc.arguments import (
    check_no_inputs,
    check_numbers,
    energy_of,
    graph_of,
    how_built,
    loaded,
    machine_of,
    no_module,
)
from costcalc.errors import OptionError
from costcalc.ir.collector import uncollected
from costcalc.ir.graph import Graph

if TYPE_CHECKING:
    from torch import nn

    from costcalc.analysis.energy import EnergyTable
    from costcalc.analysis.roofline import Machine
    from costcalc.budget.outcome import Outcome
    from costcalc.comparison import Comparison
    from costcalc.difference.records import Diff
    from costcalc.planning.levels import Levels
    from costcalc.verification.result import VerifyResult


def analyze(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    machine: Machine | str | None = None,
    fps: float | None = None,
    energy: EnergyTable | str | None = None,
    grid: float | None = None,
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
    energy                     also the energy by a table, ``"horowitz_45nm"`` or a YAML file's path, perhaps with a
                               level of memory after a colon, ``"horowitz_45nm:sram_1mib"``
    grid                       grams of CO₂ of a kilowatt hour, from 0.001 to 10⁶: also those of an inference
    layout                     what the axes of the input are, ``"nhwc"``, or of several by name; found unless given
    apply                      transforms, in their order: ``"fold_norm"``, ``"fold_norm,fuse:ort"`` or a list
    fold_norm                  the same as ``fold_norm`` before all that ``apply`` names

    Raises a ``CostcalcError`` for anything that is wrong with what was given.

    >>> analyze("resnet50").total.macs
    4089184256
    """
    check_numbers(bits, fps, grid)
    if grid is not None and energy is None:
        raise OptionError("grid, grams of CO₂ of a kilowatt hour, goes with energy, the table of energies")
    how = how_built(batch, input, parameters, apply=apply, fold_norm=fold_norm, layout=layout)
    # As a whole: else the collector walks over all of the graph before it is dropped. A trace pauses it by itself, once
    # it is out of sight of torch.compile, which knows nothing of the collector.
    reported = uncollected()(_reported) if isinstance(model, (str, os.PathLike)) else _reported
    return reported(model, inputs, kwargs, how, bits, machine, fps, energy, grid)


def _reported(
    model: Graph | str | os.PathLike[str] | nn.Module, inputs: tuple[Any, ...], kwargs: Mapping[str, Any],
    how: Mapping[str, Any], bits: int | None, machine: Machine | str | None, fps: float | None,
    energy: EnergyTable | str | None, grid: float | None,
) -> Report:  # fmt: skip
    graph = graph_of(model, inputs, kwargs, how)
    return report(graph, bits=bits, machine=machine_of(machine), fps=fps, energy=energy_of(energy), grid=grid)


def traffic(
    model: Graph | str | os.PathLike[str] | nn.Module,
    *inputs: Any,
    cache: int | None = None,
    energy: EnergyTable | str | None = None,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
    **kwargs: Any,
) -> Levels:
    """What passes to and from main memory, by how many bytes the chip can hold: at least, fused, and layer by layer.

    cache    bytes, from 1 KiB to 1 TiB, for which ``at`` of the result is; None for the curve alone
    energy   also the energy with each of the three, by this table

    The other arguments are those of ``analyze``; kernels are joined as ``apply`` says, else as ``"fuse"`` does. Raises
    a ``CostcalcError`` for anything that is wrong with them.

    >>> traffic("mobilenet_v2", cache=2**20, bits=8).at.floor_bytes
    2640936
    """
    from costcalc.planning.levels import LEAST, MOST, levels

    check_numbers(bits, None)
    if cache is not None and not LEAST <= cache <= MOST:
        raise OptionError(f"a cache must have from {LEAST:,} to {MOST:,} bytes, not {cache:,}")
    how = how_built(batch, input, parameters, apply=apply, fold_norm=fold_norm, layout=layout)
    return levels(graph_of(model, inputs, kwargs, how), cache, bits, energy_of(energy))


def compare(*models: Report | Graph | str | os.PathLike[str], names: Sequence[str] = (), **options: Any) -> Comparison:
    """Two or more models side by side, with ratios to the first.

    models    reports, or what ``analyze`` takes with ``options``; a module is analysed first, with its inputs
    names     what to call them, in place of their own names

    Raises a ``CostcalcError`` for fewer than two, or for anything that is wrong with one.

    >>> compare("resnet18", "resnet34").lines[0].values
    (1814073344, 3663761408)
    """
    from costcalc.comparison import compare as side_by_side

    if isinstance(models[0] if models else None, (list, tuple)):
        raise OptionError("compare takes the models one after another: compare(a, b)")
    if names and len(names) != len(models):
        raise OptionError(f"names has {len(names)} names for {len(models)} models")
    reports = [one if isinstance(one, Report) else analyze(no_module(one, "compare"), **options) for one in models]
    called = [
        os.fspath(one) if isinstance(one, (str, os.PathLike)) else reports[i].name for i, one in enumerate(models)
    ]
    return side_by_side(reports, tuple(names) or called)


def diff(
    old: Graph | str | os.PathLike[str],
    new: Graph | str | os.PathLike[str],
    *,
    bits: int | None = None,
    machine: Machine | str | None = None,
    energy: EnergyTable | str | None = None,
    name: str = "",
    engine: str | None = None,
    **options: Any,
) -> Diff:
    """What changed between two models, and why their figures did.

    old, new   graphs, or what ``load`` takes with ``options``; a module is traced first, with its inputs
    bits       width of floating-point elements, in place of 32
    machine    also the change of the time on it
    energy     also that of the energy by this table
    name       of the whole; by default made of both names
    engine     also the change of what this engine holds at most, by the rules for graphs, with its causes

    Raises a ``CostcalcError`` for anything that is wrong with one.

    >>> diff("resnet18", "resnet34").change("macs")
    1849688064
    """
    from costcalc.difference import diff as between

    check_numbers(bits, None)
    before, after = (loaded(no_module(one, "diff"), options) for one in (old, new))
    title = name or (before.name if before.name == after.name else f"{before.name} → {after.name}")
    found = between(before, after, bits=bits, machine=machine_of(machine), energy=energy_of(energy), name=title)
    if engine is None:
        return found
    from costcalc.difference.memory_causes import with_memory
    from costcalc.planning.engines import plan

    return with_memory(found, before, after, lambda graph: plan(graph, engine, bits, patches=False))


def check(
    *models: Graph | str | os.PathLike[str],
    budgets: Mapping[str, Any] | None = None,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
    names: Sequence[str] = (),
    config: str | os.PathLike[str] | None = None,
    base: str | None = None,
    trace_base: bool = False,
    compare_to: Graph | str | os.PathLike[str] | None = None,
    locked: bool = False,
    allow_code: bool = False,
    batch: int | None = None,
    input: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Any] | None = None,
    bits: int | None = None,
    apply: str | Sequence[str] = (),
    fold_norm: bool = False,
    layout: str | Mapping[str, str] | None = None,
) -> Outcome:
    """Models held to budgets: those of a config file, or those given here. Nothing is printed or written.

    models       of a config the names of some, all if there are none; with ``budgets`` graphs, or what ``load`` takes
    budgets      figure → amount, or what a config has: ``{"macs": "4.2 G", "params": {"max_increase": "2%"}}``
    layers       pattern of layer names → budgets of their sum: ``{"head.*": {"params": "2 M"}}``
    names        what to call the models, in place of their own names
    config       its path, in place of the nearest ``costcalc.yaml``
    base         compare with where this branch left a revision of git, and not with ``costcalc.lock``
    trace_base   with ``base``: trace models that are code as they are there; needs ``allow_code``
    compare_to   compare with a graph, or with the JSON of an earlier analysis
    locked       also fail where a model is not what ``costcalc.lock`` says
    allow_code   run models that are Python code because the config names them

    The other arguments go with ``budgets`` and are those of ``analyze``; a config has them per model, as ``at``.
    A crossed budget raises nothing: it is in what is returned, which is true if everything passed. Raises a
    ``CostcalcError`` for anything that is wrong with what was given, or with the config.

    >>> found = check("resnet50", budgets={"macs": "4.2 G", "params": 25_000_000})
    >>> bool(found), [verdict.description for verdict in found.failed]
    (False, ['25.6 M is 557 k over the budget of 25.0 M (+2.2 %)'])
    """
    from costcalc.budget import arguments
    from costcalc.budget.session import Asked, judged

    by_hand = budgets is not None or layers is not None
    arguments.check_baselines(base, trace_base, compare_to, locked, allow_code or by_hand)
    how = how_built(batch, input, parameters, apply=apply, fold_norm=fold_norm, layout=layout)
    graphs: dict[str, Graph] = {}
    if by_hand:
        arguments.check_no_config(config)
        check_numbers(bits, None)
        chosen, graphs = arguments.under(arguments.budgets(budgets, layers), models, names, how, bits)
    else:
        chosen = arguments.configured(config, models, {**how, "bits": bits, "names": names})
    if graphs and trace_base:
        raise OptionError("a graph has no code to trace at a base; name the model, or give its past as compare_to")
    asked = Asked(base=base, compare_to=arguments.earlier(compare_to), trace_base=trace_base)
    # Who names a model in Python may run it; who writes a config may not.
    return judged(asked, chosen, allow_code=allow_code or by_hand, with_diffs=True, locked=locked, graphs=graphs)


def verify(model: Graph | str | os.PathLike[str] | nn.Module, *inputs: Any, **options: Any) -> VerifyResult:
    """The figures of ``model`` against PyTorch, fvcore and autograd, layer by layer. Code of the model runs.

    model, inputs   a graph, or what ``load`` takes with ``options``; or a module with its inputs, which are shapes or
                    tensors. The weights of a module of yours are overwritten
    options         of a module, those of ``verify(graph, module)``; else those of ``load``

    Raises a ``CostcalcError`` if torch or fvcore is missing, or for anything that is wrong with what was given.
    """
    from costcalc.verification import verify as check_figures

    if isinstance(model, (Graph, str, os.PathLike)):
        check_no_inputs(inputs, {})
        module = options.pop("module", None) if isinstance(model, Graph) else None
        return check_figures(loaded(model, options), module)
    from costcalc.frontends.torch.tracer import trace

    return check_figures(trace(model, *inputs, **options), model)
