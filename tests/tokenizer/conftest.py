"""The tokenizers that the tests of this room share, made from a few lines of text."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from bajka.config import TokenizerSettings
from bajka.tokenizer import Tokenizer, train_tokenizer

TEXTS = [
    "Once upon a time there was a fox. The fox said: “I can't reach the grapes!” And the fox's heart was sore.\n\n" * 3,
    "Bila jednom jedna lisica. Lisica reče: »Grožđe je kiselo!«\nЖила-была лиса, 12 лет.\r\n" * 3,
]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return TEXTS


@pytest.fixture(scope="session", params=["bpe", "characters", "bytes"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Each kind of our own."""
    return train_tokenizer(TokenizerSettings(tokenizer=request.param), TEXTS, vocab_size=400)


@pytest.fixture(scope="session")
def gpt2_like(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like GPT-2's on the hub: end-of-text is the last id, nothing stands before a text, no configuration."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(TEXTS, trainer)
    backend.add_special_tokens(["<|endoftext|>"])
    backend.enable_truncation(5)
    backend.enable_padding(length=9)
    folder = tmp_path_factory.mktemp("gpt2-like")
    backend.save(str(folder / "tokenizer.json"))
    return folder
