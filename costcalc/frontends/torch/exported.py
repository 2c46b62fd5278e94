"""Programs that ``torch.export.save`` wrote: what is known of the archive is loaded, and run on inputs like those that
it was exported with.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from costcalc.errors import CostcalcError, UnknownName
from costcalc.frontends.torch.archive import ArchiveError, copy_of_the_known
from costcalc.frontends.torch.found import Found


def exported(path: str) -> Found:
    """The program in the file at ``path``."""
    if not Path(path).is_file():
        raise UnknownName(f"there is no file {path}")
    refused = f"{path} is no exported program that costcalc loads"
    try:
        with tempfile.TemporaryDirectory(prefix="costcalc-") as folder, _unlogged("torch.export"):
            copy = Path(folder, "model.pt2")
            copy_of_the_known(path, copy)
            program = torch.export.load(copy)
        model: nn.Module = program.module()
        args, kwargs = _inputs(program)
    except ArchiveError as error:
        raise CostcalcError(f"{refused}: {error.message}") from None
    except Exception as error:
        text = str(error).split("\n")[0].partition(" Please check the warnings")[0][:200]
        raise CostcalcError(f"{refused}, or this torch: {text or 'it is damaged'}") from error
    for switch in ("train", "eval"):  # these only raise, as if to set a flag were to change the program
        vars(model).pop(switch, None)

    def inputs(batch: int, shape: tuple[int, ...] | None) -> Sequence[Any]:
        if shape is None and batch != 1:
            raise CostcalcError(f"{path} has inputs of its own; for a batch of {batch}, say of what with --input")
        return [(batch, *shape)] if shape else list(args)

    return Found(model, lambda: model, inputs, kwargs)


def _inputs(program: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs of the shapes that the program was exported with, without values, and the numbers among them."""
    from torch.utils._pytree import tree_unflatten

    made = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    leaves: list[Any] = []
    for given in program.graph_signature.input_specs:
        if given.kind is not torch.export.graph_signature.InputKind.USER_INPUT:
            continue
        value = made.get(given.arg.name) if not hasattr(given.arg, "value") else given.arg.value
        if isinstance(value, torch.Tensor):
            shape = [_size(size) for size in value.shape]
            leaves.append(torch.empty(shape, dtype=value.dtype, device="meta"))
        else:
            leaves.append(_size(value) if isinstance(value, torch.SymInt) else value)
    args, kwargs = tree_unflatten(leaves, program.call_spec.in_spec)
    return tuple(args), dict(kwargs)


def _size(size: Any) -> int:
    """A size as it was when the program was exported."""
    return int(size if isinstance(size, int) else size.node.hint)


@contextmanager
def _unlogged(name: str) -> Iterator[None]:
    """While open, what the logger ``name`` has to say is not shown."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
