"""Compressed bytes to bytes, in blocks: gzip, bzip2, xz and zstd, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Literal

from bajka.errors import MissingExtraError
from bajka.formats.document import UnreadableError

Compression = Literal["gzip", "bzip2", "xz", "zstd"]

BLOCK = 1 << 18
"""Bytes handed on at once."""
_ZSTD_FED = 1 << 10  # bytes: what a block of zstd unpacks to, 128 kB, may be packed in 4
_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


def compression_of(head: bytes) -> Compression | None:
    """How a file that begins with `head` is compressed."""
    if head.startswith(b"BZh") and head[4:10] in _BZIP2_BLOCKS:
        return "bzip2"
    return next((how for magic, how in _MAGIC if head.startswith(magic)), None)


def unpacked(file: BinaryIO, how: Compression) -> Iterator[bytes]:
    """The content in blocks; raises `UnreadableError` where it is damaged or cut off."""
    try:
        match how:
            case "gzip":
                yield from blocks_of(gzip.GzipFile(fileobj=file, mode="rb"))
            case "bzip2":
                yield from blocks_of(bz2.BZ2File(file))
            case "xz":
                yield from blocks_of(lzma.LZMAFile(file))  # noqa: SIM115 - the file below is not ours to close
            case "zstd":
                yield from _unpacked_zstd(file)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(how, error) from None
    except OSError as error:
        if error.errno:  # the disk, not the data
            raise
        raise _damaged(how, error) from None


def blocks_of(file: BinaryIO | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile) -> Iterator[bytes]:
    """The rest of an open file."""
    while block := file.read(BLOCK):
        yield block


def _unpacked_zstd(file: BinaryIO) -> Iterator[bytes]:
    """Frame after frame; the library's own stream takes a cut off file for a whole one."""
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError("Reading .zst files", extra="data") from None
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    begun = False
    try:
        while fed := file.read(_ZSTD_FED):
            while fed:
                begun = True
                if block := frame.decompress(fed):
                    yield block
                fed = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, begun = decompressor.decompressobj(), False
    except zstandard.ZstdError as error:
        raise _damaged("zstd", error) from None
    if begun:
        raise _damaged("zstd", EOFError("it ends in the middle"))


def damage(error: Exception) -> str:
    """What a library says is wrong with packed data, without the numbers of errors and checksums."""
    said = re.sub(r"^Error -?\d+ while decompressing data: | 0x\w+ != 0x\w+", "", str(error))
    return said[:100] or "it ends in the middle"


def _damaged(how: Compression, error: Exception) -> UnreadableError:
    return UnreadableError(f"its {how} data is damaged or cut off ({damage(error)})")
