"""What a spec is built with: its parameters and inputs, from defaults, a variant, the user, or left as symbols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from costcalc.errors import SpecError, listing, near
from costcalc.frontends.spec.evaluate import ExpressionScope
from costcalc.frontends.spec.expressions import Expression, parse_word
from costcalc.frontends.spec.model import Spec
from costcalc.frontends.spec.templates import Template
from costcalc.frontends.spec.values import Value, WorkLimit, admit, is_number, shown
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.tensor import TensorType

MOST_LIKE = 100
"""Variants that may each be like the next."""


def parameters(
    spec: Spec, variant: str, given: Mapping[str, Value], budget: WorkLimit, symbols: Iterable[str] = ()
) -> dict[str, Value]:
    """Each parameter with its value: what is given, else what the variant says, else the default.

    A default may be computed from the parameters above it. Raises ``SpecError`` for an unknown parameter.
    """
    unknown = next((name for name in given if name not in spec.parameters), None)
    if unknown is not None:
        has = f"it has {listing(spec.parameters)}" if spec.parameters else "it has none"
        raise SpecError(f"{spec.name} has no parameter '{unknown[:80]}'{near(unknown, spec.parameters)}; {has}")
    chosen = dict(spec.parameters)
    for name in lineage(spec, variant):
        chosen.update(spec.variants[name].parameters)
    values: dict[str, Value] = {}
    scope = ExpressionScope(budget, values, lambda name: name)  # a name that is not a parameter is a word
    for name, default in chosen.items():
        if name in symbols:
            values[name] = Expr.symbol(name)
        elif name in given:
            values[name] = plain(given[name], name)
        else:
            values[name] = default.value(scope)
    return values


def about(spec: Spec, variant: str) -> dict[str, str]:
    """The texts of a file, as a variant gives them anew."""
    texts = dict(spec.about)
    for name in lineage(spec, variant):
        texts.update(spec.variants[name].about)
    return texts


def outputs(spec: Spec, variant: str) -> tuple[Template, ...]:
    """The names of the layers whose values the model returns; none for the last one's."""
    given = [spec.variants[name].outputs for name in lineage(spec, variant)]
    return next((names for names in reversed(given) if names), spec.outputs)


def inputs(
    spec: Spec,
    variant: str,
    values: dict[str, Value],
    budget: WorkLimit,
    batch: Dim,
    shapes: Mapping[str, tuple[Dim, ...]],
    symbols: Mapping[str, Mapping[int, Dim]] | None = None,
) -> dict[str, TensorType]:
    """Each input with its type: batch, then the shape that is given in ``shapes`` or else stands in the spec.

    symbols   by input, what stands in place of the size of an axis, the batch being axis 0
    """
    chosen = dict(spec.inputs)
    for name in lineage(spec, variant):
        chosen.update(spec.variants[name].inputs)
    if not chosen:
        raise SpecError("the spec has no inputs; write for example `inputs: {image: [3, 224, 224]}`", spec.location)
    unknown = next((name for name in shapes if name not in chosen), None)
    if unknown is not None:
        raise SpecError(f"{spec.name} has no input '{unknown[:80]}'{near(unknown, chosen)}; it has {listing(chosen)}")

    def no_name(name: str) -> Value:
        raise SpecError(f"no parameter '{name[:80]}'{near(name, values)}; there are {listing(values) or 'none'}")

    scope = ExpressionScope(budget, values, no_name)
    types = {}
    for name, declared in chosen.items():
        shape = tuple([_size(e, scope) for e in declared.shape])
        if name in shapes:
            if len(shapes[name]) != len(shape):
                own, given = "×".join(map(str, shape)), shapes[name]
                hint = ""
                if len(given) == len(shape) + 1:
                    hint = f"; it is written without the batch, {'x'.join(map(str, given[1:]))}"
                raise SpecError(
                    f"the input {name} has {len(shape)} axes, {own}; the shape given has {len(given)}{hint}"
                )
            shape = shapes[name]
        whole = list((batch, *shape) if declared.batch else shape)
        for axis, symbol in (symbols or {}).get(name, {}).items():
            whole[axis] = symbol
        types[name] = TensorType(tuple(whole), declared.dtype)
    return types


def layouts(spec: Spec, variant: str) -> dict[str, str]:
    """The layouts that the spec says of its inputs."""
    chosen = dict(spec.inputs)
    for name in lineage(spec, variant):
        chosen.update(spec.variants[name].inputs)
    return {name: declared.layout for name, declared in chosen.items() if declared.layout}


def _size(expression: Expression, scope: ExpressionScope) -> Dim:
    value = expression.value(scope)
    if isinstance(value, Expr) or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise SpecError(f"an input's size must be a whole number from 1, not {shown(value)}", expression.location)


def lineage(spec: Spec, variant: str) -> list[str]:
    """``variant`` and those that it is like, the farthest first."""
    chain: list[str] = []
    while variant:
        if variant in chain:
            raise SpecError(
                f"variants are like each other in a circle: {' → '.join([*chain, variant][:8])}",
                spec.variants[variant].location,
            )
        chain.append(variant)
        if len(chain) > MOST_LIKE:
            sentence = f"variants are like each other more than {MOST_LIKE} deep: {' → '.join(chain[:4])}"
            raise SpecError(sentence, spec.variants[variant].location)
        like = spec.variants[variant].like
        if like and like not in spec.variants:
            raise SpecError(f"no variant '{like[:80]}'{near(like, spec.variants)}", spec.variants[variant].location)
        variant = like or ""
    return chain[::-1]


def plain(value: Any, name: str) -> Value:
    """A value from outside as specs know it; ``SpecError`` for what is not a number, word or list of them."""
    if isinstance(value, (list, tuple)):
        return admit(tuple(plain(v, name) for v in value))
    if value is None or isinstance(value, str) or is_number(value):
        return admit(value)
    raise SpecError(f"{name} must be a number, a word, True, False or a list of them, not {shown(value)}")


def parse_value(text: str) -> Value:
    """The value that ``--set name=text`` means: an expression without names; a lone word is itself.

    >>> parse_value("2 * 32"), parse_value("[3, 4]"), parse_value("bottleneck"), parse_value("True")
    (64, (3, 4), 'bottleneck', True)
    """
    return parse_word(text, None).value(ExpressionScope(WorkLimit(), {}, lambda word: word))
