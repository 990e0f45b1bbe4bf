"""EPUB 2 and 3: the pages of a book in reading order, as one document."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import unquote

from bajka.formats.book import book_fields, one_book
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.elements import Attributes, FieldReader
from bajka.formats.markup import text_of_xhtml
from bajka.formats.package import Package, open_package
from bajka.formats.xml import decode_xml, parse_xml

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_OF_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # hidden fonts, not hidden text
_NO_PROSE = ("toc", "loi", "lot", "notes", "copyright-page")


def read_epub(file: BinaryIO, *, name: str, account: Account, encoding: str | None = None) -> Iterator[Document]:
    """One document: the pages of the spine, without contents, notes and pages outside the reading order.

    Pages that are missing are told in `account.notes`; `encoding` is one that a person named for the pages. Raises
    `UnreadableError` when the file is damaged, protected against copying, no EPUB, or holds only pictures.
    """
    with open_package(file, kind=".epub") as package:
        opf = _opf_path(package)
        text = decode_xml(package.read(opf))
        spine = _Spine(folder=posixpath.dirname(opf))
        parse_xml(text, spine)
        pages = spine.pages()
        _refuse_protected(package, pages)
        present = [page for page in pages if page in package]
        if missing := len(pages) - len(present):
            account.notes.append(f"{missing} of {len(pages)} pages are missing in the file")
        texts = [_page_text(decode_xml(package.read(page), named=encoding), page, account) for page in present]
    whole = "\n\n".join(filter(None, texts))
    yield from one_book(whole, name=name, fields=_fields(text), account=account)


def _opf_path(package: Package) -> str:
    if _CONTAINER not in package:
        raise UnreadableError(f"it is a zip but no EPUB: {_CONTAINER} is missing")
    found = FieldReader("rootfile@full-path")
    parse_xml(decode_xml(package.read(_CONTAINER)), found)
    path = found.first("rootfile@full-path")
    if not path:
        raise UnreadableError(f"it is no whole .epub: {_CONTAINER} names no book")
    return posixpath.normpath(unquote(path))


@dataclass
class _Spine:
    """`Events` that find the pages of a package document, in reading order."""

    folder: str
    _items: dict[str, Attributes] = field(default_factory=dict)
    _order: list[str] = field(default_factory=list)
    _left_out: set[str] = field(default_factory=set)

    def start(self, tag: str, attributes: Attributes) -> None:
        match tag:
            case "item":
                self._items[attributes.get("id", "")] = attributes
            case "itemref" if attributes.get("linear") != "no":
                self._order.append(attributes.get("idref", ""))
            case "reference" if attributes.get("type", "").lower() in _NO_PROSE:
                self._left_out.add(attributes.get("href", ""))  # with a #fragment it is a part of a page: no match

    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...

    def pages(self) -> list[str]:
        """Their names in the zip; raises `UnreadableError` when there are none."""
        items = [self._items[key] for key in dict.fromkeys(self._order) if key in self._items]
        pages = [item for item in items if item.get("media-type", _PAGES[0]) in _PAGES and "href" in item]
        prose = [page for page in pages if "nav" not in page.get("properties", "").split()]
        prose = [page for page in prose if page["href"] not in self._left_out]
        if not prose:
            raise UnreadableError("it is no whole .epub: its list of pages is empty")
        return [posixpath.normpath(posixpath.join(self.folder, unquote(page["href"]))) for page in prose]


def _refuse_protected(package: Package, pages: list[str]) -> None:
    if _ENCRYPTION not in package:
        return
    found = _Encrypted()
    parse_xml(decode_xml(package.read(_ENCRYPTION)), found)
    if found.names & set(pages):
        raise UnreadableError("it is protected against copying (DRM): only a copy without protection can be read")


class _Encrypted:
    """`Events` that collect the parts of a package that are encrypted, fonts apart."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._algorithm = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        match tag:
            case "EncryptionMethod":
                self._algorithm = attributes.get("Algorithm", "")
            case "CipherReference" if self._algorithm not in _OF_FONTS:
                self.names.add(unquote(attributes.get("URI", "")))

    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


def _page_text(text: str, page: str, account: Account) -> str:
    """A page is XHTML; one that is not well-formed is read with the leniency of a browser."""
    running, fault = text_of_xhtml(text)
    if fault:
        account.notes.append(f"{page}: {fault}, read as browsers do")
    return running


def _fields(opf: str) -> dict[str, str]:
    found = FieldReader("metadata/title", "metadata/creator", "metadata/date", "metadata/language", until="manifest")
    parse_xml(opf, found)
    return book_fields(
        title=found.first("metadata/title"),
        author=", ".join(author.strip() for author in found.found["metadata/creator"] if author.strip()),
        year=found.first("metadata/date"),
        language=found.first("metadata/language"),
    )
