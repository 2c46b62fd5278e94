"""The ``calibration`` of a machine file: how it is read, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from costcalc.analysis.estimate import PROCESSORS, Calibration
from costcalc.analysis.features import Features
from costcalc.calibration.layouts import copies
from costcalc.errors import CostcalcError, SpecError, listing, near

if TYPE_CHECKING:
    from costcalc.reading.tree import Tree

KEYS = ("processor", "apply", "bits", "each", "low", "high", "median", "within", "rows", "least", "most", "data")
LARGEST = 1e30


def read(tree: Tree) -> Calibration:
    """What a machine file says below ``calibration``. Raises ``SpecError`` with the place of what is wrong."""
    from costcalc.reading.keys import by_key
    from costcalc.transforms import apply, named

    pairs = by_key(tree, "a calibration", KEYS)
    for needed in KEYS:
        if needed not in pairs and needed not in ("bits", "data"):
            _fail(f"the calibration has no {needed}; `costcalc calibrate` writes {listing(KEYS)}", tree)
    processor = _text(pairs["processor"])
    if processor not in PROCESSORS:
        _fail(
            f"no processor '{processor[:40]}'{near(processor, PROCESSORS)}; there are {listing(PROCESSORS)}",
            pairs["processor"],
        )
    transform = _text(pairs["apply"])
    try:
        names = named(transform)
    except CostcalcError as error:
        raise SpecError(f"apply: {error.message}", pairs["apply"].location) from None
    width = int(_number(pairs["bits"], "bits", 1, 1024)) if "bits" in pairs else None
    return Calibration(
        processor=processor,
        apply=transform,
        bits=width,
        each=_features(pairs["each"]),
        low=_number(pairs["low"], "low"),
        high=_number(pairs["high"], "high"),
        median=_number(pairs["median"], "median"),
        within=_number(pairs["within"], "within", 0, 1),
        rows=int(_number(pairs["rows"], "rows")),
        seen=(_features(pairs["least"]), _features(pairs["most"])),
        join=lambda graph: apply(graph, names) if names else graph,
        copies=lambda graph: copies(graph, processor, width),
    )


def written(found: Calibration, data: str, title: str, source: str, base: str = "") -> str:
    """A machine file with ``found``, fitted to measurements with the hash ``data``.

    base   the text of a machine file whose other keys stay; else the machine has a title and a source alone
    """
    from json import dumps

    def features(one: Features) -> str:
        return "{" + ", ".join(f"{name}: {value:.6g}" for name, value in one._asdict().items()) + "}"

    head = base.rstrip("\n") + "\n" if base else f"title: {dumps(title)}\nsource: {dumps(source)}\n"
    least, most = found.seen
    lines = [
        "# Fitted by `costcalc calibrate`: seconds for one of each, and how far off it was on what was held out.",
        "calibration:",
        f"  processor: {found.processor}",
        f"  apply: {dumps(found.apply)}",
        *([f"  bits: {found.bits}"] if found.bits is not None else []),
        f"  each: {features(found.each)}",
        f"  low: {found.low:.4f}       # measured over estimated: 10 % of what was held out lay below",
        f"  high: {found.high:.4f}      # and 10 % above",
        f"  median: {found.median:.4f}    # half of the estimates of what was held out were off by more",
        f"  within: {found.within:.4f}    # so many of them were off by at most 15 %",
        f"  rows: {found.rows}",
        f"  least: {features(least)}",
        f"  most: {features(most)}",
        f"  data: {dumps(data)}",
    ]
    return head + "\n".join(lines) + "\n"


def _features(tree: Tree) -> Features:
    from costcalc.reading.keys import by_key

    pairs = by_key(tree, "each, least and most", Features._fields)
    for name in Features._fields:
        if name not in pairs:
            _fail(f"{name} is missing; needed are {listing(Features._fields)}", tree)
    return Features(*(_number(pairs[name], name) for name in Features._fields))


def _text(tree: Tree) -> str:
    from costcalc.reading.tree import Scalar

    return tree.text if isinstance(tree, Scalar) else _fail("this must be one word", tree)


def _number(tree: Tree, what: str, least: float = 0.0, most: float = LARGEST) -> float:
    try:
        value = float(_text(tree))
    except ValueError:
        value = -1.0
    return value if least <= value <= most else _fail(f"{what} must be a number from {least:g} to {most:g}", tree)


def _fail(sentence: str, at: Tree) -> NoReturn:
    raise SpecError(sentence, at.location)
