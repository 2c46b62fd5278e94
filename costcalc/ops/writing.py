"""Writing elements over others, at places that are known or computed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

from costcalc.errors import OptionError
from costcalc.ir.call import Call, Traced, once
from costcalc.ir.dims import Dim, at_least, equal
from costcalc.ir.fields import Axes, elements, ints
from costcalc.ir.index_map import Anywhere, AxisMap, IndexMap, Window, elementwise, envelope, ratio, unknown
from costcalc.ir.op import Condition, Example, Op, find_op, op
from costcalc.ir.saved import Moment
from costcalc.ir.storage_region import StorageRegion, within
from costcalc.ir.tensor import TensorType
from costcalc.ops.axes import distinct, has_axes, position, several
from costcalc.ops.indexing import MOST_INDICES, located
from costcalc.ops.traced_steps import converted, expanded, permuted, reshaped, unread

if TYPE_CHECKING:
    from torch import Tensor, nn


@op("overwrite", inputs=(2, 2))
class Overwrite(Op):
    """The first input with the second written over a part of it: ``x[:, 2:6] = v``.

    Along each of ``axes`` the second lies from its ``start`` on, every ``step``-th place; along the others they are
    as long as each other.

    Not counted  writing less than the whole: of the first input what is not written over is read, the output written.
    """

    keeps = "nothing"

    aten = "costcalc::overwrite slice_scatter select_scatter"

    axes: Axes
    starts: Axes
    steps: Axes = 1

    def check(self) -> None:
        starts, steps, axes = several(self.starts), several(self.steps), several(self.axes)
        if len(starts) != len(axes) or (isinstance(self.steps, tuple) and len(steps) != len(axes)):
            raise OptionError(f"overwrite: {len(axes)} axes take as many starts and steps")
        if any(start < 0 for start in starts) or any(step < 1 for step in steps):
            raise OptionError("overwrite: starts count from 0, steps are from 1")

    def requires(self, x: TensorType, part: TensorType) -> Iterator[Condition]:
        yield len(x.shape) == len(part.shape), f"overwrite: a {part} cannot lie in a {x}"
        yield from has_axes(self, x, *several(self.axes))
        places = self._places(x)
        for axis, (size, n) in enumerate(zip(x.shape, part.shape, strict=False)):
            if axis in places:
                start, step = places[axis]
                last = start + step * (n - 1)
                yield at_least(size - 1, last), f"overwrite: place {last} is not on axis {axis} of size {size}"
            else:
                yield equal(size, n), f"overwrite: axis {axis} has size {size}, what is written {n}"

    def infer(self, x: TensorType, part: TensorType) -> TensorType:
        return x

    def beside_gradients(
        self, x: TensorType, part: TensorType, *, y: TensorType, trained: bool, wanted: tuple[bool, ...]
    ) -> tuple[Moment, ...]:
        """The gradient is copied whole, and in it that of the part replaced by zeros."""
        return (Moment((part if wanted[0] else y,)),)

    def reads(self, x: TensorType, part: TensorType, *, y: TensorType) -> tuple[Dim, ...]:
        return x.size - part.size, part.size

    def index_maps(self, x: TensorType, part: TensorType, *, y: TensorType) -> tuple[IndexMap, ...]:
        places = self._places(x)
        entries = []
        for axis, n in enumerate(ints(part.shape)):
            start, step = places.get(axis, (0, 1))
            step = step if n > 1 else 1
            window = Window(ratio(1, step), ratio(-start, step), ratio(-start, step))
            entries.append(AxisMap(axis, window, (start, start + step * (n - 1))) if axis in places else AxisMap(axis))
        if len(places) > 1:
            return (elementwise(x, y), tuple(entries))
        ((axis, (start, step)),) = places.items()
        return (_beside(x, axis, range(start, start + step * int(part.shape[axis]), step)), tuple(entries))  # type: ignore[arg-type]

    def _places(self, x: TensorType) -> dict[int, tuple[int, int]]:
        """Start and step along each of the axes."""
        axes = several(self.axes)
        steps = self.steps if isinstance(self.steps, tuple) else (self.steps,) * len(axes)
        each = zip(axes, several(self.starts), steps, strict=True)
        return {position(axis, x): (start, step) for axis, start, step in each}

    def to_torch(self, x: TensorType, part: TensorType) -> nn.Module:
        from costcalc.ops.functional import functional

        places, sizes = self._places(x), ints(part.shape)
        region = tuple(
            slice(start, start + step * (n - 1) + 1, step)
            for start, step, n in ((*places.get(axis, (0, 1)), n) for axis, n in enumerate(sizes))
        )

        def written(x: Tensor, part: Tensor) -> Tensor:
            y = x.clone()
            y[region] = part
            return y

        return functional(written)

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        x, part = call["self"], call.get("part", call.get("src"))
        if call.name == "costcalc::overwrite":
            return _written(call, x, part, call["held"], call["wanted"])
        axis = call["dim"] % len(x.shape)
        if call.name == "select_scatter":
            start, step = call["index"] % x.shape[axis], 1
            part = reshaped(call, part, *x.shape[:axis], 1, *x.shape[axis + 1 :])
        else:
            size, start, step = x.shape[axis], call["start"] or 0, call["step"]
            start = min(max(start + size if start < 0 else start, 0), size)
        if not part.type.size:
            return x  # type: ignore[no-any-return]
        return call.add(cls(axis, start, step), x, part)  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(1, 2), TensorType((2, 6, 3)), TensorType((2, 3, 3))
        yield cls((-1, 0), (1, 0), (3, 1)), TensorType((3, 4, 5)), TensorType((1, 4, 2))


def _beside(x: TensorType, axis: int, written: Collection[int]) -> IndexMap:
    """Each output place along ``axis`` sees its own place of ``x``, but for those that are ``written`` over."""
    over = frozenset(written)
    kept = AxisMap(axis, sees=lambda output: None if output in over else (output, output), bound=True)
    return tuple(kept if a == axis else AxisMap(a) for a in range(len(x.shape)))


def _written(call: Call, x: Traced, part: Traced, held: StorageRegion, wanted: StorageRegion) -> Traced:
    """``x`` with ``part`` written over the elements ``wanted`` of the storage that it holds."""
    found, shape = within(held, wanted), x.shape
    if found is None:
        runs = held.runs()
        found = within(runs, wanted)
        if found is not None:
            x = reshaped(call, x, *runs.shape)
    axes = [axis for axis, _ in found[1] if axis is not None] if found else []
    if found is None or len(set(axes)) < len(axes):
        return reshaped(call, call.add(Scatter(), x, part), *shape)
    starts, taken_ = found
    steps = {axis: step for axis, step in taken_ if axis is not None}
    at = {axis: out for out, (axis, _) in enumerate(taken_) if axis is not None}
    rest = [out for out, (axis, _) in enumerate(taken_) if axis is None]
    part = permuted(call, part, *rest, *(at[axis] for axis in sorted(at)))
    sizes = [wanted.shape[at[axis]] if axis in at else 1 for axis in range(len(starts))]
    part = reshaped(call, part, *sizes)
    apart = [axis for axis, n in enumerate(sizes) if n < x.shape[axis]]
    begin, apart_by = tuple(starts[a] for a in apart), tuple(steps.get(a, 1) for a in apart)
    # With one number for all, the steps read as a person would write them.
    op = (
        Overwrite(tuple(apart), begin, once(apart_by)) if len(apart) > 1 else Overwrite(apart[0], begin[0], apart_by[0])
    )
    return reshaped(call, call.add(op, x, part), *shape)


@op("scatter", inputs=(1, None))
class Scatter(Op):
    """The first input with elements of the last put into places that the others name; or added to what is there.

    ``axes`` are those along which they are put somewhere, the others are followed; ``indices`` are the places along one
    axis, where they are known beforehand. Without ``axes`` they may go anywhere. What is added may be combined in other
    ways than by a sum, and ``over`` what was there instead of with it.

    Ops          adding: 1 for each element that is put in. Putting: none.
    Not counted  writing less than the whole: the inputs are read, but for what is put over at known places, and the
                 output is written.
    """

    aten = """
    scatter scatter_add scatter_reduce index_put _index_put_impl index_add index_copy index_fill masked_scatter
    diagonal_scatter histogram bincount put index_reduce unfold_backward
    """

    choices = {"combines": ("sum", "prod", "mean", "amax", "amin")}

    adds: bool = False
    axes: Axes | None = None
    indices: Axes | None = None
    combines: str = "sum"
    over: bool = False

    def check(self) -> None:
        if not self.adds and (self.combines != "sum" or self.over):
            raise OptionError("scatter: combines and over say how elements are added; say adds too")
        if self.indices is not None and (self.axes is None or len(several(self.axes)) != 1):
            raise OptionError("scatter: indices are along one axis")

    def requires(self, x: TensorType, *others: TensorType) -> Iterator[Condition]:
        if self.axes is None:
            return
        yield from has_axes(self, x, *several(self.axes))
        yield bool(others), "scatter takes what to put in"
        if self.indices is not None:
            (axis,), given = several(self.axes), len(several(self.indices))
            yield equal(others[-1].shape[axis], given), f"scatter: {given} indices for {others[-1].shape[axis]} places"
            size = x.shape[axis]
            yield at_least(size - 1, max(several(self.indices))), f"scatter: index beyond axis {axis} of size {size}"

    def is_bound(self) -> bool:
        return self.indices is None and not self.adds  # data say what is written over

    def infer(self, x: TensorType, *others: TensorType) -> TensorType:
        return x

    def ops(self, x: TensorType, *others: TensorType, y: TensorType) -> Dim:
        return others[-1].size if self.adds and others else 0

    def reads(self, x: TensorType, *others: TensorType, y: TensorType) -> tuple[Dim, ...]:
        written: Dim = 0
        if self.indices is not None and (self.over or not self.adds):
            (size,) = (x.shape[axis] for axis in several(self.axes))  # type: ignore[arg-type]
            written = x.size // size * distinct(several(self.indices), size)
        return (x.size - written, *(t.size for t in others))

    def index_maps(self, x: TensorType, *others: TensorType, y: TensorType) -> tuple[IndexMap, ...]:
        base = elementwise(x, y)
        if self.axes is None or len(others[-1].shape) != len(x.shape):
            return (base, *map(unknown, others))
        axes = {position(axis, x) for axis in several(self.axes)}
        if self.indices is None:
            along = tuple(Anywhere(a) if a in axes else AxisMap(a) for a in range(len(x.shape)))
            return (base, *(along if t.shape == others[-1].shape else unknown(t) for t in others))
        (at,), (size,) = axes, ints([x.shape[min(axes)]])
        places = [index % size for index in several(self.indices)]
        window = envelope(range(len(places)), places)
        put: dict[int, tuple[int, int]] = {}
        for given, place in enumerate(places):  # of several put to one place the last stays, or all are added up
            put[place] = (put[place][0] if self.adds and place in put else given, given)
        moved = AxisMap(at, window, (min(places), max(places)), bound=window.lo != window.hi, sees=put.get)
        kept = base if self.adds and not self.over else _beside(x, at, places)
        return (kept, tuple(moved if a == at else AxisMap(a) for a in range(len(x.shape))))

    def to_torch(self, x: TensorType, *others: TensorType) -> nn.Module:
        import torch

        from costcalc.ops.functional import functional

        along = several(self.axes) if self.axes is not None else ()
        if len(along) != 1:
            return super().to_torch(x)  # which says that there is none
        (axis,), adds = along, self.adds
        if self.indices is None:
            return self._at_given(axis, *others)
        (size,) = ints([x.shape[axis]])
        places = [index % size for index in several(self.indices)]

        combines, over = self._combines(), self.over

        def put(x: Tensor, part: Tensor) -> Tensor:
            indices = torch.tensor(places, device=x.device)
            if combines:
                each = indices.reshape([-1 if a == axis else 1 for a in range(x.ndim)]).expand_as(part)
                return x.scatter_reduce(axis, each, part, combines, include_self=not over)
            return x.index_add(axis, indices, part) if adds else x.index_copy(axis, indices, part)

        return functional(put)

    def _combines(self) -> str:
        """How elements are combined, as PyTorch has it where it is not a plain sum."""
        return "" if not self.adds or (self.combines == "sum" and not self.over) else self.combines

    def _at_given(self, axis: int, *others: TensorType) -> nn.Module:
        """At places that the second input names, for each element or for the whole of what lies beside each."""
        from costcalc.ops.functional import functional

        combines, adds, over = self._combines(), self.adds, self.over
        each = len(others) == 2 and others[0].dtype == "int64" and others[0].shape == others[1].shape
        if not each:
            return super().to_torch(*others)  # which says that there is none
        if combines:
            return functional(lambda x, at, part: x.scatter_reduce(axis, at, part, combines, include_self=not over))
        return functional(lambda x, at, part: x.scatter_add(axis, at, part) if adds else x.scatter(axis, at, part))

    @classmethod
    def from_aten(cls, call: Call) -> Traced:
        if call.name in ("histogram", "bincount", "unfold_backward"):
            zeros = call.add(find_op("constant")(call.made[0].shape, call.made[0].dtype))
            made = call.add(cls(adds=True), zeros, *call.tensors())
            return unread(call, made) if call.name == "histogram" else made  # type: ignore[return-value]
        adds = call.name in ("scatter_add", "scatter_reduce", "index_add", "index_reduce") or bool(
            call.get("accumulate")
        )
        how: dict[str, Any] = {}
        if adds:
            how = {"combines": _combined(call), "over": call.get("include_self", True) is False}
        x, axis = call["self"], call.get("dim")
        if call.name == "index_fill" and x.shape and call["index"].numbers is not None:
            return _filled(call, x, axis % len(x.shape))
        if call.name in ("index_add", "index_copy", "index_reduce") and axis is not None and x.shape:
            return _put(call, x, axis % len(x.shape), call["index"], call["source"], adds, how)
        if call.name in ("index_put", "_index_put_impl"):
            axes = [a for a, index in enumerate(call["indices"]) if index is not None]
            index = call["indices"][axes[0]] if len(axes) == 1 else None
            if index is not None and len(index.shape) == 1:
                return _put(call, x, axes[0], located(index), call["values"], adds)
        if call.name.startswith("scatter") and axis is not None and x.shape and call.get("src") is not None:
            return call.add(cls(adds, axis % len(x.shape), **how), x, call["index"], call["src"])  # type: ignore[no-any-return]
        return call.add(cls(adds, **how), *call.tensors())  # type: ignore[no-any-return]

    @classmethod
    def examples(cls) -> Iterator[Example]:
        yield cls(), TensorType((4, 5)), TensorType((2, 5))
        yield cls(adds=True), TensorType((4, 5)), TensorType((3,), "int64"), TensorType((3, 5))
        yield cls(axes=1), TensorType((4, 5)), TensorType((4, 2), "int64"), TensorType((4, 2))
        yield cls(axes=0, indices=(2, 0)), TensorType((4, 5)), TensorType((2, 5))
        yield cls(True, 0, (2, 0), "amax", over=True), TensorType((4, 5)), TensorType((2, 5))


def _combined(call: Call) -> str:
    """How elements are combined by ``scatter_reduce`` and its kin, in our words."""
    given = call.get("reduce") or "sum"
    return {"add": "sum", "multiply": "prod"}.get(given, given)


def _filled(call: Call, x: Traced, axis: int) -> Traced:
    """``index_fill`` at places that are known."""
    index, value = call["index"], call["value"]
    shape = (*x.shape[:axis], *(index.shape or (1,)), *x.shape[axis + 1 :])
    if isinstance(value, Traced):
        part = expanded(call, converted(call, value, x.type.dtype), *shape)
    else:
        part = call.add(find_op("constant")(shape, x.type.dtype, value=elements((value,), prod(shape))))
    return _put(call, x, axis, index, part, False)


def _put(
    call: Call, x: Traced, axis: int, index: Traced, part: Traced, adds: bool, how: dict[str, Any] | None = None
) -> Traced:
    """``part`` put to, or added at, the places of ``index``, a row of numbers, along an axis."""
    numbers = index.numbers
    if index.type.size == 0:  # as for the tokens of an expert that gets none
        return x
    if index.type.dtype not in ("bool", "uint8"):
        part = expanded(call, part, *x.shape[:axis], *(index.shape or (1,)), *x.shape[axis + 1 :])
        if numbers is not None and 0 < len(numbers) <= MOST_INDICES:
            return call.add(Scatter(adds, axis, numbers, **how or {}), x, part)  # type: ignore[no-any-return]
    return call.add(Scatter(adds, axis, **how or {}), x, index, part)  # type: ignore[no-any-return]
