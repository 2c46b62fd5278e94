"""The page as a tool, tried in Chromium: the console is silent, and sorting, search, zoom, hover and keys work.

Skipped, and said so, where there is no Chromium: neither the system's nor that of `playwright install chromium`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import costcalc
import costcalc.machines
from costcalc.analysis.report import report as analysed
from costcalc.backends.page.report import html
from costcalc.ir.graph import Graph, GraphBuilder
from costcalc.ir.op import find_op
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        if CHROMIUM is None and not Path(started.chromium.executable_path).exists():
            pytest.skip("there is no Chromium here to open pages in: install one, or `playwright install chromium`")
        found = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield found
        found.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = costcalc.load("mobilenet_v2")
    path = tmp_path_factory.mktemp("page") / "mobilenet_v2.html"
    report = costcalc.analyze(graph, machine="jetson_orin_nano", bits=8)
    path.write_text(html(report, graph, costcalc.memory(graph, engine="tflm", bits=8), "costcalc report"), "utf-8")
    return path


@pytest.fixture
def shown(browser: Any) -> Iterator[Callable[..., Any]]:
    contexts = []

    def of(file: Path, width: int = 1600, scheme: str = "light", **context: Any) -> Any:
        made = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **context)
        contexts.append(made)
        page = made.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: page.said.append(f"dialog {dialog.message}"))
        page.on("request", lambda r: page.said.append(r.url) if r.url != file.as_uri() else None)
        page.goto(file.as_uri())
        return page

    yield of
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1600])
def test_it_says_and_fetches_nothing_and_fits(shown: Any, file: Path, width: int, scheme: str) -> None:
    page = shown(file, width, scheme)
    page.wait_for_selector(".map button")
    page.wait_for_selector("[data-drawing=graph] svg g[role=button]")
    for view in ("roofline", "memory", "growth"):
        assert page.locator(f"[data-drawing={view}] svg").count() >= 1
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def rows(page: Any) -> list[str]:
    return page.locator("#layers tbody td:first-child").evaluate_all("cells => cells.map(c => c.title)")


def test_layers_are_sorted_and_searched(shown: Any, file: Path) -> None:
    report = costcalc.analyze("mobilenet_v2", machine="jetson_orin_nano", bits=8)
    page = shown(file)
    page.get_by_role("button", name="layers only").click()
    page.locator("#layers th button", has_text="params").click()
    wanted = sorted((layer.params for layer in report.layers), reverse=True)
    assert [report[name].params for name in rows(page)] == wanted
    assert page.locator("#layers th[aria-sort=descending]").inner_text().startswith("params")
    page.locator("#layers th button", has_text="params").click()
    assert [report[name].params for name in rows(page)] == wanted[::-1]
    page.get_by_role("searchbox").fill("features.3 depthwise conv")
    page.wait_for_timeout(200)  # until somebody has stopped typing
    found = rows(page)
    assert found and all("features.3" in name for name in found)
    page.get_by_role("searchbox").fill("no such layer")
    page.wait_for_timeout(200)
    assert rows(page) == []


def test_the_tree_folds_by_keys_and_a_layer_tells_its_formula(shown: Any, file: Path) -> None:
    page = shown(file)
    page.locator("#layers").get_by_role("button", name="fold all", exact=True).click()
    before = rows(page)
    page.locator("#layers tbody tr[aria-expanded]").first.focus()
    page.keyboard.press("ArrowRight")
    assert len(rows(page)) > len(before)
    page.keyboard.press("ArrowLeft")
    assert rows(page) == before
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.firstChild.title") == before[-1]
    page.get_by_role("button", name="layers only").click()
    row = page.locator("#layers tbody tr", has_text="features.1.depthwise.conv").first
    row.focus()
    row.press("Enter")
    told = page.locator("#inspector").inner_text()
    assert "features.1.depthwise.conv" in told and "MACs" in told and "= 3,612,672" in told  # 32·3·3 · 112·112
    page.keyboard.press("Escape")
    assert page.locator("#inspector").is_hidden()


def test_the_treemap_switches_and_zooms(shown: Any, file: Path) -> None:
    page = shown(file)
    names = "cells => cells.map(c => c.getAttribute('aria-label'))"
    page.get_by_role("group", name="figure of the treemap").get_by_role("button", name="params").click()
    whole = page.locator(".map button").evaluate_all(names)
    assert any(name.startswith("classifier") and "1.28 M" in name for name in whole)
    page.locator(".map button.group").first.click(position={"x": 4, "y": 4})
    inside = page.locator(".map button").evaluate_all(names)
    assert inside and all(name.startswith("features.") for name in inside)
    page.keyboard.press("Escape")
    assert page.locator(".map button").evaluate_all(names) == whole


def test_points_tell_what_they_are(shown: Any, file: Path) -> None:
    page = shown(file)
    dot = page.locator("[data-drawing=roofline] .dot").first
    dot.hover(force=True)
    tip = page.locator("#tip").inner_text()
    assert "MACs/B" in tip and "\nMACs " in tip and "\n= " in tip
    page.locator("[data-drawing=roofline] svg[aria-label^=Roofline]").focus()
    page.keyboard.press("ArrowRight")
    assert "bound by" in page.locator("[data-drawing=roofline] p[aria-live]").inner_text()
    page.keyboard.press("Enter")
    assert page.locator("#inspector").is_visible() and "MACs" in page.locator("#inspector").inner_text()


def test_the_line_of_time_is_gone_through_by_keys(shown: Any, file: Path) -> None:
    page = shown(file)
    report = costcalc.analyze("mobilenet_v2", machine="jetson_orin_nano", bits=8)
    timed = [layer for layer in report.layers if layer.time.seconds]
    said = page.locator("[data-drawing=roofline] p[aria-live]")
    page.locator("[data-drawing=roofline] svg[aria-label^='time']").focus()
    page.keyboard.press("ArrowRight")
    assert said.inner_text().startswith(timed[0].name)
    page.keyboard.press("End")
    assert said.inner_text().startswith(timed[-1].name)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#inspector h2").inner_text() == timed[-2].name


def test_layers_that_do_the_same_are_one_point_with_the_time_of_all(shown: Any, file: Path) -> None:
    page = shown(file)
    report = costcalc.analyze("mobilenet_v2", machine="jetson_orin_nano", bits=8)
    alike: dict[Any, list[Any]] = {}
    for layer in report.layers:
        if layer.macs:
            alike.setdefault((layer.kind, layer.macs, layer.traffic_bits), []).append(layer)
    assert page.locator("[data-drawing=roofline] .dot").count() == len(alike)
    slowest = max(alike.values(), key=lambda layers: sum(layer.time.seconds for layer in layers))
    page.locator("[data-drawing=roofline] svg[aria-label^=Roofline]").focus()
    page.keyboard.press("ArrowRight")
    said = page.locator("[data-drawing=roofline] p[aria-live]").inner_text()
    assert said.startswith(slowest[0].name) and (len(slowest) == 1 or f"with {len(slowest) - 1} like it" in said)


def test_the_line_of_time_is_whole(shown: Any, file: Path, tmp_path: Path) -> None:
    """Whether there are few layers or thousands, of which none is as wide as a pixel."""
    deep = tmp_path / "deep.html"
    graph = costcalc.load("resnet1202")
    deep.write_text(html(costcalc.analyze(graph, machine="a100"), graph), "utf-8")
    for one in (file, deep):
        line = shown(one).locator("[data-drawing=roofline] svg[aria-label^='time, layer by layer']")
        wide = line.locator("rect").evaluate_all("all => all.reduce((s, r) => s + Number(r.getAttribute('width')), 0)")
        assert wide == pytest.approx(int(line.get_attribute("viewBox").split()[2]), rel=0.06)


def test_the_treemap_of_memory_is_what_lives_at_the_peak(shown: Any, file: Path) -> None:
    page = shown(file)
    page.get_by_role("group", name="figure of the treemap").get_by_role("button", name="memory at the peak").click()
    memory = costcalc.memory("mobilenet_v2", engine="tflm", bits=8)
    names = page.locator(".map button:not(.group)").evaluate_all("cells => cells.map(c => c.ariaLabel.split(',')[0])")
    alive = {t.name.partition(" ")[0] for t in memory.alive(memory.peak_step)} - {"image"}
    assert {*names} == alive


def test_everything_that_can_be_used_has_a_name_and_headings_are_in_order(shown: Any, file: Path) -> None:
    """For those who hear the page: what has no words has a label, what can be pressed is reached by Tab."""
    page = shown(file)
    page.wait_for_selector("[data-drawing=graph] svg g[role=button]")
    nameless = """all => all.filter((e) => !(e.ariaLabel || e.textContent.trim() || e.getAttribute("aria-hidden")))
      .map((e) => e.outerHTML.slice(0, 80))"""
    used = "button, a, input, [role=button], svg[role], [role=group], [role=treegrid], [role=region]"
    assert page.locator(used).evaluate_all(nameless) == []
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("#layers [role=treegrid] [role=row][aria-level]").count() > 5
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().split('\\n')[0]"))
    assert reached[:3] == ["Overview", "Where to look first", "Treemap"] and "MACs" in reached[9:]


def heard(page: Any) -> list[tuple[str, str, bool]]:
    """The page as Chromium gives it to a screen reader: role, name, and whether keys get there."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    found = []
    for node in nodes:
        if not node.get("ignored"):
            focus = any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", ()))
            found.append((node["role"]["value"], node.get("name", {}).get("value", ""), focus))
    return found


