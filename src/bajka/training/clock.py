"""Active time: seconds since the command began, plus those of earlier sessions of the run. A closed lid does not count."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bajka.planning.schedule import Cooldown, Schedule

_SUDDEN = 3.0  # times the usual step: a GPU whose driver moves memory to the system's (WSL) instead of failing


@dataclass
class Clock:
    """A stopwatch over `now` (seconds, monotonic; on Linux and macOS it stands still while the machine sleeps).

    `earlier` are the active seconds that a resumed run brings along, `began` is when this command started.
    """

    now: Callable[[], float] = time.monotonic
    earlier: float = 0.0
    began: float = field(default=-1.0)

    def __post_init__(self) -> None:
        if self.began < 0:
            self.began = self.now()

    def seconds(self) -> float:
        """Active seconds so far."""
        return self.earlier + self.now() - self.began


@dataclass
class Pace:
    """How long a step takes now, in seconds of the clock, and how much is spent beside the steps; the last evaluation.

    It is saved with the state, so that a run that was killed decides as one that was not.
    """

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    stepping: float = 0.0
    beside: float = 0.0
    slow: int = 0
    evaluation: float = 1.0

    def stepped(self, seconds: float) -> None:
        """A step took so long, its logging included."""
        full = len(self.recent) == self.recent.maxlen
        self.slow = self.slow + 1 if full and seconds > _SUDDEN * self.typical() else 0
        self.recent.append(seconds)
        self.stepping += seconds

    def spilling(self) -> bool:
        """Whether the last five steps took more than three times as long as those before; asked once, it begins anew."""
        if self.slow < 5:
            return False
        self.slow = 0
        self.recent.clear()
        return True

    def typical(self) -> float:
        """Seconds of the median step among the recent ones; there must be one."""
        return sorted(self.recent)[len(self.recent) // 2]

    def spent_beside(self, seconds: float) -> None:
        """Evaluating, sampling and saving took so long."""
        self.beside += seconds

    def mean(self) -> float:
        """Seconds of a recent step, on average; a second before the first one."""
        return sum(self.recent) / len(self.recent) if self.recent else 1.0

    def whole(self) -> float:
        """Seconds of a step now, with its share of evaluations, samples and saves."""
        if not self.recent:
            return 1.0
        typical = self.typical()
        share = self.beside / self.stepping if self.stepping > 0 else 0.0
        return min(max(typical, self.mean()), 1.5 * typical) * (1 + share)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, in JSON's types."""
        return {**vars(self), "recent": list(self.recent)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over a saved state."""
        self.recent.extend(state["recent"])
        self.stepping, self.beside, self.evaluation = state["stepping"], state["beside"], state["evaluation"]


def decide_cooldown(
    schedule: Schedule, *, step: int, elapsed: float, budget: float, step_seconds: float, reserve: float
) -> Cooldown | None:
    """The clock's one decision, once its moment has come: enough steps to fill what is left of `budget` seconds.

    `step_seconds` is what a step takes, its share of evaluations and saves included; `reserve` is kept for the last
    evaluation and save. Before the moment: None.
    """
    usable = budget - reserve
    if elapsed < schedule.clock_share * usable or (step < schedule.warmup_steps and elapsed < usable):
        return None
    return Cooldown(step, max(0, int((usable - elapsed) / max(step_seconds, 1e-6))))
