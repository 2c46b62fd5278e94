"""A first ``costcalc.yaml``: the models of a folder, each with budgets a little above what it costs today."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from costcalc.analysis.figures import BITS, FIRST_BUDGETS, Figure, figures_in
from costcalc.budget.config import Setup
from costcalc.budget.measure import measure
from costcalc.budget.read import FILES, find_config
from costcalc.classes import NamedTuple
from costcalc.difference.revisions import kind_of
from costcalc.errors import CostcalcError, OptionError
from costcalc.frontends.sources import SOURCES, SPEC, is_kind, is_path, source_of, split, suffixes
from costcalc.progress import each

SLACK = Fraction(105, 100)
MOST_FILES, MOST_MODELS, MOST_LAYERS = 5000, 40, 100_000
"""What is looked at and measured of what is found; of models that are named, all are."""
MOST_TOLD = 5
HEAD = """\
# yaml-language-server: $schema={schema}
# Budgets that `costcalc check` holds the models to. Each is a little above what the model costs today.
# Lower them with `costcalc check --ratchet`; record what models cost with `costcalc lock`.
# All keys: docs/budgets.md of costcalc; the schema of costcalc.lock: `costcalc schema --of lock`.
version: 1
models:
"""
AS_IT_IS = Setup()
SCHEMA_FILE = "costcalc.schema.json"


class First(NamedTuple):
    """What ``costcalc init`` writes of the models that there are.

    text    the config
    names   of the models in it
    code    those of its models that are code, as the config names them
    notes   which models were found and are not in it, and why
    """

    text: str
    names: list[str]
    code: list[str]
    notes: list[str]


def first_config(folder: str, models: list[str], setup: Setup = AS_IT_IS) -> First:
    """A config for ``models``, measured as ``setup`` says, or for the specs below ``folder``."""
    names = [_from(folder, model) for model in dict.fromkeys(models)] or list(_found(folder))
    if not names:
        raise OptionError("no specs are below this folder; name the models: costcalc init resnet50")
    known: dict[str, str] = {}
    blocks: list[str] = []
    failed: list[CostcalcError] = []
    notes: list[str] = []
    layers = 0
    for number, model in enumerate(each("measuring", names)):
        if not models and (len(blocks) == MOST_MODELS or layers > MOST_LAYERS):
            notes.append(_beyond(names[number:], len(blocks)))
            break
        try:
            # Who names a model on the command line may run it; who left a file in the folder may not.
            report = measure(model, setup, folder, allow_code=bool(models)).report
            layers += len(report.layers)
        except CostcalcError as error:
            if models:
                raise
            failed.append(error)
            if len(failed) <= MOST_TOLD:
                notes.append(f"left out {model}: {_first_line(error)}")
            continue
        name = _name(model, known)
        known[name] = model
        lines = [f"  - name: {_quoted(name)}", f"    model: {_quoted(model)}"]
        lines += [f"    at: [{_at(setup)}]"] if setup.label else []
        lines.append("    budgets:")
        for figure in figures_in(FIRST_BUDGETS):
            value = figure.value(report)
            if isinstance(value, int) and value:
                lines.append(f"      {figure.name}: {little_above(value, figure)}")
        lines.append("      uncounted: 0" if not report.uncounted else f"      uncounted: {len(report.uncounted)}")
        blocks.append("\n".join(lines) + "\n")
    if not blocks:
        raise failed[0] if failed else OptionError("no model is named")
    if len(failed) > MOST_TOLD:
        notes.append(f"left out {len(failed) - MOST_TOLD} more that cannot be measured")
    code = [model for model in known.values() if source_of(model).runs_code]
    return First(HEAD.format(schema=SCHEMA_FILE) + "\n".join(blocks), list(known), code, notes)


def _first_line(error: CostcalcError) -> str:
    return str(error).split("\n")[0]


def _beyond(names: list[str], count: int) -> str:
    """That ``names``, which were found besides, are not in the config, since ``count`` models are enough of a start."""
    few = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"left out {few}: {count} models are measured at once; name others, costcalc init MODEL..."


def _from(folder: str, model: str) -> str:
    """``model``, as somebody who stands here names it, as a config in ``folder`` has to name it."""
    if not is_path(model):
        return model
    file, part = split(model)
    path = file if Path(file).is_absolute() else Path(os.path.relpath(file, folder or ".")).as_posix()
    return f"{path}:{part}" if part else path


def _at(setup: Setup) -> str:
    """``setup`` as a config has it: ``{input: 3x224x224, batch: 8}``."""

    def shape(sizes: tuple[int, ...]) -> str:
        return "x".join(map(str, sizes))

    parts: dict[str, str] = {}
    if isinstance(setup.input, Mapping):
        parts["input"] = _mapping({name: shape(sizes) for name, sizes in setup.input.items()})
    elif setup.input:
        parts["input"] = shape(setup.input)
    parts |= {key: str(value) for key, value in (("batch", setup.batch), ("bits", setup.bits)) if value is not None}
    if setup.parameters:
        parts["parameters"] = _mapping({name: _value(value) for name, value in setup.parameters.items()})
    if setup.apply:
        parts["apply"] = f"[{', '.join(map(_quoted, setup.apply))}]"
    if setup.layout and not isinstance(setup.layout, Mapping):
        parts["layout"] = setup.layout
    return _mapping(parts)


def _mapping(parts: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_quoted(key)}: {value}" for key, value in parts.items()) + "}"


def _value(value: Any) -> str:
    """A parameter's value as a config has it: an expression of the spec language, quoted where YAML needs that."""
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
    return text if re.fullmatch(r"[\w.-]+", text) else _quoted(text)


