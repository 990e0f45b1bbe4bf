"""EPUB: pages in the order of the spine, whole or one sentence."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress

import pytest

from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.epub import read_epub

CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
OPF = """<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="{version}">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Priče iz davnine</dc:title>
<dc:creator>Ivana Brlić-Mažuranić</dc:creator><dc:date>1916-05-01</dc:date><dc:language>hr</dc:language></metadata>
<manifest><item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/one%20page.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="t" href="toc.xhtml" media-type="application/xhtml+xml"/>
<item id="x" href="extra.xhtml" media-type="application/xhtml+xml"/>
<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>
<spine toc="ncx"><itemref idref="n"/><itemref idref="t"/><itemref idref="a"/><itemref idref="b"/>
<itemref idref="x" linear="no"/></spine><guide><reference type="toc" href="toc.xhtml"/></guide></package>"""
PAGE = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN"
"http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd"><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>
<body><p>{}</p></body></html>"""
BOOK = {
    "META-INF/container.xml": CONTAINER,
    "OEBPS/book.opf": OPF.format(version="3.0"),
    "OEBPS/text/one page.xhtml": PAGE.format("Prva&nbsp;stranica &mdash; kraj."),
    "OEBPS/two.xhtml": PAGE.format('Druga<span xmlns:epub="e" epub:type="pagebreak">2</span> stranica.'),
    "OEBPS/nav.xhtml": PAGE.format("Kazalo"),
    "OEBPS/toc.xhtml": PAGE.format("Sadržaj"),
    "OEBPS/extra.xhtml": PAGE.format("Dodatak"),
}
ENCRYPTED = """<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData
xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="{}"/><CipherData>
<CipherReference URI="{}"/></CipherData></EncryptedData></encryption>"""
AES = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"


def packed(parts: Mapping[str, str | bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def read(parts: Mapping[str, str | bytes], account: Account | None = None, encoding: str | None = None) -> Document:
    [document] = read_epub(packed(parts), name="b.epub", account=account or Account(), encoding=encoding)
    return document


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_the_pages_come_in_the_order_of_the_spine_without_contents(version: str) -> None:
    book = read({**BOOK, "OEBPS/book.opf": OPF.format(version=version)})
    assert book.text == "Prva stranica — kraj.\n\nDruga stranica."
    assert book.name == "b.epub"


def test_pages_that_name_no_encoding_are_read_in_the_one_that_a_person_names() -> None:
    page = PAGE.partition("?>")[2].format("Prva, još i ćilim.").encode("cp1250")
    book = {**BOOK, "OEBPS/text/one page.xhtml": page}
    assert read(book, encoding="cp1250").text == "Prva, još i ćilim.\n\nDruga stranica."
    with pytest.raises(UnreadableError, match="name one with --encoding"):
        read(book)


def test_the_package_says_title_author_year_and_language() -> None:
    fields = {"title": "Priče iz davnine", "author": "Ivana Brlić-Mažuranić", "year": "1916", "language": "hr"}
    assert read(BOOK).fields == fields


def test_a_page_that_is_no_xml_is_read_as_browsers_do_and_said() -> None:
    account = Account()
    book = read({**BOOK, "OEBPS/two.xhtml": "<html><body><p>Loše<br>zatvoreno</body>"}, account)
    assert book.text.endswith("Loše\nzatvoreno")
    assert "OEBPS/two.xhtml: line 1 is not well-formed" in account.note


def test_a_missing_page_is_said() -> None:
    account = Account()
    book = read({name: content for name, content in BOOK.items() if name != "OEBPS/two.xhtml"}, account)
    assert book.text == "Prva stranica — kraj."
    assert account.note == "1 of 2 pages are missing in the file"


def test_hidden_fonts_are_no_protection() -> None:
    fonts = ENCRYPTED.format("http://www.idpf.org/2008/embedding", "OEBPS/two.xhtml")
    assert read({**BOOK, "META-INF/encryption.xml": fonts}).text


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"META-INF/encryption.xml": ENCRYPTED.format(AES, "OEBPS/two.xhtml")}, "protected against copying"),
        ({"META-INF/container.xml": "<container/>"}, "names no book"),
        ({"META-INF/container.xml": "<container>"}, "not well-formed"),
        ({"OEBPS/book.opf": "<package/>"}, "list of pages is empty"),
        ({"OEBPS/text/one page.xhtml": PAGE.format(""), "OEBPS/two.xhtml": PAGE.format("")}, "no running text"),
        ({"OEBPS/two.xhtml": " " * (80 << 20)}, "unpacks to more than"),
    ],
)
def test_a_book_that_gives_no_text_is_one_sentence(changed: dict[str, str], sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        read({**BOOK, **changed})


@pytest.mark.parametrize(
    ("part", "sentence"), [("META-INF/container.xml", "no EPUB"), ("OEBPS/book.opf", '"OEBPS/book.opf" is missing')]
)
def test_a_part_that_must_be_there(part: str, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        read({name: content for name, content in BOOK.items() if name != part})


def test_every_cut_of_the_file_is_one_sentence_or_the_book() -> None:
    whole = packed(BOOK).getvalue()
    for end in range(0, len(whole), 97):
        with pytest.raises(UnreadableError, match="damaged"):
            next(read_epub(io.BytesIO(whole[:end]), name="b.epub", account=Account()))


def test_every_flipped_byte_is_one_sentence_or_the_book() -> None:
    whole = packed(BOOK).getvalue()
    for place in range(0, len(whole), 7):
        data = bytearray(whole)
        data[place] ^= 0x55
        with suppress(UnreadableError):
            assert next(read_epub(io.BytesIO(bytes(data)), name="b.epub", account=Account())).text
