"""Sizes that no network has: nothing takes time in proportion to a size, and every figure stays exact."""

from __future__ import annotations

import random
import subprocess
import sys
from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import Any

import pytest

import costcalc
from costcalc.backends.escape import APART
from costcalc.cli import dispatch
from costcalc.errors import CostcalcError
from costcalc.ir import dims, footprint
from costcalc.ir.index_map import Window, ratio
from costcalc.ir.op import Op
from costcalc.ir.tensor import TensorType
from costcalc.ops.adaptive_pool import AdaptiveAvgPool
from costcalc.ops.resample import Upsample


def _analyze(folder: Path, layers: str) -> costcalc.Report:
    path = folder / "net.yaml"
    path.write_text(f"inputs: {{image: [3, 8, 8]}}\nlayers:\n{layers}", encoding="utf-8")
    return costcalc.analyze(str(path))


@pytest.mark.parametrize("layer", ["upsample(10**30)", "upsample(size=10**30)", "adaptive_avg_pool(10**30)"])
def test_a_map_of_ten_to_the_thirty_is_analysed_at_once_and_exactly(tmp_path: Path, layer: str) -> None:
    report = _analyze(tmp_path, f"  - {layer}\n  - conv(5, 1, bias=False)\n")
    side = 8 * 10**30 if layer == "upsample(10**30)" else 10**30
    assert report.total.macs == side**2 * 3 * 5


def test_resizing_by_primes_one_after_the_other_is_analysed_at_once(tmp_path: Path) -> None:
    sizes = (9973, 10007, 9967, 10009, 1009)  # together the pattern repeats after 10¹⁹ outputs
    report = _analyze(tmp_path, "".join(f"  - upsample(size={size})\n" for size in sizes))
    assert report.layers[-1].receptive_field is not None


def test_the_size_of_a_window_is_the_most_that_any_output_sees() -> None:
    chance = random.Random(1)
    for _ in range(2000):
        stride, lo = ratio(chance.randint(0, 40), chance.randint(1, 12)), ratio(chance.randint(-60, 60), 8)
        hi = lo + ratio(chance.randint(0, 60), chance.randint(1, 8))
        # Output o sees the whole numbers from stride·o + lo to stride·o + hi.
        seen = [(stride * o + hi) // 1 + (-stride * o - lo) // 1 + 1 for o in range(Fraction(stride).denominator)]
        assert Window(stride, lo, hi).size == max(seen)


def test_a_long_pattern_has_the_window_that_looking_at_all_of_its_outputs_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(2)
    for _ in range(300):
        n, m = chance.randint(1, 60), chance.randint(1, 60)
        x = TensorType((1, 1, n, n))
        ops = [
            AdaptiveAvgPool(m),
            Upsample(size=m),
            Upsample(size=m, mode="nearest-exact"),
            Upsample(size=m, mode="bilinear", align_corners=chance.random() < 0.5),
            Upsample(size=m, mode="bicubic", align_corners=chance.random() < 0.5),
        ]

        def seen(ops: list[Op] = ops, x: TensorType = x, m: int = m) -> list[Any]:
            maps = [a for op in ops for axes in op.index_maps(x, y=op.infer(x)) for a in axes]  # type: ignore[union-attr]
            return [a and a._replace(sees=a.sees and tuple(map(a.sees, range(m)))) for a in maps]  # type: ignore[union-attr]

        all_of_them = seen()
        with monkeypatch.context() as patch:
            patch.setattr("costcalc.ir.index_map.MOST_SAMPLED", 0)
            assert seen() == all_of_them


def test_a_tensor_of_as_many_axes_as_there_may_be_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"inputs: {{x: [{', '.join(['3'] * 16)}]}}\nlayers: [relu]\n", encoding="utf-8")
    assert dispatch.outcome(["explain", str(path), "relu"]) == 0
    assert f"{3**16:,}" in capsys.readouterr().out


@pytest.mark.parametrize("format", ["json", "csv", "markdown", "table"])
def test_figures_of_thousands_of_digits_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"inputs: {{x: [{', '.join(['10**300'] * 16)}]}}\nlayers: [relu]\n", encoding="utf-8")
    assert dispatch.outcome(["analyze", str(path), "--format", format]) == 0
    printed = capsys.readouterr().out.replace(APART, "")  # which keeps a page from taking digits for a commit
    assert ("1" + "0" * 4800 if format in ("json", "csv") else "1.00e4800") in printed


