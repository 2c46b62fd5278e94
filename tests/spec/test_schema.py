"""The JSON Schema of specs: valid itself, fresh, true of every shipped spec, and not true of everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from specs import whole

from costcalc import zoo
from costcalc.ir.op import all_ops
from costcalc.zoo import build

SPECS = sorted([*zoo.directory().glob("*.yaml"), *zoo.directory().glob("blocks/*.yaml")])


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(Path(zoo.path("schema.json")).read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_shipped_spec_is_valid_and_names_the_schema(path: Path, validator: Any) -> None:
    text = path.read_text(encoding="utf-8")
    problems = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(yaml.safe_load(text))
    ]
    assert problems == []
    to_schema = "schema.json" if path.parent == zoo.directory() else "../schema.json"
    assert text.splitlines()[0] == f"# yaml-language-server: $schema={to_schema}"


def test_the_generated_files_are_fresh() -> None:
    for name, content in build.generated():
        assert Path(zoo.path(name)).read_text(encoding="utf-8") == content, (
            f"{name} is old; run: python -m costcalc.zoo"
        )


def test_each_op_and_shared_block_is_in_it_with_its_options(validator: Any) -> None:
    calls = {c.get("title"): c["description"] for c in validator.schema["definitions"]["call"]["anyOf"]}
    assert all_ops().keys() <= calls.keys()
    assert zoo.blocks().keys() <= calls.keys()
    first = calls["conv"].splitlines()[0]
    assert (
        first == "conv(out_channels, kernel, stride=1, padding=0, dilation=1, groups=1, bias=True, channels_last=False)"
    )
    assert "groups: a whole number from 1" in calls["conv"]


@pytest.mark.parametrize(
    "text",
    [
        "- relu\n- a: {concat(axis=1): [[], relu]}",
        # YAML reads two keys in the braces, `both(1` and `2)`.
        "blocks:\n  both(a, b): [relu]\nlayers: [relu, x: {both(1, 2): [image]}]",
        "- add: [[], for i in range(2): [[], [relu]], if channels > 1: [image]]",
    ],
)
def test_what_loads_is_valid(text: str, validator: Any, build: Any) -> None:
    assert build(text).nodes
    assert [e.message for e in validator.iter_errors(yaml.safe_load(whole(text)))] == []


@pytest.mark.parametrize(
    "text",
    [
        "layer: [relu]\nlayers: [relu]",
        "inputs: {x: [3]}",
        "layers: [[relu]]",
        "layers: [{}]",
        "layers: [{a: null}]",
        "layers: [relu]\ninputs: [3, 224, 224]",
        "layers: [relu]\ninputs: {x: {size: [3]}}",
        "layers: [relu]\ninputs: {x: {shape: [3], dtype: float33}}",
        "layers: [relu]\nparameters: {a: {b: 1}}",
        "layers: [{add: 3}]",
    ],
)
def test_a_wrong_structure_is_refused(text: str, validator: Any) -> None:
    assert not validator.is_valid(yaml.safe_load(text if "inputs" in text else whole(text)))
