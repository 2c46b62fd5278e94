"""What the tests of TFLite files share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from costcalc import load
from costcalc.ir.graph import Graph
from tests.tflite.writing_tflite import File, Open


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """The graph of a file that was put together."""

    def of(file: File, inputs: list[int], outputs: list[int], **choices: Any) -> Graph:
        path = tmp_path / "net.tflite"
        path.write_bytes(file.bytes(inputs, outputs))
        return load(str(path), **choices)

    return of
