"""Word-processor files: .docx and .odt by their XML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from bajka.formats.book import book_fields, one_book
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.elements import Attributes, Dialect, FieldReader, TextReader, tags
from bajka.formats.flow import Flow
from bajka.formats.package import Package, open_package
from bajka.formats.rtf import read_rtf
from bajka.formats.xml import decode_xml, parse_xml

__all__ = ["read_docx", "read_odt", "read_rtf"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_NO_PROSE_STYLES = (
    "toc ",
    "table of figures",
    "caption",
    "footnote text",
    "endnote text",
    "index ",
    "header",
    "footer",
)


def read_docx(file: BinaryIO, *, name: str, account: Account) -> Iterator[Document]:
    """One document: paragraphs and the cells of tables in order.

    Inserted text of tracked changes stays, deleted text does not; notes, comments, headers, captions and tables of
    contents are left out. Raises `UnreadableError` for old .doc files, passwords and damage.
    """
    _refuse_ole(file)
    with open_package(file, kind=".docx") as package:
        path = _main_part(package)
        reader = _DocxReader(left_out=_styles_without_prose(package))
        parse_xml(decode_xml(package.read(path)), reader)
        fields = _package_fields(package, "docProps/core.xml")
    yield from one_book(reader.flow.text(), name=name, fields=fields, account=account)


def read_odt(file: BinaryIO, *, name: str, account: Account) -> Iterator[Document]:
    """One document: headings, paragraphs, list items and cells in order, under the same rules as `read_docx`."""
    with open_package(file, kind=".odt") as package:
        _refuse_encrypted(package)
        content = decode_xml(package.read("content.xml"))
        styles = _OdtCaptions()
        parse_xml(content, styles)
        reader = TextReader(_odt(frozenset(styles.names)))
        parse_xml(content, reader)
        fields = _package_fields(package, "meta.xml")
    yield from one_book(reader.flow.text(), name=name, fields=fields, account=account)


def _refuse_ole(file: BinaryIO) -> None:
    file.seek(0)
    data = file.read(1 << 20)
    if not data.startswith(_OLE):
        return
    if _ENCRYPTED in data:
        raise UnreadableError("it is closed with a password: open it in Word or LibreOffice and save it without one")
    raise UnreadableError("it is an old Word file (.doc): open it in LibreOffice or Word and save it as .docx or .txt")


def _main_part(package: Package) -> str:
    """Usually word/document.xml; the relations of the package say where."""
    if "word/document.xml" in package or "_rels/.rels" not in package:
        return "word/document.xml"
    found = _Relations()
    parse_xml(decode_xml(package.read("_rels/.rels")), found)
    return found.main.lstrip("/") or "word/document.xml"


class _Relations:
    """`Events` that find the main part of an Open Packaging file."""

    main = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "Relationship" and attributes.get("Type", "").endswith("/officeDocument"):
            self.main = attributes.get("Target", "")

    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


def _styles_without_prose(package: Package) -> frozenset[str]:
    """Their ids; the names of built-in styles are English in every Word, the ids are not."""
    if "word/styles.xml" not in package:
        return frozenset()
    styles = _Styles()
    parse_xml(decode_xml(package.read("word/styles.xml")), styles)
    return frozenset(key for key, name in styles.names.items() if name.lower().startswith(_NO_PROSE_STYLES))


@dataclass
class _Styles:
    """`Events` that collect the name of each style of a .docx by its id."""

    names: dict[str, str] = field(default_factory=dict)
    _id: str = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        match tag:
            case "style":
                self._id = attributes.get("styleId", "")
            case "name":
                self.names[self._id] = attributes.get("val", "")

    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


_DOCX_LEFT_OUT = tags("del moveFrom Fallback sectPr rPr tblPr trPr tcPr footnote endnote comment rt sdtPr")
_DOCX_WRITTEN = {"tab": " ", "ptab": " ", "noBreakHyphen": "-", "softHyphen": "\u00ad"}


class _DocxReader:
    """`Events` of word/document.xml; only what is inside <w:t> is text, and a paragraph may turn out to be no prose."""

    def __init__(self, *, left_out: frozenset[str]) -> None:
        self.flow = Flow()
        self._styles = left_out
        self._open: list[str] = []
        self._hidden = 0  # how many of the open tags lie in something left out
        self._fields: list[bool] = []  # the open fields: is it a table of contents?
        self._silent = False  # the paragraph has a style that is no prose
        self._listed = self._after_list = self._begun = False

    def start(self, tag: str, attributes: Attributes) -> None:
        self._open.append(tag)
        if self._hidden or tag in _DOCX_LEFT_OUT:
            self._hidden += 1
            return
        match tag:
            case "p":
                self._end_paragraph()
            case "numPr":
                self._listed = True
            case "pStyle":
                self._silent = attributes.get("val", "") in self._styles
            case "br" | "cr":
                self.flow.break_line()
            case "fldChar":
                self._field(attributes.get("fldCharType", ""))
            case _ if tag in _DOCX_WRITTEN and "r" in self._open[-2:-1]:  # <w:tab> in <w:tabs> is a tab stop
                self._write(_DOCX_WRITTEN[tag])

    def end(self, tag: str) -> None:
        self._open.pop()
        if self._hidden:
            self._hidden -= 1
        elif tag == "p":
            self._end_paragraph()

    def data(self, text: str) -> None:
        if self._hidden or not self._open:
            return
        if self._open[-1] == "t":
            self._write(text)
        elif self._open[-1] == "instrText" and self._fields:
            self._fields[-1] = self._fields[-1] or text.strip().startswith(("TOC", "INDEX"))

    def _write(self, text: str) -> None:
        if self._silent or any(self._fields):
            return
        if not self._begun and not (self._listed and self._after_list):
            self.flow.end_paragraph()
        self._begun = True
        self.flow.write(text)

    def _end_paragraph(self) -> None:
        """Items of a list that follow each other stay lines of one paragraph."""
        self.flow.end_line()
        self._after_list = self._listed if self._begun else self._after_list
        self._silent = self._listed = self._begun = False

    def _field(self, kind: str) -> None:
        if kind == "begin":
            self._fields.append(False)
        elif kind == "end" and self._fields:
            self._fields.pop()


def _refuse_encrypted(package: Package) -> None:
    if "META-INF/manifest.xml" not in package:
        return
    found = FieldReader("file-entry/encryption-data")
    parse_xml(decode_xml(package.read("META-INF/manifest.xml")), found)
    if found.found["file-entry/encryption-data"]:
        raise UnreadableError("it is closed with a password: open it in LibreOffice and save it without one")


_ODT_LEFT_OUT = tags(
    "tracked-changes note annotation annotation-end table-of-content illustration-index table-index "
    "object-index user-index alphabetical-index bibliography title desc script forms sequence-decls page-number "
    "page-count ruby-text hidden-paragraph hidden-text styles automatic-styles font-face-decls"
)
_ODT_CAPTIONS = ("Caption", "Illustration", "Figure", "Drawing")


def _odt(captions: frozenset[str]) -> Dialect:
    def hidden(tag: str, attributes: Attributes, parent: str) -> bool:
        return tag in _ODT_LEFT_OUT or (tag == "p" and attributes.get("style-name", "") in captions)

    return Dialect(
        paragraphs=tags("p h list table table-row table-cell section text-box"),
        lines=frozenset({"list-item", "list-header"}),
        tight=frozenset({"list-item", "list-header"}),
        breaks=frozenset({"line-break"}),
        written={"s": " ", "tab": " "},
        hidden=hidden,
    )


class _OdtCaptions:
    """`Events` that find the styles of captions: the built-in ones and those derived from them."""

    def __init__(self) -> None:
        self.names = set(_ODT_CAPTIONS)

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == "style" and attributes.get("parent-style-name", "") in self.names:
            self.names.add(attributes.get("name", ""))

    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


def _package_fields(package: Package, path: str) -> dict[str, str]:
    """Title and author. The date is that of the file, the language often that of the program: both are left out."""
    if path not in package:
        return {}
    found = FieldReader("title", "creator", "initial-creator")
    parse_xml(decode_xml(package.read(path)), found)
    author = found.first("initial-creator", "creator")
    return book_fields(title=found.first("title"), author=author)
