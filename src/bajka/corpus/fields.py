"""Which field of a record, or column of a table, is the text: the one that was named, or one that plainly is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from bajka.corpus.cleaning import clean
from bajka.corpus.document import Document, UnreadableError

USUAL = ("text", "story", "plot", "content", "body", "tale", "poem", "article", "document", "summary", "lyrics")
"""Names that say "this is the text", whatever the case."""
_SAMPLE_ROWS = 200
_LONG = 80  # mean characters of a field that may be the text without a usual name
_MUCH_LONGER = 3

Word = Literal["field", "column"]


@dataclass(frozen=True, slots=True)
class Content:
    """The documents of one file, and a note on what was chosen or left out."""

    documents: list[Document]
    note: str = ""


def documents_of(
    rows: Sequence[tuple[int, Mapping[str, str]]], *, name: str, word: Word, wanted: str | None
) -> Content:
    """One document a row (its number, its fields); raises `UnreadableError` when no field is plainly the text."""
    filled = [(number, row) for number, row in rows if any(value.strip() for value in row.values())]
    if not filled:
        raise UnreadableError("it has no row with text in it")
    names = list(dict.fromkeys(key for _, row in filled for key in row))
    chosen = _named(wanted, names, word=word) if wanted else _evident(names, filled, word=word)
    documents, broken = _documents(filled, name=name, chosen=chosen)
    if not documents:
        raise UnreadableError(f'the {word} "{chosen}" is empty in every row', asks=True)
    others = ", ".join(other for other in names if other != chosen)
    note = f'text from the {word} "{chosen}"' + (f" (others: {others})" if others else "")
    lacking = len(rows) - len(documents) - broken
    note += f"; rows without text left out: {lacking:,}" if lacking else ""
    return Content(documents, note + (f"; broken rows left out: {broken:,}" if broken else ""))


def _documents(rows: Sequence[tuple[int, Mapping[str, str]]], *, name: str, chosen: str) -> tuple[list[Document], int]:
    documents, broken = [], 0
    for number, row in rows:
        if not row.get(chosen, "").strip():
            continue
        try:
            text = clean(row[chosen])
        except UnreadableError:
            broken += 1
            continue
        others = {key: value for key, value in row.items() if key != chosen}
        documents.append(Document(text, f"{name}#{number}", others))
    return documents, broken


def _named(wanted: str, names: list[str], *, word: Word) -> str:
    if wanted in names:
        return wanted
    by_case = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wanted.casefold(), list(by_case), n=1, cutoff=0.6)
    hint = f'; did you mean --{word} "{by_case[close[0]]}"?' if close else f"; choose one with --{word}"
    raise UnreadableError(f'it has no {word} "{wanted}", only {_list(names)}{hint}', asks=True)


def _evident(names: list[str], rows: Sequence[tuple[int, Mapping[str, str]]], *, word: Word) -> str:
    """The only field, one with a usual name that is not short beside the longest, or one much longer than the rest."""
    means = _mean_lengths(names, rows)
    if len(names) == 1:
        return names[0]
    longest, second = sorted(names, key=lambda name: -means[name])[:2]
    usual = [name for name in names if name.casefold() in USUAL and means[name] * _MUCH_LONGER >= means[longest] > 0]
    if usual:
        return max(usual, key=lambda name: means[name])
    if means[longest] >= max(_LONG, _MUCH_LONGER * means[second]):
        return longest
    raise UnreadableError(f"no {word} is plainly the text: choose one with --{word} ({_list(names)})", asks=True)


def _mean_lengths(names: list[str], rows: Sequence[tuple[int, Mapping[str, str]]]) -> dict[str, float]:
    sample = [row for _, row in islice(rows, _SAMPLE_ROWS)]
    return {name: sum(len(row.get(name, "").strip()) for row in sample) / len(sample) for name in names}


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
