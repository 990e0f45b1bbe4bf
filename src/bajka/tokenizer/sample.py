"""The part of a large corpus that a vocabulary is learned from: whole documents, evenly spread, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from bajka.errors import TokenizerError
from bajka.tokenizer.kinds import pieces
from bajka.tokenizer.tokenizer import checked

NO_TEXT = "There is no text to make a tokenizer from: the texts are empty. Give texts with some words."
_PART = 1 << 19
"""Characters from which one document counts as several: a book collection in one file is sampled all along it."""


def sample(texts: Iterable[str], *, limit: int, say: Callable[[str], None]) -> Iterator[str]:
    """The texts that are not empty, or every second, fourth, eighth... of them: between half of `limit` and `limit` bytes.

    Which ones depends on the texts and `limit` alone. They are read once and kept as UTF-8, so memory stays near
    `limit`; documents beyond half a million characters are parted. Pair counts also stay far below 2**31, where they overflow
    in `tokenizers` (tokenizers#1170). Raises `TokenizerError` when there is no text and `InputError` for half a letter.
    """
    kept: list[bytes] = []
    stride, number, size, total = 1, 0, 0, 0
    for number, part in enumerate(_parts(texts)):
        data = part.encode("utf-8")
        total += len(data)
        if number % stride == 0:
            kept.append(data)
            size += len(data)
        while size > limit and len(kept) > 1:
            kept, stride = kept[::2], stride * 2
            size = sum(map(len, kept))
    if not kept:
        raise TokenizerError(NO_TEXT)
    if stride > 1:
        say(
            f"The vocabulary is learned from {size / 1e6:,.0f} of {total / 1e6:,.0f} MB: every {stride}th document "
            f"(more than {limit / 1e6:,.0f} MB would not change it much)."
        )
    return (data.decode("utf-8") for data in kept)


def _parts(texts: Iterable[str]) -> Iterator[str]:
    """The texts that are not empty, long ones in parts that end where words do."""
    for text in texts:
        if text:
            yield from pieces(checked(text), "bpe", size=_PART)
