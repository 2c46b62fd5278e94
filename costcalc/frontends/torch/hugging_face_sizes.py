"""The sizes that closed forms leave open of a model of transformers: the batch, texts, and sides of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from costcalc.classes import replace
from costcalc.errors import CostcalcError
from costcalc.frontends.torch.hugging_face_inputs import Inputs, Texts, is_text, places
from costcalc.frontends.torch.open_sizes import structure
from costcalc.frontends.torch.sizes import MOST
from costcalc.ir.dims import Dim
from costcalc.ir.expr import Expr

if TYPE_CHECKING:
    from costcalc.frontends.sources import Shapes
    from costcalc.ir.graph import Graph

BATCH = "batch"
SIDES = ("height", "width")
LONGER = 64
"""Tokens or pixels more than are asked for, up to which closed forms are made."""


class TextSizes:
    """What a model is run on at other sizes.

    taken   what it is run on at its own
    made    the same for texts of other lengths
    """

    def __init__(self, taken: Inputs, made: Callable[[Texts], Inputs]) -> None:
        self.taken, self.made = taken, made

    def image(self, input: Shapes) -> tuple[str, tuple[int, ...]] | None:
        """The input that is one image, by name, and its shape; None where there is none."""
        shapes = {name: shape for name, shape in self.taken.shapes.items() if not is_text(name)}
        if len(shapes) != 1:
            return None
        ((name, own),) = shapes.items()
        given = input.get(name, own) if isinstance(input, Mapping) else own if input is None else input
        return (name, tuple(given)) if name.startswith("pixel") and len(given) == len(own) == 3 else None

    def numbers(self, batch: int, input: Shapes = None) -> dict[str, int]:
        """The sizes by name, as they are; of texts whose shape somebody gave only the batch.

        A step of one token stays one: a mask, which any more have, is of another graph.
        """
        given = isinstance(input, Mapping) and any(map(is_text, input))
        said = {} if given else self.taken.texts.said()
        image = self.image(input)
        sides = dict(zip(SIDES, image[1][1:], strict=True)) if image else {}
        return {BATCH: batch} | {name: n for name, n in said.items() if n > 1 or "prompt" not in said} | sides

    def inputs(self, sizes: Mapping[str, int], batch: int, input: Shapes) -> tuple[Any, Any]:
        """Arguments of the forward, one after another and by name, where these ``sizes`` are others."""
        wanted = {**self.numbers(batch, input), **sizes}
        batch = wanted.pop(BATCH)
        lengths = {name: wanted.get(name, getattr(self.taken.texts, name)) for name in Texts.NAMES}
        image = self.image(input)
        if image:
            name, (channels, *_) = image
            others = input if isinstance(input, Mapping) else {}
            input = {**others, name: (channels, *(wanted[side] for side in SIDES))}
        return self.made(Texts(**lengths))(batch, input)

    def declare(self, graph: Graph, batch: int, input: Shapes, trace: Callable[[Mapping[str, int]], Graph]) -> Graph:
        """``graph``, which was traced in numbers, with its inputs in the sizes: what of them is as long as which.

        Of an image the sides are open where ``trace``, the graph at other sizes, does the same layers there.
        """
        sizes = self.numbers(batch, input)
        image = self.image(input)
        if image and not _is_the_same(graph, trace, {side: sizes[side] + LONGER for side in SIDES}):
            image, sizes = None, {name: size for name, size in sizes.items() if name not in SIDES}
        declared: dict[str, tuple[Dim, ...]] = {}
        for name in graph.inputs:
            text = is_text(name)
            own = {BATCH, "decoder_tokens" if name.startswith("decoder") else "tokens"} if text else {BATCH, "prompt"}
            shape = list[Dim](graph.types[name].shape)
            for word in (w for w in sizes if w in own):
                at = next((axis for axis, size in enumerate(shape) if size == sizes[word]), None)
                if word == BATCH:
                    at = 0 if shape and shape[0] == batch else None
                elif text:
                    at = 1
                if at is not None:
                    shape[at] = Expr.symbol(word)
            if image and name == image[0]:
                shape[-2:] = map(Expr.symbol, SIDES)
            declared[name] = tuple(shape)
        return replace(graph, declared=declared, own_names=True, parameters={**sizes, **graph.parameters})

    def ranges(self, symbols: Mapping[str, str], batch: int, input: Shapes) -> dict[str, tuple[int, int, int]]:
        """By symbol what the size is, the least and the most: as long as the model has places for."""
        numbers = self.numbers(batch, input)
        fits = max(places(self.taken.model), 2)
        before = fits - max(1, fits // 4) if "prompt" in numbers else 0  # and the rest for the tokens after it
        most = {BATCH: MOST, "prompt": before, **dict.fromkeys(SIDES, MOST)}
        return {
            symbol: (numbers[word], 1, max(numbers[word], most.get(word, fits - before)))
            for word, symbol in symbols.items()
        }

    def tried(
        self, symbols: Mapping[str, str], ranges: Mapping[str, tuple[int, int, int]]
    ) -> dict[str, tuple[int, int]]:
        """By symbol between which sizes a graph is made: few samples, since of large tables a trace has no values."""
        batch = symbols.get(BATCH)
        return {
            symbol: (2, 3) if symbol == batch else (min(most, max(2, size // 2)), min(most, size + LONGER))
            for symbol, (size, _, most) in ranges.items()
        }

    def expressions(self, symbols: Mapping[str, str]) -> list[Dim]:
        """What options of layers may be, apart from a factor and a number: sizes, their sums and products."""
        named = {word: Expr.symbol(symbol) for word, symbol in symbols.items()}
        lengths: list[Dim] = [e for word, e in named.items() if word not in (BATCH, *SIDES)]
        if "prompt" in named:
            texts = self.taken.texts
            last = "tokens" if texts.decoder_tokens is None else "decoder_tokens"
            lengths.append(named["prompt"] + named.get(last, Expr.of(getattr(texts, last))))
        sides = [e for word, e in named.items() if word in SIDES]
        found = [*lengths, *sides, *(a * b for i, a in enumerate(lengths) for b in lengths[i:])]
        batch = named.get(BATCH)
        return found if batch is None else [batch, *found, *(batch * e for e in found)]


def _is_the_same(graph: Graph, trace: Callable[[Mapping[str, int]], Graph], sizes: Mapping[str, int]) -> bool:
    """Whether at these ``sizes`` the model takes its input, and has the layers of ``graph``."""
    try:
        return structure(trace(sizes)) == structure(graph)
    except CostcalcError:
        return False
