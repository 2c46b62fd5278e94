"""PyTorch's symbolic sizes, which are expressions of sympy, as ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

from torch import SymInt, Tensor

from costcalc.ir.dims import Dim, maximum, minimum, prod, scaled, total
from costcalc.ir.expr import Expr


class NoExpression(Exception):
    """A size that is made in a way that our expressions have no form of."""


def expression(size: Any) -> Dim:
    """A size of an exported program, in its open sizes by PyTorch's names for them. Raises ``NoExpression``."""
    return _translated(size.node.expr) if isinstance(size, SymInt) else int(size)


def expressions(program: Any) -> Iterator[Dim]:
    """All sizes that the graph of an exported program speaks of, as far as we have a form of them."""
    seen: set[Any] = set()
    for node in program.graph.nodes:
        for size in _sizes(node.meta.get("val")):
            found = size.node.expr
            if found not in seen:
                seen.add(found)
                try:
                    yield _translated(found)
                except NoExpression:
                    continue


def _sizes(value: Any) -> Iterator[SymInt]:
    if isinstance(value, SymInt):
        yield value
    elif isinstance(value, Tensor):
        for size in (*value.shape, *value.stride()):
            yield from _sizes(size)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _sizes(part)


def _translated(e: Any) -> Dim:
    if e.is_Integer:
        return int(e)
    if e.is_Symbol:
        return Expr.symbol(str(e))
    rule = _RULES.get(type(e).__name__)
    if rule is None:
        raise NoExpression(str(e))
    return rule(*e.args)


def _power(base: Any, exponent: Any) -> Dim:
    if not (exponent.is_Integer and 0 < int(exponent) <= 8):
        raise NoExpression(f"{base}**{exponent}")
    return prod([_translated(base)] * int(exponent))


def _floor(a: Any, b: Any) -> Dim:
    return _translated(a) // _translated(b)


def _mod(a: Any, b: Any) -> Dim:
    return _translated(a) % _translated(b)


def _modular(a: Any, divisor: Any, modulus: Any) -> Dim:
    return _floor(a, divisor) % _translated(modulus)


def _truncated(e: Any) -> Dim:
    """A floating-point number cut to a whole one: a size by a positive factor, or a quotient of two sizes."""
    kind = type(e).__name__
    if kind == "IntTrueDiv":
        return _floor(*e.args)
    if kind in ("Mul", "FloatMul"):
        factors = [a for a in e.args if a.is_Float]
        sizes = [a for a in e.args if not a.is_Float]
        if len(factors) == len(sizes) == 1 and factors[0] > 0:
            inside = sizes[0].args[0] if type(sizes[0]).__name__ == "ToFloat" else sizes[0]
            return scaled(_translated(inside), float(factors[0]))
    if kind == "ToFloat":
        return _translated(e.args[0])
    raise NoExpression(str(e))


_RULES: Mapping[str, Callable[..., Dim]] = {
    "Add": lambda *parts: total(map(_translated, parts)),
    "Mul": lambda *parts: prod(map(_translated, parts)),
    "Pow": _power,
    "PowByNatural": _power,
    "FloorDiv": _floor,
    "CleanDiv": _floor,
    "Mod": _mod,
    "PythonMod": _mod,
    "ModularIndexing": _modular,
    "Max": lambda *parts: reduce(maximum, map(_translated, parts)),
    "Min": lambda *parts: reduce(minimum, map(_translated, parts)),
    "Identity": _translated,
    "TruncToInt": _truncated,
    "FloorToInt": _truncated,
}
