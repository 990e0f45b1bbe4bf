"""Reading CSV as the world writes it: any usual delimiter, quoted newlines, rows of only commas, enormous fields."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from bajka.corpus.document import UnreadableError
from bajka.corpus.fields import Content, documents_of

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 50
_LARGEST_FIELD = 2**31 - 1  # the csv module's limit is a C long, 32 bits on Windows


def read_csv(text: str, *, name: str, column: str | None) -> Content:
    """One row a document, the first row naming the columns; raises `UnreadableError` when none is plainly the text."""
    with _unlimited_fields():
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=find_delimiter(text)))
    header = [title.strip() or f"column {place}" for place, title in enumerate(rows[0], start=1)] if rows else []
    body = [(number, _without_empty_end(row)) for number, row in enumerate(rows[1:], start=1)]
    if len(header) == 1:
        body = [(number, [",".join(row)]) for number, row in body]
    fitting = [(number, dict(zip(header, row, strict=False))) for number, row in body if len(row) <= len(header)]
    ragged = len(body) - len(fitting)
    if ragged > len(fitting):
        advice = "put quotes around values that hold the delimiter"
        raise UnreadableError(f"{ragged:,} of its rows have more values than its first row has names: {advice}")
    content = documents_of(fitting, name=name, word="column", wanted=column)
    note = f"; rows with too many values left out: {ragged:,}" if ragged else ""
    return Content(content.documents, content.note + note)


def find_delimiter(text: str) -> str:
    """The delimiter under which most rows of the beginning have as many values as the first row, and more than one."""
    return max(_DELIMITERS, key=lambda delimiter: _fit(text, delimiter))


def _fit(text: str, delimiter: str) -> float:
    with _unlimited_fields():
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [row for row in islice(reader, _SAMPLE_ROWS) if any(row)]
    if not rows or len(rows[0]) < 2:
        return 0.0
    return sum(len(_without_empty_end(row)) <= len(rows[0]) and len(row) > 1 for row in rows) / len(rows)


def _without_empty_end(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row = row[:-1]
    return row


@contextmanager
def _unlimited_fields() -> Iterator[None]:
    """The csv module's limit (131,072 characters a field) is global: raised here and put back."""
    before = csv.field_size_limit(_LARGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
