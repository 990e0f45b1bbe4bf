"""Keeping to `--minutes`: what the rest of a run will cost, and the decisions that follow from it.

The first decision begins the cooldown and says how many steps it lasts. When the machine turns out slower or faster,
because of other programs, heat, or a compiled step that is ready, later ones correct how many steps are left. Each
stands in plan.json before it takes effect, and a run that is taken up before it repeats it at its step.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bajka.planning.schedule import Cooldown, Decision, Schedule, read_decisions, write_decisions
from bajka.training.clock import Pace

if TYPE_CHECKING:
    from bajka.training.session import Session

_LAST_WORDS = (
    2.0  # seconds from the last evaluation to the end: two plots took 0.9 s on two cores, leaving Python 1.3 s
)
_TOLERANCE = 0.1  # of the time that is left: what the end may be off before it is corrected, ...
_CLOSE = 0.01  # ... and of the whole time, below which nothing is corrected
_STANDS = 0.2  # of the time, or of the steps, that were left at a decision: so long it stands, ...
_STANDS_LEAST = 0.01  # ... and so much of the whole time
_FALLEN = 0.1  # of the peak: where the rate should be at the last step, ...
_OVERTIME = 0.05  # ... even when the time is over, as long as it costs no more than this share of it


@dataclass(frozen=True)
class Rhythm:
    """After how many steps it is evaluated, saved and looked; saves may come by seconds instead."""

    evaluate: int
    save: int | None = None
    save_seconds: float = math.inf
    look: int | None = None

    def seconds(self, pace: Pace, step: int, count: int) -> float:
        """What `count` more steps cost, and what is done between them, from the end of step `step` on.

        Without the last evaluation and save; with those that are due at `step` itself.
        """
        stepping = count * pace.mean()
        evaluations = _times(self.evaluate, step, count)
        if self.save is None:
            saves = max(evaluations, int(stepping / self.save_seconds))
        else:
            both = _times(math.lcm(self.save, self.evaluate), step, count)
            saves = evaluations + _times(self.save, step, count) - both
        looks = 0 if self.look is None else _times(self.look, step, count)
        asides = evaluations * pace.usual("evaluations") + saves * pace.usual("saves") + looks * pace.usual("looks")
        return stepping + asides


def _times(every: int, step: int, count: int) -> int:
    """Multiples of `every` from `step` on, before `step + count`."""
    return (step + count - 1) // every - (step - 1) // every if count > 0 else 0


def ending(pace: Pace) -> float:
    """Seconds from the last step to the end: what it took lately to evaluate and to save, then the plots."""
    return pace.usual("evaluations") + pace.usual("saves") + _LAST_WORDS


@dataclass(frozen=True)
class Minutes:
    """A run's `budget` of seconds, and what is known of its speed; it ends after `most_steps`, though time may be left."""

    budget: float
    schedule: Schedule
    pace: Pace
    rhythm: Rhythm
    most_steps: int | None = None

    def decide(self, step: int, elapsed: float, decisions: Sequence[Decision]) -> Decision | None:
        """What is to be decided after step `step`, `elapsed` seconds into the run; mostly nothing."""
        left = self._corrected(step, elapsed, decisions) if decisions else self._begin(step, elapsed)
        return None if left is None else Decision(step, left, round(elapsed, 3))

    @property
    def usable(self) -> float:
        """When the last step should be over."""
        return self.budget - ending(self.pace)

    def _begin(self, step: int, elapsed: float) -> int | None:
        """Steps of a cooldown that begins now, or None before its moment.

        The moment is a share of the time since training started; the warm-up is finished first if that is soon.
        """
        started = self.pace.started or 0.0
        share = (elapsed - started) / max(self.usable - started, 1e-9)
        moment = (
            self.schedule.clock_share if step >= self.schedule.warmup_steps else max(self.schedule.clock_share, 0.5)
        )
        if self.most_steps is not None:
            share = max(share, step / self.most_steps)
        if elapsed < self.usable and share < moment:
            return None
        return max(self._fitting(step, self.usable - elapsed), self._needed(step, fallen=0.0))

    def _corrected(self, step: int, elapsed: float, decisions: Sequence[Decision]) -> int | None:
        """Steps that are left now, or None while the end is close enough to that of the time, or was just corrected."""
        last, time_left = decisions[-1], self.usable - elapsed
        before = last.step + last.left - step
        stands = max(_STANDS * (self.usable - last.seconds), _STANDS_LEAST * self.budget)
        if elapsed < last.seconds + stands and step < last.step + max(1.0, _STANDS * last.left):
            return None
        off = abs(self.rhythm.seconds(self.pace, step, before) - time_left)
        if off < max(_TOLERANCE * time_left, _CLOSE * self.budget):
            return None
        cooldown = Cooldown.decided(decisions)
        assert cooldown is not None
        needed = min(before, self._needed(step, fallen=cooldown.progress(step - 1)))
        left = max(self._fitting(step, time_left), needed)
        return None if left == before else left

    def _fitting(self, step: int, seconds: float) -> int:
        """How many steps fit into so many seconds, to the nearest one."""
        a_step = max(self.pace.mean(), 1e-6)
        most = range(max(0, int(seconds / a_step)) + 2)
        count = bisect_right(most, seconds + a_step / 2, key=lambda count: self.rhythm.seconds(self.pace, step, count))
        allowed = count if self.most_steps is None else self.most_steps - step
        return max(0, min(count - 1, allowed))

    def _needed(self, step: int, *, fallen: float) -> int:
        """Steps in which the rate falls from where it stands to a tenth of its peak, if they can be paid for."""
        if self.schedule.final_rate_share >= 1.0:
            return 0
        steps = math.ceil((1.0 - fallen) / _FALLEN - 1e-9) - 1
        return max(0, min(steps, self._fitting(step, _OVERTIME * self.budget)))


