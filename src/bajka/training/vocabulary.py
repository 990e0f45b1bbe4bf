"""The tokenizer of a new run, and the size of its vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from bajka.config import Settings
from bajka.corpus import Split, Template
from bajka.errors import SettingsError
from bajka.tokenizer import (
    TRAINED_TO_SIZE,
    Tokenizer,
    choose_vocab_size,
    gguf_note,
    shortened,
    train_tokenizer,
)

Say = Callable[[str], None]


class ChooseSize(Protocol):
    """Decides how many entries of a large trained vocabulary to keep."""

    def sizes(self, corpus_bytes: int) -> tuple[int, ...]:
        """What it chooses among, for so many bytes of text; a single size needs no choice."""

    def choose_size(self, large: Tokenizer, sizes: Sequence[int], splits: Sequence[Split]) -> tuple[int, str]:
        """One of `sizes`, and why; `large` has the most entries of them."""


_FEW_ENTRIES = 1000  # up to here a vocabulary that the text does not fill is no mistake, only smaller


def make_tokenizer(
    settings: Settings, splits: Sequence[Split], say: Say, *, choose: ChooseSize | None = None
) -> Tokenizer:
    """The tokenizer of a new run: trained on the training sides alone, or taken from where the settings say.

    The size of a vocabulary is the person's, or that of `choose`, or follows from the amount of text. Raises
    `SettingsError` for a size that the text has not enough different words for.
    """
    wanted = settings.tokenizer
    sizes = choose.sizes(_bytes(splits)) if choose and wanted.vocab_size is None and wanted.tokenizer == "bpe" else ()
    if choose is not None and len(sizes) > 1:
        large = train_tokenizer(wanted, _texts(splits), vocab_size=sizes[-1], say=say)
        size, reason = choose.choose_size(large, sizes, splits)
        tokenizer = shortened(large, size)
    else:
        size, reason = choose_vocab_size(_bytes(splits))
        if wanted.vocab_size is not None:
            size, reason = wanted.vocab_size, "you set it"
        tokenizer = train_tokenizer(wanted, _texts(splits), vocab_size=size, say=say)
    _say_tokenizer(tokenizer, settings, size, reason, say)
    if settings.corpus.template:
        template = Template.parse(settings.corpus.template)
        tokenizer = tokenizer.with_markers(template.markers, template=template.source)
    return tokenizer


def _texts(splits: Sequence[Split]) -> Iterator[str]:
    return (document.text for split in splits for document in split.train)


def _bytes(splits: Sequence[Split]) -> int:
    return sum(split.train_bytes for split in splits)


def _say_tokenizer(tokenizer: Tokenizer, settings: Settings, size: int, reason: str, say: Say) -> None:
    """What became of the vocabulary; a size that was set and is not half reached is refused."""
    made = tokenizer.vocab_size
    if settings.tokenizer.tokenizer not in TRAINED_TO_SIZE:
        say(f"Tokenizer: {settings.tokenizer.tokenizer}, {made:,} entries.")
    elif settings.tokenizer.vocab_size is not None and size > max(2 * made, _FEW_ENTRIES):
        raise SettingsError(
            f"vocab_size = {size:,}, but this text has pairs that occur twice for {made:,} entries only. Choose at most "
            f"--vocab-size {made}, or leave it out: far fewer are better for so little text."
        )
    elif made < size:
        say(f"Vocabulary: {made:,} entries; {size:,} were wanted ({reason}), the text has no more.")
    else:
        say(f"Vocabulary: {made:,} entries ({reason}).")
    if note := gguf_note(tokenizer):
        say(note)
