"""Books that are a zip of parts (.epub, .docx, .odt), read with a limit on what they may unpack to."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from bajka.formats.document import UnreadableError
from bajka.formats.unpacking import damage

_LARGEST_PART = 256 << 20
_LARGEST_SUM = 1 << 30
_FREE = 64 << 20  # below this any ratio is honest: empty pages pack well
_RATIO = 200
_CHUNK = 1 << 20
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    ArithmeticError,
)


class Package:
    """The parts of one zip file by name; `kind` (".epub") stands in the messages."""

    def __init__(self, archive: zipfile.ZipFile, *, kind: str) -> None:
        self._archive = archive
        self._kind = kind
        self._parts = {part.filename: part for part in archive.infolist()}
        self._by_case = {name.lower(): name for name in self._parts}
        self._unpacked = 0

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._by_case

    def read(self, name: str) -> bytes:
        """The bytes of a part; its name is also found in other case. Raises `UnreadableError`, never unpacks a bomb."""
        if name not in self:
            raise UnreadableError(f'it is no whole {self._kind}: the part "{name[:80]}" is missing')
        part = self._parts.get(name) or self._parts[self._by_case[name.lower()]]
        if part.flag_bits & 1:
            raise UnreadableError("it is a zip with a password: unpack it and give its files")
        chunks: list[bytes] = []
        size = 0
        with _damage_named(name, self._kind), self._archive.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                self._unpacked += len(chunk)
                self._refuse_bomb(name, size, part.compress_size)
        return b"".join(chunks)

    def _refuse_bomb(self, name: str, size: int, packed: int) -> None:
        too_dense = size > _FREE and size > _RATIO * max(1, packed)
        if too_dense or size > _LARGEST_PART or self._unpacked > _LARGEST_SUM:
            reason = (
                f'its part "{name[:80]}" unpacks to more than {size >> 20} MB, from {packed >> 10:,} KB: not a book'
            )
            raise UnreadableError(reason)


@contextmanager
def open_package(file: BinaryIO, *, kind: str) -> Iterator[Package]:
    """The parts of a zip file; raises `UnreadableError` when it is damaged."""
    file.seek(0)
    with _damage_named("", kind):
        archive = zipfile.ZipFile(file)
        package = Package(archive, kind=kind)
    with archive:
        yield package


@contextmanager
def _damage_named(part: str, kind: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        where = f' (part "{part[:80]}")' if part else ""
        raise UnreadableError(f"the {kind} is damaged{where}: {damage(error)}; get the file again") from None
