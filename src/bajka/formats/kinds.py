"""Which kind of file it is: by its first bytes where they say it, else by its name."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import PurePosixPath
from typing import Literal

from bajka.formats.document import UnreadableError
from bajka.formats.fields import is_usual

Kind = Literal["text", "plots", "json", "jsonl", "csv", "parquet", "html", "xml", "epub", "docx", "odt", "rtf"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys((".txt", ".text", ".md"), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".fb2", ".xml"), "xml"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **{".json": "json", ".epub": "epub", ".docx": "docx", ".odt": "odt", ".rtf": "rtf", ".parquet": "parquet"},
}
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tzst")
READABLE = (
    ".txt, .md, .html, .epub, .fb2, .docx, .odt, .rtf, .jsonl, .json, .csv, .tsv, .parquet, "
    "also in .gz, .bz2, .xz, .zst, .zip and .tar"
)
"""The endings that are read, for sentences."""
_AS_TEXT = "save it as .txt first"
_ABOUT_THE_TEXTS = re.compile(r"(readme|licen[cs]e|copying|changelog)(\.(md|txt|rst|html?))?", re.IGNORECASE)
_OF_THE_PLOTS = ("movie.metadata.tsv", "character.metadata.tsv", "tvtropes.clusters.txt", "name.clusters.txt")
_REFUSED = {
    ".pdf": f"{_AS_TEXT}, for example with pdftotext",
    ".doc": "save it as .docx or .txt first, in Word or LibreOffice",
    **dict.fromkeys((".mobi", ".azw", ".azw3", ".prc"), "convert it to .epub first, for example with Calibre"),
    **dict.fromkeys((".djvu", ".djv"), f"{_AS_TEXT}, for example with djvutxt"),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save its sheet as .csv first"),
    **dict.fromkeys((".pptx", ".ppt", ".odp", ".pages", ".wpd", ".lit"), _AS_TEXT),
    **dict.fromkeys((".7z", ".rar", ".lzma", ".lz4"), "unpack it first"),
}
_MAGIC: tuple[tuple[int, bytes, str], ...] = (  # place, bytes, ending
    (0, b"PAR1", ".parquet"),
    (0, rb"{\rtf", ".rtf"),
    (0, b"%PDF-", ".pdf"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".doc"),
    (60, b"BOOKMOBI", ".mobi"),
    (0, b"AT&TFORM", ".djvu"),
    (0, b"7z\xbc\xaf\x27\x1c", ".7z"),
    (0, b"Rar!\x1a\x07", ".rar"),
)
_BINARY = {"epub", "docx", "odt", "parquet", "rtf"}
_WORDS: dict[Kind, str] = {
    "text": "plain text",
    "json": "JSON",
    "jsonl": "one JSON record a line",
    "html": "HTML",
    "xml": "XML",
    "rtf": "RTF",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9_~]{0,9}$|\.7z$")
_BEFORE_ROOT = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s[^>\[]*(?:\[[^\]]*\]\s*)?>", re.S | re.I)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z][\w.-]*)")
_XML_ROOTS = {"FictionBook", "TEI", "TEI.2", "teiCorpus", "teiCorpus.2"}
_RECORDS = re.compile(r'\s*\[\s*\{\s*"[^"\n]{0,200}"\s*:')
_RECORD = re.compile(r'\s*\{\s*"[^"\n]{0,200}"\s*:')
_PLOT = re.compile(r"\d+\t")


def ending(name: str) -> str:
    """The ending of a file below its compression ("a.JSONL.gz": ".jsonl"); "" for "Chapter 1. The fox"."""
    base = PurePosixPath(name.replace("\\", "/")).name
    while base.lower().endswith(COMPRESSED):
        base = base[: base.rindex(".")]
    found = _ENDING.search(base)
    return found.group().lower() if found and found.start() else ""


def unknown_ending(name: str) -> str | None:
    """Why a file of a folder is left out by its name alone, or None when its bytes are to be looked at."""
    last = ending(name)
    if not last or last in _KINDS or last in _REFUSED or last in ARCHIVES:
        return None
    return f"its ending ({last}) is not one of {READABLE}"


def may_hold_text(name: str) -> bool:
    """Whether a file of a folder is read, as far as its name tells."""
    last = name.rpartition("/")[2]
    about = _ABOUT_THE_TEXTS.fullmatch(last) is not None or last in _OF_THE_PLOTS
    return unknown_ending(name) is None and ending(name) not in _REFUSED and not about


def kind_of(name: str, head: bytes, *, whole: bool, named: bool) -> Kind:
    """The kind of a file that is no archive, from its name and its first bytes (`whole`: all of them).

    Raises `UnreadableError` for what is not read, with the way out.
    """
    if not head:
        raise UnreadableError("it is empty")
    if not named and name.rpartition("/")[2] in _OF_THE_PLOTS:
        raise UnreadableError("it belongs to plot_summaries.txt and holds no texts of its own")
    if not named and _ABOUT_THE_TEXTS.fullmatch(name.rpartition("/")[2]):
        raise UnreadableError("its name says that it is about the texts and none of them: name it itself to read it")
    last = ending(name)
    by_name = _KINDS.get(last)
    for place, magic, true_ending in _MAGIC:
        if head.startswith(magic, place):
            if true_ending == ".doc" and last == ".docx":  # an encrypted one looks so outside: its reader says it
                return "docx"
            return _known_or_refused(true_ending, last)
    if not named and (reason := unknown_ending(name)):
        raise UnreadableError(reason)
    binary = by_name in _BINARY or last in _REFUSED
    if last in ARCHIVES or ((binary or not (last or named)) and not _looks_like_text(head)):
        what = f"it is no {last} file that can be read: it is damaged or of another kind" if last else "it is no text"
        raise UnreadableError(what)
    return _kind_of_text(head, None if binary else by_name, whole=whole, name=name)


def kind_in_zip(name: str, members: set[str], mimetype: str) -> Kind | None:
    """The kind of a document that is a zip file inside; None for an archive of files."""
    if mimetype.startswith("application/epub+zip") or "META-INF/container.xml" in members:
        return "epub"
    if mimetype.startswith("application/vnd.oasis.opendocument"):
        return _known_or_refused(".odt" if ".text" in mimetype else ".odp" if "presentation" in mimetype else ".ods")
    if "[Content_Types].xml" in members:
        for folder, last in (("word/document", ".docx"), ("xl/", ".xlsx"), ("ppt/", ".pptx")):
            if any(member.startswith(folder) for member in members):
                return _known_or_refused(last)
    if (last := ending(name)) in (".epub", ".docx", ".odt"):
        raise UnreadableError(f"it is a zip file, but no {last}: it is damaged, or its name is wrong")
    return None


def disagreement(name: str, kind: Kind) -> str:
    """A clause for the report when the name of a file says another kind than its bytes; else ""."""
    last = ending(name)
    if kind == _KINDS.get(last, "text") or kind == "plots":
        return ""
    return f"read as {_WORDS.get(kind, kind)}, whatever its name says"


def _known_or_refused(true_ending: str, last: str = "") -> Kind:
    if true_ending in _KINDS:
        return _KINDS[true_ending]
    shown = last if last in (".xls", ".ppt", ".azw", ".azw3", ".prc") else true_ending
    raise UnreadableError(f"{shown} files are not read: {_REFUSED.get(shown, _AS_TEXT)}")


def _looks_like_text(head: bytes) -> bool:
    if any(head.startswith(mark) for mark, _ in _MARKS):
        return True
    return b"\0" not in head and (len(head) - len(head.translate(None, _CONTROLS))) * 200 <= len(head)


def _kind_of_text(head: bytes, by_name: Kind | None, *, whole: bool, name: str) -> Kind:
    """What the first characters say; what they do not say is left to the name."""
    text = _for_syntax(head)
    root = _root(text)
    if root.lower() == "html":
        return "html"
    if root in _XML_ROOTS:
        return "xml"
    if by_name == "xml" and root:
        raise UnreadableError(f"its XML is <{root}>, and only FictionBook and TEI are read: {_AS_TEXT}")
    match by_name:
        case "json" | "jsonl":
            return _json_kind(text, whole=whole) or by_name
        case "html" | "csv":
            return by_name
        case "text" if PurePosixPath(name).suffix.lower() == ".md":
            return "text"
        case _ if "plot_summaries" in name.lower() and _are_plots(text, whole=whole):
            return "plots"
        case _:
            return _json_kind(text, whole=whole) or "text"


def _for_syntax(head: bytes) -> str:
    """The head with its ASCII characters right, whatever the encoding."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(codec, "replace")
    return head.decode("latin-1")


