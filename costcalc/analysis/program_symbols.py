"""Which open sizes of an exported program a user's words mean, and what formulas call them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from costcalc.analysis.axes import named_axes
from costcalc.analysis.symbols import ANSWERS, ANY, LETTERS, PARAMETER, SQUARE, Symbols
from costcalc.errors import OptionError, listing, near
from costcalc.ir.expr import Expr
from costcalc.ir.graph import Graph


def symbols_of_program(graph: Graph, wanted: Iterable[str] | None = None) -> Symbols:
    """The symbols that ``wanted`` means for an exported program in numbers; by default all its open sizes.

    A size is meant by what it is of an input, ``batch``, ``height`` or ``INPUT.height``, or by PyTorch's name for it.
    Raises ``OptionError``.
    """
    return _Finder(graph).find(wanted)


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.open = [n for n in graph.parameters if any(n in _symbols(d) for s in graph.declared.values() for d in s)]
        self.axes = {
            key: {0: "batch", **axes} if graph.declared[key] else {} for key, axes in named_axes(graph).items()
        }
        self.called: dict[str, str] = {}
        self.words: dict[str, str] = {}

    def find(self, wanted: Iterable[str] | None) -> Symbols:
        if not self.open:
            raise OptionError(
                f"all sizes of {self.graph.source or self.graph.name} are fixed; "
                "torch.export and torch.onnx.export leave those open that dynamic_shapes names"
            )
        if wanted is None:
            for size in self.open:
                of_axes = (word for word, sizes in self._words() if sizes == {size})
                self._call(size, size if self.graph.own_names else next(of_axes, size))
        else:
            for word in dict.fromkeys(wanted):
                for size in self._meant(word):
                    self._call(size, word)
        values = {letter: self.graph.parameters[size] for size, letter in self.called.items()}
        return Symbols(None, {}, (), values, self.words, tuple(self._unnamed()), self.called)

    def _unnamed(self) -> Iterator[str]:
        """What the sizes are that have no other name than PyTorch's."""
        for size, letter in self.called.items():
            if size == letter and not self.graph.own_names:
                axes = [
                    f"axis {axis} of {key} is {declared}"
                    for key, shape in self.graph.declared.items()
                    for axis, declared in enumerate(shape)
                    if size in _symbols(declared)
                ]
                yield ", ".join(axes)

    def _words(self) -> Iterator[tuple[str, set[str]]]:
        """Words for axes with the open sizes that they mean, short ones first."""
        for word in LETTERS:
            if named_axes := self._named_axes(word, list(self.axes)):
                yield word, {str(self.graph.declared[key][axis]) for key, axis in named_axes}
        for key in self.axes:
            for word in LETTERS:
                for named_axis in self._named_axes(word, [key]):
                    yield f"{key}.{word}", {str(self.graph.declared[key][named_axis[1]])}

    def _meant(self, word: str) -> list[str]:
        """The open sizes that ``word`` means."""
        holder, dot, name = word.rpartition(".")
        if word in self.open or (dot and holder == PARAMETER and name in self.open):
            return [name]
        axes = {"": list(self.axes), ANY: list(self.axes)}.get(holder, [holder] if holder in self.axes else [])
        names = ("height", "width") if name == SQUARE else (name,)
        named_axes = [named_axis for one in names for named_axis in self._named_axes(one, axes)]
        if not named_axes:
            known = {*self.open, *(word for word, _ in self._words())}
            raise OptionError(f"'{word[:80]}' cannot be a symbol{near(word, known)}; there are {listing(known)}")
        found: dict[str, None] = {}
        for key, axis in named_axes:
            declared = self.graph.declared[key][axis]
            if isinstance(declared, Expr) and str(declared) not in self.open:
                sizes = listing(sorted(declared.symbols))
                raise OptionError(f"axis {axis} of {key} is {declared} in {self.graph.name}; take {sizes}")
            if isinstance(declared, Expr):
                found[str(declared)] = None
            elif len(named_axes) == 1 or name != "batch":
                raise OptionError(
                    f"axis {axis} of {key} is fixed in {self.graph.name}, {declared}, and is not a symbol"
                )
        if name == SQUARE and len(found) > 1:
            raise OptionError(f"size is one symbol, and the height and the width are two, {listing(found)}")
        return list(found)

    def _named_axes(self, word: str, inputs: list[str]) -> list[tuple[str, int]]:
        meant = ANSWERS.get(word, (word,))
        return [(key, axis) for key in inputs for axis, called in self.axes[key].items() if called in meant]

    def _call(self, size: str, word: str) -> None:
        if size in self.called:
            before = self.words[self.called[size]]
            raise OptionError(
                f"'{before}' and '{word}' are one size of {self.graph.name}, {size}; leave one of them out"
            )
        holder, _, name = word.rpartition(".")
        letter = size if self.graph.own_names else LETTERS.get("height" if name == SQUARE else name, size)
        for free in (letter, f"{letter}_{holder}" if holder else size, size):
            if free not in self.words and (free == size or free not in self.open):
                self.called[size], self.words[free] = free, word
                return


def _symbols(size: object) -> set[str]:
    return size.symbols if isinstance(size, Expr) else set()
