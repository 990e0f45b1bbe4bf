"""`--minutes` with a clock that moves only at steps: killed at every operation on the disk around its decisions."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import pytest

import bajka
from fork_server import NO_FAULT, Ended, Fault
from killing import assert_same_end
from shooting_range import ShootingRange, count

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the fork server needs fork")

MINUTE: dict[str, Any] = {
    "minutes": 1,
    "warmup_steps": 2,
    "save_every_steps": 7,
    "evaluate_every_steps": 10,
    "dropout": 0.1,
}
SECONDS_A_STEP = [(0, 2.0), (19, 4.0)]  # it becomes slower in the cooldown, which begins at step 16
BEGUN, CORRECTED = "the cooldown begins", "steps fit into the minutes"


def start(place: ShootingRange, name: str, fault: Fault = NO_FAULT) -> Ended:
    wishes = MINUTE | {"out": str(place.run(f"clock-{name}"))}
    return place.server.train(place.texts, wishes, fault, step_seconds=SECONDS_A_STEP)


@pytest.fixture(scope="module")
def whole(place: ShootingRange) -> tuple[bajka.Run, Ended]:
    ended = start(place, "whole")
    assert ended.code == 0, ended.errors
    return bajka.open_run(place.run("clock-whole")), ended


def kill_at(place: ShootingRange, whole: tuple[bajka.Run, Ended], name: str, fault: Fault) -> None:
    """A run that is killed so decides as the undisturbed one, and ends with its bits."""
    assert start(place, name, fault).killed
    again = start(place, name)
    assert again.code == 0, again.errors
    run = bajka.open_run(place.run(f"clock-{name}"))
    assert run.plan["clock"] == whole[0].plan["clock"]
    assert_same_end(run, whole[0])


@pytest.mark.parametrize("decision", [BEGUN, CORRECTED])
@pytest.mark.parametrize("after", [-3, 1])
def test_a_kill_around_a_decision_of_the_clock_changes_no_bit(
    place: ShootingRange, whole: tuple[bajka.Run, Ended], decision: str, after: int
) -> None:
    said = whole[1].operations_before(decision)  # by then it was written, in some five operations
    kill_at(place, whole, f"{decision.split()[-1]}{after}", Fault(operation=said + after))


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("decision", [BEGUN, CORRECTED])
def test_kills_at_every_operation_around_a_decision_change_no_bit(
    place: ShootingRange, whole: tuple[bajka.Run, Ended], decision: str, record_property: Any
) -> None:
    said = whole[1].operations_before(decision)
    places = range(said - 12, said + 40)
    for number in places:
        kill_at(place, whole, f"{decision.split()[-1]}-at-{number}", Fault(operation=number))
    count(record_property, len(places))


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_kills_at_any_time_of_a_run_in_minutes_change_no_bit(
    place: ShootingRange, whole: tuple[bajka.Run, Ended], record_property: Any
) -> None:
    draw, kills, runs = random.Random(5), 0, 0
    while kills < 50:
        runs += 1
        name = f"any-{runs}"
        while start(place, name, Fault(((draw.uniform(0, whole[1].seconds), int(signal.SIGKILL)),))).killed:
            kills += 1
        assert_same_end(bajka.open_run(place.run(f"clock-{name}")), whole[0])
    count(record_property, kills)
