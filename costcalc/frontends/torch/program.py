"""An exported program as a module that can be traced: each call in the module that made it when it was exported."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from operator import getitem
from typing import Any

from torch import Tensor, fx, nn
from torch.fx._pytree import tree_flatten_spec
from torch.utils._pytree import tree_unflatten

from costcalc.frontends.calls.recorded import Scope
from costcalc.frontends.torch.fused import FUSED
from costcalc.frontends.torch.scopes import TellsScope, Where

GUARDS = "_guards_fn"
"""The submodule that raises where a size is another than the exported one; what is given is checked before."""
PLAIN = ("Parameter", "Tensor")
"""Types of tensors that have their memory to themselves."""
_SELF = re.compile(r"^(L\[['\"]self['\"]\]|L__self__)\.?")


class Program(TellsScope, nn.Module):
    """``program.module()``, run call by call. Weights keep their names; names of one memory are one weight."""

    def __init__(self, program: Any) -> None:
        super().__init__()
        module = program.module()
        _with_unread(module, program.state_dict)
        tie(module)
        # Shared, so that what is done to the weights of one is done to the other; in a list, the module is no part.
        vars(self).update(_modules=module._modules, _parameters=module._parameters, _buffers=module._buffers)
        self._modules.pop(GUARDS, None)
        self._calls = [ProgramRun(module)]
        signature = inspect.signature(module.forward)

        def forward(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs).arguments
            positional, by_name = module._in_spec.children()
            first = list(bound.values())[: positional.num_children]
            flat = tree_flatten_spec((first, {name: bound[name] for name in by_name.context or ()}), module._in_spec)
            (calls,) = self._calls
            calls.where = self.where
            return tree_unflatten(list(calls.run(*flat, enable_io_processing=False)), module._out_spec)

        forward.__signature__ = signature  # type: ignore[attr-defined]
        vars(self)["forward"] = forward
        self.code, self.training = module.code, False


@contextmanager
def by_parts(module: nn.Module) -> Iterator[None]:
    """While open, a program runs what a strict export kept as one operator as its parts, which counters know."""
    with _while_open(module, "by_parts", True, False):
        yield


@contextmanager
def results_seen(module: nn.Module, seen: Callable[[str, Tensor], Any]) -> Iterator[None]:
    """While open, what each module call of a program returns is what ``seen`` makes of its path and its tensor.

    Of any other module, whose submodules hooks can watch, nothing is seen.
    """
    with _while_open(module, "seen", seen, None):
        yield


@contextmanager
def _while_open(module: nn.Module, name: str, value: Any, after: Any) -> Iterator[None]:
    """While open, each call of a program has ``value`` by this ``name``; then what it has ``after``."""
    calls = module._calls if isinstance(module, Program) else []
    for each in calls:
        setattr(each, name, value)
    try:
        yield
    finally:
        for each in calls:
            setattr(each, name, after)


class ProgramRun(fx.Interpreter):
    """Runs a graph, telling for each call in which module it was made; calls of a module by turns are one call."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.where = Where()
        self.by_parts = False
        self.seen: Callable[[str, Tensor], Any] | None = None
        self._last = _last_calls(module.graph)
        self._scopes: dict[tuple[str, str], Scope] = {}
        self._owners = {id(weight): name.rpartition(".")[0] for name, weight in module.named_parameters()}

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "call_module" and n.target == GUARDS:
            return None
        stack = n.meta.get("nn_module_stack")
        if stack:
            key, (path, _) = next(reversed(stack.items()))
            path = _SELF.sub("", path)
            self.where.now = self._scopes.setdefault((key, path), Scope(path))
            for within, kind in stack.values():
                name = (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
                if name:
                    self.where.classes.setdefault(_SELF.sub("", within), name)
        try:
            made = super().run_node(n)
            if self.seen is not None and n in self._last and isinstance(made, Tensor):
                made = self.seen(self.where.now.path, made)
            return made
        except BaseException:
            if self.where.failed is None:
                self.where.failed = self.where.now.path
            raise

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator; one that does the work of a whole layer ``by_parts``, if that is asked for."""
        name = getattr(target, "_opname", "")
        if self.by_parts and name in FUSED:
            return FUSED[name](self._within, *args, **kwargs)
        return super().call_function(target, args, kwargs)

    @contextmanager
    def _within(self, weight: Tensor) -> Iterator[None]:
        """While open, what runs is in the module that has ``weight``."""
        before = self.where.now
        self.where.now = Scope(self._owners.get(id(weight), before.path))
        try:
            yield
        finally:
            self.where.now = before


def _last_calls(graph: fx.Graph) -> set[fx.Node]:
    """Of each module call the operator that is called last, which makes what the module returns."""
    last: dict[Any, fx.Node] = {}
    for n in graph.nodes:
        stack = n.meta.get("nn_module_stack")
        if stack and n.op == "call_function" and n.target is not getitem:
            key, (path, _) = next(reversed(stack.items()))
            last[key, path] = n
    return set(last.values())


def _with_unread(module: nn.Module, stored: Mapping[str, Tensor]) -> None:
    """Give ``module`` what the file stores and no call reads, as how often a norm was trained in a strict export."""
    held = {name for name, _ in (*module.named_parameters(remove_duplicate=False), *module.named_buffers())}
    for name, tensor in stored.items():
        if name not in held:
            path, _, own = name.rpartition(".")
            with suppress(AttributeError):  # a module that nothing of is called
                part = module.get_submodule(path)
                kept = part._parameters if isinstance(tensor, nn.Parameter) else part._buffers
                kept[own] = tensor  # type: ignore[assignment]


def tie(module: nn.Module) -> None:
    """Make tensors of ``module`` one, where a file held them as one memory under several names."""
    known: dict[Any, Tensor] = {}
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.numel() and not tensor.is_meta and type(tensor).__name__ in PLAIN:
                    key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, type(tensor))
                    tensors[name] = known.setdefault(key, tensor)  # type: ignore[assignment]
