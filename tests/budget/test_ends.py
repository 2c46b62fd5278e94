"""The ends of what a config takes: the schema and the reader agree there; a first config is read as it was meant; and
patterns of layers count what has no rule."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from throwaway import Repository

from costcalc.budget.init import _quoted
from costcalc.budget.read import config
from costcalc.budget.schema import config_schema
from costcalc.errors import CostcalcError
from costcalc.reading.tree import Mapping
from costcalc.reading.yaml import read


@pytest.mark.parametrize(
    "text",
    ["net", "a/b.yaml", "timm:resnet50", "a: b", "a:", "- x", "#x", "x #y", "'", '"', "\\", "", " ", "[a]", "*a", "&a",
     "!a", "true", "a\nb", "a\u2028b", "é", "{a}", "%a", "@a", "`a`", "|", ">", "?", "~x", ".x"],
)  # fmt: skip
def test_what_is_quoted_is_read_as_it_was(text: str) -> None:
    tree = read(f"x: {_quoted(text)}\n".encode(), "mine.yaml")
    assert isinstance(tree, Mapping)
    ((_, value),) = tree.pairs
    assert value.text == text
    assert (_quoted(text) == text) == (text in ("net", "a/b.yaml", "timm:resnet50", "true", "é"))


@pytest.mark.parametrize(
    ("at", "values"),
    [
        ("bits", (0, 1, 2, 1024, 1025)),
        ("batch", (-1, 0, 1, 2)),
        ("parameters", ({"n": -(10**18)}, {"n": 10**18}, {"n": 0})),
    ],
)
def test_the_schema_ends_where_the_reader_does(at: str, values: tuple[Any, ...]) -> None:
    verdicts = set()
    for value in values:
        given = {"version": 1, "models": [{"model": "net.yaml", "at": [{at: value}], "budgets": {"macs": 1}}]}
        try:
            config(read(yaml.safe_dump(given).encode(), "mine.yaml"), "mine.yaml")
        except CostcalcError:
            is_read = False
        else:
            is_read = True
        assert jsonschema.Draft7Validator(config_schema()).is_valid(given) == is_read, value
        verdicts.add(is_read)
    assert True in verdicts


def test_layers_of_a_pattern_that_have_rules_are_not_uncounted(repository: Repository) -> None:
    repository.write("net.yaml", "inputs: {x: [3, 8, 8]}\nlayers:\n- stem: conv(4, 3)\n- relu\n")
    layers = "{'*': {uncounted: 0}}"
    repository.write(
        "costcalc.yaml", f"version: 1\nmodels:\n- {{model: net.yaml, budgets: {{macs: 1M}}, layers: {layers}}}\n"
    )
    code, printed = repository.run("check", "--format", "json")
    verdicts = {v["metric"]: v for v in json.loads(printed)["verdicts"]}
    assert code == 0 and verdicts["uncounted"]["value"] == 0
