"""Text to ids and back: byte-level BPE or SentencePiece trained on the texts, characters, bytes, GPT-2's, any other's."""

from bajka.tokenizer.kinds import END_OF_TEXT, QWEN2, Kind
from bajka.tokenizer.report import TokenizerFigures, TokenizerReport, gguf_note, tokenizer_report
from bajka.tokenizer.stream import TextStream
from bajka.tokenizer.tokenizer import Tokenizer
from bajka.tokenizer.train import (
    TRAINED_TO_SIZE,
    choose_vocab_size,
    train_tokenizer,
)

__all__ = [
    "END_OF_TEXT",
    "QWEN2",
    "TRAINED_TO_SIZE",
    "Kind",
    "TextStream",
    "Tokenizer",
    "TokenizerFigures",
    "TokenizerReport",
    "choose_vocab_size",
    "gguf_note",
    "tokenizer_report",
    "train_tokenizer",
]
