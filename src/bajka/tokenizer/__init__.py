"""Text to ids and back: byte-level BPE trained on the texts, characters, bytes, GPT-2's, or any `tokenizer.json`."""

from bajka.tokenizer.kinds import END_OF_TEXT, QWEN2, Kind
from bajka.tokenizer.stream import TextStream
from bajka.tokenizer.tokenizer import Tokenizer
from bajka.tokenizer.train import choose_vocab_size, train_tokenizer

__all__ = ["END_OF_TEXT", "QWEN2", "Kind", "TextStream", "Tokenizer", "choose_vocab_size", "train_tokenizer"]
