"""Documents that stand in held-out ids too, found without their texts: for ids that were given or prepared earlier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bajka.tokens.store import TokenSet


def without_held_out(tokens: TokenSet, held_out: Sequence[TokenSet]) -> tuple[TokenSet, int]:
    """`tokens` without the documents whose ids equal those of a document in `held_out`, and how many these are.

    Without such a document the set itself comes back. Else its ids are copied into memory, and `content`, `bytes` and
    `letters` are those of the whole set times the share of tokens that stay.
    """
    known = {content for one in held_out for _, content in _contents(one, np.arange(len(one.starts)))}
    like = np.unique(np.concatenate([_marks(one) for one in held_out])) if held_out else np.zeros(0, dtype=np.uint64)
    likely = np.flatnonzero(np.isin(_marks(tokens), like))
    leaks = [number for number, content in _contents(tokens, likely) if content and content in known]
    return (_without(tokens, np.array(leaks)), len(leaks)) if leaks else (tokens, 0)


def _contents(tokens: TokenSet, numbers: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """These documents' ids without end-of-text, as bytes."""
    ends = _ends(tokens)
    for number in numbers.tolist():
        yield number, tokens.ids[int(tokens.starts[number]) + 1 : int(ends[number])].astype("<u4").tobytes()


def _marks(tokens: TokenSet) -> NDArray[np.uint64]:
    """A cheap hash of each document (its length and three of its ids), equal for equal documents."""
    starts, ends = tokens.starts.astype(np.int64), _ends(tokens)
    places = (np.minimum(starts + 1, ends - 1), (starts + ends) // 2, ends - 1)
    marks = (ends - starts).astype(np.uint64)
    for place in places:
        marks = marks * np.uint64(0x9E3779B97F4A7C15) + tokens.ids[place].astype(np.uint64)
    return marks


def _ends(tokens: TokenSet) -> NDArray[np.int64]:
    return np.append(tokens.starts[1:], len(tokens)).astype(np.int64)[: len(tokens.starts)]


def _without(tokens: TokenSet, numbers: NDArray[np.int64]) -> TokenSet:
    lengths = _ends(tokens) - tokens.starts.astype(np.int64)
    stays = np.ones(len(lengths), dtype=bool)
    stays[numbers] = False
    ids = np.asarray(tokens.ids[int(tokens.starts[0]) :])[np.repeat(stays, lengths)]
    starts = (np.cumsum(lengths[stays]) - lengths[stays]).astype(np.uint64)
    share = len(ids) / max(1, len(tokens))
    counts = {name: round(share * getattr(tokens, name)) for name in ("content", "bytes", "letters")}
    return replace(tokens, ids=ids, starts=starts, **counts)
