"""Join the layers that an engine does by one kernel: ``--apply fuse``, ``fuse:ort``, ``fuse:tflite`` …

Each engine is a module of this package with its table of what joins, in ``docs/fusion.md`` with the source of each
line. ``partition`` is for whoever needs the groups alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from costcalc.ir.graph import Graph
from costcalc.ir.group import grouped
from costcalc.transforms import TRANSFORMS

if TYPE_CHECKING:
    from costcalc.transforms.fuse.joiner import Joiner

ENGINES = ("", *TRANSFORMS["fuse"].kinds)
"""Kinds of the transform. The module of that name in this package, else ``general``, has the ``ENGINE`` that joins."""


def fuse(graph: Graph, engine: str = "") -> Graph:
    """``graph`` with its layers in the groups that ``engine`` makes of them, each of which one kernel does.

    MACs, parameters and all that depends on them stay. A tensor that passes between layers of one group alone is
    neither written nor read, stored nor alive: traffic, storage, peak memory and time on a machine follow.
    ``Graph.joinings`` tells of each layer why it joined, or what prevented it.
    """
    made = _joined(graph, engine)
    return grouped(graph, made.groups(), made.joinings)


def partition(graph: Graph, engine: str = "") -> tuple[tuple[str, ...], ...]:
    """The names of the layers that each kernel of ``engine`` does, in an order in which they can run.

    Views, and what is made beforehand, are no kernels and are left out.

    >>> from costcalc.models import load
    >>> partition(load("resnet18"), "ort")[0]
    ('conv1.conv', 'conv1.bn', 'relu')
    """
    made = grouped(graph, _joined(graph, engine).groups())
    kernels = (tuple(n.name for n in k if made.runs(n)) for k in made.kernels)
    return tuple(kernel for kernel in kernels if kernel)


def _joined(graph: Graph, engine: str) -> Joiner:
    made: Joiner = import_module(f"costcalc.transforms.fuse.{engine or 'general'}").ENGINE(graph)
    made.join()
    return made
