"""docs/budgets.md: its transcripts are replayed in a repository, and its configs are read.

To write what is printed into the page: ``COSTCALC_WRITE_DOCS=1 python -m pytest tests/budget/test_budget_docs.py``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from throwaway import Repository

from costcalc.analysis.figures import FIGURES
from costcalc.budget.read import config
from costcalc.errors import CostcalcError
from costcalc.reading.yaml import read

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/budgets.md"
BLOCK = re.compile(r"```console\n(.*?)```\n", re.DOTALL)


def replayed(block: str, repository: Repository, tools: Path) -> str:
    """``block`` with what its commands print today."""
    environment = {
        **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "COLUMNS": "100",
        "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    }  # fmt: skip
    text = ""
    for line in block.splitlines():
        if line.startswith("$ "):
            done = subprocess.run(
                line[2:], shell=True, cwd=repository.folder, env=environment, capture_output=True, text=True
            )
            text += f"{line}\n{done.stdout}{done.stderr}"
    return text


def test_the_transcripts_are_what_is_printed(repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> None:
    tools = tmp_path_factory.mktemp("bin")
    (tools / "costcalc").write_text(f'#!/bin/sh\nexec {sys.executable} -m costcalc "$@"\n')
    (tools / "costcalc").chmod(0o755)
    page = PAGE.read_text(encoding="utf-8")
    again = BLOCK.sub(lambda found: f"```console\n{replayed(found[1], repository, tools)}```\n", page)
    if os.environ.get("COSTCALC_WRITE_DOCS"):
        PAGE.write_text(again, encoding="utf-8")
    assert again == page


def test_its_config_is_read_and_its_table_has_every_figure() -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (ours,) = [block for block in blocks if block.startswith("version: 1")]
    assert len(config(read(ours.encode(), "costcalc.yaml"), "costcalc.yaml").models[0].budgets) == 8
    for block in blocks:
        assert yaml.safe_load(block)
    table = page[page.index("| figure | counted in") :]
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    assert set(FIGURES) - named == {"intensity"}


def test_the_action_s_inputs_are_those_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("| input | means |") : page.index("**pre-commit**")]
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    assert re.findall(r"^\| `([\w-]+)`", table, re.MULTILINE) == list(inputs)


def test_the_order_of_causes_on_the_page_is_that_of_the_code() -> None:
    from costcalc.difference.edits import KINDS

    page = (ROOT / "docs/diff.md").read_text(encoding="utf-8")
    steps = page[page.index("The order of the steps") : page.index("Within a kind")]
    named = [kind for kind in re.findall(r"`(\w+)`", steps) if kind in KINDS]
    assert named == list(KINDS)


def test_an_unknown_key_of_the_config_is_one() -> None:
    with pytest.raises(CostcalcError):
        config(read(b"version: 1\nmodels: [{model: a, budgest: {}}]\n", "c"), "c")
