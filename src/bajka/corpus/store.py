"""Documents on disk: read one by one, so that a corpus may be larger than memory.

    texts.bin      the cleaned texts in UTF-8, one after the other
    extra.bin      one JSON object a document: its name, and its fields and markers if it has any
    index.bin      one `ROW` a document
    sketches.bin   one MinHash signature a document (see near.py)
    journal.jsonl  one line a commit: sizes of the four files, and what is to be said of the sources read until then

A commit makes everything durable and then appends its line, so that after a kill the files are cut back to the last
line and reading goes on with the next source.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from bajka import durable
from bajka.corpus.near import SKETCH_SIZE, sketches
from bajka.errors import DamagedFileError, disk_errors
from bajka.formats import Document

ROW = np.dtype([("end", "<u8"), ("extra_end", "<u8"), ("characters", "<u8"), ("letters", "<u8"), ("key", "V16")])
"""Where a document ends in texts.bin and extra.bin, its length in characters and letters, and `text_key` in bytes."""

TEXTS, EXTRA, INDEX, SKETCHES, JOURNAL = "texts.bin", "extra.bin", "index.bin", "sketches.bin", "journal.jsonl"
_DATA = (TEXTS, EXTRA, INDEX, SKETCHES)
_FLUSH = 8_000_000  # bytes of text that wait in memory before they are written


class StoreWriter:
    """Appends documents to a folder; what was not committed can be taken back, and is gone after a kill.

    `entries` are the committed journal lines, those of an earlier, interrupted start included.
    """

    def __init__(self, folder: Path, *, sketching: bool = True) -> None:
        """Open `folder` for writing; without `sketching` the signatures are those of empty texts."""
        self.folder, self._sketching = folder, sketching
        with disk_errors("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._files: dict[str, BinaryIO] = {name: (folder / name).open("ab") for name in _DATA}
        self.entries = _whole_lines(folder / JOURNAL)
        while self.entries and not self._holds(self.entries[-1]["sizes"]):
            self.entries.pop()
        _cut_after(folder / JOURNAL, len(self.entries))
        self._committed: dict[str, int] = self.entries[-1]["sizes"] if self.entries else dict.fromkeys(_DATA, 0)
        self._forget_after(self._committed)

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *problem: object) -> None:
        for file in self._files.values():
            with suppress(OSError):  # what could not be written was said before, and is tried again by closing
                file.close()

    @property
    def place(self) -> dict[str, int]:
        """Sizes of the files with all that was added: what `take_back` goes back to."""
        return dict(self._sizes)

    @property
    def waiting(self) -> int:
        """Bytes of text added since the last commit."""
        return self._sizes[TEXTS] - self._committed[TEXTS]

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of all texts that were added."""
        return self._sizes[TEXTS]

    def begin_anew(self) -> None:
        """Forget everything, what was committed too."""
        with disk_errors("remove", self.folder / JOURNAL):
            (self.folder / JOURNAL).unlink(missing_ok=True)
        self.entries = []
        self._committed = dict.fromkeys(_DATA, 0)
        self._forget_after(self._committed)

    def add(self, document: Document, *, letters: int, key: bytes) -> None:
        """Append one document."""
        text = document.text.encode("utf-8")
        extra = _extra(document)
        row = np.zeros(1, dtype=ROW)
        ends = (self._sizes[TEXTS] + len(text), self._sizes[EXTRA] + len(extra))
        row[0] = (*ends, len(document.text), letters, np.void(key))
        for name, data in zip((TEXTS, EXTRA, INDEX), (text, extra, row.tobytes()), strict=True):
            self._sizes[name] += len(data)
            self._pending[name].append(data)
        self._sizes[SKETCHES] += 4 * SKETCH_SIZE
        self._to_sketch.append(document.text)
        if self._sizes[TEXTS] - self._written > _FLUSH:
            self._flush()

    def commit(self, entry: dict[str, Any], *, durably: bool) -> None:
        """Make everything added so far stay, with `entry` (plain data) as the line that says so."""
        self._flush()
        if durably:
            with disk_errors("write", self.folder):
                for file in self._files.values():
                    os.fsync(file.fileno())
        entry = entry | {"sizes": self.place}
        with disk_errors("write", self.folder / JOURNAL):
            durable.append_line(self.folder / JOURNAL, json.dumps(entry, ensure_ascii=False))
            if durably:
                durable.sync_file(self.folder / JOURNAL)
        self.entries.append(entry)
        self._committed = self.place

    def take_back(self, place: dict[str, int]) -> None:
        """Forget what was added after `place`."""
        self._flush()
        self._forget_after(place)

    def _forget_after(self, place: dict[str, int]) -> None:
        """Cut the files to these sizes; nothing waits to be written."""
        for name, file in self._files.items():
            with disk_errors("write", self.folder / name):
                file.truncate(place[name])
                file.seek(place[name])
        self._sizes = dict(place)
        self._written = place[TEXTS]
        self._pending: dict[str, list[bytes]] = {name: [] for name in _DATA}
        self._to_sketch: list[str] = []

    def _flush(self) -> None:
        signatures = sketches(self._to_sketch if self._sketching else [""] * len(self._to_sketch))
        self._pending[SKETCHES].append(signatures.astype("<u4").tobytes())
        self._to_sketch.clear()
        for name, file in self._files.items():
            content = b"".join(self._pending[name])
            with disk_errors("write", self.folder / name, needs=len(content)):
                file.write(content)
                file.flush()
            self._pending[name].clear()
        self._written = self._sizes[TEXTS]

    def _holds(self, sizes: dict[str, int]) -> bool:
        return all((self.folder / name).stat().st_size >= sizes[name] for name in _DATA)


