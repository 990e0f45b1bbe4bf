"""Making a tokenizer: trained on the texts, built from their characters or from bytes, or taken from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers, trainers

from bajka.config import TokenizerSettings
from bajka.errors import TokenizerError
from bajka.tokenizer.kinds import END_OF_TEXT, QWEN2, pieces
from bajka.tokenizer.sample import NO_TEXT, sample
from bajka.tokenizer.sentencepiece import ModelType, train_sentencepiece
from bajka.tokenizer.sentencepiece_file import convert
from bajka.tokenizer.tokenizer import Tokenizer, checked, id_of, start_with

TRAINED_TO_SIZE = ("bpe", "sentencepiece-bpe", "sentencepiece-unigram")
"""The names in the settings for which `vocab_size` is read."""

_BPE_BYTES = 200_000_000
"""Text that byte pair encoding learns from: `tokenizers` reads some 5 MB/s, and more hardly changes the merges."""
_SENTENCEPIECE_BYTES = 50_000_000
"""Text that SentencePiece learns from: it keeps all of it in memory, unigram with some 20 bytes a character."""

_BOUNDED_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}{1,256}|\p{N}| ?[^\s\p{L}\p{N}]{1,256}[\r\n]{0,256}"
    r"|\s{0,256}[\r\n]{1,256}|\s{1,256}(?!\S)|\s{1,256}"
)
"""The same words, but those of more than 256 characters in parts: merging inside them takes quadratic time, and a line
of a million spaces is too much for the regular expression."""

_MERGES, _GROWTH = 400, 0.7
"""Merges for a million bytes of text, and the power of the amount that they grow with: between what was best for 0.15, 1.1 and
10 MB (docs/experiments.md, "How large a vocabulary"); beyond that a first rule."""
_SMALLEST, _LARGEST = 320, 16_384
_OFTEN = 16
"""A character that occurs so often is worth an entry of its own: a first rule, which matters for Chinese and Japanese."""


def choose_vocab_size(corpus_bytes: int, characters: Mapping[str, int] | None = None) -> tuple[int, str]:
    """Entries of a vocabulary to train for so many UTF-8 bytes of text, and the reason as half a sentence.

    `characters` says how often each occurs: those beyond ASCII that occur often have an entry each, as each byte has.
    """
    amount = f"{corpus_bytes / 1e6:,.1f} MB" if corpus_bytes >= 100_000 else f"{corpus_bytes:,} bytes"
    often = sum(ord(letter) > 127 and count >= _OFTEN for letter, count in (characters or {}).items())
    wanted = 257 + often + _MERGES * (corpus_bytes / 1e6) ** _GROWTH
    size = int(min(max(wanted // 64 * 64, _SMALLEST), _LARGEST))
    return size, f"{amount} of text: enough to see each of {size:,} entries often, and a small head is fast"


def train_tokenizer(
    settings: TokenizerSettings,
    texts: Iterable[str],
    *,
    vocab_size: int,
    say: Callable[[str], None] = lambda line: None,
) -> Tokenizer:
    """The tokenizer that `settings` names, whose prompts begin with exactly one end-of-text.

    `texts` are read once. "bpe" and the two of SentencePiece read `vocab_size`, and get fewer entries when the texts
    have no more pairs that occur twice: the result's `vocab_size` is the real one. `say` gets a sentence when only a
    part of the text was used. Raises `TokenizerError` when there is no text to train on, `MissingExtraError`, and what
    `Tokenizer.load` raises.
    """
    match settings.tokenizer:
        case "bpe":
            return _train_bpe(sample(texts, limit=_BPE_BYTES, say=say), vocab_size=vocab_size)
        case "sentencepiece-bpe":
            return _train_sentencepiece(texts, "bpe", vocab_size=vocab_size, say=say)
        case "sentencepiece-unigram":
            return _train_sentencepiece(texts, "unigram", vocab_size=vocab_size, say=say)
        case "characters":
            return _from_characters(texts)
        case "bytes":
            return _from_bytes()
        case place:
            return Tokenizer.load(place).with_start()


def _train_bpe(texts: Iterable[str], *, vocab_size: int) -> Tokenizer:
    """Byte-level byte pair encoding: every string has ids, and they decode to the same string."""
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_BOUNDED_QWEN2), "isolated"), to_bytes])
    backend.train_from_iterator((piece for text in texts for piece in pieces(text, "bpe")), trainer)
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), to_bytes])
    backend.decoder = decoders.ByteLevel()
    return _finished(backend)


def _train_sentencepiece(
    texts: Iterable[str], kind: ModelType, *, vocab_size: int, say: Callable[[str], None]
) -> Tokenizer:
    """SentencePiece's pieces with bytes for the rest: lossless too, and equal to its own ids line by line."""
    some = sample(texts, limit=_SENTENCEPIECE_BYTES, say=say)
    return _finished(convert(train_sentencepiece(some, kind, vocab_size=vocab_size, say=say)))


def _from_characters(texts: Iterable[str]) -> Tokenizer:
    """One id for each character of the texts, and for each byte, in which other characters are written."""
    letters: set[str] = set()
    for text in _some(texts):
        letters.update(text)
    tokens = [END_OF_TEXT, *(f"<0x{byte:02X}>" for byte in range(256)), *sorted(letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return _finished(backend)


def _from_bytes() -> Tokenizer:
    """One id for each byte of UTF-8: byte b is id b + 1."""
    tokens = [END_OF_TEXT, *_byte_letters()]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return _finished(backend)


def _byte_letters() -> Iterator[str]:
    """The visible character that stands for byte 0, 1, ... 255 in GPT-2's byte-level form (its `bytes_to_unicode`)."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    replacement = 0x100
    for byte in range(256):
        if byte in visible:
            yield chr(byte)
        else:
            yield chr(replacement)
            replacement += 1


def _finished(backend: tokenizers.Tokenizer) -> Tokenizer:
    backend.post_processor = start_with(END_OF_TEXT, id_of(backend, END_OF_TEXT))
    return Tokenizer(backend)


def _some(texts: Iterable[str]) -> Iterator[str]:
    """The texts that are not empty; `TokenizerError` at the end when there was none."""
    found = False
    for text in texts:
        if text:
            found = True
            yield checked(text)
    if not found:
        raise TokenizerError(NO_TEXT)
