"""What the other rooms see of the texts: a corpus of documents, and the facts of the files they came from."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bajka.characters import count_characters, count_text
from bajka.cleaning import Change
from bajka.formats import Document, EncodingGuess, Skipped

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file that was read; `bytes` as it lies on the disk, `note` says what had to be chosen or left out."""

    path: str
    name: str
    bytes: int
    encoding: EncodingGuess
    documents: int
    note: str = ""


@dataclass(frozen=True)
class Corpus:
    """All documents that were kept, in reading order, the files they came from, and what was skipped or changed.

    Per document, arrays of shape (documents,): `sizes` in UTF-8 bytes, `lengths` in characters, `letter_counts`;
    `digests` are their `text_key` (32 hexadecimal digits as bytes); `groups` holds the number of the first document of
    those that are nearly equal (its own when there is none).
    `changes` says what each step of cleaning did, `left_out` counts documents by the reason they are not here, and
    `news` is a sentence on what changed since these texts were read before ("" the first time).
    """

    documents: Sequence[Document]
    files: list[FileFacts]
    skipped: list[Skipped]
    sizes: Counts
    lengths: Counts
    letter_counts: Counts
    digests: NDArray[np.bytes_]
    groups: Counts
    changes: dict[str, Change] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    news: str = ""

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Corpus:
        """A corpus of documents in memory, as they are."""
        texts = [document.text for document in documents]
        counts = np.array([count_text(text) for text in texts], dtype=np.int64).reshape(-1, 2)
        return cls(
            documents,
            [],
            [],
            sizes=counts[:, 0],
            lengths=np.array([len(text) for text in texts], dtype=np.int64),
            letter_counts=counts[:, 1],
            digests=np.array([text_key(text) for text in texts], dtype="S32"),
            groups=np.arange(len(texts)),
        )

    @cached_property
    def characters(self) -> dict[str, int]:
        """How often each character occurs."""
        return count_characters(document.text for document in self.documents)

    @property
    def letters(self) -> int:
        """Letters of any script (`str.isalpha`)."""
        return int(self.letter_counts.sum())

    @property
    def keys(self) -> list[str]:
        """`text_key` of every document, in order."""
        return [digest.decode("ascii") for digest in self.digests]

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of the cleaned text."""
        return int(self.sizes.sum())


def text_key(text: str) -> str:
    """A hash (32 hexadecimal digits), equal for texts that differ only in white space or Unicode composition."""
    plain = " ".join(text.split())
    if not plain.isascii():
        plain = unicodedata.normalize("NFC", plain)
    return hashlib.blake2b(plain.encode("utf-8"), digest_size=16).hexdigest()


def bytes_of(documents: Sequence[Document]) -> int:
    """UTF-8 bytes of the texts."""
    return sum(len(document.text.encode("utf-8")) for document in documents)
