"""Some documents of a sequence, whole or cut, read only when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from bajka.formats import Document

_TO_THE_END = np.iinfo(np.int64).max


class Selection(Sequence[Document]):
    """The documents with these `numbers`, each from character `begins` to before character `ends`, all by default.

    Keeps three integers a document and no text. `suffix` is put after the names of those that lost their beginning.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        numbers: ArrayLike,
        begins: ArrayLike | None = None,
        ends: ArrayLike | None = None,
        suffix: str = "",
    ) -> None:
        self.documents = documents
        self.numbers = np.asarray(numbers, dtype=np.int64)
        self.begins = np.broadcast_to(np.asarray(0 if begins is None else begins, dtype=np.int64), self.numbers.shape)
        self.ends = np.broadcast_to(
            np.asarray(_TO_THE_END if ends is None else ends, dtype=np.int64), self.numbers.shape
        )
        self.suffix = suffix

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Document: ...
    @overload
    def __getitem__(self, place: slice) -> Selection: ...
    def __getitem__(self, place: int | slice) -> Document | Selection:
        if isinstance(place, slice):
            parts = self.numbers[place], self.begins[place], self.ends[place]
            return Selection(self.documents, *parts, suffix=self.suffix)
        document = self.documents[int(self.numbers[place])]
        return cut(document, int(self.begins[place]), int(self.ends[place]), suffix=self.suffix)

    def __repr__(self) -> str:
        return f"Selection of {len(self):,} documents"


def cut(document: Document, begin: int, end: int, *, suffix: str) -> Document:
    """The characters from `begin` to before `end` with the markers that stand before them, or at the very end."""
    if begin == 0 and end >= len(document.text):
        return document
    last = end if end < len(document.text) else end + 1
    return replace(
        document,
        text=document.text[begin:end],
        name=f"{document.name}{suffix if begin else ''}",
        markers=tuple((place - begin, marker) for place, marker in document.markers if begin <= place < last),
    )
