"""Other counters, each asked as its users ask it: what torchinfo, thop, fvcore and ptflops make of a module.

thop imports distutils, which Python 3.12 has only where setuptools is installed; ptflops imports torchvision.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.append(str(Path(__file__).parents[1] / "torch"))
VERSIONS = {"torchinfo": "1.8.0", "thop": "0.1.1", "fvcore": "0.1.5", "ptflops": "0.7.5"}
"""Those that were measured; a version that counts otherwise is news for docs/migrating.md."""


def installed() -> list[str]:
    """The packages of ``VERSIONS`` that can be imported here, in those versions."""
    import torchvision_stub

    torchvision_stub.install()
    found = []
    with quiet():
        for name, version in VERSIONS.items():
            from importlib.metadata import PackageNotFoundError
            from importlib.metadata import version as version_of

            try:
                import_module(name)
                if version_of(name).startswith(version):
                    found.append(name)
            except (ImportError, PackageNotFoundError, RuntimeError):
                continue
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While open, nothing is printed, logged or warned of."""
    logging.disable(logging.CRITICAL)
    try:
        unseen = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(unseen), contextlib.redirect_stderr(unseen):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class Around(nn.Module):
    """A module, or a function, of one input inside another module: some counters leave out the outermost."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner
        self.none = nn.Parameter(torch.zeros(0))  # one of them asks the parameters for the device

    def forward(self, x: Any) -> Any:
        attends = isinstance(self.inner, nn.MultiheadAttention)
        made = self.inner(x, x, x, need_weights=False) if attends else self.inner(x)
        return made[0] if isinstance(made, tuple) else made


def _torchinfo(module: nn.Module, x: Any) -> tuple[int, int]:
    from torchinfo import summary

    found = summary(module, input_data=x, verbose=0, device="cpu")
    return found.total_mult_adds, found.total_params


def _thop(module: nn.Module, x: Any) -> tuple[int, int]:
    from thop import profile

    macs, params = profile(module, inputs=(x,), verbose=False)
    return int(macs), int(params)


def _fvcore(module: nn.Module, x: Any) -> tuple[int, int]:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    return int(FlopCountAnalysis(module, x).total()), parameter_count(module)[""]


def _ptflops(backend: str) -> Callable[[nn.Module, Any], tuple[int, int]]:
    def count(module: nn.Module, x: Any) -> tuple[int, int]:
        from ptflops import get_model_complexity_info

        return get_model_complexity_info(  # type: ignore[no-any-return]
            module, tuple(x.shape[1:]), as_strings=False, print_per_layer_stat=False, backend=backend,
            input_constructor=lambda shape: {"x": x},
        )  # fmt: skip

    return count


COUNTERS: dict[str, Callable[[nn.Module, Any], tuple[int, int]]] = {
    "torchinfo": _torchinfo,
    "thop": _thop,
    "fvcore": _fvcore,
    "ptflops": _ptflops("pytorch"),
    "ptflops aten": _ptflops("aten"),
}
"""Name of a counter → a function of a module and its input to its multiply-accumulates, as it calls them, and
parameters."""


def counted(module: nn.Module, x: Any) -> dict[str, tuple[int, int]]:
    """What each counter that is installed makes of ``module``."""
    there = installed()
    with quiet():
        return {name: count(module, x) for name, count in COUNTERS.items() if name.split()[0] in there}
