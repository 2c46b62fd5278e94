"""Which sizes of a model a user's words leave open, and what they are in numbers."""

from __future__ import annotations

from collections.abc import Iterable

from costcalc.analysis.axes import named_axes
from costcalc.analysis.program_symbols import symbols_of_program
from costcalc.analysis.symbols import ANSWERS, ANY, LETTERS, PARAMETER, SQUARE, Symbols
from costcalc.errors import OptionError, listing, near
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph


def find_symbols(graph: Graph, wanted: Iterable[str] | None = None, batch: int | None = None) -> Symbols:
    """The symbols that ``wanted`` means for a model in numbers; by default the batch and every axis with a name.

    A word is ``batch``, the name of an axis (``height``, ``width``, ``depth`` or ``frames``, ``length``, ``tokens``),
    ``size``, or a parameter. ``INPUT.AXIS`` and ``parameter.NAME`` say which is meant where a word means several.
    ``batch`` is what was said of it; if nothing was, it is that of the first input. Raises ``OptionError``.
    """
    if graph.declared:
        return symbols_of_program(graph, wanted)
    if batch is None:
        types = [graph.types[name] for name in graph.inputs]
        leading = next((t.shape[0] for t in types if t.shape), 1)
        batch = leading if isinstance(leading, int) else 1
    return _Finder(graph, batch).find(wanted)


class _Finder:
    def __init__(self, graph: Graph, batch: int) -> None:
        self.graph, self.size = graph, batch
        self.axes = named_axes(graph)
        self.names = {name for axes in self.axes.values() for name in axes.values()}
        self.batch: str | None = None
        self.sizes: dict[str, dict[int, Expr]] = {name: {} for name in graph.inputs}
        self.said: dict[tuple[str, int], str] = {}  # the word by which each axis was asked for
        self.parameters: list[str] = []
        self.owners: dict[str, str] = {}  # what each symbol was asked for as
        self.values: dict[str, int] = {}
        self.notes: list[str] = []

    def find(self, wanted: Iterable[str] | None) -> Symbols:
        if wanted is None:
            wanted = ["batch", *(name for name in LETTERS if name in self.names)]
            wanted = [f"{ANY}.{name}" if name in self.graph.parameters else name for name in wanted]
        for word in dict.fromkeys(wanted):
            self._take(word)
        if self.notes and not self.values:
            raise OptionError(self.notes[0])
        return Symbols(self.batch, self.sizes, tuple(self.parameters), self.values, self.owners, tuple(self.notes))

    def _take(self, word: str) -> None:
        parameters = self.graph.parameters
        holder, dot, name = word.rpartition(".")
        if dot and holder == PARAMETER and name in parameters:
            self._parameter(name)
        elif dot and name in (*LETTERS, SQUARE) and (holder in self.axes or holder == ANY):
            self._axis(word, name, [holder] if holder in self.axes else list(self.axes))
        elif word in parameters:
            if word in LETTERS or word == SQUARE:
                named_axes = [] if word == "batch" else self._named_axes(word, list(self.axes))
                if named_axes or word == "batch":
                    here = f"{named_axes[0][0]}.{word}" if named_axes else f"{ANY}.batch"
                    raise OptionError(
                        f"'{word}' is a size of the input and a parameter of {self.graph.name}; "
                        f"write {here} or {PARAMETER}.{word}"
                    )
            self._parameter(word)
        elif word in LETTERS or word == SQUARE:
            self._axis(word, word, list(self.axes))
        else:
            known = {*self.names, "batch", *parameters}
            raise OptionError(f"'{word[:80]}' cannot be a symbol{near(word, known)}; there are {listing(known)}")

    def _parameter(self, name: str) -> None:
        value = self.graph.parameters[name]
        if type(value) is not int or value < 1:
            raise OptionError(f"the parameter {name} is {value!r}; a symbol stands for a whole number from 1")
        self._symbol(name, value, f"the parameter {name}")
        self.parameters.append(name)

    def _axis(self, word: str, name: str, inputs: list[str]) -> None:
        if name == "batch":
            self.batch = LETTERS["batch"]
            self._symbol(self.batch, self.size, word)
            return
        if name == SQUARE:
            self._square(inputs)
            return
        named_axes = self._named_axes(name, inputs)
        if not named_axes:
            has = f"it has {listing(self.names)}" if self.names else "no layer tells its axes apart"
            self.notes.append(f"no input of {self.graph.name} has an axis that is its {name}; {has}")
            return
        shapes = {key: self.graph.types[key].shape for key in inputs}
        differ = len({shapes[key][axis] for key, axis in named_axes}) > 1
        alone = len(self._named_axes(name, list(self.axes))) == len(named_axes) == 1
        for key, axis in named_axes:
            letter = LETTERS[name]
            if differ or (word not in (name, f"{ANY}.{name}") and not alone):
                letter = f"{letter}_{key}"
            self._open(word, key, axis, letter)

    def _square(self, inputs: list[str]) -> None:
        named_axes = [named_axis for name in ("height", "width") for named_axis in self._named_axes(name, inputs)]
        named_axes = [(key, axis) for key, axis in named_axes if self.axes[key][axis] != "length"]
        if not named_axes:
            has = f"the axes here are {listing(self.names)}" if self.names else "no layer tells the axes here apart"
            raise OptionError(f"size is the side of a square image; {has}")
        sizes = {self.graph.types[key].shape[axis] for key, axis in named_axes}
        if len(sizes) > 1:
            raise OptionError("--symbols size is for square images, and the model's are not; take height,width")
        for key, axis in named_axes:
            self._open(SQUARE, key, axis, LETTERS["height"])

    def _named_axes(self, name: str, inputs: list[str]) -> list[tuple[str, int]]:
        """The axes that ``name`` means, as (input, number)."""
        meant = ANSWERS.get(name, (name,))
        return [(key, axis) for key in inputs for axis, called in self.axes[key].items() if called in meant]

    def _open(self, word: str, key: str, axis: int, letter: str) -> None:
        """Make one axis of an input a symbol."""
        before = self.said.setdefault((key, axis), word)
        if before != word:
            raise OptionError(f"'{before}' and '{word}' are the same axis of {key}; leave one of them out")
        self._symbol(letter, self.graph.types[key].shape[axis], word)
        self.sizes[key][axis] = Expr.symbol(letter)

    def _symbol(self, name: str, value: Dim, of: str) -> None:
        """Take ``name`` as the symbol of what the user calls ``of``, which is ``value`` in numbers."""
        assert isinstance(value, int)
        before = self.owners.setdefault(name, of)
        if before != of and (name in self.parameters or of.startswith("the parameter ") or self.values[name] != value):
            raise OptionError(f"{before} and {of} would both be the symbol {name}; leave one of them")
        self.values[name] = value
