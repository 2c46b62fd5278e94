"""A graph as a ``torch.nn.Module``: the same layers under the same names, to be run and compared.

Parameters are called as in the graph: the layer's dotted name, then PyTorch's own name of the weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from costcalc.errors import CostcalcError
from costcalc.ir.graph import Graph, Node

if TYPE_CHECKING:
    import torch
    from torch import nn


def to_module(graph: Graph, *, device: str = "cpu", initialise: bool = True) -> nn.Module:
    """The module that computes ``graph``: it takes the graph's inputs in order and returns its output,
    or a tuple of several.

    device       ``"meta"`` allocates nothing: shapes only
    initialise   False leaves out the random initialisation, which can take longer than a run; the
                 weights then have arbitrary values

    Raises ``CostcalcError`` where a layer's name is that of a part of another layer, or its op has no
    counterpart in PyTorch.
    """
    import torch
    from torch import nn

    class Network(nn.Module):
        """Runs the layers in the graph's order and drops each value after its last use."""

        def __init__(self) -> None:
            super().__init__()
            self.steps: list[tuple[nn.Module, Node, tuple[str, ...]]] = []

        def forward(self, *inputs: torch.Tensor) -> Any:
            if len(inputs) != len(graph.inputs):
                raise TypeError(f"{graph.name} takes {len(graph.inputs)} inputs, not {len(inputs)}")
            values = dict(zip(graph.inputs, inputs, strict=True))
            for module, node, dead in self.steps:
                for local, value in node.prepared.items():
                    owner, _, name = local.rpartition(".")
                    setattr(find(module, owner), name, values[value])
                made = module(*(values[v] for v in node.inputs))
                values.update(zip(node.outputs, (made,) if len(node.outputs) == 1 else made, strict=True))
                for value in dead:
                    del values[value]
            results = tuple(values[v] for v in graph.outputs)
            return results[0] if len(results) == 1 else results

    network = Network()
    with torch.device(device), nullcontext() if initialise else _without_initialisation():
        for node in graph.nodes:
            try:
                module = node.op.to_torch(*graph.input_types(node))
            except NotImplementedError as error:
                raise CostcalcError(f"{node.name}: {error}", node.location) from None
            for local in node.prepared:  # not the layer's own: put in when it runs
                table, name = _slot(module, local)
                del table[name]
            _attach(network, node, module)
    origins: dict[str, str] = {}  # weights that belong to no layer: their first user has them
    for node in graph.nodes:
        for local, other in node.called.items():
            own = f"{node.name}.{local}"
            origin = other if _has(network, other) else origins.setdefault(other, own)
            _share(network, own, origin)
        for local in node.frozen:
            table, name = _slot(network, f"{node.name}.{local}")
            table[name].requires_grad_(False)
    for node, dead in zip(graph.nodes, _last_uses(graph), strict=True):
        network.steps.append((find(network, node.name), node, dead))
    return network


def find(root: nn.Module, path: str) -> nn.Module:
    """The module at the dotted ``path``. A layer may be called as a method of modules is, ``double`` say."""
    module = root
    for part in path.split(".") if path else ():
        module = module._modules[part]  # type: ignore[assignment]
    return module


def _attach(root: nn.Module, node: Node, module: nn.Module) -> None:
    """Put ``module`` at the node's dotted path, with containers along it."""
    from torch import nn

    *path, last = node.name.split(".")
    parent = root
    for part in path:
        # Written to the dict itself: `add_module` refuses names of attributes.
        parent = parent._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    there = parent._modules.get(last)
    if isinstance(parent, nn.Sequential) or (there is not None and type(there) is not nn.Module):
        raise CostcalcError(f"{node.name}: this name is that of a part of another layer", node.location)
    if there is not None:
        # A layer below this one came first and made a container here: its layers move over.
        if isinstance(module, nn.Sequential) or module._modules.keys() & there._modules.keys():
            raise CostcalcError(f"{node.name}: a part of this layer has the name of another layer", node.location)
        module._modules.update(there._modules)
    parent._modules[last] = module


def _has(root: nn.Module, weight: str) -> bool:
    try:
        table, name = _slot(root, weight)
    except KeyError:
        return False
    return name in table


def _share(root: nn.Module, own: str, other: str) -> None:
    """Make the weight called ``own`` the very tensor called ``other``."""
    (table, name), (source, wanted) = _slot(root, own), _slot(root, other)
    table[name] = source[wanted]


def _slot(root: nn.Module, weight: str) -> tuple[dict[str, Any], str]:
    path, _, name = weight.rpartition(".")
    module = find(root, path)
    return (module._buffers if name in module._buffers else module._parameters), name


def _last_uses(graph: Graph) -> list[tuple[str, ...]]:
    """For each node the values that nothing needs after it."""
    last: dict[str, int] = {v: i for i, node in enumerate(graph.nodes) for v in (*node.outputs, *node.reads)}
    dead: list[list[str]] = [[] for _ in graph.nodes]
    for value, i in last.items():
        if value not in graph.outputs:
            dead[i].append(value)
    return [tuple(values) for values in dead]


@contextmanager
def _without_initialisation() -> Iterator[None]:
    """Random initialisers do nothing; those that write constants, as tables of offsets need, still do."""
    import torch
    from torch.nn import init
    from torch.overrides import TorchFunctionMode

    random = {init.kaiming_uniform_, init.kaiming_normal_, init.uniform_, init.normal_, init.trunc_normal_}
    random |= {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.bernoulli_}

    class Skip(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in random:
                return args[0] if args else kwargs["tensor"]
            return func(*args, **kwargs)

    with Skip():
        yield
