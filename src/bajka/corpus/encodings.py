"""From bytes to text: strict UTF-8 and marks first, then a guess that is shown; never mangled text."""

from __future__ import annotations

import codecs
import difflib
import encodings.aliases
import fnmatch
from dataclasses import dataclass

from bajka.corpus.document import EncodingGuess, UnreadableError
from bajka.corpus.guessing import Reading, guess_encoding
from bajka.errors import SettingsError

_MARKS = (  # UTF-32 before UTF-16: the mark of one begins with the mark of the other
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
_ISO_2022_JP = (b"\x1b$B", b"\x1b$@")
_SAMPLE_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Override:
    """One `--encoding "pattern=name"`."""

    pattern: str
    encoding: str

    def matches(self, *names: str) -> bool:
        """Whether the pattern fits one of the names of a file."""
        return any(fnmatch.fnmatchcase(name, self.pattern) for name in names)


def parse_overrides(wishes: tuple[str, ...]) -> list[Override]:
    """The overrides of `CorpusSettings.encoding`; raises `SettingsError` for a bad form or an unknown encoding."""
    return [_override(wish) for wish in wishes]


def decode(data: bytes, *, name: str, encoding: str | None = None) -> tuple[str, EncodingGuess]:
    """The text of a file and how it was read; raises `UnreadableError` when it is binary or no encoding fits.

    `encoding` overrules everything but a byte order mark of the same family; `name` is used in the advice.
    """
    if encoding:
        return _decode_as(data, encoding), EncodingGuess(encoding)
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return _decode_marked(data, codec), EncodingGuess(codec)
    if b"\0" in data:
        return _decode_without_mark(data)
    _refuse_binary(data)
    if any(escape in data for escape in _ISO_2022_JP):
        return _decode_as(data, "iso2022_jp"), EncodingGuess("iso2022_jp", language="Japanese")
    try:
        return data.decode("utf-8"), EncodingGuess("utf-8")
    except UnicodeDecodeError as error:
        return _decode_legacy(data, error, name=name)


def _override(wish: str) -> Override:
    pattern, equals, encoding = wish.rpartition("=")
    if not (equals and pattern.strip() and encoding.strip()):
        raise SettingsError(
            f'The encoding "{wish}" is not of the form PATTERN=ENCODING. Write it like "poems/*=koi8-r" or "*=cp1250".'
        )
    encoding = encoding.strip()
    try:
        b"a".decode(encoding, "replace")
    except LookupError:
        known = {*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "koi8_r", "koi8_u"}
        close = difflib.get_close_matches(encoding.lower().replace("-", "_"), sorted(known), n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else " Known ones are utf-8, cp1250, cp1251, koi8-r, shift_jis."
        raise SettingsError(f'There is no encoding "{encoding}" (in "{wish}").{hint}') from None
    return Override(pattern.strip(), encoding)


def _decode_as(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"byte {error.start} ({_hex(data, error.start)}) is not {encoding}", asks=True) from None
    except UnicodeError as error:
        raise UnreadableError(f"it is not {encoding} ({error})", asks=True) from None


def _decode_marked(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        where = f"byte {error.start} ({_hex(data, error.start)})"
        raise UnreadableError(f"it begins as {codec}, but {where} is not: the file is damaged or binary") from None


def _decode_without_mark(data: bytes) -> tuple[str, EncodingGuess]:
    """UTF-16 that lost its mark, told by bytes of zero at only even or only odd places; else binary."""
    even, odd = data[0::2].count(0), data[1::2].count(0)
    codec = "utf-16-le" if odd > even else "utf-16-be"
    if len(data) % 2 == 0 and min(even, odd) * 20 <= max(even, odd):
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            text = "\0"
        if sum(character.isalnum() or character.isspace() for character in text) > 0.7 * len(text):
            return text, EncodingGuess(codec, sure="\0" not in text, sample=sample_line(text))
    raise UnreadableError(f"it is binary (a byte of zero at position {data.index(0)}), not text")


def _refuse_binary(data: bytes) -> None:
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if controls > max(2, len(data) // 200):
        raise UnreadableError(f"it is binary ({controls} control bytes), not text")


def _decode_legacy(data: bytes, error: UnicodeDecodeError, *, name: str) -> tuple[str, EncodingGuess]:
    damaged = _damaged_utf8(data)
    guess = guess_encoding(data)
    if guess is None or damaged or not guess.best.fits:
        raise UnreadableError(_refusal(data, error, damaged=damaged, name=name))
    best, second = guess.best, guess.second
    instead = second.encoding if second and not guess.sure else ""
    sample = sample_line(best.text, other=second)
    return best.text, EncodingGuess(best.encoding, guess.sure, best.language, sample, instead)


def _damaged_utf8(data: bytes) -> int:
    """Number of bad bytes when the rest is UTF-8 beyond chance; 0 when it is another encoding."""
    text = data.decode("utf-8", "surrogateescape")
    bad = sum("\udc80" <= character <= "\udcff" for character in text)
    good = sum(character > "\x7f" for character in text) - bad
    return bad if good >= bad else 0


def _refusal(data: bytes, error: UnicodeDecodeError, *, damaged: int, name: str) -> str:
    place = f"byte {error.start} ({_hex(data, error.start)}, after {_before(data, error.start)!r})"
    what = f"damaged bytes: {damaged:,}, the first is" if damaged else "and no known encoding fits it: see"
    advice = f'correct the file or name its encoding, as in --encoding "{name}=cp1252"'
    return f"it is not valid UTF-8, {what} {place}; {advice}"


def _before(data: bytes, position: int) -> str:
    return data[max(0, position - 20) : position].decode("utf-8", "ignore").replace("\n", " ")


def _hex(data: bytes, position: int) -> str:
    return f"0x{data[position]:02x}" if position < len(data) else "the end"


def sample_line(text: str, *, other: Reading | None = None) -> str:
    """At most 80 characters of a line whose letters outside ASCII show whether the reading is right.

    With `other`, the first place where the two readings differ.
    """
    if other is not None and len(other.text) == len(text):
        place = next(i for i, (ours, theirs) in enumerate(zip(text, other.text, strict=True)) if ours != theirs)
    else:
        place = next((i for i, character in enumerate(text) if character > "\x7f" and character.isalpha()), 0)
    before = text[max(0, place - _SAMPLE_LENGTH // 2) : place].splitlines(keepends=True)[-1:]
    start = "".join(before) if before and not before[0].endswith(("\n", "\r")) else ""
    return (start + text[place : place + _SAMPLE_LENGTH].splitlines()[0])[:_SAMPLE_LENGTH].strip() if text else ""
