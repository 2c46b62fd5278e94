"""The options by which a command that takes several models builds each of them."""

from __future__ import annotations

from typing import Annotated, Any

from costcalc.classes import NamedTuple
from costcalc.cli.options import MODEL, Apply, Child, FoldNorm, Layout, Model, Prompt, Tokens
from costcalc.cli.parameters import option


class Choices(NamedTuple):
    """How all the models of a command are built."""

    batch: Annotated[int | None, option("--batch", "-b", min=1, help="Images at a time.", panel=MODEL)] = None
    input: Annotated[
        list[str] | None,
        option("--input", "-i", metavar="[NAME=]SHAPE", panel=MODEL, help="Shape of an input of each: 3x256x256."),
    ] = None
    set: Annotated[
        list[str] | None,
        option("--set", "-s", metavar="NAME=VALUE", panel=MODEL, help="A parameter of each. May be repeated."),
    ] = None

    apply: Apply = None
    fold_norm: FoldNorm = False

    layout: Layout = None
    child: Child = False
    tokens: Tokens = None
    prompt: Prompt = None

    def choices(self) -> dict[str, Any]:
        """What was given of them, as ``load`` takes it."""
        return Model("", **self._asdict()).choices()
