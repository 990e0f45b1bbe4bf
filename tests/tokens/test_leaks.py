"""Documents that stand in held-out ids are left out of training, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.tokens import TokenSet
from bajka.tokens.leaks import without_held_out
from bajka.tokens.store import token_set
from tiny import byte_tokenizer

TEXTS = st.lists(st.text("ab", max_size=4), min_size=1, max_size=12)


def tokens(texts: list[str]) -> TokenSet:
    return token_set(texts, byte_tokenizer())


def texts_of(some: TokenSet) -> list[str]:
    ends = [*some.starts[1:].tolist(), len(some)][: len(some.starts)]
    return [byte_tokenizer().decode(some.ids[a:b]) for a, b in zip(some.starts.tolist(), ends, strict=True)]


@settings(deadline=None, max_examples=80)
@given(train=TEXTS, held_out=TEXTS)
def test_exactly_the_documents_that_are_held_out_go(train: list[str], held_out: list[str]) -> None:
    found, dropped = without_held_out(tokens(train), [tokens(held_out), tokens(["x"])])
    expected = [text for text in train if not text or text not in held_out]
    assert texts_of(found) == expected
    assert dropped == len(train) - len(expected)


def test_the_set_itself_comes_back_when_nothing_leaks() -> None:
    train = tokens(["one", "two"])
    assert without_held_out(train, [tokens(["three"])]) == (train, 0)
    assert without_held_out(train, []) == (train, 0)


def test_counts_shrink_with_the_tokens() -> None:
    found, _ = without_held_out(tokens(["aaaa", "bbbb"]), [tokens(["bbbb"])])
    assert (found.content, found.bytes, found.letters) == (4, 4, 4)
    assert found.bytes_per_token == pytest.approx(1.0)
