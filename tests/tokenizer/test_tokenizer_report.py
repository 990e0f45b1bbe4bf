"""The figures of a tokenizer on texts, counted by hand where that is possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from bajka.config import TokenizerSettings
from bajka.errors import TokenizerError
from bajka.tokenizer import Tokenizer, train_tokenizer
from bajka.tokenizer.report import gguf_note, tokenizer_report

TEXTS = ["Bila jednom lisica.\n", "", "Жила лиса. 狐狸"]


def made(name: str, texts: list[str] = TEXTS) -> Tokenizer:
    if name.startswith("sentencepiece"):
        pytest.importorskip("sentencepiece")
    return train_tokenizer(TokenizerSettings(tokenizer=name), texts, vocab_size=300)


def test_the_figures_of_bytes_are_those_of_the_text() -> None:
    report = tokenizer_report(made("bytes"), TEXTS)
    size, letters = len("".join(TEXTS).encode()), 16 + 8 + 2
    assert (report.documents, report.bytes, report.letters, report.words) == (2, size, letters, 6)
    assert (report.figures.tokens, report.figures.bytes_per_token) == (size, 1.0)
    assert report.figures.letters_per_token == letters / size
    assert report.figures.tokens_per_word == size / 6
    assert report.figures.used == len(set("".join(TEXTS).encode()))
    assert report.figures.used + report.figures.unused == 256


@pytest.mark.parametrize("name", ["bpe", "sentencepiece-bpe", "sentencepiece-unigram", "characters", "bytes"])
def test_every_script_has_its_figures(name: str) -> None:
    figures = tokenizer_report(made(name), TEXTS).figures
    assert [(one.script, one.letters) for one in figures.scripts] == [("Latin", 16), ("Cyrillic", 8), ("Han", 2)]
    assert all(one.letters_per_token > 0 for one in figures.scripts)
    assert figures.changed == 0
    assert figures.vocab_size - 1 == figures.used + figures.unused


def test_a_letter_in_three_bytes_is_a_third_of_a_letter_a_token() -> None:
    han = tokenizer_report(made("bytes"), TEXTS).figures.scripts[2]
    assert (han.letters_per_token, han.bytes_per_token) == (1 / 3, 1.0)
    han = tokenizer_report(made("characters"), TEXTS).figures.scripts[2]
    assert (han.letters_per_token, han.bytes_per_token) == (1.0, 3.0)


def test_the_other_tokenizer_is_measured_on_the_same_text(gpt2_like: Path) -> None:
    report = tokenizer_report(made("characters"), TEXTS, against=Tokenizer.load(gpt2_like))
    assert report.against is not None
    assert report.against.tokens == len(Tokenizer.load(gpt2_like).encode("".join(TEXTS)))
    assert tokenizer_report(made("bytes"), TEXTS).against is None


def test_the_longest_entries_are_shown_as_text() -> None:
    text = "Grožđe je kiselo. " * 50
    assert tokenizer_report(made("bpe", [text]), [text]).longest[0] in {" Grožđe", " kiselo"}


def test_words_are_not_counted_where_spaces_do_not_separate_them() -> None:
    text = "从前有一只狐狸它想吃葡萄可是够不着于是说葡萄是酸的然后走了再也没有回来" * 3
    assert tokenizer_report(made("characters", [text]), [text]).figures.tokens_per_word is None


def test_only_so_much_text_is_looked_at() -> None:
    report = tokenizer_report(made("characters"), ["狐" * 100] * 100, limit=1000)
    assert (report.documents, report.bytes) == (4, 999)


def test_no_text_is_a_sentence() -> None:
    with pytest.raises(TokenizerError, match="There is no text to try the tokenizer on"):
        tokenizer_report(made("bytes"), ["", ""])


def test_what_gguf_loses_is_said(gpt2_like: Path) -> None:
    assert [gguf_note(made(name)) for name in ("bpe", "sentencepiece-bpe", "characters", "bytes")] == [None] * 4
    assert "unigram tokenizer does not survive GGUF" in str(gguf_note(made("sentencepiece-unigram")))
    assert '"Quoi ?"' in str(gguf_note(Tokenizer.load(gpt2_like)))
