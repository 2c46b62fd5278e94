"""The shipped models and blocks: where their files are, and which names they have.

``index.json`` beside the specs holds the names, so that looking one up parses no spec; ``figures.json`` what each model
costs, so that listing them analyses none; ``schema.json`` tells editors what a spec may contain. They are generated,
anew whenever a spec or an op has changed:

    python -m costcalc.zoo
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from costcalc.errors import UnknownName, listing, near


@cache
def directory() -> Path:
    """The folder of shipped specs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


@cache
def index() -> dict[str, Any]:
    """``models``: name → file, variant, family, title, task, year, source. ``blocks``: name → file."""
    import json  # a path needs no index

    try:
        found: dict[str, Any] = json.loads((directory() / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"models": {}, "blocks": {}}
    return found


def models() -> dict[str, dict[str, Any]]:
    """What is known of each shipped model, by name."""
    found: dict[str, dict[str, Any]] = index()["models"]
    return found


def figures() -> dict[str, dict[str, Any]]:
    """The inputs (without the batch), MACs and parameters of each shipped model, by name."""
    import json

    found: dict[str, dict[str, Any]] = json.loads((directory() / "figures.json").read_text(encoding="utf-8"))
    return found


def find(name: str) -> tuple[str, str, str]:
    """The path of the file that has the model ``name``, how messages call that file, and the variant ("" if none).

    Raises ``UnknownName`` with the nearest name.
    """
    known = models()
    entry = known.get(name)
    if entry is None:
        family = [m for m, e in known.items() if e["family"] == name]
        if family:
            raise UnknownName(f"'{name}' is a family of models; it has {listing(family)}")
        hint = near(name, known) or "; `costcalc list` shows them, and a path ends in .yaml"
        raise UnknownName(f"no model called '{name[:80]}'{hint}")
    return path(entry["file"]), entry["file"], entry["variant"]


def blocks() -> dict[str, str]:
    """The file of each shared block, by name."""
    found: dict[str, str] = index()["blocks"]
    return found


def path(file: str) -> str:
    """Where the shipped ``file`` is."""
    return str(directory() / file)


def build_index() -> dict[str, Any]:
    """The index, made anew from the files."""
    from costcalc.frontends.spec.model import parse_spec
    from costcalc.frontends.spec.settings import about as texts
    from costcalc.reading.yaml import read_file

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
    from costcalc.frontends.spec.schema import schema

    return schema({name: signature for name, signature, _ in signatures()})


def build_figures() -> dict[str, Any]:
    """What each model of the index costs; no more of its report, since each model is asked."""
    from costcalc.analysis.costs import Works
    from costcalc.models import load

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
    import json

    yield "index.json", json.dumps(build_index(), indent=1, ensure_ascii=False) + "\n"
    yield "schema.json", json.dumps(build_schema(), indent=1, ensure_ascii=False) + "\n"
    # A line a model, so that a change of one is a change of one line.
    lines = (f' "{name}": {json.dumps(costs)}' for name, costs in build_figures().items())
    yield "figures.json", "{\n" + ",\n".join(lines) + "\n}\n"


def signatures() -> Iterator[tuple[str, str, str]]:
    """Each shared block: its name, the line that begins it, and its file."""
    from costcalc.frontends.spec.model import parse_spec
    from costcalc.reading.yaml import read_file

    for file in _files("blocks"):
        for name, block in parse_spec(read_file(path(file), file), file).blocks.items():
            yield name, block.signature.text, file


def _files(folder: str) -> list[str]:
    """The YAML files in ``folder`` of the shipped specs, by their path from there."""
    names = sorted(p.name for p in (directory() / folder).glob("*.yaml"))
    return [f"{folder}/{name}" if folder else name for name in names]


if __name__ == "__main__":
    for name, content in generated():
        (directory() / name).write_text(content, encoding="utf-8")
        index.cache_clear()
