"""Reading JSON lists and JSONL, however large: one record a document."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from bajka.config import CorpusSettings
from bajka.formats.decoding import Text
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.fields import (
    LONGEST_RECORD,
    Choice,
    choose,
    conditions,
    documents_of,
    is_usual,
    joined,
    named_text,
    sample_of,
    template_fields,
)
from bajka.formats.json_stream import JsonStream, Number, decoder

_ONLY = "text"  # the name of the text of records that are bare strings
_DEEPEST = 6  # records in records
_SEVERAL = 100
_NO_LIST = "it holds one JSON value and not a list of records: save one record a line"

Values = Callable[[], Iterator[tuple[int, Any]]]


def read_jsonl(text: Text, *, name: str, settings: CorpusSettings, account: Account) -> Iterator[Document]:
    """One JSON value a line, numbered by line; a file that is one list is read as such.

    Of a key that stands twice in a record the last value counts, as everywhere in JSON. Raises `UnreadableError` with
    the number of a broken line.
    """
    if JsonStream(text.chunks()).peek() == "[":
        yield from read_json(text, name=name, settings=settings, account=account)
    else:
        yield from _documents(lambda: _lines(text), name=name, settings=settings, account=account)


def read_json(text: Text, *, name: str, settings: CorpusSettings, account: Account) -> Iterator[Document]:
    """A list of records or of strings, an object whose one list they are, or one record.

    JSONL with this ending is read as such.
    """
    first = JsonStream(text.chunks()).peek()
    if first != "[" and _has_a_value_a_line(text):
        values: Values = lambda: _lines(text)
    elif first == "[":
        values = lambda: enumerate(_list(JsonStream(text.chunks())), start=1)
    elif first == "{":
        values = lambda: enumerate(_in_object(text, named_text(settings) or ""), start=1)
    else:
        JsonStream(text.chunks()).value()
        raise UnreadableError(_NO_LIST, asks=True)
    yield from _documents(values, name=name, settings=settings, account=account)


def _documents(values: Values, *, name: str, settings: CorpusSettings, account: Account) -> Iterator[Document]:
    """Choose by the first values, then read them all; fields inside others are read only where they are asked for."""
    sample = sample_of(_rows(values(), depth=_DEEPEST))
    if all(_is_text(value) for _, value in islice(values(), _SEVERAL)):
        choice, depth = Choice(_ONLY, "field"), 1
        account.notes.append("every value is one text")
    else:
        choice = choose(sample, settings, word="field", account=account)
        asked = {choice.text, *template_fields(settings)}
        depth = _DEEPEST if any("." in field for field in asked) else 1
    rows = _rows(values(), depth=depth, lists=conditions(settings))
    yield from documents_of(rows, choice, name=name, account=account)


def _rows(
    values: Iterator[tuple[int, Any]], *, depth: int, lists: frozenset[str] = frozenset()
) -> Iterator[tuple[int, dict[str, str]]]:
    seen = usable = False
    for number, value in values:
        row = {_ONLY: value} if _is_text(value) else _plain(value, depth, lists)
        seen, usable = True, usable or bool(row)
        yield number, row
    if seen and not usable:
        raise UnreadableError("its values are neither texts nor records with fields")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _plain(record: Any, depth: int, lists: frozenset[str], *, before: str = "") -> dict[str, str]:
    """The fields of a record as text, "data.text" for one inside another; without nulls, and without lists but `lists`."""
    row: dict[str, str] = {}
    for key, held in record.items() if isinstance(record, dict) else ():
        key = key.encode("utf-8", "replace").decode("utf-8")  # half a character in a name becomes a question mark
        match held:
            case bool():
                row[before + key] = "true" if held else "false"
            case str():
                row[before + key] = str(held)
            case dict() if depth > 1:
                row |= _plain(held, depth - 1, lists, before=f"{before}{key}.")
            case list() if (before + key).casefold() in lists and all(isinstance(one, str) for one in held):
                row[before + key] = joined(held)
    return row


def _lines(text: Text) -> Iterator[tuple[int, Any]]:
    """Every line that is not blank, with its number, parsed."""
    decode = decoder().decode
    for number, line in enumerate(text.lines(), start=1):
        line = line.strip("\ufeff \t\r")
        if not line:
            continue
        try:
            yield number, decode(line)
        except json.JSONDecodeError as error:
            reason = f"line {number} is not valid JSON ({error.msg} at column {error.colno}): correct or delete it"
            raise UnreadableError(reason, asks=True) from None
        except RecursionError:
            reason = f"it is not JSON that can be read (line {number} is nested too deeply)"
            raise UnreadableError(reason) from None


def _has_a_value_a_line(text: Text) -> bool:
    """Whether the first line is a whole value and not the last line."""
    held = ""
    for chunk in text.chunks():
        held = (held + chunk).lstrip("\ufeff \t\n")
        line, _, rest = held.partition("\n")
        if rest.strip():
            return _is_value(line)
        if len(held) > LONGEST_RECORD:
            break
    return False


def _is_value(line: str) -> bool:
    try:
        decoder().decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _list(stream: JsonStream) -> Iterator[Any]:
    yield from stream.items()
    stream.end()


def _in_object(text: Text, named: str) -> Iterator[Any]:
    """What is in the one list of records or texts of an object; one without a list, but with a text, is a record itself.

    `named` is the field that a person named as the text. Raises `UnreadableError` for several lists, and for neither.
    """
    stream = JsonStream(text.chunks())
    found: list[str] = []
    texts: list[str] = []
    holds_named = False
    for key in stream.keys():
        if stream.peek() != "[":
            texts += [key] if _is_text(stream.value()) and is_usual(key) else []
            holds_named = holds_named or key.casefold() == named.casefold().partition(".")[0]
            continue
        for place, item in enumerate(stream.items()):
            if place == 0 and (isinstance(item, dict) or _is_text(item)):
                found.append(key)
            if len(found) > 1:
                raise UnreadableError(f"it holds several lists ({', '.join(found)}): save one record a line", asks=True)
            if key in found:
                yield item
    stream.end()
    if found and texts:
        reason = f"it may be one record ({texts[0]}) or the list in it ({found[0]}): save one record a line"
        raise UnreadableError(reason, asks=True)
    if texts or (holds_named and not found):
        yield JsonStream(text.chunks()).value()
    elif not found:
        raise UnreadableError(_NO_LIST, asks=True)
