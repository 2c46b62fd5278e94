"""Parsed expressions → closures: the part of Python's syntax that a spec may use, each node with its rule.

A closure takes a ``ExpressionScope`` and returns a value. Nothing of Python is reachable from a spec but the arithmetic
in ``values`` and the table in ``functions``; a node without a rule here is refused by name.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from costcalc.errors import SpecError, listing, near
from costcalc.frontends.spec import functions, values
from costcalc.frontends.spec.values import Value, Word, WorkLimit
from costcalc.ir.expr import Relation
from costcalc.ops import WHERE

MAX_AST_DEPTH = 40

Evaluator: TypeAlias = "Callable[[ExpressionScope], Value]"
Target: TypeAlias = "str | tuple[Target, ...]"


class ExpressionScope:
    """The names that an expression sees, and the budget that it draws on."""

    __slots__ = ("budget", "local", "other")

    def __init__(self, budget: WorkLimit, local: dict[str, Value], other: Callable[[str], Value]) -> None:
        self.budget, self.local, self.other = budget, local, other

    def callee(self, name: str) -> str:
        """The op or block that ``name`` calls, which is not a function."""
        try:
            word = self.local[name] if name in self.local else self.other(name)
        except SpecError:
            known = functions.FUNCTIONS
            hint = f"{near(name, {*known, *WHERE})}; there are {listing(known)}"
            raise SpecError(f"no function called '{brief(name)}'{hint}") from None
        if not isinstance(word, str):
            raise SpecError(f"'{brief(name)}' is {values.shown(word)} here, not a function, an op or a block")
        return word

    def inner(self) -> ExpressionScope:
        """A scope whose new names do not reach this one."""
        return ExpressionScope(self.budget, dict(self.local), self.other)


def compile_node(node: ast.AST, depth: int) -> Evaluator:
    rule = _RULES.get(type(node))
    if rule is None:
        raise SpecError(f"{_REFUSED.get(type(node), 'this syntax')} cannot be used in a spec")
    if depth > MAX_AST_DEPTH:
        raise SpecError(f"an expression is nested more than {MAX_AST_DEPTH} deep")
    return rule(node, depth + 1)


def _constant(node: ast.Constant, depth: int) -> Evaluator:
    value = node.value
    if value is not None and not isinstance(value, (int, float, str)):
        raise SpecError(f"{brief(repr(value))} is not a value that a spec can use")
    value = values.admit(value)
    if isinstance(value, str) and "$" in value:
        # Imported here because a template has expressions in it.
        from costcalc.frontends.spec.templates import Template

        return Template(value, None).fill
    return lambda scope: value


_YAML_CONSTANTS = {"true": True, "false": False, "null": None}


def _name(node: ast.Name, depth: int) -> Evaluator:
    name = node.id
    if name in _YAML_CONSTANTS:
        value = _YAML_CONSTANTS[name]
        return lambda scope: value

    def load(scope: ExpressionScope) -> Value:
        try:
            return scope.local[name]
        except KeyError:
            return scope.other(name)

    return load


def _list(node: ast.List | ast.Tuple, depth: int) -> Evaluator:
    items = [compile_node(e, depth) for e in node.elts]
    return lambda scope: _spent(scope, tuple([item(scope) for item in items]))


_BINARY: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: values.add,
    ast.Sub: values.subtract,
    ast.Mult: values.multiply,
    ast.Div: values.divide,
    ast.FloorDiv: values.floor_divide,
    ast.Mod: values.modulo,
    ast.Pow: values.power,
}


def _binary(node: ast.BinOp, depth: int) -> Evaluator:
    rule = _BINARY.get(type(node.op))
    if rule is None:
        raise SpecError("the operators are + - * / // % **")
    left, right = compile_node(node.left, depth), compile_node(node.right, depth)
    return lambda scope: _spent(scope, rule(left(scope), right(scope)))


def _unary(node: ast.UnaryOp, depth: int) -> Evaluator:
    operand = compile_node(node.operand, depth)
    if isinstance(node.op, ast.Not):
        return lambda scope: not values.truth(operand(scope))
    if isinstance(node.op, ast.Invert):
        raise SpecError("the operators are + - * / // % **")
    rule = values.negative if isinstance(node.op, ast.USub) else values.positive
    return lambda scope: rule(operand(scope))


def _boolean(node: ast.BoolOp, depth: int) -> Evaluator:
    operands = [compile_node(v, depth) for v in node.values]
    stop = isinstance(node.op, ast.Or)

    def run(scope: ExpressionScope) -> Value:
        value: Value = None
        for operand in operands:
            value = operand(scope)
            if values.truth(value) is stop:
                break
        return value

    return run


_COMPARE: dict[type[ast.cmpop], Callable[[Value, Value], Any]] = {
    ast.Eq: values.equal,
    ast.NotEq: lambda a, b: not values.truth(values.equal(a, b)),
    ast.Is: values.equal,
    ast.IsNot: lambda a, b: not values.truth(values.equal(a, b)),
    ast.GtE: values.at_least,
    ast.LtE: lambda a, b: values.at_least(b, a),
    ast.Gt: lambda a, b: _above(a, b),
    ast.Lt: lambda a, b: _above(b, a),
    ast.In: lambda a, b: _contains(b, a),
    ast.NotIn: lambda a, b: not _contains(b, a),
}


def _above(a: Value, b: Value) -> Any:
    if isinstance(a, float) or isinstance(b, float):
        return not values.truth(values.at_least(b, a))
    values.at_least(a, b)  # refuses what is not a number
    return values.at_least(a, b + 1)


def _contains(items: Value, value: Value) -> bool:
    if not isinstance(items, tuple):
        raise SpecError(f"'in' looks into a list, not into {values.shown(items)}")
    return any(values.truth(values.equal(value, item)) for item in items)


def _compare(node: ast.Compare, depth: int) -> Evaluator:
    first = compile_node(node.left, depth)
    rest = [(_COMPARE[type(o)], compile_node(c, depth)) for o, c in zip(node.ops, node.comparators, strict=True)]

    def run(scope: ExpressionScope) -> Any:
        left, holds = first(scope), True
        for i, (rule, operand) in enumerate(rest):
            right = operand(scope)
            for value in (left, right):
                if isinstance(value, tuple):
                    scope.budget.spend(values.weigh(value))
            holds = rule(left, right)
            if i + 1 < len(rest) and not values.truth(holds):
                break
            left = right
        return holds

    return run


def _choice(node: ast.IfExp, depth: int) -> Evaluator:
    condition, then, other = (compile_node(n, depth) for n in (node.test, node.body, node.orelse))

    def run(scope: ExpressionScope) -> Value:
        holds = condition(scope)
        if isinstance(holds, Relation):
            return values.where(holds, then(scope), other(scope))
        return then(scope) if values.truth(holds) else other(scope)

    return run


def _subscript(node: ast.Subscript, depth: int) -> Evaluator:
    value, at = compile_node(node.value, depth), compile_node(node.slice, depth)
    return lambda scope: _spent(scope, values.index(value(scope), at(scope)))


def _slice(node: ast.Slice, depth: int) -> Evaluator:
    parts = [None if p is None else compile_node(p, depth) for p in (node.lower, node.upper, node.step)]

    def run(scope: ExpressionScope) -> slice:
        bounds = [None if p is None else p(scope) for p in parts]
        if not all(b is None or isinstance(b, int) for b in bounds):
            raise SpecError("the bounds of a slice are whole numbers")
        if bounds[2] == 0:
            raise SpecError("the step of a slice cannot be 0")
        return slice(*bounds)

    return run


def _function(node: ast.Call, depth: int) -> Evaluator:
    if not isinstance(node.func, ast.Name) or any(k.arg is None for k in node.keywords):
        raise SpecError("only functions by name can be called in an expression, with their arguments one by one")
    name = node.func.id
    positional = [compile_node(a, depth) for a in node.args]
    named = [(str(k.arg), compile_node(k.value, depth)) for k in node.keywords]

    def run(scope: ExpressionScope) -> Value:
        args = [a(scope) for a in positional]
        kwargs = {k: v(scope) for k, v in named}
        for value in args:
            _spent(scope, value)
        if name in functions.FUNCTIONS:
            return _spent(scope, functions.call(name, args, kwargs))
        word = Word(scope.callee(name), tuple(args), kwargs)
        scope.budget.spend(len(word.args) + len(word.kwargs))
        return word

    return run


def _comprehension(node: ast.ListComp | ast.GeneratorExp, depth: int) -> Evaluator:
    names = parse_target(node.generators[0].target)
    if len(node.generators) != 1 or node.generators[0].is_async or names is None:
        raise SpecError("a list is built with one 'for name in list'")
    items = compile_node(node.generators[0].iter, depth)
    conditions = [compile_node(c, depth) for c in node.generators[0].ifs]
    element = compile_node(node.elt, depth)
    price = 1 + sum(1 for _ in ast.walk(node)) // 8

    def run(scope: ExpressionScope) -> Value:
        inner, made = scope.inner(), []
        for item in iterate(items(scope)):
            scope.budget.spend(price)
            inner.local.update(bind(names, item))
            if all(values.truth(c(inner)) for c in conditions):
                made.append(element(inner))
        return _spent(scope, tuple(made))

    return run


def iterate(value: Value) -> tuple[Value, ...]:
    """The values of a list; ``SpecError`` for anything else."""
    if not isinstance(value, tuple):
        raise SpecError(f"a loop runs over a list, not over {values.shown(value)}; range(n) is a list")
    return value


def bind(target: Target, value: Value) -> Iterator[tuple[str, Value]]:
    """Each name in ``target`` with its part of ``value``."""
    if isinstance(target, str):
        yield target, value
        return
    if not isinstance(value, tuple) or len(value) != len(target):
        raise SpecError(f"{len(target)} names cannot take {values.shown(value)}")
    for inner, part in zip(target, value, strict=True):
        yield from bind(inner, part)


def _spent(scope: ExpressionScope, value: Value) -> Value:
    """``value``, its elements paid for if it is a list."""
    if isinstance(value, tuple):
        scope.budget.spend(values.weigh(value))
    return value


_RULES: dict[type[ast.AST], Callable[[Any, int], Evaluator]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.List: _list,
    ast.Tuple: _list,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _choice,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Call: _function,
    ast.ListComp: _comprehension,
    ast.GeneratorExp: _comprehension,
}
_REFUSED: dict[type[ast.AST], str] = {
    ast.Attribute: "a dot after a value",
    ast.Lambda: "lambda",
    ast.Dict: "{ }",
    ast.Set: "{ }",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "':='",
    ast.Starred: "'*' before a value",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.SetComp: "{ }",
    ast.DictComp: "{ }",
}


def parse_target(node: ast.AST, depth: int = 0) -> Target | None:
    """What is assigned to: a name, or names with commas, perhaps in parentheses; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if not isinstance(node, ast.Tuple) or not node.elts or depth > 3:
        return None
    parts = tuple(parse_target(e, depth + 1) for e in node.elts)
    return None if None in parts else parts  # type: ignore[return-value]


def brief(text: str) -> str:
    """``text`` on one line of at most 80 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:77] + "..."
