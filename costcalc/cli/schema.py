"""``costcalc schema``."""

from __future__ import annotations

from costcalc.cli.options import Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import command

EXAMPLES = {
    "costcalc schema --output schema.json": "for an editor that completes and checks specs",
}


@command
def schema(
    output: Output = None,
) -> None:
    """The JSON Schema of specs: their structure, and every op and block with its options.

    An editor with a YAML language server uses it if the first line of a spec is
    `# yaml-language-server: $schema=schema.json`.
    """
    from costcalc.backends.escape import json
    from costcalc.zoo import build_schema

    emit(json(build_schema(), indent=1) + "\n", output)
