"""Numbers out of a run's curve: its noise, where it is best, how it falls, what going on would bring.

Everything is robust (medians, ranks, absolute residuals) and estimates its noise from the curve itself: one odd point
decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Line = Mapping[str, Any]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The lines of metrics.jsonl, those of steps and those of evaluations apart; a missing number is NaN."""

    steps: Sequence[Line]
    evaluations: Sequence[Line]
    _known: dict[str, Values] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Curve:
        """Sort lines by what they tell of; those of something else are left out."""
        steps = [line for line in lines if "learning_rate" in line]
        return cls(steps, [line for line in lines if "val_loss" in line])

    def of_steps(self, name: str) -> Values:
        """A number of every step line; read once, for a long run has many."""
        if name not in self._known:
            self._known[name] = _column(self.steps, name)
        return self._known[name]

    def judged(self, name: str) -> Values:
        """A number of every evaluation."""
        return _column(self.evaluations, name)

    @cached_property
    def validation(self) -> Values:
        """Validation losses, in nats a token."""
        return self.judged("val_loss")

    @cached_property
    def sample(self) -> Values:
        """Losses on the sample of the training text, as often."""
        return self.judged("train_sample_loss")

    @property
    def best(self) -> int:
        """Index of the evaluation with the smallest validation loss."""
        return int(np.nanargmin(self.validation))

    def blocks(self, name: str, *, after: int = 0) -> list[Values]:
        """A number of the steps between two evaluations, from step `after` on; blocks of fewer than five are left out."""
        at, values = self.of_steps("step"), self.of_steps(name)
        borders = [after, *(int(step) for step in self.judged("step") if step > after)]
        found = [values[(at > low) & (at <= high)] for low, high in pairwise(borders)]
        return [block for block in (one[np.isfinite(one)] for one in found) if len(block) >= 5]


def _column(lines: Sequence[Line], name: str) -> Values:
    return np.array([np.nan if line.get(name) is None else line[name] for line in lines], dtype=np.float64)


def noise(values: Values) -> float:
    """Standard deviation of what is not trend, from second differences; infinite for fewer than five values.

    A bend counts as noise too: young curves are judged with more care.
    """
    if len(values) < 5:
        return float("inf")
    return 1.4826 * float(np.median(np.abs(np.diff(values, n=2)))) / 6.0**0.5


def slope(x: Values, y: Values) -> float:
    """The median of the slopes between all pairs of points (Theil, Sen)."""
    i, j = np.triu_indices(len(x), k=1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i]))) if len(x) > 1 else 0.0
