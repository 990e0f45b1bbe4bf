"""Which encoding a file is in: marks and strict UTF-8 first, then a guess that is shown; binary files are refused."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from bajka.formats.document import EncodingGuess, UnreadableError
from bajka.formats.guessing import Reading, guess_encoding, read_as

MARKS = (  # UTF-32 before UTF-16: the mark of one begins with the mark of the other
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks and the codec that each announces."""
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
_HIGH = bytes(range(128, 256))
_ISO_2022_JP = (b"\x1b$B", b"\x1b$@")
_BLOCK = 1 << 20
_WHOLE = 1 << 20  # bytes: a larger file is guessed from pieces
_PIECE = 1 << 17
_PIECES = 6
_NEVER_IN_A_LETTER = 0x30  # bytes below are no part of a character of two to four bytes in any of the old encodings
_SPACES = (0x20, 0x0A, 0x0D)
_WIDE_FAULTS = 0.02  # share of characters that cannot be in a text
_SAMPLE_LENGTH = 80


@dataclass
class _Survey:
    """What one pass over the bytes found; `error` is the first byte that is not UTF-8, with the bytes before it."""

    size: int = 0
    zero: int | None = None
    controls: int = 0
    escapes: bool = False
    error: tuple[int, bytes] | None = None


def choose_encoding(file: BinaryIO, *, name: str) -> EncodingGuess:
    """The encoding of a whole file; raises `UnreadableError` when it is binary, damaged UTF-8, or nothing known.

    UTF-8 is checked to the end, an old encoding is guessed from pieces of a file above 1 MB, so only decoding shows
    whether it fits to the end. `name` is used in the advice.
    """
    file.seek(0)
    head = file.read(4)
    for mark, codec in MARKS:
        if head.startswith(mark):
            return EncodingGuess(codec)
    survey = _survey(file)
    if survey.zero is not None:
        return _wide(file, survey.size, what=f"a byte of zero at position {survey.zero}")
    if survey.controls > max(2, survey.size // 200):
        return _wide(file, survey.size, what=f"{survey.controls} control bytes")
    if survey.escapes:
        return EncodingGuess("iso2022_jp", language="Japanese")
    if survey.error is None:
        return EncodingGuess("utf-8")
    return _old(file, survey, name=name)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(_BLOCK):
        yield block


def _survey(file: BinaryIO) -> _Survey:
    """One pass over all bytes, at the speed of the disk."""
    survey, utf8 = _Survey(), codecs.getincrementaldecoder("utf-8")()
    before = b""
    for block in _blocks(file):
        if survey.zero is None and b"\0" in block:
            survey.zero = survey.size + block.index(0)
        survey.controls += len(block) - len(block.translate(None, _CONTROLS))
        survey.escapes = survey.escapes or any(escape in block for escape in _ISO_2022_JP)
        survey.size += len(block)
        if survey.error is None:
            try:
                utf8.decode(block)
            except UnicodeDecodeError as error:
                survey.error = _place(error, survey.size, before)
        before = block[-20:]
    if survey.error is None:
        try:
            utf8.decode(b"", True)
        except UnicodeDecodeError as error:
            survey.error = _place(error, survey.size, before)
    return survey


def _place(error: UnicodeDecodeError, read: int, before: bytes) -> tuple[int, bytes]:
    """Where in the file it is, and up to 21 bytes that end with the wrong one."""
    data, start = bytes(error.object), error.start
    near = data[max(0, start - 20) : start + 1]
    return read - len(data) + start, near if start >= 20 else before[: len(before) - 3] + near


def _wide(file: BinaryIO, size: int, *, what: str) -> EncodingGuess:
    """UTF-16 or UTF-32 that lost its mark; else it is binary, and `what` shows it.

    The order of bytes is that under which there are spaces; Chinese of one line has none, and then the language tells.
    """
    file.seek(0)
    sample = file.read(_BLOCK)
    for width, name in ((4, "utf-32"), (2, "utf-16")):
        orders = [f"{name}-le", f"{name}-be"]
        fitting = [codec for codec in orders if size % width == 0 and _is_wide_text(sample, codec, size=size)]
        if fitting:
            units = np.frombuffer(sample[: len(sample) // width * width], dtype=f"<u{width}")
            spaces = {
                codec: int(np.isin(u, _SPACES).sum())
                for codec, u in zip(orders, (units, units.byteswap()), strict=True)
            }
            readings = {codec: read_as(sample, codec, whole=size <= len(sample)) for codec in fitting}
            codec = max(fitting, key=lambda codec: (spaces[codec], -readings[codec].cost))
            if not (spaces[codec] or readings[codec].fits):
                continue
            return EncodingGuess(codec, sample=sample_line(sample.decode(codec, "ignore")))
    raise UnreadableError(f"it is binary ({what}), not text")


def _is_wide_text(sample: bytes, codec: str, *, size: int) -> bool:
    """Whether it decodes to characters that stand in texts."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample, final=size <= len(sample))
    except UnicodeDecodeError:
        return False
    counts = Counter(text)
    wrong = sum(
        count
        for character, count in counts.items()
        if unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs") and character not in "\t\n\v\f\r\x1a"
    )
    return "\0" not in counts and wrong <= _WIDE_FAULTS * len(text)


def _old(file: BinaryIO, survey: _Survey, *, name: str) -> EncodingGuess:
    """The most plausible of the encodings before Unicode."""
    assert survey.error is not None
    bad, good = _damage(file)
    damaged = bad if good >= bad else 0  # the rest is UTF-8 beyond chance
    guess = None if damaged else guess_encoding(*_sample(file, survey.size, survey.error[0]))
    if guess is None or not guess.best.fits:
        raise UnreadableError(_refusal(survey.error, damaged=damaged, name=name), asks=not damaged)
    best, second = guess.best, guess.second
    instead = second.encoding if second and not guess.sure else ""
    return EncodingGuess(best.encoding, guess.sure, best.language, sample_line(best.text, other=second), instead)


def _damage(file: BinaryIO) -> tuple[int, int]:
    """Bytes that are not UTF-8, and characters outside ASCII that are."""
    utf8 = codecs.getincrementaldecoder("utf-8")("ignore")
    size = valid = characters = ascii_characters = 0
    for block in _blocks(file):
        text = utf8.decode(block)
        size += len(block)
        valid += len(text.encode("utf-8"))
        characters += len(text)
        ascii_characters += len(block.translate(None, _HIGH))
    return size - valid, characters - ascii_characters


def _sample(file: BinaryIO, size: int, first: int) -> tuple[bytes, bool]:
    """All of a small file; else pieces from all over it and the one around the `first` byte outside UTF-8."""
    file.seek(0)
    if size <= _WHOLE:
        return file.read(), True
    starts = {0, max(0, first - _PIECE // 2), *(size * part // _PIECES for part in range(1, _PIECES)), size - _PIECE}
    pieces = []
    for start in sorted(starts):
        file.seek(start)
        pieces.append(_between_letters(file.read(_PIECE), from_start=start == 0))
    return b"\n".join(pieces), False


def _between_letters(piece: bytes, *, from_start: bool) -> bytes:
    """Without the ends, which may be halves of letters; a piece without any place to cut is left out."""
    places = [place for place, byte in enumerate(piece) if byte < _NEVER_IN_A_LETTER]
    if not places:
        return piece if from_start else b""
    return piece[0 if from_start else places[0] : places[-1]]


def _refusal(error: tuple[int, bytes], *, damaged: int, name: str) -> str:
    position, near = error
    before = near[:-1].decode("utf-8", "ignore").replace("\n", " ")
    place = f"byte {position} (0x{near[-1]:02x}, after {before!r})"
    what = f"damaged bytes: {damaged:,}, the first is" if damaged else "and no known encoding fits it: see"
    advice = f'correct the file or name its encoding, as in --encoding "{name}=cp1252"'
    return f"it is not valid UTF-8, {what} {place}; {advice}"


def sample_line(text: str, *, other: Reading | None = None) -> str:
    """At most 80 characters of a line whose letters outside ASCII show whether the reading is right.

    With `other`, the first place where the two readings differ.
    """
    if other is not None and len(other.text) == len(text):
        place = next((i for i, (ours, theirs) in enumerate(zip(text, other.text, strict=True)) if ours != theirs), 0)
    else:
        place = next((i for i, character in enumerate(text) if character > "\x7f" and character.isalpha()), 0)
    before = text[max(0, place - _SAMPLE_LENGTH // 2) : place].splitlines(keepends=True)[-1:]
    start = "".join(before) if before and not before[0].endswith(("\n", "\r")) else ""
    here = text[place : place + _SAMPLE_LENGTH].splitlines()
    return (start + here[0])[:_SAMPLE_LENGTH].strip() if here else ""
