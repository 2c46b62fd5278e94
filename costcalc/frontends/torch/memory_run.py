"""Runs a model as PyTorch itself would on the CPU, without values, and sees its memory come and go.

Nothing of the run is replaced, unlike a trace: fused paths of modules, in-place operators and the choice of an
attention kernel are those of the device, since the tensors say that they are on it (``FakeTensorMode``). So storages
die when the model's own Python lets go of them: when frames return, lists are dropped, names are given to other things.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from costcalc.classes import NamedTuple
from costcalc.frontends.torch.differentiation import NO_GRADIENT, Autograd
from costcalc.frontends.torch.exclusive import alone, replaced_here
from costcalc.frontends.torch.guard import untouched
from costcalc.frontends.torch.inputs import SEQUENCES, WithoutValues, default_inputs, floating_type, tensors_in
from costcalc.frontends.torch.kernel_workspace import beside, returned
from costcalc.frontends.torch.pytrees import tensors_among
from costcalc.frontends.torch.scopes import Where, following
from costcalc.ir.allocations import Allocation, ObservedRun
from costcalc.ir.collector import uncollected
from costcalc.ir.graph import Graph


class Unseen(Exception):
    """The model cannot be run without values; the text says why."""


def trace_with_run(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Graph, ObservedRun | str]:
    """The graph of ``model``, as ``trace`` has it, and what a run of it holds, or why there is none."""
    from costcalc.frontends.torch.tracer import trace, unwrapped

    graph = trace(model, *args, **kwargs)
    module = unwrapped(model)
    if not args and not kwargs:
        args = default_inputs(module)
    return graph, run_or_reason(module, args, {key: value for key, value in kwargs.items() if key != "assume"})


def run_or_reason(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ObservedRun | str:
    """As ``run_of``; or why there is no such run."""
    try:
        return run_of(model, args, kwargs)
    except Unseen as reason:
        return f"its own code cannot be run without values ({reason})"


def run_of(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> ObservedRun:
    """What one forward pass of ``model`` holds, in evaluation and without gradients; nothing is allocated.

    args, kwargs   for its forward; shapes stand for tensors, as ``trace`` has them

    Raises ``Unseen`` where the model asks for values, or an operator has no rule for tensors without them.
    """
    for autograd in ("off", "on"):
        try:
            return _run_of(model, args, kwargs, autograd)
        except Unseen as reason:
            if NO_GRADIENT not in str(reason):
                raise
    return _run_of(model, args, kwargs, "by inputs")


def _run_of(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], autograd: Autograd) -> ObservedRun:
    with ready_to_run(model, args, kwargs) as ready:
        if autograd != "off":
            ready.require_gradients(by_inputs=autograd == "by inputs")
        seen = Seeing(ready)
        with ready.seen_by(seen), torch.set_grad_enabled(autograd != "off"):
            result = ready.forward()
        del result
    return seen.run()


class Ready(NamedTuple):
    """A model that can be run without values: its weights and what it is given, as tensors that have none."""

    model: nn.Module
    fake: FakeTensorMode
    where: Where
    weights: dict[str, Tensor]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def inputs(self) -> list[Tensor]:
        """The tensors among what it is given."""
        return [t for _, t in tensors_in("", (self.args, self.kwargs))]

    def require_gradients(self, *, by_inputs: bool = False) -> list[Tensor]:
        """Let the weights that are trained require gradients, and return them; floating inputs too if ``by_inputs``."""
        trained = [self.weights[name] for name, p in self.model.named_parameters() if p.requires_grad]
        for tensor in (*trained, *(t for t in self.inputs if by_inputs and t.is_floating_point())):
            tensor.requires_grad_()
        return trained

    def forward(self) -> Any:
        """Run it; within ``seen_by``."""
        return torch.func.functional_call(self.model, self.weights, self.args, dict(self.kwargs))

    @contextmanager
    def seen_by(self, seen: Seeing) -> Iterator[None]:
        """While open, what runs has no values, and ``seen`` sees it. Raises ``Unseen`` where anything is raised."""
        try:
            with replaced_here(torch, "max_pool1d", seen.pooling), self.fake, seen:
                yield
        except Unseen:
            raise
        except Exception as error:
            raise Unseen(str(error).strip().split("\n")[0][:200] or type(error).__name__) from None
        finally:
            seen.end()


@contextmanager
def ready_to_run(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Ready]:
    """While open, ``model`` is ready to be run; it is left as it was.

    args, kwargs   for its forward; shapes stand for tensors, as ``trace`` has them
    """
    with alone(), uncollected(), untouched(model, whole=False), following(model) as where:
        made = Once(floating_type(model))
        given, options = made.of(tuple(args)), made.of(dict(kwargs))
        if made.ranks and any(isinstance(m, nn.Embedding) for m in model.modules()) and max(made.ranks) <= SEQUENCES:
            made = Once(made.floating, whole_numbers=SEQUENCES)
            given, options = made.of(tuple(args)), made.of(dict(kwargs))
        fake = FakeTensorMode(allow_fallback_kernels=False, allow_non_fake_inputs=True)
        with fake:
            weights = {name: like(t) for name, t in (*model.named_parameters(), *model.named_buffers())}
            given, options = faked((given, options), {})
        yield Ready(model, fake, where, weights, given, options)


class Seeing(TorchDispatchMode):
    """While entered, notes each storage that an operator makes, and when it dies."""

    def __init__(self, ready: Ready) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._where = ready.where
        self._pools_one_axis = False
        modules = ready.model.named_modules()
        self._parents = {path for path, module in modules if next(module.children(), None) is not None}
        self._inputs = ready.inputs
        self._given = {t.untyped_storage()._cdata for t in self._inputs}
        self._weights = {t.untyped_storage()._cdata for t in ready.weights.values()}
        self._known = self._given | self._weights
        self._kept = ready  # lest another storage comes to stand where one of theirs was
        self._steps: list[str] = []
        self._kernels: list[int] = []
        self._stored: list[Allocation] = []
        self._ended = False

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch would import its compiler

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = WITHOUT_RULE.get(func._schema.name)
        result = func(*args, **kwargs) if rule is None else rule(*args, **kwargs)
        if func._schema.name in NORMS:
            result = _with_wide_statistics(result, args)
        fresh = [t for t in tensors_among([result]) if t.layout is torch.strided]
        if self._pools_one_axis and not (torch.is_grad_enabled() and args[0].requires_grad):
            fresh = self._without_indices(fresh)
        new = {t.untyped_storage()._cdata: t for t in fresh if t.untyped_storage()._cdata not in self._known}
        if not new:
            return result
        step = len(self._steps)
        self._steps.append(self._layer(func))
        self._kernels.append(beside(func, args, kwargs, result))
        for key, tensor in new.items():
            storage = tensor.untyped_storage()
            number = len(self._stored)
            dtype = str(tensor.dtype).removeprefix("torch.")
            size = returned(func, args, kwargs, tensor)
            self._stored.append(Allocation(self._steps[-1], size, dtype, step, -1))
            self._known.add(key)
            weakref.finalize(storage, self._died, key, number).atexit = False
        return result

    def end(self) -> None:
        """What is there now stays: the results, and what the model keeps."""
        self._ended = True

    def now(self) -> int:
        """Bytes of the storages that are there, without what it was given and weights."""
        return sum(s.bytes for s in self._stored if s.last < 0)

    def run(self) -> ObservedRun:
        """What was seen."""
        end = len(self._steps) - 1
        inputs = {t.untyped_storage()._cdata: t for t in self._inputs}
        given = [
            Allocation("input", t.untyped_storage().nbytes(), str(t.dtype).removeprefix("torch."), 0, max(end, 0))
            for t in inputs.values()
        ]
        stored = [s if s.last >= 0 else s._replace(last=end) for s in self._stored]
        threads = torch.get_num_threads()
        return ObservedRun(tuple(self._steps), tuple(stored), tuple(given), tuple(self._kernels), threads)

    def pooling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The maximum of one axis, which has no operator of its own here, known while it runs.

        A mode for functions would know it too, but modules that have a fast path do not take it below one.
        """

        def pooled(*args: Any, **kwargs: Any) -> Any:
            self._pools_one_axis = True
            try:
                return original(*args, **kwargs)
            finally:
                self._pools_one_axis = False

        return pooled

    def _without_indices(self, made: list[Tensor]) -> list[Tensor]:
        """What the kernel of the CPU for one axis makes of ``made``: no indices, unless gradients need them."""
        for indices in made[1:]:
            storage = indices.untyped_storage()
            self._known.add(storage._cdata)
            weakref.finalize(storage, self._known.discard, storage._cdata).atexit = False
        return made[:1]

    def _died(self, key: int, number: int) -> None:
        self._known.discard(key)
        if not self._ended:
            self._stored[number] = self._stored[number]._replace(last=len(self._steps) - 1)

    def _layer(self, func: OpOverload) -> str:
        path = self._where.now.path
        if path and path not in self._parents:
            return path
        name = func._schema.name.partition("::")[2].strip("_")
        return f"{path}.{name}" if path else name


