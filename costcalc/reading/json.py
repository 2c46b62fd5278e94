"""An object of JSON in a file that a stranger may have made."""

from __future__ import annotations

import json
from typing import Any

from costcalc.errors import Location, SpecError
from costcalc.reading.files import contents


def json_object(path: str, most: int) -> dict[str, Any]:
    """The configuration in the file at ``path``.

    Raises ``SpecError`` if that cannot be had, has more than ``most`` bytes, or is something else.
    """
    text = contents(path, kind="a configuration", form="a JSON file", most=most)
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        said = getattr(error, "msg", "too deep, or no UTF-8")
        raise SpecError(f"this is not JSON: {said}", Location(path, line)) from None
    if not isinstance(raw, dict):
        raise SpecError("a configuration is an object of JSON", Location(path))
    return raw
