"""Counting the bytes, letters, characters and scripts of whole corpora: exact, and fast enough to need no sample."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

_COUNTED = 1 << 16  # characters looked at at once: they stay in the processor
_PIECE = 4_000_000  # characters counted at once
_SCRIPTS = {
    "CJK": "Han",
    "IDEOGRAPHIC": "Han",
    "HIRAGANA": "Hiragana/Katakana",
    "KATAKANA": "Hiragana/Katakana",
    "KATAKANA-HIRAGANA": "Hiragana/Katakana",
}
_NOT_SCRIPTS = {"MODIFIER", "MATHEMATICAL", "MICRO", "FEMININE", "MASCULINE", "OHM", "KELVIN", "ANGSTROM", "SCRIPT"}


def count_characters(texts: Iterable[str]) -> dict[str, int]:
    """How often each character occurs, the commonest first."""
    counts = np.zeros(0x110000, dtype=np.int64)
    for piece in _pieces(texts):
        codes = np.frombuffer(piece.encode("utf-32-le"), dtype=np.uint32)
        here = np.bincount(codes)
        counts[: len(here)] += here
    found = np.flatnonzero(counts)
    order = found[np.argsort(-counts[found], kind="stable")]
    return {chr(code): int(counts[code]) for code in order}


def count_text(text: str) -> tuple[int, int]:
    """UTF-8 bytes of `text`, and how many of its characters are letters of any script, as `str.isalpha` has it."""
    size = letters = 0
    for start in range(0, len(text), _COUNTED):
        some = text[start : start + _COUNTED]
        codes = np.frombuffer(some.encode("utf-16-le"), dtype=np.uint16)
        pairs = len(codes) - len(some)  # of surrogates, which are no letters in the table
        letters += int(np.count_nonzero(np.take(_letters(), codes)))
        size += len(codes) + int(np.count_nonzero(codes > 0x7F)) + int(np.count_nonzero(codes > 0x7FF)) - 2 * pairs
        if pairs:
            high, counts = np.unique(np.frombuffer(some.encode("utf-32-le"), dtype=np.uint32), return_counts=True)
            letters += sum(
                int(count) for code, count in zip(high, counts, strict=True) if code > 0xFFFF and chr(code).isalpha()
            )
    return size, letters


@cache
def _letters() -> NDArray[np.bool_]:
    """For every code point up to U+FFFF whether it is a letter."""
    return np.array([chr(code).isalpha() for code in range(0x10000)])


def letters_among(characters: Mapping[str, int]) -> int:
    """Letters of any script (`str.isalpha`) in the counts of `count_characters`."""
    return sum(count for character, count in characters.items() if character.isalpha())


def script_shares(characters: Mapping[str, int]) -> dict[str, float]:
    """Share of the letters by script, the commonest first; empty when there is no letter."""
    totals: dict[str, int] = {}
    for character, count in characters.items():
        if character.isalpha():
            script = script_of(character)
            totals[script] = totals.get(script, 0) + count
    letters = sum(totals.values())
    return {script: count / letters for script, count in sorted(totals.items(), key=lambda item: -item[1])}


@cache
def script_of(letter: str) -> str:
    """The script of a letter by its Unicode name: "Latin", "Cyrillic", "Han", "Hiragana/Katakana", ... or "other"."""
    words = unicodedata.name(letter, "").split()
    if words and words[0] in ("FULLWIDTH", "HALFWIDTH"):
        words = words[1:]
    if not words or words[0] in _NOT_SCRIPTS:
        return "other"
    return _SCRIPTS.get(words[0], words[0].capitalize())


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """The texts joined and cut into strings of about `_PIECE` characters."""
    waiting: list[str] = []
    size = 0
    for text in texts:
        for start in range(0, len(text), _PIECE):
            waiting.append(text[start : start + _PIECE])
            size += len(waiting[-1])
            if size >= _PIECE:
                yield "".join(waiting)
                waiting, size = [], 0
    yield "".join(waiting)