def _root(text: str) -> str:
    """The name of the element that a text begins with, without its prefix; "" when it begins otherwise."""
    place = 0
    while found := _BEFORE_ROOT.match(text, place):
        if found.group().lower().startswith("<!doctype html"):
            return "html"
        place = found.end()
    root = _ROOT.match(text, place)
    return root.group(1) if root else ""


def _json_kind(text: str, *, whole: bool) -> Kind | None:
    """Records one a line, or one JSON value; None when it is neither for sure."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    lines = [line for line in text.split("\n") if line.strip()]
    complete = lines if whole else lines[:-1]
    if complete and all(_parses(line, dict) for line in complete):
        return "json" if whole and len(complete) == 1 and _holds_a_list(complete[0]) else "jsonl"
    if whole:
        return "json" if _parses(text, dict, list) else None
    if _RECORDS.match(text):
        return "json"
    return "jsonl" if not complete and _RECORD.match(text) else None


def _parses(text: str, *kinds: type) -> bool:
    try:
        return isinstance(json.loads(text), kinds)
    except (ValueError, RecursionError):
        return False


def _holds_a_list(text: str) -> bool:
    """Whether an object is no record: none of its values is a text of a usual name, and one is a list."""
    held = json.loads(text).items()
    return any(isinstance(value, list) for _, value in held) and not any(
        isinstance(value, str) and is_usual(key) for key, value in held
    )


def _are_plots(text: str, *, whole: bool) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return all(_PLOT.match(line) for line in (lines if whole else lines[:-1] or lines))
