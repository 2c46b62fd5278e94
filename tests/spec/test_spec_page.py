"""The examples of docs/spec.md are specs, and its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import costcalc
from costcalc.frontends.spec import expand, layers, values
from costcalc.frontends.spec.expressions import MAX_LENGTH
from costcalc.frontends.spec.functions import FUNCTIONS
from costcalc.frontends.spec.model import KEYS
from costcalc.reading import files, yaml

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda t: t.split("\n")[0][:30])
def test_each_example_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text, encoding="utf-8")
    assert costcalc.load(path).nodes


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 4


def test_each_key_and_function_is_on_the_page() -> None:
    for key in KEYS:
        assert re.search(rf"^\|.*`{key}`.*\|", PAGE, re.MULTILINE), key
    for name in FUNCTIONS:
        assert re.search(rf"^\|.*`{name}[`(]", PAGE, re.MULTILINE), name


def test_the_limits_on_the_page_are_the_limits() -> None:
    limits = PAGE[PAGE.index("## Limits") :]
    for said in (
        f"{files.MAX_BYTES // 2**20} MiB",
        f"{yaml.MAX_NODES:,} items",
        f"{yaml.MAX_DEPTH} levels of nesting",
        f"{layers.MAX_LAYERS:,} layers",
        f"{values.MAX_STEPS:,} steps",
        f"{MAX_LENGTH:,} characters",
        f"{values.MAX_BITS:,} bits",
        f"{values.MAX_LIST:,} values",
        f"{expand.MAX_NESTING} deep",
    ):
        assert said in re.sub(r"\s+", " ", limits), said
