"""The options by which every command names a model and a setting, stated once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

from costcalc.backends.terminal import coloured, is_bounded, lines_of_screen, width
from costcalc.classes import NamedTuple
from costcalc.cli.parameters import argument, option
from costcalc.errors import OptionError

if TYPE_CHECKING:
    from costcalc.backends.rows import TableOptions


def model_names(incomplete: str) -> list[str]:
    """What begins with ``incomplete`` and names a model, for the shell's completion: shipped models, kinds, files.

    Files may be a stranger's, and some shells evaluate what they are offered: names with signs of theirs are left out.
    """
    from costcalc.backends.escape import shell
    from costcalc.frontends.sources import named_so
    from costcalc.zoo import models

    return [*(name for name in models() if name.startswith(incomplete)), *filter(shell, named_so(incomplete))]


def help_of_models() -> str:
    """What a model may be, for the help."""
    from costcalc.frontends.sources import patterns

    return f"A shipped model (see `costcalc list`), or {', '.join(patterns())}."


def help_of_columns() -> str:
    """Which columns there are, for the help."""
    from costcalc.backends.columns import columns

    names = ", ".join(columns())
    return f"Which columns, of {names}; counts also in thousands to trillions: kparams, mparams, gflops, tmacs."


def machine_names(incomplete: str) -> list[str]:
    """Shipped machines that begin with ``incomplete``."""
    from costcalc.machines import machines

    return [name for name in machines() if name.startswith(incomplete)]


ModelName = Annotated[
    str,
    argument(
        metavar="MODEL",
        help=help_of_models,
        completes=model_names,
    ),
]
MODEL = "Model"


def transform_names(incomplete: str) -> list[str]:
    """Transforms that go on from ``incomplete``, of which those before its last comma are given already."""
    from costcalc.transforms import spellings

    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in spellings() if name.startswith(begun)]


Apply = Annotated[
    list[str] | None,
    option(
        "--apply", metavar="A,B,…", panel=MODEL, completes=transform_names,
        help="Transforms of the model, in this order: fold_norm,fuse:ort. `costcalc list --transforms` describes each.",
    ),
]  # fmt: skip
FoldNorm = Annotated[
    bool,
    option(
        "--fold-norm",
        panel=MODEL,
        help="Short for --apply fold_norm, before others: batch norms are folded into the layers before them.",
    ),
]


Layout = Annotated[
    list[str] | None,
    option(
        "--layout", metavar="[NAME=]LETTERS", panel=MODEL,
        help="What the axes of an input are, if the graph does not show it: nhwc, ntchw. For receptive fields.",
    ),
]  # fmt: skip


Child = Annotated[
    bool,
    option("--child", panel=MODEL, help="Run in a process of its own, and report it if native code crashes."),
]


Tokens = Annotated[
    int | None,
    option("--tokens", min=1, panel=MODEL, help="Short for --set tokens=N: the length of the text for a model of hf:."),
]  # fmt: skip
Prompt = Annotated[
    int | None,
    option(
        "--prompt", min=1, panel=MODEL,
        help="Short for --set prompt=N: the length of the cached text before; one token is run.",
    ),
]  # fmt: skip


def to_file(panel: str | None = None) -> Any:
    """The option that names a file to write to in place of standard output."""
    return option(
        "--output",
        "-o",
        metavar="FILE",
        panel=panel,
        help="Write to FILE, whole or not at all; .csv, .json, .md … choose the format.",
    )


Output = Annotated[str | None, to_file()]


class Model(NamedTuple):
    """Which model, built how."""

    model: ModelName
    batch: Annotated[int | None, option("--batch", "-b", min=1, help="Images at a time.", panel=MODEL)] = None
    input: Annotated[
        list[str] | None,
        option(
            "--input", "-i", metavar="[NAME=]SHAPE", panel=MODEL,
            help="Shape of an input without its batch: 3x256x256. Repeat it for several inputs.",
        ),
    ] = None  # fmt: skip
    set: Annotated[
        list[str] | None,
        option(
            "--set", "-s", metavar="NAME=VALUE", panel=MODEL,
            help="A parameter of the model: num_classes=10. May be repeated.",
        ),
    ] = None  # fmt: skip

    kwargs: Annotated[
        str | None,
        option(
            "--kwargs",
            metavar="JSON",
            panel=MODEL,
            help='Arguments of the class or function that builds a PyTorch model: {"depth": 50}.',
        ),
    ] = None

    apply: Apply = None
    fold_norm: FoldNorm = False

    layout: Layout = None
    child: Child = False
    tokens: Tokens = None
    prompt: Prompt = None
    allow_code: Annotated[
        bool, option("--allow-code", panel=MODEL, help="Run the code that comes with a model of hf: (its auto_map).")
    ] = False

    def choices(self) -> dict[str, Any]:
        """What was given of them, as ``load`` and ``analyze`` take it."""
        given: dict[str, Any] = {}
        if self.batch is not None:
            given["batch"] = self.batch
        if self.input:
            given["input"] = shapes(self.input)
        in_short = self._in_short(self.set or [])
        if self.set or self.kwargs or in_short:
            given["parameters"] = {**arguments(self.kwargs or "{}"), **parameters(self.set or []), **in_short}
        if self.layout:
            given["layout"] = layouts(self.layout)
        if self.apply is not None or self.fold_norm:
            from costcalc.transforms import named

            given["apply"] = named(self.apply or (), self.fold_norm)
        return given

    def _in_short(self, long: Sequence[str]) -> dict[str, Any]:
        """The parameters that have an option of their own. Raises ``OptionError`` for one that is given twice."""
        given: dict[str, Any] = {"tokens": self.tokens, "prompt": self.prompt}
        found = {name: value for name, value in given.items() if value is not None}
        for name in found:
            if any(one.partition("=")[0].strip() == name for one in long):
                raise OptionError(f"--{name} is short for --set {name}=…; give one of them")
        if self.allow_code and self.model.startswith("hf:"):  # the others' code runs because they are named
            found["allow_code"] = True
        return found


Bits = Annotated[int | None, option("--bits", min=1, max=1024, help="Bits of a floating-point element, instead of 32.")]


def energy_names(incomplete: str) -> list[str]:
    """Shipped tables of energies that begin with ``incomplete``."""
    from costcalc.energy import energy_tables

    return [name for name in energy_tables() if name.startswith(incomplete)]


class Setting(NamedTuple):
    """At which element width, on which machine, by which table of energies."""

    bits: Bits = None
    machine: Annotated[
        str | None,
        option(
            "--machine", "-m", metavar="NAME|FILE", completes=machine_names,
            help="Time on a machine (`costcalc list --machines`), or on your own in a YAML file.",
        ),
    ] = None  # fmt: skip
    energy: Annotated[
        str | None,
        option(
            "--energy", metavar="TABLE", completes=energy_names,
            help="Energy by a table: horowitz_45nm, or a YAML file; optionally with a level of memory, :sram_1mib.",
        ),
    ] = None  # fmt: skip


class Format(str, Enum):
    """What figures are written as."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


