"""The size of a vocabulary: what the text cannot fill by far is refused with what it can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
