"""``costcalc schema``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from costcalc.cli.options import Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import command, option

EXAMPLES = {
    "costcalc schema --output schema.json": "for an editor that completes and checks specs",
    "costcalc schema --of lock": "of costcalc.lock, for programs that read it",
}


class Of(str, Enum):
    """What is described."""

    spec = "spec"
    config = "config"
    lock = "lock"


@command
def schema(
    of: Annotated[Of, option("--of", help="What is described.", shows_default=True)] = Of.spec,
    output: Output = None,
) -> None:
    """The JSON Schema of specs: their structure, and every op and block with its options; or that of budgets.

    An editor with a YAML language server uses it if the first line of a spec is
    `# yaml-language-server: $schema=schema.json`; costcalc init writes that of costcalc.yaml beside it.
    """
    from costcalc.backends.escape import json

    if of is Of.spec:
        from costcalc.zoo.build import build_schema

        found = build_schema()
    else:
        from costcalc.budget.schema import config_schema, lock_schema

        found = config_schema() if of is Of.config else lock_schema()
    emit(json(found, indent=1) + "\n", output)
