"""What publishers put around a text: headers, licences, credits, legends, colophons.

Only what stands at the head or the tail of a text (or, in files of several books, between a Project Gutenberg END and
the next START), and says so in words that no story has there, is taken off. Title and author stay where they stand
behind the START line. Known here: Project Gutenberg in its forms since 1991, Aozora Bunko, lib.ru, Wikisource, Project
Runeberg, Feedbooks, Royallib, and the credits of scanners and proofreaders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_FAR = 40_000  # characters: Project Gutenberg's longest headers and its licence have 20,000
_NEAR = 6_000  # the legends and colophons of the others
_BLOCKS = 60  # paragraphs of a header without a START line
_LONGEST_CREDIT = 1_500

_HINTS = (
    "gutenberg", "pgdp", "transcribe", "scanned", "proofread", "digiti", "ocr:", "ocr ", "origin:", "last-modified",
    "wikisource", "runeberg", "feedbooks", "底本：", "テキスト中に", "викитек", "скачали", "вычитка", "сканирование", "изд.",
)  # fmt: skip

_OF_GUTENBERG = r"(?: OF| DU| DES| VON| DE|)(?: THE| THIS| DAS| DIESES| LE| CE|) PROJE[CK]?T[- ]GUTENBERG"
_MARKER = re.compile(
    rf"[ \t]*\*{{3}} ?(?:(START)|END|ENDE|FIN){_OF_GUTENBERG}"
    r"(?:[^*\n]*(?:\n[^*\n]+){0,3}\*{3}[^\n]*|[^\n]*)",
    re.IGNORECASE,
)
_END_SENTENCE = re.compile(
    r"^[ \t]*(?:\*{3} ?)?(?:This is the )?(?:End of (?:the |this |)Project Gutenberg(?:['’]s|,? E-?(?:Book|Text)\b)"
    r"|Ende (?:dieses|des) Proje[ck]t[- ]Gutenberg|Fin (?:du|de ce) Proje(?:c|)t Gutenberg)",
    re.IGNORECASE | re.MULTILINE,
)
_SMALL_PRINT = re.compile(r"^\*+[ ]?START[ *]*THE SMALL PRINT!", re.IGNORECASE | re.MULTILINE)
_SMALL_PRINT_END = re.compile(r"^\*+[ ]?END[ *]*THE SMALL PRINT![^\n]*", re.IGNORECASE | re.MULTILINE)
_HEAD = re.compile(
    r"this e-?(?:book|text) is for the use of anyone\s+any\s*where"
    r"|\A\W*(?:the |this is the )?project gutenberg(?:['’]s)?,? e-?(?:book|text)s?\b"
    r"|\A\W*project gutenberg['’]s [^.]{1,150},? by [^.]{1,100}\Z"
    r"|copyright laws are changing all over|information (?:about|on contacting) project gutenberg"
    r"|\[?(?:e-?book|e-?text) ?#\d+\]|project gutenberg e-?(?:books?|texts?) are "
    r"|\A\W*(?:posting date|release date|most recently updated|character set encoding): ",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"\A\W*(?:(?:this |the |an? )?(?:e-?text|e-?book|text|file|book|html version|images?)(?: file)? )?(?:was |were )?"
    r"(?:produced|prepared|transcribed|scanned|digiti[sz]ed|proofread|corrected|created|converted)\b[^.\n]{0,60}?"
    r"\b(?:by|from|at|thanks)\b|\A\W*transcriber['’]?s?['’]? notes?\b|\A\W*note: (?:project gutenberg|images of the original)"
    r"|\A\W*html version by\b|\A\W*credits: ",
    re.IGNORECASE,
)
_SURE_CREDIT = re.compile(r"pgdp|distributed proofread|gutenberg|pglaf|\be-?texts?\b", re.IGNORECASE)
_CLOSING_NOTE = re.compile(r"^\W*Transcriber['’]?s?['’]? Notes?\b", re.IGNORECASE | re.MULTILINE)
_LIBRARY = re.compile(
    r"спасибо, что скачали книгу|(?:exported|downloaded) from wikisource|экспортировано из викитеки"
    r"|this book is brought to you by feedbooks|project runeberg presents|digitized (?:by|at) project runeberg"
    r"|prepared (?:by|for) [^.]{0,80}project runeberg|\A[ \t]*(?:популярность:[^\n]*)?last-modified: [^\n]*\Z"
    r"|\A(?:[ \t]*(?:ocr|spell-?check|вычитка|сканирование)\b[^\n]{0,100}(?:\n|\Z))+\Z"
    r"|\A\W*(?:scanned|proofread|digiti[sz]ed)(?: (?:and|&) \w+)? by\b.{0,120}\Z",
    re.IGNORECASE,
)
_WIKISOURCE = re.compile(
    r"^[ \t]*About this digital edition[ \t]*\n(?=(?s:.{0,400})wikisource)", re.IGNORECASE | re.MULTILINE
)
_RULE = re.compile(r"^[ \t]*(?:-{20,}|={20,}|_{20,}|\*{20,})[ \t]*$", re.MULTILINE)
_LEGEND = re.compile(
    r"テキスト中に現れる記号について|^\s*(?:OCR|Spell-?check|Вычитка|Сканирование|Origin:|Изд\.|Last-modified:)",
    re.IGNORECASE | re.MULTILINE,
)
_COLOPHON = re.compile(r"^底本：(?=(?s:.{0,3000}?)(?:入力：|校正：|青空文庫))", re.MULTILINE)
_GAP = re.compile(r"\n[ \t]*\n")


def without_frames(text: str) -> str:
    """`text` without what publishers put around it; unchanged where nothing is plainly such a frame."""
    ends = (text if len(text) < 2 * _NEAR else text[:_NEAR] + text[-_NEAR:]).lower()
    if not any(hint in ends for hint in _HINTS) and not _names_gutenberg(text):
        return text
    while (inner := _without_one(text)) != text:  # one frame may stand inside another
        text = inner
    return text


def _without_one(text: str) -> str:
    parts = _between_markers(_without_small_print(text))
    if parts != [text]:
        text = "\n\n".join(_without_notes(_without_end_sentence(part), framed=True) for part in parts)
    text = _without_legend(_without_header(_without_end_sentence(text)))
    return _without_library(_without_notes(_without_colophon(text), framed=False))


def _between_markers(text: str) -> list[str]:
    """What stands between the START and END lines of Project Gutenberg: one part a book."""
    if not _names_gutenberg(text):
        return [text]
    kept, begin, last = [], 0, ""
    for marker in _markers(text):
        before, kind = text[begin : marker.start()], "start" if marker[1] else "end"
        # A header stands before the first START, a licence (and a header) between an END and what follows it.
        frame = (last == "end" and len(before) <= 2 * _FAR) or (last == "" and kind == "start" and len(before) <= _FAR)
        if not frame:
            kept.append(before)
        begin, last = marker.end(), kind
    if last != "end" or len(text) - begin > _FAR:
        kept.append(text[begin:])
    return kept


def _names_gutenberg(text: str) -> bool:
    return "utenberg" in text or "UTENBERG" in text


def _markers(text: str) -> Iterator[re.Match[str]]:
    place = text.find("***")
    while place >= 0:
        marker = _MARKER.match(text, text.rfind("\n", 0, place) + 1)
        if marker:
            yield marker
        line_end = text.find("\n", marker.end() if marker else place)
        place = text.find("***", line_end) if line_end >= 0 else -1


def _without_small_print(text: str) -> str:
    """Without the licence of the 1990s, which stands before the text or behind it."""
    head, tail = text[:_FAR], max(0, len(text) - _FAR)
    if (end := _SMALL_PRINT_END.search(head)) and "Project Gutenberg" in head[: end.start()]:
        begin = _SMALL_PRINT.search(head)
        if begin is None or begin.start() <= _NEAR:
            return text[end.end() :]
    if (
        (begin := _SMALL_PRINT.search(text, tail))
        and begin.start() > _NEAR
        and "Project Gutenberg" in text[begin.start() :]
    ):
        return text[: begin.start()]
    return text


def _without_end_sentence(text: str) -> str:
    """Without "End of Project Gutenberg's Alice" and all behind it."""
    if not _names_gutenberg(text):
        return text
    found = _END_SENTENCE.search(text, max(0, len(text) - _FAR))
    return text[: found.start()] if found else text


def _without_header(text: str) -> str:
    """Without a header of Project Gutenberg that no START line ends: up to the last paragraph that is plainly of it."""
    if not _names_gutenberg(text[:_FAR]):
        return text
    end = 0
    for number, (begin, stop) in enumerate(_first_blocks(text[:_FAR], _BLOCKS)):
        if _HEAD.search(text[begin:stop]):
            end = stop
        elif number == 0:
            break
    return text[end:]


def _without_notes(text: str, *, framed: bool) -> str:
    """Without the credits and transcribers' notes at the head, in a text that lost a frame also at the tail."""
    end = 0
    for begin, stop in _first_blocks(text[:_FAR], _BLOCKS):
        block = text[begin:stop]
        if begin < end:  # still inside a note in brackets
            continue
        if len(block) > _LONGEST_CREDIT or not _CREDIT.match(block) or not (framed or _SURE_CREDIT.search(block)):
            break
        bracket = text.find("]", begin, begin + 2 * _LONGEST_CREDIT) + 1 if block.startswith("[") else 0
        end = max(stop, bracket)
    closing = _CLOSING_NOTE.search(text, max(end, len(text) - 2 * _LONGEST_CREDIT)) if framed else None
    return text[end : closing.start() if closing else None]


