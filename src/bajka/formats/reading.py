"""One opened file to its documents: a reader per kind."""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator
from typing import BinaryIO

from bajka.config import CorpusSettings
from bajka.formats.decoding import Text, decoded
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.encodings import MARKS
from bajka.formats.kinds import disagreement
from bajka.formats.opening import Opened, beside


def read_opened(
    opened: Opened, settings: CorpusSettings, account: Account, *, encoding: str | None = None
) -> Generator[Document, None, None]:
    """The documents of one file, in order, in memory that does not grow with it (but for one document).

    `encoding` overrules the guess. `account` is filled in on the way and final at the end. Raises `UnreadableError`
    when the file gives no text, perhaps after some documents: they are not to be used then.
    """
    if clause := disagreement(opened.name, opened.kind):
        account.notes.append(clause)
    try:
        yield from _documents(opened, settings, account, encoding)
    except OSError as error:
        raise UnreadableError(f"it cannot be read ({error.strerror or error})") from error


def _documents(opened: Opened, settings: CorpusSettings, account: Account, encoding: str | None) -> Iterator[Document]:
    # Each reader is imported when a file asks for it: some need optional libraries, and most runs need one of them.
    name, file = opened.name, opened.file

    def text() -> Text:
        return decoded(file, account, name=name.rpartition("/")[2], encoding=encoding)

    match opened.kind:
        case "text":
            from bajka.formats.plain import read_plain

            return read_plain(text(), name=name, settings=settings, account=account)
        case "plots":
            from bajka.formats.plots import METADATA, read_plots

            return read_plots(text(), name=name, account=account, metadata=beside(opened, METADATA))
        case "jsonl":
            from bajka.formats.records import read_jsonl

            return read_jsonl(text(), name=name, settings=settings, account=account)
        case "json":
            from bajka.formats.records import read_json

            return read_json(text(), name=name, settings=settings, account=account)
        case "csv":
            from bajka.formats.tables import read_csv

            return read_csv(text(), name=name, settings=settings, account=account)
        case "parquet":
            from bajka.formats.parquet import read_parquet

            return read_parquet(file, name=name, settings=settings, account=account)
        case "html":
            from bajka.formats.markup import charset_named, read_html

            encoding = encoding or (None if _is_unicode(file) else charset_named(file.read(4096)))
            return read_html(text(), name=name, account=account)
        case "xml":
            from bajka.formats.markup import read_xml

            return read_xml(file.read(), name=name, account=account, encoding=encoding)
        case "epub":
            from bajka.formats.epub import read_epub

            return read_epub(file, name=name, account=account, encoding=encoding)
        case "docx":
            from bajka.formats.office import read_docx

            return read_docx(file, name=name, account=account)
        case "odt":
            from bajka.formats.office import read_odt

            return read_odt(file, name=name, account=account)
        case "rtf":
            from bajka.formats.office import read_rtf

            return read_rtf(file, name=name, account=account)


def _is_unicode(file: BinaryIO) -> bool:
    """Whether a file has a byte order mark or begins as UTF-8, whatever it says of itself; `file` is at its beginning."""
    head = file.read(1 << 20)
    file.seek(0)
    if any(head.startswith(mark) for mark, _ in MARKS):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
