"""Text → something that can be evaluated: Python's expression syntax, parsed and never executed.

Text is parsed by ``ast`` after a check of its length; ``evaluate`` admits a part of what comes out.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from keyword import iskeyword
from typing import Any

from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError, Location, SpecError
from costcalc.frontends.spec.evaluate import Evaluator, ExpressionScope, Target, brief, compile_node, parse_target
from costcalc.frontends.spec.values import Value

MAX_LENGTH = 2000
WORD = re.compile(r"\w+(\.\w+)*")
"""What may be meant as a word, though only a name is one without quotes: layer1.0, 3x3."""
_PAIR = re.compile(r"^[^\[\]{}'\"]*[\w)] *: *[\w(]")
"""A colon outside of brackets, where only a slice has one: 3:3."""


class Expression(NamedTuple):
    """One expression of a spec; ``value`` evaluates it."""

    text: str
    location: Location | None
    run: Evaluator

    def value(self, scope: ExpressionScope) -> Value:
        """Its value in ``scope``; ``SpecError``, placed, where it has none."""
        return guarded(self.run, scope, self.text, self.location)


class CallExpression(NamedTuple):
    """``function(args, keyword=...)``, or the bare name of a function."""

    function: str
    text: str
    location: Location | None
    run: Callable[[ExpressionScope], tuple[tuple[Value, ...], dict[str, Value]]] | None

    def arguments(self, scope: ExpressionScope) -> tuple[tuple[Value, ...], dict[str, Value]]:
        """Its arguments by position and by name."""
        if self.run is None:
            return (), {}
        result: tuple[tuple[Value, ...], dict[str, Value]] = guarded(self.run, scope, self.text, self.location)
        return result


class Assignment(NamedTuple):
    """``name = expression``, or several names for the values of a list."""

    target: Target
    expression: Expression


class Signature(NamedTuple):
    """``name(parameter, parameter=default)``: each parameter with its default or None."""

    name: str
    parameters: Mapping[str, Expression | None]
    text: str


def guarded(run: Callable[[ExpressionScope], Any], scope: ExpressionScope, text: str, location: Location | None) -> Any:
    """``run(scope)``, with everything that can go wrong said in a sentence."""
    try:
        if len(text) > 15:
            scope.budget.spend(len(text) // 16)
        return run(scope)
    except CostcalcError as error:
        raise error.at(location) from None
    except ZeroDivisionError:
        raise SpecError(f"'{brief(text)}' divides by zero", location) from None
    except OverflowError:
        raise SpecError(f"'{brief(text)}' is too large for a number with a fraction", location) from None


def parse_expression(text: str, location: Location | None) -> Expression:
    """``text`` as an expression; ``SpecError`` if it is none."""
    node = _parse(text, location)
    if isinstance(node, ast.Assign):
        raise SpecError(f"'{brief(text)}' is an assignment where a value belongs", location)
    return Expression(text, location, _compiled(node, location))


def parse_word(text: str, location: Location | None) -> Expression:
    """``text`` as an expression where words are usual; ``SpecError`` tells one that needs quotes."""
    try:
        return parse_expression(text, location)
    except SpecError:
        if WORD.fullmatch(text.strip()):
            said = brief(text.strip())
            raise SpecError(
                f"'{said}' is not an expression; as a word it stands in quotes: '{said}'", location
            ) from None
        raise


def parse_step(text: str, location: Location | None) -> Assignment | CallExpression:
    """``text`` as an assignment or the call of an op or a block."""
    node = _parse(text, location)
    if isinstance(node, ast.Assign):
        names = parse_target(node.targets[0]) if len(node.targets) == 1 else None
        if names is None:
            raise SpecError("an assignment has a name, or names with commas, before one '='", location)
        return Assignment(names, Expression(text, location, _compiled(node.value, location)))
    return _call(node, text, location)


def parse_call(text: str, location: Location | None) -> CallExpression:
    """``text`` as the call of an op or a block."""
    return _call(_parse(text, location), text, location)


def parse_loop(text: str, location: Location | None) -> tuple[Target, Expression]:
    """``for a, b in list`` → the names and the list."""
    before, found, after = text.removeprefix("for ").partition(" in ")
    names = parse_target(_parse(before, location)) if found and text.startswith("for ") else None
    if names is None:
        raise SpecError(f"'{brief(text)}' is not a loop; a loop is written: for name in list", location)
    return names, parse_expression(after, location)


def parse_signature(text: str, location: Location | None) -> Signature:
    """``name(a, b=1)`` or ``name`` → the name and the parameters."""
    match = re.fullmatch(r"(\w+)\s*(?:\((.*)\))?", text.strip(), re.DOTALL)
    node = _parse(f"lambda {match[2] or ''}: 0", location, of=text) if match and match[1].isidentifier() else None
    if match is None or not isinstance(node, ast.Lambda) or not isinstance(node.body, ast.Constant):
        raise SpecError(
            f"'{brief(text)}' is not a block; a block is written: name(parameter, parameter=default)", location
        )
    spec = node.args
    if spec.vararg or spec.kwarg or spec.posonlyargs:
        raise SpecError(
            "a block's parameters are names, with or without a default; '*' and '/' are not for blocks", location
        )
    parameters: dict[str, Expression | None] = {a.arg: None for a in (*spec.args, *spec.kwonlyargs)}
    plain = spec.args[len(spec.args) - len(spec.defaults) :]
    for argument, default in (
        *zip(plain, spec.defaults, strict=True),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ):
        if default is not None:
            parameters[argument.arg] = Expression(text, location, _compiled(default, location))
    return Signature(match[1], parameters, text.strip())


# -- text → ast ---------------------------------------------------------------------------------


def _parse(text: str, location: Location | None, of: str | None = None) -> ast.AST:
    """The one expression or assignment in ``text``; messages quote ``of``."""
    if len(text) > MAX_LENGTH:
        raise SpecError(f"an expression has {len(text):,} characters; {MAX_LENGTH:,} are the most", location)
    if text.isidentifier() and not iskeyword(text):
        return ast.Name(text)  # most of a spec's scalars are one word, for which the parser is slow
    if text.isascii() and text.isdigit() and len(text) < 10:
        return ast.Constant(int(text))
    said = brief(text if of is None else of)
    if "\\" in text or "\0" in text:
        raise SpecError(f"'{said}' has a backslash or a control character; expressions have none", location)
    try:
        # Python warns of what it will no longer read one day (1if x else 2); to a spec that is a mistake.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, Warning) as error:
        raise SpecError(_why_not(text, said, error), location) from None
    except (RecursionError, MemoryError):
        raise SpecError(f"'{said}' is nested too deeply", location) from None
    if len(body) == 1 and isinstance(body[0], ast.Expr):
        return body[0].value
    if len(body) == 1 and isinstance(body[0], ast.Assign):
        return body[0]
    if len(body) == 1 and isinstance(body[0], ast.AnnAssign):
        raise SpecError(_why_not(text, said, SyntaxError("a colon is for slices")), location)
    raise SpecError(f"'{said}' is not an expression" if text.strip() else "an expression is missing here", location)


def _why_not(text: str, said: str, error: Exception) -> str:
    if text.count("(") != text.count(")"):
        return f"the parentheses of '{said}' do not match; a call with ': ' or ' #' in it stands in quotes"
    if _PAIR.search(text):
        return f"'{said}' is not an expression: values are separated by commas, in a list: [3, 3]"
    if "$" in text:
        return f"'{said}' is not an expression: `$` belongs in the names of layers"
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    what = what.partition(" (detected at line")[0]
    return f"'{said}' is not an expression ({what.splitlines()[0] if what else 'it cannot be read'})"


def _call(node: ast.AST, text: str, location: Location | None) -> CallExpression:
    if isinstance(node, ast.Name):
        return CallExpression(node.id, text, location, None)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise SpecError(f"'{brief(text)}' is not the call of an op or a block, like conv(64, 3)", location)
    for keyword in node.keywords:
        if keyword.arg is None:
            raise SpecError(f"'{brief(text)}': options are given one by one, not with '**'", location)
    names = [k.arg for k in node.keywords]
    try:
        positional = [compile_node(a, 1) for a in node.args]
        named = [(str(k.arg), _weights(k.value) or compile_node(k.value, 1)) for k in node.keywords]
    except SpecError as error:
        raise error.at(location) from None
    if len(set(names)) < len(names):
        raise SpecError(f"'{brief(text)}' gives an option twice", location)

    def run(scope: ExpressionScope) -> tuple[tuple[Value, ...], dict[str, Value]]:
        return tuple([a(scope) for a in positional]), {k: v(scope) for k, v in named}

    return CallExpression(node.func.id, text, location, run if positional or named else None)


def _weights(node: ast.AST) -> Evaluator | None:
    """``{'weight': 'embed.weight'}``, which only the option ``weights`` understands, as pairs."""
    if not isinstance(node, ast.Dict) or None in node.keys:
        return None
    pairs = [(compile_node(k, 1), compile_node(v, 1)) for k, v in zip(node.keys, node.values, strict=True) if k]
    return lambda scope: tuple([(k(scope), v(scope)) for k, v in pairs])


def _compiled(node: ast.AST, location: Location | None) -> Evaluator:
    try:
        return compile_node(node, 0)
    except SpecError as error:
        raise error.at(location) from None
