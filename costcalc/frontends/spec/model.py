"""The tree of a file → a ``Spec``: every key checked, every expression parsed, nothing evaluated yet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from costcalc.classes import NamedTuple
from costcalc.errors import Location, OptionError, SpecError, listing, near
from costcalc.frontends.spec.evaluate import Evaluator, ExpressionScope, brief
from costcalc.frontends.spec.expressions import (
    MAX_LENGTH,
    Expression,
    Signature,
    parse_expression,
    parse_signature,
    parse_word,
)
from costcalc.frontends.spec.steps import Steps, parse_steps
from costcalc.frontends.spec.templates import Template
from costcalc.frontends.spec.values import MAX_LIST_DEPTH, Value
from costcalc.ir.layout import full_layout
from costcalc.ir.tensor import ELEMENT_BITS
from costcalc.reading.tree import Mapping, Scalar, Sequence, Tree


class Input(NamedTuple):
    """The shape of an input without its batch, which goes in front unless ``batch`` is False; its layout, or ""."""

    shape: tuple[Expression, ...]
    dtype: str
    batch: bool
    location: Location
    layout: str = ""


class Variant(NamedTuple):
    """Parameters that make one model of a family, on top of those of the variant ``like``."""

    parameters: dict[str, Expression]
    about: dict[str, str]
    inputs: dict[str, Input]
    outputs: tuple[Template, ...]
    like: str | None
    location: Location


class BlockDefinition(NamedTuple):
    """Steps with parameters, under a name."""

    signature: Signature
    steps: Steps
    location: Location


class Spec(NamedTuple):
    """One file. ``about`` has its texts: name, title, source, task, year, notes."""

    file: str
    location: Location
    about: dict[str, str]
    inputs: dict[str, Input]
    parameters: dict[str, Expression]
    variants: dict[str, Variant]
    use: tuple[Scalar, ...]
    blocks: dict[str, BlockDefinition]
    layers: Steps | None
    outputs: tuple[Template, ...]

    @property
    def name(self) -> str:
        """What the model, or the family, is called."""
        return self.about["name"]


TEXTS = ("name", "title", "source", "task", "year", "notes")
KEYS = (*TEXTS, "inputs", "parameters", "variants", "use", "blocks", "layers", "outputs")
VARIANT_KEYS = ("title", "source", "year", "notes", "like", "inputs", "outputs")


def parse_spec(tree: Tree, file: str) -> Spec:
    """The spec that ``tree`` holds; ``SpecError`` at the first thing that is wrong."""
    top = dict(_pairs(tree, "a spec", KEYS, tree.location))
    about = {key: _text(top[key], key) for key in TEXTS if key in top}
    stem = re.split(r"[/\\]", file)[-1].rsplit(".", 1)[0]
    about.setdefault("name", re.sub(r"[^\w.-]", "_", stem) or "model")
    if not re.fullmatch(r"[\w.-]{1,100}", about["name"]):
        raise SpecError(
            f"name: '{brief(about['name'])}' has other characters than letters, digits, '_', '-' and '.'",
            top["name"].location,
        )
    parameters = {k.text: parse_setting(v) for k, v in _entries(top, "parameters", "parameters with their defaults")}
    for key, _ in _entries(top, "parameters", ""):
        if not key.text.isidentifier():
            raise SpecError(
                f"'{brief(key.text)}' is not a name for a parameter; it has letters, digits and '_'", key.location
            )
    blocks = {}
    for key, value in _entries(top, "blocks", "blocks with their layers"):
        signature = parse_signature(key.text, key.location)
        if signature.name in blocks:
            raise SpecError(f"two blocks are called '{signature.name}'", key.location)
        blocks[signature.name] = BlockDefinition(signature, parse_steps(value), key.location)
    if "layers" not in top and not blocks:
        raise SpecError("the spec has no layers", tree.location)
    if "layers" in top and "inputs" not in top:
        raise SpecError("the spec has no inputs; write for example `inputs: {image: [3, 224, 224]}`", tree.location)
    return Spec(
        file,
        tree.location,
        about,
        {k.text: _input(k, v) for k, v in _entries(top, "inputs", "inputs with their shapes")},
        parameters,
        {k.text: _variant(k, v, parameters) for k, v in _entries(top, "variants", "variants with their parameters")},
        tuple(_names(top["use"], "a file with blocks")) if "use" in top else (),
        blocks,
        parse_steps(top["layers"]) if "layers" in top else None,
        _outputs(top),
    )


def parse_setting(tree: Tree) -> Expression:
    """A parameter's value: an expression, in which a name that is not a parameter is a word, or a list of values."""
    return Expression("", tree.location, _setting(tree, 0))


def _setting(tree: Tree, depth: int) -> Evaluator:
    if depth > MAX_LIST_DEPTH:
        raise SpecError(f"lists are nested more than {MAX_LIST_DEPTH} deep", tree.location)
    if isinstance(tree, Scalar):
        text = tree.text
        if tree.quoted:
            if len(text) > MAX_LENGTH:
                raise SpecError(f"a word has {len(text):,} characters; {MAX_LENGTH:,} are the most", tree.location)
            return lambda scope: text
        return parse_word(text, tree.location).value if text.strip() else lambda scope: None
    if isinstance(tree, Mapping):
        raise SpecError("a parameter is a number, a word or a list, not a mapping", tree.location)
    items = [_setting(item, depth + 1) for item in tree.items]

    def run(scope: ExpressionScope) -> Value:
        scope.budget.spend(len(items))
        return tuple([item(scope) for item in items])

    return run


