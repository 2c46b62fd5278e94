"""``costcalc init``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from costcalc.cli.choices import Choices
from costcalc.cli.options import Bits
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.errors import OptionError

EXAMPLES = {
    "costcalc init": "budgets for every spec below this folder",
    "costcalc init resnet50 configs/head.yaml": "for these",
    "costcalc init net.py:Net --input 3x224x224": "for a PyTorch model",
}


@command
def init(
    choices: Choices,
    models: Annotated[
        list[str] | None,
        argument(metavar="[MODEL]...", help="Models as analyze takes them; the specs in this folder by default."),
    ] = None,
    bits: Bits = None,
    config: Annotated[
        str, option("--config", metavar="FILE", help="Where to write it.", shows_default=True)
    ] = "costcalc.yaml",
    no_workflow: Annotated[bool, option("--no-workflow", help="Write no workflow file for GitHub.")] = False,
) -> None:
    """Write costcalc.yaml: the models there are, with budgets a little above what they cost today.

    In a git repository also .github/workflows/costcalc.yml, which checks every pull request, unless that is there.
    """
    from costcalc.budget.config import Setup
    from costcalc.budget.init import SCHEMA_FILE, existing_config, first_config
    from costcalc.budget.schema import config_schema
    from costcalc.budget.workflow import FILE, workflow
    from costcalc.difference.safe_git import find_home
    from costcalc.reading.reach import is_inside
    from costcalc.writing import update

    if not config.endswith((".yaml", ".yml")):
        raise OptionError(f"--config {config[:60]}: the config is a YAML file, so its name ends in .yaml")
    folder = str(Path(config).parent)
    there = existing_config(folder) if Path(config).name == "costcalc.yaml" else None
    if there or Path(config).exists():
        raise OptionError(f"{there or config} already exists; costcalc init does not overwrite it")
    given = choices.choices()
    if given and not models:
        raise OptionError("--input, --batch, --set, --apply and --layout go with the models that are named")
    setup = Setup(**given, bits=bits)
    first = first_config(folder, list(models or []), setup)
    home = None if no_workflow else find_home(folder)
    checks = Path(home.root, FILE) if home else None
    text = ""
    if home and checks and not os.path.lexists(checks) and is_inside(str(checks), home.root):
        text = workflow(Path(config).resolve().relative_to(home.root).as_posix(), first.code)
    update(config, first.text, None)
    written = [config]
    schema = Path(folder, SCHEMA_FILE)
    if not os.path.lexists(schema):
        from costcalc.backends.escape import json

        update(str(schema), json(config_schema(), indent=1) + "\n", None)
        written.append(str(schema))
    if text and checks:
        checks.parent.mkdir(parents=True, exist_ok=True)
        update(os.path.relpath(checks), text, None)
        written.append(os.path.relpath(checks))
    few = ", ".join(first.names[:5]) + (f" and {len(first.names) - 5} more" if len(first.names) > 5 else "")
    code = " --allow-code" if first.code else ""
    more = "".join(f"wrote {file}\n" for file in written[1:]) + "".join(f"{note}\n" for note in first.notes)
    elsewhere = "" if Path(config).name == "costcalc.yaml" and folder == "." else f" --config {config}"
    emit(
        f"wrote {config} with budgets for {few}\n{more}"
        f"next: costcalc check{code}{elsewhere}, then costcalc lock{code}{elsewhere}, and commit the files\n"
    )