@pytest.mark.parametrize("width", [390, 1600])
def test_a_screen_reader_is_told_what_everything_is(shown: Any, file: Path, width: int) -> None:
    page = shown(file, width)
    page.wait_for_selector("[data-drawing=graph] svg g[role=button]")
    tree = heard(page)
    assert [one for one in tree if one[2] and (not one[1] or one[0] in ("generic", "none"))] == []
    assert [one for one in tree if one[0] in ("image", "application") and not one[1]] == []
    by_role: dict[str, list[str]] = {}
    for role, name, _ in tree:
        by_role.setdefault(role, []).append(name)
    charts = " ".join(by_role["application"])
    assert all(word in charts for word in ("Roofline", "time, layer by layer", "memory step", "receptive field"))
    assert by_role["treegrid"] == ["layers of mobilenet_v2"] and by_role["navigation"] == ["sections"]
    assert {"graph of mobilenet_v2", "treemap of mobilenet_v2"} <= {*by_role["group"]}
    assert {"layer", "MACs", "params", "time"} <= {*by_role["columnheader"]}
    assert any(name.startswith("features, block") or "unfold" in name for name in by_role["button"])


def test_a_phone_tells_within_two_screens_which_three_layers_to_change_and_why(shown: Any, tmp_path: Path) -> None:
    graph = costcalc.load("convnext_t")
    report = costcalc.analyze(graph, machine="snapdragon_855_cpu", bits=16)
    file = tmp_path / "x.html"
    file.write_text(html(report, graph, costcalc.memory(graph, bits=16)), "utf-8")
    page = shown(file, 390)
    for context in (page, shown(file, 390, java_script_enabled=False)):
        items = context.locator("#first ol > li")
        assert items.count() == 3
        for i in range(3):
            box = items.nth(i).bounding_box()
            assert box["y"] + box["height"] <= 2 * 844 and box["x"] + box["width"] <= 390
            said = items.nth(i).inner_text()
            assert "bound by arithmetic" in said and "less" in said and "of the model's time" in said


