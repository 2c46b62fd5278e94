"""Names from other people's files, made harmless for the place that they are printed in."""

from __future__ import annotations

import unicodedata

MOST = 300
"""Characters of one name that are printed."""

_ENTITIES = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;", ":": "&#58;", "|": "&#124;", "`": "&#96;",
}  # fmt: skip


def visible(text: str) -> str:
    """``text`` on one line, without what steers a terminal or a CI server, or turns the direction of writing.

    >>> visible("conv\\x1b[31m\\n\\u202e1")
    'conv[31m 1'
    """
    text = text if len(text) <= MOST else text[: MOST - 1] + "…"
    # A CI server takes lines that begin so for commands to it.
    one_line = " ".join(text.split("\n")).replace("::", ": :").replace("##[", "# #[")
    return "".join(c for c in one_line if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))


def markdown(text: str) -> str:
    """For GitHub's and GitLab's Markdown: no markup, no mention, no reference, no link comes of it.

    >>> markdown("a|b @team #1 https://x *y*")
    'a&#124;b &#64;team &#35;1 https&#58;//x \\\\*y\\\\*'
    """
    escaped = "".join(_ENTITIES.get(c, "\\" + c if c in "\\*_[]~!" else c) for c in visible(text))
    return escaped.replace("www.", "www&#46;")


def workflow_data(text: str) -> str:
    """For the message of a GitHub workflow command.

    >>> workflow_data("5 %\\n::error::")
    '5 %25%0A::error::'
    """
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """For a property of a GitHub workflow command: ``file``, ``title``."""
    return workflow_data(visible(text)).replace(":", "%3A").replace(",", "%2C")


def spreadsheet(value: object) -> object:
    """For a cell of CSV: text that no spreadsheet takes for a formula. A lone mark, ``+``, is none."""
    if value is None or isinstance(value, (int, float)):
        return "" if value is None else value
    text = str(value)
    return f"'{text}" if len(text) > 1 and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def xml(text: str) -> str:
    """For XML, in text or in an attribute with double quotes."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return "".join(
        c for c in text if c in "\n\t" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in "\ufffe\uffff")
    )
