"""What each operator of TFLite is in our ops. Maps are (batch, places …, channels).

A rule takes the graph that is built and the operator, adds layers, and binds its outputs; it raises ``Unlike`` where
the operator is used in a way that it does not know.
"""

from __future__ import annotations

from importlib import import_module

from costcalc.frontends.tflite.rules.table import RULES, Rule

_MODULES = (
    "layers", "places", "windows", "elementwise", "axes", "order", "moves", "choices", "control", "recurrent",
    "stablehlo", "stablehlo_bodies", "stablehlo_moves",
)  # fmt: skip


def rule_of(name: str) -> Rule | None:
    """The rule of the operator that the schema calls ``name``; None if there is none."""
    if not RULES:
        for module in _MODULES:
            import_module(f"costcalc.frontends.tflite.rules.{module}")
    return RULES.get(name)
