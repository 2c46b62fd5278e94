"""``costcalc init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.errors import OptionError

EXAMPLES = {
    "costcalc init": "budgets for every spec below this folder",
    "costcalc init resnet50 configs/head.yaml": "for these",
}


@command
def init(
    models: Annotated[
        list[str] | None, argument(metavar="[MODEL]...", says="Specs or names; the specs below if none.")
    ] = None,
    config: Annotated[
        str, option("--config", metavar="FILE", says="Where to write it.", shows_default=True)
    ] = "costcalc.yaml",
) -> None:
    """Write costcalc.yaml: the models there are, with budgets a little above what they cost today."""
    from costcalc.budget.init import existing_config, first_config
    from costcalc.writing import update

    if not config.endswith((".yaml", ".yml")):
        raise OptionError(f"--config {config[:60]}: the config is a YAML file, so its name ends in .yaml")
    folder = str(Path(config).parent)
    there = existing_config(folder) if Path(config).name == "costcalc.yaml" else None
    if there or Path(config).exists():
        raise OptionError(f"{there or config} is there already; costcalc init does not write over it")
    text, names = first_config(folder, list(models or []))
    update(config, text, None)
    few = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    emit(f"wrote {config} with budgets for {few}\nnext: costcalc check, then costcalc lock, and commit both files\n")
