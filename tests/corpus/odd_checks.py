"""What is asked of odd texts, whoever made them: a corpus that holds together, or a sentence for a person."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from odd_texts import Odd

from bajka.config import CleaningSettings, CorpusSettings, TokenizerSettings
from bajka.corpus import Corpus, read_corpus, split_documents
from bajka.errors import CorpusError, SettingsError
from bajka.tokenizer import train_tokenizer

LONGEST_SENTENCE, MOST_LINES = 1_500, 6
NOT_FOR_PEOPLE = re.compile(r"Traceback|Error\b|Exception|<[\w. ]+ object at|\(None\)|errno|0x[0-9a-f]{8}")


def make(odd: Odd, folder: Path) -> tuple[str, ...]:
    """Make the files; what to give to the reader."""
    folder.mkdir()
    if callable(odd.files):
        odd.files(folder)
        return (str(folder),)
    for name, content in odd.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return odd.given or (str(folder / next(iter(odd.files))) if len(odd.files) == 1 else str(folder),)


def read(texts: tuple[str, ...], wishes: dict[str, Any]) -> Corpus:
    """The corpus; wishes of either section. A wrong setting is what the command line makes of it."""
    cleaning = {name: value for name, value in wishes.items() if name in CleaningSettings.model_fields}
    others = {name: value for name, value in wishes.items() if name not in cleaning}
    try:
        sections = CorpusSettings(texts=texts, **others), CleaningSettings(**cleaning)
    except ValueError as error:
        raise SettingsError(re.sub(r"Error|For further.*", "", str(error)).strip()) from error
    return read_corpus(*sections)


def check_sentence(sentence: str) -> None:
    """A person can read it."""
    assert not NOT_FOR_PEOPLE.search(sentence), sentence
    assert len(sentence) <= LONGEST_SENTENCE
    assert sentence.count("\n") < MOST_LINES
    sentence.encode("utf-8")


def check_works(corpus: Corpus) -> None:
    """The parts of the split are the whole, and a tokenizer gives every text back."""
    texts = [document.text for document in corpus.documents]
    tokenizer = train_tokenizer(TokenizerSettings(tokenizer="bytes"), [], vocab_size=0)
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert tokenizer.decode(ids.tolist()) == text
        assert tokenizer.end_of_text not in ids
    with suppress(CorpusError):
        split = split_documents(corpus, CorpusSettings())
        held = sum(len(document.text) for side in (split.train, split.validation) for document in side)
        assert held == sum(map(len, texts)) or split.left_out
