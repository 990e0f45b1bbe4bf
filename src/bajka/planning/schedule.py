"""The learning rate as a share of its peak: a function of the step, the length, and at most one decision of the clock.

A run measured in minutes does not know its number of steps. The clock therefore decides once, at a step, when the
cooldown begins and how many steps it lasts; the decision is written to `plan.json` before it takes effect and replayed
on resume. Under it, "cosine" and "linear" are cooldowns that begin as soon as the speed is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
class Patience:
    """Looks at the validation loss every `every_steps` steps; `over` once `patience` looks in a row brought nothing.

    Looks have their own interval, apart from evaluations, because what follows from them changes the weights.
    """

    every_steps: int
    patience: int
    best: float = math.inf
    waited: int = 0

    @property
    def over(self) -> bool:
        """Whether it waited for longer than it was willing to."""
        return self.waited > self.patience

    def look(self, loss: float) -> bool:
        """Take notice of a validation loss (nats); gives whether patience is over."""
        if loss < self.best - 1e-4:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        return self.over

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, in JSON's types."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state; the interval and the patience may have been changed since."""
        self.best = math.inf if state["best"] is None else float(state["best"])
        self.waited = int(state["waited"])


@dataclass
class Plateau(Patience):
    """Reduce on plateau: when patience is over, the rate is multiplied by `factor`, and waiting begins anew."""

    factor: float = 0.5
    share: float = 1.0

    def look(self, loss: float) -> bool:
        """Take notice of a validation loss; gives whether the rate dropped."""
        if not super().look(loss):
            return False
        self.waited, self.share = 0, self.share * self.factor
        return True

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, in JSON's types."""
        return super().state() | {"share": self.share}

    def load(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        super().load(state)
        self.share = float(state["share"])