def _without_legend(text: str) -> str:
    """Without a legend between two rules near the head, as Aozora Bunko and lib.ru have it."""
    rules = list(_RULE.finditer(text[:_NEAR]))
    for upper, lower in pairwise(rules):
        if upper.start() < _NEAR // 2 and _LEGEND.search(text, upper.end(), lower.start()):
            return text[: upper.start()] + text[lower.end() :]
    return text


def _without_colophon(text: str) -> str:
    """Without Aozora Bunko's account of the printed book and the typists, or Wikisource's of its edition."""
    for colophon in (_COLOPHON, _WIKISOURCE):
        if found := colophon.search(text, max(0, len(text) - _NEAR)):
            text = text[: found.start()]
    return text


def _without_library(text: str) -> str:
    """Without the lines that libraries and scanners put first or last."""
    for begin, stop in _first_blocks(text[:_NEAR], 1):
        if stop - begin <= _LONGEST_CREDIT and _LIBRARY.search(text[begin:stop]):
            text = text[stop:]
    stripped = text.rstrip()
    begin = max(stripped.rfind("\n\n", -_LONGEST_CREDIT), 0)
    last = stripped[begin:].lstrip("\n")
    return text[:begin] if len(last) <= _LONGEST_CREDIT and _LIBRARY.search(last) else text


def _first_blocks(text: str, most: int) -> list[tuple[int, int]]:
    """Where the first paragraphs begin and end."""
    blocks: list[tuple[int, int]] = []
    begin = len(text) - len(text.lstrip())
    while begin < len(text) and len(blocks) < most:
        gap = _GAP.search(text, begin)
        stop = gap.start() if gap else len(text)
        blocks.append((begin, stop))
        begin = stop
        while begin < len(text) and text[begin].isspace():
            begin += 1
    return blocks
