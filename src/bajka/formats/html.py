"""HTML as events, by the rules of browsers, and what in a page is running text."""

from __future__ import annotations

import codecs
import re

from bajka.errors import MissingExtraError
from bajka.formats.document import UnreadableError
from bajka.formats.elements import Attributes, Dialect, Events, tags

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE)
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_HEAD = 4096  # browsers look for the charset in the first 1,024 bytes; real pages put it a little later
_WHAT_BROWSERS_READ = {  # https://encoding.spec.whatwg.org/#names-and-labels
    **dict.fromkeys(("ascii", "us-ascii", "iso-8859-1", "iso8859-1", "latin1"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    "iso-8859-9": "cp1254",
    "tis-620": "cp874",
    "x-cp1250": "cp1250",
    "x-cp1251": "cp1251",
    "x-mac-cyrillic": "mac_cyrillic",
}
_DEEPEST = 10_000  # the parser's time grows with the square of the depth: 0.5 s at this one, 46 s at ten times it
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_NOT_NESTING = tags(
    "area base br col embed hr img input link meta param source track wbr p li dd dt td th tr tbody thead "
    "tfoot option optgroup html head body a b big code em font i nobr s small strike strong tt u"
)

_LEFT_OUT = tags(
    "script style template noscript title nav aside footer button select textarea input label iframe object "
    "audio video canvas svg math map figcaption caption rt rp rtc menu dialog noframes applet"
)
_LEFT_OUT_WORDS = tags(
    "footnote footnotes endnote endnotes rearnote rearnotes note-body noteref fnanchor footnote-ref "
    "footnotenumber pagebreak pagenum pageno page-number pagenumber page_number pageno toc landmarks "
    "page-list loi lot index navigation pg-boilerplate copyright-page titlepage hidden sr-only caption figcaption"
)
_BLOCKS = tags(
    "p div section article main header h1 h2 h3 h4 h5 h6 blockquote center pre ul ol dl table caption "
    "form fieldset figure address hr body details hgroup th td img-wrapper tr"
)


def _hidden(tag: str, attributes: Attributes, parent: str) -> bool:
    if tag in _LEFT_OUT:
        return True
    if "hidden" in attributes or "display:none" in attributes.get("style", "").replace(" ", "").lower():
        return True
    if tag in ("body", "html"):
        return False
    words = " ".join(attributes.get(key, "") for key in ("class", "role", "type")).lower().split()
    return any(word.removeprefix("doc-") in _LEFT_OUT_WORDS for word in words)


HTML = Dialect(
    paragraphs=_BLOCKS,
    lines=frozenset({"li", "dt", "dd", "summary", "legend", "option"}),
    tight=frozenset({"li", "dt", "dd"}),
    breaks=frozenset({"br"}),
    literal=frozenset({"pre", "listing", "xmp", "plaintext"}),
    hidden=_hidden,
)


def charset_named(head: bytes) -> str | None:
    """The Python codec that the page itself names (`<meta charset>`, `http-equiv`, XML declaration), if Python has it.

    `head` are its first bytes, 4 KB are enough. As in browsers ISO-8859-1 means cp1252, GB2312 GB18030, Shift_JIS cp932.
    """
    found = _DECLARED.search(head[:_HEAD]) or _CHARSET.search(head[:_HEAD])
    if found is None:
        return None
    label = found.group(1).decode("ascii").lower()
    try:
        codec = codecs.lookup(_WHAT_BROWSERS_READ.get(label, label)).name
        b"a".decode(codec)  # LookupError for codecs that make no text of bytes
    except (LookupError, UnicodeError):
        return None
    return None if codec.startswith(("utf-16", "utf-32")) else codec  # it could not have been read as ASCII


def parse_html(text: str, events: Events) -> None:
    """Tell `events` about every tag and text of the page, repaired as browsers do it.

    Raises `UnreadableError` for a page nested too deep to be one.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise MissingExtraError("Reading .html and .epub files", extra="data") from None
    _refuse_depth(text)
    node = LexborHTMLParser(text.replace("\0", "")).root
    while node is not None:
        tag = node.tag or ""
        if node.is_text_node:
            events.data(node.text_content or "")
        elif not tag.startswith("-"):
            events.start(tag, {key: value or "" for key, value in node.attributes.items()})
            if node.first_child is not None:
                node = node.first_child
                continue
            events.end(tag)
        while node is not None and node.next is None:
            node = node.parent
            if node is not None and not (node.tag or "-").startswith("-"):
                events.end(node.tag or "")
        node = node.next if node is not None else None


def _refuse_depth(text: str) -> None:
    depth = 0
    for closing, tag in _TAG.findall(text):
        if tag.lower() in _NOT_NESTING:
            continue
        depth = max(0, depth - 1) if closing else depth + 1
        if depth > _DEEPEST:
            raise UnreadableError(f"its tags are nested more than {_DEEPEST:,} deep: it is no page of text")
