"""Where in the model a node stands, as far as its file tells."""

from __future__ import annotations

import re

from costcalc.frontends.onnx.read import OnnxNode

_HIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
MOST = 200
"""Characters of a path."""


def module_path(node: OnnxNode) -> str | None:
    """The dotted path of the module that ``node`` was made in, ``""`` for the model itself; None where nothing tells.

    PyTorch's exporters tell: the newer one in the metadata, the older one in the name, ``/layer1/layer1.0/conv/Conv``.
    Others name nodes in the same way.
    """
    if node.scope is not None:
        return shown(node.scope)
    if "/" not in node.name:
        return None
    found: list[str] = []
    for part in node.name.strip("/").split("/")[:-1]:
        if found and part.startswith(f"{found[-1]}."):
            found[-1] = part
        elif part:
            found.append(part)
    return shown(".".join(found))


def own_name(node: OnnxNode) -> str:
    """The name that somebody gave the node; ``""`` where its file has none, or one that counts nodes (``Conv_12``)."""
    if re.fullmatch(rf"(node_)?{re.escape(node.operator)}[_-]?\d*", node.name, re.IGNORECASE):
        return ""
    return shown(node.name)


def shown(name: str) -> str:
    """``name`` as a dotted path: without what cannot be seen, and without empty parts."""
    name = _HIDDEN.sub("_", name[: 4 * MOST])
    return ".".join(part for part in name.split(".") if part)[-MOST:].lstrip(".")
