"""``costcalc list``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from costcalc.cli.options import command, option
from costcalc.cli.output import colour, emit, width
from costcalc.errors import UnknownName, listing, near

if TYPE_CHECKING:
    from costcalc.analysis.roofline import Machine

NUMBERS = ("year", "float32", "16 bits", "int8", "bandwidth", "memory")
EXAMPLES = {
    "costcalc list": "all models",
    "costcalc list resnet": "those with resnet in their name or family",
    "costcalc list --task segmentation": "those for a task",
    "costcalc list --machines": "what --machine knows",
}


@command
def list_(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Only names with this in them.", show_default=False)
    ] = "",
    task: Annotated[str | None, option("--task", metavar="TASK", says="Only models for this task.")] = None,
    machines: Annotated[bool, option("--machines", says="The machines instead of the models.")] = False,
) -> None:
    """The models that costcalc ships, and the machines that it knows."""
    from costcalc.backends.grid import GAP, grid
    from costcalc.backends.paint import painted, plain

    columns, least = (
        (_machines(name), {"title": 12}) if machines else (_models(name, task), {"source": 10, "title": 16})
    )
    paint = painted if colour(sys.stdout) else plain
    left = [title for title in columns if title not in NUMBERS]
    rows = grid({title: [title, *cells] for title, cells in columns.items()}, width(), left, least)
    lines = [paint(GAP.join(rows[0]).rstrip(), "bold")]
    lines += [GAP.join([row[0], *(paint(cell, "dim") for cell in row[1:])]).rstrip() for row in rows[1:]]
    if machines:
        lines += ["", "MACs a second at the peak, dense. --machine also takes a YAML file of your own."]
    emit("\n".join(lines) + "\n")


def _models(name: str, task: str | None) -> dict[str, list[str]]:
    from costcalc.zoo import models

    known = models()
    tasks = {about["task"] for about in known.values()}
    if task is not None and task not in tasks:
        raise UnknownName(f"no model is for '{task[:40]}'{near(task, tasks)}; there are {listing(tasks)}")
    chosen = {
        model: about
        for model, about in known.items()
        if (name in model or name in about["family"]) and task in (None, about["task"])
    }
    if not chosen:
        raise UnknownName(f"no model has '{name[:40]}' in its name{near(name, known)}")
    wanted = ("task", "year", "title", *(("source",) if width() >= 110 else ()))
    keys = [key for key in wanted if any(about[key] for about in chosen.values())]
    return {"model": list(chosen)} | {key: [str(about[key]) for about in chosen.values()] for key in keys}


def _machines(name: str) -> dict[str, list[str]]:
    from costcalc.backends.units import count, rate, size
    from costcalc.machines import load_machine, machines

    chosen = [load_machine(machine) for machine in machines() if name in machine]
    if not chosen:
        raise UnknownName(f"no machine has '{name[:40]}' in its name; there are {listing(machines())}")

    def peak(machine: Machine, *types: str) -> str:
        rates = [machine.macs[t] for t in types if t in machine.macs]
        return count(int(max(rates))) if rates else "–"

    def memory(machine: Machine) -> str:
        amount = machine.memory or 0
        return size(8 * amount) if amount % 1000**2 else f"{count(amount)}B"

    return {
        "machine": [m.name for m in chosen],
        "float32": [peak(m, "float32") for m in chosen],
        "16 bits": [peak(m, "float16", "bfloat16") for m in chosen],
        "int8": [peak(m, "int8") for m in chosen],
        "bandwidth": [rate(m.bandwidth) for m in chosen],
        **({"memory": [memory(m) if m.memory else "–" for m in chosen]} if width() >= 100 else {}),
        "title": [m.title for m in chosen],
    }
