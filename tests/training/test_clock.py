"""The stopwatch and the pace of a run, with a clock that we move by hand."""

from __future__ import annotations

import json

import pytest

from bajka.training.clock import Clock, Pace
from tiny_runs import HandClock


def pace_of(*seconds: float) -> Pace:
    pace = Pace()
    for one in seconds:
        pace.stepped(one)
    return pace


def test_active_time_counts_from_the_beginning_of_the_command_and_adds_earlier_sittings() -> None:
    hand = HandClock()
    hand.time = 100.0
    clock = Clock(now=hand.now, earlier=30.0)
    hand.time = 107.5
    assert clock.seconds() == 37.5


def test_a_command_that_began_before_its_clock_was_made_counts_from_there() -> None:
    hand = HandClock()
    hand.time = 100.0
    assert Clock(now=hand.now, began=96.0).seconds() == 4.0


def test_pace_is_the_time_of_the_latest_steps() -> None:
    assert Pace(expected=0.2).mean() == 0.2, "before the first step"
    assert pace_of(*[9.0] * 50, *[2.0] * 20).mean() == 2.0


def test_pace_follows_a_step_that_becomes_faster_or_slower_within_twenty() -> None:
    assert pace_of(*[1.0] * 100, *[3.0] * 11).typical() == 3.0
    assert pace_of(*[3.0] * 100, *[1.0] * 11).typical() == 1.0
    assert pace_of(*[1.0] * 100, *[3.0] * 20).mean() == 3.0


def test_compiling_and_warming_up_are_soon_forgotten() -> None:
    assert pace_of(25.0, 8.0, 0.5).mean() == 0.5
    assert pace_of(25.0, 8.0, 0.5, 0.5, 0.5, 0.5).mean() == 0.5


def test_one_slow_step_counts_for_no_more_than_two() -> None:
    assert pace_of(*[1.0] * 39, 100.0).mean() == pytest.approx(21 / 20)


def test_steps_that_vary_count_with_their_mean() -> None:
    assert pace_of(*[1.0, 2.0] * 20).mean() == 1.5


def test_what_is_done_beside_the_steps_costs_the_median_of_the_last_three() -> None:
    pace = Pace()
    assert pace.usual("saves") == 0.0
    for seconds in (30.0, 2.0, 90.0, 3.0):
        pace.spent("evaluations", seconds)
    assert (pace.usual("evaluations"), pace.beside) == (3.0, 125.0)


def test_a_pace_comes_back_from_what_a_checkpoint_keeps() -> None:
    pace = pace_of(*[1.0, 2.0] * 30)
    pace.spent("saves", 0.25)
    again = Pace()
    again.load(json.loads(json.dumps(pace.state())))
    assert again.state() == pace.state()
    assert again.mean() == pace.mean()


def test_the_pace_of_an_older_run_comes_back_too() -> None:
    pace = Pace()
    pace.load({"recent": [2.0] * 30, "stepping": 60.0, "beside": 5.0, "slow": 0, "evaluation": 1.5})
    assert (pace.mean(), pace.started, pace.usual("evaluations")) == (2.0, 0.0, 0.0)
