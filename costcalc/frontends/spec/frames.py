"""What the names in an expression and in a call mean at one place of a spec."""

from __future__ import annotations

from collections.abc import Callable

from costcalc.errors import SpecError, near
from costcalc.frontends.spec.evaluate import ExpressionScope
from costcalc.frontends.spec.expressions import parse_expression
from costcalc.frontends.spec.files import Files
from costcalc.frontends.spec.model import BlockDefinition, Spec
from costcalc.frontends.spec.steps import RESERVED
from costcalc.frontends.spec.values import Value, Word, shown
from costcalc.ir.op import Op


class Frame:
    """What is visible where a layer stands: the file, its parameters, and the local names of a block.

    scope      what is the same everywhere: the budget, and the sizes of the running value
    is_layer   whether a layer or an input goes by a name
    outer      the frame of the caller
    """

    def __init__(
        self,
        spec: Spec,
        parameters: dict[str, Value],
        local: dict[str, Value],
        files: Files,
        scope: ExpressionScope,
        is_layer: Callable[[str], bool],
        outer: Frame | None = None,
    ) -> None:
        self.spec, self.parameters, self.local, self.files, self.outer = spec, parameters, local, files, outer
        self._around, self._is_layer = scope, is_layer
        self.scope = ExpressionScope(scope.budget, local, self._other)

    def inner(self, spec: Spec, parameters: dict[str, Value], local: dict[str, Value]) -> Frame:
        """The frame of something that is called here."""
        return Frame(spec, parameters, local, self.files, self._around, self._is_layer, self)

    def _other(self, name: str) -> Value:
        """A parameter, a size of the running value, or a word that names an op or a block."""
        if name in self.parameters:
            return self.parameters[name]
        if name in RESERVED:
            return self._around.other(name)
        if self.files.callee(self.spec, name) is not None:
            return name
        if self._is_layer(name):
            raise SpecError(
                f"'{name[:80]}' is a layer or an input, which is not a size or option; inputs of a layer are written "
                f"in a list, as in `add: [{name[:80]}, …]`"
            )
        hint = near(name, {*self.local, *self.parameters, *RESERVED})
        raise SpecError(f"nothing is called '{name[:80]}' here{hint}; a word stands in quotes: '{name[:80]}'")

    def function(self, name: str) -> str:
        """The op or block that ``name`` calls: what a parameter of that name says, else itself."""
        value = self.local[name] if name in self.local else self.parameters.get(name, name)
        if type(value) is str and value.endswith(")"):  # from Python, or in quotes
            value = parse_expression(value, None).value(self.scope)
        if not isinstance(value, str):
            raise SpecError(f"'{name}' is {shown(value)} here, not the name of an op or a block")
        return value

    def callee(self, function: str) -> type[Op] | tuple[BlockDefinition, Spec] | None:
        """The op, or the block with its file, that ``function`` names here; None if nothing is called so."""
        if isinstance(function, Word):
            return self.files.callee(function.spec or self.spec, function.name)
        return self.files.callee(self.spec, function)

    def hand_over(self, value: Value) -> Value:
        """``value`` for a block of another file: a word that can be called here stays what it is here."""
        if not isinstance(value, str) or (isinstance(value, Word) and value.spec) or self.callee(value) is None:
            return value
        return Word(value, spec=self.spec)

    def parameters_of(self, spec: Spec) -> dict[str, Value]:
        """The parameters that ``spec`` has: those it is being built with, or its defaults."""
        frame: Frame | None = self
        while frame is not None:
            if frame.spec is spec:
                return frame.parameters
            frame = frame.outer
        return self.files.defaults(spec, self.scope.budget)
