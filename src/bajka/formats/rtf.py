"""Rich text (.rtf) by striprtf, prepared so that lines, cells, deleted and hidden text are told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from bajka.errors import MissingExtraError
from bajka.formats.book import book_fields, one_book
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.flow import Flow

_LINE = "\v"
_WORDS = r"(?:\\[a-z]+-?\d* ?)*"
_UNSEEN = re.compile(r"\{(" + _WORDS + r")\\(?:deleted|v|listtext|pntext)(?![a-z0-9])")
_CELL = re.compile(r"\\(?:nest)?cell(?![a-z])")
_NEW_LINE = re.compile(r"\\(?:line|lbr\d)(?![a-z])")
_EIGHT_BITS = re.compile("[\u0080-\u00ff]")
_BEGINNING = re.compile(r"\{\\rtf[^{}]*")


def read_rtf(file: BinaryIO, *, name: str, account: Account) -> Iterator[Document]:
    r"""One document; letters by the code page of their font, of the file, or as \u numbers.

    Notes, headers, pictures, hidden and deleted text are left out. Raises `UnreadableError` when the file is damaged.
    """
    file.seek(0)
    source = file.read().decode("latin-1").lstrip("\ufeff\u00ef\u00bb\u00bf \r\n")
    if not source.startswith("{\\rtf"):
        raise UnreadableError("it is no RTF: it does not begin with {\\rtf")
    source = _EIGHT_BITS.sub(lambda found: f"\\'{ord(found.group()):02x}", source)
    fields = book_fields(title=_info(source, "title"), author=_info(source, "author"))
    source = _UNSEEN.sub(r"{\\*\\unseen\1", source)
    source = _CELL.sub(r"\\par ", source)
    text = _running(_stripped(_NEW_LINE.sub(r"\\'0b", source)))
    yield from one_book(text, name=name, fields=fields, account=account)


def _stripped(source: str) -> str:
    try:
        from striprtf.striprtf import rtf_to_text
    except ImportError:
        raise MissingExtraError("Reading .rtf files", extra="data") from None
    try:
        text: str = rtf_to_text(source)  # type: ignore[no-untyped-call]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")  # halves written apart become characters
    except UnicodeError as error:
        raise UnreadableError(f"its letters are not in the code page that it names ({error})") from None
    except (ValueError, LookupError, OverflowError) as error:
        raise UnreadableError(f"it is damaged RTF ({str(error)[:100]})") from None


def _running(text: str) -> str:
    flow = Flow()
    for paragraph in text.replace("\0", "").split("\n"):
        for place, line in enumerate(paragraph.split(_LINE)):
            if place:
                flow.break_line()
            flow.write(line)
        flow.end_paragraph()
    return flow.text()


def _info(source: str, field: str) -> str:
    r"""What the group {\title ...} of a file says; of two the second, in Unicode."""
    found = re.findall(r"\{\\" + field + r"(?![a-z])([^{}]*)\}", source[:100_000])
    beginning = _BEGINNING.match(source)
    return _stripped(f"{beginning.group()} {found[-1]}}}") if found and beginning else ""
