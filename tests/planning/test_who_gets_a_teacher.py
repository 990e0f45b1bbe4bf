"""Which runs get a teacher by themselves, and which wishes for one are refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bajka.errors import SettingsError
from bajka.model.estimate import parameters
from bajka.planning.outlook import LAST_SECONDS
from bajka.planning.plan import Plan, describe
from bajka.planning.shape import MOST_READINGS, MOST_READINGS_TAUGHT
from made_up import TEXT, plan_of

LITTLE = replace(TEXT, train_tokens=60_000, validation_tokens=7000, bytes=150_000)


def test_little_text_with_time_left_gets_a_teacher_and_the_time_of_both_is_told() -> None:
    alone, taught = plan_of(LITTLE, minutes=10, teacher="none"), plan_of(LITTLE, minutes=10)
    assert alone.teacher is None
    assert taught.teacher is not None
    assert taught.teacher.model == "own"
    assert taught.model == alone.model
    assert taught.expected_epochs == pytest.approx(MOST_READINGS_TAUGHT, rel=0.02)
    assert taught.model.dropout == 0
    assert taught.expected_memory_bytes == alone.expected_memory_bytes + 12 * parameters(alone.model)
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
        SettingsError, match=r"teacher = own reads the text 3 times, .* Give some --minutes [\d.]+, a smaller"
    ) as caught:
        plan_of(LITTLE, minutes=0.5, teacher="own", **wishes)
    offered = re.search(r"--minutes ([\d.]+)", str(caught.value))
    assert offered is not None
    assert plan_of(LITTLE, minutes=float(offered[1]), teacher="own", **wishes).teacher is not None


def test_much_text_and_a_few_kilobytes_get_no_teacher_by_themselves() -> None:
    assert plan_of(replace(TEXT, train_tokens=600_000), minutes=600, n_layer=2, n_embd=64).teacher is None
    assert plan_of(replace(TEXT, train_tokens=12_000), minutes=600, n_layer=2, n_embd=64).teacher is None


def test_a_share_of_no_teacher_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"teacher_share = 0\.5, but this run has no teacher. Set --teacher own"):
        plan_of(LITTLE, minutes=0.5, teacher_share=0.5)
    with pytest.raises(SettingsError, match="this run has no teacher"):
        plan_of(LITTLE, minutes=10, teacher_share=0.5, teacher="none")
    taught = plan_of(LITTLE, minutes=10, teacher_share=0.5).teacher
    assert taught is not None
    assert taught.share == 0.5
