"""Sparse tensors of a model: each is the elements that it stores and the places where they stand.

Torch has no kernels for sparse tensors without values. What an operator makes of them follows from shapes and from how
many elements are stored: of a tensor of the model, or of one that is put together in the forward, that is known; of one
that is made of a dense tensor it is a size that values decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from costcalc.classes import NamedTuple
from costcalc.frontends.torch.pytrees import META, SPARSE, tensors_among, wraps
from costcalc.frontends.torch.value_dependent import Assumptions, Values, ValuesNeeded

if TYPE_CHECKING:
    from costcalc.frontends.torch.operators import Operator

COALESCED = "sparse tensors are taken to name no place twice: merging them is not counted"
Write = Callable[[str, dict[str, Any], Sequence[Tensor]], None]


class StoredElements(NamedTuple):
    """A sparse tensor: its stored elements, and where they stand."""

    tensor: Tensor
    values: Tensor
    places: tuple[Tensor, ...]


def is_sparse(tensor: Tensor) -> bool:
    """Whether ``tensor`` is stored as elements and places."""
    return tensor.layout in SPARSE


def parts_of(tensor: Tensor) -> dict[str, Tensor]:
    """What a sparse tensor stores, by the names that PyTorch has for it."""
    if tensor.layout is torch.sparse_coo:
        return {"indices": tensor._indices(), "values": tensor._values()}
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        starts = {"crow_indices": tensor.crow_indices(), "col_indices": tensor.col_indices()}
    else:
        starts = {"ccol_indices": tensor.ccol_indices(), "row_indices": tensor.row_indices()}
    return starts | {"values": tensor.values()}


def stored(name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
    """The plain tensors that hold what ``tensor`` stands for, by name: itself, or those inside one of a library's own.

    A quantised weight says that it has the shape and type of the weight that it replaces, and has numbers and scales.
    """
    if is_sparse(tensor):
        return [(f"{name}.{part}", held) for part, held in parts_of(tensor).items()]
    if not wraps(type(tensor)):
        return [(name, tensor)]
    return [pair for part in tensor.__tensor_flatten__()[0] for pair in stored(f"{name}.{part}", getattr(tensor, part))]  # type: ignore[attr-defined]


class SparseTensors:
    """The sparse tensors of a trace.

    write   notes a call by its name, arguments and the tensors that it makes
    again   runs an operator that the trace is to see
    """

    def __init__(self, write: Write, again: Callable[..., Any], assumptions: Assumptions, values: Values) -> None:
        self._write, self._again, self._assumptions, self._values = write, again, assumptions, values
        self._held: dict[int, StoredElements] = {}

    def hold(self, tensor: Tensor, parts: dict[str, Tensor]) -> None:
        """Take ``parts``, which the trace knows, for what ``tensor`` stores."""
        places = tuple(part for name, part in parts.items() if name != "values")
        self._held[id(tensor)] = StoredElements(tensor, parts["values"], places)

    def meets(self, operator: Operator, given: Sequence[Tensor]) -> bool:
        """Whether a call is one of sparse tensors."""
        return operator.name in _MAKES or any(map(is_sparse, given))

    def run(self, func: Any, operator: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a call returns, which has been written down; ``NotImplemented`` where there is no rule.

        Raises ``ValuesNeeded`` where that takes values.
        """
        given = operator.named(args, kwargs)
        name = operator.name.removeprefix("_")
        if name in _ASKS:
            return func(*args, **kwargs)
        rule = _RULES.get(name) or (SparseTensors._of_elements if name in _ELEMENTWISE else None)
        made = rule(self, given, func, args, kwargs) if rule else NotImplemented
        if made is NotImplemented and self._values != "all":
            raise ValuesNeeded
        return made

    def held(self, tensor: Tensor) -> StoredElements:
        """What a sparse tensor stores; of one from outside, its own tensors."""
        known = self._held.get(id(tensor))
        if known is None or known.tensor is not tensor:
            self.hold(tensor, parts_of(tensor))
            known = self._held[id(tensor)]
        return known

    # -- rules: what a call makes ----------------------------------------------------------------

    def _values_of(self, given: dict[str, Any], *_: Any) -> Any:
        return self.held(given["self"]).values

    def _first_places(self, given: dict[str, Any], *_: Any) -> Any:
        return self.held(given["self"]).places[0]

    def _last_places(self, given: dict[str, Any], *_: Any) -> Any:
        return self.held(given["self"]).places[-1]

    def _put_together(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        """Of elements and places that the forward has: nothing is done."""
        if given.get("size") is None:
            return NotImplemented  # the largest places say it
        names = [key for key in ("indices", "crow_indices", "ccol_indices", "compressed_indices", "col_indices",
                                 "row_indices", "plain_indices") if key in given]  # fmt: skip
        places, values = tuple(given[key] for key in names), given["values"]
        real = self._values == "all"
        shown = args if real else tuple(_without_values(a) if isinstance(a, Tensor) else a for a in args)
        options = {key: v for key, v in kwargs.items() if key not in ("device", "pin_memory", "is_coalesced")}
        made = func(*shown, **options, **({} if real else {"device": META}))
        self._held[id(made)] = StoredElements(made, values, places)
        return made

    def _taken_apart(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        """Of a dense tensor: how many elements are stored, values decide."""
        x: Tensor = given["self"]
        if is_sparse(x):
            return self._laid_out(given, func, args, kwargs)
        if self._values == "all":
            made = func(*args, **kwargs)
            self._assumptions.met(
                "stored", made._values().shape[0] if made.layout is torch.sparse_coo else made._nnz(), x.numel()
            )
            values, places = self._stored(x, made._nnz())
        else:
            if given.get("sparse_dim") not in (None, x.dim()) or given.get("blocksize"):
                return NotImplemented
            values, places = self._stored(x, self._assumptions.size("stored", x.numel(), of=x))
            made = torch.sparse_coo_tensor(places, values, x.shape, device=META)
        self._held[id(made)] = StoredElements(made, values, (places,))
        return made

    def _stored(self, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        values = torch.empty(count, dtype=x.dtype, device=META)
        places = torch.empty(x.dim(), count, dtype=torch.int64, device=META)
        self._write("nonzero", {"self": x}, [places])
        self._write("masked_select", {"self": x, "mask": places}, [values])
        return values, places

    def _dense(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        x: Tensor = given["self"]
        if not is_sparse(x):
            return x
        held = self.held(x)
        made = func(*args, **kwargs) if self._values == "all" else torch.empty(x.shape, dtype=x.dtype, device=META)
        self._write("costcalc::sparse_to_dense", {"values": held.values, "places": held.places}, [made])
        return made

    def _transposed(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        """The same elements at the same places, named the other way round."""
        x: Tensor = given["self"]
        if x.dim() != 2:
            return NotImplemented
        held, made = self.held(x), func(*args, **kwargs)
        self._held[id(made)] = StoredElements(made, held.values, held.places)
        return made

    def _as_it_is(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        x: Tensor = given["self"]
        if self._values == "all":
            return self._with_places(x, func(*args, **kwargs))
        self._assumptions.note(COALESCED)
        return x

    def _laid_out(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        """The same elements of a sparse tensor in another layout, whose places are told otherwise."""
        x: Tensor = given["self"]
        if self._values == "all":
            return self._with_places(x, func(*args, **kwargs))
        name = func._schema.name.rpartition("to_sparse")[2]
        layout = {"_csr": torch.sparse_csr, "_csc": torch.sparse_csc}.get(name, given.get("layout") or torch.sparse_coo)
        if layout is x.layout:
            return x
        held = self.held(x)
        if x.dim() != 2 or held.values.dim() != 1 or given.get("blocksize"):
            return NotImplemented
        count, (rows, columns) = held.values.shape[0], x.shape
        values = _without_values(held.values)
        kinds: dict[torch.layout, tuple[Callable[..., Tensor], int]]
        kinds = {
            torch.sparse_csr: (torch.sparse_csr_tensor, rows),
            torch.sparse_csc: (torch.sparse_csc_tensor, columns),
        }
        kind, starts = kinds.get(layout, (torch.sparse_coo_tensor, -1))
        shapes = [(2, count)] if starts < 0 else [(starts + 1,), (count,)]
        places = [torch.empty(shape, dtype=torch.int64, device=META) for shape in shapes]
        made = kind(*places, values, x.shape, device=META)
        self._tell(held, places)
        self._held[id(made)] = StoredElements(made, held.values, tuple(places))
        return made

    def _with_places(self, x: Tensor, made: Tensor) -> Tensor:
        """``made`` of ``x``, both with values: what it stores is that of ``x``, merged or in another order."""
        if made is not x:
            held, parts = self.held(x), parts_of(made)
            values = parts.pop("values")
            self._tell(held, list(parts.values()))
            self._write("masked_select", {"self": held.values, "mask": held.places[0]}, [values])
            self._held[id(made)] = StoredElements(made, values, tuple(parts.values()))
        return made

    def _tell(self, held: StoredElements, places: Sequence[Tensor]) -> None:
        """Note that ``places`` are made of those of what is ``held``."""
        for made in places:
            self._write("masked_select", {"self": held.places[-1], "mask": held.places[0]}, [made])

    def _of_elements(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        """A function of each stored element, which is 0 at 0."""
        x, *others = args
        if not is_sparse(x) or any(isinstance(o, Tensor) and o.dim() for o in others):
            return NotImplemented
        held = self.held(x)
        values = self._again(func, (held.values, *others), kwargs)
        return self._like(x, values, held)

    def _softmax(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        x: Tensor = given["self"]
        held = self.held(x)
        values = torch.empty_like(held.values, device=held.values.device)
        self._write("softmax", {"self": held.values, "dim": 0}, [values])
        return self._like(x, values, held)

    def _like(self, x: Tensor, values: Tensor, held: StoredElements) -> Tensor:
        """A sparse tensor that stores other elements at the places of ``x``."""
        shown = values if self._values == "all" else _without_values(values)
        own = x if self._values == "all" or x.is_meta else None
        parts = parts_of(x) if own is not None else {k: _without_values(v) for k, v in parts_of(x).items()}
        if x.layout is torch.sparse_coo:
            made = torch.sparse_coo_tensor(parts["indices"], shown, x.shape, is_coalesced=None)
        else:
            first, second = (part for name, part in parts.items() if name != "values")
            made = torch.sparse_compressed_tensor(first, second, shown, x.shape, layout=x.layout)
        self._held[id(made)] = StoredElements(made, values, held.places)
        return made

    # -- products --------------------------------------------------------------------------------

    def _product(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        a, b = tensors_among(given.values())[-2:]
        return self._multiplied(a, b, func, args, kwargs)

    def _added_product(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        added, a, b = tensors_among(given.values())
        if is_sparse(added):
            return NotImplemented
        product = self._multiplied(a, b, None, (), {})
        if product is NotImplemented or given.get("beta", 1) == 0:
            return product
        return self._again(torch.ops.aten.add.Tensor, (added, product), {"alpha": given.get("alpha", 1)})

    def _linear(self, given: dict[str, Any], func: Any, args: Any, kwargs: Any) -> Any:
        x, weight, bias = given["input"], given["weight"], given["bias"]
        if is_sparse(x) or not is_sparse(weight):
            return NotImplemented
        product = self._multiplied(x, weight, func, (x, weight), {}, weight.shape[0])
        if product is NotImplemented or bias is None:
            return product
        return self._again(torch.ops.aten.add.Tensor, (product, bias), {})

    def _multiplied(self, a: Tensor, b: Tensor, func: Any, args: Any, kwargs: Any, size: int | None = None) -> Any:
        """One sparse factor and a dense one; of two sparse ones the places say which elements meet."""
        left = is_sparse(a)
        if left and is_sparse(b):
            return NotImplemented
        sparse, dense = (a, b) if left else (b, a)
        held = self.held(sparse)
        size = size or sparse.shape[-2 if left else -1]
        if dense.dim() == 1:
            shape = (*dense.shape[:0], size)
        else:
            shape = (*dense.shape[:-2], size, dense.shape[-1]) if left else (*dense.shape[:-1], size)
        if self._values == "all":
            made = func(*args, **kwargs) if func is not None else (a @ b)
        else:
            made = torch.empty(shape, dtype=dense.dtype, device=META)
        named = {"values": held.values, "places": held.places, "dense": dense, "size": size, "left": left}
        self._write("costcalc::sparse_matmul", named, [made])
        return made


def _without_values(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_meta else torch.empty(tensor.shape, dtype=tensor.dtype, device=META)


_MAKES = frozenset(
    (
        "sparse_coo_tensor", "_sparse_coo_tensor_unsafe",
        "_sparse_coo_tensor_with_dims_and_tensors", "sparse_compressed_tensor", "sparse_csr_tensor",
        "sparse_csc_tensor", "_sparse_compressed_tensor_unsafe", "to_sparse", "_to_sparse", "to_sparse_csr",
        "_to_sparse_csr", "to_sparse_csc", "_to_sparse_csc",
    )
)  # fmt: skip
"""Operators that make sparse tensors of dense ones."""
_ASKS = frozenset(
    ("nnz", "dimV", "dimI", "sparse_dim", "dense_dim", "is_coalesced", "sym_size", "size", "coalesced", "is_same_size",
     "validate_sparse_coo_tensor_args", "validate_sparse_compressed_tensor_args", "has_same_storage_numel")
)  # fmt: skip
_ELEMENTWISE = frozenset(
    ("mul", "div", "neg", "relu", "abs", "sqrt", "square", "sin", "sinh", "tan", "tanh", "asin", "atan", "ceil",
     "floor", "round", "sign", "trunc", "expm1", "log1p", "erf", "deg2rad", "rad2deg", "pow", "to_copy", "clone")
)  # fmt: skip
"""Functions that are 0 at 0, so that zeros that are not stored stay so."""
_RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("values",), SparseTensors._values_of),
    **dict.fromkeys(("indices", "crow_indices", "ccol_indices"), SparseTensors._first_places),
    **dict.fromkeys(("col_indices", "row_indices"), SparseTensors._last_places),
    **dict.fromkeys((name.removeprefix("_") for name in _MAKES if "tensor" in name), SparseTensors._put_together),
    **dict.fromkeys((name.removeprefix("_") for name in _MAKES if "to_sparse" in name), SparseTensors._taken_apart),
    **dict.fromkeys(("to_dense",), SparseTensors._dense),
    **dict.fromkeys(("t", "transpose", "mT"), SparseTensors._transposed),
    **dict.fromkeys(("coalesce", "detach", "alias"), SparseTensors._as_it_is),
    **dict.fromkeys(("sparse_softmax", "sparse_log_softmax"), SparseTensors._softmax),
    **dict.fromkeys(("mm", "matmul", "bmm", "mv", "sparse_mm", "spmm"), SparseTensors._product),
    **dict.fromkeys(("addmm", "sparse_addmm"), SparseTensors._added_product),
    "linear": SparseTensors._linear,
}
"""Operator, without the underscore before it → what it makes."""
