"""The plan: what was worked out from settings, corpus and machine, every number with its reason.

What the person set is kept and the rest is planned around it. The plan is made before anything is allocated and saved
as `plan.json`; the settings stay what they were.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bajka.config import Settings
from bajka.errors import DamagedFileError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.estimate import flops_per_token, parameters
from bajka.planning.machine import plan_batch, plan_compile, plan_memory, tokens_a_step, utilisation
from bajka.planning.recipe import (
    LITTLE_TEXT_EPOCHS,
    NO_AVERAGE,
    AveragePlan,
    Recipe,
    plan_average,
    plan_dropout,
    plan_recipe,
    plan_schedule,
)
from bajka.planning.schedule import Schedule
from bajka.planning.shape import Choices, CorpusFacts, choose_shape, imported_shape

__all__ = ["CorpusFacts", "Plan", "describe", "make_plan"]

DEFAULT_MINUTES = 10.0


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
    early_stopping: int | None = None
    early_stopping_every_steps: int = 1
    gradient_checkpointing: bool = False
    loss_chunk: int | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
    matmul_rate: float,
    imported: ModelConfig | None = None,
) -> Plan:
    """Work out everything that `settings` left open; `matmul_rate` is the measured FLOP/s of this machine.

    `imported` is the shape of the model that training starts from. Raises `CorpusError` when the text is too little for
    one window, `SettingsError` or `ModelError` for wishes that cannot be met.
    """
    c = Choices()
    minutes = _minutes(settings, c)
    compile_ = plan_compile(settings, machine, minutes, c)
    rate = matmul_rate * utilisation(machine, compile_)
    if imported is None:
        model = choose_shape(settings, facts, machine, rate, minutes, c)
    else:
        model = imported_shape(settings, facts, imported, c)
    tokens_per_second = rate / flops_per_token(model)
    windows_per_epoch = _windows_per_epoch(settings, facts, model.context_length)
    batch = c.take(
        "global_batch_size",
        settings.train.global_batch_size,
        plan_batch(machine, minutes, model.context_length, windows_per_epoch),
        f"about {tokens_a_step(machine, minutes):,} tokens a step, at least eight steps an epoch",
    )
    steps = _steps(settings, minutes, windows_per_epoch, batch, tokens_per_second, model.context_length)
    epochs = steps * batch / windows_per_epoch
    model = plan_dropout(settings, model, epochs, c, imported=imported is not None)
    recipe = plan_recipe(settings, model, epochs, c, imported=imported is not None)
    average = plan_average(settings, steps, c)
    fitted = plan_memory(settings, model, recipe, average, machine, batch, compiled=compile_, c=c)
    evaluate_every, evaluation_windows = _evaluations(settings, facts, model, steps, batch, c)
    return Plan(
        model=model,
        recipe=recipe,
        schedule=plan_schedule(settings, steps, minutes, c, imported=imported is not None),
        minutes=minutes,
        global_batch_size=batch,
        micro_batch_size=fitted.micro_batch_size,
        windows=settings.train.windows,
        stride=settings.train.stride,
        seed=settings.train.seed,
        evaluate_every_steps=evaluate_every,
        evaluation_windows=evaluation_windows,
        compile=compile_,
        expected_steps=steps,
        expected_epochs=epochs,
        expected_tokens_per_second=tokens_per_second,
        expected_memory_bytes=fitted.bytes,
        average=average,
        early_stopping=settings.schedule.early_stopping,
        early_stopping_every_steps=settings.schedule.early_stopping_every_steps or evaluate_every,
        gradient_checkpointing=fitted.gradient_checkpointing,
        loss_chunk=fitted.loss_chunk,
        reasons=c.reasons,
        notes=_notes(facts, model, epochs),
    )


def describe(plan: Plan) -> list[str]:
    """The plan as lines for a person: the shape, then every chosen number with its reason, then notes."""
    m = plan.model
    lines = [
        f"Model: {m.family}, {parameters(m):,} weights ({parameters(m, embeddings=False):,} without embeddings), "
        f"{flops_per_token(m) / 1e6:,.1f} MFLOP a token, about {plan.expected_memory_bytes / 2**20:,.0f} MB to train."
    ]
    values = (
        plan.__dict__ | asdict(plan.recipe) | asdict(plan.schedule) | {"schedule": plan.schedule.name} | m.model_dump()
    )
    lines += [f"  {name} = {_short(values.get(name))}: {reason}" for name, reason in plan.reasons.items()]
    length = f" in {plan.minutes:g} minutes" if plan.minutes is not None else ""
    lines.append(
        f"Expected{length}: {plan.expected_steps:,} steps at about {plan.expected_tokens_per_second:,.0f} tokens/s, "
        f"{plan.expected_epochs:.1f} epochs."
    )
    return [*lines, *plan.notes]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _minutes(settings: Settings, c: Choices) -> float | None:
    schedule = settings.schedule
    if schedule.steps is not None or schedule.epochs is not None:
        return None
    return float(c.take("minutes", schedule.minutes, DEFAULT_MINUTES, "no length was given: a first look"))


def _windows_per_epoch(settings: Settings, facts: CorpusFacts, context: int) -> int:
    match settings.train.windows:
        case "documents":
            return max(1, facts.documents)
        case "sliding":
            stride = settings.train.stride or context
            reaching = -(-(facts.train_tokens - 1 - context) // stride) + 1  # as `Batches.windows_per_epoch`
            return max(1, min(reaching, -(-(facts.train_tokens - 1) // stride)))
        case "packed":
            return max(1, -(-facts.train_tokens // context))


def _steps(
    settings: Settings, minutes: float | None, windows_per_epoch: int, batch: int, speed: float, context: int
) -> int:
    """Steps of the run: asked for, or expected from the speed."""
    if settings.schedule.steps is not None:
        return settings.schedule.steps
    if settings.schedule.epochs is not None:
        return max(1, math.ceil(settings.schedule.epochs * windows_per_epoch / batch))
    assert minutes is not None
    return max(1, int(0.85 * 60 * minutes * speed / (batch * context)))


def _evaluations(
    settings: Settings, facts: CorpusFacts, model: ModelConfig, steps: int, batch: int, c: Choices
) -> tuple[int, int]:
    """Steps between evaluations, and windows of each."""
    windows = c.take(
        "evaluation_windows",
        settings.evaluation.evaluation_windows,
        _evaluation_windows(facts, model, steps, batch),
        "all of the validation text, or what a twentieth of the run can pay for",
    )
    wish, planned = settings.evaluation.evaluate_every_steps, max(10, _round(steps / 20))
    every = c.take("evaluate_every_steps", wish, planned, "about twenty times a run")
    return every, min(windows, _validation_windows(facts, model))


def _validation_windows(facts: CorpusFacts, model: ModelConfig) -> int:
    """All windows of the validation text; the sample of the training text never has more."""
    return max(1, -(-(facts.validation_tokens - 1) // model.context_length))


def _evaluation_windows(facts: CorpusFacts, model: ModelConfig, steps: int, batch: int) -> int:
    """All validation windows, unless twenty evaluations of both sides would cost more than a twentieth of the run."""
    whole = _validation_windows(facts, model)
    affordable = int(steps * batch * 3 * 0.05 / 20 / 2)
    return min(whole, max(32, affordable))


def _notes(facts: CorpusFacts, model: ModelConfig, epochs: float) -> tuple[str, ...]:
    found = []
    if facts.bytes < 1_000_000:
        found.append(
            f"This is a small text ({facts.bytes / 1000:,.0f} KB): the model will soon know it by heart. The checkpoint with "
            "the best validation loss is kept; more text of the same kind, or --from a model trained on more, helps most."
        )
    if epochs > 2 * LITTLE_TEXT_EPOCHS:
        found.append(f"Each text will be read about {epochs:.0f} times: text, not time, is the limit here.")
    if facts.same_book:
        found.append("Validation text is the tail of the same texts: the loss says how well the model continues them.")
    return tuple(found)


def _round(value: float) -> int:
    """A number that is easy to read: 1, 2 or 5 times a power of ten, or a multiple of it."""
    if value < 10:
        return max(1, round(value))
    unit = 10 ** (len(str(int(value))) - 1)
    return max(unit, round(value / unit) * unit)
