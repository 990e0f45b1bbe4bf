"""Two recipes on the same validation text: the difference of their bits per byte with an interval, by a bootstrap.

The text is cut into blocks of bytes, the same for both whatever their tokens; a token belongs to the block in which it begins.
Blocks are drawn again and again with replacement, both always on the same ones (Koehn 2004, "Statistical significance
tests for machine translation evaluation"), and so are the seeds of each, independently: a run is one of many that could
have been.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def block_bits(nats: Numbers, sizes: NDArray[np.int64], block: int) -> tuple[Numbers, Numbers]:
    """Bits and bytes (blocks,) of each block: `nats` (tokens,) is not a number where a token is not judged, `sizes` (tokens,)
    are UTF-8 bytes."""
    begins = np.cumsum(sizes) - sizes
    number = begins // block
    judged = ~np.isnan(nats) & (sizes > 0)
    count = int(number[judged].max()) + 1
    bits = np.bincount(number[judged], nats[judged] / math.log(2), minlength=count)
    return bits, np.bincount(number[judged], sizes[judged].astype(float), minlength=count)


Run = tuple[Numbers, Numbers]
"""Bits and bytes (blocks,) of one trained model."""


def compare(one: list[Run], other: list[Run], *, draws: int = 10_000, seed: int = 0) -> dict[str, float]:
    """How much lower the runs of `one` are in the mean than those of `other`, as a share of `other` (0.04: 4 % lower), with a
    95 % interval, and p: the share of draws in which they are not lower (at least one draw's)."""
    blocks = len(one[0][0])
    assert all(len(bits) == blocks for bits, _ in [*one, *other]), "the models were judged on texts of other lengths"
    draw = np.random.default_rng(seed)
    found = np.empty(draws)
    for number in range(draws):
        some = draw.integers(0, blocks, blocks)
        mine, theirs = ([runs[n] for n in draw.integers(0, len(runs), len(runs))] for runs in (one, other))
        found[number] = 1.0 - _rate(mine, some) / _rate(theirs, some)
    every = np.arange(blocks)
    low, high = np.quantile(found, (0.025, 0.975))
    return {
        "one": _rate(one, every),
        "other": _rate(other, every),
        "lower": 1.0 - _rate(one, every) / _rate(other, every),
        "low": float(low),
        "high": float(high),
        "p": max(float((found <= 0).mean()), 1 / draws),
    }


def _rate(runs: list[Run], blocks: NDArray[np.int64]) -> float:
    """Bits per byte of these blocks, the mean over the runs."""
    return float(np.mean([bits[blocks].sum() / sizes[blocks].sum() for bits, sizes in runs]))
