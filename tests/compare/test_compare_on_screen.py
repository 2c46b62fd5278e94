"""A comparison on the screen: one scale of bars for each figure, names that are whole where there is room, a legend."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest

from costcalc import compare
from costcalc.backends.compare import formats
from costcalc.comparison import Comparison

Printed = Callable[..., str]

EIGHTHS = {mark: i for i, mark in enumerate(" ▏▎▍▌▋▊▉█")}


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare("resnet50", "mobilenet", "convnext_t")


def bars(text: str, heading: str) -> dict[str, float]:
    """Name of a part → the length of its bar, of all models below ``heading``."""
    section = text.partition(f"\n{heading}\n")[2].partition("\n\n")[0]
    lengths = {}
    model = ""
    for line in section.splitlines():
        if not line.startswith(" "):
            model = line
        elif row := re.fullmatch(r"  (\S.*?)  +([▏▎▍▌▋▊▉█]*) +\S*%  .*", line):
            lengths[f"{model} {row[1].strip()}"] = sum(EIGHTHS[mark] / 8 for mark in row[2])
    return lengths


@pytest.mark.parametrize(("figure", "by"), [("macs", "op"), ("traffic", "op"), ("macs", "stage"), ("traffic", "stage")])
def test_bars_have_one_scale_across_models(found: Comparison, figure: str, by: str) -> None:
    text = formats.table(found)
    lengths = bars(text, f"{'MACs' if figure == 'macs' else 'traffic'} by {by}")
    amounts = {
        f"{name} {part.name}": part.amount
        for i, name in enumerate(found.names)
        for part in found.parts(i, figure, "kind" if by == "op" else by)
        if not part.is_rest
    }
    longest, most = max(lengths.values()), max(amounts.values())
    assert {*amounts} <= {*lengths} and longest >= 24
    for name, amount in amounts.items():
        assert abs(lengths[name] / longest - amount / most) <= 0.125 / longest * 1.5, name


def test_what_is_left_over_has_no_bar(found: Comparison) -> None:
    text = formats.table(found)
    rests = [line for line in text.splitlines() if re.match(r"  \d+ others ", line)]
    assert rests and not any("█" in line or "▏" in line for line in rests)


def test_bars_of_all_models_begin_below_one_another(found: Comparison) -> None:
    section = formats.table(found).partition("\nMACs by stage\n")[2].partition("\n\n")[0]
    starts = {match.start() for line in section.splitlines() if (match := re.search("[▏▎▍▌▋▊▉█]", line))}
    assert len(starts) == 1


def test_names_are_whole_where_there_is_room(found: Comparison) -> None:
    wide, narrow = formats.table(found, width=200), formats.table(found, width=60)
    assert "…" not in wide and "features.13.pointwise.act" in wide
    assert max(map(len, narrow.splitlines())) <= 60
    assert "features.1.pointwise.bn" in formats.table(compare("resnet18", "mobilenet"), width=80)


def test_a_legend_explains_the_receptive_field(found: Comparison) -> None:
    text = " ".join(formats.table(found).split())
    assert "pixels that one place of the layer below it depends on" in text


def test_csv_has_shapes_with_the_batch_and_bytes() -> None:
    found = compare("resnet18", "resnet34", batch=2)
    rows = list(csv.DictReader(io.StringIO(formats.csv(found))))
    assert [row["input"] for row in rows] == ["2x3x224x224"] * 2
    for row, report in zip(rows, found.reports, strict=True):
        assert int(row["storage_bytes"]) * 8 == int(row["storage_bits"]) == report.total.storage_bits


@pytest.mark.parametrize(
    "models", [("resnet50", "mobilenet"), ("resnet50", "mobilenet", "convnext_t"), ("lenet5", "kws")]
)
@pytest.mark.parametrize(("lines", "width"), [(24, 80), (40, 80), (60, 200), (200, 100)])
def test_a_comparison_fits_the_screen_or_says_what_it_folded(models: tuple[str, ...], lines: int, width: int) -> None:
    found = compare(*models)
    whole, text = (formats.table(found, width=width, lines=most) for most in (None, lines))
    shown = text.splitlines()
    figures = whole.splitlines().index("MACs by op")
    assert len(shown) <= max(lines, figures + 4)
    if len(whole.splitlines()) <= lines:
        assert text == whole
        return
    told = " ".join(" ".join(shown[-4:]).split())
    assert "folded to fit the screen: --all shows every part" in told
    for title in ("MACs by op", "traffic by op", "MACs by stage", "traffic by stage"):
        assert (title in shown) != (title in told)
    # What is left over is told as one, so the shares of a model still add up to 100 %.
    for section in text.split("\n\n")[2:-1]:
        for part in re.split(r"\n(?=\S)", section)[1:]:
            shares = [float(share) for share in re.findall(r"[^<](\d+\.\d)%", part)]
            assert abs(sum(shares) - 100) < 0.1 * (len(part.splitlines()) + 1), part


def test_a_comparison_is_whole_in_a_pipe_and_a_file(printed: Printed) -> None:
    assert "folded" not in printed("compare", "resnet50", "mobilenet")


def test_receptive_fields_have_one_word_everywhere(printed: Printed) -> None:
    outputs = [
        printed("analyze", "resnet18"),
        printed("compare", "resnet18", "mobilenet"),
        printed("compare", "resnet18", "mobilenet", "--format", "markdown"),
        printed("diff", "resnet18", "resnet34"),
        printed("diff", "resnet18", "resnet34", "--format", "markdown"),
        printed("compare", "resnet18", "mobilenet", "--format", "html"),
        printed("diff", "resnet18", "resnet34", "--format", "html"),
    ]
    for text in outputs:
        assert re.search(r"\bRF\b", text) and "receptive field" in text
        assert not re.search(r'^ *sees\b|\| *sees|"sees"|>sees<', text, re.MULTILINE)
