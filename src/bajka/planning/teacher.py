"""Whether a run gets a teacher: a first network of its own, trained on the text alone, that the second one learns from too.

Where a text is read often enough before the time is over, the rest of the time is worth more than further readings, which
would only teach it by heart (docs/experiments.md, "A teacher").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bajka.config import Settings
from bajka.errors import SettingsError
from bajka.model import ModelConfig
from bajka.model.estimate import parameters
from bajka.planning.expectation import Expectation
from bajka.planning.looks import plan_looks
from bajka.planning.machine import fits
from bajka.planning.outlook import LAST_SECONDS, Outlook
from bajka.planning.shape import MOST_READINGS, YOURS, Choices

OWN = "own"
"""The teacher that is trained first, on the same texts."""

TOKENS = (20_000, 500_000)
"""Training tokens of texts on which a teacher brings something: of 12,000 it knows too little, larger ones were not tried."""

SLOWER = 1.2
"""Seconds of a step with a teacher of the same shape over those of one without."""

FEWEST_READINGS = 3.0
"""Readings for which time must be left behind the teacher's."""

MOST_OF_THE_TIME = 0.8
"""Share of the time that a teacher may take, where it was asked for."""

SHARE = 0.8
"""Of what a run learns: what its teacher expects; the rest is the text."""

GAIN = 0.035
"""Share by which the bits per byte are lower with a teacher of its own."""


@dataclass(frozen=True)
class TeacherPlan:
    """`model` is `OWN` or a MODEL, whose expectations are `share` of what is learnt; one of its own is trained for so many
    `epochs`, which take so many `seconds`."""

    model: str
    share: float
    epochs: float = 0.0
    seconds: float = 0.0

    def bytes_beside(self, model: ModelConfig) -> int:
        """Memory beside a training step of this shape: the teacher's weights, in fp32; while one of its own is trained, the
        network waits with its optimizer's two numbers for each."""
        return (12 if self.model == OWN else 4) * parameters(model)


def plan_teacher(outlook: Outlook, model: ModelConfig, c: Choices) -> tuple[TeacherPlan | None, Outlook]:
    """The teacher of a run of this shape, and what lies ahead of the run then."""
    wish = outlook.settings.train.teacher
    if wish == "none" or (wish is None and not (teacher_pays(outlook, model) and _has_time(outlook, model))):
        _refuse_share(outlook.settings)
        if wish is not None:
            c.reasons["teacher"] = YOURS
        return None, outlook
    why = (
        "time is left when this text was read often enough: a first network is trained, and a second learns from it too"
    )
    name = c.take("teacher", wish, OWN, why)
    if name == OWN and not outlook.fresh:
        raise SettingsError(
            f"teacher = {OWN} trains two networks from the beginning, but --from was given: name a MODEL as the teacher, or "
            "leave --teacher out."
        )
    share = float(c.take("teacher_share", outlook.settings.train.teacher_share, SHARE, "the rest is the text itself"))
    taught = replace(outlook, taught=True, speed=replace(outlook.speed, slower=SLOWER))
    if name != OWN:
        return TeacherPlan(name, share), taught
    seconds = _seconds(outlook, model)
    if outlook.seconds is not None:
        if seconds > MOST_OF_THE_TIME * outlook.seconds:
            enough = math.ceil((seconds / MOST_OF_THE_TIME + LAST_SECONDS) / 6) / 10
            raise SettingsError(
                f"teacher = {OWN} reads the text {MOST_READINGS:g} times, which takes about {seconds:,.0f} s here, and "
                f"{outlook.seconds:,.0f} s are left for it and for the model itself. Give some --minutes {enough + 0.5:g}, a "
                "smaller --n-layer and --n-embd, or leave --teacher out."
            )
        taught = replace(taught, seconds=outlook.seconds - seconds)
    return TeacherPlan(OWN, share, MOST_READINGS, seconds), taught


def _refuse_share(settings: Settings) -> None:
    """Raise `SettingsError` for a share of no teacher."""
    if settings.train.teacher_share is not None:
        raise SettingsError(
            f"teacher_share = {settings.train.teacher_share:g}, but this run has no teacher. Set --teacher {OWN} or --teacher "
            "MODEL, or leave it out."
        )


def with_teacher(
    teacher: TeacherPlan | None, alone: Outlook, model: ModelConfig, batch: int, tokens: float
) -> Expectation | None:
    """The expectation of a run that sees so many `tokens`: what is expected of its teacher, lowered by what a second network
    gains; of a teacher that was given nothing is known."""
    if teacher is None:
        return alone.expectation(model, tokens, steps=max(1, round(tokens / (batch * model.context_length))))
    if teacher.model != OWN:
        return None
    steps = _steps(alone, model, batch)
    found = alone.expectation(model, steps * batch * model.context_length, steps=steps)
    return None if found is None else found.lowered(GAIN)


def teacher_pays(outlook: Outlook, model: ModelConfig) -> bool:
    """Whether a run in minutes is one of those that a teacher was tried for, if it has the time, and both fit into memory."""
    length, train, speed = outlook.settings.schedule, outlook.settings.train, outlook.speed
    usual = (
        outlook.fresh
        and outlook.seconds is not None
        and TOKENS[0] <= outlook.facts.train_tokens <= TOKENS[1]
        and outlook.settings.model.family == "modern"
        and outlook.speed.machine.kind == "cpu"
        and train.windows == "packed"
        and not train.mix
        and train.teacher in (None, OWN)
        and length.most_epochs is None
        and length.early_stopping is None
        and length.average in (None, "none")
    )
    beside, rows = TeacherPlan(OWN, SHARE).bytes_beside(model), outlook.sequences(model)
    return usual and fits(model, speed.optimizer, speed.machine, outlook.settings, rows, beside=beside)


def _has_time(outlook: Outlook, model: ModelConfig) -> bool:
    """Whether the time is enough for a teacher of this shape and a run that is worth it."""
    tokens = outlook.tokens(model)
    return tokens is not None and tokens >= (MOST_READINGS + SLOWER * FEWEST_READINGS) * outlook.facts.train_tokens


def _seconds(outlook: Outlook, model: ModelConfig) -> float:
    """Seconds that the teacher takes, evaluations included."""
    batch, speed = outlook.sequences(model), outlook.speed
    steps = _steps(outlook, model, batch)
    looks = plan_looks(
        outlook.settings, outlook.facts, model, speed, steps=steps, batch=batch, in_minutes=True, c=Choices()
    )
    return steps * speed.step_seconds(model, batch) * (1 + looks.share)


def _steps(outlook: Outlook, model: ModelConfig, batch: int) -> int:
    """Steps of the teacher's epochs."""
    return math.ceil(MOST_READINGS * outlook.windows_per_epoch(model) / batch)
