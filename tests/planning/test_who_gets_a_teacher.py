"""Which runs get a teacher by themselves, and which wishes for one are refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bajka.errors import ResourceError, SettingsError
from bajka.model.estimate import parameters
from bajka.planning.outlook import LAST_SECONDS
from bajka.planning.plan import Plan, describe, make_plan
from bajka.planning.shape import MOST_READINGS, MOST_READINGS_TAUGHT
from bajka.planning.teacher import TeacherPlan
from bajka.planning.wishes import check_fit
from bajka.settings import settings_with
from made_up import MACHINE, RATES, TEXT, plan_of
from tiny import tiny_config

LITTLE = replace(TEXT, train_tokens=60_000, validation_tokens=7000, bytes=150_000)


def test_little_text_with_time_left_gets_a_teacher_and_the_time_of_both_is_told() -> None:
    alone, taught = plan_of(LITTLE, minutes=10, teacher="none"), plan_of(LITTLE, minutes=10)
    assert alone.teacher is None
    assert taught.teacher is not None
    assert taught.teacher.model == "own"
    assert taught.model == alone.model
    assert taught.expected_epochs == pytest.approx(MOST_READINGS_TAUGHT, rel=0.02)
    assert taught.model.dropout == 0
    assert taught.expected_memory_bytes > alone.expected_memory_bytes + 12 * parameters(alone.model)
    before = alone.expected_seconds - LAST_SECONDS - 5
    assert taught.teacher.seconds == pytest.approx(before, rel=0.1)
    assert taught.expected_seconds > before * (1 + MOST_READINGS_TAUGHT / MOST_READINGS)
    assert "a second learns from it too" in taught.reasons["teacher"]
    assert f": a teacher (3 epochs, about {taught.teacher.seconds:.0f} s), then {taught.expected_steps:,} steps at" in (
        "\n".join(describe(taught))
    )
    assert Plan.from_dict(json.loads(json.dumps(taught.as_dict()))) == taught


@pytest.mark.parametrize(
    "wishes",
    [
        {"minutes": 10, "most_epochs": 3},
        {"minutes": 10, "windows": "documents"},
        {"minutes": 10, "early_stopping": 3},
        {"minutes": 10, "family": "gpt2"},
        {"epochs": 3},
        {"steps": 100},
    ],
)
def test_nothing_else_gets_a_teacher_by_itself(wishes: dict[str, Any]) -> None:
    assert plan_of(LITTLE, **wishes).teacher is None
    assert plan_of(LITTLE, **wishes, teacher="own").teacher is not None


def test_a_teacher_that_was_asked_for_and_leaves_no_time_is_refused_with_the_minutes_that_would_do() -> None:
    wishes: dict[str, Any] = {"n_layer": 6, "n_embd": 384}
    assert plan_of(LITTLE, minutes=0.5, **wishes).teacher is None
    with pytest.raises(
        SettingsError, match=r"teacher = own trains two networks, .* Give some --minutes [\d.]+, a smaller"
    ) as caught:
        plan_of(LITTLE, minutes=0.5, teacher="own", **wishes)
    offered = re.search(r"--minutes ([\d.]+)", str(caught.value))
    assert offered is not None
    assert plan_of(LITTLE, minutes=float(offered[1]), teacher="own", **wishes).teacher is not None


@pytest.mark.parametrize(
    "wishes", [{}, {"family": "gpt2"}, {"windows": "documents"}, {"early_stopping": 3}, {"most_epochs": 20}]
)
def test_the_minutes_that_are_offered_to_whoever_wants_a_teacher_do(wishes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="teacher = own trains two networks") as caught:
        plan_of(minutes=0.2, teacher="own", **wishes)
    offered = re.search(r"--minutes ([\d.]+)", str(caught.value))
    assert offered is not None
    plan = plan_of(minutes=float(offered[1]), teacher="own", **wishes)
    assert plan.teacher is not None
    assert plan.expected_epochs > 2.5


def test_a_teacher_that_was_asked_for_leaves_time_in_the_choice_of_the_shape() -> None:
    much = replace(TEXT, train_tokens=2_000_000, bytes=8_000_000)
    taught = plan_of(much, minutes=20, teacher="own")
    assert parameters(taught.model) < parameters(plan_of(much, minutes=20).model)
    assert taught.expected_epochs > 3


def test_readings_that_were_planned_and_then_fixed_keep_the_teacher() -> None:
    plan = plan_of(LITTLE, minutes=10)
    assert plan.most_epochs == MOST_READINGS_TAUGHT
    fixed = plan_of(LITTLE, minutes=10, most_epochs=plan.most_epochs)
    assert fixed.teacher == plan.teacher
    assert fixed.expected_steps == plan.expected_steps


def test_windows_that_overlap_make_the_teachers_epochs_fewer() -> None:
    plan = plan_of(LITTLE, minutes=60, teacher="own", windows="sliding", stride=32, context_length=128, n_embd=64)
    assert plan.teacher is not None
    assert plan.teacher.epochs == pytest.approx(MOST_READINGS / 4, rel=0.01)


def test_of_too_few_readings_beside_a_teacher_nothing_is_expected() -> None:
    assert plan_of(LITTLE, epochs=5, teacher="own").expectation is not None
    assert plan_of(LITTLE, epochs=1, teacher="own").expectation is None


def test_a_teacher_of_the_texts_alone_is_refused_beside_other_texts() -> None:
    with pytest.raises(SettingsError, match="teacher = own is trained on the texts themselves, but --mix adds others"):
        plan_of(LITTLE, minutes=10, teacher="own", mix=["poems=0.3"])


def test_a_teacher_that_was_given_costs_what_it_is() -> None:
    small, large = (tiny_config("modern", n_layer=depth) for depth in (2, 8))
    wish = settings_with(steps=100, n_layer=2, n_embd=64, context_length=32, teacher="a/model")
    plans = [make_plan(wish, TEXT, MACHINE, rates=RATES, teacher=one) for one in (small, large)]
    needs = [plan.expected_memory_bytes for plan in plans]
    assert needs[1] - needs[0] == 4 * (parameters(large) - parameters(small))
    assert plans[1].expected_tokens_per_second < plans[0].expected_tokens_per_second


def test_the_nearest_shape_that_fits_leaves_room_for_the_teacher() -> None:
    small = replace(MACHINE, memory_bytes=2200 << 20)
    wishes: dict[str, Any] = {"steps": 500, "teacher": "own"}
    plan = plan_of(machine=small, n_layer=12, n_embd=768, **wishes)
    with pytest.raises(ResourceError) as caught:
        check_fit(plan, plan.expected_memory_bytes, small, imported=False)
    offered = {name: int(n) for name, n in re.findall(r"--(n-layer|n-embd|micro-batch-size) (\d+)", str(caught.value))}
    near = plan_of(machine=small, **wishes, **{name.replace("-", "_"): value for name, value in offered.items()})
    check_fit(near, near.expected_memory_bytes, small, imported=False)


def test_much_text_and_a_few_kilobytes_get_no_teacher_by_themselves() -> None:
    def teacher(tokens: int) -> TeacherPlan | None:
        return plan_of(replace(TEXT, train_tokens=tokens), minutes=6000, n_layer=6, n_embd=384).teacher

    assert teacher(1_100_000) is None
    assert teacher(900_000) is not None
    assert teacher(12_000) is None


def test_a_network_that_is_small_for_its_text_gets_no_teacher_but_a_larger_one_takes_its_time() -> None:
    text = replace(TEXT, train_tokens=700_000, bytes=1_900_000)
    short, long = plan_of(text, minutes=2), plan_of(text, minutes=60)
    assert short.teacher is None
    assert "its teacher" not in short.reasons["n_layer"]
    assert long.teacher is not None
    assert parameters(long.model) >= 2 * text.train_tokens
    assert plan_of(text, minutes=2, n_layer=2, n_embd=64).teacher is None, "though there is time for one"


def test_a_share_of_no_teacher_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"teacher_share = 0\.5, but this run has no teacher. Set --teacher own"):
        plan_of(LITTLE, minutes=0.5, teacher_share=0.5)
    with pytest.raises(SettingsError, match="this run has no teacher"):
        plan_of(LITTLE, minutes=10, teacher_share=0.5, teacher="none")
    taught = plan_of(LITTLE, minutes=10, teacher_share=0.5).teacher
    assert taught is not None
    assert taught.share == 0.5
