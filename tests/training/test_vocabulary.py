"""The size of a vocabulary: what the text cannot fill by far is refused with what it can."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bajka.config import Settings
from bajka.corpus import Split, read_corpus, split_documents
from bajka.corpus.tales import write_tales
from bajka.errors import SettingsError
from bajka.settings import settings_with
from bajka.tokenizer import Tokenizer
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


def test_a_chooser_is_asked_only_when_no_size_was_set(texts: Path) -> None:
    asked: list[int] = []

    class Chooser:
        def sizes(self, corpus_bytes: int) -> tuple[int, ...]:
            return (400, 600)

        def choose_size(self, large: Tokenizer, sizes: Sequence[int], splits: Sequence[Split]) -> tuple[int, str]:
            asked.append(large.vocab_size)
            return 400, "it was chosen"

    choose = Chooser()
    settings, splits = wished(texts, 300)
    assert make_tokenizer(settings, splits, lambda line: None, choose=choose).vocab_size == 300
    assert not asked
    said: list[str] = []
    assert make_tokenizer(settings_with(texts=[str(texts)]), splits, said.append, choose=choose).vocab_size == 400
    assert said[0] == "Vocabulary: 400 entries (it was chosen)."
    assert asked == [600]
