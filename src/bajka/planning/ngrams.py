"""How predictable a text is, before anything learns from it: held-out cross entropies of n-grams of its token ids.

What counting gives in a second is where a small network stands after its first minutes, so these numbers carry what
`expectation` must know of a text: its language, its variety, and what a larger vocabulary costs when there is little text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ORDERS = 3
"""Unigrams, bigrams and trigrams."""


def ngram_losses(train: NDArray, held_out: NDArray, vocab_size: int) -> tuple[float, ...]:
    """Nats a token of `held_out` under n-grams counted in `train`, orders 1 to 3 (both: ids, in one dimension).

    Interpolated with Witten and Bell's weights, which have no parameter: p(w|h) = (c(hw) + t(h) p(w|h')) / (c(h) + t(h)),
    where t(h) counts the different words seen after h and h' is h without its oldest word; below unigrams all words are
    equally likely (IEEE Trans. Information Theory 37(4), 1991, "The zero-frequency problem").
    """
    train, held_out = train.astype(np.int64), held_out.astype(np.int64)
    places = np.arange(ORDERS - 1, len(held_out))  # the same targets for every order
    p = np.full(len(places), 1.0 / vocab_size)
    found = []
    for order in range(1, ORDERS + 1):
        p = _interpolated(train, held_out, places, p, vocab_size, order)
        found.append(float(-np.log(p).mean()))
    return tuple(found)


def _interpolated(
    train: NDArray, held_out: NDArray, places: NDArray, lower: NDArray, vocab_size: int, order: int
) -> NDArray:
    """Probabilities of the targets at `places` under n-grams of `order`, above those of the order below."""
    grams, counts = np.unique(_keys(train, np.arange(order - 1, len(train)), vocab_size, order), return_counts=True)
    wanted = _keys(held_out, places, vocab_size, order)
    histories, kinds = np.unique(grams // vocab_size, return_counts=True)
    totals = np.add.reduceat(counts, np.searchsorted(grams // vocab_size, histories)) if len(grams) else counts
    seen = _look_up(wanted, grams, counts)
    total = _look_up(wanted // vocab_size, histories, totals)
    after = _look_up(wanted // vocab_size, histories, kinds)
    return np.where(total > 0, (seen + after * lower) / np.maximum(total + after, 1), lower)


def _keys(ids: NDArray, places: NDArray, vocab_size: int, order: int) -> NDArray:
    """One number for each n-gram that ends at `places`: its ids as digits, the oldest first."""
    keys = np.zeros(len(places), dtype=np.int64)
    for back in range(order - 1, -1, -1):
        keys = keys * vocab_size + ids[places - back]
    return keys


def _look_up(wanted: NDArray, keys: NDArray, values: NDArray) -> NDArray:
    """The values of `wanted` keys, 0 for those that are not among the sorted `keys`."""
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def sample_of(ids: NDArray, most: int, *, parts: int = 64) -> NDArray:
    """At most `most` ids of a stream: all, or that many in equal parts spread over it."""
    if len(ids) <= most:
        return np.asarray(ids)
    begins = np.linspace(0, len(ids) - most // parts, parts).astype(np.int64)
    return np.concatenate([np.asarray(ids[begin : begin + most // parts]) for begin in begins])
