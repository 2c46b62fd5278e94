# ruff: noqa: E501 (tables of words)
"""Whatever a file contains, it is a graph or one sentence: the reader, the evaluator and the expander under fire."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costcalc import zoo
from costcalc.errors import CostcalcError
from costcalc.frontends.spec import settings as spec_settings
from costcalc.frontends.spec import values
from costcalc.frontends.spec.evaluate import ExpressionScope
from costcalc.frontends.spec.expand import expand
from costcalc.frontends.spec.expressions import parse_expression
from costcalc.frontends.spec.files import Files
from costcalc.frontends.spec.model import parse_spec
from costcalc.frontends.spec.values import WorkLimit
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph
from costcalc.reading.yaml import read

LONGEST = 20.0  # seconds for one input, on a busy machine
FEW, MANY = 100, 15_000
SHIPPED = [p.read_text(encoding="utf-8") for p in sorted(zoo.directory().glob("*.yaml"))]


def outcome(data: bytes) -> Graph | CostcalcError:
    """What becomes of a file: a graph, or a sentence on one line. Any other exception passes and fails the test."""
    begin = time.perf_counter()
    try:
        spec = parse_spec(read(data, "net.yaml"), "net.yaml")
        budget = WorkLimit(20_000)
        parameters = spec_settings.parameters(spec, "", {}, budget)
        inputs = spec_settings.inputs(spec, "", parameters, budget, 1, {})
        result: Graph | CostcalcError = expand(spec, "", parameters, inputs, Files(zoo), budget)
        assert isinstance(result, Graph)
        for value in result.outputs:
            assert value in result.types
    except CostcalcError as error:
        assert str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        result = error
    assert time.perf_counter() - begin < LONGEST
    return result


# -- bytes and text --------------------------------------------------------------------------------

WORDS = [
    "name", "inputs", "parameters", "variants", "blocks", "layers", "outputs", "use", "like", "shape", "dtype", "batch", "x",
    "y", "a.b", "channels", "height", "conv", "relu", "add", "concat", "linear", "flatten", "split", "max_pool", "if", "elif",
    "else", "for", "in", "from", "not", "and", "or", "is", "True", "None", "lambda", "range", "max", "round_to", "len", "sum",
    "model", "weights", "inputs.0", "x.0", "$x", "$(x)", "$", "0", "1", "-1", "2", "3.5", "64", "9**9", "1e9", "10**9", "'w'",
]  # fmt: skip
MARKS = [
    " ", "  ", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", ": ", ":", ", ", "[", "]", "{", "}", "(", ")", "'", '"', "&a ", "*a", "!", "| ",
    "> ", "# ", "? ", "---\n", "=", "==", "<", "+", "-", "*", "//", "/", "%", "**", "\t", "é", "\u2028", "\x07", "<<: ", ".", "\\",
]  # fmt: skip
SOUP = st.lists(st.sampled_from(WORDS + MARKS), max_size=60).map("".join)

# -- expressions -----------------------------------------------------------------------------------

ATOMS = st.sampled_from(
    ["0", "1", "2", "7", "-3", "2.5", "1e300", "10**300", "True", "None", "'w'", "x", "y", "n", "[]", "[1, 2, 3]", "(1, [2, x])", "rows"]
)  # fmt: skip


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "**", "<", "<=", "==", "!=", ">", ">=", "and", "or", "in", "not in"]
    )
    function = st.sampled_from(
        ["abs", "all", "any", "ceil", "distinct", "enumerate", "float", "floor", "int", "len", "log", "max", "min", "range",
         "reversed", "round", "round_to", "sorted", "sqrt", "sum", "zip", "nothing"]
    )  # fmt: skip
    return st.one_of(
        st.tuples(inner, binary, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(function, st.lists(inner, max_size=3)).map(lambda t: f"{t[0]}({', '.join(t[1])})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"{t[0]}[{t[1]}:{t[2]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"[{t[0]} for x in {t[1]} if {t[2]}]"),
        st.lists(inner, max_size=4).map(lambda t: f"[{', '.join(t)}]"),
        inner.map(lambda t: f"-{t}"),
        inner.map(lambda t: f"not {t}"),
    )


EXPRESSIONS = st.recursive(ATOMS, compound, max_leaves=12)
KNOWN = {"x": 5, "y": 2.5, "n": Expr.symbol("n"), "rows": ((64, 1), (128, 2))}


def evaluate(text: str) -> None:
    def unknown(name: str) -> object:
        raise values.SpecError(f"nothing is called {name}")

    begin = time.perf_counter()
    try:
        value = parse_expression(text, None).value(ExpressionScope(WorkLimit(200_000), dict(KNOWN), unknown))
        assert values.admit(value) is value
        assert isinstance(values.shown(value), str)
    except CostcalcError as error:
        assert "\n" not in str(error)
    assert time.perf_counter() - begin < LONGEST


# -- specs that are almost right -------------------------------------------------------------------


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A shipped spec in which a few places are cut, doubled, or replaced."""
    text = draw(st.sampled_from(SHIPPED))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        new = draw(st.one_of(st.just(""), st.just(text[at:end] * 2), SOUP.map(lambda s: s[:12]), EXPRESSIONS))
        text = text[:at] + new + text[end:]
    return text.encode("utf-8")


