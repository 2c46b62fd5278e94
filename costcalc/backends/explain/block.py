"""What a block's storage consists of, as text for a terminal."""

from __future__ import annotations

from costcalc.amounts.units import grouped, percent, size
from costcalc.analysis.stored_tensors import StoredTensor, StoredTensors
from costcalc.backends.paint import Paint
from costcalc.backends.report.summary import after
from costcalc.ir.expr import Expr

MOST = 16
SAYS = {
    "reads": "read from outside",
    "weight": "weights and buffers",
    "keeps": "between its layers, counted once",
    "makes": "made for others",
}


def block_text(stored: StoredTensors, width: int, paint: Paint) -> str:
    """The tensors by role, the largest of each, and their sum: the storage that reports give."""
    how = f", {after(stored.applied)}" * bool(stored.applied)
    lines = [f"{paint(stored.name, 'bold')}  {stored.layers} layer{'s' * (stored.layers != 1)}{how}", ""]
    storage = stored.figures.storage_bits
    for role, description in SAYS.items():
        tensors = [t for t in stored.tensors if t.role == role]
        if not tensors:
            continue
        bits = sum(t.bits for t in tensors)
        lines.append(f"{paint(description, 'cyan')}  {_size(bits)}, {_share(bits, storage)}")
        largest = sorted(tensors, key=lambda t: 0 if isinstance(t.bits, Expr) else -t.bits)
        lines += _table(largest[:MOST], width, paint)
        if len(tensors) > MOST:
            rest = sum(t.bits for t in largest[MOST:])
            lines.append(f"  {_size(rest)}".ljust(14) + paint(f"{len(tensors) - MOST} more", "dim"))
        lines.append("")
    lines.append(f"{paint('storage', 'bold')}  {_size(storage)}, each tensor once" + _exact(storage))
    if stored.views:
        lines.append(f"views of them, which take nothing: {stored.views}")
    if isinstance(stored.apart, int) and isinstance(storage, int) and stored.apart > storage:
        more = size(stored.apart - storage)
        lines.append(f"layer by layer it would be {size(stored.apart)}: {more} lies between layers and counts again")
    return "\n".join(lines) + "\n"


def _table(tensors: list[StoredTensor], width: int, paint: Paint) -> list[str]:
    shapes = ["×".join(map(str, t.shape)) or "scalar" for t in tensors]
    wide = max(map(len, shapes))
    return [
        f"  {_size(t.bits).ljust(10)}  {shape.ljust(wide)}  {paint(t.name[-max(width - wide - 16, 16) :], 'dim')}"
        for t, shape in zip(tensors, shapes, strict=True)
    ]


def _size(bits: int | Expr) -> str:
    return size(bits) if isinstance(bits, int) else f"{bits} bits"


def _share(bits: int | Expr, whole: int | Expr) -> str:
    return percent(bits, whole) if isinstance(bits, int) and isinstance(whole, int) else "a part"


def _exact(bits: int | Expr) -> str:
    return f" ({grouped(bits)} bits)" if isinstance(bits, int) else ""
