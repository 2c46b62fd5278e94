"""``costcalc diff``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

from costcalc.backends.terminal import coloured, lines_of_screen, width
from costcalc.cli.choices import Choices
from costcalc.cli.memory import Engine
from costcalc.cli.options import DISPLAY, Flops, Paged, Setting, asked, to_file
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.cli.reproduction import line
from costcalc.errors import OptionError

if TYPE_CHECKING:
    from costcalc.difference.revisions import Building
    from costcalc.ir.graph import Graph
    from costcalc.planning.records import Memory

MOST_TOLD = 20
FEWER_TOLD = (MOST_TOLD, 12, 8, 5, 3)
"""Causes and layers of each model that are told on a terminal: the most that fit it."""

EXAMPLES = {
    "costcalc diff resnet50 resnet101": "two models: what differs, and what that costs",
    "costcalc diff main..HEAD configs/backbone.yaml": "a spec at two revisions of git",
    "costcalc diff HEAD~1..HEAD net.py:Net --input 3x224x224 --allow-code": "a PyTorch model, traced at both",
    "costcalc diff --base origin/main": "every spec that this branch changed",
    "costcalc diff resnet18 resnet34 --engine tflm": "with why more is alive at once",
    "costcalc diff vgg16 vgg19 --by params --format markdown": "for a page, the parameters first",
}


@command
def diff(
    choices: Choices,
    setting: Setting,
    sides: Annotated[
        list[str] | None,
        argument(
            metavar="OLD NEW | REV..REV [MODEL]...",
            help="Two models; or two revisions and the models to compare, by default all changed specs.",
        ),
    ] = None,
    base: Annotated[
        str | None, option("--base", metavar="REV", help="Compare the files in the working tree with this revision.")
    ] = None,
    by: Annotated[
        str, option("--by", metavar="FIGURE", panel=DISPLAY, help="The figure to rank causes by.", shows_default=True)
    ] = "macs",
    all: Annotated[
        bool, option("--all", panel=DISPLAY, help="Show every cause and layer, not only the largest twenty.")
    ] = False,
    engine: Annotated[
        Engine | None,
        option(
            "--engine", "-e", panel=DISPLAY, help="Also the memory of activations in an engine, and why it changed."
        ),
    ] = None,
    format: Annotated[
        Paged, option("--format", "-f", panel=DISPLAY, help="What to write.", shows_default=True)
    ] = Paged.table,
    output: Annotated[str | None, to_file(panel=DISPLAY)] = None,
    flops: Flops = False,
    strict: Annotated[
        bool,
        option("--strict", help="Exit with code 4 if a layer has no rule, or a size that values decide is not set."),
    ] = False,
    allow_code: Annotated[
        bool, option("--allow-code", help="Run models that are Python code, at each revision.")
    ] = False,
) -> int:
    """What changed between two models, and why the figures did.

    Layers are found again by structure, so that a renamed or inserted one does not make all others new. Causes (width,
    depth, kernel, resolution …) add up exactly to the change.
    """
    from costcalc import api
    from costcalc.analysis.figures import ASKED, find_figure, needed
    from costcalc.arguments import energy_of, machine_of
    from costcalc.backends.diff import formats
    from costcalc.difference.git import Repository
    from costcalc.difference.revisions import Range, diff_specs, parse_range

    ranked = find_figure(by)
    by, also = ranked.name, asked(flops or ranked.on_demand)
    if not ranked.is_summed:
        raise OptionError(f"--by {by}: causes are given for figures that are sums over layers, such as macs or traffic")
    machine, energy = machine_of(setting.machine), energy_of(setting.energy)
    if ranked.asks in ASKED and not getattr(setting, ranked.asks):
        raise OptionError(f"--by {by} needs {needed(ranked.asks)}")
    given = choices.choices()
    names = list(sides or [])
    between = parse_range(names[0]) if names else None
    between = Range(base, None) if base is not None else between
    held = engine.value if engine is not None else None
    if between is not None:
        named = names if base is not None else names[1:]
        found = diff_specs(
            Repository(),
            between,
            named,
            given,
            bits=setting.bits,
            machine=machine,
            energy=energy,
            planned=_planned(held, setting.bits),
            allow_code=allow_code,
            ways=None if given else partial(_ways_of_config, setting.bits),
        )
    elif len(names) == 2:
        found = [api.diff(*names, bits=setting.bits, machine=machine, energy=energy, engine=held, **given)]
    else:
        raise OptionError(
            "diff takes two models, or revisions as in main..HEAD and specs, or --base REV; see costcalc diff --help"
        )
    if format is Paged.json:
        text = formats.json(found, also)
    elif format is Paged.csv:
        text = formats.csv(found)
    elif format is Paged.markdown:
        text = formats.markdown(found, by, also)
    elif format is Paged.html:
        from costcalc.backends.page.diff import html
        from costcalc.models import load

        others = {"base": base, "engine": engine, "by": by, "allow_code": allow_code, "output": output}
        again = line("diff", names, choices._asdict(), setting._asdict(), others)
        graphs = {0: load(names[1], **given)} if between is None else {}
        text = html(found, by, again, graphs)
    else:
        screen = None if all else lines_of_screen(output)
        for most in (None,) if all else (MOST_TOLD,) if screen is None else FEWER_TOLD:
            text = formats.text(found, by, width=width(), colour=coloured(output), most=most, also=also)
            if screen is not None and text.count("\n") < screen:
                break
    emit(text, output)
    reports = [report for one in found for report in (one.old, one.new) if report is not None]
    return 4 if strict and any(not report.is_complete for report in reports) else 0


def _ways_of_config(bits: int | None, model: str) -> list[Building]:
    """How the config in the working directory builds ``model``, where it names it; ``bits`` in place of its own."""
    from costcalc.budget.read import find_config, read_config
    from costcalc.difference.revisions import Building

    path = find_config()
    known = read_config(path).models if path else ()
    setups = [setup for one in known if model in (one.name, one.model) for setup in one.at]
    if bits is not None:
        setups = [setup._replace(bits=bits) for setup in setups]
        setups = [*{setup.label: setup for setup in setups}.values()]
    return [Building(setup.choices(), setup.bits, setup.label) for setup in setups]


def _planned(engine: str | None, bits: int | None) -> Callable[[Graph], Memory] | None:
    """How an engine plans a graph; None where none is named."""
    if engine is None:
        return None
    from costcalc.planning.engines import plan

    return lambda graph: plan(graph, engine, bits, patches=False)
