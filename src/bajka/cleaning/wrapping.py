r"""Prose that was broken to a width, with its lines joined again; everything else stays line by line.

A line end is *forced* when the first word of the next line would not have fitted any more. Prose broken to a width has
nearly only forced line ends; verse, plays, lists, addresses and headings have theirs where the author wanted them.
Measured over 278 tales, Alice and Grimm (broken at 70-75): 91-100 % of the line ends inside sentences are forced and
82-98 % of all lines go on in small letters; Pushkin's and Shakespeare's verse: 7-77 % and at most 2 %.

1. The width comes from the whole text: from the line ends inside sentences (the next line goes on with a small letter,
   or, in scripts without capitals, the line ends in a letter). Too few of them, or too few forced: nothing is joined.
2. A block (what stands between empty lines) is then read line end by line end. One inside a sentence is joined when it is
   forced, or (broken by hand) when the line comes near the width; another when it is forced and so is most of its block.
A line that is indented more than the one before begins a paragraph. Lines of Chinese and Japanese are joined without a
space, so are lines after a hyphen or dash that touches its word ("Anglo-\nSaxon", "think--\nfancy").
"""

from __future__ import annotations

import re
from itertools import pairwise

from bajka.cleaning.hyphens import CONJUNCTIONS

_SAMPLE = 3000  # line ends that are looked at for the width
_LONGEST_LINE = 160
_LEAST_WIDTH = 40  # of scripts with spaces
_LEAST_WIDTH_CJK = 28
_SLACK = 3  # characters by which people and programs break too early
_CJK = "\u2e80-\u2fff\u3001-\u303f\u3041-\u3096\u309b-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60"
_IS_CJK = re.compile(f"[{_CJK}]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")  # Thai and its neighbours: unknown where words end
_INITIAL = re.compile(r"[^\W\d_]")
_SENTENCE_ENDS = tuple(".!?:;…。！？」』”»\"”’'—)]")
_STOPS = tuple(".!?:;,…。！？、，；：」』")
_ITEM = re.compile(
    r"(?:[-–—*•·▪‣>#|+=]|\(?(?:\d{1,3}|[A-Za-zА-Яа-я]|[IVXLCM]{1,6})[.)])(?:\s|$)|[-–—][^\W\d_]|[#>|=]|「|『|《"
)
_TABLE = re.compile(r"\S(?: {3,}| *\t)\S|\|.*\|")
_ATTACHED = re.compile(r"(?<=\w)[-‐]$|(?<=\S)(?:--|—)$")


def without_wrapping(text: str) -> str:
    """`text` with the lines of wrapped prose joined; unchanged when its line ends are the author's."""
    while True:  # what is joined is no evidence any more: until nothing changes, which the second look mostly says
        width = wrap_width(text)
        joined = "\n\n".join(_block(block, width) for block in text.split("\n\n")) if width else text
        if joined == text:
            return text
        text = joined


def wrap_width(text: str) -> int | None:
    """The width to which the prose of `text` was broken, in characters; None where it was not."""
    lines = text.split("\n")
    ends = [place for place, (line, following) in enumerate(pairwise(lines)) if line and following]
    sample = ends[:: max(1, len(ends) // _SAMPLE)]
    pairs = [(lines[place].rstrip(), lines[place + 1]) for place in sample if len(lines[place]) <= _LONGEST_LINE]
    inside = [(line, following.lstrip()) for line, following in pairs if _inside_sentence(line, following)]
    if len(inside) < max(3, len(pairs) / 4):
        return None
    width = sorted(len(line) for line, _ in inside)[int(0.95 * (len(inside) - 1))]
    forced = sum(_forced(line, following, width) for line, following in inside) / len(inside)
    if _is_cjk(*inside[len(inside) // 2]):
        fits = width >= _LEAST_WIDTH_CJK and forced > 0.9 and len(inside) >= 8
    elif len(inside) < 8:
        fits = width >= _LEAST_WIDTH + 10 and forced == 1
    else:
        fits = width >= _LEAST_WIDTH and forced > 0.8
    return width if fits else None


def _block(block: str, width: int) -> str:
    """One block with its wrapped line ends joined."""
    if "\n" not in block:
        return block
    lines = [line.rstrip() for line in block.split("\n")]
    bodies = [line.lstrip() for line in lines]
    forced = [_forced(line, body, width) for line, body in zip(lines, bodies[1:], strict=False)]
    inside = [_inside_sentence(line, following) for line, following in pairwise(lines)]
    if not (any(forced) or any(inside)) or (("|" in block or "\t" in block or "   " in block) and _TABLE.search(block)):
        return block
    indents = [len(line) - len(body) for line, body in zip(lines, bodies, strict=True)]
    least = min((indent for indent, body in zip(indents, bodies, strict=True) if body), default=0)
    prose = sum(forced) >= 0.6 * len(forced) and (any(inside) or len(forced) < 3)
    if least > 0:  # a quotation, or verse
        prose = all(forced) and any(inside)
    pieces = [lines[0]]
    for place, following in enumerate(bodies[1:]):
        line = lines[place]
        near = len(line) >= (0.75 if least == 0 else 1) * width  # broken by hand, or something was cut out of the line
        goes_on = inside[place] or (line[-1:].isalpha() and any(inside))
        wanted = (inside[place] or prose) if forced[place] else (goes_on and near)
        deeper = indents[place + 1] > max(
            least, int(inside[place])
        )  # one stray space begins no paragraph in a sentence
        if wanted and not deeper and _may_join(line, following):
            pieces += [_between(line, following), following]
        else:
            pieces += ["\n", lines[place + 1]]
    return "".join(pieces)


def _may_join(line: str, following: str) -> bool:
    """Whether nothing speaks against joining: an empty line, the next item of a list, the next speaker."""
    if not line or not following:
        return False
    if following[0].islower() and following[1:2].isalpha():
        return True
    if _UNSPACED.match(following):
        return False
    return not (_ITEM.match(following) and (line.endswith(_SENTENCE_ENDS) or _ITEM.match(line.lstrip())))


def _forced(line: str, following: str, width: int) -> bool:
    """Whether the next word would have made the line longer than the width."""
    if _is_cjk(line, following):
        return len(line) > width - _SLACK
    space = following.find(" ")
    return bool(line) and len(line) + 1 + (space if space >= 0 else len(following)) > width - _SLACK


def _inside_sentence(line: str, following: str) -> bool:
    """Whether a sentence plainly goes on behind a line end."""
    if not line or (following[:2].isspace() and not line[0].isspace()):
        return False
    if following[:1].islower():
        return True
    initial = _INITIAL.search(following, 0, 24)
    if initial is None or initial[0].islower():
        return initial is not None
    return not initial[0].isupper() and not line.endswith(_STOPS) and line[-1].isalpha() and initial.start() == 0


def _is_cjk(line: str, following: str) -> bool:
    first, last = following[:1], line[-1:]
    return first > "\u2e7f" and last > "\u2e7f" and bool(_IS_CJK.match(first) and _IS_CJK.match(last))


def _between(line: str, following: str) -> str:
    """What stands between two joined lines."""
    if _is_cjk(line, following):
        return ""
    if line.endswith(("-", "\u2010", "—")) and _ATTACHED.search(line, max(0, len(line) - 3)):
        return " " if following.split(None, 1)[0].rstrip(",;") in CONJUNCTIONS and line[-1] != "—" else ""
    return " "
