"""`--minutes` with a clock that only the test moves: the decisions, their moments, and that no crash changes them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.training.steps import StepReport
from jobs import together
from tiny_runs import HandClock, Stopped, Watcher, bits, checkpoints, go_on, tales_file, train_tiny

SECONDS_A_STEP = 2.0


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


class Paced(Watcher):
    """Every step takes two seconds of the hand's clock, or what `slow` says from a step on, every evaluation as many as
    told; may crash at a step, or (`crash_when`) when these words are said."""

    def __init__(
        self,
        hand: HandClock,
        *,
        evaluation: float = 0.0,
        crash: int = -1,
        crash_when: str = "",
        run: Path | None = None,
        slow: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__(self.advance)
        self.hand, self.evaluation, self.crash, self.run = hand, evaluation, crash, run
        self.crash_when, self.slow = crash_when, slow or {}
        self.plan_when_said = ""

    def advance(self, report: StepReport) -> None:
        begun = [seconds for step, seconds in self.slow.items() if step <= report.step]
        self.hand.time += begun[-1] if begun else SECONDS_A_STEP
        if report.step == self.crash:
            raise Stopped

    def say(self, line: str) -> None:
        super().say(line)
        if "validation loss" in line and "Step" in line:
            self.hand.time += self.evaluation
        if "the cooldown begins" in line and self.run is not None:
            self.plan_when_said = (self.run / "plan.json").read_text()
            if self.crash == 0:
                raise Stopped
        if self.crash_when and self.crash_when in line:
            raise Stopped


def paced(texts: Path, out: Path, view: Paced, **wishes: Any) -> bajka.Run:
    return train_tiny(
        texts, view, out=str(out), clock=view.hand.stopwatch(), **{"warmup_steps": 2, "dropout": 0.1, **wishes}
    )


def crash(texts: Path, out: Path, **how: Any) -> Paced:
    view = Paced(HandClock(), run=out, **how)
    with pytest.raises(Stopped):
        paced(texts, out, view, minutes=1)
    return view


@pytest.fixture(scope="module")
def minute(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bajka.Run, Paced]:
    """A finished run of one minute, and what was seen of it."""
    out = tmp_path_factory.mktemp("minute") / "run"
    view = Paced(HandClock(), run=out)
    return paced(texts, out, view, minutes=1), view


@pytest.fixture
def finished(minute: tuple[bajka.Run, Paced], tmp_path: Path) -> bajka.Run:
    """A copy of that run."""
    return bajka.open_run(shutil.copytree(minute[0].path, tmp_path / "finished"))


def test_the_active_time_is_what_was_asked(minute: tuple[bajka.Run, Paced]) -> None:
    run, view = minute
    assert view.hand.time == pytest.approx(60, rel=0.1)
    assert run.plan["finished"]["seconds"] == pytest.approx(view.hand.time, abs=0.1)


@pytest.mark.parametrize("schedule", ["cosine"])
def test_every_schedule_keeps_the_time(texts: Path, tmp_path: Path, schedule: str) -> None:
    hand = HandClock()
    paced(texts, tmp_path / "run", Paced(hand), minutes=1, schedule=schedule)
    assert hand.time == pytest.approx(60, rel=0.1)


def test_evaluations_count_too_and_get_their_share(texts: Path, tmp_path: Path) -> None:
    hand = HandClock()
    paced(texts, tmp_path / "run", Paced(hand, evaluation=4.0), minutes=2, evaluate_every_steps=5)
    assert hand.time == pytest.approx(120, rel=0.1)


def test_time_spent_before_training_counts(texts: Path, tmp_path: Path) -> None:
    class Slow(Paced):
        def say(self, line: str) -> None:
            super().say(line)
            self.hand.time += 20.0 if line.startswith("Machine") else 0.0

    hand = HandClock()
    view = Slow(hand)
    paced(texts, tmp_path / "run", view, minutes=1)
    assert hand.time == pytest.approx(60, rel=0.1)
    assert view.reports[-1].step == pytest.approx(20, abs=2)


def test_the_rate_is_flat_until_the_decision_and_falls_to_nothing_after_it(minute: tuple[bajka.Run, Paced]) -> None:
    decided = minute[0].plan["clock"]
    rates = [report.learning_rate for report in minute[1].reports]
    assert decided["begin"] == pytest.approx(0.5 * len(rates), abs=2)
    assert rates[2 : decided["begin"]] == [0.02] * (decided["begin"] - 2)
    assert rates[decided["begin"] :] == sorted(rates[decided["begin"] :], reverse=True)
    assert rates[-1] < 0.002
    assert len(rates) == decided["begin"] + decided["steps"]


def test_the_decision_stands_in_plan_json_before_it_takes_effect_and_is_said(minute: tuple[bajka.Run, Paced]) -> None:
    decided = minute[0].plan["clock"]
    assert json.loads(minute[1].plan_when_said)["clock"] == decided
    assert f"Step {decided['begin']:,}: the cooldown begins and lasts {decided['steps']:,} steps." in minute[1].lines


def test_a_crash_right_after_the_decision_does_not_change_it(texts: Path, tmp_path: Path) -> None:
    view = crash(texts, tmp_path / "run", crash=0)
    decided = json.loads(view.plan_when_said)["clock"]
    again = Paced(HandClock())
    run = paced(texts, tmp_path / "run", again, minutes=1)
    assert run.plan["clock"] == decided
    assert again.reports[0].step <= decided["begin"], "it went on from a checkpoint before the decision"
    assert again.reports[-1].step == decided["begin"] + decided["steps"]
    assert "the cooldown begins" not in again.text


def test_a_run_in_minutes_that_crashed_gives_the_bits_of_one_that_made_the_same_decision(
    texts: Path, minute: tuple[bajka.Run, Paced], tmp_path: Path
) -> None:
    for step in (0, 21, 26):
        crash(texts, tmp_path / "torn", crash=step)
    torn = paced(texts, tmp_path / "torn", Paced(HandClock()), minutes=1)
    assert torn.plan["clock"] == minute[0].plan["clock"]
    assert bits(torn) == bits(minute[0])


def test_a_run_that_crashed_before_its_decision_decides_as_one_that_did_not(
    texts: Path, minute: tuple[bajka.Run, Paced], tmp_path: Path
) -> None:
    for step in (3, 9, minute[0].plan["clock"]["begin"] - 1):
        crash(texts, tmp_path / "torn", crash=step)
    torn = paced(texts, tmp_path / "torn", Paced(HandClock()), minutes=1)
    assert torn.plan["clock"] == minute[0].plan["clock"]
    assert bits(torn) == bits(minute[0])


# -- corrections -------------------------------------------------------------------------------------------------

CORRECTED = "steps fit into the minutes than thought"
OFTEN: dict[str, Any] = {"minutes": 2, "save_every_steps": 3}


@pytest.fixture(scope="module")
def slowed(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bajka.Run, Paced]:
    """A finished run of two minutes whose steps take twice as long soon after its cooldown began."""
    view = Paced(HandClock(), slow={35: 4.0})
    return paced(texts, tmp_path_factory.mktemp("slowed") / "run", view, **OFTEN), view


@pytest.mark.parametrize(("at", "seconds"), [(10, 4.0), (35, 1.0), (35, 4.0), (50, 1.0), (50, 4.0)])
@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_a_machine_that_becomes_slower_or_faster_keeps_the_time(
    texts: Path, tmp_path: Path, at: int, seconds: float, schedule: str
) -> None:
    view = Paced(HandClock(), slow={at: seconds})
    paced(texts, tmp_path / "run", view, minutes=2, schedule=schedule, save_every_steps=100)
    assert view.hand.time == pytest.approx(120, rel=0.05)


def test_a_corrected_rate_falls_on_from_where_it_stood(slowed: tuple[bajka.Run, Paced]) -> None:
    decisions = slowed[0].plan["clock"]["decisions"]
    rates = [report.learning_rate for report in slowed[1].reports]
    assert len(decisions) > 1
    falling = rates[decisions[0]["step"] :]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] < 0.15 * 0.02
    assert slowed[1].reports[-1].step == decisions[-1]["step"] + decisions[-1]["left"]


def test_a_correction_is_said_with_its_numbers(slowed: tuple[bajka.Run, Paced]) -> None:
    first, second = slowed[0].plan["clock"]["decisions"][:2]
    before = first["step"] + first["left"] - second["step"]
    said = f"Step {second['step']}: fewer {CORRECTED}: {second['left']} to go instead of {before}."
    assert said in slowed[1].lines


@pytest.mark.parametrize("where", ["when it is said", "a step before", "a step after", "five after", "the begin"])
def test_a_crash_around_a_correction_changes_no_bit(
    texts: Path, slowed: tuple[bajka.Run, Paced], tmp_path: Path, where: str
) -> None:
    decisions = slowed[0].plan["clock"]["decisions"]
    step = decisions[1]["step"]
    steps = {"a step before": step - 1, "a step after": step + 1, "five after": step + 5}
    words = {"when it is said": CORRECTED, "the begin": "the cooldown begins"}
    torn = Paced(HandClock(), slow={35: 4.0}, crash=steps.get(where, -1), crash_when=words.get(where, ""))
    with pytest.raises(Stopped):
        paced(texts, tmp_path / "torn", torn, **OFTEN)
    run = paced(texts, tmp_path / "torn", Paced(HandClock(), slow={35: 4.0}), **OFTEN)
    assert run.plan["clock"] == slowed[0].plan["clock"]
    assert bits(run) == bits(slowed[0])


def test_decisions_beyond_the_checkpoint_are_repeated_at_their_steps_whatever_the_clock_says(
    texts: Path, tmp_path: Path
) -> None:
    seldom = {"minutes": 2, "save_every_steps": 1000, "evaluate_every_steps": 1000, "schedule": "cosine"}
    with pytest.raises(Stopped):  # the last checkpoint is that of step 0
        paced(texts, tmp_path / "run", Paced(HandClock(), slow={35: 4.0}, crash=45), **seldom)
    decided = bajka.open_run(tmp_path / "run").plan["clock"]["decisions"]
    assert len(decided) > 1
    again = Paced(HandClock(), slow={0: 0.5})
    run = paced(texts, tmp_path / "run", again, **seldom)
    assert again.reports[0].step == 1
    assert run.plan["clock"]["decisions"][: len(decided)] == decided
    assert run.plan["clock"]["decisions"][len(decided)]["step"] > decided[-1]["step"]
    rates = [report.learning_rate for report in again.reports[decided[0]["step"] :]]
    assert rates == sorted(rates, reverse=True)


def test_a_run_that_an_older_version_began_to_cool_down_goes_on(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        paced(texts, tmp_path / "run", Paced(HandClock(), crash=25), minutes=1)
    folder = RunFolder(tmp_path / "run")
    document = folder.plan
    document["clock"] = {"begin": document["clock"]["begin"], "steps": 12}
    folder.write_plan(document)
    run = paced(texts, tmp_path / "run", Paced(HandClock()), minutes=1)
    assert run.plan["clock"]["begin"] == document["clock"]["begin"]


TOGETHER = """
import json, sys
sys.path.append(sys.argv[3])
from tiny_runs import HandClock, Watcher, train_tiny

