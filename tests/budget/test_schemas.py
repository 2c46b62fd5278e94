"""The schemas of the config and of the lock, against the readers: what a schema accepts, its reader accepts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from throwaway import Repository

from costcalc import load
from costcalc.analysis.report import report
from costcalc.budget.lock import Lock, entry, graph_of, lock_text, parse_lock
from costcalc.budget.read import config
from costcalc.budget.schema import config_schema, lock_schema
from costcalc.errors import CostcalcError
from costcalc.reading.yaml import read

CONFIG, LOCK = config_schema(), lock_schema()
LETTERS = st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_characters="\x7f", exclude_categories=["Cc"])
UNSAID = (
    "two models are called",
    "cannot be at least",
    "no model called",
    "has no budget of",
    "are one transform",
    "cannot be applied after",
)
"""What no schema can say: docstring of ``costcalc.budget.schema``."""


def accepted(schema: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that ``schema`` accepts, for the keywords that our schemas use."""
    if "$ref" in schema:
        return st.deferred(lambda: accepted(whole["definitions"][schema["$ref"].rpartition("/")[2]], whole))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "object":
        own = schema.get("properties", {})
        needed = {*schema.get("required", ())}
        drawn = {name: accepted(inner, whole) for name, inner in own.items()}
        bounds = [one["required"][0] for one in schema.get("anyOf", ())]
        if bounds:
            some = st.lists(st.sampled_from(bounds), min_size=1, unique=True)
            return some.flatmap(lambda keys: _objects(drawn, {*keys} | needed, {*own} - {*bounds}))
        if isinstance(schema.get("additionalProperties"), dict):
            keys = st.from_regex(r"\A[a-z][a-z0-9_.*]{0,8}\Z")
            return st.dictionaries(keys, accepted(schema["additionalProperties"], whole), max_size=3)
        return _objects(drawn, needed, {*own} - needed)
    if "anyOf" in schema:
        return st.one_of([accepted(one, whole) for one in schema["anyOf"]])
    if schema.get("type") == "array":
        return st.lists(accepted(schema["items"], whole), min_size=schema.get("minItems", 0), max_size=3).filter(
            lambda items: not schema.get("uniqueItems") or len(items) == len(set(map(str, items)))
        )
    if schema.get("type") == "string":
        return st.from_regex(schema["pattern"], alphabet=LETTERS)
    if schema.get("type") == "boolean":
        return st.booleans()
    return st.integers(schema.get("minimum", -(10**6)), schema.get("maximum", 10**6))


def _objects(drawn: dict[str, Any], needed: set[str], free: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {key: drawn[key] for key in sorted(needed)}, optional={key: drawn[key] for key in sorted(free - needed)}
    )


@settings(max_examples=150, deadline=None)
@given(accepted(CONFIG, CONFIG))
def test_what_the_schema_accepts_the_reader_accepts(value: Any) -> None:
    if not jsonschema.Draft7Validator(CONFIG).is_valid(value):
        return  # a key that the strategy cannot exclude
    text = json.dumps(value, ensure_ascii=False)
    try:
        config(read(text.encode(), "costcalc.yaml"), "costcalc.yaml")
    except CostcalcError as error:
        assert any(says in error.message for says in UNSAID), (error, text)