class Paged(str, Enum):
    """What a comparison or a change is written as: ``html`` is a page of its own."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    html = "html"


class Rendered(str, Enum):
    """What the rows of a report are written as."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"
    latex = "latex"
    html = "html"


class TextFormat(str, Enum):
    """What a result that is not a table of figures is written as."""

    text = "text"
    json = "json"


DISPLAY = "What to show"

Flops = Annotated[
    bool, option("--flops", panel=DISPLAY, help="Also FLOPs: two for each MAC. Other arithmetic is in ops.")
]


def asked(flops: bool) -> tuple[str, ...]:
    """The figures on demand that ``--flops`` asks for."""
    return ("flops",) * flops


class Shown(NamedTuple):
    """What of a report is shown, as what, and where to."""

    depth: Annotated[int | None, option("--depth", "-d", min=0, panel=DISPLAY, help="Fold what lies deeper.")] = None
    all: Annotated[
        bool,
        option("--all", panel=DISPLAY, help="Show every layer; by default a long table is folded to fit the terminal."),
    ] = False
    columns: Annotated[str | None, option("--columns", "-c", metavar="A,B,…", panel=DISPLAY, help=help_of_columns)] = (
        None
    )
    sort: Annotated[
        str | None, option("--sort", metavar="COLUMN", panel=DISPLAY, help="Largest first, without blocks.")
    ] = None
    bars: Annotated[
        str | None,
        option("--bars", metavar="COLUMN", panel=DISPLAY, help="Draw a bar beside each number of a column: traffic."),
    ] = None
    by_kind: Annotated[
        bool, option("--by-kind", panel=DISPLAY, help="A row for each kind of layer, the most expensive first.")
    ] = False
    top: Annotated[
        int | None, option("--top", min=1, panel=DISPLAY, help="Show this many rows; the rest is summed in one.")
    ] = None
    exact: Annotated[bool, option("--exact", panel=DISPLAY, help="All digits in place of units.")] = False
    flops: Flops = False
    format: Annotated[
        Rendered,
        option("--format", "-f", help="What to write; unless given, --output x.csv is CSV.", shows_default=True),
    ] = Rendered.table
    output: Output = None

    def table_options(self) -> TableOptions:
        """What back ends need to know of it."""
        from costcalc.backends.columns import find_bars, find_column, find_columns, on_demand
        from costcalc.backends.rows import TableOptions

        if self.by_kind and self.depth is not None:
            raise OptionError(
                "--by-kind has a row for each kind of layer, --depth one for each block; give one of them"
            )
        columns = None if self.columns is None else find_columns(self.columns)
        sort = None if self.sort is None else find_column(self.sort)
        bars = None if self.bars is None else find_bars(self.bars)
        also = on_demand([*(columns or ()), *(column for column in (sort, bars) if column)])
        if self.all and (self.depth is not None or self.top is not None):
            raise OptionError("--all shows every layer, --depth and --top some; give one of them")
        whole = self.all or self.depth is not None or self.top is not None
        return TableOptions(
            depth=self.depth,
            columns=columns,
            sort=sort,
            top=self.top,
            exact=self.exact,
            by_kind=self.by_kind,
            bars=bars,
            also=tuple(dict.fromkeys((*asked(self.flops), *also))),
            lines=None if whole else lines_of_screen(self.output),
            bounded=is_bounded(self.output),
            width=width(),
            colour=coloured(self.output),
        )


