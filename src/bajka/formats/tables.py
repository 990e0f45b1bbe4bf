"""Reading CSV as the world writes it: any usual delimiter, quoted newlines, rows of only commas, no header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bajka.config import CorpusSettings
from bajka.formats.decoding import Text
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.fields import BROKEN, LONGEST_RECORD, choose, documents_of, is_usual, sample_of

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NO_DELIMITER = "\uffff"  # no character of any text, for a table of one column: commas in it stay
_SAMPLE_LINES = 1_000
_SAMPLE_CHARACTERS = 1_000_000
_CONSISTENT = 0.8
_LONGEST_NAME = 80
_TOO_MANY = "rows with too many values left out"

Quotes = Literal["usual", "after spaces", "none"]
"""Where a quote begins a value: at its first character, also after spaces, or nowhere."""
Record = list[str] | None
"""The values of one row, None for one whose quotes are broken."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a table is written; without `header` its first row is data."""

    delimiter: str
    quotes: Quotes
    names: tuple[str, ...]
    header: bool


def read_csv(text: Text, *, name: str, settings: CorpusSettings, account: Account) -> Iterator[Document]:
    """One row a document, the first row naming the columns; rows are numbered from the first one after the names.

    Rows with broken quotes or too many values are left out and counted. Raises `UnreadableError` when no column is
    plainly the text, when most rows have too many values, or when a quote has no partner.
    """
    form = find_form(text)
    choice = choose(sample_of(_rows(text, form, Account())), settings, word="column", account=account)
    if form.delimiter not in (",", _NO_DELIMITER):
        account.notes.append(f"values between {_DELIMITERS[form.delimiter]}")
    if not form.header:
        account.notes.append("its first row is no row of names, so it is data too")
    yield from documents_of(_rows(text, form, account), choice, name=name, account=account)


def find_form(text: Text) -> Form:
    """The form under which most rows of the beginning have as many values as the first row, and more than one.

    Quotes are the usual ones unless rows with tabs, or most rows, break under that. When nothing fits the table has
    one column.
    """
    lines, cut = _beginning(text)
    if not lines:
        raise UnreadableError("it has no row with text in it")
    kinds: tuple[Quotes, ...] = ("usual", "after spaces", "none")
    options = [(delimiter, quotes) for quotes in kinds for delimiter in _DELIMITERS]
    parsed = {option: _parsed(lines, *option, cut=cut) for option in options}

    def fit(option: tuple[str, Quotes]) -> float:
        free = option[1] == "usual" or (option == ("\t", "none") and None in parsed["\t", "usual"])
        return _fit(parsed[option]) - (0 if free else 1 - _CONSISTENT)

    best = max(options, key=fit)
    rows = parsed[best]
    if _fit(rows) == 0 or (_fit(rows) < _CONSISTENT and not _are_names(rows[0] or [])):
        usual = _parsed(lines, _NO_DELIMITER, "usual", cut=cut)
        best = (_NO_DELIMITER, "none" if None in usual else "usual")
        rows = _parsed(lines, *best, cut=cut)
    first = (rows[0] if rows else None) or [""]
    header = _are_names(first) if len(first) > 1 else _is_name(first[0], [row[0] for row in rows[1:] if row])
    return Form(*best, names=_names(first if header else [""] * len(first)), header=header)


def _beginning(text: Text) -> tuple[list[str], bool]:
    """The first lines from one that is more than delimiters, and whether more follow."""
    lines: list[str] = []
    characters = 0
    for line in _lines(text):
        if len(lines) == _SAMPLE_LINES or characters > _SAMPLE_CHARACTERS:
            return lines, True
        if lines or line.strip("".join(_DELIMITERS) + " \n"):
            lines.append(line)
            characters += len(line)
    return lines, False


def _lines(text: Text) -> Iterator[str]:
    """Every line with its newline, without the line in which Excel names the delimiter."""
    for place, line in enumerate(text.lines()):
        if place or not re.fullmatch("sep=.", line):
            yield line + "\n"


