"""The rate at every step, against formulas written out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bajka.planning.schedule import Cooldown, Decision, Plateau, Schedule, read_decisions, write_decisions


def schedule(name: Any, **changes: Any) -> Schedule:
    numbers: dict[str, Any] = {"warmup_steps": 3, "cooldown_share": 0.5, "final_rate_share": 0.1, "steps": 20}
    return Schedule(name=name, **numbers | changes)


@pytest.mark.parametrize("name", ["wsd", "cosine", "linear", "constant", "plateau"])
def test_the_rate_rises_evenly_over_the_warmup(name: str) -> None:
    rates = [schedule(name).share(step, None) for step in range(3)]
    assert rates == [1 / 4, 2 / 4, 3 / 4]


def test_wsd_is_flat_and_then_falls_evenly_to_the_final_share() -> None:
    wsd = schedule("wsd")
    assert all(wsd.share(step, None) == 1.0 for step in range(3, 10))
    for step in range(10, 20):
        assert wsd.share(step, None) == pytest.approx(0.1 + 0.9 * (1 - (step - 9) / 11))


def test_cosine_falls_along_half_a_cosine_from_the_end_of_the_warmup() -> None:
    cosine = schedule("cosine")
    for step in range(3, 20):
        half = 0.5 * (1 + math.cos(math.pi * (step - 2) / 18))
        assert cosine.share(step, None) == pytest.approx(0.1 + 0.9 * half)


def test_linear_falls_evenly_from_the_end_of_the_warmup() -> None:
    linear = schedule("linear", final_rate_share=0.0)
    for step in range(3, 20):
        assert linear.share(step, None) == pytest.approx(1 - (step - 2) / 18)


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_a_constant_rate_never_falls_with_time(name: str) -> None:
    assert [schedule(name, final_rate_share=1.0).share(step, None) for step in (3, 10, 19)] == [1.0, 1.0, 1.0]


def test_the_rate_is_never_above_one_nor_below_zero_for_odd_lengths() -> None:
    for name in ("wsd", "cosine", "linear", "constant"):
        for length in (1, 2, 3, 7):
            short = schedule(name, steps=length, final_rate_share=0.0)
            assert all(0.0 < short.share(step, None) <= 1.0 for step in range(length))


def test_a_run_of_unknown_length_stays_flat_until_the_clock_decides() -> None:
    wsd = schedule("wsd", steps=None)
    assert wsd.cooldown(None) is None
    assert wsd.share(1000, None) == 1.0


def test_the_clocks_decision_places_the_cooldown() -> None:
    wsd, decided = schedule("wsd", steps=None, final_rate_share=0.0), Cooldown(begin=40, steps=9)
    assert wsd.share(39, decided) == 1.0
    assert [wsd.share(step, decided) for step in (40, 44, 48)] == pytest.approx([0.9, 0.5, 0.1])
    assert decided.end == 49


@pytest.mark.parametrize(("name", "share"), [("wsd", 0.5), ("cosine", 0.05), ("linear", 0.05), ("constant", 0.9)])
def test_each_schedule_says_when_the_clock_decides(name: str, share: float) -> None:
    assert schedule(name).clock_share == share


DECIDED = [Decision(40, 9, 80.5), Decision(44, 9, 90.25), Decision(50, 1, 99.0)]


def test_a_correction_places_the_end_anew_and_the_rate_goes_on_evenly_from_where_it_stands() -> None:
    wsd, decided = schedule("wsd", steps=None, final_rate_share=0.0), Cooldown.decided(DECIDED[:2])
    assert decided is not None
    assert (decided.begin, decided.end) == (40, 53)
    rates = [wsd.share(step, decided) for step in range(40, 53)]
    assert rates[:4] == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert rates[4:] == pytest.approx([0.6 * (1 - n / 10) for n in range(1, 10)])


@pytest.mark.parametrize("name", ["wsd", "cosine", "linear"])
def test_however_often_the_end_is_corrected_the_rate_never_rises(name: str) -> None:
    open_end, decided = schedule(name, steps=None), Cooldown.decided(DECIDED)
    assert decided is not None
    assert decided.end == 51
    rates = [open_end.share(step, decided) for step in range(39, 51)]
    assert rates == sorted(rates, reverse=True)
    before = [open_end.share(step, Cooldown.decided(DECIDED[:1])) for step in range(39, 44)]
    assert rates[:5] == before, "what was before a correction stays as it was"


def test_a_corrected_cosine_goes_on_along_half_a_cosine() -> None:
    cosine, decided = schedule("cosine", steps=None, final_rate_share=0.0), Cooldown.decided(DECIDED[:2])
    assert cosine.share(46, decided) == pytest.approx(0.5 * (1 + math.cos(math.pi * (0.4 + 0.6 * 0.3))))


def test_a_cooldown_that_begins_in_the_warmup_falls_from_there() -> None:
    wsd = schedule("wsd", steps=None, warmup_steps=9, final_rate_share=0.0)
    assert [wsd.share(step, Cooldown(4, 4)) for step in (4, 5, 6, 7)] == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_decisions_come_back_from_what_plan_json_holds() -> None:
    written = json.loads(json.dumps(write_decisions(DECIDED)))
    assert (written["begin"], written["steps"]) == (40, 11), "where the rate begins to fall, and for how long in all"
    assert read_decisions(written) == DECIDED
    assert read_decisions(written, until=44) == DECIDED[:2]
    assert read_decisions(None) == []
    assert Cooldown.decided([]) is None


def test_the_one_decision_of_an_older_run_is_read_too() -> None:
    assert read_decisions({"begin": 40, "steps": 9}) == [Decision(40, 9)]
    assert read_decisions({"begin": 40, "steps": 9}, until=39) == []


def test_plateau_halves_the_rate_only_after_its_patience() -> None:
    plateau = Plateau(every_steps=10, patience=2, factor=0.5)
    assert [plateau.look(loss) for loss in (3.0, 2.0, 2.0, 2.1)] == [False] * 4  # the best, then two of patience
    assert plateau.look(2.05)
    assert plateau.share == 0.5


def test_plateau_waits_anew_after_each_fall_and_each_improvement() -> None:
    plateau = Plateau(every_steps=10, patience=1, factor=0.5)
    looks = [plateau.look(loss) for loss in (2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0)]
    assert looks == [False, False, True, False, False, False, True]
    assert plateau.share == 0.25


def test_an_improvement_by_rounding_is_none() -> None:
    plateau = Plateau(every_steps=10, patience=0, factor=0.5, best=2.0)
    assert plateau.look(2.0 - 1e-6)


def test_a_plateau_comes_back_from_its_state_but_with_the_rules_of_now() -> None:
    plateau = Plateau(every_steps=10, patience=0, factor=0.5)
    assert plateau.state()["best"] is None, "JSON has no infinity"
    plateau.look(2.0)
    plateau.look(2.5)
    changed = Plateau(every_steps=5, patience=4, factor=0.1)
    changed.load(plateau.state())
    assert (changed.best, changed.waited, changed.share) == (2.0, 0, 0.5)
    assert (changed.every_steps, changed.patience, changed.factor) == (5, 4, 0.1)
