"""Characters that are no writing: controls, marks of byte order and direction, widths of zero, kinds of spaces.

Decided here, once:
* \\n and \\t stay. \\v, \\f, NEL (U+0085) and U+2028 become a newline, U+2029 an empty line; other C0 and C1 controls go.
* Byte order marks, word joiners, invisible operators, object replacements, noncharacters and interlinear marks go.
* A zero width space stays beside Thai, Lao, Burmese and Khmer, where it divides words; joiner and non-joiner stay
  after letters of the scripts that shape by them and inside emoji; everywhere else they go.
* Marks of direction stay in a text that holds letters written from right to left.
* Spaces as wide as a word space (NBSP, U+2000-U+2006, U+2008, U+205F) become a space; thin, hair, figure and narrow
  no-break spaces are typography (French, numbers) and stay, as does the ideographic space (Japanese paragraphs).
Soft hyphens belong to `hyphens`.
"""

from __future__ import annotations

import re

_SOME = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\u061c\u180e\u2000-\u2006\u2008\u200b-\u200f\u2028-\u202e\u205f-\u206f"
    "\ufdd0-\ufdef\ufeff\ufff9-\ufffc\ufffe\uffff\U000e0000-\U000e007f]"
)
_ASCII_CONTROLS = bytes([*range(9), *range(0x0B, 0x20), 0x7F])

_REMOVED = (
    *range(0x00, 0x09),
    *range(0x0E, 0x20),
    *range(0x7F, 0xA0),
    0x180E,
    *range(0x2060, 0x2066),
    *range(0x206A, 0x2070),
    *range(0xFDD0, 0xFDF0),
    0xFEFF,
    *range(0xFFF9, 0xFFFD),
    0xFFFE,
    0xFFFF,
)
_SPACES = (0xA0, *range(0x2000, 0x2007), 0x2008, 0x205F)
_TABLE: dict[int, str | None] = {
    **dict.fromkeys(_REMOVED),
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys((0x0B, 0x0C, 0x85, 0x2028), "\n"),
    0x2029: "\n\n",
}

_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DIVIDED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"  # scripts without spaces, with ZWSP
_IDLE_SPACE = re.compile(f"(?<![{_DIVIDED}])\u200b|\u200b(?![{_DIVIDED}])")
_SHAPED = (
    "\u0600-\u08ff\u0900-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff"
)
_PICTURES = "\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff"  # emoji, their variation selector and skin tones
_IDLE_JOINER = re.compile(  # at the end of a word a joiner still shapes (Malayalam chillus), a non-joiner does nothing
    f"(?<![{_SHAPED}{_PICTURES}])[\u200c\u200d]+|(?:\u200c|(?<![{_SHAPED}])\u200d)[\u200c\u200d]*(?=[\\s\u200b]|\\Z)"
)
_TAGS = re.compile("(\U0001f3f4[\U000e0020-\U000e007f]+)|[\U000e0000-\U000e007f]")


def without_controls(text: str) -> str:
    """`text` without characters that write nothing; see the list above."""
    if text.isascii():
        clean = len(text) == len(text.encode("ascii").translate(None, _ASCII_CONTROLS))
        return text if clean else text.translate(_TABLE)
    if not _SOME.search(text):
        return text
    text = _SOME.sub(_replacement, text)
    if not _RIGHT_TO_LEFT.search(text):
        text = _DIRECTIONS.sub("", text)
    text = _TAGS.sub(lambda found: found[1] or "", text)
    if "\u200b" in text:
        text = _IDLE_SPACE.sub("", text)
    if "\u200c" in text or "\u200d" in text:
        text = _IDLE_JOINER.sub("", text)
    return text


def count_controls(text: str) -> int:
    """Characters that `without_controls` looks at (a joiner that stays is among them)."""
    return len(_SOME.findall(text))


def _replacement(found: re.Match[str]) -> str:
    return _TABLE.get(ord(found[0]), found[0]) or ""
