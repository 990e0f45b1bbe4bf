"""Held-out n-grams: equal to counting with dictionaries, and what is known of simple streams."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from bajka.planning.ngrams import ngram_losses, sample_of


def by_dictionaries(train: list[int], held_out: list[int], vocab_size: int, order: int) -> float:
    """Witten and Bell's interpolation, word for word from its formula."""
    grams = [Counter(tuple(train[i : i + n]) for i in range(len(train) - n + 1)) for n in range(order + 1)]

    def p(history: tuple[int, ...], word: int) -> float:
        lower = p(history[1:], word) if history else 1 / vocab_size
        seen = {gram[-1]: count for gram, count in grams[len(history) + 1].items() if gram[:-1] == history}
        total, kinds = sum(seen.values()), len(seen)
        return (seen.get(word, 0) + kinds * lower) / (total + kinds) if total else lower

    def lowest(history: tuple[int, ...], word: int) -> float:
        return p(history, word)

    targets = range(2, len(held_out))
    return -sum(math.log(lowest(tuple(held_out[i - order + 1 : i]), held_out[i])) for i in targets) / len(targets)


def test_all_orders_equal_counting_with_dictionaries() -> None:
    rng = np.random.default_rng(3)
    train, held_out = rng.integers(0, 7, 200) ** 2 // 6, rng.integers(0, 7, 60) ** 2 // 6
    found = ngram_losses(train.astype(np.uint16), held_out.astype(np.uint16), 9)
    for order, loss in enumerate(found, start=1):
        assert loss == pytest.approx(by_dictionaries(train.tolist(), held_out.tolist(), 9, order), rel=1e-12)


def test_a_stream_of_equal_chances_costs_the_logarithm_of_their_number() -> None:
    rng = np.random.default_rng(0)
    (uni, _, _) = ngram_losses(rng.integers(0, 16, 50_000), rng.integers(0, 16, 5_000), 16)
    assert uni == pytest.approx(math.log(16), rel=1e-3)


def test_a_stream_that_repeats_is_known_to_bigrams() -> None:
    ids = np.arange(10_000) % 10
    uni, bi, tri = ngram_losses(ids, ids[:500], 10)
    assert uni == pytest.approx(math.log(10), rel=1e-3)
    assert max(bi, tri) < 0.01


def test_ids_that_were_never_seen_cost_something_finite() -> None:
    assert all(math.isfinite(loss) for loss in ngram_losses(np.zeros(50, dtype=int), np.arange(40), 50))


def test_a_sample_is_spread_over_the_stream_and_never_longer_than_asked() -> None:
    ids = np.arange(1_000_000)
    some = sample_of(ids, 6_400)
    assert len(some) == 6_400
    assert some[0] == 0
    assert some[-1] == 999_999
    assert np.array_equal(sample_of(ids[:50], 100), ids[:50])
