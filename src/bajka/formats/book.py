"""What every reader of books ends with: the running text of one file as its document, with what the file says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bajka.formats.cutting import cut_near
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.plain import LONGEST_DOCUMENT

_CUT_WITHIN = 100_000
_YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")


def one_book(text: str, *, name: str, fields: dict[str, str], account: Account) -> Iterator[Document]:
    """One document; like a plain text, one that is too long is cut into parts at a paragraph.

    Raises `UnreadableError` when there is no text.
    """
    if not text:
        raise UnreadableError("there is no running text in it (pages that are pictures cannot be read)")
    if len(text) <= LONGEST_DOCUMENT + _CUT_WITHIN:
        yield Document(text, name, fields)
        return
    part = 0
    while text:
        long = len(text) > LONGEST_DOCUMENT + _CUT_WITHIN
        end = cut_near(text, LONGEST_DOCUMENT, within=_CUT_WITHIN) if long else len(text)
        part += 1
        yield Document(text[:end], f"{name}, part {part}", fields)
        text = text[end:]
    account.notes.append(f"cut into {part} parts of about {LONGEST_DOCUMENT // 1_000_000} million characters")


def book_fields(*, title: str = "", author: str = "", year: str = "", language: str = "") -> dict[str, str]:
    """A document's fields; the empty ones are left out, of a date the year is taken."""
    dated = _YEAR.search(year)
    fields = {"title": title, "author": author, "year": dated.group() if dated else "", "language": language}
    return {name: " ".join(value.split()) for name, value in fields.items() if value.strip()}
