"""The learning rate as a share of its peak: a function of the step, the length, and at most one decision of the clock.

A run measured in minutes does not know its number of steps. The clock therefore decides once, at a step, when the
cooldown begins and how many steps it lasts; the decision is written to `plan.json` before it takes effect and replayed
on resume. Under it, "cosine" and "linear" are cooldowns that begin as soon as the speed is known.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from bajka.config import ScheduleName


@dataclass(frozen=True)
class Cooldown:
    """The clock's decision: the cooldown begins after `begin` steps and lasts `steps` steps."""

    begin: int
    steps: int

    @property
    def end(self) -> int:
        """Steps of the whole run."""
        return self.begin + self.steps


@dataclass(frozen=True)
class Schedule:
    """Shape of the rate. `steps` is None while a run in minutes has not decided its cooldown."""

    name: ScheduleName
    warmup_steps: int
    cooldown_share: float
    final_rate_share: float
    steps: int | None

    def cooldown(self, decided: Cooldown | None) -> Cooldown | None:
        """When the rate falls: as decided by the clock, or as the length says; None while it is open."""
        if decided is not None or self.steps is None:
            return decided
        match self.name:
            case "wsd":
                length = round(self.cooldown_share * self.steps)
            case "cosine" | "linear":
                length = self.steps - min(self.warmup_steps, self.steps)
            case "constant" | "plateau":
                length = 0
        return Cooldown(self.steps - length, length)

    def share(self, step: int, decided: Cooldown | None) -> float:
        """The rate of update number `step` (from 0), as a share of the peak, in [0, 1]."""
        rate = min(1.0, (step + 1) / (self.warmup_steps + 1))
        cooldown = self.cooldown(decided)
        if cooldown is None or cooldown.steps == 0 or step < cooldown.begin:
            return rate
        done = min(1.0, (step - cooldown.begin + 1) / (cooldown.steps + 1))
        left = 0.5 * (1.0 + math.cos(math.pi * done)) if self.name == "cosine" else 1.0 - done
        return rate * (self.final_rate_share + (1.0 - self.final_rate_share) * left)

    @property
    def clock_share(self) -> float:
        """For a run in minutes: the share of the time after which the clock decides."""
        match self.name:
            case "wsd":
                return 1.0 - self.cooldown_share
            case "cosine" | "linear":
                return 0.05
            case "constant" | "plateau":
                return 0.9


@dataclass
class Plateau:
    """Reduce on plateau: the rate is multiplied by `factor` when the validation loss has not improved for `patience`
    looks. Its looks have their own interval, because they change the weights."""

    every_steps: int
    patience: int
    factor: float
    best: float = math.inf
    waited: int = 0
    share: float = 1.0

    def look(self, loss: float) -> bool:
        """Take notice of a validation loss; gives whether the rate dropped."""
        if loss < self.best - 1e-4:
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited <= self.patience:
            return False
        self.waited, self.share = 0, self.share * self.factor
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, in JSON's types."""
        return asdict(self) | {"best": self.best if math.isfinite(self.best) else None}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state; the interval and the rules may have been changed since."""
        self.best = math.inf if state["best"] is None else float(state["best"])
        self.waited, self.share = int(state["waited"]), float(state["share"])
