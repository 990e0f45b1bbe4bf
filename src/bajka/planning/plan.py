"""The plan: what was worked out from settings, corpus and machine, every number with its reason.

What the person set is kept and the rest is planned around it. The plan is made before anything is allocated and saved
as `plan.json`; the settings stay what they were.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

from bajka.config import EvaluationSettings, Settings
from bajka.errors import DamagedFileError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.planning.expectation import Expectation
from bajka.planning.given_shape import imported_shape
from bajka.planning.looks import early_every, plan_looks
from bajka.planning.machine import (
    Speed,
    compile_pays,
    fits,
    plan_batch,
    plan_compile,
    plan_memory,
    tokens_a_step,
)
from bajka.planning.notes import plan_notes
from bajka.planning.outlook import LAST_SECONDS, Outlook
from bajka.planning.rates import Rates
from bajka.planning.recipe import (
    NO_AVERAGE,
    AveragePlan,
    Recipe,
    plan_average,
    plan_dropout,
    plan_optimizer,
    plan_recipe,
    plan_schedule,
)
from bajka.planning.schedule import Schedule, planned_minutes
from bajka.planning.shape import (
    MOST_READINGS,
    MOST_READINGS_TAUGHT,
    Choices,
    CorpusFacts,
    Judge,
    choose_shape,
)
from bajka.planning.teacher import OWN, TeacherPlan, plan_teacher, teacher_pays, with_teacher
from bajka.planning.telling import describe
from bajka.planning.wishes import FEWEST_STEPS, check_batch, check_time

__all__ = ["CorpusFacts", "Plan", "describe", "make_plan", "planned_minutes"]


@dataclass(frozen=True)
class Plan:
    """All numbers of a run. `reasons` has a sentence for each one that was worked out; `notes` are for the person."""

    model: ModelConfig
    recipe: Recipe
    schedule: Schedule
    minutes: float | None
    global_batch_size: int
    micro_batch_size: int
    windows: str
    stride: int | None
    seed: int
    evaluate_every_steps: int
    evaluation_windows: int
    compile: bool
    expected_steps: int
    expected_epochs: float
    expected_tokens_per_second: float
    expected_memory_bytes: int
    average: AveragePlan = NO_AVERAGE
    teacher: TeacherPlan | None = None
    early_stopping: int | None = None
    early_stopping_every_steps: int = 1
    gradient_checkpointing: bool = False
    loss_chunk: int | None = None
    first_look_step: int = 0
    most_epochs: float | None = None
    expected_seconds: float = 0.0
    evaluation_share: float = 0.0
    expected_bits_per_byte: dict[str, float] | None = None
    expectation: Expectation | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def most_steps(self) -> int | None:
        """Steps after which a run in minutes ends, though time may be left: those of `most_epochs`."""
        if self.most_epochs is None:
            return None
        return max(1, math.ceil(self.most_epochs * self.expected_steps / self.expected_epochs - 1e-6))

    def as_dict(self) -> dict[str, Any]:
        """JSON's types, for `plan.json`."""
        return asdict(replace(self, model=None)) | {"model": self.model.model_dump()}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Plan:
        """The plan that `as_dict` saved; raises `DamagedFileError` when it was altered."""
        try:
            known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
            known["model"] = ModelConfig(**value["model"])
            known["recipe"] = Recipe(**value["recipe"])
            known["schedule"] = Schedule(**value["schedule"])
            known["average"] = AveragePlan(**value["average"]) if "average" in value else NO_AVERAGE
            known["notes"] = tuple(value["notes"])
            if known.get("teacher") is not None:
                known["teacher"] = TeacherPlan(**value["teacher"])
            if known.get("expectation") is not None:
                known["expectation"] = Expectation(**value["expectation"])
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFileError(
                f"The plan in plan.json is not one that this version wrote ({error!r}): the run cannot be continued."
            ) from error


