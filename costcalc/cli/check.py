"""``costcalc check``."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from costcalc.backends.terminal import coloured
from costcalc.classes import replace
from costcalc.cli.choices import Choices
from costcalc.cli.options import Bits, Output
from costcalc.cli.output import emit
from costcalc.cli.parameters import argument, command, option
from costcalc.cli.reproduction import line
from costcalc.errors import OptionError

if TYPE_CHECKING:
    from costcalc.budget.outcome import Outcome

EXAMPLES = {
    "costcalc check": "the models and budgets of costcalc.yaml, against costcalc.lock",
    "costcalc check --base origin/main --format github": "on a pull request",
    "costcalc check --allow-code --base origin/main": "with models that are PyTorch code",
    "costcalc check --base origin/main --report check.html": "with a page: treemaps, causes, graphs",
    "costcalc check resnet50 --max macs=4.2G,params=26M": "without a config",
    "costcalc check --locked": "fails if costcalc.lock is not what the models cost",
    "costcalc check --ratchet": "lowers each budget to what is reached",
}


class VerdictFormat(str, Enum):
    """What the verdicts are written as."""

    table = "table"
    json = "json"
    markdown = "markdown"
    github = "github"
    junit = "junit"
    sarif = "sarif"
    gitlab = "gitlab"


class FailOn(str, Enum):
    """The lowest level at which the exit code is 1."""

    error = "error"
    warn = "warn"


BASELINE = "What to compare with"


STRICT = "with --strict that fails: the exit code is 4\n"


@command
def check(
    choices: Choices,
    models: Annotated[
        list[str] | None,
        argument(metavar="[MODEL]...", help="Models of the config, all by default; or any, with --max."),
    ] = None,
    config: Annotated[
        str | None, option("--config", metavar="FILE", help="The config, instead of costcalc.yaml.")
    ] = None,
    max: Annotated[
        list[str] | None, option("--max", metavar="FIGURE=AMOUNT", help="A budget: macs=4.2G,params=26M.")
    ] = None,
    bits: Bits = None,
    base: Annotated[
        str | None,
        option(
            "--base",
            metavar="REV",
            panel=BASELINE,
            help="Compare with where this branch left a git revision: specs, and for code its costcalc.lock.",
        ),
    ] = None,
    trace_base: Annotated[
        bool,
        option(
            "--trace-base",
            panel=BASELINE,
            help="With --base: trace the code of models there instead of reading its costcalc.lock.",
        ),
    ] = False,
    compare_to: Annotated[
        str | None, option("--compare-to", metavar="FILE", panel=BASELINE, help="The JSON of an earlier analysis.")
    ] = None,
    locked: Annotated[
        bool, option("--locked", panel=BASELINE, help="Fail if costcalc.lock differs from what the models cost now.")
    ] = False,
    ratchet: Annotated[bool, option("--ratchet", help="Lower each max in the config to the current figure.")] = False,
    fail_on: Annotated[
        FailOn, option("--fail-on", help="The lowest level at which the exit code is 1.", shows_default=True)
    ] = FailOn.error,
    strict: Annotated[
        bool,
        option(
            "--strict",
            help="Exit with code 4 if something could not be counted or checked, or values decide a size.",
        ),
    ] = False,
    allow_code: Annotated[
        bool, option("--allow-code", help="Run models that are Python code when the config names them.")
    ] = False,
    format: Annotated[
        VerdictFormat, option("--format", "-f", help="What to write.", shows_default=True)
    ] = VerdictFormat.table,
    output: Output = None,
    report: Annotated[
        str | None,
        option(
            "--report", metavar="FILE", help="Also write a page for a browser: what changed in each model, and why."
        ),
    ] = None,
) -> int:
    """Hold models to their budgets: a verdict first, then the cause, and where to change it.

    The earlier figures come from costcalc.lock, unless --base or --compare-to names others. The exit code is 1 if a
    budget is exceeded, 2 for bad input, 4 for incomplete figures with --strict.
    """
    from costcalc.budget.session import Asked, judged, ratchet_config, read_models

    asked = Asked(tuple(models or ()), config, tuple(max or ()), choices.choices(), base, compare_to, trace_base, bits)
    if trace_base and not allow_code:
        raise OptionError("--trace-base runs code of the base revision: if you trust it, add --allow-code")
    if locked and (base is not None or compare_to is not None):
        raise OptionError(
            "--locked compares with costcalc.lock, and --base or --compare-to with something else; choose one"
        )
    if report is not None and report == output:
        raise OptionError(f"--report and --output both name {report[:60]}; give each a file of its own")
    chosen = read_models(asked)
    outcome = judged(
        asked,
        chosen,
        # Who names a model on the command line may run it; who writes a config may not.
        allow_code=allow_code or bool(asked.max),
        with_diffs=report is not None or format in (VerdictFormat.json, VerdictFormat.markdown, VerdictFormat.github),
        locked=locked,
    )
    if ratchet:
        changed = ratchet_config(chosen, outcome)
        outcome = replace(outcome, notes=(*outcome.notes, *changed))
    text = _text(outcome, format, fail_on is FailOn.warn, strict, coloured(output))
    emit(text, output, commands=format is VerdictFormat.github)
    if report is not None:
        from costcalc.backends.page.check import html

        given = {"config": config, "max": max, "bits": bits, "base": base, "trace_base": trace_base, "locked": locked,
                 "compare_to": compare_to, "strict": strict, "allow_code": allow_code, "report": report}  # fmt: skip
        emit(html(outcome, line("check", models or [], choices._asdict(), given)), report)
    if format is VerdictFormat.github and os.environ.get("GITHUB_STEP_SUMMARY"):
        from costcalc.backends.budget.comment import comment
        from costcalc.backends.budget.json import to_dict

        with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as stream:
            stream.write(comment(to_dict(outcome)))
    return outcome.exit_code(fail_on_warn=fail_on is FailOn.warn, strict=strict)


def _text(outcome: Outcome, format: VerdictFormat, fail_on_warn: bool, strict: bool, coloured: bool) -> str:
    from costcalc.budget.outcome import stopping

    stops = stopping(fail_on_warn=fail_on_warn, strict=strict)
    is_incomplete = outcome.exit_code(fail_on_warn=fail_on_warn, strict=strict) == 4
    if format is VerdictFormat.table:
        from costcalc.backends.budget.verdicts import verdicts

        return verdicts(outcome, colour=coloured) + STRICT * is_incomplete
    if format is VerdictFormat.json:
        from costcalc.backends.budget.json import to_dict
        from costcalc.backends.escape import json

        record = to_dict(outcome, fail_on_warn=fail_on_warn, strict=strict)
        return json(record, indent=1) + "\n"
    if format is VerdictFormat.markdown:
        from costcalc.backends.budget.comment import comment
        from costcalc.backends.budget.json import to_dict

        return comment(to_dict(outcome))
    if format is VerdictFormat.github:
        from costcalc.backends.budget.github import github
        from costcalc.backends.budget.verdicts import verdicts
        from costcalc.backends.escape import powerless

        return github(outcome, stops) + powerless(verdicts(outcome)) + STRICT * is_incomplete
    from importlib import import_module

    module = import_module(f"costcalc.backends.budget.{format.value}")
    text: str = getattr(module, format.value)(outcome, stops)
    return text
