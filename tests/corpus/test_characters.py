"""Counting letters fast gives what Python's `isalpha` gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bajka.corpus.characters import count_letters

SURROGATES = range(0xD800, 0xE000)


def test_every_character_is_a_letter_or_not_as_python_says() -> None:
    for start in range(0, 0x110000, 0x1000):
        text = "".join(chr(code) for code in range(start, start + 0x1000) if code not in SURROGATES)
        assert count_letters(text) == sum(map(str.isalpha, text))


@given(st.text())
def test_letters_of_a_text(text: str) -> None:
    assert count_letters(text) == sum(map(str.isalpha, text))
