"""The table of rules."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.frontends.compose import Value, registering

Rule = Callable[..., "Value | list[Value]"]
RULES: dict[str, Rule] = {}
"""Type of a layer → its rule: of the graph, the layer and its inputs, what it makes."""


rule = registering(RULES)
"""Decorator: the function is the rule of these layers."""


def rule_of(kind: str) -> Rule | None:
    """The rule of layers of this type; None if there is none."""
    if not RULES:
        from costcalc.frontends.ncnn import layers, order  # noqa: F401
    return RULES.get(kind)
