"""Counting characters and scripts of whole corpora: exact, and fast enough (numpy) not to need a sample."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

_ASCII_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LAST_LETTERS = 0x34000
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


def count_letters(text: str) -> int:
    """Letters of any script (`str.isalpha`) in a text."""
    if text.isascii():
        data = text.encode("ascii")
        return len(data) - len(data.translate(None, _ASCII_LETTERS))
    return int(_letters()[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)].sum())


@cache
def _letters() -> NDArray[np.bool_]:
    """For every code point whether it is a letter; behind the third plane of Han there are none (a test looks)."""
    letters = np.zeros(0x110000, dtype=np.bool_)
    letters[:_LAST_LETTERS] = [chr(code).isalpha() for code in range(_LAST_LETTERS)]
    return letters


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
