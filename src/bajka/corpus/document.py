"""What the other rooms see of the texts: documents, and the facts of the files they came from."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

from bajka.corpus.characters import count_characters, letters_among
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
    """One text with its beginning and its end; `fields` are the other columns of its row, as text."""

    text: str
    name: str
    fields: dict[str, str] = field(default_factory=dict, hash=False)


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
class FileFacts:
    """One file that was read; `bytes` as it lies on the disk, `note` says what had to be chosen or left out."""

    path: str
    name: str
    bytes: int
    encoding: EncodingGuess
    documents: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """One file or folder that gave no text, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Corpus:
    """All documents in reading order, the files they came from, and what was skipped."""

    documents: list[Document]
    files: list[FileFacts]
    skipped: list[Skipped]

    @cached_property
    def characters(self) -> dict[str, int]:
        """How often each character occurs."""
        return count_characters(document.text for document in self.documents)

    @property
    def letters(self) -> int:
        """Letters of any script (`str.isalpha`)."""
        return letters_among(self.characters)

    @cached_property
    def keys(self) -> list[str]:
        """`text_key` of every document, in order."""
        return [text_key(document.text) for document in self.documents]

    @property
    def duplicates(self) -> int:
        """Documents whose text already stands in an earlier document."""
        return len(self.keys) - len(set(self.keys))

    @cached_property
    def bytes(self) -> int:
        """UTF-8 bytes of the cleaned text."""
        return bytes_of(self.documents)


def text_key(text: str) -> str:
    """A hash (32 hexadecimal digits), equal for texts that differ only in white space or Unicode composition."""
    plain = " ".join(text.split())
    if not plain.isascii():
        plain = unicodedata.normalize("NFC", plain)
    return hashlib.blake2b(plain.encode("utf-8"), digest_size=16).hexdigest()


def bytes_of(documents: list[Document]) -> int:
    """UTF-8 bytes of the texts."""
    return sum(len(document.text.encode("utf-8")) for document in documents)
