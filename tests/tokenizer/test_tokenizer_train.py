"""Making a tokenizer from texts: sizes, refusals, golden ids."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import tokenizers
from tokenizers import Regex, models, pre_tokenizers, trainers

from bajka.config import TokenizerSettings
from bajka.errors import InputError, TokenizerError
from bajka.tokenizer import (
    END_OF_TEXT,
    QWEN2,
    Tokenizer,
    choose_vocab_size,
    train_tokenizer,
)
from bajka.tokenizer.sample import sample


def train(name: str, texts: list[str], *, vocab_size: int = 300) -> Tokenizer:
    return train_tokenizer(TokenizerSettings(tokenizer=name), texts, vocab_size=vocab_size)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("bpe", [258, 261, 1, 128, 103]),
        ("characters", [265, 262, 260, 258, 261, 263, 266, 34, 196, 170]),
        ("bytes", [117, 105, 102, 33, 103, 112, 121, 34, 196, 170]),
    ],
)
def test_golden_ids(name: str, ids: list[int]) -> None:
    tokenizer = train(name, ["the fox, the fox, the other fox\n"], vocab_size=263)
    assert tokenizer.end_of_text == 0
    assert tokenizer.encode("the fox!é") == ids


def test_the_vocabulary_has_the_size_asked_for(texts: list[str]) -> None:
    assert train("bpe", texts, vocab_size=320).vocab_size == 320


@pytest.mark.parametrize("text", ["a", "abcdefg", "no pair twice", "the fox, the fox"])
def test_a_vocabulary_larger_than_the_text_can_give_is_lowered(text: str) -> None:
    assert 257 <= train("bpe", [text], vocab_size=64_000).vocab_size < 270


def test_characters_have_one_id_each_beside_the_bytes() -> None:
    assert train("characters", ["abač"]).vocab_size == 1 + 256 + 3
    assert train("bytes", []).vocab_size == 257


@pytest.mark.parametrize("name", ["bpe", "characters"])
@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_no_text_is_refused(name: str, texts: list[str]) -> None:
    with pytest.raises(TokenizerError, match="There is no text to make a tokenizer from"):
        train(name, texts)


@pytest.mark.parametrize("name", ["bpe", "characters"])
def test_half_a_character_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="half a character"):
        train(name, ["fox", "\udc80"])


def test_a_line_without_spaces_trains_in_linear_time() -> None:
    start = time.perf_counter()
    tokenizer = train("bpe", ["a" * 500_000])  # quadratic: two minutes
    assert time.perf_counter() - start < 10
    assert len(tokenizer.encode("a" * 512)) == 2


def test_the_same_texts_give_the_same_tokenizer(texts: list[str]) -> None:
    assert train("bpe", texts).fingerprint == train("bpe", texts).fingerprint
    assert train("bpe", texts).fingerprint != train("bpe", texts, vocab_size=301).fingerprint


def test_an_imported_tokenizer_begins_prompts_with_end_of_text(gpt2_like: Path) -> None:
    tokenizer = train(str(gpt2_like), [])
    assert tokenizer.encode_prompt("fox")[0] == tokenizer.end_of_text


def test_more_text_asks_for_a_larger_vocabulary_in_multiples_of_64() -> None:
    sizes = [choose_vocab_size(10**power)[0] for power in range(3, 11)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (320, 16_384)
    assert all(size % 64 == 0 for size in sizes)
    assert choose_vocab_size(1_100_000) == (
        640,
        "1.1 MB of text: enough to see each of 640 entries often, and a small head is fast",
    )


def test_bpe_learns_the_merges_of_plain_tokenizers(texts: list[str]) -> None:
    plain = tokenizers.Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    plain.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), to_bytes])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, min_frequency=2, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    plain.train_from_iterator(texts, trainer)
    assert train("bpe", texts, vocab_size=400).backend.get_vocab() == plain.get_vocab()


def test_a_large_corpus_is_sampled_evenly_and_that_is_said() -> None:
    said: list[str] = []
    texts = [f"{number:04d}" * 250 for number in range(1000)]  # 1,000 bytes each
    kept = list(sample(iter(["", *texts]), limit=300_000, say=said.append))
    assert kept == texts[::4]
    assert said[0].startswith("The vocabulary is learned from 0 of 1 MB: every 4th document")


def test_a_small_corpus_is_used_whole_and_nothing_is_said() -> None:
    said: list[str] = []
    assert list(sample(["a", "", "č"], limit=3, say=said.append)) == ["a", "č"]
    assert said == []


def test_one_long_document_is_sampled_all_along_it() -> None:
    text = "fox \n" * 1_000_000
    kept = list(sample([text], limit=2_000_000, say=lambda line: None))
    assert len(kept) > 2
    assert 1_000_000 <= sum(map(len, kept)) <= 2_000_000


@pytest.mark.parametrize("text", [" " * 1_000_000, "字" * 500_000, "\n" * 1_000_000], ids=["spaces", "han", "newlines"])
def test_runs_without_a_border_train_quickly(text: str) -> None:
    start = time.perf_counter()
    tokenizer = train("bpe", [text], vocab_size=300)
    assert time.perf_counter() - start < 10
    assert tokenizer.decode(tokenizer.encode(text[:10_000])) == text[:10_000]


def test_characters_that_occur_often_have_an_entry_each() -> None:
    often, seldom, ascii = (dict.fromkeys(map(chr, codes), count) for codes, count in SOME)
    plain = choose_vocab_size(2_000_000)[0]
    assert choose_vocab_size(2_000_000, often | seldom | ascii)[0] == plain + 1024


SOME = ((range(0x4E00, 0x4E00 + 1024), 100), (range(0x6000, 0x6800), 3), (range(32, 127), 10_000))
