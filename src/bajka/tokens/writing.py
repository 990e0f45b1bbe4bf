"""Appending documents to `NAME.bin` and `NAME.idx` so that a killed process can go on where it durably was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bajka import durable
from bajka.characters import count_text
from bajka.errors import disk_errors
from bajka.tokens.store import id_type

if TYPE_CHECKING:
    from bajka.formats import Document

_STARTS = np.dtype(np.uint64)


@dataclass(frozen=True)
class Written:
    """What the first documents of a set came to; `bytes` (UTF-8) and `letters` are of their text."""

    documents: int = 0
    tokens: int = 0
    markers: int = 0
    bytes: int = 0
    letters: int = 0

    def facts(self) -> dict[str, int]:
        """The counts for `meta.json`; `content` are tokens that are neither end-of-text nor markers."""
        return asdict(self) | {"content": self.tokens - self.documents - self.markers}


class TokenWriter:
    """Appends documents to a set, checking every id; `written` lies on the disk for certain after `sync`."""

    def __init__(
        self, folder: Path, name: str, *, vocab_size: int, end_of_text: int, written: Written | None = None
    ) -> None:
        """Begin the two files, or go on behind `written`: what a crash left behind it is cut off."""
        self.vocab_size, self.end_of_text = vocab_size, end_of_text
        self.type = id_type(vocab_size)
        self.written = self._surely = written or Written()
        self.ids, self.index = folder / f"{name}.bin", folder / f"{name}.idx"
        for path, size in sizes(folder, name, self.written, self.type).items():
            with disk_errors("write", path), path.open("ab") as file:
                file.truncate(size)

    def write(self, documents: Sequence[Document], encoded: Iterable[NDArray[np.integer]]) -> None:
        """Append documents and their ids (without end-of-text)."""
        end_of_text = np.array([self.end_of_text], dtype=np.uint32)
        pieces, starts, place = [], [], self.written.tokens
        for content in encoded:
            starts.append(place)
            place += 1 + len(content)
            pieces += [end_of_text, content]
        ids = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.uint32)
        assert len(starts) == len(documents), "documents without ids"
        assert not len(ids) or int(ids.max()) < self.vocab_size, "an id beyond the vocabulary"
        _append(self.ids, ids.astype(self.type))
        _append(self.index, np.array(starts, dtype=_STARTS))
        size, letters = count_text("".join([one.text for one in documents]))
        self.written = Written(
            documents=self.written.documents + len(documents),
            tokens=place,
            markers=self.written.markers + sum(len(one.markers) for one in documents),
            bytes=self.written.bytes + size,
            letters=self.written.letters + letters,
        )

    def sync(self) -> bool:
        """Make everything written so far survive a crash; False when it does already."""
        if self.written == self._surely:
            return False
        for path in (self.ids, self.index):
            with disk_errors("write", path):
                durable.sync_file(path)
        self._surely = self.written
        return True


def sizes(folder: Path, name: str, written: Written, dtype: np.dtype[Any]) -> dict[Path, int]:
    """The files of a set and their bytes when so much is written."""
    return {
        folder / f"{name}.bin": written.tokens * dtype.itemsize,
        folder / f"{name}.idx": written.documents * _STARTS.itemsize,
    }


def _append(path: Path, values: NDArray[Any]) -> None:
    with disk_errors("write", path, needs=values.nbytes), path.open("ab") as file:
        file.write(values.data)