STEP = st.recursive(
    st.one_of(st.sampled_from(["relu", "conv(x, 3, padding=1)", "flatten", "b", "b(2)", "x = x + 1", "a", "linear(features)"]), SOUP),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["a", "add", "a.$x", "if x > 5", "else", "for x in range(3)", "for i in [1, 2]", "from", "concat(1)"]),
                SOUP.map(lambda s: s[:20]),
            ),
            inner,
            max_size=2,
        ),
    ),
    max_leaves=12,
)  # fmt: skip
SPECS = st.fixed_dictionaries(
    {
        "inputs": st.sampled_from(
            [{"image": [3, 8, 8]}, {"t": ["x"]}, {"a": [3, "x"], "b": {"shape": [4], "dtype": "int64"}}]
        )
    },
    optional={
        "parameters": st.fixed_dictionaries(
            {"x": st.one_of(EXPRESSIONS, st.integers(), st.lists(st.integers(), max_size=3))}
        ),
        "blocks": st.dictionaries(st.sampled_from(["b", "b(x)", "b(x=2, y=x)", "c(*x)"]), STEP, max_size=2),
        "layers": st.lists(STEP, max_size=5),
        "outputs": st.lists(st.sampled_from(["a", "relu", "image", "$x"]), max_size=2),
        "variants": st.just({"small": {"x": 2}, "large": {"like": "small"}}),
    },
)


def as_yaml(data: object) -> bytes:
    import yaml

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")


few = settings(max_examples=FEW, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
many = settings(few, max_examples=MANY)


@given(st.binary(max_size=300))
@few
def test_any_bytes(data: bytes) -> None:
    outcome(data)


@given(SOUP)
@few
def test_any_words_and_marks(text: str) -> None:
    outcome(text.encode("utf-8", "replace"))


@given(damaged())
@few
def test_any_damage_to_a_shipped_spec(data: bytes) -> None:
    outcome(data)


@given(SPECS)
@few
def test_any_spec_of_the_right_form(data: object) -> None:
    outcome(as_yaml(data))


@given(st.one_of(EXPRESSIONS, SOUP, st.text(max_size=60)))
@few
def test_any_expression(text: str) -> None:
    evaluate(text)


@pytest.mark.long
@given(
    st.one_of(st.binary(max_size=2000), SOUP.map(lambda s: s.encode("utf-8", "replace")), damaged(), SPECS.map(as_yaml))
)
@many
def test_any_of_many_files(data: bytes) -> None:
    outcome(data)


@pytest.mark.long
@given(st.one_of(EXPRESSIONS, SOUP, st.text(max_size=300)))
@settings(many, max_examples=3 * MANY)
def test_any_of_many_expressions(text: str) -> None:
    evaluate(text)


def test_the_harness_reaches_all_the_way(tmp_path: Path) -> None:
    # A fuzz that only ever hits the first check would prove nothing.
    graphs = [outcome(text.encode("utf-8")) for text in SHIPPED]
    assert sum(isinstance(g, Graph) for g in graphs) > len(graphs) // 2
    assert isinstance(outcome(b"inputs: {x: [3]}\nlayers: [linear(4), rellu]"), CostcalcError)
