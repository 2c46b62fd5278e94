"""The text of an ncnn network: a layer a line, with what it reads and makes, and its options by number.

A line is ``type name inputs outputs names… id=value…``; an id from -23300 down is a list, ``-23303=2,4,5``. The list
-23330 has the shapes of what is made: for each so many axes, then width, height and channels.
"""

from __future__ import annotations

from costcalc.classes import NamedTuple
from costcalc.errors import Location, SpecError
from costcalc.reading.files import contents

MAGIC = "7767517"
MOST_LAYERS, MOST_BLOBS, MOST_LIST = 100_000, 300_000, 4096
LISTS, SHAPES = -23300, -23330
REST = -233
"""What stands for a size that is left over, or is not known."""

Number = int | float


class NcnnLayer(NamedTuple):
    """One line.

    options   by their number
    shapes    of what it makes, where the file says so: channels, height, width without what it lacks
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    options: dict[int, Number | tuple[Number, ...]]
    shapes: tuple[tuple[int, ...], ...]
    location: Location

    def whole(self, number: int, default: int = 0) -> int:
        """An option that is a whole number."""
        value = self.options.get(number, default)
        if isinstance(value, tuple) or value != int(value):
            raise SpecError(f"{self.kind} {self.name[:80]}: {number}={value} must be a whole number", self.location)
        return int(value)

    def real(self, number: int, default: float = 0.0) -> float:
        """An option that is a number."""
        value = self.options.get(number, default)
        if isinstance(value, tuple):
            raise SpecError(f"{self.kind} {self.name[:80]}: {number} must be a number, not a list", self.location)
        return float(value)

    def wholes(self, number: int) -> tuple[int, ...]:
        """An option that is a list of whole numbers, by its number below 100; () if it is not given."""
        value = self.options.get(LISTS - number, ())
        if not isinstance(value, tuple) or any(v != int(v) for v in value):
            raise SpecError(
                f"{self.kind} {self.name[:80]}: {LISTS - number} must be a list of whole numbers", self.location
            )
        return tuple(int(v) for v in value)


def text_of(path: str) -> str:
    """The text of the network at ``path``. Raises ``SpecError`` for what is none."""
    data = contents(path, kind="an ncnn network", form="a text file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise SpecError("this is not text; the .param.bin of ncnn is not read, its .param is", Location(path)) from None
    if text.partition("\n")[0].strip() != MAGIC:
        from costcalc.frontends.unsupported import refuse_unread

        refuse_unread(path)
        raise SpecError(f"this is not a ncnn network: its first line is not {MAGIC}", Location(path, 1))
    return text


def read(path: str, text: str) -> list[NcnnLayer]:
    """The layers in the ``text`` of the file at ``path``. Raises ``SpecError`` with the line of what is wrong."""
    lines = text.splitlines()
    counts = lines[1].split() if len(lines) > 1 else []
    if len(counts) != 2 or not all(count.isdecimal() and len(count) < 10 for count in counts):
        raise SpecError("the second line has how many layers and blobs there are", Location(path, 2))
    if int(counts[0]) > MOST_LAYERS or int(counts[1]) > MOST_BLOBS:
        raise SpecError(f"the file has {counts[0]} layers; at most {MOST_LAYERS:,} are read", Location(path, 2))
    layers = [_layer(line, Location(path, n)) for n, line in enumerate(lines[2:], 3) if line.strip()]
    if len(layers) != int(counts[0]):
        raise SpecError(f"there are {len(layers):,} layers, and the second line says {counts[0]}", Location(path, 2))
    return layers


def _layer(line: str, location: Location) -> NcnnLayer:
    words = line.split()
    if len(words) < 4 or not (words[2].isdecimal() and words[3].isdecimal()) or len(words[2] + words[3]) > 12:
        raise SpecError("a line has a type, a name, and how many it reads and makes", location)
    kind, name, reads, makes = words[0], words[1], int(words[2]), int(words[3])
    names, rest = words[4 : 4 + reads + makes], words[4 + reads + makes :]
    if len(names) < reads + makes:
        raise SpecError(f"{kind} {name[:80]} reads {reads} and makes {makes}, but {len(names)} are named", location)
    options: dict[int, Number | tuple[Number, ...]] = {}
    for word in rest:
        key, equals, text = word.partition("=")
        if not equals or not key.removeprefix("-").isdecimal() or len(key) > 8:
            raise SpecError(f"'{word[:40]}' is not an option: these are written number=value", location)
        parts = text.split(",") if int(key) <= LISTS else [text]
        if len(parts) > MOST_LIST:
            raise SpecError(f"a list has at most {MOST_LIST:,} numbers", location)
        numbers = tuple(_number(part, location) for part in parts)
        options[int(key)] = numbers[1:] if int(key) <= LISTS else numbers[0]
        if int(key) <= LISTS and numbers[0] != len(numbers) - 1:
            raise SpecError(f"'{word[:40]}' says another number of items than it has", location)
    hints = options.pop(SHAPES, ())
    shapes = _shapes(hints, makes) if isinstance(hints, tuple) else ()
    return NcnnLayer(kind, name, tuple(names[:reads]), tuple(names[reads:]), options, shapes, location)


def _number(text: str, location: Location) -> Number:
    try:
        value: Number = int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else float(text)
    except ValueError:
        return 0  # a word: an option of a layer of one's own
    if not abs(value) < 1e18:
        raise SpecError(f"{text[:40]} is too large a number", location)
    return value


def _shapes(hints: tuple[Number, ...], makes: int) -> tuple[tuple[int, ...], ...]:
    if len(hints) != 4 * makes:
        return ()
    found = []
    for i in range(0, len(hints), 4):
        axes, width, height, channels = (int(n) for n in hints[i : i + 4])
        found.append({1: (width,), 2: (height, width), 3: (channels, height, width)}.get(axes, ()))
    return tuple(found)