def test_focus_returns_to_where_a_layer_was_opened(shown: Any, file: Path) -> None:
    page = shown(file)
    link = page.locator("#first a[data-layer]").first
    link.focus()
    link.press("Enter")
    assert page.locator("#inspector").is_visible()
    page.keyboard.press("Escape")
    assert link.evaluate("link => document.activeElement === link")


def test_it_prints(shown: Any, file: Path) -> None:
    page = shown(file)
    page.wait_for_selector("[data-drawing=graph] svg g[role=button]")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden() and not page.locator(".tools:visible").count()
    assert page.locator(".graph svg").evaluate("svg => svg.getBoundingClientRect().height") < 900
    pages = page.pdf(format="A4").count(b"/Type /Page\n")
    assert 3 <= pages <= 12


def test_memory_goes_from_step_to_step(shown: Any, file: Path) -> None:
    page = shown(file)
    head = page.locator("[data-drawing=memory] h3")
    at_peak = head.inner_text()
    assert "the peak" in at_peak
    page.locator("[data-drawing=memory] svg").focus()
    page.keyboard.press("ArrowRight")
    assert head.inner_text() != at_peak
    page.keyboard.press("Home")
    assert head.inner_text() == at_peak


OVERLAP = """texts => {
  const boxes = texts.map((t) => t.getBoundingClientRect());
  return boxes.some((a, i) => boxes.some((b, k) => k > i && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 2));
}"""


