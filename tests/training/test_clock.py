"""The stopwatch, the pace of a run, and the clock's one decision, all with a clock that we move by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bajka.planning.schedule import Cooldown, Schedule
from bajka.training.clock import Clock, Pace, decide_cooldown
from tiny_runs import HandClock


def schedule(name: Any = "wsd", **changes: Any) -> Schedule:
    numbers: dict[str, Any] = {"warmup_steps": 5, "cooldown_share": 0.4, "final_rate_share": 0.0, "steps": None}
    return Schedule(name=name, **numbers | changes)


def decide(elapsed: float, *, step: int = 50, **changes: Any) -> Cooldown | None:
    numbers = {"budget": 110.0, "step_seconds": 2.0, "reserve": 10.0} | changes
    return decide_cooldown(schedule(), step=step, elapsed=elapsed, **numbers)


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


def test_there_is_no_decision_before_its_moment() -> None:
    assert decide(59.9) is None  # 60 % of the 100 usable seconds


def test_at_its_moment_the_cooldown_fills_what_is_left_but_for_the_reserve() -> None:
    assert decide(60.0) == Cooldown(begin=50, steps=20)  # 40 seconds, 2 a step


def test_a_slower_machine_gets_fewer_steps() -> None:
    assert decide(60.0, step_seconds=8.0) == Cooldown(begin=50, steps=5)


def test_the_warmup_is_finished_first() -> None:
    assert decide(70.0, step=4) is None
    assert decide(70.0, step=5) == Cooldown(begin=5, steps=15)


def test_when_the_time_is_over_the_run_ends_at_once_warmup_or_not() -> None:
    assert decide(101.0, step=2) == Cooldown(begin=2, steps=0)
    assert decide(5.0, budget=1.0) == Cooldown(begin=50, steps=0)


def test_a_step_that_takes_no_time_does_not_divide_by_zero() -> None:
    decision = decide(60.0, step_seconds=0.0)
    assert decision is not None
    assert decision.steps > 0


def test_pace_is_the_time_of_recent_steps() -> None:
    pace = Pace()
    assert pace.whole() == 1.0, "before the first step"
    for seconds in [9.0] * 5 + [2.0] * 30:
        pace.stepped(seconds)
    assert pace.whole() == pace.mean() == 2.0


def test_pace_includes_the_share_of_what_is_done_beside_the_steps() -> None:
    pace = Pace()
    for _ in range(10):
        pace.stepped(2.0)
    pace.spent_beside(5.0)  # a quarter of the time spent stepping
    assert pace.whole() == pytest.approx(2.5)


def test_one_slow_step_does_not_frighten_the_pace() -> None:
    pace = Pace()
    for seconds in [1.0] * 9 + [100.0]:
        pace.stepped(seconds)
    assert pace.whole() == 1.5
