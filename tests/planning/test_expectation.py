"""Expectations: intervals from recorded runs, silent beyond them; what limits a run, in words."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bajka.coaching.facts import _interval
from bajka.planning.expectation import Case, evidence, evidence_of, expected_bits, features, ngrams_at
from bajka.planning.little import BASES, language_of, way_out
from bajka.planning.plan import Plan, describe
from made_up import TEXT, plan_of
from tiny import tiny_config

ROOT = Path(__file__).parents[2]
CASE = Case(weights=566_336, vocab_size=2048, tokens=1e6, train_tokens=2e6, bytes_per_token=3.0, ngrams=(3.2, 2.5, 2.3))

LARGER = replace(TEXT, train_tokens=1_500_000, validation_tokens=80_000, bytes=5_300_000)
MUCH = replace(TEXT, train_tokens=50_000_000, validation_tokens=80_000, bytes=170_000_000)


def test_the_regression_is_a_sum_of_logarithms() -> None:
    page: dict[str, Any] = {"coefficients": dict.fromkeys(features(CASE), 0.0), "spread": 0.04, "ranges": {}, "runs": 1}
    page["coefficients"] |= {"tokens": -0.1}
    found = evidence_of(page)
    assert expected_bits(CASE, found) == pytest.approx(2.3)
    assert expected_bits(replace(CASE, tokens=math.e * 1e6), found) == pytest.approx(2.3 * math.exp(-0.1))


def test_beyond_what_was_recorded_nothing_is_expected() -> None:
    assert evidence().covers(CASE)
    assert not evidence().covers(replace(CASE, weights=1e9))
    assert not evidence().covers(replace(CASE, vocab_size=200_000))
    assert plan_of(minutes=10, n_layer=24, n_embd=1024).expectation is None
    assert plan_of(minutes=10, imported=tiny_config("modern")).expectation is None
    assert plan_of(replace(TEXT, ngrams=()), minutes=10).expected_bits_per_byte is None


def test_many_readings_are_not_promised_anything() -> None:
    assert plan_of(epochs=12, n_layer=3, n_embd=128).expectation is None
    found = plan_of(epochs=3, n_layer=3, n_embd=128).expectation
    assert found is not None
    assert found.limit == "text"
    assert found.twice_time == pytest.approx(sum(found.bits_per_byte.values()) / 2, abs=1e-4)


def test_a_run_that_reads_a_part_of_a_text_is_judged_as_one_of_a_text_of_that_length() -> None:
    part, whole = replace(CASE, train_tokens=1e12), replace(CASE, train_tokens=CASE.tokens)
    assert evidence().covers(part)
    assert evidence().covers(whole)
    assert expected_bits(part, evidence()) == expected_bits(whole, evidence())
    assert not evidence().covers(replace(CASE, train_tokens=CASE.tokens / 100))


def test_ngrams_of_other_counts_follow_from_two() -> None:
    facts = replace(TEXT, ngrams=((1000, (3.0, 2.0, 2.0)), (4000, (3.0, 1.8, 1.6))))
    assert ngrams_at(facts, 4000) == pytest.approx((3.0, 1.8, 1.6))
    assert ngrams_at(facts, 2000) == pytest.approx((3.0, 1.9, 1.8))
    assert ngrams_at(facts, 8000) == pytest.approx((3.0, 1.7, 1.4))
    assert ngrams_at(facts, 1e12) == ngrams_at(facts, 16_000)


def test_a_plan_expects_an_interval_that_the_conclusion_can_read() -> None:
    plan = plan_of(LARGER, minutes=5)
    saved = json.loads(json.dumps(plan.as_dict()))
    assert Plan.from_dict(saved) == plan
    interval = _interval(saved["expected_bits_per_byte"])
    assert interval is not None
    low, high = interval
    assert 0 < low < high
    assert high / low == pytest.approx((1 + evidence().spread) / (1 - evidence().spread), rel=1e-3)
    found = plan.expectation
    assert found is not None
    assert found.loss["low"] == pytest.approx(low * math.log(2) * TEXT.bytes_per_token, rel=1e-3)


def test_nothing_is_expected_of_little_text_in_larger_steps_than_were_recorded() -> None:
    little = replace(TEXT, train_tokens=60_000, bytes=600_000)
    assert plan_of(little, minutes=5).expectation is not None
    assert plan_of(little, minutes=5, global_batch_size=4096 // 128).expectation is None
    in_steps = plan_of(little, steps=60)
    assert in_steps.global_batch_size * in_steps.model.context_length > 1024
    assert in_steps.expectation is None


def test_more_time_or_text_is_never_expected_to_harm() -> None:
    for minutes in (1, 3, 10):
        found = plan_of(LARGER, minutes=minutes).expectation
        assert found is not None
        middle = (found.bits_per_byte["low"] + found.bits_per_byte["high"]) / 2
        assert found.twice_time <= middle + 1e-3
        assert found.twice_text <= middle + 1e-3
        assert found.twice_both is not None
        assert found.twice_both <= min(found.twice_time, found.twice_text)


def test_the_limit_is_what_brings_more_and_both_where_neither_alone_brings_anything() -> None:
    seen = set()
    for minutes in (1, 3, 10, 15, 20):
        for facts in (TEXT, LARGER, MUCH):
            found = plan_of(facts, minutes=minutes).expectation
            assert found is not None
            middle = (found.bits_per_byte["low"] + found.bits_per_byte["high"]) / 2
            if min(found.twice_time, found.twice_text) > 0.995 * middle:
                expected = "both"
            else:
                expected = "text" if found.twice_text < found.twice_time else "time"
            assert found.limit == expected
            seen.add(found.limit)
    assert seen == {"time", "text", "both"}


def test_a_run_that_nears_the_last_reading_is_told_that_time_and_text_end_together() -> None:
    plans = [plan_of(LARGER, minutes=minutes) for minutes in (10, 12, 15, 20)]
    near = [plan for plan in plans if plan.expectation is not None and plan.expectation.limit == "both"]
    assert near
    for plan in near:
        (line,) = [line for line in describe(plan) if line.startswith("Time and text end together: ")]
        assert "is the limit" not in line
        assert int(line.rpartition("both by about ")[2].rstrip(" %.")) >= 1


def test_the_expectation_is_told_in_words_with_the_hour() -> None:
    lines = describe(plan_of(MUCH, minutes=90), began=datetime(2026, 11, 23, 23, 30))
    assert any("done at about Tuesday 01:00" in line for line in lines)
    lines = describe(plan_of(LARGER, minutes=5), began=datetime(2026, 11, 23, 12, 0))
    assert any("done at about 12:05" in line for line in lines)
    assert any(line.startswith("Expected result: ") and "bits a byte" in line for line in lines)
    assert any("is the limit: twice the time would lower this by about" in line for line in lines)


def test_twice_the_time_brings_nothing_to_a_run_that_ends_when_the_text_is_read_often_enough() -> None:
    plan = plan_of(replace(TEXT, train_tokens=40_000, bytes=140_000), minutes=30)
    found = plan.expectation
    assert found is not None
    low, high = found.bits_per_byte["low"], found.bits_per_byte["high"]
    assert found.twice_time == pytest.approx((low + high) / 2, rel=1e-3)
    assert found.limit == "text"


def test_the_same_inputs_give_the_same_plan() -> None:
    assert plan_of(minutes=7) == plan_of(minutes=7)


def test_fitting_again_gives_what_stands_in_the_source() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "expectation_fit.py"), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    stored = json.loads((ROOT / "src/bajka/planning/expectation.json").read_text(encoding="utf-8"))
    fitted = json.loads(done.stdout[done.stdout.index("{") :])
    assert {name: fitted[name] for name in ("coefficients", "spread", "runs", "ranges")} == {
        name: stored[name] for name in ("coefficients", "spread", "runs", "ranges")
    }


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("It was the best of times, and he was in the house of a man that had it.", "English"),
        ("Bio je lijep dan i on se vratio u grad, ali nije znao što da radi s njom.", "Croatian"),
        ("Он не знал, что это было и как он на неё смотрел в тот день.", "Russian"),
        ("qwrt zxcv plkj", ""),
    ],
)
def test_the_language_is_known_by_its_commonest_words(text: str, language: str) -> None:
    assert language_of(text) == language


def test_little_text_is_offered_a_base_in_its_language() -> None:
    said = " ".join(way_out(170_000, "Croatian"))
    assert "small text (170 KB)" in said
    assert "bajka fetch novels-hr" in said
    assert "--from runs/base" in said
    assert "helps most (2.22 bits a byte instead of 2.44" in said
    assert "helps most: bajka fetch novels-sr" in " ".join(way_out(170_000, "Serbian"))
    assert "--from MODEL" in " ".join(way_out(170_000, "Icelandic"))
    assert way_out(5_000_000, "Croatian") == []


def test_every_base_is_in_the_catalog() -> None:
    from bajka.datasets.catalog import known_corpora

    assert set(BASES.values()) <= set(known_corpora())
