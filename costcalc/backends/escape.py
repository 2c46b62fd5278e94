"""Names from other people's files, made harmless for whoever reads the text that they are printed in.

``READERS`` is the table: one escaper for each kind of reader. Every back end uses the one of its reader and has none of
its own. A name is that of a model, a layer, a file, a branch or a machine, or a message, a title, a note.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

MOST = 300
"""Characters of one name that are printed where people read it."""

APART = "\u200b"
"""A space without width: what stands on both sides of it is not read as one word."""
TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
STEERING = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f{TURNING}]|\r(?!\n)|\x1b(?!\[(?:[012]|3[1236])m)")
"""What steers a terminal: all but what ``paint`` writes, bold, dim and colours that nothing can be hidden by."""
COMMAND = re.compile(r"^([^\S\n]*):(?=:)|##(?=[a-z]*\[)", re.MULTILINE | re.IGNORECASE)
"""What commands a CI server: ``::`` where a line begins, for GitHub; ``##[`` anywhere for GitHub and Azure, ``##vso[``
for Azure, ``##teamcity[`` for TeamCity. GitLab's have an escape and a carriage return, which no text keeps."""


# -- logs and terminals ----------------------------------------------------------------------------


def harmless(text: str, *, colours: bool = True) -> str:
    """``text`` without the signs by which a name or title in a file could steer the terminal; ``colours`` may stay.

    Those that turn the direction of writing are among them.

    >>> harmless("a\\x1b[31mb\\x1b[2Jc\\a\\u202e")
    'a\\x1b[31mb�[2Jc��'
    >>> harmless("\\x1b[8mhidden")
    '�[8mhidden'
    """
    text = STEERING.sub("�", text)
    return text if colours else text.replace("\x1b", "�")


def powerless(text: str) -> str:
    """``text`` without lines that a CI server takes for commands to it.

    >>> powerless("a: b\\n ::add-mask::c ##[error] ##vso[x]")
    'a: b\\n : :add-mask::c # #[error] # #vso[x]'
    """
    return COMMAND.sub(lambda found: "# #" if found.group() == "##" else f"{found.group()} ", text)


def console(text: str, *, colours: bool = False) -> str:
    """A whole text for a terminal or the log of a CI server: it steers neither; ``colours`` may stay.

    >>> console("net \\x1b[2J\\n::error::x")
    'net �[2J\\n: :error::x'
    """
    return powerless(harmless(text, colours=colours))


def visible(text: str) -> str:
    """``text`` on one line, without what steers a terminal or a CI server, or turns the direction of writing.

    >>> visible("conv\\x1b[31m\\n\\u202e1"), visible("std::conv"), visible("::error::x")
    ('conv[31m 1', 'std::conv', ': :error::x')
    """
    text = text if len(text) <= MOST else text[: MOST - 1] + "…"
    one_line = "".join(" " if c == "\n" else c for c in text if c == "\n" or unicodedata.category(c) not in _UNSEEN)
    return powerless(one_line)


_UNSEEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")


def workflow_data(text: str) -> str:
    """For the message of a GitHub workflow command.

    >>> workflow_data("5 %\\n::error::")
    '5 %25%0A::error::'
    """
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return COMMAND.sub(lambda found: "# #" if found.group() == "##" else found.group(), text)


def workflow_property(text: str) -> str:
    """For a property of a GitHub workflow command: ``file``, ``title``."""
    return workflow_data(visible(text)).replace(":", "%3A").replace(",", "%2C")


# -- pages -----------------------------------------------------------------------------------------

_ALIVE = re.compile(
    r"[@#](?=\S)"  # mentions, references, addresses of mail
    r"|:(?=/|[\w.+-]+[:@])"  # links, pictures by name
    r"|\bgh-(?=\d)"  # GitHub's other way of writing a reference
    r"|www(?=\.)"
    r"|[!$%&~^](?=[\w\"\[])",  # GitLab's references, and formulas
    re.IGNORECASE,
)
_COMMIT = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{7,40}(?![0-9A-Za-z])", re.IGNORECASE)
_ENTITIES = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;", "|": "&#124;", "`": "&#96;",
}  # fmt: skip
_BEGINS = re.compile(r"\d*(?P<sign>[-+.)](?=\s|$)|[-=](?=[-=]*\s*$))")
"""What makes a list, a rule or a heading where a line begins with it."""


