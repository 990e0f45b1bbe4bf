"""A run in minutes without its training: steps, evaluations and saves are seconds, the clock's decisions are real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bajka.planning.schedule import Cooldown, Decision, Schedule
from bajka.training.clock import Pace
from bajka.training.minutes import Minutes, Rhythm, ending


def schedule(name: Any = "wsd", **changes: Any) -> Schedule:
    numbers: dict[str, Any] = {"warmup_steps": 5, "cooldown_share": 0.5, "final_rate_share": 0.0, "steps": None}
    return Schedule(name=name, **numbers | changes)


@dataclass
class Simulated:
    """`speed(seconds)` is what a step takes that begins at so many seconds of the run."""

    budget: float
    speed: Callable[[float], float]
    schedule: Schedule = field(default_factory=schedule)
    rhythm: Rhythm = field(default_factory=lambda: Rhythm(evaluate=50, save_seconds=180.0))
    preparation: float = 0.0
    first_step: float = 0.0
    evaluation: Callable[[float], float] = lambda seconds: 0.0
    save: float = 0.0
    decisions: list[Decision] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    most_steps: int | None = None

    def go(self) -> float:
        """The seconds at its end, the last evaluation, save and plots included."""
        self.pace, self.time, step = Pace(), self.preparation, 0
        minutes = Minutes(self.budget, self.schedule, self.pace, self.rhythm, self.most_steps)
        self._beside()
        while (cooldown := Cooldown.decided(self.decisions)) is None or step < cooldown.end:
            self.rates.append(self.schedule.share(step, cooldown))
            took = self.speed(self.time) + (0.0 if step else self.first_step)
            self.time, step = self.time + took, step + 1
            self.pace.stepped(took, at=self.time)
            cooldown = Cooldown.decided(self.decisions)
            if (cooldown is None or step < cooldown.end) and (one := minutes.decide(step, self.time, self.decisions)):
                self.decisions.append(one)
                cooldown = Cooldown.decided(self.decisions)
            if step % self.rhythm.evaluate == 0 and (cooldown is None or step < cooldown.end):
                self._beside()
        self._beside()
        return self.time + ending(Pace())

    def _beside(self) -> None:
        self.pace.spent("saves", self.save)
        self.pace.spent("evaluations", self.evaluation(self.time))
        self.time += self.save + self.evaluation(self.time)

    @property
    def falling(self) -> list[float]:
        """The rates from the cooldown's first step on."""
        return self.rates[self.decisions[0].step :]