def _variant(key: Scalar, tree: Tree, parameters: dict[str, Expression]) -> Variant:
    if not re.fullmatch(r"[\w.-]{1,100}", key.text):
        raise SpecError(
            f"'{brief(key.text)}' is not a name for a variant; it has letters, digits, '_', '-' and '.'", key.location
        )
    if isinstance(tree, Scalar) and not tree.text.strip():
        return Variant({}, {}, {}, (), None, key.location)
    found = dict(_pairs(tree, f"variant {key.text}", (*parameters, *VARIANT_KEYS), key.location, "parameter"))
    return Variant(
        {k: parse_setting(v) for k, v in found.items() if k in parameters},
        {k: _text(found[k], k) for k in ("title", "source", "year", "notes") if k in found and k not in parameters},
        {k.text: _input(k, v) for k, v in _entries(found, "inputs", "inputs with their shapes")},
        _outputs(found) if "outputs" not in parameters else (),
        _text(found["like"], "like") if "like" in found and "like" not in parameters else None,
        key.location,
    )


def _outputs(found: dict[str, Tree]) -> tuple[Template, ...]:
    names = _names(found["outputs"], "a layer") if "outputs" in found else ()
    return tuple(Template(name.text.strip(), name.location) for name in names)


def _input(key: Scalar, tree: Tree) -> Input:
    if not re.fullmatch(r"[\w.-]{1,100}", key.text):
        raise SpecError(
            f"'{brief(key.text)}' is not a name for an input; it has letters, digits, '_', '-' and '.'", key.location
        )
    dtype, batch, layout = "float32", True, None
    if isinstance(tree, Mapping):
        found = dict(_pairs(tree, f"input {key.text}", ("shape", "dtype", "batch", "layout"), key.location))
        if "dtype" in found:
            dtype = _text(found["dtype"], "dtype")
            if dtype not in ELEMENT_BITS:
                raise SpecError(
                    f"no element type '{brief(dtype)}'{near(dtype, ELEMENT_BITS)}; there are {listing(ELEMENT_BITS)}",
                    found["dtype"].location,
                )
        if "batch" in found:
            word = _text(found["batch"], "batch").lower()
            if word not in ("true", "false"):
                raise SpecError(f"batch must be True or False, not '{brief(word)}'", found["batch"].location)
            batch = word == "true"
        layout = found.get("layout")
        if "shape" not in found:
            raise SpecError(f"input {key.text} has no shape", key.location)
        tree = found["shape"]
    if not isinstance(tree, Sequence) or not all(isinstance(i, Scalar) for i in tree.items):
        raise SpecError(
            f"input {key.text} needs the list of its sizes without the batch, like [3, 224, 224]", tree.location
        )
    if len(tree.items) > 16:
        raise SpecError(f"input {key.text} has {len(tree.items)} axes; 16 are the most", tree.location)
    shape = tuple(parse_expression(i.text, i.location) for i in tree.items)
    letters = ""
    if layout is not None:
        try:
            letters = full_layout(_text(layout, "layout"), len(shape) + batch, f"the input {key.text}")
        except OptionError as error:
            raise SpecError(error.message, layout.location) from None
    return Input(shape, dtype, batch, key.location, letters)


def _pairs(
    tree: Tree, what: str, known: tuple[str, ...], location: Location, kind: str = "key"
) -> Iterator[tuple[str, Tree]]:
    """The pairs of a mapping whose keys are all among ``known``."""
    if not isinstance(tree, Mapping):
        # A text is not quoted: it may be a secret, if a stranger's link made this file be read.
        found = "a text" if isinstance(tree, Scalar) and tree.text else _kind(tree)
        raise SpecError(f"{what} is a mapping of {', '.join(known[:4])} …, not {found}", location)
    for key, value in tree.pairs:
        if key.text not in known:
            others = {other.text for other, _ in tree.pairs}
            hint = "; models of ultralytics are named ultralytics:FILE, without the ending"
            raise SpecError(
                f"{what} has no {kind} '{brief(key.text)}'{near(key.text, known)}; it has {listing(known)}"
                + (hint if {"backbone", "head"} <= others else ""),
                key.location,
            )
        yield key.text, value


def _entries(top: dict[str, Tree], key: str, what: str) -> Iterator[tuple[Scalar, Tree]]:
    """The pairs of the mapping under ``key``; none if there is no such key or nothing under it."""
    tree = top.get(key)
    if tree is None or (isinstance(tree, Scalar) and not tree.text):
        return
    if not isinstance(tree, Mapping):
        raise SpecError(f"{key} is a mapping of {what}, not {_kind(tree)}", tree.location)
    yield from tree.pairs


def _names(tree: Tree, what: str) -> Iterator[Scalar]:
    for item in tree.items if isinstance(tree, Sequence) else [tree]:
        if not isinstance(item, Scalar) or not item.text.strip():
            raise SpecError(f"the name of {what} belongs here, not {_kind(item)}", item.location)
        yield item


def _text(tree: Tree, key: str) -> str:
    if not isinstance(tree, Scalar):
        raise SpecError(f"{key} is a text, not {_kind(tree)}", tree.location)
    return tree.text.strip()


def _kind(tree: Tree) -> str:
    if isinstance(tree, Scalar):
        return f"'{brief(tree.text)}'" if tree.text.strip() else "nothing"
    return "a list" if isinstance(tree, Sequence) else "a mapping"