def existing_config(folder: str) -> str | None:
    """The config that there is already; a ``pyproject.toml`` is one only with its section."""
    return find_config(folder) or next((f for f in FILES[:2] if Path(folder, f).exists()), None)


def _found(folder: str) -> Iterator[str]:
    """The models that are files of data below ``folder``, by path from there; of specs a path per variant."""
    from costcalc.frontends.spec.model import parse_spec
    from costcalc.reading.yaml import read_file

    seen = 0
    for parent, folders, files in os.walk(folder or "."):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "_")) and f != "node_modules")
        for file in sorted(files):
            path = Path(parent, file)
            if not file.endswith(suffixes()) or not _has_name(file):
                continue
            spec = source_of(file) is SOURCES[SPEC]
            if not (kind_of(path) == "model" if spec else is_kind(str(path))):
                continue
            seen += 1
            if seen > MOST_FILES:
                return
            shown = path.relative_to(folder or ".").as_posix()
            if not spec:
                yield shown
                continue
            try:
                variants = list(parse_spec(read_file(str(path)), str(path)).variants)
            except CostcalcError:
                variants = []
            yield from (f"{shown}:{variant}" for variant in variants) if variants else (shown,)


def _has_name(file: str) -> bool:
    """Whether a config can name ``file``: not if its name is not text."""
    try:
        return bool(file.encode())
    except UnicodeEncodeError:
        return False


def _name(model: str, known: dict[str, str]) -> str:
    path, variant = split(model)
    name = variant or (Path(path).stem if is_path(model) else model.rpartition(":")[2])
    return name if name not in known else model


def _quoted(text: str) -> str:
    """``text`` as YAML takes it: plain where it is a plain word."""
    plain = text and all(c.isalnum() or c in "_-./" for c in text.replace(":", "")) and text[0].isalnum()
    if plain and not text.endswith(":"):
        return text
    signs = (f"\\{c}" if c in '"\\' else c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
    return f'"{"".join(signs)}"'


def little_above(value: int, figure: Figure) -> str:
    """``value`` and a twentieth, rounded up to two digits, with its unit.

    >>> from costcalc.analysis.figures import FIGURES
    >>> little_above(4_089_184_256, FIGURES["macs"]), little_above(8 * 100 * 2**20, FIGURES["storage"])
    ('4.3 G', '110 MiB')
    """
    base, prefixes = (
        (1024, ("B", "KiB", "MiB", "GiB", "TiB")) if figure.unit == BITS else (1000, ("", "k", "M", "G", "T"))
    )
    wanted = Fraction(value) * SLACK / (8 if figure.unit == BITS else 1)
    power = 0
    while wanted >= base and power < len(prefixes) - 1:
        wanted, power = wanted / base, power + 1
    if wanted < 10 and power:
        return f"{float(-(-wanted * 10 // 1) / 10):g} {prefixes[power]}".strip()
    step = 10 ** max(len(str(int(wanted))) - 2, 0)
    return f"{int(-(-wanted // step)) * step} {prefixes[power]}".strip()