@pytest.mark.parametrize(
    "text",
    [
        "version: 2\nmodels: [{model: a}]",
        "version: 1",
        "version: 1\nmodels: []",
        "version: 1\nmodels: [{name: a}]",
        "version: 1\nmodels: [{model: a, budgest: {}}]",
        "version: 1\nmodels: [{model: a, budgets: {bflops: 3}}]",
        "version: 1\nmodels: [{model: a, budgets: {macs: 3 GB}}]",
        "version: 1\nmodels: [{model: a, budgets: {storage: 300}}]",
        "version: 1\nmodels: [{model: a, budgets: {macs: {level: warn}}}]",
        "version: 1\nmodels: [{model: a, budgets: {macs: {max_increase: 0.9x}}}]",
        "version: 1\nmodels: [{model: a, budgets: {time: 3 ms}}]",
        "version: 1\nmodels: [{model: a, layers: {x: {peak: 3 MB}}}]",
        "version: 1\nmodels: [{model: a, at: [{input: 3x0x4}]}]",
        "version: 1\nmodels: [{model: a, at: [{layout: nn}]}]",
        "version: 1\nmodels: [{model: a, at: [{apply: [nothing]}]}]",
        "version: 1\nmodels: [{model: a, at: [{parameters: {a: in}}]}]",
        "version: 1\nmodels: [{model: a, at: [{parameters: {a: yield}}]}]",
        "version: 1\nmodels: [{model: a}]\nexempt: [{model: a, metric: macs, until: '2026-02-30', reason: x}]",
        f"version: 1\nmodels: [{{model: a, layers: {{{', '.join(f'l{i}: {{macs: 1}}' for i in range(201))}}}}}]",
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(text: str) -> None:
    assert not jsonschema.Draft7Validator(CONFIG).is_valid(yaml.load(text, yaml.BaseLoader))
    with pytest.raises(CostcalcError):
        config(read(text.encode(), "costcalc.yaml"), "costcalc.yaml")


def test_the_configs_of_the_documentation_are_accepted() -> None:
    import re
    from pathlib import Path

    root = Path(__file__).parents[2]
    blocks = re.findall(
        r"```yaml\n(version: 1.*?)```", (root / "docs/budgets.md").read_text(encoding="utf-8"), re.DOTALL
    )
    own = (root / "costcalc.yaml").read_text(encoding="utf-8")
    assert blocks
    for text in (*blocks, own):
        value = json.loads(json.dumps(yaml.safe_load(text), default=str))
        jsonschema.validate(value, CONFIG, jsonschema.Draft7Validator)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["lenet5", "mobilenet_v2", "unet", "vit_b_16"]),
    st.sampled_from([(), ("fold_norm",), ("fuse:tflite",)]),
    st.data(),
)
def test_locks_that_are_written_are_accepted_and_what_is_accepted_is_read(name: str, apply: Any, data: Any) -> None:
    graph = load(name, apply=apply)
    text = lock_text(Lock({("m", ""): entry(graph, report(graph), name, "")}))
    value = json.loads(text)
    jsonschema.validate(value, LOCK, jsonschema.Draft7Validator)
    # Something else in its place: if the schema still accepts it, the reader refuses at most its checksum.
    made = value["models"]["m"][""]
    key = data.draw(st.sampled_from(sorted(made)))
    made[key] = data.draw(
        st.sampled_from([None, 1, "x", [], {}, -1, {"macs": -1}, [{"name": "a"}], "sha256:" + "0" * 64])
    )
    if jsonschema.Draft7Validator(LOCK).is_valid(value):
        from costcalc.budget.lock import _checksum

        value["sha256"] = _checksum(value["models"])
        assert parse_lock(json.dumps(value).encode(), "costcalc.lock").entries


def test_locks_of_layers_whose_elements_are_stored_otherwise_are_accepted() -> None:
    graph = load("lenet5")
    first = next(node for node in graph.nodes if node.op.weights(*graph.input_types(node)))
    nodes = tuple(n._replace(stored_as={"weight": "int8"}) if n is first else n for n in graph.nodes)
    graph = replace(graph, nodes=nodes)
    text = lock_text(Lock({("m", ""): entry(graph, report(graph), "lenet5", "")}))
    jsonschema.validate(json.loads(text), LOCK, jsonschema.Draft7Validator)
    assert '"stored_as": {"weight": "int8"}' in text and graph_of(parse_lock(text.encode(), "x").entries["m", ""])


def test_the_command_writes_them(repository: Repository) -> None:
    for of, schema in (("config", CONFIG), ("lock", LOCK)):
        code, printed = repository.run("schema", "--of", of)
        assert code == 0 and json.loads(printed) == schema
        jsonschema.Draft7Validator.check_schema(schema)
