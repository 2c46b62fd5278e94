"""The graph as HTML for a notebook: a tree of layers that folds, in the style of reports. No script, no network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from costcalc.backends.escape import html as escaped
from costcalc.backends.report.html import FEW, MOST_ROWS, STYLE
from costcalc.classes import NamedTuple
from costcalc.ir.graph import Graph, Node
from costcalc.ir.tensor import TensorType

HEADS = ("layer", "op", "options", "reads", "makes")
MOST_LEVELS = 30
"""Of names, that become branches."""
TRACKS = "minmax(8em,1fr) minmax(10em,2fr) minmax(9em,1.3fr) minmax(8em,1fr)"
LONG = 20
"""Characters from which on a cell may be cut, so that it is told in full where one points at it."""


class Branch(NamedTuple):
    """The layers below a dotted prefix.

    items   its layers and the branches in it, in the order of their first layers
    below   those branches by the next part of their names
    """

    name: str
    items: list[Branch | Node]
    below: dict[str, Branch]

    @property
    def size(self) -> int:
        """How many layers it has."""
        return sum(item.size if isinstance(item, Branch) else 1 for item in self.items)


def fragment(graph: Graph) -> str:
    """What a notebook shows of ``graph``."""
    depth = _depth(graph)
    lines = [f'<div class="costcalc"><style>{STYLE}</style>', f"<p><b>{escaped(graph.name)}</b> {_headline(graph)}</p>"]
    if depth is not None:
        lines.append(f"<p>folded to {depth} levels of names, since it has {len(graph):,} layers</p>")
    lines.append(f'<div class="t" style="--c:{TRACKS}">')
    lines.append(_row("div", "r h", 0, [escaped(head) for head in HEADS]))
    rows = [*islice(_rows(graph, _tree(graph, depth), "", 0, depth), 2 * MOST_ROWS)]
    lines += rows + ["</details>"] * (sum(row.startswith("<details") for row in rows) - rows.count("</details>"))
    if len(rows) == 2 * MOST_ROWS:
        lines.append("<p>the rest is left out; print(graph) has every layer</p>")
    lines.append("</div>")
    lines += [f"<p>assuming {escaped(condition)}</p>" for condition in graph.assumed]
    return "\n".join([*lines, "</div>"]) + "\n"


def _headline(graph: Graph) -> str:
    sides = [", ".join(f"{v} {graph.types[v]}" for v in values) for values in (graph.inputs, graph.outputs)]
    after = f", after {', '.join(graph.applied)}" if graph.applied else ""
    return escaped(f"{len(graph):,} layer{'s' * (len(graph) != 1)}, {' → '.join(sides)}{after}")


def _depth(graph: Graph) -> int | None:
    """To how many levels names are folded; None if every layer has a row."""
    if len(graph) <= MOST_ROWS:
        return None
    paths = [tuple(node.name.split(".")) for node in graph]
    depth = min(max(map(len, paths)) - 1, MOST_LEVELS)
    while depth > 1 and len({path[:n] for path in paths for n in range(1, depth + 1)}) > MOST_ROWS:
        depth -= 1
    return max(depth, 1)


def _tree(graph: Graph, depth: int | None) -> Branch:
    """The layers by their names; from ``depth`` on, the rest of a name is not a branch of its own."""
    root = Branch("", [], {})
    for node in graph:
        branch = root
        for part in node.name.split(".")[:-1][: MOST_LEVELS if depth is None else depth]:
            inner = branch.below.get(part)
            if inner is None:
                inner = branch.below[part] = Branch(f"{branch.name}.{part}".lstrip("."), [], {})
                branch.items.append(inner)
            branch = inner
        branch.items.append(node)
    return root


def _rows(graph: Graph, branch: Branch, outer: str, level: int, depth: int | None) -> Iterator[str]:
    """A row for each layer of ``branch``, which is within ``outer``, and for each branch of several."""
    for item in branch.items:
        if isinstance(item, Node):
            yield _layer(graph, item, _relative(item.name, outer), level)
            continue
        while len(item.items) == 1 and isinstance(item.items[0], Branch):  # written with the one that it holds
            item = item.items[0]
        if len(item.items) == 1:
            yield from _rows(graph, item, outer, level, depth)
            continue
        cells = [escaped(_relative(item.name, outer)), f"{item.size:,} layers", "", "", ""]
        if depth is not None and item.name.count(".") + 1 >= depth:
            yield _row("div", "r", level, cells)
            continue
        yield f"<details{' open' if len(graph) <= FEW else ''}>" + _row("summary", "r", level, cells)
        yield from _rows(graph, item, item.name, level + 1, depth)
        yield "</details>"


def _relative(name: str, outer: str) -> str:
    return name.removeprefix(f"{outer}.") if outer else name


def _layer(graph: Graph, node: Node, label: str, level: int) -> str:
    where = f' title="{escaped(node.location.short)}"' if node.location else ""
    shapes = [_listed(types) for types in (graph.input_types(node), graph.output_types(node))]
    options = ", ".join(node.op.settings())
    cells = [f"<span{where}>{escaped(label)}</span>", *map(escaped, (node.op.name, options, *shapes))]
    return _row("div", "r", level, cells)


def _listed(types: tuple[TensorType, ...]) -> str:
    more = f", … {len(types):,} in all" if len(types) > 4 else ""
    return (", ".join(map(str, types[:4])) or "nothing") + more


def _row(tag: str, kind: str, level: int, cells: list[str]) -> str:
    name, *others = cells
    told = [f' title="{cell}"' if len(cell) > LONG else "" for cell in others]
    made = "".join(f'<span class="l"{title}>{cell}</span>' for title, cell in zip(told, others, strict=True))
    return f'<{tag} class="{kind}"><span class="n" style="--l:{level}">{name}</span>{made}</{tag}>'