# -- in a session ------------------------------------------------------------------------------------------------


def keep_to_minutes(session: Session) -> None:
    """After a step: take the decision that is due, if one is, and write it down before it takes effect.

    Those of before a crash are replayed; new ones come after the last of them. The first process decides for all.
    """
    plan, state, world = session.plan, session.state, session.world
    clock = session.plan_file["clock"] or {}
    state.cooldown = Cooldown.decided(read_decisions(clock, until=state.step))
    if plan.minutes is None:
        return
    decisions = read_decisions(clock)
    if state.ended(plan.schedule) or (decisions and decisions[-1].step > state.step):
        return
    most = plan.most_steps
    if clock.get("patience") and state.cooldown is not None:  # early stopping let the rate fall: it ends no later
        most = min(state.cooldown.end, most or state.cooldown.end)
    minutes = Minutes(60 * plan.minutes, plan.schedule, session.pace, rhythm(session), most)
    wanted = minutes.decide(state.step, session.clock.seconds(), decisions) if world.speaks else None
    if not world.agree(wanted is not None):
        return
    decision: Decision = world.first(lambda: _certain(wanted))
    before = None if state.cooldown is None else state.cooldown.end - state.step
    decisions.append(decision)
    session.plan_file["clock"] = clock | write_decisions(decisions)
    world.first(lambda: session.run.write_plan(session.plan_file))
    state.cooldown = Cooldown.decided(decisions)
    session.log.say(_said(decision, before, falls=plan.schedule.name not in ("constant", "plateau")))


def _certain(decision: Decision | None) -> Decision:
    assert decision is not None
    return decision


def _said(decision: Decision, before: int | None, *, falls: bool) -> str:
    if before is None and falls:
        return f"Step {decision.step:,}: the cooldown begins and lasts {decision.left:,} steps."
    if before is None:
        return f"Step {decision.step:,}: the time is over in {decision.left:,} steps."
    more = "more" if decision.left > before else "fewer"
    return (
        f"Step {decision.step:,}: {more} steps fit into the minutes than thought: {decision.left:,} to go instead of "
        f"{before:,}."
    )


def seconds_left(session: Session, end: int) -> float:
    """Seconds to the step `end` by the pace of now."""
    step = session.state.step
    return rhythm(session).seconds(session.pace, step, max(0, end - step))


def save_seconds(session: Session) -> float:
    """Seconds between saves; where nobody set them, saves of a large model are so far apart that they take a fiftieth."""
    saving = session.settings.train
    wait = 60 * saving.save_every_minutes
    return wait if "save_every_minutes" in saving.model_fields_set else max(wait, 50 * session.pace.usual("saves"))


def rhythm(session: Session) -> Rhythm:
    """How often a session does what."""
    saving = session.settings.train
    spoken = (session.plan_file["clock"] or {}).get("patience")  # early stopping looks no more
    lookers = (session.state.plateau, None if spoken else session.state.stopper)
    looking = [one.every_steps for one in lookers if one is not None]
    return Rhythm(
        session.plan.evaluate_every_steps,
        save=saving.save_every_steps,
        save_seconds=save_seconds(session),
        look=min(looking, default=None),
    )
