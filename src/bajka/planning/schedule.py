"""The learning rate as a share of its peak: a function of the step, the length, and the decisions of the clock.

A run measured in minutes does not know its number of steps. The clock therefore decides at a step when the cooldown
begins and how many steps it lasts, and corrects its end when the speed of the machine has changed. Each decision is
written to `plan.json` before it takes effect and replayed on resume. Under the clock, "cosine" and "linear" are
cooldowns that begin as soon as the speed is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bajka.config import ScheduleName, Settings

DEFAULT_MINUTES = 5.0


def planned_minutes(settings: Settings) -> float | None:
    """Minutes of a run: those that were set, five when no length was set, None for a run in steps or epochs."""
    schedule = settings.schedule
    if schedule.steps is not None or schedule.epochs is not None:
        return None
    return float(schedule.minutes or DEFAULT_MINUTES)


@dataclass(frozen=True)
class Decision:
    """Of the clock, after `step` steps and `seconds` of active time: from there the run has `left` more steps."""

    step: int
    left: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Cooldown:
    """The rate falls after `begin` steps, for `steps` steps; each correction places the end anew, from its step on."""

    begin: int
    steps: int
    corrections: tuple[Decision, ...] = ()

    @classmethod
    def decided(cls, decisions: Sequence[Decision]) -> Cooldown | None:
        """What the clock decided: the first decision is the begin, the others correct it. None when there is none."""
        if not decisions:
            return None
        return cls(decisions[0].step, decisions[0].left, tuple(decisions[1:]))

    @property
    def end(self) -> int:
        """Steps of the whole run."""
        last = self.corrections[-1] if self.corrections else Decision(self.begin, self.steps)
        return last.step + last.left

    def progress(self, step: int) -> float:
        """How far the rate has fallen at update number `step` (from 0), in [0, 1]: even between two decisions, and a
        correction goes on from where the one before it stood."""
        done, begin, steps = 0.0, self.begin, self.steps
        for one in self.corrections:
            if one.step > step:
                break
            done += (1.0 - done) * min(1.0, (one.step - begin) / (steps + 1))
            begin, steps = one.step, one.left
        return done + (1.0 - done) * min(1.0, max(0, step - begin + 1) / (steps + 1))


def read_decisions(clock: Mapping[str, Any] | None, *, until: int | None = None) -> list[Decision]:
    """The decisions in what plan.json holds under "clock", those after step `until` left out.

    Plans of older runs have one decision, in the words `begin` and `steps`.
    """
    if not clock:
        return []
    found = [Decision(**one) for one in clock.get("decisions", ())] or [Decision(clock["begin"], clock["steps"])]
    return [one for one in found if until is None or one.step <= until]


def write_decisions(decisions: Sequence[Decision]) -> dict[str, Any]:
    """What plan.json holds of decisions, of which there is at least one: where the cooldown begins, for how many steps
    in all as far as is known now, and each decision."""
    cooldown = Cooldown.decided(decisions)
    assert cooldown is not None
    steps = cooldown.end - cooldown.begin
    return {"begin": cooldown.begin, "steps": steps, "decisions": [asdict(one) for one in decisions]}


@dataclass(frozen=True)
class Schedule:
    """Shape of the rate. `steps` is None while a run in minutes has not decided its cooldown."""

    name: ScheduleName
    warmup_steps: int
    cooldown_share: float
    final_rate_share: float
    steps: int | None

    def cooldown(self, decided: Cooldown | None) -> Cooldown | None:
        """When the rate falls: as the clock decided, or as the length says; None while it is open."""
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
        cooldown = self.cooldown(decided)
        if cooldown is None or cooldown.steps == 0 or step < cooldown.begin:
            return self._warm(step)
        done = cooldown.progress(step)
        left = 0.5 * (1.0 + math.cos(math.pi * done)) if self.name == "cosine" else 1.0 - done
        return self._warm(cooldown.begin) * (self.final_rate_share + (1.0 - self.final_rate_share) * left)

    def _warm(self, step: int) -> float:
        """The share that the warm-up allows; a cooldown that begins before its end falls from there."""
        return min(1.0, (step + 1) / (self.warmup_steps + 1))

    @property
    def clock_share(self) -> float:
        """For a run in minutes: the share of the time for training after which the cooldown begins."""
        match self.name:
            case "wsd":
                return 1.0 - self.cooldown_share
            case "cosine" | "linear":
                return 0.05
            case "constant" | "plateau":
                return 0.9


@dataclass
class Patience:
    """Looks at the validation loss every `every_steps` steps; `over` once more than `patience` looks in a row brought nothing.

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
