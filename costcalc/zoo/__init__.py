"""The shipped models and blocks: where their files are, and which names they have.

``index.json`` beside the specs holds the names, so that looking one up parses no spec; ``figures.json`` what each model
costs, so that listing them analyses none; ``schema.json`` tells editors what a spec may contain. They are generated,
anew whenever a spec or an op has changed:

    python -m costcalc.zoo
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from costcalc.errors import UnknownName, listing, near


@cache
def directory() -> Path:
    """The folder of shipped specs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
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
        others = "others are timm:NAME, torchvision:NAME, hf:NAME, net.py:NAME, and a path ends in .yaml"
        hint = near(name, known) or f"; `costcalc list` shows them, {others}"
        raise UnknownName(f"no model called '{name[:80]}'{hint}")
    return path(entry["file"]), entry["file"], entry["variant"]


def blocks() -> dict[str, str]:
    """The file of each shared block, by name."""
    found: dict[str, str] = index()["blocks"]
    return found


def path(file: str) -> str:
    """Where the shipped ``file`` is."""
    return str(directory() / file)
