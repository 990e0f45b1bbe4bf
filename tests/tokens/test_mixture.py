"""A mixture is a pure function of data, seed and position; every corpus has its share of any stretch of windows."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.tokens import IGNORED, Batch, Batches, Mixture
from bajka.tokens.mixture import PARTS, seed_of, turns, weights_of

T = 8
SHARES = st.lists(st.integers(1, 2400), min_size=1, max_size=4).map(lambda parts: [part / PARTS for part in parts])


def corpus(number: int, *lengths: int, seed: int = 1) -> Batches:
    """Documents of so many tokens; every content token of all corpora is a different number, end-of-text is 0."""
    starts = np.cumsum((0, *lengths))[:-1]
    ids = np.arange(1, sum(lengths) + 1, dtype=np.uint32) + 100_000 * number
    ids[starts] = 0
    return Batches(ids, starts, context_length=T, seed=seed_of(seed, number), end_of_text=0)


def mixture(*shares: float, seed: int = 1) -> Mixture:
    corpora = [corpus(number, *[30 + 7 * number] * (9 + number), seed=seed) for number in range(len(shares) + 1)]
    return Mixture(corpora[0], corpora[1:], shares)


def same(one: Batch, other: Batch) -> bool:
    return np.array_equal(one.inputs, other.inputs) and np.array_equal(one.targets, other.targets)


def digest(batch: Batch) -> str:
    return hashlib.sha256(batch.inputs.tobytes() + batch.targets.tobytes()).hexdigest()


@settings(deadline=None, max_examples=40)
@given(shares=SHARES)
def test_after_any_number_of_windows_every_corpus_has_its_share_to_within_one(shares: list[float]) -> None:
    weights = np.array(weights_of(shares))
    which = turns(weights.tolist())
    counts = np.cumsum(which[:, None] == np.arange(len(weights)), axis=0)
    due = np.arange(1, len(which) + 1)[:, None] * weights / PARTS
    assert np.abs(counts - due).max() < 1
    assert np.array_equal(counts[-1] * PARTS, weights * len(which))


def test_shares_that_people_type_are_met_exactly() -> None:
    assert weights_of([0.3, 0.1]) == (6000, 3000, 1000)
    assert turns(weights_of([0.3, 0.1])).tolist().count(1) == 3
    assert len(turns(weights_of([1 / 3]))) == PARTS
    assert weights_of([0.9999]) == (1, 9999)


@settings(deadline=None, max_examples=30)
@given(shares=SHARES, position=st.integers(0, 3000), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_any_cutting_into_batches_gives_the_same_rows(shares: list[float], position: int, sizes: list[int]) -> None:
    whole, start = mixture(*shares).batch(position, sum(sizes)), 0
    made = mixture(*shares)
    for size in reversed(range(len(sizes))):  # asked in another order than the stream's
        start = sum(sizes[:size])
        assert same(made.batch(position + start, sizes[size]), whole.rows(start, start + sizes[size]))


@settings(deadline=None, max_examples=20)
@given(
    shares=st.lists(st.sampled_from((0.05, 0.1, 0.3)), min_size=1, max_size=3),
    number=st.integers(0, 3),
    epoch=st.integers(0, 3),
)
def test_every_token_of_a_corpus_is_a_target_once_in_each_of_its_own_epochs(
    shares: list[float], number: int, epoch: int
) -> None:
    made = mixture(*shares)
    number = min(number, len(shares))
    own = made.corpora[number]
    enough = int((epoch + 2) * own.windows_per_epoch * PARTS / made.weights[number]) + 2
    batch, (which, _) = made.batch(0, enough), made.places(0, enough)
    rows = np.flatnonzero(which == number)[epoch * own.windows_per_epoch :][: own.windows_per_epoch]
    targets = batch.targets[rows]
    assert Counter(targets[targets != IGNORED].tolist()) == Counter(own.ids.tolist())


def test_windows_of_a_corpus_are_those_of_the_corpus_alone_in_order() -> None:
    made = mixture(0.25, 0.1)
    which, number = made.places(137, 200)
    batch = made.batch(137, 200)
    for index, alone in enumerate(made.corpora):
        rows = np.flatnonzero(which == index)
        assert np.array_equal(np.diff(number[rows]), np.ones(len(rows) - 1))
        expected = alone.batch(int(number[rows[0]]), len(rows))
        assert np.array_equal(batch.inputs[rows], expected.inputs)
        assert np.array_equal(batch.targets[rows], expected.targets)


def test_an_epoch_of_a_mixture_is_one_reading_of_the_main_corpus() -> None:
    made = mixture(0.3, 0.1)
    count = made.windows_per_epoch
    own = int((made.places(0, count)[0] == 0).sum())
    assert abs(own - made.corpora[0].windows_per_epoch) <= 1
    assert made.readings[0] == pytest.approx(1.0, abs=0.05)
    read = (made.places(0, count)[0] == 1).sum() / made.corpora[1].windows_per_epoch
    assert made.readings[1] == pytest.approx(read, abs=0.1)


def test_far_positions_cost_no_more_and_keep_the_shares() -> None:
    made = mixture(0.3, 0.1)
    which, _ = made.places(10**15, 1000)
    assert np.abs(np.bincount(which) - (600, 300, 100)).max() <= 1
    assert made.batch(10**9, 4).inputs.shape == (4, T)


def test_the_main_corpus_walks_as_it_does_alone_and_the_others_by_seeds_of_their_own() -> None:
    assert seed_of(1337, 0) == 1337
    assert len({seed_of(1337, number) for number in range(5)}) == 5
    assert 0 <= seed_of(2**63 - 1, 3) < 2**63


def test_other_seeds_give_other_batches() -> None:
    assert not same(mixture(0.3).batch(0, 20), mixture(0.3, seed=2).batch(0, 20))


def test_another_process_makes_the_same_batch() -> None:
    code = "from test_mixture import *; print(digest(mixture(0.3, 0.01).batch(777, 64)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest(mixture(0.3, 0.01).batch(777, 64))
