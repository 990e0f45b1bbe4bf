"""Training SentencePiece on the texts, so that every string comes back and nothing is left out silently.

The library skips lines of more than 4,192 bytes, loses newlines, tabs and runs of spaces, and takes some characters for
its own signs. So it gets the identity as normalization, no space before a line, bytes for what has no piece, and lines
cut at what it cannot learn: newlines, tabs, rare characters, its own signs; long lines are cut at a space.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from bajka.errors import MissingExtraError, TokenizerError
from bajka.tokenizer.kinds import END_OF_TEXT

ModelType = Literal["bpe", "unigram"]

_SIGNS = "\0\t\n\r\u2581\u2585"
"""What SentencePiece does not learn or reads as its own: it skips whole lines with U+2585, and U+2581 is its space."""
_LINE = re.compile(r".{1,3000}(?![^ ])|.{1,3000}", re.DOTALL)
"""The next part of a long line, up to a space if there is one."""
_SCORES_PER_NAT = 1024
_FIXED = 257
"""Entries that are always there: end-of-text and the bytes."""
_LEAST = 264


def train_sentencepiece(texts: Iterable[str], kind: ModelType, *, vocab_size: int, say: Callable[[str], None]) -> bytes:
    """A SentencePiece `.model` with at most `vocab_size` pieces: end-of-text is 0, the bytes 1 to 256.

    Fewer pieces when the texts give no more. Nothing depends on the machine. Unigram scores are rounded to 1/1024 nat:
    sums of them are exact in float32 and float64, so that SentencePiece, `tokenizers` and others decide ties alike.
    Raises `TokenizerError` (`vocab_size` is too small, no text that can be learned from), `MissingExtraError`.
    """
    if vocab_size < _LEAST:
        raise TokenizerError(
            f"vocab_size is {vocab_size}, but a SentencePiece vocabulary needs {_FIXED} entries for end-of-text and "
            f"the bytes, and some for letters. Set it to {_LEAST} or more, or choose bytes."
        )
    proto()
    texts = list(texts)  # two looks at them: which characters, then the lines
    letters = _letters(texts, room=vocab_size - _FIXED, say=say)
    model = _train(_lines(texts, letters), kind, vocab_size=vocab_size)
    return _rounded(model) if kind == "unigram" else model


def proto() -> Any:
    """What a `.model` file consists of, as protobuf's classes; `MissingExtraError` without the two libraries."""
    try:
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as error:
        raise MissingExtraError("A SentencePiece tokenizer", extra="sentencepiece") from error
    return sentencepiece_model_pb2


def _train(lines: Iterator[str], kind: ModelType, *, vocab_size: int) -> bytes:
    """What SentencePiece's trainer writes; its assertions become a sentence."""
    from sentencepiece import SentencePieceTrainer

    found = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=found,
            model_type=kind,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,
            character_coverage=1.0,  # rare characters were cut out before
            max_sentence_length=1 << 16,
            unk_id=0,  # bytes stand for what is unknown, so the place is free
            unk_piece=END_OF_TEXT,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=4,  # the sums of unigram training depend on it, so it is the same everywhere
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise TokenizerError(
            f"SentencePiece cannot learn {vocab_size:,} pieces from these texts. Choose a smaller vocab_size, or bpe."
        ) from error
    return found.getvalue()


def _letters(texts: list[str], *, room: int, say: Callable[[str], None]) -> set[str]:
    """The characters that get a piece: all of a small alphabet, else the most frequent ones that are 99.95 % of the text.

    Never more than three quarters of the vocabulary. The others are written as bytes.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    for sign in _SIGNS:
        counts.pop(sign, None)
    frequent = sorted(counts, key=lambda letter: (-counts[letter], letter))
    if len(frequent) <= room // 4:
        return set(frequent)
    wanted, seen, kept = 0.9995 * counts.total(), 0, set[str]()
    for letter in frequent[: room * 3 // 4]:
        if seen >= wanted:
            break
        kept.add(letter)
        seen += counts[letter]
    share = 1 - seen / counts.total()
    say(
        f"{len(frequent) - len(kept):,} of {len(frequent):,} characters ({share:.2%} of the text) are written as bytes."
    )
    return kept


def _lines(texts: list[str], letters: set[str]) -> Iterator[str]:
    """Lines of at most 3,000 characters that hold nothing but `letters`; one line at least, for the trainer."""
    others = re.compile(f"[^{re.escape(''.join(sorted(letters)))}]+") if letters else re.compile(r"(?s).+")
    found = False
    for text in texts:
        for line in others.split(text):
            for part in _LINE.findall(line):
                found = True
                yield part
    if not found:
        raise TokenizerError(
            "The texts hold nothing that SentencePiece could learn from (only newlines, tabs or control characters). "
            "Give texts with some words, or choose bytes."
        )


def _rounded(model: bytes) -> bytes:
    """The model with scores in steps of 1/1024 nat."""
    parsed = proto().ModelProto.FromString(model)
    for piece in parsed.pieces:
        piece.score = round(piece.score * _SCORES_PER_NAT) / _SCORES_PER_NAT
    return bytes(parsed.SerializeToString())
