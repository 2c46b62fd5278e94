"""Machine files: what a data sheet promises, read from ``configs/machines`` or from a user's own file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from costcalc.analysis.roofline import WIDTHS, Machine
from costcalc.errors import SpecError, UnknownName, listing, near

if TYPE_CHECKING:
    from costcalc.reading.tree import Scalar, Tree

KEYS = (
    "title", "macs", "flops", "clock", "turbo", "bandwidth", "duplex", "memory", "ram", "flash", "caches", "local",
    "source", "calibration",
)  # fmt: skip
BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
         "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}  # fmt: skip


def machines() -> dict[str, str]:
    """The shipped machines: name → file."""
    from costcalc.zoo import directory

    return {path.stem: str(path) for path in sorted((directory() / "machines").glob("*.yaml"))}


def load_machine(name: str) -> Machine:
    """The machine called ``name``, or the one that the YAML file ``name`` describes.

    Raises ``UnknownName`` with the nearest name, or ``SpecError`` with the place in the file.
    """
    known = machines()
    if name in known:
        return _read(known[name], name, f"{name}.yaml")
    if name.endswith((".yaml", ".yml")):
        from costcalc.reading.reach import unquoted

        with unquoted(name):
            return _read(name, Path(name).stem, name)
    raise UnknownName(
        f"no machine called '{name[:80]}'{near(name, known)}; there are {listing(known)}, or give a YAML file"
    )


def text_of(name: str) -> str:
    """The text of the machine file that ``load_machine`` takes, which must not be calibrated already."""
    if load_machine(name).calibration is not None:
        raise UnknownName(f"{name[:80]} is calibrated already; name the machine that it was made from")
    from costcalc.reading.files import contents

    return contents(machines().get(name, name), kind="a machine", form="a YAML file").decode("utf-8")


def _read(path: str, name: str, shown: str) -> Machine:
    from costcalc.reading.keys import by_key
    from costcalc.reading.tree import Scalar
    from costcalc.reading.yaml import read_file

    tree = read_file(path, shown, "a machine")
    values = by_key(tree, "a machine", KEYS)
    calibrated = "calibration" in values
    for needed in ("title", "source") if calibrated else ("title", "bandwidth", "source"):
        if needed not in values:
            _fail(f"the machine has no {needed}; it needs title, macs or flops, bandwidth and source", tree)
    rated = "macs" in values or "flops" in values
    if calibrated and rated != ("bandwidth" in values):
        _fail("a calibrated machine has rates (macs or flops) and a bandwidth, or neither", tree)
    if ("macs" in values) == ("flops" in values) and (rated or not calibrated):
        raise SpecError("a machine has either macs or flops, a second by element type, not both or none", tree.location)
    if "memory" in values and "ram" in values:
        raise SpecError("a machine has memory or ram, which is the same, not both", tree.location)
    if "turbo" in values and "clock" not in values:
        raise SpecError(f"turbo needs clock, the one at which the {unit_of(values)} are", tree.location)

    def word(key: str) -> Scalar:
        value = values[key]
        return value if isinstance(value, Scalar) else _fail(f"{key} must be one value", value)

    rates = _rates(values) if rated else {}
    if calibrated:
        from costcalc.calibration.section import read
    clock = _positive(values["clock"], "clock") if "clock" in values else None
    turbo = _positive(values["turbo"], "turbo") if "turbo" in values else None
    if clock and turbo and turbo < clock:
        _fail("turbo is the highest clock, and cannot be below clock", values["turbo"])
    duplex = word("duplex").text if "duplex" in values else "false"
    if duplex not in ("true", "false"):
        _fail("duplex must be true or false", values["duplex"])
    return Machine(
        name=name,
        title=word("title").text,
        macs=rates,
        bandwidth=_positive(word("bandwidth"), "bandwidth") if rated else 0.0,
        source=word("source").text,
        memory=next((_bytes(word(key), key) for key in ("memory", "ram") if key in values), None),
        flash=_bytes(word("flash"), "flash") if "flash" in values else None,
        caches=_caches(values["caches"]) if "caches" in values else {},
        local=_bytes(word("local"), "local") if "local" in values else None,
        clock=clock,
        turbo=turbo,
        duplex=duplex == "true",
        calibration=read(values["calibration"]) if calibrated else None,
    )


def _rates(values: dict[str, Tree]) -> dict[str, float]:
    """MACs a second by element type, of a machine that gives them or FLOPs."""
    from costcalc.reading.tree import Mapping

    unit = unit_of(values)
    table = values[unit]
    if not isinstance(table, Mapping) or not table.pairs:
        _fail(f"{unit} must give a rate for each element type, such as float32: 19.5e12", table)
    rates = {}
    for dtype, rate in table.pairs:
        if dtype.text not in WIDTHS:
            _fail(f"no element type '{dtype.text[:80]}'{near(dtype.text, WIDTHS)}; there are {listing(WIDTHS)}", dtype)
        rates[dtype.text] = _positive(rate, f"the rate of {dtype.text}") / (1 if unit == "macs" else 2)
    return rates


def unit_of(values: dict[str, Tree]) -> str:
    """In which of the two a file gives its rates."""
    return "macs" if "macs" in values else "flops"


def _caches(tree: Tree) -> dict[str, int]:
    from costcalc.reading.tree import Mapping, Scalar

    if not isinstance(tree, Mapping) or not tree.pairs:
        _fail("caches must give a size for each cache, such as {L2: 40 MiB}", tree)
    found = {}
    for name, given in tree.pairs:
        many, size = 1, given
        if isinstance(given, Mapping):
            keys = {key.text: value for key, value in given.pairs}
            if keys.keys() != {"size", "count"}:
                _fail("a cache has a size, or one for each core: {size: 512 KiB, count: 4}", given)
            size, count = keys["size"], keys["count"]
            text = count.text if isinstance(count, Scalar) else ""
            if not (text.isdecimal() and len(text) < 7 and int(text)):
                _fail("count must be a whole number from 1", count)
            many = int(text)
        if not isinstance(size, Scalar):
            _fail(f"the size of {name.text[:80]} must be one value", size)
        found[name.text] = many * _bytes(size, name.text)
    return found


def _positive(value: Tree, what: str) -> float:
    from costcalc.reading.tree import Scalar

    try:
        number = float(value.text if isinstance(value, Scalar) else "")
    except ValueError:
        number = 0.0
    # Far from where a time would be infinite, or a denormal number.
    return number if 1 <= number <= 1e30 else _fail(f"{what} must be a number from 1 to 1e30, such as 19.5e12", value)


def _bytes(value: Scalar, what: str) -> int:
    number, _, unit = value.text.partition(" ")
    if not number.isdecimal() or unit not in BYTES:
        _fail(f"{what[:80]} must be a whole number with a unit, such as 80 GB or 512 KiB", value)
    return int(number) * BYTES[unit]


def _fail(sentence: str, at: Tree) -> NoReturn:
    raise SpecError(sentence, at.location)
