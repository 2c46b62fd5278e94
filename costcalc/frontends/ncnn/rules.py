"""The table of rules."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.frontends.compose import Value, registering

Rule = Callable[..., "Value | list[Value]"]
RULES: dict[str, Rule] = {}
"""Type of a layer → its rule: of the graph, the layer and its inputs, what it makes."""


rule = registering(RULES)
"""Decorator: the function is the rule of these layers."""
