"""Draws docs/report.png, the picture of a report that the README shows: ``python docs/report_picture.py``.

It needs Playwright (``pip install playwright``) and the system's Chromium. The picture holds the digest of what the
page tells, by which a test sees whether it still is what the page looks like.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import costcalc
from costcalc.backends.page.document import ASSETS
from costcalc.backends.page.report import html

PICTURE = Path(__file__).parent / "report.png"
MODEL, MACHINE, BITS = "convnext_t", "snapdragon_855_cpu", 16
WIDTH, HEIGHT = 1000, 2400
SHOWN = ("first", "treemap")
"""The sections that are seen."""


def page() -> str:
    """The page that is shown."""
    graph = costcalc.load(MODEL)
    return html(costcalc.analyze(graph, machine=MACHINE, bits=BITS), graph, costcalc.memory(graph, bits=BITS))


def told(page: str) -> str:
    """The digest of what ``page`` tells in the parts that the picture shows, and of how it looks there."""
    style, *_ = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    parts = [re.findall(rf'<section id="{name}".*?</section>', page, re.DOTALL)[0] for name in SHOWN]
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    (model,) = json.loads(data)["models"]
    rows = {name: model["rows"][name] for name in ("label", "level", "block", "kind")}
    mapped = [rows, model["rows"]["values"]["time"], model["kinds"], [figure["title"] for figure in model["figures"]]]
    scripts = [(ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in ("base", "treemap")]
    return hashlib.sha256("".join([style, *parts, json.dumps(mapped), *scripts]).encode()).hexdigest()


def with_text(png: bytes, name: str, text: str) -> bytes:
    """``png`` with a text in it, before its end."""
    chunk = b"tEXt" + name.encode() + b"\0" + text.encode()
    end = png.rindex(b"IEND") - 4
    return png[:end] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[end:]


def main() -> None:
    """Open the page, and keep what stands at its top."""
    from playwright.sync_api import sync_playwright

    text = page()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(text, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        shown.goto(file.as_uri())
        shown.wait_for_selector(".map button")
        boxes = [shown.locator(f"#{name}").bounding_box() for name in SHOWN]
        assert boxes[0] and boxes[-1]
        top, end = boxes[0]["y"] - 8, boxes[-1]["y"] + boxes[-1]["height"] + 8
        clip: Any = {"x": 0, "y": top, "width": WIDTH, "height": end - top}
        PICTURE.write_bytes(with_text(shown.screenshot(clip=clip), "costcalc", told(text)))
        browser.close()


if __name__ == "__main__":
    main()
