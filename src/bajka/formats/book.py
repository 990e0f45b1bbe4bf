"""What every reader of books ends with: the running text of one file as its document, with what the file says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.plain import in_parts, say_cuts

_YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")


def one_book(text: str, *, name: str, fields: dict[str, str], account: Account) -> Iterator[Document]:
    """One document; like a plain text, one that is too long is cut into parts at a paragraph.

    Raises `UnreadableError` when there is no text.
    """
    if not text:
        raise UnreadableError("there is no running text in it (pages that are pictures cannot be read)")
    part = 0
    for _, part, body in in_parts(iter([text])):
        yield Document(body, f"{name}, part {part}" if part else name, fields)
    say_cuts(part, account)


def book_fields(*, title: str = "", author: str = "", year: str = "", language: str = "") -> dict[str, str]:
    """A document's fields; the empty ones are left out, of a date the year is taken."""
    dated = _YEAR.search(year)
    fields = {"title": title, "author": author, "year": dated.group() if dated else "", "language": language}
    return {name: " ".join(value.split()) for name, value in fields.items() if value.strip()}
