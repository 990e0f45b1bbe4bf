"""What every reader gives: documents, and an account of how their file was read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from bajka.errors import CorpusError


class UnreadableError(CorpusError):
    """One file or record that gives no text; `reason` is a clause that follows "it was skipped:".

    `asks` means that the person can decide it (which column, which field, which encoding): then a file that was
    named itself is an error and not a skipped file.
    """

    def __init__(self, reason: str, *, asks: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.asks = asks


@dataclass(frozen=True, slots=True)
class Document:
    """One text with its beginning and its end; `fields` are the other columns of its row, as text.

    `markers` are (place, marker) pairs, in order: before the character at that place of `text` the token files hold
    the control token `marker`. They are no part of the text.
    """

    text: str
    name: str
    fields: dict[str, str] = field(default_factory=dict, hash=False)
    markers: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """How the bytes of a file were read: a Python codec's name, and for guesses the language that decided.

    `sample` is a line of the text with letters outside ASCII, for a person to judge; `instead` is the runner-up.
    """

    name: str
    sure: bool = True
    language: str = ""
    sample: str = ""
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file or folder that gave no text, and why."""

    name: str
    reason: str


@dataclass
class Account:
    """What is to be said of one file once its documents have passed: filled in by the readers on the way.

    `text_field` is the field or column that was taken as the text ("" for plain texts), `columns` are all that could
    have been, `left_out` counts rows by the reason they gave no document, `notes` are clauses on what had to be chosen.
    """

    encoding: EncodingGuess = EncodingGuess("utf-8")
    text_field: str = ""
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def note(self) -> str:
        """All of it in one line."""
        return "; ".join([*self.notes, *(f"{reason}: {count:,}" for reason, count in self.left_out.items())])
