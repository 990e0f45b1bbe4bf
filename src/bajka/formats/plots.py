"""Reading the plots of the CMU Movie Summary Corpus: number TAB plot a line, titles and genres in a file beside it.

Format: README.txt of http://www.cs.cmu.edu/~ark/personas/data/MovieSummaries.tar.gz (Bamman, O'Connor, Smith, 2013).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bajka.formats.decoding import Text
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.fields import Choice, documents_of

METADATA = "movie.metadata.tsv"
"""Nine columns: number, Freebase id, title, release date, box office, runtime, and as JSON objects of id and name:
languages, countries, genres."""
_LINE = re.compile(r"(\d+)\t(.*)")
_NO_PLOT = 'rows that are not "number TAB plot" left out'


def read_plots(text: Text, *, name: str, account: Account, metadata: bytes | None) -> Iterator[Document]:
    """One plot a line; `Document.fields` are title, year, genre, country and language as `metadata` (`METADATA`) says.

    Raises `UnreadableError` when no line is a number and a plot.
    """
    films = {line.split(b"\t", 1)[0].decode("ascii", "replace"): line for line in (metadata or b"").splitlines()}
    account.text_field = "plot"
    if films:
        account.notes.append(f"titles, years, genres, countries and languages from {METADATA}")
    else:
        account.notes.append(f"put {METADATA} beside it for titles, years, genres, countries and languages")
    yield from documents_of(_rows(text, films, account), Choice("plot", "column"), name=name, account=account)


def _rows(text: Text, films: dict[str, bytes], account: Account) -> Iterator[tuple[int, dict[str, str]]]:
    found = False
    for number, line in enumerate(text.lines(), start=1):
        if match := _LINE.fullmatch(line):
            found = True
            yield number, _fields(films.get(match[1], b"")) | {"plot": match[2]}
        elif line.strip():
            account.left_out[_NO_PLOT] += 1
    if not found:
        raise UnreadableError("it has no line with a number, a tab and a plot")


def _fields(line: bytes) -> dict[str, str]:
    """What is known of a film; nothing of one whose line is damaged."""
    try:
        columns = line.decode("utf-8").rstrip("\r\n").split("\t")
        _, _, title, released, _, _, languages, countries, genres = columns
    except ValueError:
        return {}
    year = re.match(r"\d{4}", released)
    fields = {
        "title": title,
        "year": year[0] if year else "",
        "genre": _joined(genres),
        "country": _joined(countries),
        "language": _joined(languages),
    }
    return {key: value for key, value in fields.items() if value}


def _joined(names: str) -> str:
    try:
        held = json.loads(names)
    except (ValueError, RecursionError):
        return ""
    return ", ".join(map(str, held.values())) if isinstance(held, dict) else ""
