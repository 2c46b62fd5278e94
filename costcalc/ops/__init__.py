"""The ops, one family a file. ``WHERE`` names the module of each, so that only those in use are imported."""

from __future__ import annotations

_MODULES = {
    "conv": "conv conv_transpose",
}

WHERE: dict[str, str] = {op: module for module, ops in _MODULES.items() for op in ops.split()}
"""Op name → module in this package. A test checks it against the decorators."""
