"""Names with numbers in them: ``layer$(stage + 1).$i``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from costcalc.errors import Location, SpecError
from costcalc.frontends.spec.evaluate import ExpressionScope, brief
from costcalc.frontends.spec.expressions import MAX_LENGTH, Expression, parse_expression
from costcalc.frontends.spec.values import shown

_HOLE = re.compile(r"\$(?:(\w+)|(\())?")


class Template:
    """A name in which ``$i`` and ``$(i + 1)`` stand for numbers or words."""

    __slots__ = ("location", "parts", "text")

    def __init__(self, text: str, location: Location | None) -> None:
        self.text, self.location = text, location
        if len(text) > MAX_LENGTH:
            raise SpecError(f"a name has {len(text):,} characters; {MAX_LENGTH:,} are the most", location)
        self.parts: list[str | Expression] = [text] if "$" not in text else list(self._split(text))

    def _split(self, text: str) -> Iterator[str | Expression]:
        at = 0
        while (match := _HOLE.search(text, at)) is not None:
            yield text[at : match.start()]
            at = match.end()
            if match[1]:
                yield parse_expression(match[1], self.location)
            elif match[2]:
                depth, start = 1, at
                while depth and at < len(text):
                    depth += {"(": 1, ")": -1}.get(text[at], 0)
                    at += 1
                if depth:
                    raise SpecError(f"'{brief(text)}' has a '$(' without its ')'", self.location)
                yield parse_expression(text[start : at - 1], self.location)
            else:
                raise SpecError(f"'{brief(text)}': after '$' comes a name or (an expression)", self.location)
        yield text[at:]

    def fill(self, scope: ExpressionScope) -> str:
        """The text with each expression's value in its place."""
        if len(self.parts) == 1:
            return self.text
        filled = []
        for part in self.parts:
            if type(part) is not str:
                value = part.value(scope)  # type: ignore[union-attr]
                if type(value) is not int and (isinstance(value, bool) or not isinstance(value, (int, str))):
                    raise SpecError(
                        f"'{brief(self.text)}': {shown(value)} is neither a whole number nor a word", self.location
                    )
                part = str(value)
            filled.append(part)
        return "".join(filled)
