"""Reading JSON lists and JSONL: one record a document."""

from __future__ import annotations

import json
from typing import Any

from bajka.corpus.document import UnreadableError
from bajka.corpus.fields import Content, documents_of

ONLY = "text"
"""The name given to the text of records that are bare strings."""


def read_jsonl(text: str, *, name: str, field: str | None) -> Content:
    """One JSON value a line; raises `UnreadableError` with the number of a broken line."""
    if text.lstrip().startswith("["):
        return read_json(text, name=name, field=field)
    return _content(_lines(text), name=name, field=field)


def read_json(text: str, *, name: str, field: str | None) -> Content:
    """A list of records or strings (or an object whose one list they are); a JSONL with this ending is read as such."""
    try:
        value = _parse(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise UnreadableError(f"line {error.lineno} is not valid JSON ({error.msg})", asks=True) from None
        return _content(_lines(text), name=name, field=field)
    if isinstance(value, dict):
        lists = [held for held in value.values() if isinstance(held, list)]
        value = lists[0] if len(lists) == 1 else value
    if not isinstance(value, list):
        raise UnreadableError("it holds one JSON value and not a list of records: save one record a line", asks=True)
    return _content(list(enumerate(value, start=1)), name=name, field=field)


def _lines(text: str) -> list[tuple[int, Any]]:
    """Every line that is not blank, with its number, parsed."""
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append((number, _parse(line)))
            except json.JSONDecodeError as error:
                reason = f"line {number} is not valid JSON ({error.msg} at column {error.colno}): correct or delete it"
                raise UnreadableError(reason, asks=True) from None
    return values


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except (RecursionError, ValueError) as error:
        raise UnreadableError(f"it is not JSON that can be read ({error})") from None


def _content(values: list[tuple[int, Any]], *, name: str, field: str | None) -> Content:
    rows = [(number, _row(value)) for number, value in values]
    if rows and not any(row for _, row in rows):
        raise UnreadableError("its values are neither texts nor records with fields")
    if all(isinstance(value, str) for _, value in values):
        field = None
    return documents_of(rows, name=name, word="field", wanted=field)


def _row(value: Any) -> dict[str, str]:
    """The plain fields of a record as text; nested values and nulls are left out."""
    if isinstance(value, str):
        return {ONLY: value}
    if not isinstance(value, dict):
        return {}
    return {key: str(held) for key, held in value.items() if isinstance(held, str | int | float)}