def shapes(given: Sequence[str]) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """What ``--input`` says: the shape of the first input, or shapes by name.

    >>> shapes(["3x224x224"]), shapes(["left=3x8x8", "right=1×4"])
    ((3, 224, 224), {'left': (3, 8, 8), 'right': (1, 4)})
    """
    result: dict[str, tuple[int, ...]] = {}
    for one in given:
        before, named, after = one.partition("=")
        name, text = (before, after) if named else ("", before)
        sizes = text.lower().replace("×", "x").split("x")
        if not all(s.isdecimal() and len(s) < 20 and int(s) > 0 for s in sizes):
            raise OptionError(f"--input {one[:60]}: a shape is sizes from 1 with x between them, as in 3x224x224")
        if name in result:
            twice = f"gives the shape of '{name}' twice" if name else "gives two shapes; name them: --input NAME=SHAPE"
            raise OptionError(f"--input {twice}")
        result[name] = tuple(map(int, sizes))
    if "" in result and len(result) > 1:
        raise OptionError("--input names one shape and not the other; name both: --input NAME=SHAPE")
    return result.get("", result)


def layouts(given: Sequence[str]) -> str | dict[str, str]:
    """What ``--layout`` says: the layout of the input, or layouts by name.

    >>> layouts(["nhwc"]), layouts(["left=nchw", "right=nt"])
    ('nhwc', {'left': 'nchw', 'right': 'nt'})
    """
    result: dict[str, str] = {}
    for one in given:
        before, named, after = one.partition("=")
        name, text = (before, after) if named else ("", before)
        if name in result:
            twice = (
                f"gives the layout of '{name}' twice" if name else "is given twice; name them: --layout NAME=LETTERS"
            )
            raise OptionError(f"--layout {twice}")
        result[name] = text
    if "" in result and len(result) > 1:
        raise OptionError("--layout names one input and not the other; name both: --layout NAME=LETTERS")
    return result.get("", result)


def arguments(given: str) -> dict[str, Any]:
    """What ``--kwargs`` says: a JSON object."""
    import json

    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as error:
        name, equals, value = given[:60].partition("=")
        is_one = equals and name.isidentifier()
        hint = f"; one argument is --set {name}={value}" if is_one else "; write --kwargs '{\"depth\": 50}', say"
        raise OptionError(f"--kwargs {given[:60]}: this is not JSON ({error}){hint}") from None
    if not isinstance(found, dict):
        raise OptionError(f'--kwargs {given[:60]}: arguments are a JSON object, {{"depth": 50}} say')
    return found


def parameters(given: Sequence[str]) -> Mapping[str, Any]:
    """What ``--set`` says, by parameter."""
    from costcalc.errors import CostcalcError
    from costcalc.frontends.spec.settings import parse_value

    result: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"--set {one[:60]}: a parameter is set as NAME=VALUE, for example num_classes=10")
        try:
            result[name.strip()] = parse_value(text.strip())
        except CostcalcError as error:
            raise OptionError(f"--set {one[:60]}: {error.message}") from None
    return result


def size(name: str, text: str) -> int:
    """What the option ``name`` says, in bytes. Raises ``OptionError`` for what is not an amount of memory."""
    from costcalc.amounts.parsing import bytes_of

    return bytes_of(text, name)