def test_rings_over_the_image_grow_and_their_sizes_do_not_overlap(shown: Any, file: Path) -> None:
    page = shown(file)
    scene = page.locator("[data-drawing=growth] svg.scene")
    sizes = scene.locator("text").all_text_contents()
    rings = [int(text.split("×")[0]) for text in sizes if text[0].isdigit()]
    windows = {
        layer.receptive_field.size[0]
        for layer in costcalc.analyze("mobilenet_v2").layers
        if hasattr(layer.receptive_field, "size")
    }
    assert len(rings) > 3 and {*rings} <= windows and "image 224×224" in sizes
    page.locator("[data-drawing=growth] svg[tabindex]").focus()
    for _ in range(12):
        assert not scene.locator("text").evaluate_all(OVERLAP)
        page.keyboard.press("ArrowLeft")
    assert "pixels, every" in page.locator("[data-drawing=growth] p[aria-live]").inner_text()


def test_axes_that_grow_otherwise_have_their_lines_over_something_to_see(
    shown: Any, printed: Any, tmp_path: Path
) -> None:
    for model, lines, strips, noun in (("kws", 2, 0, "image"), ("resnet18", 1, 0, "image"), ("c3d", 2, 1, "input")):
        printed("report", model, "--output", str(tmp_path / "x.html"))
        view = shown(tmp_path / "x.html").locator("[data-drawing=growth]")
        assert view.locator("svg[aria-label^='receptive'] path.grew").count() == lines
        assert view.locator(".legend li").count() == (lines if lines > 1 else 0)
        assert view.locator("svg.scene").count() == 1 + strips and view.locator(".scenery").count() == 2
        assert noun in view.locator("svg.scene").first.text_content()


def test_rings_are_as_high_and_wide_as_they_say(shown: Any, printed: Any, tmp_path: Path) -> None:
    """The image of kws has 49 rows of 10; a window of 18×12 is 18 high."""
    printed("report", "kws", "--output", str(tmp_path / "x.html"))
    scene = shown(tmp_path / "x.html").locator("[data-drawing=growth] svg.scene")
    sizes = {text for text in scene.locator("text").all_text_contents() if text[0].isdigit()}
    assert "18×12" in sizes and sizes <= {"10×4", "14×8", "18×12", "22×16", "26×20", "74×28"}
    box = scene.locator("rect.window").evaluate(
        "r => [Number(r.getAttribute('height')), Number(r.getAttribute('width'))]"
    )
    assert box[0] / box[1] == pytest.approx(18 / 12)


