"""Cleaning a text: named steps, each from text to text, each with a switch of its own in `[cleaning]`.

The order, and why:
    mojibake              first: what was decoded wrongly is not yet itself
    control_characters    lines are lines from here on
    hyphens               before notes go and lines are joined, while lines end where they ended
    frames, ruby
    nfc                   behind all that takes characters out between a letter and its accent
    blank_lines           empty lines are empty from here on: they divide blocks
    unwrap
    duplicate_paragraphs  a paragraph is one line by now
    lowercase             last: capitals are evidence for the others

Cleaning a clean text changes nothing (with `lowercase` off: without capitals there is less to tell verse by). Letters
are lost only to frames, ruby, notes and, where asked for, duplicates; a text keeps one final newline if it had one.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from operator import ne
from typing import Literal, get_args

from bajka.cleaning.changes import Change
from bajka.cleaning.controls import count_controls, without_controls
from bajka.cleaning.frames import without_frames
from bajka.cleaning.hyphens import with_whole_words
from bajka.cleaning.ruby import without_ruby
from bajka.cleaning.wrapping import without_wrapping
from bajka.config import CleaningSettings
from bajka.errors import MissingExtraError
from bajka.formats.document import UnreadableError

Step = Literal[
    "mojibake",
    "control_characters",
    "hyphens",
    "frames",
    "ruby",
    "nfc",
    "blank_lines",
    "unwrap",
    "duplicate_paragraphs",
    "lowercase",
]
LONG_PARAGRAPH = 200  # characters from which `duplicate_paragraphs` compares: refrains and formulas are shorter

_BLANKS = " \t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"


Place = tuple[int, dict[str, Change]]
"""How many paragraphs a cleaner remembers, and what its steps have done."""


class Cleaner:
    """The steps that are switched on; what they did to all texts so far is in `changes`, by the name of the step."""

    def __init__(self, settings: CleaningSettings) -> None:
        self.changes: dict[str, Change] = {}
        self._steps: list[Step] = [step for step in get_args(Step) if getattr(settings, step)]
        self._paragraphs: dict[bytes, None] = {}  # in the order of their coming, as a set would not keep them

    def clean(self, text: str) -> str:
        """`text` after every step; the same text for the same text, unless duplicate paragraphs are removed.

        Raises `UnreadableError` for half a character, and `MissingExtraError` when mojibake is to be repaired without ftfy.
        """
        refuse_broken(text)
        for step in self._steps:
            after = self._after(step, text)
            if after != text:
                change = self.changes.setdefault(step, Change())
                change.note(text, after, characters=_altered(step, text, after))
                text = after
        return text

    @property
    def place(self) -> Place:
        """How much is remembered of the texts so far: what `take_back` goes back to."""
        return len(self._paragraphs), {step: replace(change) for step, change in self.changes.items()}

    def take_back(self, place: Place) -> None:
        """Forget the texts that were cleaned after `place`: copies of their paragraphs elsewhere are the first."""
        paragraphs, changes = place
        while len(self._paragraphs) > paragraphs:
            self._paragraphs.popitem()
        self.changes.clear()
        self.changes.update(changes)

    def _after(self, step: Step, text: str) -> str:
        match step:
            case "mojibake":
                return without_mojibake(text)
            case "control_characters":
                return without_controls(text)
            case "hyphens":
                return with_whole_words(text)
            case "frames":
                return without_frames(text)
            case "ruby":
                return without_ruby(text)
            case "nfc":
                return unicodedata.normalize("NFC", text)  # gives the text itself, quickly, when it is normal
            case "blank_lines":
                return without_blanks(text)
            case "unwrap":
                return without_wrapping(text)
            case "duplicate_paragraphs":
                return "\n".join(self._unseen(text.split("\n")))
            case "lowercase":
                return in_small_letters(text)

    def _unseen(self, lines: list[str]) -> Iterator[str]:
        """The lines without the long ones that were met before, and without the empty line behind each of these."""
        dropped = False
        for line in lines:
            if dropped and not line:
                dropped = False
                continue
            dropped = False
            if len(line) >= LONG_PARAGRAPH:
                key = hashlib.blake2b(" ".join(line.split()).encode(), digest_size=10).digest()
                dropped = key in self._paragraphs
                self._paragraphs[key] = None
            if not dropped:
                yield line


def refuse_broken(text: str) -> None:
    """Raise `UnreadableError` for half a UTF-16 pair, which no tokenizer could give back; formats lets none pass."""
    try:
        text.isascii() or text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableError(f"it holds half a character (a lone surrogate, at {error.start})") from None


def without_blanks(text: str) -> str:
    """No spaces at ends of lines, at most two empty lines in a row, none first or last; one final newline may stay.

    In a text of 1,000 lines or more, spaces behind words stay where fewer than one line in 1,000 has them: that is an
    edition as clean as they come (tiny Shakespeare has two such lines), and worth keeping to the byte.
    """
    lines = text.split("\n")
    stripped = [line.rstrip(_BLANKS) for line in lines]
    if stripped != lines:
        if len(lines) >= 1000 and sum(map(ne, lines, stripped)) * 1000 < len(lines):
            stripped = [line if body else "" for line, body in zip(lines, stripped, strict=True)]
        text = "\n".join(stripped)
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    if text.startswith("\n") or text.endswith("\n\n"):
        inner = text.strip("\n")
        return inner + "\n" if inner and text.endswith("\n") else inner
    return text


def without_mojibake(text: str) -> str:
    """What ftfy makes of text that was written in UTF-8 and read as something else; nothing else it knows is used."""
    if text.isascii():
        return text
    try:
        from ftfy import TextFixerConfig, fix_text
    except ImportError:
        raise MissingExtraError("Repairing wrongly decoded text (mojibake)", extra="data") from None
    config = TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        fix_surrogates=False,
        remove_control_chars=False,
        normalization=None,
        explain=False,
    )
    return fix_text(text, config)


def in_small_letters(text: str) -> str:
    """`str.lower`, with İ to i; in a text with as many ı as Turkish and Azeri have, I becomes ı."""
    if text.count("ı") * 200 > len(text):
        text = text.replace("I", "ı")
    return text.replace("İ", "i").lower()


def _altered(step: Step, before: str, after: str) -> int:
    """Characters removed; where none went, characters altered; for `unwrap`, line ends."""
    match step:
        case "control_characters":
            return count_controls(before) - count_controls(after)
        case "unwrap":
            return before.count("\n") - after.count("\n")
        case _ if len(before) != len(after):
            return abs(len(before) - len(after))
        case _:
            return sum(map(ne, before, after))
