"""Commands print for 80 columns without colour, whoever runs the tests."""

from __future__ import annotations

import pytest
from terminal import QUIET


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
