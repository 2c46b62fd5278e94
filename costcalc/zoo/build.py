"""What the files that are generated among the shipped specs contain; ``python -m costcalc.zoo`` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from costcalc.analysis.layer_costs import Works
from costcalc.errors import UnknownName
from costcalc.frontends.spec.model import parse_spec
from costcalc.frontends.spec.schema import schema
from costcalc.frontends.spec.settings import about as texts
from costcalc.models import load
from costcalc.reading.yaml import read_file
from costcalc.zoo import directory, models, path


def build_index() -> dict[str, Any]:
    """The index, made anew from the files."""

    found: dict[str, dict[str, Any]] = {}
    shared: dict[str, str] = {}
    for file in _files(""):
        spec = parse_spec(read_file(path(file), file), file)
        for name in list(spec.variants) or [spec.name]:
            if name in found:
                raise UnknownName(f"two shipped models are called '{name}': in {found[name]['file']} and {file}")
            about = texts(spec, name if name in spec.variants else "")
            found[name] = {
                "file": file,
                "variant": name if name in spec.variants else "",
                "family": spec.name,
                **{key: about.get(key, "") for key in ("title", "task", "year", "source")},
            }
    for file in _files("blocks"):
        for name in parse_spec(read_file(path(file), file), file).blocks:
            if name in shared:
                raise UnknownName(f"two shared blocks are called '{name}': in {shared[name]} and {file}")
            shared[name] = file
    return {"models": dict(sorted(found.items())), "blocks": dict(sorted(shared.items()))}


def build_schema() -> dict[str, Any]:
    """The JSON Schema of specs, with the shared blocks that there are."""

    return schema({name: signature for name, signature, _ in signatures()})


def build_figures() -> dict[str, Any]:
    """What each model of the index costs; no more of its report, since each model is asked."""

    found = {}
    for name in models():
        graph, work = load(name), Works()
        done = [(node, work(graph, node)) for node in graph.nodes]
        weights = {node.weight(local): w for node, its in done for local, w in its.weights.items()}
        found[name] = {
            "inputs": {value: list(graph.types[value].shape) for value in graph.inputs},
            "macs": sum(its.done["macs"] for _, its in done),
            "params": sum(w.type.size for w in weights.values() if w.trained),
        }
    return found


def generated() -> Iterator[tuple[str, str]]:
    """Each generated file among the shipped specs and its content; figures come last, since they need the index."""

    yield "index.json", json.dumps(build_index(), indent=1, ensure_ascii=False) + "\n"
    yield "schema.json", json.dumps(build_schema(), indent=1, ensure_ascii=False) + "\n"
    # A line a model, so that a change of one is a change of one line.
    lines = (f' "{name}": {json.dumps(costs)}' for name, costs in build_figures().items())
    yield "figures.json", "{\n" + ",\n".join(lines) + "\n}\n"


def signatures() -> Iterator[tuple[str, str, str]]:
    """Each shared block: its name, the line that begins it, and its file."""

    for file in _files("blocks"):
        for name, block in parse_spec(read_file(path(file), file), file).blocks.items():
            yield name, block.signature.text, file


def _files(folder: str) -> list[str]:
    """The YAML files in ``folder`` of the shipped specs, by their path from there."""
    names = sorted(p.name for p in (directory() / folder).glob("*.yaml"))
    return [f"{folder}/{name}" if folder else name for name in names]
