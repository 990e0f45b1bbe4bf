"""Readings and notes of Aozora Bunko (https://www.aozora.gr.jp/annotation/), taken out of texts that plainly have them.

｜一生満足《いっしょうまんぞく》 -> 一生満足      the reading goes, the base stays
［＃「外」に傍点］               -> nothing          notes of the typist go; a line of only notes goes whole
※［＃「魚＋師」、第4水準2-93-37］ -> 鰤            a character outside JIS X 0208, by its place in JIS X 0213 or its
                                                 Unicode number; 〓 (the geta mark of printers) where none is given
※［＃始め二重括弧、1-1-52］      -> ≪             as Aozora's older texts wrote it, for 《 would be a reading again
"""

from __future__ import annotations

import re

_KANJI = (
    "\u2e80-\u2fdf\u3005-\u3007\u303b\u30f5\u30f6\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff〓仝〆"
)
_KANA = "\u3031-\u3035\u3041-\u3096\u309b-\u309e\u30a1-\u30fe／＼″　 "  # ／＼ is how Aozora repeats two kana
_ANY_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_PLAIN_RUBY = re.compile(f"[{_KANJI}]《[{_KANA}]{{1,40}}》")
_NOTE = "［＃(?:[^［］\n]|［[^［］\n]*+］)*+］"
_NOTES = re.compile(_NOTE)
_LINE_OF_NOTES = re.compile(f"^(?:{_NOTE})+(?:\n|\\Z)", re.MULTILINE)
_GAIJI = re.compile(f"※({_NOTE})")
_PLACE = re.compile(r"(?<![\d-])([12])-(\d{1,2})-(\d{1,2})］?$")
_NUMBER = re.compile(r"U\+([0-9A-Fa-f]{4,6})(?![0-9A-Fa-f])")
_SMALL_KANA = re.compile("^［＃小書き[平片]仮名(.)、")
_READING = "《[^《》\n]{1,40}》"
_MARKED = re.compile(f"｜([^｜《》\n]{{1,60}})(?:{_READING})+")
_READINGS = re.compile(f"(?<=[\\w{_KANJI}])(?:《[{_KANA}]{{1,40}}》)+")
_IN_KANA = re.compile(f"《[{_KANA}]{{1,40}}》")
_QUOTED = re.compile("《[^《》\n]*》")
_DOUBLE = {"［＃始め二重括弧": "≪", "［＃終わり二重括弧": "≫"}


def without_ruby(text: str) -> str:
    """`text` without Aozora's readings and notes; unchanged when nothing in it is written that way."""
    if "［＃" in text:
        text = _LINE_OF_NOTES.sub("", text)
        text = _NOTES.sub("", _GAIJI.sub(lambda note: _character(note[1]), text))
    if "《" in text and _has_readings(text):
        text = _READINGS.sub("", _MARKED.sub(r"\1", text))
    return text


def _has_readings(text: str) -> bool:
    """Whether 《 》 mean readings: one stands plainly behind a kanji, most hold only kana, and there is kana beside them.

    In Chinese they hold titles, now and then a Japanese one.
    """
    if not _PLAIN_RUBY.search(text) or 2 * len(_IN_KANA.findall(text)) <= len(_QUOTED.findall(text)):
        return False
    return _ANY_KANA.search(_QUOTED.sub("", text)) is not None


def _character(note: str) -> str:
    """What stands in place of ※ and its note."""
    for beginning, sign in _DOUBLE.items():
        if note.startswith(beginning):
            return sign
    if small := _SMALL_KANA.match(note):
        return small[1]
    if number := _NUMBER.search(note):
        code = int(number[1], 16)
        return chr(code) if 0x20 < code < 0xD800 or 0xE000 <= code < 0x110000 else "〓"
    if place := _PLACE.search(note.split("、")[-1]):
        return _in_jis(*map(int, place.groups()))
    return "〓"


def _in_jis(plane: int, row: int, cell: int) -> str:
    """The character at a place of JIS X 0213, by way of the codec that lays it out so."""
    if not (1 <= row <= 94 and 1 <= cell <= 94):
        return "〓"
    data = bytes([0x8F] * (plane - 1) + [0xA0 + row, 0xA0 + cell])
    character = data.decode("euc_jis_2004", errors="replace")
    return "〓" if "\ufffd" in character else character
