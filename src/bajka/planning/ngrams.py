"""How predictable a text is, before anything learns from it: held-out cross entropies of n-grams of its token ids.

What counting gives in a second is where a small network stands after its first minutes, so these numbers carry what
`expectation` must know of a text: its language, its variety, and what a larger vocabulary costs when there is little text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORDERS = 5
"""Up to five tokens in a row: with a small vocabulary that is a word or two."""

COUNTED = 1_000_000
"""Tokens that are counted at most: about a second of work."""

PASSAGE, PASSAGE_BYTES = 24, 60
"""Tokens in a row, of so many bytes at least, that stand in the training text too: a passage that was copied, as a verse in two
editions or an old joke. Counting knows it by heart, a small network does not."""

MOSTLY = 0.9
"""Share of copied passages from which on none is left out: a text that is the same again and again stays what it is."""

_LEAST_DISCOUNT = 0.01  # where nothing occurs once, so that nothing is impossible


@dataclass(frozen=True)
class _Level:
    """The different n-grams of one order, by rank. `keys` are rank of the history x vocabulary + last id, ascending.

    `counts`: how often each occurs; `before`: after how many different ids each occurs.
    """

    keys: NDArray[np.int64]
    counts: NDArray[np.int64]
    before: NDArray[np.int64]


def ngram_losses(
    train: NDArray, held_out: NDArray, vocab_size: int, *, leave_out: NDArray[np.bool_] | None = None
) -> tuple[float, ...]:
    """Nats a token of `held_out` under n-grams counted in `train`, of orders 1 to `ORDERS` (both: ids, in one dimension).

    Where `leave_out` (as long as `held_out`) is true a token is not counted, unless nothing would be left.

    Interpolated with absolute discounts by Kneser and Ney (ICASSP 1995, "Improved backing-off for M-gram language
    modeling"): the highest order counts how often, those below it after how many different ids an n-gram occurs; below
    unigrams all ids are equally likely.
    """
    levels = _levels(train.astype(np.int64), vocab_size)
    ranks = _ranks(held_out.astype(np.int64), vocab_size, levels)
    places = np.arange(ORDERS - 1, len(held_out))
    if leave_out is not None and not leave_out[places].all():
        places = places[~leave_out[places]]
    return tuple(_loss(levels[:order], ranks, places, vocab_size) for order in range(1, ORDERS + 1))


def foretold(
    train: NDArray, held_out: NDArray, vocab_size: int, bytes_per_token: float, *, sizes: Sequence[int]
) -> tuple[list[tuple[float, ...]], float]:
    """`ngram_losses` of `held_out` for samples of `train` of so many tokens each, passages that stand in `train` left out; and
    the share of these."""
    known = copied(train, held_out, length=max(PASSAGE, round(PASSAGE_BYTES / bytes_per_token)))
    leave_out = known if known.mean() < MOSTLY else None
    losses = [ngram_losses(sample_of(train, size), held_out, vocab_size, leave_out=leave_out) for size in sizes]
    return losses, float(known.mean())


def copied(train: NDArray, held_out: NDArray, *, length: int = PASSAGE) -> NDArray[np.bool_]:
    """Which ids of `held_out` are in a row of at least `length` that stands in `train` too (as long as `held_out`)."""
    found = np.zeros(len(held_out) + 1, dtype=np.int64)
    if min(len(train), len(held_out)) < length:
        return found[:-1] > 0
    wanted, there = _hashes(held_out, length), _hashes(train, length)
    table = np.zeros(1 << 20, dtype=bool)  # by their first 20 bits most rows of `train` are none of those of `held_out`
    table[wanted >> np.uint64(44)] = True
    begins = np.flatnonzero(np.isin(wanted, there[table[there >> np.uint64(44)]]))
    np.add.at(found, begins, 1)
    np.add.at(found, begins + length, -1)
    return np.cumsum(found[:-1]) > 0


def _hashes(ids: NDArray, length: int) -> NDArray[np.uint64]:
    """A number of 64 bits for each row of `length` ids: a polynomial in Knuth's multiplier (MMIX), made from those of half the
    length."""
    factor = 6364136223846793005
    found, size = ids.astype(np.uint64) + np.uint64(1), 1
    single = found
    for bit in bin(length)[3:]:  # it overflows, which is meant
        found = found[: len(found) - size] * np.uint64(pow(factor, size, 1 << 64)) + found[size:]
        size *= 2
        if bit == "1":
            found = found[:-1] * np.uint64(factor) + single[size:]
            size += 1
    return found


def _levels(ids: NDArray[np.int64], vocab_size: int) -> list[_Level]:
    """The n-grams of every order; those that a short text has none of are empty."""
    found: list[_Level] = []
    history, below = np.zeros(len(ids), dtype=np.int64), ids[:0]
    for order in range(1, ORDERS + 1):
        keys, first, ranks, counts = np.unique(
            history * vocab_size + ids, return_index=True, return_inverse=True, return_counts=True
        )
        if order > 1:  # `below[1:][first]`: the n-gram of the order below that each of these different ones ends with
            before = np.bincount(below[1:][first], minlength=len(found[-1].keys))
            found[-1] = _Level(found[-1].keys, found[-1].counts, before)
        found.append(_Level(keys, counts, counts))
        below, history, ids = ranks, ranks[:-1], ids[1:]
    return found


def _ranks(ids: NDArray[np.int64], vocab_size: int, levels: list[_Level]) -> list[NDArray[np.int64]]:
    """Of every order from 0 on, the rank of the n-gram that ends at each place of `ids`; -1 where it was never counted."""
    found = [np.zeros(len(ids), dtype=np.int64)]
    for level in levels:
        history = found[0] if len(found) == 1 else np.concatenate(([-1], found[-1][:-1]))
        keys = np.where(history >= 0, history * vocab_size + ids, -1)
        at = np.minimum(np.searchsorted(level.keys, keys), max(0, len(level.keys) - 1))
        known = (level.keys[at] == keys) if len(level.keys) else np.zeros(len(ids), dtype=bool)
        found.append(np.where(known, at, -1))
    return found


def _loss(levels: list[_Level], ranks: list[NDArray[np.int64]], places: NDArray[np.int64], vocab_size: int) -> float:
    """Nats a token at these `places` when the last of `levels` is the highest order."""
    p = np.full(len(places), 1.0 / vocab_size)
    for order, level in enumerate(levels, start=1):
        counts = level.counts if order == len(levels) else level.before
        if not len(counts):
            continue
        once, twice = (int(np.count_nonzero(counts == times)) for times in (1, 2))
        discount = max(once / max(once + 2 * twice, 1), _LEAST_DISCOUNT)
        histories = level.keys // vocab_size
        totals = np.bincount(histories, weights=counts)
        kinds = np.bincount(histories, weights=counts > 0)
        gram, history = ranks[order][places], ranks[order - 1][places - 1]
        known = (history >= 0) & (history < len(totals))
        history = np.where(known, history, 0)
        total = np.where(known, totals[history], 0.0)
        kept = np.maximum(np.where(gram >= 0, counts[gram], 0) - discount, 0.0)
        p = np.where(total > 0, (kept + discount * kinds[history] * p) / np.maximum(total, 1.0), p)
    return float(-np.log(p).mean())


def sample_of(ids: NDArray, most: int, *, parts: int = 64) -> NDArray:
    """At most `most` ids of a stream: all, or that many in equal parts spread over it."""
    if len(ids) <= most:
        return np.asarray(ids)
    parts = max(1, min(parts, most))
    begins = np.linspace(0, len(ids) - most // parts, parts).astype(np.int64)
    return np.concatenate([np.asarray(ids[begin : begin + most // parts]) for begin in begins])
