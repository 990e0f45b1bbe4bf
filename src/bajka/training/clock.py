"""Active time: seconds since the command began, plus those of earlier sessions of the run. A closed lid does not count.

And the pace: what a step takes now, and what was spent on evaluations, saves and looks between steps.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Aside = Literal["evaluations", "saves", "looks"]
"""What is done between two steps: losses with samples, checkpoints, and losses that the rate or the end depends on."""

_SUDDEN = 3.0  # times the usual step: a GPU whose driver moves memory to the system's (WSL) instead of failing
_SETTLED = 30  # steps before that can be told
_WINDOW = 40  # steps that are remembered; the later half of them is the pace


@dataclass
class Clock:
    """A stopwatch over `now` (seconds; on Linux and macOS it stands still while the machine sleeps). `time.monotonic` is the
    same clock there, but on Windows it may tick only every 16 ms.

    `earlier` are the active seconds that a resumed run brings along, `began` is when this command started.
    """

    now: Callable[[], float] = time.perf_counter
    earlier: float = 0.0
    began: float = field(default=-1.0)

    def __post_init__(self) -> None:
        if self.began < 0:
            self.began = self.now()

    def seconds(self) -> float:
        """Active seconds so far."""
        return self.earlier + self.now() - self.began


def _lately() -> deque[float]:
    return deque(maxlen=3)


@dataclass
class Pace:
    """How long a step takes now, and what else costs how much, in seconds of the clock.

    `expected` is a step's time by the plan, or a second, for as long as none was timed. `started` is the active time when the
    first step was done, whose compiling and warming up say nothing of the others; `beside` is all that this sitting spent
    between steps. What was timed, and `started`, are saved with the state, so that a run that was killed decides as one that
    was not.
    """

    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    evaluations: deque[float] = field(default_factory=_lately)
    saves: deque[float] = field(default_factory=_lately)
    looks: deque[float] = field(default_factory=_lately)
    expected: float = 1.0
    started: float | None = None
    beside: float = 0.0
    slow: int = 0

    def stepped(self, seconds: float, *, at: float = 0.0) -> None:
        """A step took so long, its logging included; `at` is the active time now."""
        settled = len(self.recent) >= _SETTLED
        self.slow = self.slow + 1 if settled and seconds > _SUDDEN * self.typical() else 0
        self.recent.append(seconds)
        if self.started is None:
            self.started = at

    def spilling(self) -> bool:
        """Whether the last five steps took more than three times as long as those before; asked once, it begins anew."""
        if self.slow < 5:
            return False
        self.slow = 0
        self.recent.clear()
        return True

    def spent(self, what: Aside, seconds: float) -> None:
        """One evaluation, save or look took so long."""
        lately: deque[float] = getattr(self, what)
        lately.append(seconds)
        self.beside += seconds

    def usual(self, what: Aside) -> float:
        """Seconds of the median among the last three; none when there was none yet."""
        lately: deque[float] = getattr(self, what)
        return statistics.median(lately) if lately else 0.0

    def typical(self) -> float:
        """Seconds of the median step among the latest; there must be one."""
        latest = sorted(self._latest())
        return latest[len(latest) // 2]

    def mean(self) -> float:
        """Seconds of a step now, as planned before the first one. A single slow one counts for no more than two."""
        if not self.recent:
            return self.expected
        latest, most = self._latest(), 2 * self.typical()
        return sum(min(seconds, most) for seconds in latest) / len(latest)

    def _latest(self) -> list[float]:
        """The later half of what is remembered: it follows the machine, and soon forgets how the run got going."""
        return list(self.recent)[-max(1, len(self.recent) // 2) :]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, in JSON's types."""
        asides = {name: list(getattr(self, name)) for name in ("recent", "evaluations", "saves", "looks")}
        return asides | {"started": self.started}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over a saved state; that of an older run knows less."""
        for name in ("recent", "evaluations", "saves", "looks"):
            getattr(self, name).extend(state.get(name, ()))
        self.started = state.get("started", 0.0)