def strange() -> dict[str, Graph]:
    """Models of which something is missing, or long."""
    long = "a_branch_whose_name_is_very_long_and_tells_everything_that_there_is_to_tell_of_it_"

    def of(name: str, shape: tuple[int, ...], *ops: Any, called: str = "layer") -> Graph:
        builder, value = GraphBuilder(name, {"x": TensorType((1, *shape))}), "x"
        for i, op in enumerate(ops):
            (value, *_) = builder.add(f"{called}{i}", op, [value])
        return builder.build([value])

    relu, linear, uncounted = (
        find_op("relu")(),
        find_op("linear")(4),
        find_op("uncounted")("airy", ((1, 4, 8, 8),), ("float32",)),
    )
    branches = GraphBuilder("branches", {"x": TensorType((1, 3, 16, 16))})
    ends = [branches.add(f"stem.{long}{i}.conv", Conv(4, 3), ["x"])[0] for i in range(24)]
    (end,) = branches.add("stem.join", find_op("concat")(), ends)
    return {
        "one layer": of("one", (3, 8, 8), Conv(4, 3)),
        "nothing multiplied": of("relu", (3, 8, 8), relu),
        "no convolution": of("mlp", (8,), linear, relu, linear),
        "uncounted": of("uncounted", (3, 8, 8), Conv(4, 3, padding=1), uncounted, relu),
        "one axis": of("sound", (2, 256), Conv(4, 9, stride=2), relu, Conv(4, 9, stride=2)),
        "three axes": of("video", (2, 8, 16, 24), Conv(4, 3, padding=1), relu, Conv(4, 3, padding=1)),
        "long names": branches.build([end]),
    }


@pytest.mark.parametrize("name", strange())
def test_models_of_every_kind_have_a_page_that_fits(shown: Any, tmp_path: Path, name: str) -> None:
    graph = strange()[name]
    file = tmp_path / "x.html"
    for machine in (None, "a100"):
        report = costcalc.analyze(graph, machine=machine, energy=machine and "horowitz_45nm")
        file.write_text(html(report, graph, costcalc.memory(graph)), "utf-8")
        for width, scheme in ((390, "dark"), (1600, "light")):
            page = shown(file, width, scheme)
            page.wait_for_selector("[data-drawing=graph] svg g[role=button]")
            assert page.said == [] and page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            for box in page.locator("[data-drawing=graph] g[role=button]").all():
                wide = box.locator("text").first.evaluate("text => text.getComputedTextLength()")
                assert wide <= 200  # as wide as a box
            shapes = page.locator("[data-drawing=graph] svg > g:not([role]) text").all_text_contents()
            first = "×".join(map(str, graph.types["x"].shape[1:]))
            assert first in shapes or len(graph.nodes) > 10  # beside 24 arrows there is no room
            assert page.locator("[data-drawing=growth]").count() == (name != "no convolution")
    if name == "uncounted":
        said = page.locator("body").inner_text()
        assert page.locator("header .warn").inner_text().startswith("Not counted, no rule is known: airy")
        assert "No rule is known for airy" in said and "of the time that is counted" in said
        assert "Unknown of 2 layers" in said and "all of the image" not in said


@pytest.mark.parametrize("model", ["hrnet_w18", "slowfast_r50_8x8"])
def test_shapes_on_edges_cover_nothing(shown: Any, printed: Any, tmp_path: Path, model: str) -> None:
    file = tmp_path / "x.html"
    printed("report", model, "--output", str(file))
    page = shown(file)
    assert page.said == []
    texts = page.locator("[data-drawing=graph] svg g text")
    assert "×" in " ".join(texts.all_text_contents()) and not texts.evaluate_all(OVERLAP)


