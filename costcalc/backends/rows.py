"""The rows of a report: its layers folded, sorted and cut as asked, so that they still add up to the total."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from costcalc.analysis.amounts import Amounts
from costcalc.analysis.figures import FIGURES
from costcalc.analysis.records import Block, Figures, Layer, Report
from costcalc.analysis.roofline import Time
from costcalc.backends.columns import Column, amount, columns
from costcalc.backends.folding import Folds
from costcalc.classes import NamedTuple
from costcalc.errors import CostcalcError

if TYPE_CHECKING:
    from costcalc.analysis.energy import Energy
    from costcalc.analysis.estimate import Estimate


class TableOptions(NamedTuple):
    """What to show of a report, and how wide.

    depth     fold the layers that lie deeper into their blocks
    columns   which; None for those that fit
    sort      the column to sort by, the largest first; None for the model's own order
    top       show so many rows and the rest as one
    exact     all digits in place of units
    by_kind   a row for each kind of layer
    bars      the column of which each row has a bar beside its number
    also      figures to show beside those that are always there: ``flops``
    lines     of the screen; a table is folded to what fits, unless it is None
    bounded   whether lines end at ``width``; else the main columns are shown whole, whatever that takes
    """

    depth: int | None = None
    columns: list[Column] | None = None
    sort: Column | None = None
    top: int | None = None
    exact: bool = False
    by_kind: bool = False
    bars: Column | None = None
    also: tuple[str, ...] = ()
    lines: int | None = None
    bounded: bool = True
    width: int = 80
    colour: bool = False


class Row(NamedTuple):
    """One row.

    role     ``layer``; ``block``, of layers that have no row; ``rest``, of layers cut off; ``shared``, what several
             rows hold together and the total counts once, hence negative; ``total``; or ``heading``, a block whose
             layers follow. All but headings add up to the total.
    name     in full
    label    relative to the heading above
    level    number of headings it is under
    """

    role: str
    name: str
    label: str
    level: int
    figures: Figures


CONTAINERS = frozenset({"Module", "ModuleDict", "ModuleList", "Sequential"})
"""Classes of modules that say nothing of what a block is."""


def titled(row: Row, name: str) -> str:
    """``name``, of the row; of a block with the class of the module that it is: ``layer1.0: Bottleneck``."""
    module = getattr(row.figures, "module", None) if row.role in ("heading", "block") else None
    return f"{name}: {module}" if module and module not in CONTAINERS else name


def layers_in(row: Row) -> str:
    """How many layers there are in the row of a block, a heading or the total; "" of others."""
    if row.role not in ("heading", "block", "total"):
        return ""
    layers: int = row.figures.layers  # type: ignore[attr-defined]
    return f"{layers} layer{'s' * (layers != 1)}"


def flat(report: Report, options: TableOptions, folds: Folds | None = None) -> list[Row]:
    """Rows that add up to the last of them, the total; without headings. ``folds`` folds some blocks."""
    rows = _kinds(report) if options.by_kind else _folded(report, folds) if folds else _leaves(report, options.depth)
    by = options.sort or (columns()["time" if report.total.time else "macs"] if options.top is not None else None)
    if by is not None:
        rows = _sorted(rows, by)
    rest: list[Row] = []
    if options.top is not None and len(rows) > options.top:
        rows, rest = rows[: options.top], [_rest(".", [row.figures for row in rows[options.top :]])]
    return [*rows, *rest, *_shared(report, [*rows, *rest]), Row("total", "total", "total", 0, report.total)]


def tree(report: Report, options: TableOptions, folds: Folds | None = None) -> list[Row]:
    """The same with a heading above the layers of each block, unless sorting took the order away."""
    rows = flat(report, options, folds)
    if options.sort is not None or options.top is not None or options.by_kind:
        return rows
    blocks = {block.name: block for block in report.blocks}
    leaves = [row for row in rows if row.role in ("layer", "block", "rest")]
    first: dict[str, int] = {}
    paths = []
    for i, row in enumerate(leaves):
        above = [p for p in _above(row.name) if blocks[p].layers > 1]
        # A block that holds nothing but one block is written with it, as "backbone.stages".
        path = [p for p, inner in pairwise(above) if blocks[inner].layers < blocks[p].layers] + above[-1:]
        for prefix in path:
            first.setdefault(prefix, i)
        paths.append(path)
    order = sorted(range(len(leaves)), key=lambda i: [*(first[p] for p in paths[i]), i])
    result: list[Row] = []
    open_blocks: list[str] = []
    for i in order:
        path, row = paths[i], leaves[i]
        same = 0
        while same < min(len(path), len(open_blocks)) and path[same] == open_blocks[same]:
            same += 1
        for level in range(same, len(path)):
            name, outer = path[level], path[level - 1] if level else ""
            result.append(Row("heading", name, _relative(name, outer), level, blocks[name]))
        open_blocks = path
        label = _relative(row.name, path[-1] if path else "")
        result.append(row._replace(label=label, level=len(path)))
    return [*result, *rows[len(leaves) :]]


def add_up(figures: Iterable[Figures], name: str, layers: int) -> Block:
    """The plain sum of ``figures``: what several of them hold together counts as often."""
    figures = list(figures)
    times = [f.time for f in figures if isinstance(f, (Layer, Block)) and f.time is not None]
    time: Time | None = None
    for t in times:
        time = t if time is None else time.then(t)

    energy: Energy | None = None
    for e in [f.energy for f in figures if isinstance(f, (Layer, Block)) and f.energy is not None]:
        energy = e if energy is None else energy.plus(e)
    amounts = Amounts.sum(f.amounts for f in figures)
    return Block(amounts, name, layers, (), None, time=time, energy=energy, estimate=_sum(figures))


def _sum(figures: Sequence[Figures]) -> Estimate | None:
    """The estimate for all of ``figures``; None where one has none."""
    found = [f.estimate for f in figures if isinstance(f, (Layer, Block)) and f.estimate is not None]
    if not found:
        return None
    from costcalc.analysis.estimate import Estimate

    return Estimate(*(sum(getattr(e, name) for e in found) for name in ("seconds", "low", "high")))


def _leaves(report: Report, depth: int | None) -> list[Row]:
    if depth is None:
        return [Row("layer", layer.name, layer.name, 0, layer) for layer in shown_layers(report)]
    blocks = {block.name: block for block in report.blocks}
    rows: dict[str, Row] = {}
    for layer in shown_layers(report):
        name, figures = layer.name, layer
        block = ".".join(layer.name.split(".")[:depth])
        if block != layer.name and block and blocks[block].layers > 1:
            rows.setdefault(f"{block}.", Row("block", block, block, 0, blocks[block]))
            continue
        rows[name] = Row("layer", name, name, 0, figures)
    return list(rows.values()) if depth != 0 else []


def _folded(report: Report, folds: Folds) -> list[Row]:
    """A row for each layer that is in no fold, one for each block that is shut, and the rests of others at the end."""
    blocks = {block.name: block for block in report.blocks}
    rows: dict[str, Row] = {}
    rests: dict[str, list[Layer]] = {}
    for layer in shown_layers(report):
        block, rest = folds.row_of(layer.name)
        if block:
            rows.setdefault(f"{block}.", Row("block", block, block, 0, blocks[block]))
        elif rest:
            rests.setdefault(rest, []).append(layer)
        else:
            rows[layer.name] = Row("layer", layer.name, layer.name, 0, layer)
    return [*rows.values(), *(_rest(block, layers) for block, layers in rests.items())]


def _rest(block: str, layers: Sequence[Figures]) -> Row:
    """The row of ``layers``, or rows, of ``block`` that have none of their own; "." is the whole model."""
    count = sum(f.layers if isinstance(f, Block) else 1 for f in layers)
    name = f"{count} other layers" if count > 1 else "1 other layer"
    return Row("rest", name if block == "." else f"{block}.{name}", name, 0, add_up(layers, name, count))


def shown_layers(report: Report) -> list[Layer]:
    """The layers without those that are done beforehand and store nothing: the summary says what these do."""
    return [layer for layer in report.layers if layer.prepared is None or layer.weight_bits != 0]


def _kinds(report: Report) -> list[Row]:
    """A row for the layers of each kind together, those with most time or MACs first."""
    layers: dict[str, list[Layer]] = {}
    for layer in shown_layers(report):
        layers.setdefault(layer.kind, []).append(layer)
    rows = [Row("block", kind, kind, 0, add_up(some, kind, len(some))) for kind, some in layers.items()]
    return _sorted(rows, columns()["time" if report.total.time else "macs"])


def _sorted(rows: list[Row], by: Column) -> list[Row]:
    # A receptive field is shown as text, "224 (435)", and ranked by its size.
    values: list[Any] = [amount(by, row.figures) if by.name == "field" else by.value(row.figures) for row in rows]
    known = [i for i, value in enumerate(values) if value is not None]
    try:
        known.sort(key=lambda i: values[i], reverse=not isinstance(next(iter(values), None), str))
    except TypeError:
        raise CostcalcError(f"rows cannot be sorted by '{by.name}': its values depend on symbols") from None
    return [rows[i] for i in known] + [row for row, value in zip(rows, values, strict=True) if value is None]


def _shared(report: Report, rows: Sequence[Row]) -> list[Row]:
    """What the rows hold more than the total: tensors that several of them store."""
    if not rows:
        return []
    summed, whole = add_up((row.figures for row in rows), "", 0), report.total
    amounts = whole.amounts - summed.amounts
    gap = Block(amounts, "shared by rows", 0, (), None)
    nothing = all(amounts[figure.name] == 0 for figure in FIGURES.values() if figure.held)
    return [] if nothing else [Row("shared", gap.name, gap.name, 0, gap)]


def _above(name: str) -> list[str]:
    """The dotted prefixes of ``name``, outermost first, without itself."""
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _relative(name: str, above: str) -> str:
    return name[len(above) + 1 :] if above else name
