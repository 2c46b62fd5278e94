"""What fits a screen: long tables are folded on a terminal and nowhere else, and what is left out is said."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable

import pytest
from terminal import COMMAND, ROOT, clean

from costcalc import analyze
from costcalc.backends.folding import Folds, folds_that_fit
from costcalc.backends.report.table import table
from costcalc.backends.rows import TableOptions, tree

Printed = Callable[..., str]


def on_terminal(lines: int, columns: int, *args: str, **environment: str) -> list[str]:
    """What ``costcalc args`` shows on a terminal of that size, a line each, without colours."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *args],
        cwd=ROOT,
        env=clean({"TERM": "xterm", **environment}),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    parts = []
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that nobody writes any more
            break
        if not part:
            break
        parts.append(part)
    os.close(master)
    assert process.wait() == 0
    text = b"".join(parts).decode().replace("\r\n", "\n")
    assert ("\x1b[" in text) is ("NO_COLOR" not in environment)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", text)
    # On a slow machine a line says what is being done, and is written over: what stands is after the last \\r.
    return [line.rpartition("\r")[2] for line in shown.removesuffix("\n").split("\n")]


@pytest.mark.parametrize(("lines", "columns"), [(24, 80), (50, 80), (40, 200)])
def test_a_long_model_fits_the_terminal(lines: int, columns: int) -> None:
    shown = on_terminal(lines, columns, "analyze", "resnet50")
    assert len(shown) < lines and max(map(len, shown)) <= columns
    assert any("--all shows all 175 layers" in line for line in shown)
    assert any(line.startswith("total") and "175 layers" in line for line in shown)


def test_all_is_all_and_a_depth_is_that_depth() -> None:
    assert len(on_terminal(24, 80, "analyze", "resnet50", "--all", NO_COLOR="1")) > 175
    deep = on_terminal(24, 80, "analyze", "resnet50", "--depth", "2")
    assert len(deep) > 24 and not any("folded" in line for line in deep)


def test_nothing_is_folded_for_a_pipe_a_file_or_a_program(printed: Printed) -> None:
    text = printed("analyze", "resnet50")
    assert "folded" not in text and len(text.splitlines()) > 175
    assert "folded" not in str(analyze("resnet50"))


def drawn(name: str, lines: int, **options: object) -> list[str]:
    return table(analyze(name), TableOptions(lines=lines, **options)).splitlines()  # type: ignore[arg-type]


SOME = ["resnet50", "mobilenet", "alexnet", "inception_v3", "swin_t", "lenet5", "retinanet_resnet50_fpn"]


@pytest.mark.parametrize("lines", [24, 30, 40, 60, 120])
@pytest.mark.parametrize("name", SOME)
def test_any_model_fits_any_screen_or_has_five_rows(name: str, lines: int) -> None:
    shown = drawn(name, lines)
    rules = [i for i, line in enumerate(shown) if line.startswith("──")]
    assert len(shown) < lines or rules[1] - rules[0] - 1 <= 6


@pytest.mark.parametrize("rows", range(1, 60, 4))
@pytest.mark.parametrize("name", ["resnet18", "mobilenet", "alexnet", "densenet121", "googlenet"])
def test_folded_rows_add_up_and_hold_each_layer_once(name: str, rows: int) -> None:
    report = analyze(name)
    folds = folds_that_fit(report, report.layers, rows)
    found = tree(report, TableOptions(), folds)
    body = [row for row in found if row.role in ("layer", "block", "rest")]
    assert len([row for row in found if row.role not in ("shared", "total")]) <= max(rows, 1)
    assert sum(row.figures.macs for row in body) == report.total.macs
    assert sum(getattr(row.figures, "layers", 1) for row in body) == len(report.layers)
    assert sum(row.figures.storage_bits for row in found if row.role not in ("heading", "total")) == (
        report.total.storage_bits
    )


def test_the_dearest_blocks_are_opened_first() -> None:
    report = analyze("resnet50")
    folds = folds_that_fit(report, report.layers, 16)
    assert "layer3" not in folds.shut and {"layer1", "layer2", "layer4", "conv1"} <= folds.shut
    assert folds_that_fit(report, report.layers, 10_000) == Folds()


def test_one_large_block_is_opened_in_part() -> None:
    report = analyze("mobilenet")
    folds = folds_that_fit(report, report.layers, 10)
    assert [*folds.part] == ["features"] and len(folds.part["features"]) == 5
    rows = tree(report, TableOptions(), folds)
    (rest,) = [row for row in rows if row.role == "rest"]
    assert rest.label == "51 other layers" and rest.level == 1
    assert rows.index(rest) == max(i for i, row in enumerate(rows) if row.name.startswith("features."))


def test_a_sorted_table_and_kinds_fit_too() -> None:
    assert len(drawn("resnet50", 24, by_kind=True)) < 24
    shown = on_terminal(24, 80, "analyze", "resnet50", "--sort", "macs")
    assert len(shown) < 24 and any("172 other layers" in line for line in shown)


def test_columns_without_room_are_named(printed: Printed) -> None:
    text = printed("analyze", "resnet50", "--machine", "a100", "--depth", "1")
    head = next(line for line in text.splitlines() if line.startswith("layer ")).split()
    (line,) = [line for line in text.splitlines() if line.startswith("no room for")]
    titles = {"kind", "output", "MACs", "params", "traffic", "RF", "time", "bound"}
    assert {"MACs", "traffic", "time", "bound"} <= {*head}, "a machine takes none of these away"
    assert {title for title in titles if title not in head} == {*re.findall(r"[A-Za-z]+", line.partition(":")[0])} - {
        "no", "room", "for"
    }  # fmt: skip
    assert "no room" not in printed("analyze", "resnet50", "--depth", "1")
    assert "no room" not in printed("analyze", "resnet50", "--machine", "a100", "--columns", "macs", "--depth", "1")


def test_a_pipe_has_every_main_column(printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    text = printed("analyze", "mobilenet", "--machine", "a100")
    head = next(line for line in text.splitlines() if line.startswith("layer "))
    for title in ("kind", "output", "MACs", "params", "traffic", "RF", "time", "of time", "bound"):
        assert f" {title}" in head
    assert "…" not in text and "no room" not in text


@pytest.mark.parametrize("line", [("compare", "resnet50", "mobilenet"), ("diff", "resnet18", "resnet34")])
def test_comparisons_and_changes_are_folded_on_a_terminal_alone(printed: Printed, line: tuple[str, ...]) -> None:
    piped = printed(*line).splitlines()
    shown = on_terminal(30, 80, *line)
    assert len(shown) < len(piped) and any("--all shows" in row for row in shown)
    whole = on_terminal(30, 80, *line, "--all", "--strict")
    assert len(whole) >= len(piped) and not any("--all shows" in row for row in whole)
