"""Running text put together from pieces of a marked-up page: paragraphs apart, lines of verse under each other."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPACES = re.compile("[ \t\r\n\f\u00a0\u2007\u202f]+")
_FIXED_SPACES = re.compile("[\u00a0\u2007\u202f]")
_CONTENTS = 3  # so many lines in a row that are nothing but a link into the book are its table of contents


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    linked: bool


class Flow:
    """Pieces in, running text out: white space collapsed, non-breaking spaces become spaces, nothing empty is kept.

    While `linked` is true, what is written stands in a link to another place of the same book: three such lines in a
    row are a table of contents and are left out.
    """

    def __init__(self) -> None:
        self.linked = False
        self._paragraphs: list[list[_Line]] = []
        self._lines: list[_Line] = []
        self._pieces: list[str] = []
        self._literal = False
        self._unlinked = False

    def write(self, text: str) -> None:
        """More of the current line."""
        self._pieces.append(text)
        self._unlinked = self._unlinked or (not self.linked and not text.isspace())

    def write_literal(self, text: str) -> None:
        """More of a preformatted text: its line ends count and its spaces stay."""
        for place, line in enumerate(text.replace("\r", "").split("\n")):
            if place:
                self.break_line()
            self._literal = True
            self.write(line)

    def end_line(self) -> None:
        """The next piece begins a new line of the same paragraph."""
        if not self._pieces:
            return
        joined = "".join(self._pieces)
        text = _FIXED_SPACES.sub(" ", joined).rstrip() if self._literal else _SPACES.sub(" ", joined).strip(" ")
        if text.strip():
            self._lines.append(_Line(text, linked=not self._unlinked))
        self._pieces, self._literal, self._unlinked = [], False, False

    def break_line(self) -> None:
        """As `end_line`, but a second one in a row ends the paragraph."""
        before = len(self._lines)
        self.end_line()
        if len(self._lines) == before:
            self.end_paragraph()

    def end_paragraph(self) -> None:
        """The next piece begins a new paragraph."""
        self.end_line()
        if self._lines:
            self._paragraphs.append(self._lines)
            self._lines = []

    def place(self) -> tuple[int, int, int]:
        """Where the next piece goes, for `since` and `take_back`."""
        return len(self._paragraphs), len(self._lines), len(self._pieces)

    def since(self, place: tuple[int, int, int]) -> str:
        """What was written since then, if it was on one line; else nothing."""
        return "".join(self._pieces[place[2] :]) if self.place()[:2] == place[:2] else ""

    def take_back(self, place: tuple[int, int, int]) -> None:
        """Unwrite what `since` gives."""
        if self.place()[:2] == place[:2]:
            del self._pieces[place[2] :]

    def text(self) -> str:
        """All of it: paragraphs with an empty line between them."""
        self.end_paragraph()
        paragraphs = _without_contents(self._paragraphs)
        return "\n\n".join("\n".join(line.text for line in lines) for lines in paragraphs)


def _without_contents(paragraphs: list[list[_Line]]) -> list[list[_Line]]:
    flags = [line.linked for lines in paragraphs for line in lines]
    dropped = [False] * len(flags)
    start = 0
    for place in range(len(flags) + 1):
        if place == len(flags) or not flags[place]:
            if place - start >= _CONTENTS:
                dropped[start:place] = [True] * (place - start)
            start = place + 1
    drop = iter(dropped)
    kept = [[line for line in lines if not next(drop)] for lines in paragraphs]
    return [lines for lines in kept if lines]
