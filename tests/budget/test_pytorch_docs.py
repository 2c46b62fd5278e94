"""docs/pytorch_budgets.md: its transcripts are replayed in a repository that holds its model, tracing included.

To write what is printed into the page: ``COSTCALC_WRITE_DOCS=1 python -m pytest tests/budget/test_pytorch_docs.py``.
"""

from __future__ import annotations

import os
import re
import sys

import pytest
from test_budget_docs import BLOCK, ROOT, replayed
from throwaway import Repository

pytest.importorskip("torch.nn")

PAGE = ROOT / "docs/pytorch_budgets.md"


def test_the_transcripts_are_what_is_printed(empty: Repository, tmp_path_factory: pytest.TempPathFactory) -> None:
    tools = tmp_path_factory.mktemp("bin")
    (tools / "costcalc").write_text(f'#!/bin/sh\nexec {sys.executable} -m costcalc "$@"\n')
    (tools / "costcalc").chmod(0o755)
    page = PAGE.read_text(encoding="utf-8")
    (model,) = re.findall(r"```python\n(from torch.*?)```", page, re.DOTALL)
    empty.write("net.py", model)
    empty.commit("the model")
    again = BLOCK.sub(lambda found: f"```console\n{replayed(found[1], empty, tools)}```\n", page)
    if os.environ.get("COSTCALC_WRITE_DOCS"):
        PAGE.write_text(again, encoding="utf-8")
    assert again == page
    # Of a pull request the check fails, and says why at the lines; on main it passed.
    first, second = BLOCK.findall(again)
    assert "all 5 budgets met" in first
    assert "since costcalc.lock at main, 2% allowed" in second and "net.py:5" in second and "net.py:15" in second
