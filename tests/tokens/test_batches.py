"""Batches are a pure function of data, seed and position; each mode against a plain loop in Python."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.tokens import IGNORED, Batch, Batches
from bajka.tokens.batches import _permutation, evaluation_begins, span_batch

MODES = ("packed", "sliding", "documents")
END = 0


def stream(*lengths: int) -> tuple[np.ndarray, np.ndarray]:
    """Documents of so many tokens each, every content token a different number, and their beginnings."""
    starts = np.cumsum((0, *lengths))[:-1]
    ids = np.arange(1, sum(lengths) + 1, dtype=np.uint16)
    ids[starts] = END
    return ids, starts.astype(np.uint64)


def batches(*lengths: int, T: int = 8, seed: int = 1, **options: Any) -> Batches:
    ids, starts = stream(*lengths)
    return Batches(ids, starts, context_length=T, seed=seed, end_of_text=END, **options)


def targets_of(epoch: int, made: Batches) -> Counter[int]:
    batch = made.batch(epoch * made.windows_per_epoch, made.windows_per_epoch)
    return Counter(batch.targets[batch.targets != IGNORED].tolist())


def same(one: Batch, other: Batch) -> bool:
    return np.array_equal(one.inputs, other.inputs) and np.array_equal(one.targets, other.targets)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12), T=st.integers(1, 20), epoch=st.integers(0, 5),
    seed=st.integers(0, 2**63 - 1),
)  # fmt: skip
def test_every_token_is_a_target_exactly_once_an_epoch(lengths: list[int], T: int, epoch: int, seed: int) -> None:
    made = batches(*lengths, T=T, seed=seed)
    assert targets_of(epoch, made) == Counter(made.ids.tolist())


@pytest.mark.parametrize("windows", MODES)
@settings(deadline=None, max_examples=30)
@given(position=st.integers(0, 200), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_any_split_into_sizes_gives_the_same_rows(windows: Any, position: int, sizes: list[int]) -> None:
    whole = batches(9, 30, 4, windows=windows).batch(position, sum(sizes))
    made, start = batches(9, 30, 4, windows=windows), 0
    for size in sizes:
        assert same(made.batch(position + start, size), whole.rows(start, start + size))
        start += size


@pytest.mark.parametrize("windows", MODES)
def test_the_same_place_is_the_same_batch(windows: Any) -> None:
    made = batches(40, 50, 60, windows=windows)
    first = made.batch(5, 4)
    made.batch(900, 7)
    assert same(made.batch(5, 4), first)
    assert same(batches(40, 50, 60, windows=windows).batch(5, 4), first)


@pytest.mark.parametrize("windows", MODES)
def test_epochs_differ(windows: Any) -> None:
    made = batches(*[20] * 8, windows=windows)
    count = made.windows_per_epoch
    assert not same(made.batch(0, count), made.batch(count, count))


@pytest.mark.parametrize("windows", MODES)
def test_seeds_differ(windows: Any) -> None:
    one, other = (batches(*[20] * 8, windows=windows, seed=seed) for seed in (1, 2))
    assert not same(one.batch(0, 8), other.batch(0, 8))


@pytest.mark.parametrize("windows", MODES)
def test_a_batch_may_lie_across_the_border_of_epochs(windows: Any) -> None:
    made = batches(*[10] * 9, windows=windows)
    count = made.windows_per_epoch
    across = made.batch(count - 2, 4)
    assert same(across.rows(0, 2), made.batch(count - 2, 2))
    assert same(across.rows(2, 4), made.batch(count, 2))


@pytest.mark.parametrize("windows", MODES)
@pytest.mark.parametrize("lengths", [(1,), (2,), (5,), (3, 3, 3), (100,), (1, 1, 1, 50)], ids=str)
def test_few_and_short_documents_make_batches_of_the_asked_shape(windows: Any, lengths: tuple[int, ...]) -> None:
    batch = batches(*lengths, windows=windows).batch(0, 5)
    assert batch.inputs.shape == batch.targets.shape == (5, 8)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64


@pytest.mark.parametrize("windows", MODES)
def test_targets_are_the_tokens_that_come_next(windows: Any) -> None:
    batch = batches(9, 30, 4, 17, windows=windows).batch(0, 12)
    both = batch.targets[:, :-1] != IGNORED
    assert both.any()
    assert np.array_equal(batch.targets[:, :-1][both], batch.inputs[:, 1:][both])


def test_counted_targets_are_those_that_are_not_padding() -> None:
    batch = batches(3, 20, windows="documents").batch(0, 2)
    assert batch.counted == 3 + 8
    assert batch.rows(0, 1).counted + batch.rows(1, 2).counted == batch.counted


def test_packed_windows_that_follow_each_other_are_no_neighbours() -> None:
    made = batches(4000)
    firsts = made.batch(0, made.windows_per_epoch).inputs[:, 0]
    neighbours = np.abs(np.diff(firsts)) == 8
    assert neighbours.mean() < 0.05


def test_packed_windows_begin_elsewhere_in_every_epoch() -> None:
    made = batches(4000, T=64)
    count = made.windows_per_epoch
    phases = {int(made.batch(epoch * count, 1).inputs[0, 10] % 64) for epoch in range(12)}
    assert len(phases) > 4


def test_packed_documents_stay_whole_and_change_their_order() -> None:
    made = batches(30, 40, 50, T=240)
    ids, _ = stream(30, 40, 50)
    orders = set()
    for epoch in range(12):
        ring = made.batch(epoch * made.windows_per_epoch, 1).inputs[0]
        ring = np.concatenate((ring, ring))  # read on from any phase, each document is there in one piece
        text = ring.tolist()
        places = [text.index(int(ids[start + 1])) for start in (0, 30, 70)]
        for place, start, length in zip(places, (0, 30, 70), (30, 40, 50), strict=True):
            assert text[place : place + length - 1] == ids[start + 1 : start + length].tolist()
        order = np.argsort(places)
        orders.add(tuple(np.roll(order, -int(np.flatnonzero(order == 0)[0]))))  # a ring begins anywhere
    assert orders == {(0, 1, 2), (0, 2, 1)}


@pytest.mark.parametrize("stride", [1, 3, 8, 11, 50])
@pytest.mark.parametrize("tokens", [2, 8, 9, 10, 41])
def test_sliding_windows_equal_a_plain_loop(stride: int, tokens: int) -> None:
    made = batches(tokens, windows="sliding", stride=stride)
    ids, expected, begin = [*made.ids.tolist()], [], 0
    while not expected or (begin < tokens - 1 and begin + 8 < tokens - 1 + stride):
        targets = ids[begin + 1 : begin + 9]
        expected.append((ids[begin : begin + len(targets)], targets))
        begin += stride
    batch = made.batch(0, made.windows_per_epoch)
    found = [
        (i[t != IGNORED].tolist(), t[t != IGNORED].tolist()) for i, t in zip(batch.inputs, batch.targets, strict=True)
    ]
    assert sorted(found) == sorted(expected)
    assert all(targets for _, targets in found)


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_sliding_windows_up_to_the_context_leave_no_token_out(stride: int) -> None:
    made = batches(43, windows="sliding", stride=stride)
    assert targets_of(0, made).keys() == set(made.ids[1:].tolist())


def test_document_rows_equal_a_plain_loop() -> None:
    lengths = (1, 5, 8, 9, 30)
    made = batches(*lengths, windows="documents")
    expected, ids, start = [], made.ids.tolist(), 0
    for length in lengths:
        token = [*ids[start : start + length], END][:9]
        inputs, targets = token[:-1], token[1:]
        expected.append((inputs + [END] * (8 - len(inputs)), targets + [IGNORED] * (8 - len(targets))))
        start += length
    batch = made.batch(0, 5)
    assert sorted(zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True)) == sorted(expected)


def test_a_permutation_in_blocks_is_still_a_permutation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bajka.tokens.batches._BLOCK", 10)
    found = _permutation(np.random.default_rng(0), 47)
    assert sorted(found) == list(range(47))
    assert not np.array_equal(found, np.arange(47))


@pytest.mark.parametrize("tokens", [2, 8, 9, 10, 41])
def test_evaluation_windows_hold_every_target_once(tokens: int) -> None:
    ids = np.arange(tokens, dtype=np.uint16)
    batch = span_batch(ids, evaluation_begins(tokens, context_length=8, most=None), 8)
    assert batch.targets[batch.targets != IGNORED].tolist() == ids[1:].tolist()


def test_some_evaluation_windows_are_spread_over_the_text() -> None:
    begins = evaluation_begins(801, context_length=8, most=5)
    assert begins.tolist() == [0, 192, 392, 592, 792]


@pytest.mark.parametrize("tokens", [0, 1])
def test_a_stream_without_a_target_has_no_evaluation_window(tokens: int) -> None:
    assert len(evaluation_begins(tokens, context_length=8, most=None)) == 0
