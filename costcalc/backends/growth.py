"""How the receptive field grows, as text: a bar for each layer that changes it, and where the image ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from costcalc.backends import escape
from costcalc.backends.escape import visible
from costcalc.backends.grid import GAP, grid
from costcalc.backends.json import written
from costcalc.backends.markdown import header, row
from costcalc.backends.paint import bar, painted, plain
from costcalc.pictures.growth import Growth, Seen

SCHEMA = 1
"""The version of the JSON."""
NARROW, WIDEST = 8, 100
EDGE = "│"
FEWEST = 8


def table(found: Growth, name: str, width: int, colour: bool, *, lines: int | None = None, all: bool = False) -> str:
    """For a terminal: each layer that changes the window, or ``all``; of more than ``lines`` some, evenly chosen.

    Bars are parts of the image, along the axis where that is most; beyond its edge they have another colour.
    """
    from textwrap import wrap

    paint = painted if colour else plain
    image = "×".join(map(str, found.image))
    rows = list(found.layers) if all else steps(found)
    shown = rows if all or lines is None else _some(rows, max(lines - 7, FEWEST), found)
    columns = {
        "layer": ["layer", *(visible(seen.name) for seen in shown)],
        "size": ["RF", *(_size(seen) for seen in shown)],
        "step": ["step", *("" if seen.everything else sides(seen.stride) for seen in shown)],
    }
    numbers = sum(max(map(len, columns[name])) for name in ("size", "step")) + 3 * len(GAP)
    names = min(max(map(len, columns["layer"])), max(width // 3, 12))
    room = max(min(width - numbers - names - 1, WIDEST), NARROW)
    laid = grid(columns, numbers + names - len(GAP), ["layer"], {"layer": 12}, ("layer",))
    made = [f"{paint(visible(name), 'bold')}  receptive field over the {called(found)} of {image}", ""]
    made.append(paint(GAP.join(laid[0]).rstrip(), "dim"))
    most = max((_part(seen, found) for seen in rows), default=1.0)
    edge = max(min(int(room / max(most, 1.0)), room - 1), 1)
    for seen, cells in zip(shown, laid[1:], strict=True):
        filled = bar(_part(seen, found) * edge / room, room).rstrip()
        inside, beyond = filled[:edge].ljust(edge), filled[edge:]
        drawn = paint(inside, "cyan") + paint(EDGE, "dim") + paint(beyond, "yellow")
        made.append(f"{GAP.join(cells)}{GAP}{drawn}")
    told = words(found)
    if len(shown) < len(rows):
        told.append(f"{len(shown)} of {len(rows):,} layers that change it: --all shows every layer")
    return "\n".join([*made, "", *(line for text in told for line in wrap(text, max(width, 40))), ""])


def steps(found: Growth) -> list[Seen]:
    """The layers whose window is another than that of the layer before them."""
    rows: list[Seen] = []
    for seen in found.layers:
        before = rows[-1] if rows else None
        if before is None or (seen.size, seen.everything, seen.bound) != (before.size, before.everything, before.bound):
            rows.append(seen)
    return rows


def words(found: Growth, said: Callable[[str], str] = visible) -> list[str]:
    """Where the window is first larger than the image, from where on each place sees all of it, and of which layers
    that is unknown; names pass ``said``.
    """
    noun = called(found)
    if (larger := found.larger) is not None:
        over = f"first larger than the {noun}: {said(larger.name)}, {sides(larger.size)}"
    elif (may := found.may_exceed) is not None:
        over = (
            f"no window is proved to be larger than the {noun}; that of {said(may.name)} is at most {sides(may.size)}"
        )
    else:
        over = f"no window{' that is known' * bool(found.unknown)} is larger than the {noun}"
    told = [over, *([f"from {said(found.whole)} on each place sees all of the {noun}"] if found.whole else [])]
    if found.unknown:
        many = len(found.unknown)
        of = f"{many:,} layers, from {said(found.unknown[0])} on" if many > 1 else said(found.unknown[0])
        told.append(f"unknown of {of}")
    return told


def called(found: Growth) -> str:
    """What the pixels are of: sound and text are no image."""
    return "image" if len(found.image) == 2 else "input"


def _some(rows: Sequence[Seen], most: int, found: Growth) -> list[Seen]:
    """At most ``most`` of ``rows``, evenly chosen, among them what ``words`` tells of."""
    if len(rows) <= most:
        return list(rows)
    kept = {i for i, seen in enumerate(rows) if seen.name in (found.exceeds, found.whole)}
    free = most - len(kept)
    kept |= {round(i * (len(rows) - 1) / max(free - 1, 1)) for i in range(free)}
    return [rows[i] for i in sorted(kept)]


def _part(seen: Seen, found: Growth) -> float:
    return max((size / edge for size, edge in zip(seen.size, found.image, strict=True)), default=0.0)


def _size(seen: Seen) -> str:
    return "all" if seen.everything else ("≤" if seen.bound else "") + sides(seen.size)


def sides(sides: Sequence[float]) -> str:
    """One number where all are equal.

    >>> sides((7, 7)), sides((3, 5)), sides((0.5,))
    ('7', '3×5', '0.5')
    """
    texts = [f"{side:g}" for side in sides]
    return texts[0] if len({*texts}) == 1 else "×".join(texts)


def json(found: Growth, name: str) -> str:
    """The contract of ``docs/reports.md``; a layer a line."""
    layers = [
        {
            "layer": seen.name, "size": list(seen.size), "seen": list(seen.seen),
            "stride": [int(n) if n == int(n) else n for n in seen.stride],
            "everything": seen.everything, "bound": seen.bound,
        }
        for seen in found.layers
    ]  # fmt: skip
    head = {"schema": SCHEMA, "model": name, "image": list(found.image)}
    head |= {"exceeds": found.exceeds or None, "everything": found.whole or None, "unknown": len(found.unknown)}
    return written({**head, "layers": layers})


def csv(found: Growth, name: str) -> str:
    """A line a layer; an entry an axis, with x between them."""
    heads = ["layer", "size", "seen", "stride", "everything", "bound"]
    rows = [
        [s.name, *("x".join(f"{n:g}" for n in sides) for sides in (s.size, s.seen, s.stride)), int(s.everything),
         int(s.bound)]
        for s in found.layers
    ]  # fmt: skip
    return escape.csv([heads, *rows])


def markdown(found: Growth, name: str) -> str:
    """A row a layer that changes the window, and what is to be said of it."""
    lines = header(["layer", "RF", "step", "of the image"], "<>>>")
    for seen in steps(found):
        step = "" if seen.everything else sides(seen.stride)
        share = "all" if seen.everything else f"{100 * _part(seen, found):.3g} %"
        lines.append(row([escape.markdown(seen.name), _size(seen), step, share]))
    said = "; ".join([f"{called(found)} {'×'.join(map(str, found.image))}", *words(found, escape.markdown)])
    return "\n".join([*lines, "", f"{said}.", ""])
