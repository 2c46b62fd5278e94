"""Code that comes with a model of Hugging Face (``auto_map`` in its configuration), where the user allows that it runs.

It is what lies beside the configuration, or in the local cache; nothing is fetched. transformers' own loader copies
the files to its cache of modules and imports them there, as it does for anybody who trusts such code.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from costcalc.errors import CostcalcError, OptionError

ALLOW = "allow_code"
HINT = f"--allow-code (or {ALLOW} among the parameters) runs it"


def allowed(given: dict[str, Any]) -> bool:
    """Whether code may run that comes with a model, which is taken out of ``given``."""
    found = given.pop(ALLOW, False)
    if not isinstance(found, bool):
        raise OptionError(f"{ALLOW} is true or false, not {str(found)[:80]}")
    return found


class OwnCode:
    """What the ``auto_map`` of a configuration names, imported when it is asked for.

    raw    the configuration
    path   of it
    """

    def __init__(self, raw: Mapping[str, Any], path: str) -> None:
        self.path = path
        told = raw.get("auto_map")
        found = told if isinstance(told, Mapping) else {}
        # Tokenizers are a pair, of which one may be missing; classes of models are one.
        self.named = {str(key): text for key, text in found.items() if isinstance(text, str)}

    def config(self) -> Any:
        """The class of the configuration, None if transformers' own is meant."""
        return self._class("AutoConfig") if "AutoConfig" in self.named else None

    def model(self, names: list[str]) -> Any:
        """The class of the model: the first of ``names`` that is there, else the plain one; None if there is none."""
        models = {key: text for key, text in self.named.items() if key.startswith("AutoModel")}
        for name in names:
            for key, text in models.items():
                if text.rpartition(".")[2] == name:
                    return self._class(key)
        first = "AutoModel" if "AutoModel" in models else next(iter(models), None)
        return None if first is None or names else self._class(first)

    def _class(self, key: str) -> Any:
        reference = self.named[key]
        try:
            loader = import_module("transformers.dynamic_module_utils")
            return loader.get_class_from_dynamic_module(reference, str(Path(self.path).parent), local_files_only=True)
        except Exception as error:
            text = str(error).strip().split("\n")[0][:200]
            raise CostcalcError(
                f"{self.path}: {reference[:80]}, the {key[:40]} of its auto_map, cannot be imported: "
                f"{type(error).__name__}: {text}"
            ) from error
