"""A JSON Schema of the spec language, made from the ops, for editors and other tools.

It says what the structure is and which ops and shared blocks there are, with their options in the descriptions. What
is inside an expression, it leaves to ``load``.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

from costcalc.frontends.spec.model import TEXTS, VARIANT_KEYS
from costcalc.ir.layout import AXES
from costcalc.ir.op import Op, all_ops
from costcalc.ir.tensor import ELEMENT_BITS
from costcalc.ops import ALIASES

_ABOUT = {
    "name": "What the model, or the family, is called.",
    "title": "What it is, in a line.",
    "source": "The paper, with the table that the layers follow.",
    "task": "What it does: classification, segmentation, detection …",
    "year": "When it was published.",
    "notes": "What a reader should know, such as a slip in the paper.",
}
_KEYS = {
    "inputs": "Name → shape without the batch, which goes in front. The first is what the first layer takes.",
    "parameters": "Name → default: a number, a word, a list, or an expression over the parameters above it.",
    "variants": "Name → the parameters that make that model.",
    "use": "Other files whose blocks can be called, by their path from this file.",
    "blocks": "Signature → layers: conv_bn(out, kernel=3).",
    "layers": "The layers; each takes the running value and makes the next.",
    "outputs": "Names of the layers whose values the model returns; the last value if left out.",
}
_OTHER = "A block of this file, the name of an earlier layer, or name = expression."


def schema(blocks: Mapping[str, str]) -> dict[str, Any]:
    """The schema; ``blocks`` are the shared blocks, name → signature."""
    text = {"type": ["string", "number"]}
    words = {"anyOf": [text, {"type": "array", "items": text}]}
    properties = {key: {**text, "description": _ABOUT[key]} for key in TEXTS}
    kinds = {
        "inputs": _mapping(_ref("input")),
        "parameters": _mapping(_ref("value")),
        "variants": _mapping(_ref("variant")),
        "use": words,
        "blocks": _mapping(_ref("layers")),
        "layers": _ref("layers"),
        "outputs": words,
    }
    properties |= {key: {"description": _KEYS[key], **kind} for key, kind in kinds.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A costcalc spec",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["inputs", "layers"]}, {"required": ["blocks"]}],
        "properties": properties,
        "definitions": {
            "value": _any({"type": ["number", "string", "boolean", "null"]}, {"type": "array", "items": _ref("value")}),
            "shape": {"type": "array", "maxItems": 16, "items": {"type": ["integer", "string"]}},
            "input": _any(_ref("shape"), _input()),
            "variant": _any(
                {"type": "null"},
                {
                    "type": "object",
                    "properties": {
                        **dict.fromkeys(VARIANT_KEYS, text),
                        "inputs": _mapping(_ref("input")),
                        "outputs": words,
                    },
                    "additionalProperties": _ref("value"),
                },
            ),
            "layers": _any({"type": "array", "items": _ref("layer")}, _ref("layer")),
            "layer": _any(_ref("call"), _ref("step")),
            "step": _step(),
            "named": _any(
                {**_ref("call"), "description": "A named layer."},
                # In braces YAML cuts a call at its commas: all its parts but the last are keys without a value.
                _mapping(_any(_ref("branches"), {"type": "null"}), "A named op or block, with what it takes."),
                _ref("step"),
            ),
            "branches": _any({"type": "array", "items": _any(_ref("layers"), _fork())}, _ref("call")),
            "call": _any(*_calls(blocks), {"type": "string", "minLength": 1, "description": _OTHER}),
        },
    }  # fmt: skip


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{name}"}


def _any(*kinds: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": list(kinds)}


def _mapping(values: Mapping[str, Any], description: str = "") -> dict[str, Any]:
    """A mapping to ``values``; one without a description may be left empty."""
    kind = {"type": "object", "description": description} if description else {"type": ["object", "null"]}
    return {**kind, "additionalProperties": values}


def _input() -> dict[str, Any]:
    letters = f"^[{''.join(AXES)}]+$"
    properties = {
        "shape": _ref("shape"), "dtype": {"enum": sorted(ELEMENT_BITS)}, "batch": {"type": "boolean"},
        "layout": {"type": "string", "pattern": letters, "description": "A letter for each axis: nhwc."},
    }  # fmt: skip
    return {"type": "object", "required": ["shape"], "additionalProperties": False, "properties": properties}


def _step() -> dict[str, Any]:
    """A mapping: control flow, an op with branches, or a named layer."""
    several = "|".join(sorted(name for name, op in all_ops().items() if op.inputs != (1, 1)))
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "from": {"type": "string", "description": "Goes back: the running value is that of this earlier layer."},
            "else": {**_ref("layers"), "description": "The layers if no condition held."},
        },
        "patternProperties": {
            "^(if|elif) ": {**_ref("layers"), "description": "The layers if the condition holds."},
            "^for .+ in ": {**_ref("layers"), "description": "The layers once for each value of the list."},
            rf"^({several})$|^\w+\(": _any(
                {**_ref("branches"), "description": "The branches whose values it takes."}, _ref("named")
            ),
        },
        "additionalProperties": _any(
            _ref("named"),
            {"type": "array", "items": _ref("layer"), "description": "A scope: the names inside begin with this one."},
        ),
    }  # fmt: skip


def _fork() -> dict[str, Any]:
    """``if`` and ``for`` among branches: which there are."""
    branches = {**_ref("branches"), "description": "The branches in that case."}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {"else": branches},
        "patternProperties": {"^(if|elif) ": branches, "^for .+ in ": branches},
        "additionalProperties": False,
    }


def _calls(blocks: Mapping[str, str]) -> list[dict[str, Any]]:
    """A pattern for each op and shared block, with what there is to know of it."""
    ops = all_ops()
    calls = {name: f"{signature(op)}\n\n{describe(op)}" for name, op in ops.items()}
    calls |= {alias: f"The same as {name}.\n\n{calls[name]}" for alias, name in ALIASES.items()}
    calls |= {name: f"{written}\n\nA block that comes with costcalc." for name, written in blocks.items()}
    return [
        {"type": "string", "pattern": rf"^{name}(\(|$)", "title": name, "description": text}
        for name, text in sorted(calls.items())
    ]


def signature(op: type[Op]) -> str:
    """How the op is called.

    >>> from costcalc.ops.linear import Linear
    >>> signature(Linear)
    'linear(out_features, bias=True)'
    """
    options = [f.name if f.required else f"{f.name}={f.default!r}" for f in op.fields]
    return f"{op.name}({', '.join(options)})" if options else op.name


def describe(op: type[Op]) -> str:
    """What the op does, and what each option takes."""
    options = [f"{f.name}: {f.description}" for f in op.fields]
    return "\n".join([cleandoc(op.__doc__ or ""), *([""] if options else []), *options])
