"""Which of the old encodings a text was written in: the reading that looks most like a language wins.

Every candidate that decodes the bytes strictly is scored against every row of `languages.py`: its faults (letters the
language does not have, signs and capitals inside words), how common its letters are, and how many of the commonest
words occur. charset-normalizer's answers are candidates too, but do not decide: of 19 Croatian novels in ISO-8859-2 it
read 6 as cp1250.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from charset_normalizer import from_bytes

from bajka.formats.languages import LANGUAGES, MADE_FOR, Language

CLASSICAL = (
    *("cp1250", "iso8859_2", "cp852", "cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "cp855", "mac_cyrillic"),
    *("cp1252", "iso8859_15", "cp850", "mac_roman", "mac_latin2", "cp1257", "cp1254", "cp1253", "cp1255", "cp1256"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
_VARIANTS = {  # of the ones above, with other signs for a few bytes: they would only make a sure guess look unsure
    *("shift_jis", "shift_jis_2004", "shift_jisx0213", "euc_jis_2004", "euc_jisx0213", "big5hkscs", "gbk", "gb2312"),
    *("euc_kr", "johab", "kz1048", "ptcp154", "cp1125", "koi8_t"),
}
ACCEPTABLE = 0.25
"""Above this share of faults no language fits and the file is refused."""
_FAULTS_IF_SURE = 0.05
_ENOUGH_EVIDENCE = 3  # characters outside ASCII
_CLEARLY_CHEAPER = 0.15  # either this much less cost,
_FEWER_FAULTS, _TIMES_FEWER = 3, 4  # or so many faults fewer, and so many times fewer
_FAULT = 3.0  # cost of a fault, where a letter of the language costs up to 0.2
_NOT_AT_HOME = 0.1  # cost of a language that an encoding was not made for
_RARELY_USED, _RARE = frozenset(("mac_cyrillic", "mac_roman", "mac_latin2", "cp855", "iso8859_5")), 0.02
_SAMPLE = 4_000  # characters scored, from the lines that are not ASCII
_PIECE = 400  # characters: a longer line is sampled in pieces
_WORD = re.compile(r"[^\W\d_]+")
_SIGN_IN_WORD = re.compile(
    r"(?<=[^\W\d_])[^\w\s\x00-\x7f’‘–—…‑ʼ·・]+(?=[^\W\d_])"
    r"|(?<=[^\W\d_lL])·(?=[^\W\d_])"  # Catalan has l·l
    r"|[©®¾½¼¹²³ªº†‡¦¨¯¸¬¤]+(?=[^\W\d_])|(?<=[^\W\d_])[€£¥¢]"
)
_PLAIN_SIGNS = frozenset("°§©®™№€£½¼¾²³´`×±¬○●◎△▲□■◇◆☆★※→←↑↓〓〒＝＋｜￣￥＜＞～÷∞−")
_COMMON_HAN = {  # rows of the old standards that hold the characters in daily use: codec, first and last lead byte
    "Japanese": ("euc_jp", 0xB0, 0xCF),
    "Chinese (simplified)": ("gb2312", 0xB0, 0xD7),
    "Chinese (traditional)": ("big5", 0xA4, 0xC6),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One encoding under which the bytes are text: lower `cost` is better; `faults` of `total` characters are wrong."""

    encoding: str
    text: str
    language: str
    cost: float
    faults: int
    total: int

    @property
    def fits(self) -> bool:
        """Whether it can be a text of the language at all."""
        return self.faults <= ACCEPTABLE * self.total


