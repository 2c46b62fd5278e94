"""The head of a model card, as the Hugging Face Hub reads it: metadata in YAML, then a table in Markdown."""

from __future__ import annotations

from costcalc import __version__
from costcalc.backends.escape import json
from costcalc.backends.escape import markdown as escaped
from costcalc.backends.export import Exported
from costcalc.backends.export.metrics import metrics
from costcalc.backends.markdown import table
from costcalc.backends.report.summary import facts, headline, not_counted


def write(exported: Exported) -> str:
    """Metadata between lines of ``---``, under a key of our own, and a section for the card's text."""
    report = exported.report
    known = {
        "version": __version__,
        "model": report.name,
        "inputs": {name: list(shape) for name, shape in report.inputs.items()},
        **({"machine": report.machine.name} if report.machine else {}),
        **metrics(report),
    }
    lines = ["---", "costcalc:", *(f"  {key}: {json(value)}" for key, value in known.items()), "---", ""]
    lines += ["## Cost of one inference", "", escaped(headline(report)) + ".", ""]
    lines += table(["figure", "", "what it counts"], "<><", [list(fact) for fact in facts(report)])
    if report.uncounted:
        text = not_counted(report)
        lines += ["", escaped(f"{text[0].upper()}{text[1:]}.")]
    said = "One MAC is one multiplication with its addition."
    lines += ["", f"Counted by costcalc {__version__}; see its rules of counting. {said}"]
    return "\n".join(lines) + "\n"
