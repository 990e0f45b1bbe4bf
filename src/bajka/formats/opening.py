"""A path to the files in it: one, what a compressed one holds, or the members of an archive, safely.

Nothing is ever written to a path that an archive names; links and devices are left out; what unpacks to more than
200 times its size is refused. What a file is, is told by its first bytes, not by its name.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from bajka.errors import disk_errors
from bajka.formats.document import Skipped, UnreadableError
from bajka.formats.kinds import Kind, kind_in_zip, kind_of, unknown_ending
from bajka.formats.unpacking import BLOCK, blocks_of, compression_of, damage, unpacked

_HEAD = 1 << 16
_IN_MEMORY = 32 << 20  # bytes: a larger unpacked file lies in a temporary file
_RATIO, _RATIO_ABOVE = 200, 64 << 20
_MOST_BYTES = 64 << 30
_MOST_MEMBERS = 200_000
_DEEPEST = 2  # an archive in an archive
_LONGEST_TAR_NAME = 1 << 20
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Opened:
    """One file, unpacked, at its beginning and seekable; valid until the iterator that gave it moves on.

    `path` is where it, or its archive, lies on the disk; `size` is in bytes, unpacked.
    """

    name: str
    path: Path
    file: BinaryIO
    size: int
    kind: Kind
    named: bool


def open_path(path: Path, name: str, *, named: bool) -> Generator[Opened | Skipped, None, None]:
    """The file at `path`, or every member of an archive in its order ("tales.zip/a.txt"), or why there is none.

    `named`: the person named it itself, so an unknown ending is no reason to leave it out. Raises `UnreadableError`
    for an archive that is damaged or hostile, perhaps after some members: they are not to be used then.
    """
    if not is_file(path):
        yield Skipped(name, _why_no_file(path))
    elif not named and (reason := unknown_ending(name)):
        yield Skipped(name, reason)
    else:
        try:
            file = path.open("rb")
        except OSError as error:
            yield Skipped(name, f"it cannot be opened ({error.strerror or error})")
            return
        with file:
            try:
                yield from _Unpacker(path).opened(file, name, named=named)
            except OSError as error:
                raise UnreadableError(f"it cannot be read ({error.strerror or error})") from error


def beside(opened: Opened, filename: str) -> bytes | None:
    """What the file of that name in the same folder, or the same archive, holds; None when there is none."""
    if opened.name.rpartition("/")[2] == opened.path.name:
        path = opened.path.with_name(filename)
        return path.read_bytes() if path.is_file() else None
    with opened.path.open("rb") as file:
        for member in _Unpacker(opened.path, named=True).opened(file, "", named=True):
            if isinstance(member, Opened) and member.name.rpartition("/")[2] == filename:
                return member.file.read()
    return None


def is_file(path: Path) -> bool:
    """Whether there is a file, and False where a folder on the way is closed (`Path.is_file` raises there)."""
    return os.path.isfile(path)  # noqa: PTH113


def _why_no_file(path: Path) -> str:
    if os.path.islink(path):  # noqa: PTH114
        return "it is a link to nothing"
    return "it is not a regular file" if os.path.exists(path) else "it is gone, or its folder is closed"  # noqa: PTH110


class _Unpacker:
    """Opens what lies at one path and counts what it unpacks there, over all levels."""

    def __init__(self, path: Path, *, named: bool = False) -> None:
        """`named`: members count as named by the person themselves."""
        self.path, self.packed, self.named = path, path.stat().st_size, named
        self.bytes = self.members = 0

    def opened(
        self, file: BinaryIO, name: str, *, named: bool, depth: int = 0
    ) -> Generator[Opened | Skipped, None, None]:
        """A file as what it is: compressed, an archive, or itself."""
        head = file.read(_HEAD)
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        try:
            if head.startswith(_ZIP):
                kind = _kind_in_zip(file, name)
            elif compression_of(head) or _is_tar(head):
                kind = None
            else:
                kind = kind_of(name, head, whole=size == len(head), named=named)
            if kind is None and depth >= _DEEPEST:
                raise UnreadableError("it is packed more than twice over: unpack it first")
        except UnreadableError as refusal:
            yield Skipped(name, refusal.reason)
            return
        file.seek(0)
        if kind:
            yield Opened(name, self.path, file, size, kind, named)
        elif how := compression_of(head):
            stream = _Stream(self._counted(unpacked(file, how)))
            if _is_tar(stream.peek(_HEAD)):
                yield from self._tar(stream, name, depth=depth)
            else:
                with self._spooled(stream.blocks()) as inner:
                    yield from self.opened(inner, name, named=named, depth=depth + 1)
        elif head.startswith(_ZIP):
            yield from self._zip(file, name, depth=depth)
        else:
            yield from self._tar(_Stream(blocks_of(file)), name, depth=depth)

    def _zip(self, file: BinaryIO, name: str, *, depth: int) -> Iterator[Opened | Skipped]:
        with _zip_errors():
            archive = zipfile.ZipFile(file)
        for info in archive.infolist():
            if info.is_dir():
                continue
            kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
            regular = kind in (0, stat.S_IFREG)
            shown = self._shown(name, _zip_name(info), regular=regular)
            if shown is None or isinstance(shown, Skipped):
                yield from [shown] if shown else []
                continue
            with self._spooled(self._counted(_zip_blocks(archive, info))) as member:
                yield from self.opened(member, shown, named=self.named, depth=depth + 1)

    def _tar(self, stream: _Stream, name: str, *, depth: int) -> Iterator[Opened | Skipped]:
        """Read as a stream: nothing can lead it back to where it was."""
        with _tar_errors():
            file = cast(BinaryIO, stream)
            archive = tarfile.open(fileobj=file, mode="r|", bufsize=BLOCK, tarinfo=_Member)  # noqa: SIM115
        while True:
            with _tar_errors():
                info = archive.next()
                archive.members = []  # type: ignore[attr-defined]  # it keeps every one
            if info is None:
                return
            if info.isdir():
                continue
            shown = self._shown(name, _printable(info.name), regular=info.isreg() and not info.issparse())
            if shown is None or isinstance(shown, Skipped):
                yield from [shown] if shown else []
                continue
            with self._spooled(_tar_blocks(archive, info)) as member:
                yield from self.opened(member, shown, named=self.named, depth=depth + 1)

    def _shown(self, archive: str, name: str, *, regular: bool) -> str | Skipped | None:
        """The name of a member in reports; why it is left out; None for what is hidden."""
        self.members += 1
        if self.members > _MOST_MEMBERS:
            raise UnreadableError(f"it holds more than {_MOST_MEMBERS:,} files: unpack it first")
        plain = name.replace("\\", "/")
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        shown = "/".join([archive, *parts]).replace("\0", "?")
        if "\0" in name or plain.startswith("/") or ".." in parts or _DRIVE.match(plain) or not parts:
            return Skipped(shown, "its name leads out of the archive")
        if any(part.startswith(".") or part == "__MACOSX" for part in parts):
            return None
        if not regular:
            return Skipped(shown, "it is no regular file (a link or a device)")
        reason = unknown_ending(parts[-1])
        return Skipped(shown, reason) if reason else shown

    def _counted(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks, as long as they are not far too many for what was packed."""
        for block in blocks:
            self.bytes += len(block)
            if self.bytes > max(_RATIO * self.packed, _RATIO_ABOVE):
                raise UnreadableError(
                    f"it unpacks to more than {_RATIO} times its size: unpack it first if you trust it"
                )
            if self.bytes > _MOST_BYTES:
                raise UnreadableError(f"it unpacks to more than {_MOST_BYTES >> 30} GB: unpack it first")
            yield block

    @contextmanager
    def _spooled(self, blocks: Iterator[bytes]) -> Iterator[BinaryIO]:
        """A seekable file with that content, in memory or in the system's temporary folder."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            for block in blocks:
                with disk_errors("unpack", self.path):
                    file.write(block)
            file.seek(0)
            yield cast(BinaryIO, file)


class _Stream:
    """Blocks as something that can be read, forward only."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, b""

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay."""
        while len(self._rest) < size and (block := next(self._blocks, b"")):
            self._rest += block
        return self._rest[:size]

    def read(self, size: int) -> bytes:
        """The next bytes, fewer at the end."""
        taken = self.peek(size)
        self._rest = self._rest[size:]
        return taken

    def blocks(self) -> Iterator[bytes]:
        """All that is left."""
        yield self._rest
        yield from self._blocks


class _Member(tarfile.TarInfo):
    """A header of a tar archive that is refused where tarfile takes it for the end, loops, or reads without limit.

    Negative sizes: CVE-2025-8194. A damaged header in the middle ends tarfile's iteration without a word.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"a header is wrong: {error}") from None
        is_name = not member.isreg() and member.type in tarfile.SUPPORTED_TYPES and member.type not in _TAR_PLACES
        if member.size < 0 or (is_name and member.size > _LONGEST_TAR_NAME):
            raise tarfile.ReadError(f"a size is impossible: {member.size}")
        return member


