"""Counting bytes and letters fast gives what Python gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bajka.characters import count_text


@given(st.text(st.characters(codec="utf-8")))
def test_bytes_and_letters_are_those_of_python(text: str) -> None:
    assert count_text(text) == (len(text.encode()), sum(map(str.isalpha, text)))


def test_bytes_and_letters_of_every_character() -> None:
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert count_text(text) == (len(text.encode()), sum(map(str.isalpha, text)))
