"""The tokenizer of a new run, and the size of its vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from bajka.characters import count_characters
from bajka.cleaning.changes import excerpts
from bajka.config import Settings
from bajka.corpus import Split, Template
from bajka.errors import SettingsError
from bajka.tokenizer import TRAINED_TO_SIZE, Tokenizer, choose_vocab_size, gguf_note, train_tokenizer

Say = Callable[[str], None]


_COUNTED = 20_000_000  # characters of the training texts that tell which are often used
_TRIED, _TRIED_CHARACTERS = 20, 3_000  # documents, and of each, that show whether a tokenizer loses text
_SHOWN = 60
_FEW_ENTRIES = 1000  # up to here a vocabulary that the text does not fill is no mistake, only smaller


def make_tokenizer(settings: Settings, splits: Sequence[Split], say: Say) -> Tokenizer:
    """The tokenizer of a new run: trained on the training sides alone, or taken from where the settings say.

    The size of a vocabulary is the person's, or follows from the amount of text and its characters. Raises `SettingsError`
    for a size that the text has not enough different words for.
    """
    wanted = settings.tokenizer
    size, reason = wanted.vocab_size or 0, "you set it"
    if wanted.vocab_size is None:
        characters = count_characters(_beginning(_texts(splits)))
        size, reason = choose_vocab_size(sum(split.train_bytes for split in splits), characters)
    tokenizer = train_tokenizer(wanted, _texts(splits), vocab_size=size, say=say)
    _say_tokenizer(tokenizer, settings, size, reason, say)
    if settings.tokenizer.tokenizer not in (*TRAINED_TO_SIZE, "characters", "bytes"):
        _say_losses(tokenizer, _texts(splits), say)
    if settings.corpus.template:
        template = Template.parse(settings.corpus.template)
        tokenizer = tokenizer.with_markers(template.markers, template=template.source)
    return tokenizer


def _texts(splits: Sequence[Split]) -> Iterator[str]:
    return (document.text for split in splits for document in split.train)


def _beginning(texts: Iterable[str]) -> Iterator[str]:
    """Texts until `_COUNTED` characters have gone by."""
    left = _COUNTED
    for text in texts:
        yield text[:left]
        left -= len(text)
        if left <= 0:
            return


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


def _say_losses(tokenizer: Tokenizer, texts: Iterable[str], say: Say) -> None:
    """Try a tokenizer that others made: one that loses capitals or words makes a text easier, and its numbers too good."""
    tried = [text[:_TRIED_CHARACTERS] for text in islice(texts, _TRIED)]
    pairs = [(text, tokenizer.decode(tokenizer.encode(text))) for text in tried]
    changed = [excerpts(before, after) for before, after in pairs if before != after]
    if changed:
        before, after = (" ".join(part[:_SHOWN].split()) for part in changed[0])
        say(
            f"This tokenizer loses text: of the first {len(tried):,} training documents {len(changed):,} do not come back "
            f'as they were ("{before}" as "{after}"). Bits per byte come out too good: compare them with no other '
            "tokenizer's."
        )
