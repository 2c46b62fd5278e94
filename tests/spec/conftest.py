"""A spec from its text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from specs import whole

import costcalc
from costcalc.ir.graph import Graph


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Graph]:
    """``build(text, variant="", **options of load)``: the graph of the spec ``whole(text)``, in a file ``net.yaml``."""

    def graph(text: str, variant: str = "", **options: Any) -> Graph:
        path = tmp_path / "net.yaml"
        path.write_text(whole(text), encoding="utf-8")
        return costcalc.load(f"{path}:{variant}" if variant else path, **options)

    return graph
