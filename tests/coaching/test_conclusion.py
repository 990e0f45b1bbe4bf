"""The last words: what came of the plan, what limited the result, what to type next."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from bajka.coaching.conclusion import conclude, what_limited
from bajka.coaching.curve import Curve
from recorded_curves import NAMES, recorded

LIMITS = {
    "overfitting": "text",
    "large_vocabulary": "text",
    "too_little_text": "text",
    "standing_still": "text",
    "healthy": "time",
    "healthy_tales": "time",
    "plateau": "time",
    "healthy_half": "time",
    "healthy_double": "time",
    "read_often": "time",
    "cosine": "time",
    "resumed": "time",
    "fine_tuned": "time",
    "rate_too_low_adamw": "rate",
    "rate_too_low_muon": "rate",
    "constant": "time",
    "small_batches": "time",
    "spikes": "rate",
    "jump": "rate",
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_limited_each_recorded_run_is_named(name: str) -> None:
    run = recorded(name)
    assert what_limited(Curve.of(run.lines), run.facts) == LIMITS[name]


def test_a_run_that_ended_after_its_readings_was_limited_by_the_text() -> None:
    run = recorded("healthy")
    lines = [line | ({"epoch": 4.0} if "epoch" in line else {}) for line in run.lines]
    assert what_limited(Curve.of(lines), replace(run.facts, most_epochs=4.0)) == "text"
    assert what_limited(Curve.of(lines), replace(run.facts, most_epochs=4.3)) == "text"
    assert what_limited(Curve.of(lines), replace(run.facts, most_epochs=40.0)) == "time"


def test_a_run_whose_curve_came_to_rest_had_enough_of_both() -> None:
    run = recorded("healthy")
    lines = [dict(line) for line in run.lines]
    for line in lines:
        if "val_loss" in line:
            line["val_loss"] = line["train_sample_loss"] = 3.0 + 3.0 * 0.5 ** (line["step"] / 60)
    assert what_limited(Curve.of(lines), run.facts) == "neither"
    assert any("larger model" in line for line in conclude(lines, run.facts))


@pytest.mark.parametrize("name", NAMES)
def test_the_last_words_are_few_and_end_with_commands_of_this_run(name: str) -> None:
    run = recorded(name)
    lines = conclude(run.lines, run.facts, prompt='The "old" king')
    assert 5 <= len(lines) <= 6
    assert all(len(line) <= 360 and "nan" not in line for line in lines)
    commands = [shlex.split(line.split("   ")[0]) for line in lines[lines.index("Next:") + 1 :]]
    assert commands[0] == ["bajka", "generate", "runs/mine", "The 'old' king"]
    assert all(command[0] == "bajka" and "runs/mine" in command for command in commands)


def test_a_run_short_of_time_is_told_how_to_go_on_and_one_short_of_text_is_not() -> None:
    healthy, overfitted = recorded("healthy"), recorded("overfitting")
    assert any("--minutes" in line for line in conclude(healthy.lines, healthy.facts))
    said = conclude(overfitted.lines, overfitted.facts)
    assert not any("--minutes" in line for line in said)
    assert any("--add" in line for line in said)


def test_an_expectation_of_bits_per_byte_is_compared_with_what_came() -> None:
    run = recorded("healthy")
    came = min(line["val_bits_per_byte"] for line in run.lines if "val_loss" in line)
    for interval, word in (((came + 0.1, came + 0.3), "better than"), ((came - 0.3, came - 0.1), "worse than")):
        assert word in conclude(run.lines, replace(run.facts, expected_bits_per_byte=interval))[0]
    worse = conclude(run.lines, replace(run.facts, expected_bits_per_byte=(came - 0.1, came - 0.0004)))[0]
    assert f"worse than expected ({came - 0.1:.3f} to {came - 0.0004:.3f})" in worse
    assert ", as expected" in conclude(run.lines, replace(run.facts, expected_bits_per_byte=(came, came + 0.1)))[0]


def test_the_last_tenth_of_a_run_is_told_as_such_however_far_apart_its_evaluations_are() -> None:
    run = recorded("healthy")
    last = run.lines[-1]["step"]
    lines = [dict(line) for line in run.lines]
    for line in lines:
        if "val_loss" in line:
            line["val_loss"] = line["train_sample_loss"] = 6 - 2 * line["step"] / last
    said = " ".join(conclude(lines, run.facts))
    assert "the last tenth of the run still lowered the validation loss by 0.20, to 4.00" in said


def test_a_run_in_minutes_is_told_how_many_steps_were_planned() -> None:
    run = recorded("healthy")
    assert "steps" not in conclude(run.lines, run.facts)[0]
    assert "steps (planned about 1,000)" in conclude(run.lines, replace(run.facts, minutes=5.0, expected_steps=1000))[0]


def test_speed_that_was_not_measured_is_not_spoken_of() -> None:
    run = recorded("healthy")
    lines = [{name: value for name, value in line.items() if name != "tokens_per_second"} for line in run.lines]
    assert "tokens a second" not in conclude(lines, run.facts)[0]


def test_a_run_that_hardly_began_gets_no_last_words() -> None:
    run = recorded("healthy")
    assert conclude(run.lines[:1], run.facts) == []
    assert conclude([], run.facts) == []
