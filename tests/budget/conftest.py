"""The throwaway repository as a fixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from throwaway import SPEC, Repository, open_repository


@pytest.fixture
def empty(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository without a commit."""
    return open_repository(tmp_path, capsys, monkeypatch)


@pytest.fixture
def repository(empty: Repository) -> Repository:
    """One that has ``configs/backbone.yaml`` on main."""
    empty.write("configs/backbone.yaml", SPEC)
    empty.commit("the model")
    return empty
