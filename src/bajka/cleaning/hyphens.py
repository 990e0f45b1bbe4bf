"""Words broken at the end of a line, put together again where the text itself says that they were one.

A break is `letters, hyphen, newline, small letters`. What decides, in this order:
1. where nearly no line ends in a hyphen, words were joined before us (as Project Gutenberg does) and what is left are
   compounds: all stays (and `unwrap` joins such lines without a space);
2. does the rest of the text have "wonderful" or "won-derful" more often?
3. Russian particles (кто-то, кое-как, по-русски) keep their hyphen, and so do two words of three letters or more that
   the text has each on its own (well-known);
4. else the word is joined.
The whole word goes to the first line and the newline behind it, so lines stay lines. Dialogue dashes, em dashes,
"Haus-/und Hof" and hyphens before capitals are no breaks. A soft hyphen at a line end always was one, as is ¬, which
text recognition writes there.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest

_LETTER = r"[^\W\d_]"
_SOFT_BREAK = re.compile(f"\xad[ \t]*+\n[ \t]*+(?={_LETTER})")
_BREAK = re.compile(f"[-\u2010\xac][ \t]*+\n[ \t]*+(?={_LETTER})")
_LETTERS_AT_END = re.compile(f"{_LETTER}+\\Z")
_LETTERS = re.compile(f"{_LETTER}+")
_TOKEN = re.compile(r"\S{1,60}")
_SPACES = re.compile("[ \t]*+")
_LONGEST = 60  # characters of a word
_EDGES = "\"'“”„«»‘’‚‹›()[]{}<>*_.,;:!?…—–-‐¬"
CONJUNCTIONS = frozenset(
    (
        "and",
        "or",
        "und",
        "oder",
        "bzw",
        "sowie",
        "en",
        "of",
        "og",
        "och",
        "eller",
        "et",
        "ou",
        "y",
        "o",
        "e",
        "i",
        "ili",
        "и",
        "или",
    )
)
_RUSSIAN = re.compile(
    r"(?:кто|что|к[оа]го|кому?|кем|ч[её]м|чего|чему|как\w*|где|куда|когда|откуда|почему|зачем|чей|чь\w+)-(?:то|либо|нибудь)"
    r"|кое-\w+|по-\w+(?:ски|цки|ому|ему|ьи)"
)
_ENOUGH_LINES = 100
_SELDOM = 0.01  # share of the lines


@dataclass(frozen=True, slots=True)
class _Break:
    """Places: of the hyphen, of the first letter of the next line, of the end of its first word; and both words.

    The words are in NFC, whatever the text is: what is decided does not depend on how an accent is written.
    """

    hyphen: int
    start: int
    end: int
    before: str
    after: str


def with_whole_words(text: str) -> str:
    """`text` without soft hyphens, and with the words that were broken at line ends in one piece."""
    if "\xad" in text:
        text = _joined(text, [_at(text, match) for match in _SOFT_BREAK.finditer(text)], frozenset()).replace(
            "\xad", ""
        )
    if "-" not in text and "\u2010" not in text and "\xac" not in text:
        return text
    breaks = [found for match in _BREAK.finditer(text) if _is_break(found := _at(text, match))]
    lines = text.count("\n")
    if lines >= _ENOUGH_LINES and len(breaks) < _SELDOM * lines:
        breaks = [one for one in breaks if text[one.hyphen] == "\xac"]
    return _joined(text, breaks, _kept_hyphens(text, breaks)) if breaks else text


def _at(text: str, match: re.Match[str]) -> _Break:
    hyphen, start = match.span()
    before = text[max(0, hyphen - _LONGEST) : hyphen].rsplit(None, 1)
    token = _TOKEN.match(text, start)
    assert token is not None  # a letter stands there
    return _Break(hyphen, start, token.end(), _nfc(before[-1]) if before else "", _nfc(token[0]))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _is_break(found: _Break) -> bool:
    """Two letters or more on both sides, going on in small letters (or in capitals after capitals)."""
    first, second = _LETTERS_AT_END.search(found.before), _LETTERS.match(found.after)
    if first is None or second is None or min(len(first[0]), len(second[0])) < 2:
        return False
    goes_on = second[0].islower() or (second[0].isupper() and first[0].isupper())
    broken_again = found.after[second.end() : second.end() + 1] in ("-", "\u2010", "\xac")
    return goes_on and (broken_again or second[0] not in CONJUNCTIONS)


def _kept_hyphens(text: str, breaks: list[_Break]) -> frozenset[int]:
    """Places of the hyphens that belong to the word."""
    words = Counter(word.strip(_EDGES) for word in _nfc(text).lower().split())
    for one in breaks:  # the pieces themselves are no evidence
        words.subtract((one.before.lower().strip(_EDGES), one.after.lower().strip(_EDGES)))
    return frozenset(one.hyphen for one in breaks if text[one.hyphen] != "\xac" and _keeps(one, words))


def _keeps(one: _Break, words: Counter[str]) -> bool:
    before, after = one.before.lower().lstrip(_EDGES), one.after.lower().rstrip(_EDGES)
    whole, compound = words[before + after], words[f"{before}-{after}"]
    if whole != compound:
        return compound > whole
    if _RUSSIAN.fullmatch(f"{before}-{after}"):
        return True
    last = before.rsplit("-", 1)[-1]
    return min(len(last), len(after)) > 2 and words[last] > 0 and words[after] > 0


def _joined(text: str, breaks: list[_Break], kept: frozenset[int]) -> str:
    pieces, done = [], 0
    for one, following in zip_longest(breaks, breaks[1:]):
        again = following is not None and following.hyphen < one.end
        end = following.hyphen if following is not None and again else one.end
        pieces += [text[done : one.hyphen], "-" if one.hyphen in kept else "", text[one.start : end]]
        done = end
        spaces = 0 if again else len(text[end : _SPACES.match(text, end).end()])  # type: ignore[union-attr]
        done = end + spaces
        if spaces and text[done : done + 1] not in ("\n", ""):  # a hyphen shall not stand at a line end again
            pieces.append(" " if text[end - 1] in "-\u2010\xac\xad" else "\n")
    return "".join(pieces) + text[done:]
