"""From a stream of tags and text to running text, by a table of what each tag of a format means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bajka.formats.flow import Flow

Attributes = Mapping[str, str]
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NOTE_NUMBER = re.compile(r"\s*[\[({]?\s*(\d{1,4}|[*†‡§¶]+|[a-z]|x{0,3}(?:ix|iv|v?i{0,3}))\s*[\])}.]?\s*")


def tags(names: str) -> frozenset[str]:
    """A set of names that are written with spaces between them."""
    return frozenset(names.split())


class Events(Protocol):
    """Receives a page in reading order; every `start` has its `end`. Names are local, without prefix."""

    def start(self, tag: str, attributes: Attributes) -> None: ...
    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


class Enough(Exception):
    """Raised by `Events` that need no more of the page."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the tags of a format mean; a tag that is in no set is part of the line around it.

    `tight` holds the tags whose paragraphs are lines (of a list item, a heading), `written` tags that stand for
    characters, and `hidden` decides from tag, attributes and parent what is left out with all that is inside.
    """

    paragraphs: frozenset[str]
    lines: frozenset[str]
    hidden: Callable[[str, Attributes, str], bool]
    tight: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()
    literal: frozenset[str] = frozenset()
    written: Mapping[str, str] = field(default_factory=dict)


class TextReader:
    """`Events` that write the running text of a page into `flow`."""

    def __init__(self, dialect: Dialect) -> None:
        self.flow = Flow()
        self._dialect = dialect
        self._open: list[str] = []
        self._hidden = 0
        self._literal = 0
        self._link: tuple[int, tuple[int, int, int]] | None = None  # depth and place of an open link into the book

    def start(self, tag: str, attributes: Attributes) -> None:
        parent = self._open[-1] if self._open else ""
        self._open.append(tag)
        if self._hidden or self._dialect.hidden(tag, attributes, parent):
            self._hidden += 1
            return
        self._begin(tag, parent)
        self._literal += tag in self._dialect.literal
        if tag == "a" and self._link is None and "#" in attributes.get("href", ""):
            self._link = len(self._open), self.flow.place()
            self.flow.linked = _HEADINGS.isdisjoint(self._open)  # a heading may lead back to the contents

    def end(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
            self._open.pop()
            return
        if self._link is not None and self._link[0] == len(self._open):
            self._end_link(self._link[1])
        self._open.pop()
        self._literal -= tag in self._dialect.literal
        self._end(tag, self._open[-1] if self._open else "")

    def data(self, text: str) -> None:
        if self._hidden:
            return
        if self._literal:
            self.flow.write_literal(text)
        else:
            self.flow.write(text)

    def _begin(self, tag: str, parent: str) -> None:
        dialect = self._dialect
        if tag in dialect.breaks:
            self.flow.break_line()
        elif tag in dialect.written:
            self.flow.write(dialect.written[tag])
        else:
            self._end(tag, parent)

    def _end(self, tag: str, parent: str) -> None:
        """A block ends what stood before it and, at its end, itself."""
        if tag in self._dialect.lines or (tag in self._dialect.paragraphs and parent in self._dialect.tight):
            self.flow.end_line()
        elif tag in self._dialect.paragraphs:
            self.flow.end_paragraph()

    def _end_link(self, place: tuple[int, int, int]) -> None:
        """A link into the book whose text is a number or a dagger leads to a note: it is no part of the text."""
        self.flow.linked = False
        self._link = None
        if _NOTE_NUMBER.fullmatch(self.flow.since(place)):
            self.flow.take_back(place)


class FieldReader:
    """`Events` that collect what stands at some paths: "titleStmt/title" is its text, "language@ident" an attribute."""

    def __init__(self, *paths: str, until: str = "") -> None:
        self.found: dict[str, list[str]] = {path: [] for path in paths}
        self._paths = [(path, path.partition("@")[0].split("/"), path.partition("@")[2]) for path in paths]
        self._until = until
        self._open: list[str] = []
        self._reading: list[tuple[int, str]] = []

    def start(self, tag: str, attributes: Attributes) -> None:
        if tag == self._until:
            raise Enough
        self._open.append(tag)
        for path, tags, attribute in self._paths:
            if self._open[-len(tags) :] != tags:
                continue
            if not attribute:
                self.found[path].append("")
                self._reading.append((len(self._open), path))
            elif attribute in attributes:
                self.found[path].append(attributes[attribute])

    def end(self, tag: str) -> None:
        self._reading = [(depth, path) for depth, path in self._reading if depth < len(self._open)]
        self._open.pop()

    def data(self, text: str) -> None:
        for _, path in self._reading:
            self.found[path][-1] += text

    def first(self, *paths: str) -> str:
        """The first that was found and is not empty, in the order of `paths`."""
        return next((text for path in paths for text in self.found[path] if text.strip()), "")
