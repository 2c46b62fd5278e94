"""Join the layers that an engine does by one kernel: ``--apply fuse``, ``fuse:ort``, ``fuse:tflite`` …

Each engine is a module of this package with its table of what joins, in ``docs/fusion.md`` with the source of each
line. ``partition`` is for whoever needs the groups alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from costcalc.ir.graph import Graph, Node
from costcalc.ir.group import grouped

if TYPE_CHECKING:
    from costcalc.transforms.fuse.joiner import Joiner

ENGINES = {
    "": "general",
    "ort": "ort",
    "openvino": "openvino",
    "inductor": "inductor",
    "cudnn": "cudnn",
    "tflite": "tflite",
}
"""Kind of the transform → module in this package, whose ``ENGINE`` makes the groups."""


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
    kernels = (tuple(n.name for n in k if runs(made, n)) for k in made.kernels)
    return tuple(kernel for kernel in kernels if kernel)


def runs(graph: Graph, node: Node) -> bool:
    """Whether an inference does anything for ``node``: it is no view, and is not made beforehand."""
    return not node.op.is_view and node.outputs[0] not in graph.settled


def _joined(graph: Graph, engine: str) -> Joiner:
    made: Joiner = import_module(f"costcalc.transforms.fuse.{ENGINES[engine]}").ENGINE(graph)
    made.join()
    return made