def test_what_is_compared_is_on_one_scale_and_what_is_not_is_on_its_own(
    shown: Any, printed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models of one check are no comparison: each has its whole treemap."""
    monkeypatch.chdir(tmp_path)
    Path("costcalc.yaml").write_text(
        "version: 1\nmodels:\n  - {model: vgg16, budgets: {macs: 1 G}}\n  - {model: mobilenet, budgets: {macs: 1 M}}\n"
    )
    printed("check", "--report", "x.html", code=1)
    page = shown(tmp_path / "x.html")
    filled = (
        "maps => maps.map((m) => Math.max(...[...m.children].map((b) => b.offsetLeft + b.offsetWidth)) / m.clientWidth)"
    )
    assert all(part > 0.95 for part in page.locator(".map").evaluate_all(filled)) and page.said == []
    printed("compare", "vgg16", "mobilenet", "--output", "y.html")
    parts = shown(tmp_path / "y.html").locator(".map").evaluate_all(filled)
    assert parts[0] > 0.95 and parts[1] < 0.5


def test_of_very_many_boxes_the_first_are_drawn(shown: Any, tmp_path: Path) -> None:
    """A chain without blocks, so that nothing folds: 1,000 layers, and 5,000, of which never all are."""
    for layers, after in ((1000, 1001), (5000, 4000)):
        builder = GraphBuilder("chain", {"v0": TensorType((1, 4, 4, 4))})
        for i in range(layers):
            builder.add(f"v{i + 1}", Conv(4, 1), [f"v{i}"])
        graph = builder.build([f"v{layers}"])
        file = tmp_path / "x.html"
        file.write_text(html(analysed(graph), graph), "utf-8")
        page = shown(file)
        boxes, said = page.locator("[data-drawing=graph] g[role=button]"), page.locator("#graph [role=status]")
        assert boxes.count() == 600 and said.inner_text() == f"the first 600 of {layers + 1:,} boxes"
        page.locator("#graph").get_by_role("button", name="unfold all").click()
        assert boxes.count() == after and page.said == []


def test_blocks_of_the_graph_unfold(shown: Any, file: Path) -> None:
    page = shown(file)
    boxes = page.locator("[data-drawing=graph] g[role=button]")
    page.locator("#graph").get_by_role("button", name="fold all", exact=True).click()
    few = boxes.count()
    page.locator("[data-drawing=graph] g[role=button]", has=page.locator(".closed")).first.press("Enter")
    assert boxes.count() > few
    page.locator("#graph").get_by_role("button", name="unfold all").click()
    assert boxes.count() == len(costcalc.load("mobilenet_v2").nodes) + 1


@pytest.mark.parametrize("width", [390, 1600])
@pytest.mark.parametrize("line", ["compare resnet18 mobilenet -m a100 -e eager", "diff resnet18 resnet34"])
def test_pages_of_several_models(shown: Any, printed: Any, tmp_path: Path, line: str, width: int) -> None:
    file = tmp_path / "x.html"
    printed(*line.split(), "--output", str(file))
    page = shown(file, width)
    assert page.locator(".map").count() == 2 and page.locator(".map").first.locator("button").count() > 10
    page.get_by_role("group", name="figure of the treemaps").get_by_role("button", name="params").click()
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_it_reads_without_scripts(shown: Any, file: Path) -> None:
    page = shown(file, java_script_enabled=False)
    assert page.locator("#layers table tbody tr").count() > 20
    assert page.locator("#treemap").is_hidden() and page.locator("#memory table").is_visible()


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"><b onclick=x>"]
)
def test_no_name_comes_alive_in_the_tool(shown: Any, tmp_path: Path, name: str) -> None:
    def graph() -> Graph:
        builder = GraphBuilder(name, {name: TensorType((1, 3, 8, 8))})
        builder.add(f"{name}.x", Conv(4, 3), [name])
        builder.add(f"{name}.y", Conv(4, 3), [f"{name}.x"])
        return builder.build([f"{name}.y"])

    made = graph()
    file = tmp_path / "x.html"
    machine = costcalc.machines.load_machine("a100")
    file.write_text(html(analysed(made, machine=machine), made, costcalc.memory(made), name), "utf-8")
    page = shown(file)
    page.get_by_role("button", name="unfold all").first.click()
    page.locator("#layers tbody tr").last.press("Enter")
    page.locator(".map button").last.hover()
    assert page.said == [] and page.locator("main img, main b[onclick]").count() == 0
