"""What has another colour stays apart for those who lack a kind of cone, on pages in both schemes and in plots.

About 1 is a difference that one just sees side by side; asked is much more, as colours lie apart in pictures.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from vision import VISIONS, Colour, contrast, distance, lab, over, rgb

import costcalc
import costcalc.backends.page

ASSETS = Path(costcalc.backends.page.__file__).parent / "assets"
CSS = (ASSETS / "page.css").read_text(encoding="utf-8")
BASE = (ASSETS / "base.js").read_text(encoding="utf-8")
APART, APART_IN_PLOTS = 10.0, 8.0
"""In plots marks have other shapes as well; of no two colours of Okabe and Ito on white is the distance 10."""


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [  # rows 1, 7, 17 and 25 of the data that Sharma, Wu and Dalal 2005 publish for checking
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_the_distance_is_the_published_one(one: Colour, other: Colour, wanted: float) -> None:
    assert distance(one, other) == pytest.approx(wanted, abs=1e-4)


def test_who_lacks_a_cone_does_not_see_what_others_see() -> None:
    """A blue and a violet that pages once had are one colour with deuteranopia, a blue and a green with tritanopia."""
    for one, other, vision in (("#56a0e8", "#8f93e6", "deuteranopia"), ("#4fc08d", "#66c7d6", "tritanopia")):
        assert distance(lab(rgb(one)), lab(rgb(other))) > 9
        assert distance(lab(rgb(one), vision), lab(rgb(other), vision)) < 6


def closest(colours: dict[str, Colour]) -> tuple[float, str]:
    """Of all pairs, as each vision sees them, the distance of the closest, and which they are."""
    return min(
        (distance(lab(colours[a], vision), lab(colours[b], vision)), f"{a} and {b} with {vision}")
        for vision in VISIONS
        for a, b in combinations(colours, 2)
    )


def scheme(dark: bool) -> dict[str, str]:
    """The page's colours by their names, as the style sheet has them."""
    blocks = re.findall(r":root \{([^}]*)\}", CSS)
    found = dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)\b", blocks[0]))
    return found | (dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)\b", blocks[1])) if dark else {})


def inks() -> dict[str, Colour]:
    """The colours of kinds of layers."""
    listed = re.search(r"const INK = \[(.*?)\];\nconst OTHER = \"(#[0-9a-f]+)\"", BASE)
    assert listed is not None
    names = [*re.findall(r"#[0-9a-f]{6}", listed[1]), listed[2]]
    return {name: rgb(name) for name in names}


@pytest.mark.parametrize("dark", [False, True])
def test_kinds_of_layers_stay_apart_on_pages(dark: bool) -> None:
    card = rgb(scheme(dark)["card"])
    (opacity,) = re.findall(r'"fill-opacity": ([\d.]+)', (ASSETS / "roofline.js").read_text(encoding="utf-8"))
    for part in (1.0, float(opacity)):  # of a treemap, and of a point of a roofline
        drawn = {name: over(colour, part, card) for name, colour in inks().items()}
        assert len(drawn) == 9
        found, which = closest(drawn)
        assert found >= APART, which
    letters = re.search(r"color: (#[0-9a-f]{6});\n  display: flex", CSS)
    assert letters is not None  # those of treemaps
    assert min(contrast(rgb(letters[1]), colour) for colour in inks().values()) >= 4.5


@pytest.mark.parametrize("dark", [False, True])
def test_what_words_and_bars_mean_stays_apart_on_pages(dark: bool) -> None:
    found = {name: rgb(text) for name, text in scheme(dark).items()}
    # What is bound by memory or arithmetic; more, less and the ends of a waterfall; who lives at the peak.
    for names in (("memory", "accent"), ("memory", "accent", "soft"), ("memory", "bar")):
        distance_of, which = closest({name: found[name] for name in names})
        assert distance_of >= APART, which
    for name in ("ink", "soft", "accent", "memory", "good"):  # each is the colour of words, on these grounds
        for ground in ("page", "card", "fill"):
            assert contrast(found[name], found[ground]) >= 4.5, (name, ground)


def drawn_in(figure: Any) -> dict[str, Colour]:
    """The colours of a figure that stand for something, as they look on white."""
    from matplotlib.colors import to_rgba

    found = {}
    axes = figure.axes[0]
    faces = [patch.get_facecolor() for patch in axes.patches]
    faces += [face for drawn in axes.collections for face in drawn.get_facecolor()]
    marks = []
    for line in axes.lines:
        marks.append(line.get_markeredgecolor() if line.get_linestyle() == "None" else line.get_color())
    for face in [*faces, *map(to_rgba, marks)]:
        red, green, blue, opacity = map(float, face)
        plain = max(red, green, blue) - min(red, green, blue) < 0.01  # ink, lines and white
        if opacity and not (plain and red != pytest.approx(0xBB / 255, abs=0.01)):
            found[f"{face}"] = over((red, green, blue), opacity, (1.0, 1.0, 1.0))
    return found


@pytest.mark.parametrize(
    "picture", ["roofline", "treemap", "memory", "lives", "receptive field", "waterfall", "pareto"]
)
def test_plots_stay_apart(picture: str) -> None:
    pytest.importorskip("matplotlib")
    made: dict[str, Any] = {
        "roofline": lambda: costcalc.analyze("efficientnet_b0", machine="a100", bits=16).plot.roofline(),
        "treemap": lambda: costcalc.analyze("convnext_t", machine="a100", bits=16).plot.treemap("time"),
        "memory": lambda: costcalc.memory("mobilenet_v2", engine="tflm", bits=8).plot.memory(),
        "lives": lambda: costcalc.memory("densenet121").plot.memory(),
        "receptive field": lambda: costcalc.compare(
            "resnet18", "resnet34", "resnet50", "densenet121", "vgg16", "mobilenet"
        ).plot.receptive_field(),
        "waterfall": lambda: costcalc.diff("resnet50", "mobilenet_v2").plot.waterfall("params"),
        "pareto": lambda: costcalc.compare("resnet18", "resnet50", "vgg16").plot.pareto(),
    }
    colours = drawn_in(made[picture]())
    assert len(colours) >= 2
    found, which = closest(colours)
    assert found >= APART_IN_PLOTS, which
