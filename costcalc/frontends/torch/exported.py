"""Programs that ``torch.export.save`` wrote: what is known of the archive is loaded, and run on inputs like those that
it was exported with.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from costcalc.errors import CostcalcError, UnknownName
from costcalc.frontends.torch.archive import ArchiveError, copy_of_the_known
from costcalc.frontends.torch.named_model import NamedModel, by_default
from costcalc.frontends.torch.program import Program
from costcalc.frontends.torch.sizes import ProgramSizes


def exported(path: str) -> NamedModel:
    """The program in the file at ``path``."""
    if not Path(path).is_file():
        raise UnknownName(f"there is no file {path}")
    refused = f"{path} is not an exported program that costcalc loads"
    try:
        with tempfile.TemporaryDirectory(prefix="costcalc-") as folder, _unlogged("torch.export"):
            copy = Path(folder, "model.pt2")
            copy_of_the_known(path, copy)
            program = torch.export.load(copy)
        model, sizes = Program(program), ProgramSizes(program, path)
    except ArchiveError as error:
        raise CostcalcError(f"{refused}: {error.message}") from None
    except Exception as error:
        text = str(error).split("\n")[0].partition(" Please check the warnings")[0][:200]
        raise CostcalcError(f"{refused}, or this torch: {text or 'it is damaged'}") from error
    return NamedModel(model, lambda: model, by_default(model), sizes)


@contextmanager
def _unlogged(name: str) -> Iterator[None]:
    """While open, what the logger ``name`` has to say is not shown."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
