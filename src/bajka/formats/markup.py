"""Web pages and books in one marked-up file: HTML, FictionBook (.fb2) and TEI."""

from __future__ import annotations

from collections.abc import Iterator

from bajka.formats.book import book_fields, one_book
from bajka.formats.decoding import Text
from bajka.formats.document import Account, Document, EncodingGuess, UnreadableError
from bajka.formats.elements import Attributes, Dialect, Enough, FieldReader, TextReader, tags
from bajka.formats.html import HTML, charset_named, parse_html
from bajka.formats.xml import decode_xml, parse_xml, xml_encoding

__all__ = ["charset_named", "read_html", "read_xml", "text_of_xhtml"]

_NOTES = ("notes", "comments", "footnotes", "примечания", "комментарии", "сноски")


def read_html(text: Text, *, name: str, account: Account) -> Iterator[Document]:
    """One document: what a reader of the page reads, without menus, scripts, controls, notes and page numbers.

    Raises `UnreadableError` when nothing remains.
    """
    page = text.whole()
    fields = _HtmlFields()
    parse_html(page, fields)
    running = text_of_xhtml(page)[0] if page.startswith("<?xml") else _text_of_html(page)
    yield from one_book(running, name=name, fields=fields.fields(), account=account)


def read_xml(data: bytes, *, name: str, account: Account, encoding: str | None = None) -> Iterator[Document]:
    """One book as one document: FictionBook or TEI, told apart by the first tag; XHTML is read as HTML.

    Front and back matter stay (dedication, preface, epilogue); title pages, contents, notes, and what an editor
    deleted or corrected away do not. `encoding` is one that a person named. Raises `UnreadableError` for other XML and
    for damaged or hostile files.
    """
    text = decode_xml(data, named=encoding)
    account.encoding = EncodingGuess(xml_encoding(data, named=encoding))
    match root_of(text):
        case "FictionBook":
            running, fields = _text_of_xml(text, FICTION_BOOK), _fiction_book_fields(text)
        case "TEI" | "TEI.2" | "teiCorpus" | "teiCorpus.2":
            running, fields = _text_of_xml(text, TEI), _tei_fields(text)
        case "html":
            found = _HtmlFields()
            parse_html(text, found)
            running, fields = text_of_xhtml(text)[0], found.fields()
        case root:
            known = "FictionBook, TEI and XHTML are read; save other files as .txt or .html"
            raise UnreadableError(f"it is XML of a kind that is not known here, <{root[:80]}> ({known})")
    yield from one_book(running, name=name, fields=fields, account=account)


def text_of_xhtml(page: str) -> tuple[str, str]:
    """The running text of a page, and why it is no XML if it had to be read as browsers read HTML (else "")."""
    try:
        return _text_of_xml(page, HTML), ""
    except UnreadableError as error:
        return _text_of_html(page), error.reason


def _text_of_html(page: str) -> str:
    reader = TextReader(HTML)
    parse_html(page, reader)
    return reader.flow.text()


def root_of(text: str) -> str:
    """The name of the first tag of an XML file, without its namespace; raises `UnreadableError` when it is no XML."""
    root = _Root()
    parse_xml(text, root)
    return root.name


def _text_of_xml(text: str, dialect: Dialect) -> str:
    reader = TextReader(dialect)
    parse_xml(text, reader)
    return reader.flow.text()


class _Root:
    """`Events` that remember the first tag."""

    name = ""

    def start(self, tag: str, attributes: Attributes) -> None:
        self.name = tag
        raise Enough

    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


def _hidden_in_fiction_book(tag: str, attributes: Attributes, parent: str) -> bool:
    if tag == "body":
        return attributes.get("name", "").strip().lower() in _NOTES
    return tag in ("description", "binary", "stylesheet", "image") or (tag == "a" and attributes.get("type") == "note")


FICTION_BOOK = Dialect(  # http://www.fictionbook.org/index.php/Eng:XML_Schema_Fictionbook_2.1
    paragraphs=tags("body section title subtitle epigraph annotation cite poem stanza p empty-line table tr th td"),
    lines=frozenset({"v", "text-author", "date"}),
    tight=frozenset({"title"}),
    hidden=_hidden_in_fiction_book,
)

_TEI_LEFT_OUT = tags(
    "teiHeader facsimile sourceDoc standOff note noteGrp figure fw titlePage divGen del rdg pb cb milestone gap"
)


def _hidden_in_tei(tag: str, attributes: Attributes, parent: str) -> bool:
    if tag.startswith("div") and attributes.get("type", "").lower() in ("toc", "contents", "titlepage", "notes"):
        return True
    return tag in _TEI_LEFT_OUT or (parent == "choice" and tag in ("sic", "orig", "abbr"))


TEI = Dialect(  # https://tei-c.org/release/doc/tei-p5-doc/en/html/; a print's line ends (lb) are no ends of lines
    paragraphs=tags(
        "text front body back group div div1 div2 div3 div4 div5 div6 div7 head p ab lg sp epigraph cit argument "
        "trailer opener closer salute signed dateline byline postscript floatingText list table row cell stage "
        "castList"
    ),
    lines=frozenset({"l", "item", "speaker", "castItem"}),
    tight=frozenset({"sp", "item"}),
    written={"lb": " ", "space": " "},
    hidden=_hidden_in_tei,
)


def _fiction_book_fields(text: str) -> dict[str, str]:
    author = [f"title-info/author/{part}" for part in ("first-name", "middle-name", "last-name")]
    title, language = "title-info/book-title", "title-info/lang"
    found = FieldReader(title, language, *author, "title-info/date", "title-info/date@value", until="body")
    parse_xml(text, found)
    return book_fields(
        title=found.first(title),
        author=" ".join(found.first(part) for part in author),
        year=found.first("title-info/date@value", "title-info/date"),
        language=found.first(language),
    )


def _tei_fields(text: str) -> dict[str, str]:
    title, author, year = "titleStmt/title", "titleStmt/author", "bibl/date"
    found = FieldReader(title, author, year, "bibl/date@when", "TEI@lang", "language@ident", until="text")
    parse_xml(text, found)
    dates = [*found.found["bibl/date@when"], *found.found[year]]
    years = [book_fields(year=date).get("year", "") for date in dates]
    return book_fields(
        title=found.first(title),
        author=found.first(author),
        year=min(filter(None, years), default=""),  # of the first edition, not of the print that was scanned
        language=found.first("TEI@lang", "language@ident"),
    )


class _HtmlFields:
    """`Events` that collect what a page says of itself."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._title = 0  # how many <title> have begun: a later one belongs to a drawing
        self._in_title = False

    def start(self, tag: str, attributes: Attributes) -> None:
        match tag:
            case "html":
                self._found["language"] = attributes.get("lang", "")
            case "meta":
                self._found.setdefault(attributes.get("name", "").lower(), attributes.get("content", ""))
            case "title":
                self._title += 1
                self._in_title = self._title == 1

    def end(self, tag: str) -> None:
        self._in_title = self._in_title and tag != "title"

    def data(self, text: str) -> None:
        if self._in_title:
            self._found["title"] = self._found.get("title", "") + text

    def fields(self) -> dict[str, str]:
        """Title, author, year, language; Dublin Core's names before HTML's."""

        def first(*names: str) -> str:
            return next((self._found[name] for name in names if self._found.get(name)), "")

        return book_fields(
            title=first("dc.title", "dcterms.title", "title"),
            author=first("dc.creator", "dcterms.creator", "author"),
            year=first("dc.date", "dcterms.issued", "dcterms.date"),
            language=first("dc.language", "dcterms.language", "language"),
        )
