"""What a text begins with, as ids: a person's words, and before them the fields that the model was trained to read."""

from __future__ import annotations

from collections.abc import Mapping

from bajka.corpus import Template
from bajka.errors import InputError
from bajka.tokenizer import Tokenizer


def prompt_ids(tokenizer: Tokenizer, beginning: str = "", fields: Mapping[str, str] | None = None) -> list[int]:
    """Ids that end where the model goes on after `beginning`; never empty.

    A model trained with a template reads `fields` (title, genre, ...) in the order of the template, each after its
    marker, then the marker of the text itself. Raises `InputError` for a field that the model does not know.
    """
    if tokenizer.template:
        document = Template.parse(tokenizer.template).prompt(fields or {}, beginning)
        return [tokenizer.end_of_text, *(int(one) for one in tokenizer.encode_document(document))]
    if fields:
        raise InputError(
            f"This model was trained without a template, so it knows no field {', '.join(fields)}. Leave --field out, or "
            'train with --template "<|title|>{title}<|text|>{text}".'
        )
    return tokenizer.encode_prompt(beginning) or [tokenizer.end_of_text]


def parse_fields(wishes: tuple[str, ...]) -> dict[str, str]:
    """`("title=The Iron Fox", "genre=horror")` as a dictionary; raises `InputError` for a bad form."""
    fields = {}
    for wish in wishes:
        name, equals, value = wish.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise InputError(
                f'--field "{wish}" is not of the form NAME=VALUE. Write it like --field title="The Iron Fox".'
            )
        fields[name.strip()] = value.strip()
    return fields
