"""Leaks between corpora: what one holds out must not be learned from another (inside one, `split` sees to it)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bajka.config import CleaningSettings
from bajka.corpus.document import bytes_of, text_key
from bajka.corpus.near import SKETCH_SIZE, near_duplicate_groups, sketches
from bajka.corpus.selection import Selection
from bajka.corpus.split import Split
from bajka.formats import Document
from bajka.progress import Progress, silent

_AT_ONCE = 8_000_000  # characters that are sketched at once


def without_held_out(
    splits: Sequence[Split],
    also: Sequence[Sequence[Document]],
    cleaning: CleaningSettings,
    *,
    progress: Progress = silent,
) -> list[Split]:
    """The splits without the training documents that equal, or nearly equal, a held-out one of any of them or of `also`.

    Near-duplicates are looked for where `cleaning.near_duplicates` is on, by the rules of one corpus (near.py).
    """
    held_out = [side for split in splits for side in (split.validation, split.test)] + list(also)
    everything = _Joined([*held_out, *(split.train for split in splits)])
    count = sum(map(len, held_out))
    leaks = _equal(everything, count)
    if cleaning.near_duplicates:
        leaks |= _nearly_equal(everything, count, cleaning.near_duplicate_similarity, progress)
    found, begin = [], count
    for split in splits:
        found.append(_without(split, np.flatnonzero(leaks[begin : begin + len(split.train)])))
        begin += len(split.train)
    return found


class _Joined:
    """Several sequences of documents as one."""

    def __init__(self, parts: Sequence[Sequence[Document]]) -> None:
        self.parts = parts
        self.ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def text(self, number: int) -> str:
        part = int(np.searchsorted(self.ends, number, side="right"))
        return self.parts[part][number - int(self.ends[part]) + len(self.parts[part])].text

    def texts(self) -> Iterator[str]:
        return (document.text for document in chain.from_iterable(self.parts))


def _equal(everything: _Joined, held_out: int) -> NDArray[np.bool_]:
    """Which documents equal one of the first `held_out` but for white space; texts without any letter never do."""
    keys = np.array([text_key(text) if text.strip() else "" for text in everything.texts()], dtype="S32")
    return np.asarray(np.isin(keys, keys[:held_out]) & (keys != b""))


def _nearly_equal(everything: _Joined, held_out: int, similarity: float, progress: Progress) -> NDArray[np.bool_]:
    """Which documents are in a group with one of the first `held_out`."""
    found = near_duplicate_groups(_sketches(everything), everything.text, similarity=similarity, progress=progress)
    return np.isin(found, found[:held_out])


def _sketches(everything: _Joined) -> NDArray[np.uint32]:
    parts, waiting, size = [np.zeros((0, SKETCH_SIZE), dtype=np.uint32)], list[str](), 0
    for text in everything.texts():
        waiting.append(text)
        size += len(text)
        if size >= _AT_ONCE:
            parts.append(sketches(waiting))
            waiting, size = [], 0
    return np.concatenate([*parts, sketches(waiting)])


def _without(split: Split, numbers: NDArray[np.int64]) -> Split:
    """The split without these documents of its training side."""
    if not len(numbers):
        return split
    stays = np.delete(np.arange(len(split.train)), numbers)
    sizes = split.sizes
    if sizes is not None:
        sizes = (sizes[0] - bytes_of([split.train[number] for number in numbers.tolist()]), *sizes[1:])
    return replace(split, train=Selection(split.train, stays), sizes=sizes)
