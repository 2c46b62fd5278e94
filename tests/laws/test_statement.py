"""Every op says what the reader, the schema and the docs need of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from uses import outputs_of

import costcalc.ops
from costcalc.ir.fields import KINDS
from costcalc.ir.op import ROLES, Op, find_op
from costcalc.ops import WHERE

NUMBERS = {"Size", "Sizes", "Count", "Counts", "Scales", "Pairs", "Pads"}
"""Kinds of options that count something."""
OPS = pytest.mark.parametrize("name", WHERE)


@OPS
def test_the_table_names_the_module_that_defines_the_op(name: str) -> None:
    assert find_op(name).__module__ == f"costcalc.ops.{WHERE[name]}"


def test_every_decorated_op_stands_in_the_table() -> None:
    folder = Path(costcalc.ops.__file__).parent
    decorated = {name for file in folder.glob("*.py") for name in re.findall(r'^@op\("(\w+)"', file.read_text(), re.M)}

    assert decorated == set(WHERE)


@OPS
def test_the_docstring_says_what_is_counted_and_where_the_rule_comes_from(name: str) -> None:
    first, *rest = (find_op(name).__doc__ or "").splitlines()
    headings = re.findall(r"^ *(MACs|Ops|Not counted|Source)  +\S", "\n".join(rest), re.M)

    assert first.endswith((".", ":")), f"the first line of {name} is one sentence: {first!r}"
    assert headings == [h for h in ("MACs", "Ops", "Not counted", "Source") if h in headings], "each once, in order"
    assert "Source" in headings or "MACs" not in headings
    for op, *types in find_op(name).examples():
        y = outputs_of(op, types)[0]
        assert "MACs" in headings or op.macs(*types, y=y) == 0
        assert "Ops" in headings or op.ops(*types, y=y) == 0


@pytest.mark.parametrize("name", [name for name in WHERE if find_op(name).is_counted])
def test_examples_are_of_the_op_and_show_each_of_its_options(name: str) -> None:
    examples = list(find_op(name).examples())
    shown = {f.name for f in find_op(name).fields for op, *_ in examples if getattr(op, f.name) != f.default}

    assert {type(op) for op, *_ in examples} == {find_op(name)}
    # Numbers that change no figure are left out, as is the element type that a traced call makes.
    assert {f.name for f in find_op(name).fields if f.kind != "float" and f.name != "dtype"} <= shown


@OPS
def test_each_option_is_of_a_known_kind_and_letters_stand_for_options(name: str) -> None:
    fields = find_op(name).fields

    assert {f.kind for f in fields} <= KINDS.keys()
    assert find_op(name).letters.keys() <= {f.name for f in fields}


@OPS
def test_each_number_among_the_options_says_what_it_means(name: str) -> None:
    """Switches, words, axes, shapes and element types are options; a count may be a width, a kernel, a stride …"""
    op = find_op(name)
    fields = {f.name: f for f in op.fields}
    numbers = {f.name for f in op.fields if f.kind.split(" ")[0] in NUMBERS}

    assert op.roles.keys() <= fields.keys() and {*op.roles.values()} <= {*ROLES}
    assert {n for n in numbers if n not in op.roles and n not in ROLES} == set()


@OPS
def test_what_has_no_module_comes_of_a_call_of_pytorch(name: str) -> None:
    op = find_op(name)

    assert op.to_torch is not Op.to_torch or op.aten or not op.is_counted


@OPS
def test_required_options_come_first(name: str) -> None:
    required = [f.required for f in find_op(name).fields]

    assert required == sorted(required, reverse=True)
