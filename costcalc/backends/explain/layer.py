"""An explanation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from costcalc.amounts.formatting import SMALL
from costcalc.amounts.units import count, grouped, size
from costcalc.analysis.explain import ExplainedWeight, Explanation, ExplanationLine
from costcalc.analysis.fft import FourierConv
from costcalc.analysis.figures import BITS
from costcalc.analysis.pixel_map import ReceptiveField
from costcalc.backends.docstrings import described
from costcalc.backends.paint import Paint
from costcalc.backends.report.summary import after
from costcalc.ir.op import Op

INDENT = 17
HEADING = 13


def explanation(explained: Explanation, width: int, paint: Paint) -> str:
    """What the layer is, its letters, each figure's formula, and what is counted."""
    node, layer = explained.node, explained.layer
    lines = [f"{paint(node.name, 'bold')}  {node.op!r}", *_about(type(node.op), width, paint)]
    if layer.source:
        lines.append(paint(f"from {layer.source}", "dim"))
    if explained.applied:
        lines.append(paint(after(explained.applied), "dim"))
    lines.append("")
    rows = [("makes" if v in node.outputs else "reads", shape, letters, v) for v, shape, letters in explained.shapes]
    rows += [("weight", w.shape, w.formula, _named(w, node.name)) for w in explained.weights]
    sizes = ["×".join(map(str, shape)) or "scalar" for _, shape, _, _ in rows]
    wide, wider = max(map(len, sizes)), max(len(letters) for _, _, letters, _ in rows)
    for (what, _, letters, name), text in zip(rows, sizes, strict=True):
        lines.append(_row(what, f"{text.ljust(wide)}  {letters.ljust(wider)}  {paint(name, 'dim')}", paint))
    if explained.letters:
        lines += _wrapped(
            "with", "  ".join(f"{letter}={value}" for letter, value in explained.letters.items()), width, paint
        )
    lines.append("")
    for line in explained.lines:
        lines += _figure(line, width, paint)
    return "\n".join(lines) + "\n"


def _named(weight: ExplainedWeight, layer: str) -> str:
    """A weight's name, the model's own name for it where that is another, and who shares it."""
    if weight.prepared:
        return f"{weight.name}, prepared once by {weight.prepared}"
    name = weight.name if weight.called == f"{layer}.{weight.name}" else f"{weight.name}, called {weight.called}"
    first, *more = weight.shared or ("",)
    return f"{name}, shared with {first}{f' and {len(more)} more' if more else ''}" if first else name


def _figure(line: ExplanationLine, width: int, paint: Paint) -> Iterator[str]:
    if line.letters:
        yield from _wrapped(line.name, line.letters, width, paint)
        if line.numbers:
            yield from _wrapped("", f"= {line.numbers}", width, paint)
        yield _row("", f"= {paint(value_of_line(line), 'bold')}", paint)
    elif isinstance(line.value, FourierConv):
        first, *more = _by_fourier(line.value)
        yield _row(line.name, paint(first, "bold"), paint)
        yield from (_row("", text, paint) for text in more)
    else:
        yield _row(line.name, paint(value_of_line(line), "bold"), paint)


def value_of_line(line: ExplanationLine) -> str:
    """The value of ``line`` as text, exact, with its unit."""
    value: Any = line.value
    if isinstance(value, ReceptiveField):
        sees, steps = "×".join(map(str, value.size)), "×".join(map(str, value.stride))
        first = ", ".join(map(str, value.offset))
        said = f"{'at most ' if value.bound else ''}{sees} pixels, every {steps}, the first from {first}"
        if value.hangs_over:
            said += f"; of the image's {'×'.join(map(str, value.image))} a place sees {'×'.join(map(str, value.seen))}"
        if value.border:
            said += f"; over the border pixels of the image, {' and '.join(dict.fromkeys(filter(None, value.border)))}"
        return f"{said}; {line.description}" if line.description else said
    if line.unit in SMALL:
        return SMALL[line.unit](value) + (f", {line.description}" if line.description else "")
    if isinstance(value, int) and line.unit == BITS:
        return f"{grouped(value)} bits ({size(value)})" if value else "0"
    if isinstance(value, int):
        return f"{grouped(value)}" + (f" ({count(value)})" if value >= 1_000_000 else "")
    return str(value)


def _by_fourier(conv: FourierConv) -> Iterator[str]:
    """The cost by transforms against the direct MACs; with the price of kernels where they decide."""

    def against(products: int, unit: str = "") -> str:
        cheaper = "cheaper" if products < conv.direct else "not cheaper"
        return f"{count(products)}{unit}, {products / conv.direct:.2f} × the MACs: {cheaper}"

    yield against(conv.prepared, " multiplications")
    if conv.prepared < conv.direct:
        yield f"with kernels transformed beforehand, which take {size(conv.kernel_bits)};"
        yield f"with their transforms {against(conv.whole)}"


def _about(op: type[Op], width: int, paint: Paint) -> list[str]:
    """The op's docstring, broken at the width of the terminal."""
    from textwrap import wrap

    prose, facts = described(op)
    paragraphs = [(paragraph.replace("\n", " "), "") for paragraph in "\n".join(prose).split("\n\n")]
    stated = [(f"{heading:<{HEADING}}{text}", " " * HEADING) for heading, text in facts]
    lines: list[str] = []
    for group in (*([p] for p in paragraphs), stated):
        lines += [""] * bool(lines and group)
        for text, hanging in group:
            lines += wrap(text.replace("``", "`"), max(width, 40), subsequent_indent=hanging, break_on_hyphens=False)
    return [paint(line, "dim") for line in lines]


def _row(name: str, text: str, paint: Paint) -> str:
    return f"{paint(name.ljust(INDENT), 'cyan')}{text}"


def _wrapped(name: str, text: str, width: int, paint: Paint) -> list[str]:
    """``text`` in lines, broken at spaces."""
    from textwrap import wrap

    first, *more = wrap(text, max(width - INDENT, 24), break_long_words=False, break_on_hyphens=False) or [""]
    return [_row(name, first, paint), *(" " * (INDENT + 2) + line for line in more)]
