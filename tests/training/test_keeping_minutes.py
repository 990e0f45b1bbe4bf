"""The decisions of the clock: when the cooldown begins, how long it lasts, and when its end is corrected."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_run import Simulated, schedule

from bajka.planning.schedule import Decision
from bajka.training.clock import Pace
from bajka.training.minutes import Minutes, Rhythm, ending

SELDOM = Rhythm(evaluate=10_000)


def pace_of(step_seconds: float, **asides: float) -> Pace:
    pace = Pace(started=0.0)
    for _ in range(40):
        pace.stepped(step_seconds)
    for name, seconds in asides.items():
        pace.spent(name, seconds)  # type: ignore[arg-type]
    return pace


def minutes(step_seconds: float = 2.0, *, rhythm: Rhythm = SELDOM, name: str = "wsd", **asides: float) -> Minutes:
    """A hundred seconds to train in, and a step of so many."""
    pace = pace_of(step_seconds, **asides)
    return Minutes(100.0 + ending(pace), schedule(name), pace, rhythm)


def steps_left(decision: Decision | None) -> int | None:
    return None if decision is None else decision.left


# -- the cooldown's begin ----------------------------------------------------------------------------------------


def test_there_is_no_decision_before_its_moment() -> None:
    assert minutes().decide(25, 49.9, []) is None


def test_at_its_moment_the_cooldown_fills_what_is_left() -> None:
    assert minutes().decide(25, 50.0, []) == Decision(step=25, left=25, seconds=50.0)


def test_the_last_evaluation_and_save_are_kept_free_at_what_they_cost_lately() -> None:
    assert ending(pace_of(1.0, evaluations=7.0, saves=2.0)) - ending(Pace()) == 9.0


def test_a_slower_machine_gets_fewer_steps() -> None:
    assert steps_left(minutes(8.0).decide(25, 52.0, [])) == 6


def test_evaluations_and_saves_on_the_way_are_paid_for() -> None:
    every_ten = Rhythm(evaluate=10)
    assert steps_left(minutes(rhythm=every_ten, evaluations=4.0).decide(25, 50.0, [])) == 21  # 42 s and two of 4
    every_five = Rhythm(evaluate=10, save=5)
    assert steps_left(minutes(rhythm=every_five, saves=1.0).decide(25, 50.0, [])) == 23  # at 25, 30, 35, 40, 45
    by_time = Rhythm(evaluate=10_000, save_seconds=10.0)
    assert steps_left(minutes(rhythm=by_time, saves=1.0).decide(25, 50.0, [])) == 23
    looks = Rhythm(evaluate=10_000, look=10)
    assert steps_left(minutes(rhythm=looks, looks=4.0).decide(25, 50.0, [])) == 21


def test_the_moment_is_a_share_of_the_time_for_training_and_not_of_what_came_before() -> None:
    late = minutes()
    late.pace.started = 60.0
    assert late.decide(9, 79.0, []) is None
    assert steps_left(late.decide(10, 80.0, [])) == 10


def test_the_warmup_is_finished_first_unless_it_takes_half_of_the_time() -> None:
    cosine = minutes(name="cosine")
    assert cosine.decide(4, 20.0, []) is None
    assert steps_left(cosine.decide(5, 20.0, [])) == 40
    assert steps_left(cosine.decide(4, 51.0, [])) == 25


def test_when_the_time_is_over_a_few_steps_remain_if_they_cost_little() -> None:
    assert steps_left(minutes(2.0).decide(50, 101.0, [])) == 3
    assert steps_left(minutes(0.1).decide(50, 101.0, [])) == 9  # enough to fall to a tenth
    assert steps_left(minutes(20.0).decide(50, 101.0, [])) == 0


def test_a_step_that_takes_no_time_does_not_divide_by_zero() -> None:
    decision = minutes(0.0).decide(50, 60.0, [])
    assert decision is not None
    assert decision.left > 0


# -- corrections -------------------------------------------------------------------------------------------------

BEGUN = [Decision(step=25, left=25, seconds=50.0)]


def test_an_end_that_is_close_enough_stays() -> None:
    assert minutes().decide(35, 70.0, BEGUN) is None
    assert minutes(2.1).decide(35, 71.0, BEGUN) is None


def test_a_machine_that_became_slower_or_faster_gets_fewer_or_more_steps() -> None:
    assert minutes(3.0).decide(35, 70.0, BEGUN) == Decision(step=35, left=10, seconds=70.0)
    assert minutes(1.0).decide(35, 70.0, BEGUN) == Decision(step=35, left=30, seconds=70.0)


def test_a_decision_stands_for_a_while() -> None:
    assert minutes(3.0).decide(29, 59.0, BEGUN) is None
    assert minutes(3.0).decide(29, 62.0, BEGUN) is not None, "a fifth of the time went by"
    assert minutes(1.0).decide(31, 56.0, BEGUN) is not None, "a fifth of the steps went by"


def test_time_lost_at_once_is_made_up_for() -> None:
    assert steps_left(minutes().decide(35, 84.0, BEGUN)) == 8


def test_a_correction_when_time_is_over_keeps_what_the_rate_needs_to_fall_but_no_more_than_was_planned() -> None:
    assert steps_left(minutes(0.5).decide(35, 130.0, BEGUN)) == 6  # from 0.6 of the peak to 0.1
    assert steps_left(minutes(0.5).decide(40, 130.0, BEGUN)) == 4  # from 0.42 of it
    assert steps_left(minutes(50.0).decide(35, 130.0, BEGUN)) == 0


# -- whole runs --------------------------------------------------------------------------------------------------


def falls(run: Simulated) -> bool:
    """Whether the rate never rises from the cooldown's begin on."""
    return all(later <= earlier + 1e-12 for earlier, later in zip(run.falling, run.falling[1:], strict=False))


