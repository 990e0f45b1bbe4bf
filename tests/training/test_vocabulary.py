"""A vocabulary that the text cannot fill by far is refused with what it can; a tokenizer that loses text is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tokenizers

from bajka.config import Settings
from bajka.corpus import Split, read_corpus, split_documents
from bajka.corpus.tales import write_tales
from bajka.errors import SettingsError
from bajka.settings import settings_with
from bajka.training.vocabulary import make_tokenizer


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "tales.txt"
    path.write_text("\n\n".join(write_tales(60)), encoding="utf-8")
    return path


def wished(texts: Path, vocab_size: int) -> tuple[Settings, list[Split]]:
    settings = settings_with(texts=[str(texts)], vocab_size=vocab_size)
    return settings, [split_documents(read_corpus(settings.corpus, settings.cleaning), settings.corpus)]


def test_a_vocabulary_far_larger_than_the_text_supports_names_the_largest_there_is(texts: Path) -> None:
    with pytest.raises(SettingsError, match=r"vocab_size = 100,000, but this text has pairs") as caught:
        make_tokenizer(*wished(texts, 100_000), lambda line: None)
    offered = re.search(r"--vocab-size (\d+)", str(caught.value))
    assert offered is not None
    assert make_tokenizer(*wished(texts, int(offered[1])), lambda line: None).vocab_size == int(offered[1])


def sentences_of(tokenizer: str, texts: Path) -> list[str]:
    settings = settings_with(texts=[str(texts)], tokenizer=tokenizer)
    said: list[str] = []
    make_tokenizer(
        settings, [split_documents(read_corpus(settings.corpus, settings.cleaning), settings.corpus)], said.append
    )
    return [line for line in said if "loses text" in line]


def test_a_tokenizer_that_loses_text_is_told_with_an_example(texts: Path, tmp_path: Path) -> None:
    words = {"[UNK]": 0, "<|endoftext|>": 1, "once": 2, "there": 3}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    backend.normalizer = tokenizers.normalizers.Lowercase()
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.add_special_tokens(["<|endoftext|>"])
    backend.save(str(tmp_path / "tokenizer.json"))
    (line,) = sentences_of(str(tmp_path / "tokenizer.json"), texts)
    assert "of the first 1 training documents 1 do not come back" in line
    assert "[UNK]" in line


def test_a_tokenizer_that_gives_every_text_back_is_not_complained_of(texts: Path, tmp_path: Path) -> None:
    make_tokenizer(*wished(texts, 300), lambda line: None).save(tmp_path / "bpe", context_length=32)
    assert sentences_of(str(tmp_path / "bpe"), texts) == []
