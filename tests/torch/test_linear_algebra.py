"""What ``torch.linalg`` and its kin become in a trace: no values are asked for, and nothing is left uncounted."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from costcalc.analysis.report import report  # noqa: E402
from costcalc.frontends.torch.tracer import trace  # noqa: E402
from costcalc.ir.graph import Graph  # noqa: E402

L = torch.linalg


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: Any) -> Any:
        return self.function(*x)


def graph_of(function: Callable[..., Any], *given: Any) -> Graph:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, where it has a newer function
        return trace(Of(function), *given)


CASES: dict[str, tuple[Callable[..., Any], str]] = {
    "cholesky": (lambda a, b, c: L.cholesky(a), "cholesky"),
    "old cholesky": (lambda a, b, c: torch.cholesky(a, upper=True), "cholesky(upper=True)"),
    "cholesky_ex": (lambda a, b, c: L.cholesky_ex(a)[0], "cholesky"),
    "cholesky_solve": (lambda a, b, c: torch.cholesky_solve(b, a), "cholesky_solve"),
    "cholesky_inverse": (lambda a, b, c: torch.cholesky_inverse(a), "cholesky_inverse"),
    "solve_triangular": (lambda a, b, c: L.solve_triangular(a, b, upper=True), "solve_triangular(True)"),
    "old solve": (lambda a, b, c: torch.triangular_solve(b, a, transpose=True)[0], "solve_triangular(False)"),
    "qr": (lambda a, b, c: L.qr(c), "qr"),
    "qr complete": (lambda a, b, c: L.qr(c, "complete"), "qr(mode='complete')"),
    "qr r": (lambda a, b, c: L.qr(c, "r")[1], "qr(mode='r')"),
    "old qr": (lambda a, b, c: torch.qr(c), "qr"),
    "geqrf": (lambda a, b, c: torch.geqrf(c), "householder_qr"),
    "lu": (lambda a, b, c: L.lu(c), "lu lu_unpack"),
    "lu_factor": (lambda a, b, c: L.lu_factor(c), "lu"),
    "lu_solve": (lambda a, b, c: L.lu_solve(*L.lu_factor(a), b), "lu lu_solve"),
    "lu_unpack": (lambda a, b, c: torch.lu_unpack(*L.lu_factor(c)), "lu lu_unpack"),
    "ldl": (lambda a, b, c: L.ldl_solve(*L.ldl_factor(a), b), "ldl ldl_solve"),
    "inv": (lambda a, b, c: L.inv(a), "inverse"),
    "inverse": (lambda a, b, c: a.inverse(), "inverse"),
    "solve": (lambda a, b, c: L.solve(a, b), "solve"),
    "solve from the right": (lambda a, b, c: L.solve(a, b.mT, left=False), "transpose solve(left=False)"),
    "det": (lambda a, b, c: L.det(a), "determinant"),
    "slogdet": (lambda a, b, c: L.slogdet(a), "determinant(log=True)"),
    "svd": (lambda a, b, c: L.svd(c), "svd(full=True)"),
    "svd reduced": (lambda a, b, c: L.svd(c, full_matrices=False), "svd"),
    "svdvals": (lambda a, b, c: L.svdvals(c), "svd(vectors=False)"),
    "nuclear norm": (lambda a, b, c: L.matrix_norm(c, "nuc"), "svd(vectors=False) sum"),
    "eigh": (lambda a, b, c: L.eigh(a, "U"), "eigh(upper=True)"),
    "eigvalsh": (lambda a, b, c: L.eigvalsh(a), "eigh(vectors=False)"),
    "eig": (lambda a, b, c: L.eig(a), "eig"),
    "eigvals": (lambda a, b, c: L.eigvals(a), "eig(vectors=False)"),
    "lstsq": (lambda a, b, c: L.lstsq(c, c[..., :2])[0], "slice least_squares"),
    "lstsq gels": (lambda a, b, c: L.lstsq(c, c[..., :2], driver="gels")[0], "slice least_squares(driver='gels')"),
    "pinv": (lambda a, b, c: L.pinv(c), "pseudo_inverse"),
    "matrix_exp": (lambda a, b, c: torch.matrix_exp(a), "matrix_exp"),
    "matrix_power": (lambda a, b, c: L.matrix_power(a, 3), "matmul matmul"),
}  # fmt: skip


def ops_of(graph: Graph) -> list[str]:
    """The names of the ops, and options where a case names some."""
    return [f"{node.op.name}({', '.join(node.op.settings())})" for node in graph.nodes]


@pytest.mark.filterwarnings("ignore")  # of torch, where it has a newer function
@pytest.mark.parametrize("name", CASES)
def test_each_is_seen_whole_and_makes_what_a_run_makes(name: str) -> None:
    function, wanted = CASES[name]
    draw = random.Random(name)
    for stack, dtype in (((), torch.float32), ((2, 3), torch.float64), ((2,), torch.complex64)):
        n, m = draw.randint(2, 6), draw.randint(2, 9)
        if "old" in name and dtype.is_complex:
            continue
        root = torch.randn(*stack, n, n, dtype=dtype)
        given = (
            root @ root.mH + n * torch.eye(n, dtype=dtype),
            *(torch.randn(*stack, s, 3, dtype=dtype) for s in (n, m)),
        )
        shapes = [torch.empty_like(t, device="meta") for t in given]
        graph = graph_of(function, *shapes)

        found = report(graph)
        assert not found.uncounted and not any("real tensors" in said for said in found.assumptions)
        run = function(*given)
        made = [run] if torch.is_tensor(run) else list(run)
        ours = [graph.types[v].shape for v in graph.outputs]
        assert ours == [tuple(t.shape) for t in made if t.numel()]
        assert found.total.macs > 0
        ops = ops_of(graph)
        for op, (kind, _, options) in zip(ops, (w.partition("(") for w in wanted.split(" ")), strict=True):
            assert op.startswith(f"{kind}(") and (not options or op == f"{kind}({options}")


def test_what_iterates_makes_the_work_approximate_and_nothing_else() -> None:
    found = report(graph_of(lambda a: L.svdvals(a), (6, 4)))

    marks = {
        figure: found.mark(figure) for figure in ("macs", "flops", "ops", "intensity", "traffic", "params", "peak")
    }
    assert marks == {"macs": "≈", "flops": "≈", "ops": "≈", "intensity": "≈", "traffic": "", "params": "", "peak": ""}
    assert not found.is_complete and "svd iterates until values are good enough" in " ".join(found.notes)
    assert found.to_dict()["layers"][0]["approximate"] is True
    exact = report(graph_of(lambda a: L.qr(a), (6, 4)))
    assert exact.is_complete and exact.mark("macs") == "" and "approximate" not in exact.to_dict()["layers"][0]


def test_factors_of_weights_are_made_beforehand() -> None:
    class Whitened(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.eye(4))

        def forward(self, x: Any) -> Any:
            return x @ L.svd(self.weight)[0] @ L.qr(self.weight)[0]

    found = report(trace(Whitened(), (2, 4)))
    assert found.total.macs == 2 * 2 * 4 * 4 and found.mark("macs") == ""
    assert found.total.prepared is not None and found.total.prepared.macs > 0


def test_distances_jump_where_pytorch_does() -> None:
    """Up to 25 points pair by pair, above that as one product of rows that are two longer."""
    macs = {n: report(graph_of(torch.cdist, (n, 5), (4, 5))).total.macs for n in (25, 26)}
    assert macs == {25: 0, 26: 26 * 4 * 7}
    forced = graph_of(lambda a, b: torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"), (26, 5), (4, 5))
    assert report(forced).total.macs == 0
    assert report(graph_of(torch.pdist, (26, 5))).total.ops == 3 * (26 * 25 // 2) * 5


def test_counts_of_numbers_have_as_many_places_as_are_asked_for() -> None:
    found = report(graph_of(lambda x: torch.bincount(x.long().flatten(), minlength=7), (3, 5)))
    assert found.layers[-1].output_shapes == ((7,),) and not found.uncounted and found.total.ops == 15
    assert "no number that bincount counts is beyond its minlength" in " ".join(found.assumptions)
    weighted = graph_of(lambda x, w: torch.bincount(x.long(), w, 7), (5,), (5,))
    assert weighted.types[weighted.outputs[0]].dtype == "float32"
    unsaid = report(graph_of(lambda x: torch.bincount(x.long()), torch.tensor([1.0, 4.0])))
    assert unsaid.layers[-1].output_shapes == ((5,),)  # run with the values that are there


def test_small_functions_of_matrices() -> None:
    shapes = {
        "trace": torch.trace,
        "renorm": lambda a: a.renorm(2, 0, 1.0),
        "histogram": lambda a: torch.histogram(a, 5),
    }
    for name, function in shapes.items():
        found = report(graph_of(function, (6, 4)))
        assert not found.uncounted and not found.assumptions, name
    assert report(graph_of(torch.trace, (6, 4))).total.ops == 3
