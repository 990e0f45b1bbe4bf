"""JSON values one after another from a text of any size, by the standard library's decoder.

ijson was tried first (3.x, 2026-11): it gives "?" for half of a surrogate pair, refuses NaN and crashed on an integer
of 5,000 digits. Here numbers stay as they are written, so no integer is too large and no fraction is rounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from bajka.formats.document import UnreadableError
from bajka.formats.fields import LONGEST_RECORD

_SPACE = re.compile(r"[ \t\n\r\ufeff]*")
_LONGEST_WORD = 20  # characters at the end of what was read that may be half a literal, number or escape


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def decoder() -> json.JSONDecoder:
    """A decoder whose numbers are `Number`s; NaN and the infinities, which JSON has not, are missing values."""
    return json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=lambda _: None)


class JsonStream:
    """A place in a JSON text of which only a little is held; each method moves the place forward.

    All raise `UnreadableError` with the line number for what is not JSON.
    """

    def __init__(self, chunks: Iterator[str]) -> None:
        self._chunks = chunks
        self._decoder = decoder()
        self._held = ""
        self._place = 0
        self._line = 1  # of the beginning of what is held

    def peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        while True:
            found = _SPACE.match(self._held, self._place)
            self._place = found.end() if found else self._place
            if self._place < len(self._held) or not self._more():
                return self._held[self._place : self._place + 1]

    def value(self) -> Any:
        """The next value; it must be whole within `LONGEST_RECORD` characters."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._place)
            except json.JSONDecodeError as error:
                if self._is_mistake(error) or not self._more():
                    raise self._broken(error.msg, error.pos) from None
                continue
            except RecursionError:
                reason = f"it is not JSON that can be read (line {self._line_at(self._place)} is nested too deeply)"
                raise UnreadableError(reason) from None
            if end < len(self._held) or not self._more():  # a number at the end may go on
                self._place = end
                return value

    def items(self) -> Iterator[Any]:
        """The values of the list that begins here."""
        self._take("[")
        if self.peek() == "]":
            return self._take("]")
        while True:
            yield self.value()
            if self.peek() != ",":
                return self._take("]", otherwise=",")
            self._take(",")

    def keys(self) -> Iterator[str]:
        """The keys of the object that begins here; the caller takes the value of each before the next."""
        self._take("{")
        if self.peek() == "}":
            return self._take("}")
        while True:
            if self.peek() != '"':
                raise self._broken("Expecting property name enclosed in double quotes", self._place)
            key = self.value()
            self._take(":")
            yield key
            if self.peek() != ",":
                return self._take("}", otherwise=",")
            self._take(",")

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.peek():
            raise self._broken("Extra data", self._place)

    def _take(self, mark: str, *, otherwise: str = "") -> None:
        if self.peek() != mark:
            raise self._broken(f"Expecting {otherwise or mark!r} delimiter", self._place)
        self._place += 1

    def _more(self) -> bool:
        """Hold at least twice as much from the place on, so that a long value is not tried too often."""
        kept = [self._held[self._place :]]
        wanted, read = len(kept[0]), 0
        while chunk := next(self._chunks, ""):
            kept.append(chunk)
            read += len(chunk)
            if read >= wanted:
                break
        if wanted + read > 2 * LONGEST_RECORD:
            line = self._line_at(self._place)
            raise UnreadableError(f"a value in line {line} is longer than {LONGEST_RECORD:,} characters, or never ends")
        self._line = self._line_at(self._place)
        self._held, self._place = "".join(kept), 0
        return read > 0

    def _is_mistake(self, error: json.JSONDecodeError) -> bool:
        """Whether more text cannot mend it."""
        return not error.msg.startswith("Unterminated string") and error.pos < len(self._held) - _LONGEST_WORD

    def _line_at(self, place: int) -> int:
        return self._line + self._held.count("\n", 0, place)

    def _broken(self, problem: str, place: int) -> UnreadableError:
        column = place - self._held.rfind("\n", 0, place)
        reason = f"line {self._line_at(place)} is not valid JSON ({problem} at column {column}): correct it"
        return UnreadableError(reason, asks=True)
