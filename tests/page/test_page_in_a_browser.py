"""The page as a tool, tried in Chromium: the console is silent, and sorting, search, zoom, hover and keys work.

Skipped where Playwright or a Chromium is not installed: `pip install playwright`, and the browser of the system.
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
from costcalc.ir.tensor import TensorType
from costcalc.ops.conv import Conv

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
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
    page.wait_for_selector("[data-view=graph] svg g[role=button]")
    for view in ("roofline", "memory", "growth"):
        assert page.locator(f"[data-view={view}] svg").count() >= 1
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
    dot = page.locator("[data-view=roofline] .dot").first
    dot.hover(force=True)
    tip = page.locator("#tip").inner_text()
    assert "MACs/B" in tip and "\nMACs " in tip and "\n= " in tip
    page.locator("[data-view=roofline] svg[tabindex]").focus()
    page.keyboard.press("ArrowRight")
    assert "bound by" in page.locator("[data-view=roofline] p[aria-live]").inner_text()
    page.keyboard.press("Enter")
    assert page.locator("#inspector").is_visible() and "MACs" in page.locator("#inspector").inner_text()


def test_layers_that_do_the_same_are_one_point_with_the_time_of_all(shown: Any, file: Path) -> None:
    page = shown(file)
    report = costcalc.analyze("mobilenet_v2", machine="jetson_orin_nano", bits=8)
    alike: dict[Any, list[Any]] = {}
    for layer in report.layers:
        if layer.macs:
            alike.setdefault((layer.kind, layer.macs, layer.traffic_bits), []).append(layer)
    assert page.locator("[data-view=roofline] .dot").count() == len(alike)
    slowest = max(alike.values(), key=lambda layers: sum(layer.time.seconds for layer in layers))
    page.locator("[data-view=roofline] svg[tabindex]").focus()
    page.keyboard.press("ArrowRight")
    said = page.locator("[data-view=roofline] p[aria-live]").inner_text()
    assert said.startswith(slowest[0].name) and (len(slowest) == 1 or f"with {len(slowest) - 1} like it" in said)


def test_the_line_of_time_is_whole(shown: Any, file: Path, tmp_path: Path) -> None:
    """Whether there are few layers or thousands, of which none is as wide as a pixel."""
    deep = tmp_path / "deep.html"
    graph = costcalc.load("resnet1202")
    deep.write_text(html(costcalc.analyze(graph, machine="a100"), graph), "utf-8")
    for one in (file, deep):
        line = shown(one).locator("[data-view=roofline] svg[aria-label^='time, layer by layer']")
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
    page.wait_for_selector("[data-view=graph] svg g[role=button]")
    nameless = """all => all.filter((e) => !(e.ariaLabel || e.textContent.trim() || e.getAttribute("aria-hidden")))
      .map((e) => e.outerHTML.slice(0, 80))"""
    used = "button, a, input, [role=button], svg[role=img], [role=group], [role=treegrid], [role=region]"
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
    page.wait_for_selector("[data-view=graph] svg g[role=button]")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden() and not page.locator(".tools:visible").count()
    assert page.locator(".graph svg").evaluate("svg => svg.getBoundingClientRect().height") < 900
    pages = page.pdf(format="A4").count(b"/Type /Page\n")
    assert 3 <= pages <= 12


def test_memory_goes_from_step_to_step(shown: Any, file: Path) -> None:
    page = shown(file)
    head = page.locator("[data-view=memory] h3")
    at_peak = head.inner_text()
    assert "the peak" in at_peak
    page.locator("[data-view=memory] svg").focus()
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
    scene = page.locator("[data-view=growth] svg.scene")
    sizes = scene.locator("text").all_text_contents()
    rings = [int(text.split("×")[0]) for text in sizes if text[0].isdigit()]
    windows = {
        layer.receptive_field.size[0]
        for layer in costcalc.analyze("mobilenet_v2").layers
        if hasattr(layer.receptive_field, "size")
    }
    assert len(rings) > 3 and {*rings} <= windows and "image 224×224" in sizes
    page.locator("[data-view=growth] svg[tabindex]").focus()
    for _ in range(12):
        assert not scene.locator("text").evaluate_all(OVERLAP)
        page.keyboard.press("ArrowLeft")
    assert "pixels, every" in page.locator("[data-view=growth] p[aria-live]").inner_text()


def test_rings_are_as_high_and_wide_as_they_say(shown: Any, printed: Any, tmp_path: Path) -> None:
    """The image of kws has 49 rows of 10; a window of 18×12 is 18 high."""
    printed("report", "kws", "--output", str(tmp_path / "x.html"))
    scene = shown(tmp_path / "x.html").locator("[data-view=growth] svg.scene")
    sizes = {text for text in scene.locator("text").all_text_contents() if text[0].isdigit()}
    assert "18×12" in sizes and sizes <= {"10×4", "14×8", "18×12", "22×16", "26×20", "74×28"}
    box = scene.locator("rect.window").evaluate(
        "r => [Number(r.getAttribute('height')), Number(r.getAttribute('width'))]"
    )
    assert box[0] / box[1] == pytest.approx(18 / 12)


@pytest.mark.parametrize("model", ["hrnet_w18", "slowfast_r50_8x8"])
def test_shapes_on_edges_cover_nothing(shown: Any, printed: Any, tmp_path: Path, model: str) -> None:
    file = tmp_path / "x.html"
    printed("report", model, "--output", str(file))
    page = shown(file)
    assert page.said == []
    texts = page.locator("[data-view=graph] svg g text")
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
        boxes, said = page.locator("[data-view=graph] g[role=button]"), page.locator("#graph [role=status]")
        assert boxes.count() == 600 and said.inner_text() == f"the first 600 of {layers + 1:,} boxes"
        page.locator("#graph").get_by_role("button", name="unfold all").click()
        assert boxes.count() == after and page.said == []


def test_blocks_of_the_graph_unfold(shown: Any, file: Path) -> None:
    page = shown(file)
    boxes = page.locator("[data-view=graph] g[role=button]")
    page.locator("#graph").get_by_role("button", name="fold all", exact=True).click()
    few = boxes.count()
    page.locator("[data-view=graph] g[role=button]", has=page.locator(".closed")).first.press("Enter")
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