_TAR_PLACES = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)


def _is_tar(head: bytes) -> bool:
    """By its mark, or (the oldest have none) by the checksum of its first header."""
    try:
        return head[257:262] == b"ustar" or bool(tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape"))
    except (tarfile.HeaderError, ValueError):
        return False


def _kind_in_zip(file: BinaryIO, name: str) -> Kind | None:
    with _zip_errors(), zipfile.ZipFile(file) as archive:
        members = set(archive.namelist())
        mimetype = b""
        if "mimetype" in members:
            with archive.open("mimetype") as first:
                mimetype = first.read(100)
    return kind_in_zip(name, members, mimetype.decode("latin-1"))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """UTF-8 also where an old packer did not say so; a NUL, which zipfile cuts at, stays to be seen."""
    name = info.orig_filename
    if not info.flag_bits & 0x800:
        try:
            return name.encode("cp437").decode("utf-8")
        except UnicodeError:
            return _printable(name)
    return _printable(name)


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _zip_blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    if info.flag_bits & 1:
        raise UnreadableError("it is encrypted: unpack it with its password first")
    with _zip_errors(), archive.open(info) as member:
        yield from blocks_of(cast(BinaryIO, member))


def _tar_blocks(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    with _tar_errors():
        member = archive.extractfile(info)
        yield from blocks_of(cast(BinaryIO, member)) if member else ()


@contextmanager
def _zip_errors() -> Iterator[None]:
    try:
        yield
    except NotImplementedError as error:
        raise UnreadableError(f"it is packed in a way that is not read ({error}): unpack it first") from None
    except RuntimeError as error:
        raise UnreadableError(f"it is encrypted or damaged ({error})") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ValueError, EOFError) as error:
        raise UnreadableError(f"it is a zip file that is damaged or cut off ({damage(error)})") from None


@contextmanager
def _tar_errors() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, struct.error, ValueError, EOFError, IndexError) as error:
        raise UnreadableError(f"it is a tar archive that is damaged or cut off ({damage(error)})") from None