def _inert(text: str) -> str:
    """``text`` on one line in which a server that has decoded it finds nothing to link.

    GitHub decodes entities first and looks for names to mention after that, so that signs must stand apart from them.
    """
    text = _ALIVE.sub(lambda found: found.group() + APART, visible(text))
    return _COMMIT.sub(lambda found: APART.join(re.findall(".{1,6}", found.group())), text)


def markdown(text: str) -> str:
    """For GitHub's and GitLab's Markdown: no markup, no mention, no reference, no link, no picture comes of it.

    >>> markdown("a|b @team #1 https://x *y*").replace(APART, "~")
    'a&#124;b &#64;~team &#35;~1 https&#58;~//x \\\\*y\\\\*'
    """
    text = _inert(text).strip()
    escaped = "".join(_ENTITIES.get(c, "\\" + c if c in "\\*_[]~!$" else c) for c in text)
    escaped = re.sub(r":(?=\S)", "&#58;", escaped)
    begin = _BEGINS.match(escaped)
    if begin is None:
        return escaped
    at = begin.start("sign")
    return f"{escaped[:at]}&#{ord(escaped[at])};{escaped[at + 1 :]}"


def html(text: str) -> str:
    """For HTML, in text or in an attribute with quotes, also within a page of Markdown.

    >>> html("<b> @team").replace(APART, "~")
    '&lt;b&gt; @~team'
    """
    signs = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
    return "".join(signs.get(c, c) for c in _inert(text))


def xml(text: str) -> str:
    """For XML, in text or in an attribute with quotes; it is read as the same text, without what XML cannot have.

    >>> xml('a\\n::error::<"b">##[x]')
    'a&#10;::error::&lt;&quot;b&quot;&gt;#&#35;[x]'
    """
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&apos;")):
        text = text.replace(sign, entity)
    text = re.sub(rf"[\n\t{TURNING}]", lambda found: f"&#{ord(found.group())};", text).replace("##", "#&#35;")
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs") and c not in "\ufffe\uffff")
    return f"&#58;{text[1:]}" if text.startswith("::") else text


def finding(text: str) -> str:
    """For a message that a server shows beside code, before it is written as JSON: those of SARIF can have links.

    >>> finding("see [x](http://y)\\u202e").replace(APART, "~")
    'see [x]~(http://y)�'
    """
    return harmless(text, colours=False).replace("](", f"]{APART}(")


