"""Evaluations cost at most a twentieth of a run in minutes, and what the person set is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bajka.planning.looks import FIRST_LOOK_SECONDS, rows_at_once
from made_up import TEXT, plan_of

MUCH = replace(TEXT, train_tokens=20_000_000, validation_tokens=1_000_000, bytes=80_000_000)


@pytest.mark.parametrize("minutes", [2, 10, 60, 600])
@pytest.mark.parametrize("facts", [TEXT, MUCH])
def test_evaluations_samples_and_saves_take_at_most_a_twentieth(minutes: float, facts: object) -> None:
    plan = plan_of(facts, minutes=minutes)  # type: ignore[arg-type]
    assert 0 < plan.evaluation_share <= 0.055
    assert -(-plan.expected_steps // plan.evaluate_every_steps) >= 3  # the one at the end included


def test_long_runs_look_at_the_whole_validation_text_twenty_times() -> None:
    plan = plan_of(minutes=600, most_epochs=1000)
    assert plan.evaluation_windows == -(-(TEXT.validation_tokens - 1) // plan.model.context_length)
    assert plan.expected_steps / plan.evaluate_every_steps == pytest.approx(19, abs=1)


def test_where_nearly_all_of_the_validation_text_is_judged_all_of_it_is() -> None:
    novel = replace(TEXT, train_tokens=82_318, validation_tokens=9_298, bytes=150_380)
    plan = plan_of(novel, minutes=8, n_layer=6, n_embd=384, context_length=256)
    assert plan.evaluation_windows == 37
    assert plan.reasons["evaluation_windows"] == "all of the validation text"


def test_so_many_windows_are_judged_together_as_the_logits_of_fit_into_memory() -> None:
    assert [rows_at_once(context) for context in (32, 128, 1024, 4096, 32_768)] == [128, 32, 8, 4, 1]


def test_wishes_are_kept_whatever_they_cost() -> None:
    plan = plan_of(minutes=2, evaluate_every_steps=1, evaluation_windows=100)
    assert (plan.evaluate_every_steps, plan.evaluation_windows) == (1, 100)
    assert plan.evaluation_share > 0.5


def test_a_run_in_minutes_has_an_early_first_look_unless_the_person_says_how_often() -> None:
    plan = plan_of(MUCH, minutes=60)
    seconds = (
        plan.first_look_step * plan.global_batch_size * plan.model.context_length / plan.expected_tokens_per_second
    )
    assert seconds == pytest.approx(FIRST_LOOK_SECONDS, rel=0.1)
    assert plan.first_look_step < plan.evaluate_every_steps
    assert plan_of(MUCH, minutes=60, evaluate_every_steps=500).first_look_step == 0
    assert plan_of(MUCH, minutes=1).first_look_step == 0, "its evaluations are early enough"
    for minutes in range(2, 20):
        plan = plan_of(MUCH, minutes=minutes)
        assert plan.first_look_step < 0.75 * plan.evaluate_every_steps, "one that comes just before is for nothing"
    assert plan_of(steps=500).first_look_step == 0


def test_a_run_too_short_for_its_evaluations_does_not_say_that_they_are_cheap() -> None:
    assert "a twentieth" in plan_of(MUCH, minutes=10).reasons["evaluate_every_steps"]
    short = plan_of(minutes=0.2, n_layer=4, n_embd=256)
    assert short.evaluation_share > 0.06
    assert "the fewest that show a curve" in short.reasons["evaluate_every_steps"]


def test_long_samples_are_part_of_the_cost() -> None:
    usual, long = plan_of(MUCH, minutes=10), plan_of(MUCH, minutes=10, max_new_tokens=2000)
    assert long.evaluate_every_steps > usual.evaluate_every_steps