hand = HandClock()

class Paced(Watcher):
    def step(self, report, line):
        super().step(report, line)
        hand.time += 4.0 if report.step >= 20 else 2.0

train_tiny(sys.argv[1], Paced(), out=sys.argv[2], minutes=1, warmup_steps=2, clock=hand.stopwatch())
print(json.dumps(hand.time))
"""


def test_several_processes_decide_as_the_first_one_though_their_clocks_differ(texts: Path, tmp_path: Path) -> None:
    """The clock of the second process stands still: nothing is said there."""
    printed = together(TOGETHER, str(texts), str(tmp_path / "run"), str(Path(__file__).parents[1]))
    assert json.loads(printed[0]) == pytest.approx(60, rel=0.1)
    run = bajka.open_run(tmp_path / "run")
    assert len(run.plan["clock"]["decisions"]) > 1
    assert run.plan["finished"]["step"] == run.plan["clock"]["begin"] + run.plan["clock"]["steps"]


# -- time --------------------------------------------------------------------------------------------------------

YEAR = 365 * 86400.0


def test_a_calendar_that_jumps_by_years_changes_nothing(
    texts: Path, minute: tuple[bajka.Run, Paced], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jumping(Paced):
        def advance(self, report: StepReport) -> None:
            now = real() + (YEAR if report.step % 2 else -YEAR)
            monkeypatch.setattr(time, "time", lambda: now)
            for folder in (tmp_path / "run" / "checkpoints").glob("step-*"):
                os.utime(folder, (now, now))
            super().advance(report)

    real = time.time
    for crash in (9, 21, -1):
        view = Jumping(HandClock(), crash=crash)
        with pytest.raises(Stopped) if crash > 0 else nullcontext():
            paced(texts, tmp_path / "run", view, minutes=1)
    assert view.reports[0].step == 21, "it went on from step 20, the last that was saved"
    run = bajka.open_run(tmp_path / "run")
    assert bits(run) == bits(minute[0])
    assert checkpoints(run.folder) == checkpoints(minute[0].folder)


def test_an_hour_that_the_clock_counted_asleep_is_one_save_and_no_burst_of_them(texts: Path, tmp_path: Path) -> None:
    class Asleep(Paced):
        def advance(self, report: StepReport) -> None:
            super().advance(report)
            self.hand.time += 3600.0 if report.step == 5 else 0.0
            saved.append((RunFolder(tmp_path / "run").read_pointer("last") or {}).get("step"))

    saved: list[int | None] = []
    often = {
        "steps": 12,
        "schedule": "constant",
        "save_every_steps": None,
        "save_every_minutes": 10.0,
        "evaluate_every_steps": 100,
    }
    paced(texts, tmp_path / "run", Asleep(HandClock()), **often)
    assert saved == [0] * 5 + [5] * 7


def test_time_of_earlier_sittings_counts(texts: Path, tmp_path: Path) -> None:
    crash(texts, tmp_path / "run", crash=9)  # the last checkpoint is that of step 8: 16 seconds
    hand = HandClock()
    paced(texts, tmp_path / "run", Paced(hand), minutes=1)
    assert 16 + hand.time == pytest.approx(60, rel=0.1)


def test_a_finished_run_gets_as_many_minutes_again_from_before_its_cooldown(finished: bajka.Run) -> None:
    begin, view = finished.plan["clock"]["begin"], Paced(HandClock())
    longer = go_on(finished.path, view, minutes=1, clock=view.hand.stopwatch())
    assert view.hand.time == pytest.approx(60, rel=0.1)
    assert view.reports[0].step == begin + 1
    assert longer.plan["clock"]["begin"] > begin


def test_a_lengthening_in_minutes_that_crashed_in_its_cooldown_keeps_its_own_decision(finished: bajka.Run) -> None:
    first, second = Paced(HandClock(), crash=0, run=finished.path), Paced(HandClock())
    with pytest.raises(Stopped):
        go_on(finished.path, first, minutes=1, clock=first.hand.stopwatch())
    decided = finished.plan["clock"]
    longer = go_on(finished.path, second, minutes=1, clock=second.hand.stopwatch())
    assert longer.plan["clock"] == decided
    assert second.reports[-1].step == decided["begin"] + decided["steps"]


def test_a_budget_that_is_over_before_the_first_step_trains_one_step_and_saves(texts: Path, tmp_path: Path) -> None:
    run = paced(texts, tmp_path / "run", Paced(HandClock()), minutes=0.01)
    assert run.plan["finished"]["step"] == 1
    assert [line["step"] for line in run.metrics if "val_loss" in line] == [0, 1]