class DocumentStore(Sequence[Document]):
    """The documents of a folder that a `StoreWriter` wrote, read from the disk when they are asked for.

    `rows` holds one `ROW` a document, `sketches` has shape (documents, SKETCH_SIZE). Raises `DamagedFileError` when
    the files do not fit together.
    """

    def __init__(self, folder: Path, *, owner: object = None) -> None:
        """Open `folder`; `owner` (a temporary folder's object) is kept alive as long as the store."""
        self.folder = folder
        self.entries = _whole_lines(folder / JOURNAL)
        if not self.entries:
            raise DamagedFileError(
                f"The texts kept in {folder} have no journal. Delete the folder: they are read again."
            )
        for name, size in self.entries[-1]["sizes"].items():
            if (folder / name).stat().st_size != size:
                raise DamagedFileError(
                    f"{folder / name} has {(folder / name).stat().st_size:,} bytes instead of {size:,}. "
                    "Delete that folder: the texts are read again."
                )
        self.rows = _mapped(folder / INDEX, ROW)
        self.sketches = _mapped(folder / SKETCHES, np.dtype("<u4")).reshape(-1, SKETCH_SIZE)
        self._texts, self._extra = (_mapped(folder / name, np.dtype("u1")).data for name in (TEXTS, EXTRA))
        self._ends, self._extra_ends = self.rows["end"].view(np.ndarray), self.rows["extra_end"].view(np.ndarray)
        self.owner = owner  # last: it goes after the maps, without which Windows would not remove its files

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, number: int) -> Document: ...
    @overload
    def __getitem__(self, number: slice) -> list[Document]: ...
    def __getitem__(self, number: int | slice) -> Document | list[Document]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(number)
        extra = json.loads(str(_part(self._extra, self._extra_ends, number), "utf-8", "surrogatepass"))
        markers = tuple((place, marker) for place, marker in extra.get("markers", ()))
        return Document(self.text(number), extra["name"], extra.get("fields", {}), markers)

    def text(self, number: int) -> str:
        """The text of one document alone."""
        return str(_part(self._texts, self._ends, number), "utf-8")


def _part(data: memoryview, ends: NDArray[np.uint64], number: int) -> memoryview:
    return data[int(ends[number - 1]) if number else 0 : int(ends[number])]


def _extra(document: Document) -> bytes:
    held: dict[str, Any] = {"name": document.name}
    if document.fields:
        held["fields"] = document.fields
    if document.markers:
        held["markers"] = document.markers
    return json.dumps(held, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.zeros(0, dtype=dtype)


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal up to the first that a crash has cut."""
    return list(_parsed(path)) if path.is_file() else []


def _cut_after(path: Path, lines: int) -> None:
    """Take away what a crash left behind the first `lines`: nothing would be read beyond it."""
    if path.is_file():
        whole = path.read_bytes().splitlines(keepends=True)
        if len(whole) > lines:
            with disk_errors("write", path):
                os.truncate(path, sum(map(len, whole[:lines])))


def _parsed(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return