def make_plan(
    settings: Settings,
    facts: CorpusFacts,
    machine: Machine,
    *,
    rates: Rates,
    imported: ModelConfig | None = None,
    teacher: ModelConfig | None = None,
    spent: float = 5.0,
    processes: int = 1,
) -> Plan:
    """Work out everything that `settings` left open; `rates` are those measured on this machine.

    `imported` is the shape of the model that training starts from, `teacher` that of a given one; `spent` seconds are gone when
    training begins; `processes` share the work of a step, each as fast as measured.
    The same arguments give the same plan. Raises `CorpusError` when the text is too little for one window, `SettingsError`,
    `ResourceError` or `ModelError` for wishes that cannot be met, with the nearest that can.
    """
    c, fresh = Choices(), imported is None
    minutes = _minutes(settings, c)
    seconds = None if minutes is None else max(1.0, 60 * minutes - spent)
    compile_ = plan_compile(settings, machine, seconds, c)
    optimizer = plan_optimizer(settings, settings.model.family, Choices(), imported=not fresh)
    speed = Speed(rates, machine, optimizer, compile_, processes, forced=settings.hardware.compile == "on")
    outlook = Outlook(facts, settings, speed, seconds, fresh=fresh)
    if imported is None:
        model = choose_shape(settings, facts, machine, _judge(outlook, machine), c)
    else:
        model = imported_shape(settings, facts, imported, c)
    windows_per_epoch = outlook.windows_per_epoch(model)
    alone, (taught_by, outlook) = outlook, plan_teacher(outlook, model, teacher, c)
    speed, tokens = outlook.speed, outlook.seen(model)
    batch = _batch(outlook, model, tokens, c)
    check_batch(settings, batch, windows_per_epoch)
    steps = _steps(outlook, model, tokens, batch)
    if compile_ and settings.hardware.compile == "auto" and (why := _vain(outlook, model, batch, steps)):
        compile_, c.reasons["compile"] = False, why
        speed = replace(speed, compiled=False)
        outlook = replace(outlook, speed=speed)
    _check_time(outlook, model, batch, minutes, spent)
    steps = outlook.beside_looks(model, steps, batch)
    most_epochs = _most_epochs(settings, outlook, epochs := steps * batch / windows_per_epoch, c)
    readings = epochs * outlook.readings_per_epoch(model)
    if taught_by is not None:  # so often read beside a teacher, a text is as one that is read less often without
        readings *= MOST_READINGS / MOST_READINGS_TAUGHT
    model = plan_dropout(settings, model, readings, c, imported=not fresh)
    recipe = plan_recipe(settings, model, readings, steps, c, imported=not fresh)
    average = plan_average(settings, steps, epochs, c)
    beside, before = (taught_by.bytes_beside(model), taught_by.seconds) if taught_by else (0, 0.0)
    fitted = plan_memory(settings, model, recipe, average, machine, batch, compiled=compile_, beside=beside, c=c)
    looks = plan_looks(settings, facts, model, speed, steps=steps, batch=batch, in_minutes=minutes is not None, c=c)
    expectation = with_teacher(taught_by, alone, model, batch, steps * batch * model.context_length)
    training = steps * speed.step_seconds(model, batch) * (1 + looks.share)
    whole = spent + before + speed.compile_seconds(model) + training
    length = None if outlook.ends_early(model) else minutes
    return Plan(
        model=model,
        recipe=recipe,
        schedule=plan_schedule(settings, steps, minutes, c, imported=not fresh),
        minutes=minutes,
        global_batch_size=batch,
        micro_batch_size=fitted.micro_batch_size,
        windows=settings.train.windows,
        stride=settings.train.stride,
        seed=settings.train.seed,
        evaluate_every_steps=looks.every_steps,
        first_look_step=looks.first_step,
        most_epochs=most_epochs,
        evaluation_windows=looks.windows,
        compile=compile_,
        expected_steps=steps,
        expected_epochs=epochs,
        expected_tokens_per_second=speed.tokens_per_second(model, batch),
        expected_memory_bytes=fitted.bytes + beside,
        average=average,
        teacher=taught_by,
        early_stopping=settings.schedule.early_stopping,
        early_stopping_every_steps=settings.schedule.early_stopping_every_steps or early_every(settings, steps),
        gradient_checkpointing=fitted.gradient_checkpointing,
        loss_chunk=fitted.loss_chunk,
        expected_seconds=_seconds(length, whole),
        evaluation_share=looks.share,
        expected_bits_per_byte=None if expectation is None else expectation.bits_per_byte,
        expectation=expectation,
        reasons=c.reasons,
        notes=plan_notes(outlook, model, readings, spent=spent, expected=expectation is not None),
    )


