"""Sparse tensors: products take as many MACs as elements are stored, times the columns that they meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.ir.graph import Graph  # noqa: E402
from costcalc.verification import verify  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sparse")
DENSE = (torch.arange(56).reshape(8, 7) % 3 == 0).float()
STORED = int(DENSE.sum())
LAYOUTS = ("to_sparse_coo", "to_sparse_csr", "to_sparse_csc")


class Sparse(nn.Module):
    """A forward with a sparse matrix of 8×7 as a buffer, or as a parameter."""

    def __init__(self, forward: Callable[..., Any], matrix: Tensor, *, trained: bool = False) -> None:
        super().__init__()
        self.function = forward
        if trained:
            self.matrix = nn.Parameter(matrix)
        else:
            self.register_buffer("matrix", matrix)

    def forward(self, *x: Any) -> Any:
        return self.function(self.matrix, *x)


PRODUCTS: dict[str, tuple[Callable[..., Any], tuple[int, ...], int]] = {
    "@": (lambda a, x: a @ x, (7, 4), 4),
    "sparse.mm": (lambda a, x: torch.sparse.mm(a, x), (7, 4), 4),
    "sparse.addmm": (lambda a, x: torch.sparse.addmm(x.sum() * torch.ones(8, 4), a, x), (7, 4), 4),
    "times a vector": (lambda a, x: a @ x, (7,), 1),
    "from the right": (lambda a, x: x @ a, (3, 8), 3),
    "transposed": (lambda a, x: a.t() @ x, (8, 4), 4),
    "scaled": (lambda a, x: (a * 0.5) @ x, (7, 4), 4),
    "linear": (lambda a, x: nn.functional.linear(x, a), (3, 7), 3),
    "twice": (lambda a, x: a.t() @ (a @ x), (7, 4), 8),
}


@pytest.mark.parametrize("layout", ["to_sparse_bsr", "to_sparse_bsc"])
@pytest.mark.parametrize("block", [(2, 3), (4, 2), (1, 6)])
@pytest.mark.parametrize("trained", [False, True])
def test_blocks_are_stored_whole(layout: str, block: tuple[int, int], trained: bool) -> None:
    """Of a matrix of 8 × 12, blocks with anything in them: their zeros are stored, and multiplied with, too."""
    dense = torch.zeros(8, 12)
    dense[0, 0], dense[3, 7], dense[7, 11], dense[7, 10] = 1.0, 2.0, 3.0, 4.0
    matrix = getattr(dense, layout)(block)
    blocks = len({(i // block[0], j // block[1]) for i, j in ((0, 0), (3, 7), (7, 11), (7, 10))})
    found = report(trace(Sparse(lambda a, x: a @ x, matrix, trained=trained), (12, 5)))
    stored = blocks * block[0] * block[1]
    rows = (8 // block[0] if layout == "to_sparse_bsr" else 12 // block[1]) + 1
    assert not found.uncounted and found.total.macs == stored * 5
    assert found.total.params == stored * trained
    assert found.total.weight_bits == 32 * stored + 64 * (rows + blocks)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name: str, layout: str) -> None:
    forward, shape, columns = PRODUCTS[name]
    module = Sparse(forward, getattr(DENSE, layout)())
    graph = trace(module, shape)
    found = report(graph)

    assert not found.uncounted and not graph.assumed and not graph.sizes
    assert found.total.macs == STORED * columns
    run = Sparse(forward, DENSE)(torch.ones(shape))
    assert [graph.types[v].shape for v in graph.outputs] == [tuple(run.shape)]
    starts = 2 * STORED if layout == "to_sparse_coo" else STORED + (9 if layout == "to_sparse_csr" else 8)
    assert found.total.weight_bits == 32 * STORED + 64 * starts  # what is stored, and where it stands


def test_a_trained_matrix_has_parameters_and_places_are_buffers() -> None:
    found = report(trace(Sparse(lambda a, x: a @ x, DENSE.to_sparse(), trained=True), (7, 4)))
    assert (found.total.params, found.total.buffers) == (STORED, 2 * STORED)


def test_an_input_says_how_many_it_stores() -> None:
    class Product(nn.Module):
        def forward(self, a: Tensor, x: Tensor) -> Tensor:
            return a @ x

    for layout in LAYOUTS:
        graph = trace(Product(), getattr(DENSE, layout)(), (7, 4))
        assert report(graph).total.macs == STORED * 4 and "a.values" in graph.inputs
    stacked = trace(Product(), torch.stack([DENSE] * 2).to_sparse(), (2, 7, 4))
    assert report(stacked).total.macs == 2 * STORED * 4


class Neighbours(nn.Module):
    """A layer of a graph network, whose edges are an input; with weights by attention."""

    def __init__(self, *, attends: bool) -> None:
        super().__init__()
        self.layer, self.score, self.attends = nn.Linear(4, 6), nn.Linear(8, 1), attends

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        weights = torch.ones(edges.shape[1])
        if self.attends:
            weights = self.score(torch.cat([x[edges[0]], x[edges[1]]], 1)).squeeze(1)
        matrix = torch.sparse_coo_tensor(edges, weights, (x.shape[0], x.shape[0]))
        matrix = torch.sparse.softmax(matrix, 1) if self.attends else matrix.coalesce()
        return torch.sparse.mm(matrix, self.layer(x))


@pytest.mark.parametrize("attends", [False, True])
def test_a_matrix_of_edges_stores_one_element_each(attends: bool) -> None:
    edges = torch.randint(0, 10, (2, 30), generator=torch.Generator().manual_seed(0))
    found = report(trace(Neighbours(attends=attends), (10, 4), edges))

    assert not found.uncounted
    assert found.total.macs == 10 * 24 + 30 * 6 + (30 * 8 if attends else 0)
    merged = "sparse tensors are taken to name no place twice: merging them is not counted"
    assert (merged in found.assumptions) is not attends


def of_a_dense_one(**sizes: int) -> Graph:
    class Made(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu().to_sparse() @ x.t()

    return trace(Made(), (8, 4), assume=sizes)


def test_how_many_elements_of_a_dense_tensor_are_stored_is_a_named_size() -> None:
    (size,) = of_a_dense_one().sizes
    assert (size.name, size.size, size.most, size.bounds) == ("stored", 32, 32, True)
    assert report(of_a_dense_one()).mark("macs") == "≤"
    assert report(of_a_dense_one(stored=10)).total.macs == 10 * 8


def test_with_its_zeros_it_is_dense() -> None:
    found = report(trace(Sparse(lambda a, x: a.to_dense() @ x, DENSE.to_sparse()), (7, 4)))
    assert found.total.macs == 8 * 7 * 4 and not found.uncounted


@pytest.mark.parametrize("forward", [lambda a, x: (a @ a.t()).to_dense() @ x, lambda a, x: (a + a) @ x[:7]])
def test_what_has_no_rule_is_named(forward: Callable[..., Any]) -> None:
    found = report(trace(Sparse(forward, DENSE.to_sparse()), (8, 4)))
    (row,) = found.uncounted
    assert row.kind.endswith("of sparse tensors") and any("real tensors" in said for said in found.assumptions)


def test_torchs_counter_counts_them_as_dense_or_not_at_all() -> None:
    module = Sparse(lambda a, x: a @ torch.sparse.mm(a.t(), x), DENSE.to_sparse())
    result = verify(trace(module, (8, 4)), module)
    assert result.agrees, result.disagreements
    said = str(next(t for t in result.tallies if "FlopCounterMode" in t.witness))
    assert "sparse products, counted as dense ones" in said and "sparse products, counted 0" in said


@pytest.mark.parametrize("real", [False, True])
def test_places_in_another_layout_are_those_of_that_layout(real: bool) -> None:
    """Rows' starts as a row for each element, and back; products of two sparse tensors run with values."""
    columns = torch.tensor([1, 3, 2, 0])
    starts = torch.tensor([0, 2, 2, 3, 4])

    def weighted(layer: nn.Linear, x: Tensor) -> Any:
        compressed = torch.sparse_csr_tensor(starts, columns, torch.ones(4), (4, 4))
        if real:
            compressed = compressed @ compressed
        named = compressed.to_sparse_coo()
        again = named.to_sparse_csr()
        assert again.crow_indices().shape == (5,)
        weights = named.values().view(-1, 1)
        assert named.indices().shape == (2, weights.shape[0]) and again.col_indices().shape == weights.shape[:1]
        return layer(x)[named.indices()[0]] * weights

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 5)

        def forward(self, x: Tensor) -> Any:
            return weighted(self.layer, x)

    model = Layers()
    graph = trace(model, torch.rand(4, 3))
    assert graph.types[graph.outputs[0]].shape == tuple(model(torch.rand(4, 3)).shape)
    assert {layer.kind for layer in report(graph).uncounted} == ({"matmul of sparse tensors"} if real else set())
