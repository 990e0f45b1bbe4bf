"""The arithmetic of the comparisons in `benchmarks/`: what is judged, which seconds count, and how sure a difference is."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

bootstrap: Any = pytest.importorskip("bootstrap")
harness: Any = pytest.importorskip("harness")
judge: Any = pytest.importorskip("judge")
ours: Any = pytest.importorskip("ours")
peers: Any = pytest.importorskip("peers")


def test_every_token_but_the_first_is_a_target_once_and_the_end_of_text_never() -> None:
    torch.manual_seed(0)
    table = torch.randn(7, 7)
    ids = np.random.default_rng(0).integers(0, 7, 29)  # windows of 4: seven whole ones, no token left for an eighth
    for length in (26, 27, 28, 29):
        some, sizes = ids[:length], np.array([0, 1, 1, 2, 3, 1, 1])
        nats = judge.target_nats(lambda x: table[x], some, 4, sizes, rows=3)
        alone = F.cross_entropy(
            table[torch.from_numpy(some[:-1])], torch.from_numpy(some[1:]), reduction="none"
        ).numpy()
        wanted = np.where(sizes[some[1:]] > 0, alone, np.nan)
        assert np.isnan(nats[0])
        np.testing.assert_allclose(nats[1:], wanted, rtol=1e-6)
        found = judge.figures(nats, some, sizes)
        assert found["targets"] == int((sizes[some[1:]] > 0).sum())
        assert found["bytes"] == int(sizes[some[1:]].sum())
        assert found["bits_per_byte"] == pytest.approx(np.nansum(wanted) / math.log(2) / found["bytes"])


def test_a_context_larger_than_the_text_is_judged_once() -> None:
    ids, sizes = np.arange(5), np.ones(5, dtype=int)
    nats = judge.target_nats(lambda x: torch.zeros(*x.shape, 5), ids, 64, sizes)
    np.testing.assert_allclose(nats[1:], math.log(5))


def test_compiling_saving_and_evaluating_are_not_in_the_warm_time_of_a_peer() -> None:
    said = [(5.0, "step 0: train loss"), (9.0, "iter 0: loss"), (10.0, "iter 1: loss"), (11.0, "iter 2: loss")]
    said += [
        (17.0, "step 3: train loss"),
        (17.1, "saving checkpoint to out"),
        (20.0, "iter 3: loss"),
        (21.0, "iter 4: loss"),
    ]
    ends, warm = peers.step_times(harness.Timed(said, 22.0))
    assert ends == [9.0, 10.0, 11.0, 20.0, 21.0]
    assert warm == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0])


def test_our_warm_time_leaves_out_the_first_step_and_evaluations() -> None:
    metrics = [
        {"seconds": 4.0, "val_loss": 5.0},
        {"seconds": 9.0, "train_loss": 5.0},
        {"seconds": 10.0, "train_loss": 4.0},
    ]
    metrics += [{"seconds": 13.0, "val_loss": 4.0}, {"seconds": 14.0, "train_loss": 3.0}]
    assert ours.warm_seconds(metrics) == (3.0, 1.0, 3)


def test_blocks_hold_all_bits_and_bytes_that_were_judged() -> None:
    nats, sizes = np.array([np.nan, 1.0, 2.0, np.nan, 4.0]), np.array([3, 2, 4, 0, 3])
    bits, held = bootstrap.block_bits(nats, sizes, 5)
    assert bits.tolist() == pytest.approx([1.0 / math.log(2), 6.0 / math.log(2)])  # they begin at 3, 5 and 9
    assert held.tolist() == [2.0, 7.0]


def test_the_interval_of_a_difference_knows_how_much_seeds_differ() -> None:
    draw = np.random.default_rng(1)
    sizes = np.full(400, 512.0)

    def run(level: float) -> tuple[Any, Any]:
        return level * sizes + draw.normal(0, 20, 400), sizes

    alike = bootstrap.compare([run(1.8), run(1.8), run(1.8)], [run(2.0), run(2.0), run(2.0)], draws=500)
    spread = bootstrap.compare([run(1.7), run(1.8), run(1.9)], [run(1.9), run(2.0), run(2.1)], draws=500)
    for found in (alike, spread):
        assert found["lower"] == pytest.approx(0.1, abs=0.005)
        assert found["low"] < 0.1 < found["high"]
    assert spread["high"] - spread["low"] > 4 * (alike["high"] - alike["low"])
    same = bootstrap.compare([run(2.0)] * 2, [run(2.0)] * 2, draws=500)
    assert same["low"] < 0 < same["high"]
    assert same["p"] > 0.02


def test_what_was_recorded_for_the_same_settings_is_not_measured_again(tmp_path: Path) -> None:
    made = []
    for settings in ({"rate": 1e-3}, {"rate": 1e-3}, {"rate": 2e-3}):
        results = harness.Results(tmp_path / "results.jsonl", "test")
        line = results.once("one", settings, lambda: made.append(1) or {"value": len(made)})  # type: ignore[func-returns-value]
        assert line["settings"] == settings
    assert len(made) == 2
    assert [json.loads(line)["value"] for line in (tmp_path / "results.jsonl").read_text().splitlines()] == [1, 2]


def test_a_text_of_the_same_name_with_other_words_is_another_text(tmp_path: Path) -> None:
    keys = set()
    for words in ("one", "two"):
        (tmp_path / "text.txt").write_text(words)
        keys |= {harness.text_key(tmp_path / "text.txt"), harness.text_key(tmp_path)}
    assert len(keys) == 4