def changing(*, at: float, to: float, noise: float = 0.0, seed: int = 0) -> Callable[[float], float]:
    """A step of a second, and from second `at` on of `to`."""
    draw = random.Random(seed)
    return lambda seconds: (1.0 if seconds < at else to) * math.exp(draw.gauss(0.0, noise))


@pytest.mark.parametrize("name", ["wsd", "cosine", "linear"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("at", [0.02, 0.3, 0.5, 0.6, 0.8, 0.9])
def test_speed_that_halves_or_doubles_at_any_moment(name: str, factor: float, at: float) -> None:
    run = Simulated(300.0, changing(at=300 * at, to=factor), schedule(name))
    assert run.go() == pytest.approx(300.0, rel=0.03)
    assert run.falling[-1] < 0.1
    assert falls(run)


def test_at_a_steady_speed_the_clock_decides_once() -> None:
    run = Simulated(300.0, lambda seconds: 1.0)
    run.go()
    assert len(run.decisions) == 1


def test_preparation_compiling_evaluations_and_saves_count() -> None:
    costs: dict[str, Any] = {"preparation": 40.0, "first_step": 30.0, "evaluation": lambda seconds: 5.0, "save": 2.0}
    run = Simulated(300.0, lambda seconds: 1.0, **costs)
    assert run.go() == pytest.approx(300.0, rel=0.02)
    begin = run.decisions[0]
    assert begin.left == pytest.approx(begin.step, rel=0.15), "half of the steps, not half of what is left of the time"


def test_a_last_evaluation_that_is_expensive_is_kept_free() -> None:
    run = Simulated(300.0, lambda seconds: 1.0, evaluation=lambda seconds: 20.0)
    assert run.go() == pytest.approx(300.0, rel=0.02)


@pytest.mark.parametrize("at", [30.0, 149.0, 160.0, 250.0])
def test_one_very_slow_step(at: float) -> None:
    run = Simulated(300.0, lambda seconds: 31.0 if at <= seconds < at + 1 else 1.0)
    assert run.go() == pytest.approx(300.0, rel=0.02)
    assert run.falling[-1] <= 0.1
    assert falls(run)


@pytest.mark.parametrize("steps", [2, 4, 6, 10])
def test_minutes_for_a_few_steps_only(steps: int) -> None:
    run = Simulated(60.0, lambda seconds: 60.0 / steps)
    assert run.go() == pytest.approx(60.0, abs=0.6 * 60.0 / steps + 1.0)
    assert run.rates[-1] < 0.6


def test_hours_with_a_speed_that_comes_and_goes() -> None:
    run = Simulated(7200.0, lambda seconds: 2.0 if int(seconds / 600) % 2 else 1.0)
    assert run.go() == pytest.approx(7200.0, rel=0.01)
    assert falls(run)
    assert len(run.decisions) < 20


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    at=st.floats(0.5, 1.0),
    factor=st.floats(1 / 1.5, 1.5),
    steps=st.integers(100, 400),
    name=st.sampled_from(["wsd", "cosine", "linear"]),
    noise=st.floats(0.0, 0.2),
    evaluation=st.floats(0.0, 3.0),
)
def test_the_end_is_on_time_when_the_speed_changes_by_half_in_the_second_half(
    at: float, factor: float, steps: int, name: str, noise: float, evaluation: float
) -> None:
    speed = changing(at=at * steps, to=factor, noise=noise, seed=steps)
    costs: dict[str, Any] = {"evaluation": lambda seconds: evaluation, "save": 0.2, "first_step": 5.0}
    run = Simulated(float(steps), speed, schedule(name), Rhythm(evaluate=max(10, steps // 10)), **costs)
    assert run.go() == pytest.approx(steps, rel=0.05)
    assert run.falling[-1] <= 0.15
    assert falls(run)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    speeds=st.lists(st.floats(0.2, 5.0), min_size=1, max_size=8),
    steps=st.integers(20, 300),
    name=st.sampled_from(["wsd", "cosine", "linear"]),
    seed=st.integers(0, 1000),
)
def test_whatever_the_speed_does_the_rate_falls_to_its_end_and_never_rises(
    speeds: list[float], steps: int, name: str, seed: int
) -> None:
    draw = random.Random(seed)
    places = [draw.random() * steps for _ in speeds]

    def speed(seconds: float) -> float:
        passed = [one for place, one in zip(places, speeds, strict=True) if place <= seconds]
        return passed[-1] if passed else 1.0

    run = Simulated(float(steps), speed, schedule(name))
    run.go()
    assert falls(run)
    assert steps < 100 or run.rates[-1] <= 0.25, "a few steps are longer than the time that may be added for them"
    assert len(run.decisions) <= 20


# -- as many readings of the text as a run has at most ------------------------------------------------------------


def test_the_cooldown_of_a_run_with_most_steps_ends_at_the_last_of_them() -> None:
    capped = replace(minutes(), most_steps=40)
    assert capped.decide(19, 38.0, []) is None
    assert capped.decide(20, 40.0, []) == Decision(step=20, left=20, seconds=40.0)


def test_more_steps_than_the_time_allows_change_nothing() -> None:
    assert replace(minutes(), most_steps=400).decide(25, 50.0, []) == minutes().decide(25, 50.0, [])


@pytest.mark.parametrize("slower", [1.0, 0.5, 3.0])
def test_a_run_ends_after_its_most_steps_whatever_becomes_of_the_speed(slower: float) -> None:
    run = Simulated(600.0, lambda seconds: 0.1 * (slower if seconds > 20 else 1.0), most_steps=300)
    assert run.go() < 150
    assert len(run.rates) == 300
    assert run.rates[-1] <= 0.11
