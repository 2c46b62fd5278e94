"""JSON Schemas of ``costcalc.yaml`` and ``costcalc.lock``, for editors and for others who read them.

What a schema accepts, the reader accepts, with the exceptions that no schema can say: two models of one name, a least
bound above the largest, exemptions of models or budgets that are not there, transforms that do not go together, files
that lead out of the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from keyword import kwlist
from typing import Any

from costcalc.amounts.parsing import EXAMPLE, UNITS
from costcalc.analysis.figures import COUNT, FIGURES, LOCK, LOCK_LAYER, SCALES, Figure, figures_in
from costcalc.budget.lock import SIGNS
from costcalc.budget.read import MOST_PATTERNS, NEEDED
from costcalc.ir.layout import AXES
from costcalc.ir.tensor import ELEMENT_BITS
from costcalc.planning.autocast import TYPES
from costcalc.planning.engines import ENGINES
from costcalc.planning.training import OPTIMIZERS
from costcalc.transforms import spellings

DRAFT = "http://json-schema.org/draft-07/schema#"
_NUMBER = r"\+?([0-9][0-9_]{0,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})"
_POWER = r"([eE][+-]?[0-9]{1,2})?"
_WORD = {"type": "string", "pattern": r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"}
_NAME = {"anyOf": [_WORD, {"type": "integer"}]}
_LONE_WORD = rf"^(?!({'|'.join(sorted({*kwlist} - {'True', 'False', 'None'}))})$)[A-Za-z][A-Za-z0-9_]{{0,60}}$"
"""What the language of specs takes for itself: not the words that it has for its own."""
_INTEGER = {"type": "integer", "minimum": 0, "maximum": 10**18}
_BARE = {"anyOf": [{"type": "string", "pattern": f"^{_NUMBER}{_POWER}$", "examples": ["8.2"]}, _INTEGER]}
_WHOLE = {"type": "integer", "minimum": 1, "maximum": 10**18}


def config_schema() -> dict[str, Any]:
    """The schema of a ``costcalc.yaml``."""
    adding = {name: figure for name, figure in FIGURES.items() if figure.adds}
    return {
        "$schema": DRAFT,
        "title": "What costcalc holds models to: costcalc.yaml",
        **_mapping(
            {
                "version": {"enum": [1, "1"], "description": "Of the format of this file."},
                "models": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/model"}},
                "exempt": {"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/exemption"}},
            },
            "version", "models",
        ),
        "definitions": {
            "model": _mapping(
                {
                    "name": {**_NAME, "description": "By which check, the lock and exemptions call it; else 'model'."},
                    "model": {**_WORD, "description": "A spec's path from here, file.py:Net, timm:NAME …"},
                    "at": {
                        "type": "array", "minItems": 1, "items": {"$ref": "#/definitions/measurement"},
                        "description": "The ways in which it is measured; once, as it is, if there are none.",
                    },
                    "budgets": {"$ref": "#/definitions/budgets"},
                    "layers": {
                        "type": "object", "additionalProperties": {"$ref": "#/definitions/sums"},
                        "maxProperties": MOST_PATTERNS,
                        "description": "Pattern of names of layers → budgets of their sum.",
                    },
                    "message": {**_WORD, "description": "Said to who exceeds a budget."},
                },
                "model",
            ),
            "measurement": _measurement(),
            "budgets": _mapping({**{name: _budget(figure) for name, figure in FIGURES.items()}, **_in_units(FIGURES)}),
            "sums": _mapping({**{name: _budget(figure) for name, figure in adding.items()}, **_in_units(adding)}),
            "count": {**_bounds(_BARE), "description": "A count in the thousands, millions … that its name says."},
            "exemption": _mapping(
                {
                    "model": _NAME, "metric": {"enum": [*FIGURES, *_in_units(FIGURES)]}, "reason": _WORD,
                    "until": {
                        "type": "string",
                        "pattern": "^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$|"
                        "^[12][0-9]{3}-(0[13-9]|1[0-2])-(29|30)$|^[12][0-9]{3}-(0[13578]|1[02])-31$",
                        "description": "The last day on which the budget may be exceeded: 2027-01-31.",
                    },
                },
                "model", "metric", "until", "reason",
            ),
        },
    }  # fmt: skip


def _measurement() -> dict[str, Any]:
    shape = {
        "anyOf": [
            {"type": "string", "pattern": "^[1-9][0-9]{0,9}([x×][1-9][0-9]{0,9})*$"}, _WHOLE,
            {"type": "array", "minItems": 1, "items": _WHOLE},
        ],
        "description": "Without the batch: 3x224x224.",
    }  # fmt: skip
    letters = "".join(AXES)
    return _mapping(
        {
            "input": {"anyOf": [shape, {"type": "object", "additionalProperties": shape}]},
            "batch": _WHOLE,
            "bits": {"type": "integer", "minimum": 1, "maximum": 1024},
            "parameters": {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"type": "integer", "minimum": -(10**18), "maximum": 10**18}, {"type": "boolean"},
                              {"type": "string", "pattern": _LONE_WORD}],
                },
            },
            "apply": {
                "anyOf": [{"enum": spellings()}, {"type": "array", "minItems": 1, "uniqueItems": True,
                                                 "items": {"enum": spellings()}}],
            },
            "fold_norm": {"type": "boolean"},
            "layout": {"type": "string", "pattern": rf"^(?!.*(.).*\1)[{letters}]{{1,{len(letters)}}}$"},
        }
    )  # fmt: skip


def _in_units(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """The names of counts that say a unit: ``gflops``."""
    prefixes = [prefix.lower() for prefix in SCALES if prefix]
    counts = [name for name, figure in figures.items() if figure.unit == COUNT]
    return {f"{prefix}{name}": {"$ref": "#/definitions/count"} for name in counts for prefix in prefixes}


def _bounds(limit: dict[str, Any], more: Mapping[str, Any] = {}, needs: tuple[str, ...] = ()) -> dict[str, Any]:
    """A bound alone, which is the most, or a mapping of bounds and ``more``, of which it ``needs`` some."""
    keys = {
        "max": limit, "min": limit, "max_increase": _step(limit, up=True), "max_decrease": _step(limit, up=False),
        "level": {"enum": ["error", "warn"]}, **more,
    }  # fmt: skip
    bounds = [{"required": [bound]} for bound in ("max", "min", "max_increase", "max_decrease")]
    whole = {**_mapping(keys, *needs), "anyOf": bounds}
    return {"anyOf": [whole] if needs else [limit, whole]}


def _budget(figure: Figure) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if figure.asks in ("machine", "energy"):
        keys[figure.asks] = {**_WORD, "not": {"pattern": r"(^/|\.\.|\\).*\.ya?ml(:.*)?$"}}
    elif figure.asks == "engine":
        return _of_memory(figure)
    elif figure.asks:
        keys[figure.asks] = _WORD
    needs = (figure.asks,) if figure.asks in NEEDED else ()
    return {**_bounds(_amount(figure), keys, needs), "description": figure.title}


def _of_memory(figure: Figure) -> dict[str, Any]:
    """In an engine, or in a step of training."""
    amount = _amount(figure)
    asked = {
        "train": {"enum": list(OPTIMIZERS)}, "checkpoint": {"anyOf": [{"enum": ["auto", "none"]}, amount]},
        "autocast": {"enum": list(TYPES)},
    }  # fmt: skip
    ways = ({"engine": {"enum": list(ENGINES)}}, "engine"), (asked, "train")
    whole = [way for more, needed in ways for way in _bounds(amount, more, (needed,))["anyOf"]]
    return {"anyOf": whole, "description": figure.title}


def _amount(figure: Figure) -> dict[str, Any]:
    units = UNITS.get(figure.unit, {"": 1})
    words = "|".join(sorted(filter(None, units), key=lambda unit: (-len(unit), unit)))
    end = rf" ?({words})" + ("?" if "" in units else "") if words else ""
    if figure.unit == COUNT:
        end = f"({end})( ?({'|'.join(dict.fromkeys((figure.title, figure.name)))}))?"
    text = {"type": "string", "pattern": f"^{_NUMBER}{_POWER}{end}$", "examples": [EXAMPLE.get(figure.unit, "1.5")]}
    return {"anyOf": [text, _INTEGER]} if "" in units else text


def _step(amount: dict[str, Any], *, up: bool) -> dict[str, Any]:
    ratio = r"\+?0{0,9}[1-9][0-9]{0,9}(\.[0-9]{0,9})?" if up else r"\+?(0?\.[0-9]{1,9}|1(\.0{0,9})?)"
    change = {
        "type": "string",
        "pattern": rf"^{_NUMBER} ?%$|^{ratio} ?x$",
        "examples": ["2%", "1.02x" if up else "0.98x"],
    }
    return {"anyOf": [change, amount]}


def _mapping(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    return found | ({"required": [*required]} if required else {})


def _trace() -> dict[str, Any]:
    """What the trace of a model that is code depended on."""
    text = {"type": "string"}
    digests = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
    names = {"type": "object", "additionalProperties": {"type": "array", "items": text}}
    found: dict[str, Any] = {
        "costcalc": text, "python": text, "machine": text,
        "libraries": {"type": "object", "additionalProperties": text},
        "absent": {"type": "array", "items": text}, "environment": digests, "files": digests, "modules": names,
        "folders": digests, "asked": digests, "choices": {"type": "array"}, "graph": {"type": "object"},
        "places": {"type": "array"}, "at": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    }  # fmt: skip
    return {**_mapping(found, *found), "description": "Of code: what its trace depended on, to be compared with later."}


def lock_schema() -> dict[str, Any]:
    """The schema of a ``costcalc.lock``. Its checksum, and that layers make a graph, no schema can say."""
    count = {"type": "integer", "minimum": 0}
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    layer = {
        "name": {"type": "string"},
        "op": {"type": "string", "description": "As it is written: conv(64, 3, stride=2)."},
        "from": {"type": "array", "items": {"type": "string"}, "description": "The values that it reads."},
        "to": {"type": "string", "description": "The shapes that it makes, without the batch."},
        "called": texts, "shares": texts, "prepared": texts, "stored_as": texts,
        "frozen": {"type": "array", "items": {"type": "string"}},
        "group": {"type": "string", "description": "The layer whose kernel does it, where one kernel does several."},
        **{figure.name: {"type": ["integer", "null"], "minimum": 0} for figure in figures_in(LOCK_LAYER)},
    }  # fmt: skip
    shape = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    entry = {
        "model": {"type": "string", "description": "As the config names it."},
        "made_by": {"enum": ["costcalc lock", "pytest"]},
        "graph": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "figures": _mapping({figure.name: count for figure in figures_in(LOCK)}),
        "marks": _mapping(
            {figure.name: {"enum": [*SIGNS]} for figure in figures_in(LOCK)}
        ) | {"description": "The sign before figures that are only bounds."},
        "inputs": {
            "type": "object",
            "additionalProperties": {
                "type": "array", "items": [{"enum": [*ELEMENT_BITS]}, shape], "minItems": 2, "maxItems": 2,
            },
        },
        "outputs": {"type": "array", "items": {"type": "string"}},
        "apply": {"type": "array", "items": {"type": "string"}},
        "layers": {"type": "array", "items": _mapping(layer, "name", "op", "from")},
        "trace": _trace(),
    }  # fmt: skip
    whole = _mapping(entry, *(key for key in entry if key not in ("apply", "marks", "trace")))
    setups = {"type": "object", "additionalProperties": whole, "description": "How it is measured → what it costs so."}
    return {
        "$schema": DRAFT,
        "title": "What models cost when the team last agreed: costcalc.lock",
        **_mapping(
            {
                "version": {"const": 1},
                "costcalc": {"type": "string", "description": "The version that wrote it."},
                "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "Of 'models'."},
                "models": {"type": "object", "additionalProperties": setups},
            },
            "version", "costcalc", "sha256", "models",
        ),
    }  # fmt: skip
