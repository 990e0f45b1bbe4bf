"""Several corpora as one stream of windows, each with its share: a pure function of (data, seed, position), as `Batches`.

Shares are whole ten-thousandths, so the corpora take turns in a fixed cycle of at most ten thousand windows. Within it
they are laid out evenly: after any number of windows each corpus has its share of them to within one window. That is
Pfair scheduling on one processor (Baruah, Cohen, Plaxton, Varvel 1996): a corpus may not run ahead of its share, and
among those that are behind the one with the earliest deadline is next. Which window of its corpus a window is, is
counted in the cycle; each corpus walks its own epochs in its own order.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bajka.tokens.batches import IGNORED, Batch, Batches

PARTS = 10_000
"""Shares are counted in so many parts."""

Ids = NDArray[np.int64]


class Mixture:
    """The training windows of several corpora; the first is the main one, which gets what the others leave.

    `shares` are those of the others (their sum is below 1, each at least 1 / `PARTS`).
    """

    def __init__(self, main: Batches, others: Sequence[Batches], shares: Sequence[float]) -> None:
        assert len(others) == len(shares) > 0, "a mixture has at least two corpora, and each further one a share"
        assert all(one.context_length == main.context_length for one in others), "windows of several lengths"
        self.corpora = (main, *others)
        self.context_length = main.context_length
        self.weights = weights_of(shares)
        self._turns = turns(self.weights)
        own = self._turns[:, None] == np.arange(len(self.corpora))  # (cycle, corpora)
        self._before = (np.cumsum(own, axis=0) - own)[np.arange(len(own)), self._turns]
        self._in_cycle = own.sum(axis=0)

    @property
    def windows_per_epoch(self) -> int:
        """Windows of the mixture after which every token of the main corpus was seen: an epoch is one reading of it."""
        return math.ceil(self.corpora[0].windows_per_epoch * PARTS / self.weights[0])

    @property
    def readings(self) -> tuple[float, ...]:
        """How often each corpus is read in an epoch; the main one once."""
        windows = np.array([one.windows_per_epoch for one in self.corpora])
        return tuple((self.windows_per_epoch * np.array(self.weights) / PARTS / windows).tolist())

    def batch(self, position: int, size: int) -> Batch:
        """The windows number `position` to `position + size`."""
        which, number = self.places(position, size)
        inputs = np.zeros((size, self.context_length), dtype=np.int64)
        targets = np.full_like(inputs, IGNORED)
        for index, corpus in enumerate(self.corpora):
            rows = np.flatnonzero(which == index)
            if len(rows):  # windows of one corpus follow each other without a gap
                some = corpus.batch(int(number[rows[0]]), len(rows))
                inputs[rows], targets[rows] = some.inputs, some.targets
        return Batch(inputs, targets)

    def places(self, position: int, size: int) -> tuple[Ids, Ids]:
        """For each of these windows its corpus, and which window of that corpus it is; both of shape (size,)."""
        cycle, turn = np.divmod(np.arange(position, position + size), len(self._turns))
        which = self._turns[turn]
        return which, cycle * self._in_cycle[which] + self._before[turn]


def weights_of(shares: Sequence[float]) -> tuple[int, ...]:
    """Parts of `PARTS` for the main corpus and for those with these shares."""
    others = [max(1, round(PARTS * share)) for share in shares]
    main = PARTS - sum(others)
    assert main > 0, "nothing is left for the main corpus"
    return (main, *others)


def turns(weights: Sequence[int]) -> Ids:
    """Which corpus each window of one cycle comes from; after n windows corpus i had n * weight / total, give or take less
    than one."""
    divisor = math.gcd(*weights)
    weights = [weight // divisor for weight in weights]
    total, counts, found = sum(weights), [0] * len(weights), []
    for n in range(1, sum(weights) + 1):
        behind = [i for i, weight in enumerate(weights) if counts[i] * total < n * weight]
        next_one = min(behind, key=lambda i: -(-(counts[i] + 1) * total // weights[i]))
        counts[next_one] += 1
        found.append(next_one)
    return np.array(found, dtype=np.int64)


def seed_of(seed: int, number: int) -> int:
    """The seed of the corpus with this number: the main one (0) keeps that of the run, the others have their own."""
    if number == 0:
        return seed
    digest = hashlib.blake2b(repr(("corpus", seed, number)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
