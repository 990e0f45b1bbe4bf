"""Signals in their hundreds: one of them loses no step, a second Ctrl-C no checkpoint, and none of them a bit."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from fork_server import NO_FAULT, Ended, Fault
from killing import assert_same_end
from shooting_range import BASE, ShootingRange, count, saved_step

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the fork server needs fork")

INT, TERM, HUP, STOP, CONT = (getattr(signal, f"SIG{name}", 0) for name in ("INT", "TERM", "HUP", "STOP", "CONT"))
KINDS: dict[str, tuple[int, ...]] = {
    "Ctrl-C": (INT,),
    "kill": (TERM,),
    "terminal closed": (HUP, HUP),
    "shutdown": (TERM, HUP),
    "Ctrl-C twice": (INT, INT),
    "kill and Ctrl-C": (TERM, INT),
    "Ctrl-C four times": (INT, INT, INT, INT),
    "suspended": (STOP, CONT, INT),
}


def aimed(kind: str, draw: random.Random) -> Fault:
    """The signals of a kind, the first within some milliseconds after a step, the next ones soon after it.

    After every fourth step that is inside a save.
    """
    gap = 0.1 if kind == "suspended" else 0.02
    delays = [draw.uniform(0.0, 0.015), *(draw.uniform(0.0, gap) for _ in KINDS[kind][1:])]
    step = draw.randint(1, int(BASE["steps"]) - 1)
    return Fault(tuple(zip(delays, map(int, KINDS[kind]), strict=True)), f"step {step}")


def signal_and_go_on(place: ShootingRange, recipe: str, *, signals: int, seed: int) -> int:
    """Runs that get signals and are started again until so many were sent; each finished run is compared."""
    draw, sent, runs = random.Random(f"{recipe} {seed}"), 0, 0
    whole, _ = place.whole(recipe)
    while sent < signals:
        runs += 1
        out = place.run(f"{recipe}-signals-{seed}-{runs}")
        ended = Ended(-1)
        while ended.code:
            kind = draw.choice(list(KINDS))
            ended = place.start(recipe, out, aimed(kind, draw) if sent < signals else NO_FAULT)
            sent += bool(ended.sent)
            check(kind, ended, out)
        assert_same_end(bajka.open_run(out), whole, same_saves=False)
    return sent


def check(kind: str, ended: Ended, out: Path) -> None:
    """The exit code is that of a signal, and of the steps that were told none is lost but to a second Ctrl-C."""
    if not ended.code:
        return
    numbers = [number for number in KINDS[kind] if number not in (STOP, CONT)]
    saved = saved_step(RunFolder(out))
    assert "Traceback" not in ended.errors
    if ended.code == 130 and INT in numbers[1:]:  # at once: perhaps inside the save
        return
    assert saved == ended.steps[-1], (kind, ended)
    # Two that wait together are seen in the order of their numbers; the very last may come when all is done.
    assert ended.code in (*(128 + number for number in numbers), *(-number for number in numbers[1:])), (kind, ended)


@pytest.mark.parametrize("recipe", ["cosine"])
def test_a_few_signals_lose_no_step_and_change_no_bit(place: ShootingRange, recipe: str, record_property: Any) -> None:
    count(record_property, signal_and_go_on(place, recipe, signals=10, seed=1))


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("recipe", ["muon", "seldom", "bf16"])
def test_three_hundred_signals_lose_no_step_and_change_no_bit(
    place: ShootingRange, recipe: str, record_property: Any
) -> None:
    count(record_property, signal_and_go_on(place, recipe, signals=100, seed=2))
