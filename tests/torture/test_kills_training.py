"""A thousand kills of training: at any time, inside saving and rotating, inside evaluating; none changes a bit."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.hardware import native_bf16
from fork_server import NO_FAULT, Ended, Fault
from killing import assert_same_end
from shooting_range import MOST_LOST, RECIPES, ShootingRange, count, saved_step

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the fork server needs fork")

A_FEW = {"muon": 25, "documents": 15}


def aimed(whole: Ended, draw: random.Random) -> Fault:
    """Six of ten uniform in time; the others inside an operation on the disk, just behind one, or while evaluating."""
    kill = int(signal.SIGKILL)
    match draw.choices(("time", "operation", "behind", "evaluating"), weights=(60, 15, 15, 10))[0]:
        case "time":
            return Fault(((draw.uniform(0.0, 0.7 * whole.seconds), kill),))  # the last third goes into the plots
        case "operation":
            return Fault(operation=draw.randint(1, whole.operations))
        case "behind":
            return Fault(((draw.uniform(0.0, 0.004), kill),), "disk", draw.randint(1, whole.operations))
        case _:
            looks = [step for step in whole.steps if step % 7 == 0]
            return Fault(((draw.uniform(0.0, 0.05), kill),), f"step {draw.choice(looks)}")


def kill_and_go_on(place: ShootingRange, recipe: str, *, kills: int, seed: int) -> int:
    """Runs of a recipe, killed and started again until so many kills hit; each finished run is compared."""
    draw, injected, runs = random.Random(f"{recipe} {seed}"), 0, 0
    whole, ended = place.whole(recipe)
    while injected < kills:
        runs += 1
        out = place.run(f"{recipe}-{seed}-{runs}")
        injected += to_the_end(place, recipe, out, aim=partial(aimed, ended, draw), most=kills - injected)
        assert_same_end(bajka.open_run(out), whole)
    return injected


def to_the_end(place: ShootingRange, recipe: str, out: Path, *, aim: Callable[[], Fault], most: int) -> int:
    """Start a run again and again until it is finished; gives how many kills it took on the way."""
    kills, saved = 0, -1
    while True:
        ended = place.start(recipe, out, aim() if kills < most else NO_FAULT)
        assert ended.killed or ended.code == 0, ended.errors
        if ended.steps:
            assert ended.steps[0] == max(saved, 0) + 1, "it did not go on from the last checkpoint"
        if not ended.killed:
            return kills
        kills, before, saved = kills + 1, saved, saved_step(RunFolder(out))
        assert saved >= before
        assert not ended.steps or ended.steps[-1] - saved <= MOST_LOST


@pytest.mark.parametrize("recipe", A_FEW)
def test_a_few_kills_at_random_moments_change_no_bit(place: ShootingRange, recipe: str, record_property: Any) -> None:
    count(record_property, kill_and_go_on(place, recipe, kills=A_FEW[recipe], seed=1))


def killed_at(place: ShootingRange, operation: int) -> bool:
    """A run that is killed before that operation and started again ends as one that was not; gives whether it hit."""
    out = place.run(f"cosine-at-{operation}")
    killed = place.start("cosine", out, Fault(operation=operation)).killed
    assert not killed or place.start("cosine", out).code == 0
    assert_same_end(bajka.open_run(out), place.whole("cosine")[0])
    return killed


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_kills_at_every_operation_after_the_last_step_leave_nothing_over(
    place: ShootingRange, record_property: Any
) -> None:
    place.whole("cosine")
    ended = place.start("cosine", place.run("cosine-counted"))  # as all later ones, on texts that are prepared
    first, last = ended.operations_before(f"step {ended.steps[-1]}"), ended.operations
    count(record_property, sum(killed_at(place, number) for number in range(first + 1, last + 1)))


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_thousand_kills_at_random_moments_change_no_bit(
    place: ShootingRange, recipe: str, record_property: Any
) -> None:
    if recipe == "bf16" and not native_bf16("cpu"):
        pytest.skip("this CPU has no native bf16")
    count(record_property, kill_and_go_on(place, recipe, kills=125, seed=2))