def test_a_budget_crossed_by_more_than_a_float_can_say_is_crossed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("inputs: {x: [10**300, 10**300]}\nlayers: [linear(10**300)]\n", encoding="utf-8")
    assert dispatch.outcome(["check", str(path), "--max", "macs=1"]) == 1
    assert "(+1.00e902 %)" in capsys.readouterr().out


def test_a_long_chain_of_variants_is_refused_at_once(tmp_path: Path) -> None:
    chain = ", ".join(f"v{i}: {{like: v{i + 1}}}" for i in range(20_000))
    path = tmp_path / "net.yaml"
    path.write_text(f"inputs: {{x: [3]}}\nvariants: {{{chain}, v20000: {{}}}}\nlayers: [relu]\n", encoding="utf-8")
    with pytest.raises(CostcalcError, match="variants are like each other more than 100 deep"):
        costcalc.load(str(path))


def test_what_windows_touch_takes_no_time_in_proportion_to_a_dilation_or_a_kernel(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "inputs: {image: [1, 2000000000]}\nlayers:\n  - conv(3, 3, padding=10**9, dilation=10**9)\n"
        "  - conv_transpose(3, 3, padding=10**9, dilation=10**9)\n",
        encoding="utf-8",
    )
    done = child("analyze", str(path))
    assert done.returncode == 0, done.stderr


def test_what_windows_touch_where_nothing_is_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CostcalcError, match="only worked out where stride, dilation, kernel or windows"):
        _analyze(tmp_path, "  - conv(3, 10**6, stride=10**9 + 7, dilation=10**9, padding=10**16)\n")


def test_what_windows_touch_is_what_loops_count() -> None:
    chance = random.Random(5)
    for _ in range(3000):
        k, s, d, size = (chance.randint(1, most) for most in (9, 9, 9, 40))
        b, a = chance.randint(0, 12), chance.randint(0, 12)
        room = size + a + b - d * (k - 1) - 1
        if room >= 0:
            windows = room // s + 1
            reached = {s * o + d * r - b for o in range(windows) for r in range(k)} & {*range(size)}
            assert footprint.touched(size, windows, k, s, d, b, a) == len(reached)
        made = (size - 1) * s + d * (k - 1) + 1 - b - a
        if made > 0:
            on = [sum(0 <= s * i + d * r - b < made for r in range(k)) for i in range(size)]
            assert footprint.laying(size, made, k, s, d, b, a) == sum(map(bool, on))
            if b or not a:
                assert footprint.taps_laid(size, made, k, s, d, b) == sum(on)


def test_taps_of_patches_as_wide_as_a_map_of_billions_are_counted_at_once() -> None:
    assert footprint.taps_laid(10**9, 10**9, 10**9 + 1, 1, before=5 * 10**8) == 10**9 * (10**9 + 1) - 2 * sum_up_to(
        5 * 10**8
    )


def sum_up_to(n: int) -> int:
    """1 + 2 + … + n."""
    return n * (n + 1) // 2


def test_a_long_chain_of_resizing_is_told_place_by_place_where_fractions_would_take_long(tmp_path: Path) -> None:
    report = _analyze(tmp_path, "".join(f"  - upsample(size={n}, mode=bilinear)\n" for n in range(1001, 1401, 2)))
    assert report.layers[5].receptive_field not in (None, "unknown")
    # By exact fractions, each of the 1,399 places followed back through 200 resizings: at most 4 pixels.
    assert report.layers[-1].receptive_field.size == (4, 4)  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1_000_000_007, 735_134_400])
def test_a_closed_form_over_the_divisors_of_a_large_number_is_refused_at_once(tmp_path: Path, size: int) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(f"inputs: {{x: [1, 9, 9]}}\nlayers:\n  - adaptive_avg_pool({size})\n", encoding="utf-8")
    done = child("formula", str(path), "--symbols", "height")
    assert (done.returncode, "greatest common divisor" in done.stderr) == (2, True)


def test_the_divisors_of_a_number_are_those_that_trying_finds() -> None:
    for n in range(1, 400):
        assert dims.divisors(n) == {
            d: sum(gcd(i, d) == 1 for i in range(1, d + 1)) for d in range(1, n + 1) if n % d == 0
        }


def child(*args: str, seconds: int = 20, gigabytes: int = 3) -> subprocess.CompletedProcess[str]:
    """What a command does within so many seconds of CPU: far above what it takes, below what it took."""
    resource = pytest.importorskip("resource")

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (gigabytes << 30, gigabytes << 30))

    command = [sys.executable, "-m", "costcalc", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=bounded)
