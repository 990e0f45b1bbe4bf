"""A file as text, however large: the encoding is decided first, then it streams in chunks as often as wanted."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from bajka.formats.document import Account, EncodingGuess, UnreadableError
from bajka.formats.encodings import MARKS, choose_encoding

_BLOCK = 1 << 21  # bytes decoded at once
_ORDERED = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}  # named by a person for a file without a mark


class Text:
    r"""A decoded file that can be streamed more than once; `size` is in bytes, as it lies on the disk.

    Newlines are \n; a byte order mark at the beginning and the end-of-file sign (Ctrl-Z) of DOS are left out. Raises
    `UnreadableError` on the way for bytes that are not in the encoding, for NUL and for halves of characters.
    """

    def __init__(self, file: BinaryIO, codec: str, *, named: bool) -> None:
        self.size = file.seek(0, io.SEEK_END)
        self._file, self._codec, self._named = file, codec, named

    def chunks(self) -> Iterator[str]:
        """The text in pieces of about 2 million characters, cut at the end of a line where there is one."""
        rest = ""
        for piece in self._decoded():
            piece = rest + piece
            end = piece.rfind("\n") + 1 or len(piece)
            if end:
                yield piece[:end]
            rest = piece[end:]
        if rest:
            yield rest

    def lines(self) -> Iterator[str]:
        """Every line without its newline; a newline at the end of the text begins no line."""
        held: list[str] = []
        for chunk in self.chunks():
            first, *others = chunk.split("\n")
            held.append(first)
            for line in others:
                yield "".join(held)
                held = [line]
        if any(held):
            yield "".join(held)

    def whole(self) -> str:
        """All of it."""
        return "".join(self.chunks())

    def _decoded(self) -> Iterator[str]:
        """One piece a block of bytes; two of these may run at once, so each keeps its own place in the file."""
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self._codec)(), translate=True)
        done = characters = 0
        while done < self.size:
            self._file.seek(done)
            block = self._file.read(min(_BLOCK, self.size - done))  # a file that grows is read as it was
            done = done + len(block) if block else self.size  # a file that became shorter has ended
            try:
                piece = decoder.decode(block, final=done >= self.size)
            except UnicodeDecodeError as error:
                place = done - len(error.object) + error.start
                raise self._wrong(place, error.object[error.start : error.start + 1]) from None
            except UnicodeError as error:
                raise UnreadableError(f"it is not {self._codec} ({error})", asks=True) from None
            if not characters:
                piece = piece.lstrip("\ufeff")
            if done >= self.size:
                piece = piece.rstrip("\x1a")
            self._refuse_broken(piece, characters)
            characters += len(piece)
            yield piece

    def _wrong(self, place: int, byte: bytes) -> UnreadableError:
        where = f"byte {place} (0x{byte.hex()})" if byte else "its end"
        if not self._named and self._codec in {codec for _, codec in MARKS}:
            reason = f"it begins as {self._codec}, but {where} is not: the file is damaged or binary"
            return UnreadableError(reason)
        return UnreadableError(f"{where} is not {self._codec}", asks=True)

    def _refuse_broken(self, piece: str, before: int) -> None:
        """NUL and lone surrogates (which only the stranger codecs let through) cannot be in a text."""
        if "\0" in piece:
            place = before + piece.index("\0")
            raise UnreadableError(f"it holds a NUL character (at {place}), so it is not text")
        if self._named:
            try:
                piece.encode("utf-8")
            except UnicodeEncodeError as error:
                place = before + error.start
                raise UnreadableError(f"it holds half a character (a lone surrogate, at {place})") from None


def decoded(file: BinaryIO, account: Account, *, name: str, encoding: str | None = None) -> Text:
    """The text of a file; how it was read is in `account.encoding`.

    `encoding` overrules everything; `name` is used in the advice. Raises `UnreadableError` when it is binary or no
    encoding fits.
    """
    file.seek(0)
    if encoding:
        account.encoding = EncodingGuess(encoding)
        return Text(file, _with_order(encoding, file.read(4)), named=True)
    account.encoding = choose_encoding(file, name=name)
    return Text(file, account.encoding.name, named=False)


def decode(data: bytes, *, name: str, encoding: str | None = None) -> tuple[str, EncodingGuess]:
    """The text of bytes in memory and how it was read; as `decoded`."""
    account = Account()
    text = decoded(io.BytesIO(data), account, name=name, encoding=encoding)
    return text.whole(), account.encoding


def _with_order(encoding: str, head: bytes) -> str:
    codec = codecs.lookup(encoding).name
    return codec if any(head.startswith(mark) for mark, _ in MARKS) else _ORDERED.get(codec, codec)
