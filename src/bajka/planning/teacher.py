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
from bajka.model.estimate import flops_per_token, parameters
from bajka.planning.expectation import Expectation
from bajka.planning.looks import plan_looks
from bajka.planning.machine import fits
from bajka.planning.outlook import LAST_SECONDS, Outlook
from bajka.planning.shape import MOST_READINGS, MOST_READINGS_TAUGHT, YOURS, Choices

OWN = "own"
"""The teacher that is trained first, on the same texts."""

TOKENS = (20_000, 1_000_000)
"""Training tokens of texts on which a teacher brings something: of 12,000 it knows too little, 950,000 are the most that were
tried."""

WEIGHTS_A_TOKEN = 2.0
"""Weights of a network for each training token of its text, below which a larger one alone learns more in the same time than
this one with a teacher (docs/experiments.md, "A teacher")."""

SLOWER = 0.2
"""Of a step's time, what a teacher of the same shape takes beside it; another one takes as much more as it computes more."""

FEWEST_READINGS = 3.0
"""Readings for which time must be left behind the teacher's."""

MOST_READINGS_TRIED = 8.0
"""Readings that a run may be allowed (five at least) and still get a teacher by itself: eight were as good as five."""

SHARE = 0.8
"""Of what a run learns: what its teacher expects; the rest is the text."""

GAIN = 0.035
"""Share by which the bits per byte are lower with a teacher of its own."""


@dataclass(frozen=True)
class TeacherPlan:
    """`model` is `OWN` or a MODEL, whose expectations are `share` of what is learnt; one of its own is trained for so many
    `epochs`, which take so many `seconds`; one that was given has so many `weights`."""

    model: str
    share: float
    epochs: float = 0.0
    seconds: float = 0.0
    weights: int = 0

    def bytes_beside(self, model: ModelConfig) -> int:
        """Memory beside a training step of this shape: the teacher's weights, in fp32; while one of its own is trained, the
        network waits with its optimizer's two numbers for each."""
        return 12 * parameters(model) if self.model == OWN else 4 * self.weights


def plan_teacher(
    outlook: Outlook, model: ModelConfig, given: ModelConfig | None, c: Choices
) -> tuple[TeacherPlan | None, Outlook]:
    """The teacher of a run of this shape, and what lies ahead of the run then; `given` is the shape of one that was named."""
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
    if name == OWN:
        _refuse_own(outlook, model)
    share = float(c.take("teacher_share", outlook.settings.train.teacher_share, SHARE, "the rest is the text itself"))
    larger = 1.0 if given is None else flops_per_token(given) / flops_per_token(model)
    taught = replace(outlook, taught=True, speed=replace(outlook.speed, slower=1 + SLOWER * larger))
    if name != OWN:
        return TeacherPlan(name, share, weights=0 if given is None else parameters(given)), taught
    seconds = _seconds(outlook, model)
    if outlook.seconds is not None:
        taught = replace(taught, seconds=outlook.seconds - seconds)
    return TeacherPlan(OWN, share, _epochs(outlook, model), seconds), taught


def _refuse_own(outlook: Outlook, model: ModelConfig) -> None:
    """Raise `SettingsError` where a run cannot train its own teacher, or has no time for it."""
    train = outlook.settings.train
    if not outlook.fresh:
        raise SettingsError(
            f"teacher = {OWN} trains two networks from the beginning, but --from was given: name a MODEL as the teacher, or "
            "leave --teacher out."
        )
    if train.mix:
        raise SettingsError(
            f"teacher = {OWN} is trained on the texts themselves, but --mix adds others, of which it would know nothing: name "
            "a MODEL that has read both, give all of them as texts, or leave --teacher out."
        )
    if outlook.seconds is None or _has_time(outlook, model):
        return
    needed = _seconds(outlook, model) * (1 + (1 + SLOWER) * FEWEST_READINGS / MOST_READINGS)
    enough = math.ceil((1.1 * needed + LAST_SECONDS) / 6) / 10 + 0.5
    raise SettingsError(
        f"teacher = {OWN} trains two networks, which read the text {FEWEST_READINGS:g} times at least. That takes about "
        f"{needed:,.0f} s here, and {outlook.seconds:,.0f} s are left for it. Give some --minutes {enough:g}, a smaller "
        "--n-layer and --n-embd, or leave --teacher out."
    )


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
    gains that reads the text as often; of a teacher that was given, and of fewer readings, nothing is known."""
    if teacher is None:
        return alone.expectation(model, tokens, steps=max(1, round(tokens / (batch * model.context_length))))
    if teacher.model != OWN or tokens < 0.9 * FEWEST_READINGS * _reading(alone, model):
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
        and parameters(model) >= WEIGHTS_A_TOKEN * outlook.facts.train_tokens
        and outlook.settings.model.family == "modern"
        and outlook.speed.machine.kind == "cpu"
        and train.windows == "packed"
        and not train.mix
        and train.teacher in (None, OWN)
        and (length.most_epochs is None or MOST_READINGS_TAUGHT <= length.most_epochs <= MOST_READINGS_TRIED)
        and length.early_stopping is None
        and length.average in (None, "none")
    )
    beside, rows = TeacherPlan(OWN, SHARE).bytes_beside(model), outlook.sequences(model)
    return usual and fits(model, speed.optimizer, speed.machine, outlook.settings, rows, beside=beside)


def _has_time(outlook: Outlook, model: ModelConfig) -> bool:
    """Whether the time is enough for a teacher of this shape and a run that is worth it."""
    tokens, readings = outlook.tokens(model), MOST_READINGS + (1 + SLOWER) * FEWEST_READINGS
    return tokens is not None and tokens >= readings * _reading(outlook, model)


def _reading(outlook: Outlook, model: ModelConfig) -> float:
    """Training tokens in which all of the text is read once."""
    return outlook.windows_per_epoch(model) * model.context_length / outlook.readings_per_epoch(model)


def _seconds(outlook: Outlook, model: ModelConfig) -> float:
    """Seconds that the teacher takes, evaluations included."""
    batch, speed = outlook.sequences(model), outlook.speed
    steps = _steps(outlook, model, batch)
    looks = plan_looks(
        outlook.settings, outlook.facts, model, speed, steps=steps, batch=batch, in_minutes=True, c=Choices()
    )
    return steps * speed.step_seconds(model, batch) * (1 + looks.share)


def _epochs(outlook: Outlook, model: ModelConfig) -> float:
    """Epochs of the teacher, in which it reads the text `MOST_READINGS` times."""
    return MOST_READINGS / outlook.readings_per_epoch(model)


def _steps(outlook: Outlook, model: ModelConfig, batch: int) -> int:
    """Steps of the teacher's epochs."""
    return math.ceil(_epochs(outlook, model) * outlook.windows_per_epoch(model) / batch)
