"""Fast ways to encode: the ids of `tokenizers`, on everything that we can think of and on what hypothesis does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.config import TokenizerSettings
from bajka.tokenizer import Tokenizer, train_tokenizer
from bajka.tokenizer.fast import GOLDEN, WordTable, choose, plain_encode, with_gigatoken

SOME = [
    "fox",
    "Fox's",
    "'LL",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\u3000",
    "12",
    "½",
    "!",
    "“",
    "е\u0301",
    "лиса",
    "狐",
    "🦊",
    "𝔸",
    "\x1c\x1d\x1e",  # what stands between texts that gigatoken is given together
    "\x1c",
    "\x1d\x1e",
]
MARKERS = ["<|endoftext|>", "<|title|>", "<|endo", "<0x41>", "Ġ"]
YOUNG = ["\u088f", "\u0c5c", "\ua7ce", "\U00010940", "\U000323b0", "\U0001fae9"]  # added to Unicode in 2024 and later
any_text = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from([*SOME, *MARKERS, *YOUNG, *GOLDEN])), max_size=15
).map("".join)
quick = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="session")
def bpe(texts: list[str]) -> Tokenizer:
    return train_tokenizer(TokenizerSettings(), [*texts, *GOLDEN], vocab_size=900)


@pytest.fixture(scope="session")
def gpt2(gpt2_like: Path) -> Tokenizer:
    return Tokenizer.load(gpt2_like)


def plain(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [ids.tolist() for ids in plain_encode(tokenizer.backend, texts)]


def fastest(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [ids.tolist() for ids in tokenizer._fast[1](texts)]


@quick
@given(texts=st.lists(any_text, max_size=4))
def test_the_fastest_way_gives_the_same_ids(tokenizer: Tokenizer, texts: list[str]) -> None:
    assert fastest(tokenizer, texts) == plain(tokenizer, texts)


@quick
@given(texts=st.lists(any_text, max_size=4))
def test_the_table_of_words_gives_the_same_ids(bpe: Tokenizer, gpt2: Tokenizer, texts: list[str]) -> None:
    for one in (bpe, gpt2):
        table = WordTable(lambda pieces, one=one: plain_encode(one.backend, pieces))
        table(["a fox, and a fox's! лиса " * 20])
        for _ in range(2):  # new units, then known ones
            assert [ids.tolist() for ids in table(texts * 4)] == plain(one, texts * 4)


@quick
@given(texts=st.lists(any_text, max_size=4))
def test_gigatoken_gives_the_same_ids(bpe: Tokenizer, gpt2: Tokenizer, texts: list[str]) -> None:
    pytest.importorskip("gigatoken")
    for one in (bpe, gpt2):
        assert one.way == "gigatoken"
        assert fastest(one, texts) == plain(one, texts)


def test_every_character_is_encoded_alike_among_letters_and_signs(bpe: Tokenizer) -> None:
    characters = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000 and not 0x4E00 < code < 0x9F00]
    rows = ["".join(characters[start : start + 64]) for start in range(0, len(characters), 64)]
    lines = ["\n".join(f"'{one}'s a{one}! {one}a" for one in row) for row in rows]
    assert all(map(np.array_equal, bpe._fast[1](lines), plain_encode(bpe.backend, lines)))


def test_long_words_and_runs_are_encoded_alike_and_soon(bpe: Tokenizer) -> None:
    texts = [one * 100_000 for one in ("a", " ", "字", "!", "7", "\n", " \n", "é", "ab", "🦊")]
    assert all(map(np.array_equal, bpe._fast[1](texts), plain_encode(bpe.backend, texts)))


def test_each_kind_has_its_way(tokenizer: Tokenizer) -> None:
    assert tokenizer.way == ("numpy" if tokenizer.kind in ("characters", "bytes") else _best())
    assert choose({}, "other", list)[0] == "tokenizers"


def _best() -> str:
    try:
        import gigatoken  # noqa: F401
    except ImportError:
        return "words"
    return "gigatoken"


def test_without_gigatoken_the_table_of_words_is_used_and_the_doctor_hears_why() -> None:
    code = """
import sys
sys.modules["gigatoken"] = None
from bajka.config import TokenizerSettings
from bajka.tokenizer import train_tokenizer
from bajka.tokenizer.fast import examine_gigatoken
print(train_tokenizer(TokenizerSettings(), ["a fox " * 9], vocab_size=300).way, examine_gigatoken())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "words gigatoken is not installed"


def test_gigatoken_says_nothing_and_loads_no_large_library() -> None:
    pytest.importorskip("gigatoken")
    code = """
import sys
from bajka.tokenizer.fast import examine_gigatoken
assert examine_gigatoken() == "", examine_gigatoken()
print([name for name in ("awkward", "typer", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_encoder_that_differs_is_not_believed(bpe: Tokenizer) -> None:
    pytest.importorskip("gigatoken")
    other = {**bpe._description(), "model": {**bpe._description()["model"], "merges": []}}
    found = with_gigatoken(other, lambda pieces: plain_encode(bpe.backend, pieces))
    assert found == "gigatoken gives other ids"


def test_what_gigatoken_cannot_read_is_a_clause(bpe: Tokenizer) -> None:
    pytest.importorskip("gigatoken")
    other = {**bpe._description(), "model": {"type": "WordPiece", "vocab": {}}}
    assert str(with_gigatoken(other, list)).startswith("gigatoken cannot read it")


def test_a_short_text_does_not_wake_the_fast_way(texts: list[str], bpe: Tokenizer) -> None:
    fresh = Tokenizer(bpe._copy())
    fresh.encode_batch(texts)
    assert "_fast" not in vars(fresh)
    fresh.encode_batch(texts * 3000)
    assert "_fast" in vars(fresh)
