"""``costcalc list``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any

from costcalc.backends.terminal import coloured, width_of_lists
from costcalc.cli.options import Format, Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.errors import OptionError, UnknownName, listing, near

EXAMPLES = {
    "costcalc list": "all models",
    "costcalc list resnet": "those with resnet in their name or family",
    "costcalc list 'resnet??' --sort macs": "by a pattern, the most MACs first",
    "costcalc list --task segmentation": "those for a task",
    "costcalc list --max-macs 600M --max-params 5M": "those that cost no more",
    "costcalc list --family efficientnet --format csv": "a family, for a spreadsheet",
    "costcalc list --machines": "what --machine knows",
    "costcalc list --transforms": "what --apply knows",
}
PEAK = "MACs a second at the peak, dense. --machine also takes a YAML file of your own.\n"


class SortKey(str, Enum):
    """What models are sorted by."""

    name = "name"
    family = "family"
    task = "task"
    macs = "macs"
    params = "params"
    year = "year"


@command
def list_(
    name: Annotated[
        str,
        argument(metavar="[NAME]", help="Only names with this in them, or like 'vgg*'."),
    ] = "",
    task: Annotated[str | None, option("--task", metavar="TASK", help="Only models for this task.")] = None,
    family: Annotated[str | None, option("--family", metavar="FAMILY", help="Only models of this family.")] = None,
    max_macs: Annotated[
        str | None, option("--max-macs", metavar="N", help="Only models with at most that many MACs: 600M.")
    ] = None,
    max_params: Annotated[
        str | None, option("--max-params", metavar="N", help="Only models with at most that many parameters: 5M.")
    ] = None,
    sort: Annotated[
        SortKey | None, option("--sort", help="Words from a to z, numbers from the largest; by name if left out.")
    ] = None,
    machines: Annotated[bool, option("--machines", help="The machines instead of the models.")] = False,
    energy: Annotated[bool, option("--energy", help="The tables of energies instead of the models.")] = False,
    transforms: Annotated[bool, option("--transforms", help="The transforms instead of the models.")] = False,
    format: Annotated[Format, option("--format", "-f", help="What to write.", shows_default=True)] = Format.table,
    output: Output = None,
) -> None:
    """The models that costcalc ships, with what each costs at its own input; and the machines, tables of
    energies and transforms it knows.

    On a terminal the table has as many columns as fit, in a pipe or a file all. The other formats have exact numbers.
    """
    from costcalc.backends import catalogue
    from costcalc.backends.paint import painted, plain

    asked = [
        kind for kind, wanted in (("machines", machines), ("energy", energy), ("transforms", transforms)) if wanted
    ]
    if len(asked) > 1:
        raise OptionError("--machines, --energy and --transforms list different things; choose one")
    kind = asked[0] if asked else "models"
    words, most = {"task": task, "family": family}, {"macs": max_macs, "params": max_params}
    if kind != "models":
        for option_, given in {**words, "max-macs": max_macs, "max-params": max_params, "sort": sort}.items():
            if given is not None:
                raise OptionError(f"--{option_} is for models; --{kind} takes a name and a format")
        entries = {"machines": _machines, "energy": _energy, "transforms": _transforms}[kind](name)
    else:
        entries = _cheap(_models(name, words), most)
        if sort is not None:
            entries.sort(key=lambda entry: _largest_first(entry[sort.value]))
    if format is Format.table:
        text = catalogue.table(kind, entries, width_of_lists(output), painted if coloured(output) else plain)
        emit(text + (f"\n{PEAK}" if machines else ""), output)
    else:
        emit(getattr(catalogue, format.value)(kind, entries), output)


def _models(name: str, words: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """The shipped models with ``name`` in theirs or in their family, and with those words."""
    from costcalc.zoo import figures, models

    costs = figures()
    known = {
        model: {"name": model, **about, "year": int(about["year"]), **costs[model]} for model, about in models().items()
    }
    chosen = [entry for entry in known.values() if _like(name, entry["name"]) or _like(name, entry["family"])]
    if not chosen:
        raise UnknownName(f"no model has '{name[:40]}' in its name{near(name, known)}")
    for key, word in words.items():
        there = {entry[key] for entry in known.values()}
        if word is not None and word not in there:
            raise UnknownName(f"there is no {key} '{word[:40]}'{near(word, there)}; there are {listing(there)}")
        found = [entry for entry in chosen if word in (None, entry[key])]
        if not found:
            has = listing({entry[key] for entry in chosen})
            raise UnknownName(f"none of these {len(chosen)} models has {key} '{word}'; they have {has}")
        chosen = found
    return chosen


def _cheap(models: list[dict[str, Any]], most: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Those of ``models`` that cost no more than ``most`` says; ``UnknownName`` names the least if there are none."""
    for figure, text in most.items():
        if text is not None:
            from costcalc.amounts.parsing import amount
            from costcalc.analysis.figures import FIGURES

            limit = amount(text, FIGURES[figure])
            found = [entry for entry in models if entry[figure] <= limit]
            if not found:
                least = min(models, key=lambda entry: int(entry[figure]))
                what = f"{least['name']} has {least[figure]:,} {FIGURES[figure].title}"
                raise UnknownName(f"no model is that small: of these {len(models)} models {what}, the least")
            models = found
    return models


def _machines(name: str) -> list[dict[str, Any]]:
    from costcalc.machines import load_machine, machines

    chosen = [load_machine(machine).to_dict() for machine in machines() if _like(name, machine)]
    if not chosen:
        raise UnknownName(f"no machine has '{name[:40]}' in its name; there are {listing(machines())}")
    return chosen


def _energy(name: str) -> list[dict[str, Any]]:
    from costcalc.energy import energy_tables, load_energy_table

    chosen = [load_energy_table(table).to_dict() for table in energy_tables() if _like(name, table)]
    if not chosen:
        raise UnknownName(f"no table of energies has '{name[:40]}' in its name; there are {listing(energy_tables())}")
    return chosen


def _transforms(name: str) -> list[dict[str, Any]]:
    from costcalc.transforms import TRANSFORMS

    found = [
        {"name": key, "kinds": list(t.kinds), "says": t.description}
        for key, t in TRANSFORMS.items()
        if _like(name, key)
    ]
    if not found:
        raise UnknownName(f"no transform has '{name[:40]}' in its name; there are {listing(TRANSFORMS)}")
    return found


def _like(pattern: str, name: str) -> bool:
    """Whether ``name`` has ``pattern`` in it, or fits it if it has wildcards."""
    if not set(pattern) & set("*?["):
        return pattern in name
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


def _largest_first(value: int | str) -> int | str:
    return value if isinstance(value, str) else -value