def _minutes(settings: Settings, c: Choices) -> float | None:
    minutes = planned_minutes(settings)
    if minutes is not None:
        c.take("minutes", settings.schedule.minutes, minutes, "no length was given: a first look")
    return minutes


def _batch(outlook: Outlook, model: ModelConfig, tokens: float | None, c: Choices) -> int:
    """Sequences of a step in a run that sees so many `tokens` (None: its steps are counted, whatever they see)."""
    machine, context, text = outlook.speed.machine, model.context_length, outlook.shown(model)
    planned = plan_batch(machine, tokens, text, context, outlook.windows_per_epoch(model))
    reason = f"{planned * context:,} tokens a step"
    if planned < tokens_a_step(machine, tokens, math.inf) // context:
        reason += ", fewer than usual, because the text is small: small steps learn more from it"
    wish = outlook.settings.train.global_batch_size
    return int(c.take("global_batch_size", wish, planned, reason))


def _vain(outlook: Outlook, model: ModelConfig, batch: int, steps: int) -> str | None:
    """Why torch.compile, which the minutes would pay for, does not pay for this shape or for so few steps; None if it does."""
    if not outlook.speed.compiles(model):
        return "off: the steps of so wide a network are no faster for it"
    eager = steps * outlook.speed.step_seconds(model, batch, eager=True)
    if outlook.ends_early(model) and not compile_pays(eager, outlook.speed.machine):
        return f"off: the run ends after about {eager:.0f} s of steps, which do not win back what it takes"
    return None


def _steps(outlook: Outlook, model: ModelConfig, tokens: float | None, batch: int) -> int:
    """Steps of the run: asked for, or those that make the expected `tokens`, to the end of its last reading if that comes."""
    length = outlook.settings.schedule
    if length.steps is not None:
        return length.steps
    if length.epochs is not None:
        return max(1, math.ceil(length.epochs * outlook.windows_per_epoch(model) / batch))
    assert tokens is not None
    steps = tokens / (batch * model.context_length)
    return max(1, math.ceil(steps - 1e-6) if outlook.ends_early(model) else int(steps))


def _check_time(outlook: Outlook, model: ModelConfig, batch: int, minutes: float | None, spent: float) -> None:
    """Refuse minutes in which the fewest steps that are worth their time do not fit, with their evaluations."""
    speed = outlook.speed
    a_step = speed.step_seconds(model, batch)
    plain = outlook.settings.model_copy(update={"evaluation": EvaluationSettings()})  # what was set of them is no shape
    looks = plan_looks(
        plain, outlook.facts, model, speed, steps=FEWEST_STEPS, batch=batch, in_minutes=True, c=Choices()
    )
    check_time(
        outlook.settings,
        model.context_length,
        a_step,
        minutes,
        least=FEWEST_STEPS * a_step * (1 + looks.share),
        more=min(spent, 30.0) + speed.compile_seconds(model) + LAST_SECONDS,  # of long preparing, half a minute
        imported=not outlook.fresh,
    )


def _most_epochs(settings: Settings, outlook: Outlook, epochs: float, c: Choices) -> float | None:
    """Epochs after which a run in minutes ends though time may be left; said where that is expected."""
    most = outlook.most_epochs
    if most is not None and epochs >= 0.9 * most:
        harm = "would teach the text by heart" if outlook.fresh else "bring nothing more"
        why = f"further readings {harm}: it ends then, even if time is left"
        c.take("most_epochs", settings.schedule.most_epochs, most, why)
    return most


def _judge(outlook: Outlook, machine: Machine) -> Judge:
    """By what shapes are judged on this machine, with this text, in this time."""
    return Judge(
        tokens=None if outlook.seconds is None else outlook.text_tokens,
        shown=outlook.shown,
        fits=lambda model: fits(model, outlook.speed.optimizer, machine, outlook.settings, outlook.sequences(model)),
        teacher=partial(teacher_pays, outlook),
        must_be_taught=outlook.settings.train.teacher == OWN,
    )


def _seconds(minutes: float | None, steps: float) -> float:
    """Seconds of the whole command: those that were asked for, or what the steps and all before and beside them take."""
    return 60 * minutes if minutes is not None else steps + LAST_SECONDS