def _attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **more: Any) -> tuple[Tensor, Tensor]:
    """``_native_multi_head_attention``, what modules call where no gradients are wanted: (batch, length, width)."""
    need_weights = more.get("need_weights", rest[7] if len(rest) > 7 else True)
    average = more.get("average_attn_weights", rest[8] if len(rest) > 8 else True)
    batch, length, _ = query.shape
    heads: tuple[int, ...] = () if average else (rest[1],)
    weights = query.new_empty((batch, *heads, length, key.shape[1]) if need_weights else (0,))
    return query.new_empty(query.shape), weights


def _encoder_layer(source: Tensor, *rest: Any, **more: Any) -> Tensor:
    """``_transformer_encoder_layer_fwd``: as large as what it is given."""
    return source.new_empty(source.shape)


def _with_wide_statistics(result: Any, args: Sequence[Any]) -> Any:
    """What a norm made, mean and deviation in the type of its weights, as the CPU has them: without values they are in
    the type of its input."""
    given = [t for t in args[1:] if isinstance(t, Tensor) and t.is_floating_point()]
    if not given or given[0].dtype == args[0].dtype:
        return result
    made, *statistics = result
    return (made, *(t.to(given[0].dtype) for t in statistics))


NORMS = frozenset(
    f"aten::{name}"
    for name in ("native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit")
)
WITHOUT_RULE: Mapping[str, Any] = {
    "aten::_native_multi_head_attention": _attention,
    "aten::_transformer_encoder_layer_fwd": _encoder_layer,
}
"""Operators of modules' fast paths, which have no rule for tensors without values: what they make."""


def like(tensor: Tensor) -> Tensor:
    """A tensor without values on the CPU, laid out as ``tensor``."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cpu")


def faked(value: Any, known: dict[int, Tensor]) -> Any:
    """``value`` with a tensor without values for each that has some, or is on no device.

    known   those that there are already: what was one tensor stays one, which modules ask
    """
    if isinstance(value, Tensor):
        if not value.is_meta and not value.is_floating_point():
            return value
        return known.setdefault(id(value), like(value))
    if isinstance(value, dict):
        return {key: faked(v, known) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [faked(v, known) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


class Once(WithoutValues):
    """Makes one tensor of one."""

    def __init__(self, floating: torch.dtype, *, whole_numbers: int = 0) -> None:
        super().__init__(floating, whole_numbers=whole_numbers)
        self._known: dict[int, Tensor] = {}

    def like(self, tensor: Tensor) -> Tensor:
        if id(tensor) not in self._known:
            self._known[id(tensor)] = super().like(tensor)
        return self._known[id(tensor)]
