"""The workflow file that ``costcalc init`` writes: GitHub checks every pull request."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from costcalc.errors import OptionError
from costcalc.frontends.sources import source_of
from costcalc.reading.installed import is_installed
from costcalc.reading.reach import reach_of

FILE = ".github/workflows/costcalc.yml"
HEAD = """\
# On every pull request: holds the models of {config} to their budgets, and says at the lines that caused it what a
# change costs. Written by `costcalc init`; for a comment there, and other servers: docs/budgets.md of costcalc.
name: costcalc
on:
  pull_request:
{trust}permissions:
  contents: read
jobs:
  budgets:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0 # to find where the branch left its base
          persist-credentials: false
      - uses: actions/setup-python@v5
        with:
          python-version: "{python}"
"""
TRUST = "# The models are code of the pull request and run here: no secret, and a token that can only read.\n"
OF_SPECS = """\
      - run: pip install costcalc
      - run: costcalc check{options} --base "origin/$GITHUB_BASE_REF" --format github
"""
OF_CODE = """\
      # uv takes the wheels of torch for the CPU, which are much smaller than those for GPUs; the cache keeps them.
      - uses: astral-sh/setup-uv@v6
        with:
          enable-cache: true
          prune-cache: false # else only what uv built itself is kept
          cache-dependency-glob: {file}
      # What the models import, in the versions of the day when this was written.
      - run: uv pip install --system --torch-backend cpu costcalc {packages}
      # The base is costcalc.lock as it is where the branch left; add --trace-base to trace the code there instead.
      - run: costcalc check{options} --allow-code --base "origin/$GITHUB_BASE_REF" --format github
"""


def workflow(config: str, code: list[str]) -> str:
    """The workflow for ``config``, by its path from the repository's root; ``code`` are its models that run."""
    if not re.fullmatch(r"[\w./-]+", config):
        raise OptionError(f"'{config[:60]}' cannot be written into a workflow; --no-workflow writes none")
    options = "" if config == "costcalc.yaml" else f" --config {config}"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    head = HEAD.format(config=config, trust=TRUST if code else "", python=python)
    if not code:
        return head + OF_SPECS.format(options=options)
    return head + OF_CODE.format(file=FILE, packages=" ".join(packages(code)), options=options)


def packages(models: Iterable[str]) -> list[str]:
    """What is to be installed for ``models``, which are loaded here: ``torch==2.13.0``, and what their files import."""
    from importlib.metadata import packages_distributions, version

    wanted = {"torch", *(source_of(model).prefix for model in models)}
    owners = packages_distributions()
    for file in _own_files():
        wanted.update(_imported(file))
    names = {owners[name][0] for name in wanted if name in owners and name not in sys.stdlib_module_names}
    first = [name for name in ("torch", *sorted(names - {"torch", "costcalc"})) if name in names]
    return [f"{name}=={version(name).partition('+')[0]}" for name in first]


def _own_files() -> Iterator[Path]:
    """The files of modules that are loaded here and belong to no library."""
    root = reach_of(".")  # of a file in this folder
    for module in [*sys.modules.values()]:
        file = getattr(module, "__file__", None)
        path = Path(file) if isinstance(file, str) and file.endswith(".py") else None
        if path and path.is_relative_to(root) and not is_installed(str(path)):
            yield path


def _imported(file: Path) -> Iterator[str]:
    """The packages that ``file`` imports, wherever it does."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
