"""How a plain text falls into documents: the whole file, its lines, or what stands between newlines or marker lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bajka.config import CorpusSettings
from bajka.formats.cutting import cut_near
from bajka.formats.decoding import Text
from bajka.formats.document import Account, Document, UnreadableError

LONGEST_DOCUMENT = 8_000_000
"""Characters of a plain text above which it is cut into parts, so that memory does not grow with a file."""
_CUT_WITHIN = 100_000
_MARKERS_AT_LEAST = 2  # one lone line in a novel may be an accident

Stream = Iterator[str | None]
"""Pieces of text; None stands between two documents."""


class Part(NamedTuple):
    """A document, or one part of it (0: all of it); `place` counts the documents of the stream from 1."""

    place: int
    part: int
    text: str


def read_plain(text: Text, *, name: str, settings: CorpusSettings, account: Account) -> Iterator[Document]:
    """The documents of a plain text as `settings.documents` says; "auto" splits at marker lines, if there are two.

    Raises `UnreadableError` when there is nothing but white space and markers.
    """
    marker, mode = settings.marker.strip(), settings.documents
    if mode in ("auto", "marker"):
        found = _marker_lines_in(text, marker, enough=_MARKERS_AT_LEAST)
        if found >= (_MARKERS_AT_LEAST if mode == "auto" else 1):
            mode = "marker"
        elif mode == "marker":
            account.notes.append(f'no line is "{marker}", so it is one document')
            mode = "file"
    match mode:
        case "line":
            account.notes.append("one document a line")
            yield from _many(_lines(text), name=name, account=account, by_line=True)
        case "newline":
            account.notes.append("split at single newlines")
            yield from _many(_between_newlines(text), name=name, account=account)
        case "marker":
            account.notes.append(f'split at lines that are "{marker}"')
            yield from _many(_between_markers(text, marker), name=name, account=account, marker=marker)
        case _:
            yield from _one(text, name=name, account=account)


def _one(text: Text, *, name: str, account: Account) -> Iterator[Document]:
    """The whole file as it is."""
    parts = empty = 0
    for _, part, body in in_parts(text.chunks()):
        parts += 1
        if body.strip():
            yield Document(body, f"{name}, part {part}" if part else name)
        else:
            empty += 1
    if empty == parts:
        raise UnreadableError("it holds only white space")
    say_cuts(parts, account)


def _many(
    stream: Stream, *, name: str, account: Account, by_line: bool = False, marker: str = ""
) -> Iterator[Document]:
    """What stands between the ends, without white space (of a line) or empty lines around it; numbered by line, or
    by what is not empty.
    """
    number = last = cut = 0
    for place, part, body in in_parts(stream):
        body = body.strip() if by_line else body.strip("\n")
        if not body.strip():
            continue
        number, last = number + (place != last), place
        cut += part > 0
        here = f"{name}#{place if by_line else number}"
        yield Document(body, f"{here}, part {part}" if part else here)
    if not number:
        raise UnreadableError(f'it holds nothing but "{marker}" lines' if marker else "it holds only white space")
    say_cuts(cut, account)


def say_cuts(parts: int, account: Account) -> None:
    """A note on a document that was cut into several."""
    if parts > 1:
        account.notes.append(f"cut into {parts} parts of about {LONGEST_DOCUMENT // 1_000_000} million characters")


def in_parts(stream: Stream) -> Iterator[Part]:
    """The pieces between two ends joined; what is longer than `LONGEST_DOCUMENT` is cut at a paragraph."""
    held: list[str] = []
    place, part, length = 1, 0, 0
    for piece in stream:
        if piece is None:
            yield Part(place, part and part + 1, "".join(held))
            held, place, part, length = [], place + 1, 0, 0
            continue
        held.append(piece)
        length += len(piece)
        while length > LONGEST_DOCUMENT + _CUT_WITHIN:
            joined = "".join(held)
            end = cut_near(joined, LONGEST_DOCUMENT, within=_CUT_WITHIN)
            part += 1
            yield Part(place, part, joined[:end])
            held, length = [joined[end:]], length - end
    yield Part(place, part and part + 1, "".join(held))


def _lines(text: Text) -> Stream:
    """Pieces of lines; a line may come in several."""
    for chunk in text.chunks():
        first, *others = chunk.split("\n")
        yield first
        for line in others:
            yield None
            yield line


def _between_newlines(text: Text) -> Stream:
    """An end where a line with text follows directly on a line with text; empty lines are inside."""
    waiting: list[str] = []  # newlines and white space since the last text
    blank = before_blank = True
    for piece in _lines(text):
        if piece is None:
            before_blank, blank = blank, True
            waiting.append("\n")
        elif not piece.strip():
            waiting.append(piece)
        else:
            if blank and not before_blank:
                yield None
                waiting = [white for white in waiting if white != "\n"]
            yield from waiting
            yield piece
            waiting, blank = [], False


def _between_markers(text: Text, marker: str) -> Stream:
    """What stands between the lines that are the marker."""
    at_line_start = True
    for chunk in text.chunks():
        place = 0
        for start, end in _marker_lines(chunk, marker, at_line_start=at_line_start):
            yield chunk[place:start]
            yield None
            place = end
        yield chunk[place:]
        at_line_start = chunk.endswith("\n")


def _marker_lines_in(text: Text, marker: str, *, enough: int) -> int:
    """How many lines are the marker, counted no further than `enough`."""
    found, at_line_start = 0, True
    for chunk in text.chunks():
        found += sum(1 for _ in _marker_lines(chunk, marker, at_line_start=at_line_start))
        if found >= enough:
            break
        at_line_start = chunk.endswith("\n")
    return found


def _marker_lines(chunk: str, marker: str, *, at_line_start: bool) -> Iterator[tuple[int, int]]:
    """Beginnings and ends of the lines that are only the marker and white space; each line is looked at once."""
    hit = chunk.find(marker)
    while hit >= 0:
        start = chunk.rfind("\n", 0, hit) + 1
        end = chunk.find("\n", hit)
        end = end if end >= 0 else len(chunk)
        if (start or at_line_start) and chunk[start:end].strip() == marker:
            yield start, end
        hit = chunk.find(marker, end)
