"""Two models on the same validation text: the difference of their bits per byte with an interval, by a paired bootstrap.

The text is cut into blocks of bytes, the same for both whatever their tokens; a token belongs to the block in which it begins.
Blocks are drawn again and again with replacement, both models always on the same ones (Koehn 2004, "Statistical
significance tests for machine translation evaluation").
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


def compare(
    one: tuple[Numbers, Numbers], other: tuple[Numbers, Numbers], *, draws: int = 10_000, seed: int = 0
) -> dict[str, float]:
    """How much lower `one` is than `other`, as a share of `other` (0.04: 4 % lower), with a 95 % interval, and p: the share
    of draws in which it is not lower."""
    assert len(one[0]) == len(other[0]), "the two models were judged on texts of other lengths"
    draw = np.random.default_rng(seed)
    blocks = len(one[0])
    found = np.empty(draws)
    for number in range(draws):
        some = draw.integers(0, blocks, blocks)
        found[number] = 1.0 - _rate(one, some) / _rate(other, some)
    every = np.arange(blocks)
    low, high = np.quantile(found, (0.025, 0.975))
    return {
        "one": _rate(one, every),
        "other": _rate(other, every),
        "lower": 1.0 - _rate(one, every) / _rate(other, every),
        "low": float(low),
        "high": float(high),
        "p": float((found <= 0).mean()),
    }


def mean_over_seeds(runs: list[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    """Bits and bytes of each block, the mean over runs with other seeds."""
    return np.mean([bits for bits, _ in runs], axis=0), np.mean([sizes for _, sizes in runs], axis=0)


def _rate(run: tuple[Numbers, Numbers], blocks: NDArray[np.int64]) -> float:
    return float(run[0][blocks].sum() / run[1][blocks].sum())