@dataclass(frozen=True, slots=True)
class Guess:
    """The best reading, the best one that gives another text, and whether the first is clearly better than all."""

    best: Reading
    second: Reading | None
    sure: bool


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one decoded sample holds outside ASCII, counted once and then judged for every language."""

    total: int
    letters: Counter[str]  # small letters that are not Han or Hangul, and combining signs
    han: Counter[str]
    hangul: int
    wide: int  # full-width forms and iteration marks: at home beside Han and Hangul only
    signs: int  # what belongs to no language
    inside: int  # signs inside words; scripts without spaces have no inside
    odd: int  # a capital after a small letter
    mixed: int  # two alphabets in one word
    words: Counter[str]


def guess_encoding(data: bytes, whole: bool = True) -> Guess | None:
    """The most plausible reading of bytes that are not UTF-8; None when no encoding decodes them at all.

    Not `whole`: the bytes may end in the middle of a letter.
    """
    readings = sorted(_readings(data, whole=whole), key=lambda reading: reading.cost)
    if not readings:
        return None
    best, others = readings[0], readings[1:]
    good = best.total >= _ENOUGH_EVIDENCE and best.faults <= _FAULTS_IF_SURE * best.total
    return Guess(best, others[0] if others else None, good and all(_clearly_better(best, other) for other in others))


def _clearly_better(best: Reading, other: Reading) -> bool:
    if other.cost - best.cost >= _CLEARLY_CHEAPER:
        return True
    return other.faults >= max(best.faults + _FEWER_FAULTS, best.faults * _TIMES_FEWER)


def read_as(data: bytes, encoding: str, *, whole: bool = True) -> Reading:
    """The bytes under one encoding, scored; raises `UnicodeError` when they are not in it."""
    return _read(codecs.getincrementaldecoder(encoding)().decode(data, final=whole), encoding)


def _readings(data: bytes, *, whole: bool) -> list[Reading]:
    """Every strict decoding, scored; candidates that give the same text are one reading."""
    found: dict[str, Reading] = {}
    for encoding in _candidates(data):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
        except (UnicodeError, LookupError):
            continue
        reading = _read(text, encoding)
        if text not in found or reading.cost < found[text].cost:
            found[text] = reading
    return list(found.values())


def _candidates(data: bytes) -> tuple[str, ...]:
    detected = (match.encoding for match in from_bytes(data[:100_000]))
    return tuple(dict.fromkeys((*CLASSICAL, *(name for name in detected if name not in _VARIANTS))))


def _read(text: str, encoding: str) -> Reading:
    """The reading with the language that makes it cheapest."""
    counts = _count(_not_ascii_parts(text))
    at_home = MADE_FOR.get(encoding, ())
    judged = [(language.name, *_cost(language, counts)) for language in LANGUAGES]
    cost, language, faults = min(
        (cost + _NOT_AT_HOME * (name not in at_home) + _RARE * (encoding in _RARELY_USED), name, faults)
        for name, cost, faults in judged
    )
    return Reading(encoding, text, language, cost, faults, max(1, counts.total))


def _not_ascii_parts(text: str) -> str:
    """About `_SAMPLE` characters of lines (or pieces of long ones) that are not ASCII, taken evenly from all."""
    lines = (line for line in text.splitlines() if not line.isascii())
    parts = [line[start : start + _PIECE] for line in lines for start in range(0, len(line), _PIECE)]
    length = sum(map(len, parts))
    return "\n".join(parts[:: max(1, round(length / _SAMPLE))])[: 2 * _SAMPLE]


def _count(sample: str) -> _Counts:
    characters = Counter({character: count for character, count in Counter(sample).items() if not character.isascii()})
    letters: Counter[str] = Counter()
    han: Counter[str] = Counter()
    hangul = wide = signs = 0
    for character, count in characters.items():
        if "一" <= character <= "鿿":
            han[character] = count
        elif "가" <= character <= "힣":
            hangul += count
        elif "\uff00" <= character <= "\uff5e" or character in "々〆":
            wide += count
        elif character.isalpha() or character == "ー":
            letters[character.lower()] += count
        elif unicodedata.category(character)[0] not in "PZM" and character not in _PLAIN_SIGNS:
            signs += count
    pairs = {
        pair: count for pair, count in Counter(pairwise(sample)).items() if pair[0].isalpha() and pair[1].isalpha()
    }
    odd = sum(count for (left, right), count in pairs.items() if left.islower() and right.isupper() and right > "\x7f")
    mixed = sum(count for (left, right), count in pairs.items() if left.isascii() != right.isascii())
    inside = sum(len(found) for found in _SIGN_IN_WORD.findall(sample))
    words = Counter(_WORD.findall(sample.lower()))
    return _Counts(characters.total(), letters, han, hangul, wide, signs, inside, odd, mixed, words)


def _cost(language: Language, counts: _Counts) -> tuple[float, int]:
    """Cost and number of faults of one reading in one language."""
    faults = counts.signs + counts.odd
    match language.writing:
        case "latin":
            faults += counts.inside + counts.wide + counts.hangul
        case "other":
            faults += counts.inside + counts.wide + counts.hangul + counts.mixed
        case "han":
            faults += counts.hangul + counts.mixed
        case "hangul":
            faults += counts.mixed
    faults += sum(count for letter, count in counts.letters.items() if letter not in language.ranks)
    common = _common_han(language.name)
    faults += sum(count for character, count in counts.han.items() if character not in common)
    rank = sum(language.ranks.get(letter, 0) * count for letter, count in counts.letters.items())
    total = max(1, counts.total)
    return _FAULT * faults / total + 0.2 * rank / total - 0.3 * _familiar(language, counts), faults


def _familiar(language: Language, counts: _Counts) -> float:
    """From 0 (none) to 1: how many of the words (or characters) are the language's commonest ones."""
    if language.writing == "han":
        written = counts.han.total() + counts.letters.total()
        common = sum(counts.han[character] + counts.letters[character] for character in language.words)
    else:
        written = counts.words.total()
        common = sum(counts.words[word] for word in language.words)
    return min(1.0, 5 * common / written) if written else 0.0


@cache
def _common_han(language: str) -> frozenset[str]:
    """The Han characters in daily use in a language; none for a language without them."""
    if language not in _COMMON_HAN:
        return frozenset()
    codec, first, last = _COMMON_HAN[language]
    pairs = (bytes((lead, trail)) for lead in range(first, last + 1) for trail in range(0x40, 0xFF))
    return frozenset("".join(pair.decode(codec, "ignore") for pair in pairs))
