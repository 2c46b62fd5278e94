"""The page itself: head, policy, sections, data and scripts. All names pass the escaper of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from costcalc.backends.escape import MOST, data_of_page
from costcalc.backends.escape import html as escaped
from costcalc.classes import NamedTuple

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("base", "table", "treemap", "roofline", "memory", "growth", "graph", "start")
"""In the order in which they run; each needs those before it."""

HIDDEN = " class=scripted hidden"
CHOICE = '<div data-choice="treemap"></div>'
"""Where the figure of all treemaps of a page is chosen; once in a page of several models."""


class Section(NamedTuple):
    """A part of the page.

    body       HTML
    scripted   whether it is hidden where no scripts run
    link       what leads to it at the top of the page; "" if nothing does, None for its title
    """

    anchor: str
    title: str
    body: str
    scripted: bool = False
    link: str | None = None


def page(
    title: str, subtitle: str, sections: Sequence[Section], models: Sequence[dict[str, Any]], warning: str = ""
) -> str:
    """A whole document; ``models`` is what scripts draw from, none where there is nothing to draw, and ``warning`` what
    has to be read before all else.
    """
    from base64 import b64encode
    from hashlib import sha256

    script = "".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS) if models else ""
    # The policy allows this script alone, by its digest, and no address at all.
    digest = b64encode(sha256(script.encode()).digest()).decode()
    runs = f"; script-src 'sha256-{digest}'" if script else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'{runs}"
    warned = "".join(paragraphs([warning], "warn"))
    links = "".join(
        f'<li{HIDDEN if s.scripted else ""}><a href="#{s.anchor}">{escaped(s.link or s.title)}</a></li>'
        for s in sections
        if s.link != ""
    )
    parts = "".join(
        f'<section id="{s.anchor}"{HIDDEN if s.scripted else ""}><h2>{escaped(s.title)}</h2>\n{s.body}</section>\n'
        for s in sections
    )
    data = data_of_page({"models": list(models)})
    tail = (
        f'<aside id="inspector" aria-live="polite" aria-label="layer" hidden></aside>\n'
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n'
        if models
        else ""
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escaped(title)}: what it costs</title>
<style>
{(ASSETS / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<header><h1>{escaped(title)}</h1><p class="soft">{escaped(subtitle)}</p>{warned}</header>
<nav aria-label="sections"><ul>{links}</ul></nav>
<main>
{parts}</main>
<footer>Made by costcalc. This page fetches nothing.</footer>
{tail}</body>
</html>
"""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """A table of texts; the columns ``left`` are flush left."""

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(
            f"<{tag if cell else 'td'}{' class=l' if i in left else ''}>{escaped(cell)}</{tag if cell else 'td'}>"
            for i, cell in enumerate(cells)
        )

    head = row(heads, "th")
    body = "".join(row(r, "td") for r in rows)
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def cards(facts: Iterable[tuple[str, str, str]]) -> str:
    """Figures by their names, each with what it says."""
    made = "".join(
        f'<div><dt>{escaped(name)}</dt><dd class="v">{escaped(figure)}</dd><dd class="says">{escaped(says)}</dd></div>'
        for name, figure, says in facts
    )
    return f'<dl class="cards">{made}</dl>'


def placeholder(name: str, model: int = 0, still: str = "") -> str:
    """A place where a script draws; ``still`` is what stands there without scripts."""
    return f'<div data-drawing="{name}" data-model="{model}">{still}</div>\n'


def side(parts: Iterable[str]) -> str:
    """``parts`` side by side as far as they fit."""
    return f'<div class="side">{"".join(f"<div>{part}</div>" for part in parts)}</div>\n'


def about(pairs: Iterable[tuple[str, str]]) -> str:
    """What is to be known of the page, by name."""
    made = "".join(f"<dt>{escaped(name)}</dt><dd>{prose(text)}</dd>" for name, text in pairs)
    return f'<dl class="about">{made}</dl>'


def paragraphs(texts: Iterable[str], kind: str = "") -> Iterator[str]:
    """Each of ``texts`` as a paragraph of class ``kind``."""
    marked = f' class="{kind}"' if kind else ""
    yield from (f"<p{marked}>{prose(text)}</p>" for text in texts if text)


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop; a name that it begins with stays as it is.

    >>> sentence("no window is larger"), sentence("x_1 = 5, the most"), sentence("Done.")
    ('No window is larger.', 'x_1 = 5, the most.', 'Done.')
    """
    word = text.partition(" ")[0]
    head = text[:1].upper() + text[1:] if word.isalpha() and " = " not in text[:60] else text
    return head if not text or text.endswith((".", "!", "?")) else f"{head}."


def prose(text: str) -> str:
    """``text``, of any length, escaped piece by piece: the escaper cuts what is longer than a name may be."""
    pieces, rest = [], text
    while len(rest) > MOST:
        at = rest.rfind(" ", 0, MOST) + 1 or MOST
        pieces.append(rest[:at])
        rest = rest[at:]
    return "".join(escaped(piece) + " " * piece.endswith(" ") for piece in [*pieces, rest])
