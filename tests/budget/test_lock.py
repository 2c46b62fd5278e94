"""The lock: what it keeps is enough to build the graph again, and it is not trusted when it cannot be."""

from __future__ import annotations

import json

import pytest
from throwaway import Repository

from costcalc import load
from costcalc.analysis.report import report
from costcalc.budget.lock import (
    Lock,
    LockError,
    entry,
    graph_hash,
    graph_of,
    lock_text,
    parse_lock,
    read_lock,
)
from costcalc.budget.session import lock_changes
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType

CONFIG = "version: 1\nmodels:\n  - {name: backbone, model: configs/backbone.yaml, budgets: {macs: 1 G}}\n"


def lock_of(graph: Graph) -> Lock:
    return Lock({("m", "3x8x8"): entry(graph, report(graph), "m.yaml", "3x8x8")})


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_large", "convnext_t", "densenet121", "unet", "squeezenet1_0"]
)
def test_a_locked_graph_is_built_again_with_equal_figures(name: str) -> None:
    graph = load(name)
    lock = parse_lock(lock_text(lock_of(graph)).encode(), "costcalc.lock")
    again = graph_of(lock.entries["m", "3x8x8"])
    assert again is not None
    assert report(again).total == report(graph).total
    assert [n.name for n in again.nodes] == [n.name for n in graph.nodes]


def linear(names: tuple[str, str] = ("a", "b"), called: dict[str, str] | None = None, out: int = 8) -> Graph:
    b = GraphBuilder("two", {"x": TensorType((1, 8))})
    b.add(names[0], find_op("linear")(8), ["x"])
    b.add(names[1], find_op("linear")(out), [names[0]], called=called)
    return b.build([names[1]])


def test_the_hash_is_of_what_is_computed_not_of_names() -> None:
    assert graph_hash(linear()) == graph_hash(linear(("first", "second")))
    others = [linear(out=9), linear(called={"weight": "a.weight"}), linear(called={"bias": "a.bias"})]
    assert len({graph_hash(g) for g in [linear(), *others]}) == 4


def test_a_shared_weight_is_shared_again() -> None:
    graph = linear(called={"weight": "a.weight"})
    again = graph_of(lock_of(graph).entries["m", "3x8x8"])
    assert again is not None and report(again).total.params == 8 * 8 + 8 + 8


def test_a_layer_is_a_line_so_that_reviews_can_read_it() -> None:
    text = lock_text(lock_of(linear()))
    (line,) = [line for line in text.splitlines() if '"name": "b"' in line]
    row = json.loads(line.strip().rstrip(","))
    assert row == {"name": "b", "op": "linear(8)", "from": ["a"], "to": "8", "macs": 64, "params": 72,
                   "traffic": (8 + 8 + 72) * 32}  # fmt: skip


def test_a_figure_that_an_older_lock_does_not_have_was_not_zero() -> None:
    ((key, now),) = lock_of(linear()).entries.items()
    was = now._replace(figures={name: value for name, value in now.figures.items() if name != "layers"})
    assert lock_changes(Lock({key: was}), Lock({key: now})) == ["m at 3x8x8: layers – → 2"]


def test_what_is_written_is_read_again_and_written_the_same() -> None:
    text = lock_text(lock_of(load("lenet5")))
    assert lock_text(parse_lock(text.encode(), "x")) == text
    assert lock_text(parse_lock(lock_text(Lock({})).encode(), "x")) == lock_text(Lock({}))


def damaged(old: str, new: str) -> bytes:
    text = lock_text(lock_of(linear()))
    assert old in text
    return text.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (damaged('"macs": 64', '"macs": 63'), ": the lock was edited by hand, so that its checksum does not hold"),
        (damaged('"version": 1', '"version": 2'), ": the lock has version 2 and this costcalc"),
        (damaged('"version": 1', '"version": "x"'), ": the lock has version x and this costcalc"),
        (damaged('{\n "version"', '<<<<<<< ours\n{\n "version"'), ":1: the lock has the marks of a merge conflict"),
        (damaged(',\n "sha256"', ',\n<<<<<<< ours\n "sha256"'), ":4: the lock has the marks of a merge conflict"),
        (damaged('"version": 1', '"version" 1'), ":2:12: this is not a lock of costcalc: it is not JSON"),
        (b"", ":1:1: this is not a lock of costcalc"),
        (b"[]", ": this is not a lock of costcalc"),
        (b"\xff\xfe", ":1:1: this is not a lock of costcalc"),
        (b"[" * 100_000, ": this is not a lock of costcalc"),
    ],
)
def test_a_lock_that_cannot_be_trusted_is_refused_at_its_line(data: bytes, says: str) -> None:
    with pytest.raises(LockError) as error:
        parse_lock(data, "costcalc.lock")
    assert str(error.value).startswith(f"costcalc.lock{says}")
    assert error.value.exit_code == 2


def test_an_op_in_a_lock_is_data_and_never_runs(tmp_path: object) -> None:
    from pathlib import Path

    made = lock_of(linear()).entries["m", "3x8x8"]
    for op in ("linear(__import__('pathlib').Path('ran').touch())", "os.system('true')", "linear(8", "9 ** 9 ** 9"):
        rows = [{**row, "op": op} for row in made.layers]
        assert graph_of(made._replace(layers=rows)) is None
    assert not Path("ran").exists()


def test_a_lock_of_other_rules_or_ops_is_no_graph() -> None:
    made = lock_of(linear()).entries["m", "3x8x8"]
    rows = [{**row, "op": "gone(1)"} for row in made.layers]
    assert graph_of(made._replace(layers=rows)) is None
    assert graph_of(made._replace(graph="sha256:0")) is None


def test_no_lock_is_none(tmp_path: object) -> None:
    assert read_lock(f"{tmp_path}/costcalc.lock") is None


def test_update_mends_a_damaged_lock_but_not_one_of_a_newer_version(repository: Repository) -> None:
    repository.write("costcalc.yaml", CONFIG)
    assert repository.run("lock") == (0, "wrote costcalc.lock: 1 measurement\n")
    assert repository.run("lock") == (0, "costcalc.lock is up to date\n")
    good = repository.read("costcalc.lock")
    repository.edit("costcalc.lock", '"sha256": "', '"sha256": "0')
    for command in (["lock"], ["check"], ["check", "--locked"]):
        assert "the lock was edited by hand" in repository.fails(*command)
    assert repository.run("lock", "--update")[0] == 0
    assert repository.read("costcalc.lock") == good
    newer = good.replace('"version": 1', '"version": 2')
    repository.write("costcalc.lock", newer)
    assert "install a newer costcalc" in repository.fails("lock", "--update")
    assert repository.read("costcalc.lock") == newer


def test_a_model_that_leaves_the_config_leaves_the_lock(repository: Repository) -> None:
    repository.write("costcalc.yaml", CONFIG + "  - {name: small, model: lenet5, budgets: {macs: 1 G}}\n")
    repository.run("lock")
    repository.write("costcalc.yaml", CONFIG)
    code, printed = repository.run("check", "--locked")
    assert code == 0 and "small is no longer in the config" in printed
    assert repository.run("lock")[0] == 1
    code, printed = repository.run("lock", "--update")
    assert code == 0 and "small: no longer in the config" in printed
    assert "small" not in repository.read("costcalc.lock")


def test_a_renamed_layer_does_not_make_a_lock_stale(repository: Repository) -> None:
    repository.write("costcalc.yaml", CONFIG)
    repository.run("lock")
    repository.edit("configs/backbone.yaml", "- head: linear(10)", "- classifier: linear(10)")
    assert repository.run("check", "--locked")[0] == 0
