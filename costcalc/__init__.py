"""costcalc: what a neural network costs, layer by layer and exactly.

Nothing is imported here, not even what other files begin with: until ``cli.main`` runs, Ctrl-C shows a traceback.
"""

TYPE_CHECKING = False  # as typing has it
if TYPE_CHECKING:
    from typing import Any

    from costcalc.api import analyze as analyze
    from costcalc.api import check as check
    from costcalc.api import compare as compare
    from costcalc.api import diff as diff
    from costcalc.api import traffic as traffic
    from costcalc.api import verify as verify
    from costcalc.exports import export as export
    from costcalc.frontends.torch.tracer import trace as trace
    from costcalc.memory_api import fits as fits
    from costcalc.memory_api import memory as memory
    from costcalc.memory_api import training as training
    from costcalc.models import load as load
    from costcalc.packing.pack import pack as pack

__version__ = "0.1.0"

# Public name → the module that has it, imported when the name is first used.
_WHERE = {
    "analyze": "costcalc.api",
    "check": "costcalc.api",
    "compare": "costcalc.api",
    "diff": "costcalc.api",
    "export": "costcalc.exports",
    "fits": "costcalc.memory_api",
    "load": "costcalc.models",
    "memory": "costcalc.memory_api",
    "pack": "costcalc.packing.pack",
    "trace": "costcalc.frontends.torch.tracer",
    "traffic": "costcalc.api",
    "training": "costcalc.memory_api",
    "verify": "costcalc.api",
}
__all__ = [*_WHERE]
# What other tools call it, and ``costcalc.migrate`` too → ours.
_HABITS = dict.fromkeys(("FlopCountAnalysis", "get_model_complexity_info", "profile", "summary"), "analyze")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


def __getattr__(name: str) -> "Any":
    if name not in _WHERE:
        hint = f"; costcalc.migrate has it, and ours is costcalc.{_HABITS[name]}" if name in _HABITS else ""
        raise AttributeError(f"module 'costcalc' has no attribute '{name}'{hint}")
    from importlib import import_module

    return getattr(import_module(_WHERE[name]), name)
