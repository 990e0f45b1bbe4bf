"""Every string comes back: each of the 1,112,064 characters of Unicode, alone and among others, and generated texts."""

from __future__ import annotations

import random

import pytest

from bajka.config import TokenizerSettings
from bajka.tokenizer import Tokenizer, train_tokenizer

KINDS = ("bpe", "sentencepiece-bpe", "sentencepiece-unigram", "characters", "bytes")
TEXT = "Once upon a time, a fox. 'Grožđe je kiselo!' Жила-была лиса.\n 从前有一只狐狸。  <0x41> <|endoftext|> ▁ " * 5
SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]
PARTS = [
    "fox",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "'s",
    "<",
    "<0x41>",
    "<|endoftext|>",
    "<|",
    "|>",
    "▁",
    "č",
    "e\u0301",
    "狐",
    "12",
    "👩‍👩‍👧",
    "\0",
]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Each kind that can be made from texts."""
    if request.param.startswith("sentencepiece"):
        pytest.importorskip("sentencepiece")
        pytest.importorskip("google.protobuf")
    return train_tokenizer(TokenizerSettings(tokenizer=request.param), [TEXT], vocab_size=400)


def generated(count: int, *, seed: int) -> list[str]:
    """Strings of random characters of all planes and of parts that tokenizers stumble over."""
    chance = random.Random(seed)
    return [
        "".join(
            chance.choice(PARTS) if chance.random() < 0.6 else chr(SCALARS[int(len(SCALARS) * chance.random() ** 3)])
            for _ in range(chance.randint(0, 12))
        )
        for _ in range(count)
    ]


def come_back(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Every text decodes to itself and holds no marker."""
    ids = [one.tolist() for one in tokenizer.encode_batch(texts)]
    assert tokenizer.backend.decode_batch(ids, skip_special_tokens=True) == texts
    assert not any(tokenizer.end_of_text in one for one in ids)


def test_there_are_as_many_characters_as_unicode_has_scalar_values() -> None:
    assert len(SCALARS) == 1_112_064


def test_every_character_comes_back_in_context(tokenizer: Tokenizer) -> None:
    for start in range(0, len(SCALARS), 1 << 16):
        text = "a ".join(map(chr, SCALARS[start : start + (1 << 16)]))
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_32nd_character_comes_back_alone(tokenizer: Tokenizer) -> None:
    come_back(tokenizer, [chr(one) for one in [*SCALARS[:0x800], *SCALARS[0x800::32]]])


def test_generated_texts_come_back(tokenizer: Tokenizer) -> None:
    come_back(tokenizer, generated(2_000, seed=1))


@pytest.mark.torture
def test_every_character_comes_back_alone(tokenizer: Tokenizer) -> None:
    for start in range(0, len(SCALARS), 1 << 15):
        come_back(tokenizer, [chr(one) for one in SCALARS[start : start + (1 << 15)]])


@pytest.mark.torture
def test_a_hundred_thousand_generated_texts_come_back(tokenizer: Tokenizer) -> None:
    for part in range(20):
        come_back(tokenizer, generated(5_000, seed=100 + part))
