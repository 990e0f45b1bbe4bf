"""Fields become conditions: a template says in which order a record's fields stand, each behind its marker.

`<|title|>{title}<|genre|>{genre}<|plot|>{plot}` makes a document of three stretches of text with a control token before
each. Words outside the angle brackets are text ("Title: {title}"). A field that a record lacks goes with everything
before it back to the field before. The last field is the text itself: in a prompt it is left open for the model.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from bajka.errors import InputError, SettingsError
from bajka.formats.document import Document

_PART = re.compile(r"(<\|[^<>|\s]+\|>)|\{([^{}]+)\}")
_RESERVED = "<|endoftext|>"


class Slot(NamedTuple):
    """What stands before a field, as alternating text and markers, and the field's name ("" for what stands last)."""

    before: tuple[str, ...]
    field: str


@dataclass(frozen=True)
class Template:
    """A parsed template; `source` is how the person wrote it."""

    source: str
    slots: tuple[Slot, ...]

    @classmethod
    def parse(cls, source: str) -> Template:
        """The template that `source` describes; raises `SettingsError` when it has no field or names one twice."""
        slots, before, place = [], list[str](), 0
        for found in _PART.finditer(source):
            before += [source[place : found.start()]] if found.start() > place else []
            place = found.end()
            if found[1]:
                before.append(found[1])
            else:
                slots.append(Slot(tuple(before), found[2].strip()))
                before = []
        rest = source[place:]
        _check(source, slots, [*before, rest])
        return cls(source, (*slots, Slot((*before, rest), "")) if before or rest else tuple(slots))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in their order; the last one is the text."""
        return tuple(slot.field for slot in self.slots if slot.field)

    @property
    def markers(self) -> tuple[str, ...]:
        """The control tokens that a tokenizer must have, each once."""
        parts = (part for slot in self.slots for part in slot.before if _is_marker(part))
        return tuple(dict.fromkeys(parts))

    def fill(self, values: Mapping[str, str], *, name: str = "") -> Document:
        """The document of one record; `values` may lack fields and hold others."""
        given = [slot for slot in self.slots if not slot.field or values.get(slot.field, "").strip()]
        return self._filled(given, values, name)

    def apply(self, document: Document, clean: Callable[[str], str] = str) -> Document:
        """A record that was read (`text`, and `fields` for the other columns) in the order of the template, cleaned."""
        folded = {key.casefold(): value for key, value in document.fields.items()}
        values = {one: clean(folded.get(one.casefold(), "")).strip() for one in self.fields}
        values[self.fields[-1]] = clean(document.text)
        return replace(self.fill(values, name=document.name), fields=document.fields)

    def prompt(self, values: Mapping[str, str], beginning: str = "") -> Document:
        """What a text with these fields begins with, the last field open after `beginning`.

        Names count whatever their case. Raises `InputError` for a field that the template does not have.
        """
        known = {name.casefold(): name for name in self.fields}
        for name in values:
            if name.casefold() not in known:
                raise InputError(f"The template of this model has no field {name}. {self._hint(name)}")
        values = {known[name.casefold()]: value for name, value in values.items()}
        *others, text = [slot for slot in self.slots if slot.field]
        given = [slot for slot in others if values.get(slot.field, "").strip()]
        beginning = beginning or values.get(text.field, "")
        return self._filled([*given, text], {**values, text.field: beginning}, "")

    def _filled(self, slots: Iterable[Slot], values: Mapping[str, str], name: str) -> Document:
        text, markers = "", []
        for slot in slots:
            for part in slot.before:
                if _is_marker(part):
                    markers.append((len(text), part))
                else:
                    text += part
            text += values[slot.field] if slot.field else ""
        return Document(text, name, markers=tuple(markers))

    def _hint(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.fields, n=1, cutoff=0.5)
        return f"Did you mean {close[0]}?" if close else f"It has {', '.join(self.fields)}."


def _is_marker(part: str) -> bool:
    return _PART.fullmatch(part) is not None


def _check(source: str, slots: list[Slot], last: list[str]) -> None:
    names = [slot.field for slot in slots]
    if not names:
        example = "<|title|>{title}<|plot|>{plot}"
        raise SettingsError(f'The template "{source}" has no field. Write names of columns in braces, as "{example}".')
    if len(set(names)) < len(names):
        raise SettingsError(f'The template "{source}" names a field twice. Name each of them once.')
    if _RESERVED in "".join([*last, *(part for slot in slots for part in slot.before)]):
        raise SettingsError(
            f"The template holds {_RESERVED}, which already stands before every document: leave it out."
        )
