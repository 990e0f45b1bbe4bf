"""One file in, its documents out: a reader per kind of file, and how a plain text falls into documents."""

from __future__ import annotations

from dataclasses import dataclass

from bajka.config import CorpusSettings
from bajka.corpus.cleaning import clean
from bajka.corpus.document import Document, EncodingGuess, UnreadableError
from bajka.corpus.encodings import decode
from bajka.corpus.fields import Content
from bajka.corpus.records import read_json, read_jsonl
from bajka.corpus.sources import Source
from bajka.corpus.tables import read_csv

_MAGIC = {
    b"\x1f\x8b": "it is compressed (gzip): unpack it first",
    b"PK\x03\x04": "it is compressed (zip, docx or epub): unpack it or save it as .txt first",
    b"%PDF-": "it is a PDF: save it as .txt first",
}
_MARKERS_AT_LEAST = 2  # one lone line in a novel may be an accident


@dataclass(frozen=True, slots=True)
class FileContent:
    """What one file gave: its documents, its size on the disk in bytes, how it was decoded, and a note."""

    documents: list[Document]
    bytes: int
    encoding: EncodingGuess
    note: str


def read_file(source: Source, settings: CorpusSettings, *, encoding: str | None = None) -> FileContent:
    """All documents of one file, cleaned; raises `UnreadableError` when it gives none."""
    try:
        data = source.path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"it cannot be opened ({error.strerror})") from error
    if not data:
        raise UnreadableError("it is empty")
    for magic, reason in _MAGIC.items():
        if data.startswith(magic):
            raise UnreadableError(reason)
    text, guess = decode(data, name=source.path.name, encoding=encoding)
    text = clean(text)
    if not text.strip():
        raise UnreadableError("it holds only white space")
    content = _content(text, source, settings)
    return FileContent(content.documents, len(data), guess, content.note)


def _content(text: str, source: Source, settings: CorpusSettings) -> Content:
    match source.kind:
        case "text":
            return read_text(text, settings, name=source.name)
        case "jsonl":
            return read_jsonl(text, name=source.name, field=settings.field)
        case "json":
            return read_json(text, name=source.name, field=settings.field)
        case "csv":
            return read_csv(text, name=source.name, column=settings.column)


def read_text(text: str, settings: CorpusSettings, *, name: str) -> Content:
    """The documents of a plain text as `settings.documents` says; "auto" splits at lines that are the marker."""
    marker = settings.marker.strip()
    match settings.documents:
        case "line":
            lines = enumerate(text.split("\n"), start=1)
            documents = [Document(line.strip(), f"{name}#{place}") for place, line in lines if line.strip()]
            return Content(documents, "one document a line")
        case "marker":
            return _pieces(text, marker, name=name)
        case "auto" if text.count(marker) >= _MARKERS_AT_LEAST and _marker_lines(text, marker) >= _MARKERS_AT_LEAST:
            return _pieces(text, marker, name=name)
        case _:
            return Content([Document(text, name)])


def _marker_lines(text: str, marker: str) -> int:
    return sum(line.strip() == marker for line in text.split("\n"))


def _pieces(text: str, marker: str, *, name: str) -> Content:
    """What stands between lines that are only the marker, without blank lines around it."""
    pieces: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip() == marker:
            pieces.append([])
        else:
            pieces[-1].append(line)
    if len(pieces) == 1:
        return Content([Document(text, name)], f'no line is "{marker}", so it is one document')
    texts = [body for piece in pieces if (body := "\n".join(piece).strip("\n")).strip()]
    if not texts:
        raise UnreadableError(f'it holds nothing but "{marker}" lines')
    documents = [Document(body, f"{name}#{place}") for place, body in enumerate(texts, start=1)]
    return Content(documents, f'split at lines that are "{marker}"')
