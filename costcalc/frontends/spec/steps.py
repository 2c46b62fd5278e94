"""The tree under ``layers`` or a block → steps: what each line says, its expressions parsed, no name looked up yet."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError
from costcalc.frontends.spec.evaluate import Target, brief
from costcalc.frontends.spec.expressions import (
    MAX_LENGTH,
    Assignment,
    CallExpression,
    Expression,
    parse_call,
    parse_expression,
    parse_loop,
    parse_step,
)  # fmt: skip
from costcalc.frontends.spec.templates import Template
from costcalc.ir.op import find_op
from costcalc.reading.tree import Mapping, Scalar, Sequence, Tree


class ValueReference(NamedTuple):
    """A value by its name; or, if nothing has that name, ``call`` of the running value."""

    name: Template | None
    call: CallExpression | None


class Apply(NamedTuple):
    """``name: call``: an op or a block of the running value, or of ``inputs``."""

    name: Template | None
    call: CallExpression
    inputs: Branches | None
    location: Location


class NamedScope(NamedTuple):
    """``name: [steps]``: the steps inside get the prefix ``name.``."""

    name: Template
    steps: Steps
    location: Location


class If(NamedTuple):
    """``if``, ``elif`` …, ``else``: the conditions with their steps; None for ``else``."""

    arms: list[tuple[Expression | None, Steps]]
    location: Location


class For(NamedTuple):
    """``for target in values``: the steps once for each."""

    target: Target
    values: Expression
    steps: Steps
    location: Location


class Conditional(NamedTuple):
    """``if``, ``elif`` …, ``else`` among branches: each condition with the branches that it brings."""

    arms: list[tuple[Expression | None, Branches]]
    location: Location


class Each(NamedTuple):
    """``for target in values`` among branches: the branches once for each."""

    target: Target
    values: Expression
    branches: Branches
    location: Location


class From(NamedTuple):
    """``from: name``: that value becomes the running value."""

    source: Template
    location: Location


class Let(NamedTuple):
    """``name = expression``."""

    assignment: Assignment
    location: Location


Step: TypeAlias = "Apply | NamedScope | If | For | From | Let"
Steps: TypeAlias = "tuple[Step, ...]"
Branch: TypeAlias = "Steps | ValueReference"
Branches: TypeAlias = "tuple[Branch | Conditional | Each, ...]"

RESERVED = frozenset({"channels", "height", "width", "features", "shape", "batch"})
"""What expressions call the sizes of the running value, unless a file gives these names to something else."""

_KEYWORD = re.compile(r"(if|elif|else|for|from)\b")
_NAME = re.compile(r"(?:[\w.-]|\$\w+(?!\w)|\$(?![\w(])|\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))+", re.ASCII)


def parse_steps(tree: Tree) -> Steps:
    """The steps of a list, or the one step that stands where a list could."""
    steps: list[Step] = []
    for item in tree.items if isinstance(tree, Sequence) else [tree]:
        _parse_step(item, steps)
    return tuple(steps)


def _parse_step(item: Tree, steps: list[Step]) -> None:
    """Append what ``item`` says to ``steps``; an ``else`` joins the ``if`` before it."""
    if isinstance(item, Sequence):
        raise SpecError("a list stands where a layer belongs; give it a name: `name: [...]`", item.location)
    if isinstance(item, Scalar):
        steps.append(_simple(item))
        return
    if not item.pairs:
        raise SpecError("an empty mapping stands where a layer belongs", item.location)
    for key, value in _pairs(item):
        keyword = _keyword(key)
        if not keyword:
            steps.append(_named(key, value))
        elif keyword == "from":
            steps.append(From(_layer_name(value), key.location))
        elif keyword == "for":
            steps.append(For(*parse_loop(key.text, key.location), parse_steps(value), key.location))
        else:
            _add_arm(keyword, key, parse_steps(value), steps, If)


def _pairs(item: Mapping) -> list[tuple[Scalar, Tree]]:
    """The pairs of a step: one, or an ``if`` with its ``elif`` and ``else``."""
    chain = item.pairs[0][0].text.startswith("if ")
    for i, (key, _) in enumerate(item.pairs):
        if len(key.text) > MAX_LENGTH:
            raise SpecError(f"a name has {len(key.text):,} characters; {MAX_LENGTH:,} are the most", key.location)
        if i and not (chain and re.match(r"(elif\b|else$)", key.text)):
            raise SpecError(f"'{brief(key.text)}' is a second layer in one step; begin it with a dash", key.location)
    return item.pairs


def _keyword(key: Scalar) -> str:
    """The keyword that ``key`` begins with, if it is not a name that only looks like one."""
    keyword = _KEYWORD.match(key.text)
    return keyword[1] if keyword and (key.text == keyword[1] or not _NAME.fullmatch(key.text)) else ""


def _add_arm(keyword: str, key: Scalar, body: Any, made: list[Any], kind: type[If] | type[Conditional]) -> None:
    """Append the ``if`` with ``body`` to ``made``; an ``elif`` or ``else`` joins the one before it."""
    text = key.text[len(keyword) :].strip()
    if (keyword == "else") != (text == ""):
        sentence = "is followed by nothing" if keyword == "else" else "needs a condition"
        raise SpecError(f"'{brief(key.text)}': {keyword} {sentence}", key.location)
    condition = parse_expression(text, key.location) if text else None
    if keyword == "if":
        made.append(kind([(condition, body)], key.location))
        return
    before = made[-1] if made else None
    if not isinstance(before, kind) or before.arms[-1][0] is None:
        raise SpecError(f"'{keyword}' has no 'if' right before it", key.location)
    before.arms.append((condition, body))


def _simple(item: Scalar) -> Step:
    """A layer or an assignment in one line."""
    if not item.text.strip():
        raise SpecError("a layer is missing here", item.location)
    if _NAME.fullmatch(item.text) and re.match(r"[^\d.-].*[.$]|\$", item.text):
        raise SpecError(
            f"'{brief(item.text)}' is the name of a layer, not a layer; "
            f"`from: {brief(item.text)}` goes back to its value",
            item.location,
        )
    step = parse_step(item.text, item.location)
    if isinstance(step, CallExpression):
        return Apply(None, step, None, item.location)
    return Let(step, item.location)


def _named(key: Scalar, value: Tree) -> Step:
    """``key: value`` where the key is not a keyword: a named layer, a scope, or an op with its branches."""
    if "(" in re.sub(r"\$\([^)]*\)", "", key.text):
        return Apply(None, parse_call(key.text, key.location), _branches(value), key.location)
    if not _NAME.fullmatch(key.text):
        raise SpecError(
            f"'{brief(key.text)}' is not a name for a layer; a name has letters, digits, '_', '-' and '.'", key.location
        )
    if isinstance(value, Sequence):
        if _joins(key.text):
            return Apply(None, parse_call(key.text, key.location), _branches(value), key.location)
        return NamedScope(Template(key.text, key.location), parse_steps(value), key.location)
    name = Template(key.text, key.location)
    if isinstance(value, Scalar):
        if not value.text.strip():
            raise SpecError(
                f"'{brief(key.text)}:' is followed by nothing; a layer or a list of them belongs there", key.location
            )
        return Apply(name, parse_call(value.text, value.location), None, value.location)
    inner = value.pairs[0][0] if len(value.pairs) == 1 else None
    if inner is None or (_KEYWORD.match(inner.text) and not _NAME.fullmatch(inner.text)):
        if inner is None and not (value.pairs and value.pairs[0][0].text.startswith("if ")):
            raise SpecError(f"'{brief(key.text)}' holds several layers; make them a list, with dashes", value.location)
        return NamedScope(name, parse_steps(value), key.location)
    return Apply(name, parse_call(inner.text, inner.location), _branches(value.pairs[0][1]), inner.location)


def _joins(text: str) -> bool:
    """Whether ``text`` is an op that takes several values, so that a list after it gives its branches."""
    from costcalc.ir.op import OPS
    from costcalc.ops import ALIASES, WHERE

    return (text in WHERE or text in ALIASES or text in OPS) and find_op(text).inputs != (1, 1)


def _branches(tree: Tree) -> Branches:
    """The inputs of an op: each a list of steps, a step, or a reference; ``if`` and ``for`` say which there are."""
    branches: list[Branch | Conditional | Each] = []
    for item in tree.items if isinstance(tree, Sequence) else [tree]:
        keyword = _keyword(item.pairs[0][0]) if isinstance(item, Mapping) and item.pairs else ""
        if isinstance(item, Scalar):
            branches.append(_reference(item))
        elif keyword not in ("if", "elif", "else", "for"):
            branches.append(parse_steps(item))
        else:
            for key, value in _pairs(item):
                if keyword == "for":
                    branches.append(Each(*parse_loop(key.text, key.location), _branches(value), key.location))
                else:
                    _add_arm(_keyword(key), key, _branches(value), branches, Conditional)
    return tuple(branches)


def _layer_name(tree: Tree) -> Template:
    """What stands after ``from``."""
    if not isinstance(tree, Scalar) or not tree.text.strip():
        raise SpecError("the name of a layer belongs here", tree.location)
    if not _NAME.fullmatch(tree.text):
        raise SpecError(
            f"'{brief(tree.text)}' is not the name of a layer; what is to be worked out in it stands in $( )",
            tree.location,
        )
    return Template(tree.text, tree.location)


def _reference(tree: Tree) -> ValueReference:
    """A name, or else a call."""
    if not isinstance(tree, Scalar):
        raise SpecError("the name of a layer belongs here", tree.location)
    text = tree.text.strip()
    if not text or len(text) > MAX_LENGTH:
        raise SpecError("the name of a layer belongs here", tree.location)
    is_name = _NAME.fullmatch(text) is not None
    call = None if is_name and not text.isidentifier() else parse_call(text, tree.location)
    return ValueReference(Template(text, tree.location) if is_name else None, call)