_IN_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\symbol{34}", "`": r"\textasciigrave{}", "-": "{-}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # which the end of a row before it would take for its own
    "×": r"$\times$", "·": r"$\cdot$", "≥": r"$\geq$", "≤": r"$\leq$", "≈": r"$\approx$", "→": r"$\to$", "±": r"$\pm$",
    "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "⌈": r"$\lceil$", "⌉": r"$\rceil$", "µ": r"\textmu{}", "–": "--",
    "…": r"\dots{}", "−": "$-$",
}  # fmt: skip


_LATIN = re.compile("[ -~¡-ž‐-―‘’“”†‡•‰€™−]")
_NOT_IN_OT1 = frozenset("«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲų")
"""Those that LaTeX has in other encodings than the one that it begins with."""


def latex(text: str) -> str:
    r"""For the running text of LaTeX: no command, no comment, no ligature comes of it, in whatever encoding of fonts.

    A letter that pdfLaTeX does not know, which would stop it, is written by its number.

    >>> print(latex("a_b 50% 3×3 é 中"))
    a\_b 50\% 3$\times$3 é {[}U+4E2D{]}
    >>> print(latex("[x]"), latex("*"))
    {[}x{]} {*}
    """
    made = "".join(_IN_LATEX.get(c) or (c if _is_in_latex(c) else f"{{[}}U+{ord(c):04X}{{]}}") for c in visible(text))
    return re.sub(r"(['’,])(?=[',])", r"\1{}", made)


def _is_in_latex(c: str) -> bool:
    return bool(_LATIN.match(c)) and c not in _NOT_IN_OT1


# -- programs --------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[\w./:%×+ -]*", re.ASCII)
"""Text that JSON has as it is; most names are such."""
_IN_JSON = re.compile(rf"[\x7f-\x9f\u2028\u2029\ud800-\udfff{TURNING}]")


def json(value: Any, indent: int | None = None) -> str:
    """``value`` as JSON that is read as the same value, and as no command by who sees it in a log.

    >>> json({"a": "##[error]\\u202e"})
    '{"a": "#\\\\u0023[error]\\\\u202e"}'
    """
    if type(value) is str and _PLAIN.fullmatch(value):
        return f'"{value}"'
    if type(value) is list and value and indent is None and all(type(v) is str for v in value):
        return f"[{', '.join(map(json, value))}]"
    from json import dumps

    text = dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return _IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text).replace("##", "#\\u0023")


def data_of_page(value: Any) -> str:
    r"""``value`` as compact JSON inside a ``script`` of a page: nothing in it ends that element or begins a comment.

    >>> data_of_page({"a": "</script><!--"})
    '{"a":"\\u003c/script\\u003e\\u003c!--"}'
    """
    from json import dumps

    text = dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return _IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text).replace("##", "#\\u0023")


def csv(rows: Iterable[Iterable[Any]]) -> str:
    """Lines of CSV as RFC 4180 has them, with the exception that a cell tells.

    >>> csv([["a,b", 1, None], ["=1+1", "##[error]", "::x"]])
    '"a,b",1,\\r\\n\\'=1+1,"#"#[error],"::x"\\r\\n'
    """
    return "".join(",".join(map(cell, row)) + "\r\n" for row in rows)


def spreadsheet(value: object) -> object:
    """For a cell of CSV: text that no spreadsheet takes for a formula. A lone mark, ``+``, is none."""
    if value is None or isinstance(value, (int, float)):
        return "" if value is None else value
    text = str(value)
    return f"'{text}" if len(text) > 1 and text.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") else text


_PLAIN_CELL = re.compile(r"[\w./][\w./%×;: -]*", re.ASCII)
_CARE = re.compile(r'^\s*(?:::|[=+\-@＝＋－＠])|[,"\r\n]|##')
"""What a cell may need quotes for, or more."""


def cell(value: object) -> str:
    """``value`` as ``csv`` has it between commas.

    What would be a command in a log is interrupted by the end of the quotes, after which readers take the rest as it
    stands. Where that cannot be, since more quotes are needed, a space interrupts it.
    """
    if value is None or type(value) is int:
        return "" if value is None else str(value)
    text = str(value)
    if _PLAIN_CELL.fullmatch(text):
        return text
    text = harmless(text, colours=False)
    if not _CARE.search(text):
        return text
    text = str(spreadsheet(text))
    found = [at.end() for at in COMMAND.finditer(text) if at.start() or at.group() == "##"]
    if found:
        # Of ## the second sign, of :: at a line the whole of it goes behind the quotes.
        at = found[0] - 1
        before, after = text[:at], text[at:]
        if len(found) > 1 or not before.strip(" \t") or re.search(r'[,"\r\n]', after):
            return _quoted(powerless(text))
        return f"{_quoted(before)}{after}"
    plain = not re.search(r'[,"\r\n]', text) and not text.lstrip().startswith("::")
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def word(text: str) -> str:
    """For tools that read a name as it stands between commas or as part of a file's name: letters, digits, ``._-``.

    >>> word("layer1.0/conv,2:é"), word("..")
    ('layer1.0_conv_2__', '_..')
    """
    plain = re.sub(r"[^0-9A-Za-z._-]", "_", text[:MOST])
    return plain if plain[:1].isalnum() else f"_{plain}"


def utf8(text: str) -> str:
    r"""For files that keep text as UTF-8, which has no halves of a pair of surrogates.

    >>> utf8("é\udc80")
    'é?'
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def identifier(text: str) -> str:
    """For tools that evaluate expressions or templates in a file: letters, digits and ``_``, a letter or ``_`` first.

    >>> identifier("layer1.0:{{x}}"), identifier("0")
    ('layer1_0___x__', '_0')
    """
    plain = re.sub(r"[^0-9A-Za-z_]", "_", text[:MOST])
    return f"_{plain}" if plain[:1].isdigit() or not plain else plain


def shell(text: str) -> str:
    """For a shell's completion, which some shells evaluate: "" in place of a name that has more than plain signs.

    >>> shell("nets/my net.yaml:é"), shell("$a.yaml"), shell("-a.yaml")
    ('nets/my net.yaml:é', '', '')
    """
    return text if re.fullmatch(r"(?!-)[\w ./:=@,+-]{0,4096}", text) else ""


READERS: dict[str, Callable[..., str]] = {
    "terminal": visible,
    "log": powerless,
    "terminal or log": console,
    "workflow message": workflow_data,
    "workflow property": workflow_property,
    "markdown": markdown,
    "html": html,
    "finding": finding,
    "latex": latex,
    "xml": xml,
    "json": json,
    "data of a page": data_of_page,
    "csv": csv,
    "cell of csv": cell,
    "word": word,
    "utf-8": utf8,
    "identifier": identifier,
    "shell": shell,
}
"""Who reads a text → what makes a name, or for some a whole value, harmless there."""