def _parsed(lines: list[str], delimiter: str, quotes: Quotes, *, cut: bool) -> list[Record]:
    """The rows of the beginning that are not empty; one that is cut with it counts for nothing."""
    parsed: list[Record] = []
    try:
        for row in _records(iter(lines), delimiter=delimiter, quotes=quotes):
            if row is None or any(row):
                parsed.append(row)
    except UnreadableError:
        parsed += [] if cut else [None]
    return parsed


def _records(lines: Iterator[str], *, delimiter: str, quotes: Quotes) -> Iterator[Record]:
    quoting: Literal[0, 3] = csv.QUOTE_NONE if quotes == "none" else csv.QUOTE_MINIMAL
    spaces = quotes == "after spaces"
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, skipinitialspace=spaces, strict=True)
    while True:
        begin = reader.line_num + 1
        before = csv.field_size_limit(LONGEST_RECORD)  # 131,072 characters; it is global, so it is put back each time
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if str(error).startswith(("unexpected end", "field larger")):
                reason = f"a value that begins in line {begin} never ends: close its quote or delete the row"
                raise UnreadableError(reason, asks=True) from None
            yield None
        else:
            yield row
        finally:
            csv.field_size_limit(before)


def _rows(text: Text, form: Form, account: Account) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows that fit the names, numbered; the lines of a broken row after its broken one are skipped with it."""
    records = _records(_lines(text), delimiter=form.delimiter, quotes=form.quotes)
    if form.header:
        next(row for row in records if row is None or any(row))
    fitting, left_out, after_broken = 0, Counter[str](), False
    for number, row in enumerate(records, start=1):
        if row is not None and len(row) > len(form.names):
            row = _without_empty_end(row)
        if row is None:
            left_out[BROKEN], after_broken = left_out[BROKEN] + 1, True
        elif len(row) > len(form.names):
            left_out[_TOO_MANY] += 1
        elif len(row) == len(form.names) or not after_broken:
            fitting, after_broken = fitting + any(row), False
            yield number, dict(zip(form.names, row, strict=False))
    account.left_out.update(left_out)
    _refuse_mostly_broken(left_out, fitting)


def _refuse_mostly_broken(left_out: Counter[str], fitting: int) -> None:
    if left_out[BROKEN] > fitting:
        advice = "write a quote inside a quoted value twice"
        raise UnreadableError(f"the quotes in {left_out[BROKEN]:,} of its rows are broken: {advice}")
    if left_out[_TOO_MANY] > fitting:
        advice = "put quotes around values that hold the delimiter"
        many = left_out[_TOO_MANY]
        raise UnreadableError(f"{many:,} of its rows have more values than its first row has names: {advice}")


def _fit(rows: list[Record]) -> float:
    """The share of rows that have more than one value and at most as many as the first."""
    if not rows or rows[0] is None or len(rows[0]) < 2:
        return 0.0
    width = len(rows[0])
    return sum(row is not None and len(row) > 1 and len(_without_empty_end(row)) <= width for row in rows) / len(rows)


def _names(titles: list[str]) -> tuple[str, ...]:
    """A name for every column, each only once."""
    names: list[str] = []
    for place, title in enumerate(titles, start=1):
        name = title.strip() or f"column {place}"
        names.append(f"{name} ({place})" if name in names else name)
    return tuple(names)


def _are_names(row: list[str]) -> bool:
    return any(row) and not any(map(_is_sentence, row))


def _is_name(first: str, others: list[str]) -> bool:
    """Whether the first value of a single column names it: it is usual for that, or no sentence and not like others."""
    if is_usual(first):
        return True
    like_others = len(first.split()) > 2 and sum(map(len, others)) <= 3 * len(first) * len(others)
    return bool(others) and not (_is_sentence(first) or like_others)


def _is_sentence(value: str) -> bool:
    """Whether this is text and no name of a column."""
    if len(value) > _LONGEST_NAME or "\n" in value or re.search("[。！？]", value):
        return True
    words = len(value.split())
    return words > 12 or (words > 3 and value.rstrip("\"'»”’) ").endswith((".", "!", "…")))


def _without_empty_end(row: list[str]) -> list[str]:
    end = len(row)
    while end and not row[end - 1]:
        end -= 1
    return row[:end]
