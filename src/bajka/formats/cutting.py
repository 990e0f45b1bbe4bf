"""Where a text may be cut in two: a paragraph near the wished place, else a line, a sentence, a space, a character."""

from __future__ import annotations

import re
import unicodedata

_BOUNDARIES = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n+"),
    re.compile(r"[.!?…][\"'»”’)\]]*\s+|[。！？][」』”]*"),
    re.compile(r"\s+"),
)
_JOINERS = "\u200d\ufe0f"


def cut_near(text: str, wished: int, *, within: int) -> int:
    """The place of the best kind of boundary nearest to `wished`, at most `within` characters away.

    Both sides hold more than white space, unless the whole text has no such place: then 0 or its length.
    """
    low, high = max(0, wished - within), min(len(text), wished + within)
    for boundary in _BOUNDARIES:
        ends = (found.end() for found in boundary.finditer(text, low, high))
        for end in sorted(ends, key=lambda end: abs(end - wished)):
            if text[:end].strip() and text[end:].strip():
                return end
    return _between_letters(text, wished)


def _between_letters(text: str, place: int) -> int:
    """`place`, moved forward past marks that belong to the character before."""
    while 0 < place < len(text) and (unicodedata.combining(text[place]) or text[place] in _JOINERS):
        place += 1
    return place
