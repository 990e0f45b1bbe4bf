"""Held-out n-grams: equal to counting with dictionaries, and what is known of simple streams."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from bajka.planning.ngrams import ORDERS, PASSAGE, copied, ngram_losses, sample_of


def by_dictionaries(train: list[int], held_out: list[int], vocab_size: int, highest: int) -> float:
    """Kneser and Ney's interpolation, word for word from its formula."""
    grams = [Counter(tuple(train[i : i + n]) for i in range(len(train) - n + 1)) for n in range(highest + 2)]

    def counts(order: int) -> dict[tuple[int, ...], int]:
        if order == highest:
            return dict(grams[order])
        before = Counter(gram[1:] for gram in grams[order + 1])
        return {gram: before[gram] for gram in grams[order]}

    tables = {order: counts(order) for order in range(1, highest + 1)}

    def p(history: tuple[int, ...], word: int) -> float:
        lower = p(history[1:], word) if history else 1 / vocab_size
        table = tables[len(history) + 1]
        once, twice = (sum(count == wanted for count in table.values()) for wanted in (1, 2))
        discount = max(once / max(once + 2 * twice, 1), 0.01)
        seen = {gram[-1]: count for gram, count in table.items() if gram[:-1] == history}
        total, kinds = sum(seen.values()), sum(count > 0 for count in seen.values())
        return (max(seen.get(word, 0) - discount, 0) + discount * kinds * lower) / total if total else lower

    targets = range(ORDERS - 1, len(held_out))
    return -sum(math.log(p(tuple(held_out[i - highest + 1 : i]), held_out[i])) for i in targets) / len(targets)


def test_all_orders_equal_counting_with_dictionaries() -> None:
    rng = np.random.default_rng(3)
    train, held_out = rng.integers(0, 7, 200) ** 2 // 6, rng.integers(0, 7, 60) ** 2 // 6
    found = ngram_losses(train.astype(np.uint16), held_out.astype(np.uint16), 9)
    assert len(found) == ORDERS
    for order, loss in enumerate(found, start=1):
        assert loss == pytest.approx(by_dictionaries(train.tolist(), held_out.tolist(), 9, order), rel=1e-12)


def test_a_stream_of_equal_chances_costs_the_logarithm_of_their_number() -> None:
    rng = np.random.default_rng(0)
    uni = ngram_losses(rng.integers(0, 16, 50_000), rng.integers(0, 16, 5_000), 16)[0]
    assert uni == pytest.approx(math.log(16), rel=1e-3)


def test_a_stream_that_repeats_is_known_to_all_but_unigrams() -> None:
    ids = np.arange(10_000) % 10
    uni, *others = ngram_losses(ids, ids[:500], 10)
    assert uni == pytest.approx(math.log(10), rel=1e-3)
    assert max(others) < 0.01


def test_ids_that_were_never_seen_cost_something_finite() -> None:
    assert all(math.isfinite(loss) for loss in ngram_losses(np.arange(50) % 3, np.arange(40), 50))


@pytest.mark.parametrize("length", [1, 2, 4, 6])
def test_a_text_shorter_than_an_ngram_is_counted_as_far_as_it_goes(length: int) -> None:
    assert all(math.isfinite(loss) for loss in ngram_losses(np.arange(length), np.arange(20) % 5, 20))


def test_a_sample_is_spread_over_the_stream_and_never_longer_than_asked() -> None:
    ids = np.arange(1_000_000)
    some = sample_of(ids, 6_400)
    assert len(some) == 6_400
    assert some[0] == 0
    assert some[-1] == 999_999
    assert np.array_equal(sample_of(ids[:50], 100), ids[:50])


def test_passages_that_stand_in_both_are_found_to_the_token() -> None:
    rng = np.random.default_rng(3)
    train, held_out = rng.integers(0, 500, 4_000), rng.integers(500, 1_000, 300)
    held_out[40 : 40 + PASSAGE] = train[1_000 : 1_000 + PASSAGE]
    held_out[100:160] = train[2_000:2_060]
    held_out[200 : 200 + PASSAGE - 1] = train[3_000 : 3_000 + PASSAGE - 1]  # one token too short
    wanted = np.zeros(300, dtype=bool)
    wanted[40 : 40 + PASSAGE] = wanted[100:160] = True
    assert copied(train.astype(np.uint16), held_out.astype(np.uint16)).tolist() == wanted.tolist()
    assert not copied(train[:10], held_out).any()
    assert not copied(train, held_out[:10]).any()


def test_what_is_left_out_is_not_counted() -> None:
    rng = np.random.default_rng(4)
    train, held_out = rng.integers(0, 50, 5_000), rng.integers(0, 50, 400)
    alone = ngram_losses(train, held_out, 50)
    held_out[200:300] = train[700:800]
    leave_out = copied(train, held_out)
    leave_out[198:310] = True
    whole, some = (ngram_losses(train, held_out, 50, leave_out=mask) for mask in (None, leave_out))
    assert whole[-1] < 0.95 * some[-1]
    assert some[-1] == pytest.approx(alone[-1], rel=0.03)
    assert ngram_losses(train, held_out, 50, leave_out=np.ones(400, dtype=bool)) == whole, "nothing would be left"
