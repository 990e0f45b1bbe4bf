"""The recipe of a plan: dropout, optimizer, rates, decay and schedule, by the kind of training and how often text is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bajka.config import OptimizerName, Settings
from bajka.errors import SettingsError
from bajka.model import ModelConfig
from bajka.planning.schedule import Schedule
from bajka.planning.shape import Choices


@dataclass(frozen=True)
class Recipe:
    """Numbers of the optimizer, all resolved. Rates are peaks; the schedule multiplies them."""

    optimizer: OptimizerName
    learning_rate: float
    adamw_learning_rate: float
    weight_decay: float
    momentum: float
    beta1: float
    beta2: float
    gradient_clip: float


@dataclass(frozen=True)
class AveragePlan:
    """Which average, the largest decay a step of "ema", and of how many epochs "epochs" is the mean."""

    kind: Literal["none", "ema", "epochs"]
    decay: float
    epochs: int

    @property
    def copies(self) -> int:
        """How many times as much memory as the weights themselves it takes."""
        return {"none": 0, "ema": 1, "epochs": self.epochs}[self.kind]


SHORT_RUN_STEPS = 2000
"""Runs of fewer steps take a smaller momentum: a long memory of gradients is worth less than a quick turn."""

LITTLE_TEXT_EPOCHS = 3.5
"""A text that is read more often than this is little: dropout and more decay keep it from being learnt by heart. With fewer
readings they do harm (docs/experiments.md, "Little text")."""

COOLDOWN_SHARE = 0.5
"""Of a run with schedule wsd: the share in which the rate falls."""

NO_AVERAGE = AveragePlan("none", 0.0, 2)


def plan_dropout(settings: Settings, model: ModelConfig, readings: float, c: Choices, *, imported: bool) -> ModelConfig:
    """The model with a dropout that fits how often the text is read."""
    planned, reason = 0.0, "none: the text is read only a few times"
    if readings > LITTLE_TEXT_EPOCHS:
        planned = 0.1 if readings < 4 * LITTLE_TEXT_EPOCHS else 0.2
        reason = f"the text is read about {readings:.0f} times"
    if imported:
        planned, reason = 0.1, "fine-tuning"
    return model.model_copy(update={"dropout": float(c.take("dropout", settings.model.dropout, planned, reason))})


def plan_recipe(
    settings: Settings, model: ModelConfig, readings: float, steps: int, c: Choices, *, imported: bool
) -> Recipe:
    """Optimizer, peak rates, momentum and decay: gentle for imported weights and for norms after the sum, unless Muon is
    asked for."""
    wish = settings.optimizer
    name = plan_optimizer(settings, model.family, c, imported=imported)
    if name == "muon":
        planned, why = 0.02, "muon's usual rate, the same for all widths"
    elif imported:
        planned = 1e-3 * min(1.0, 128 / model.n_embd)
        why = "low, so that what the model knows is not lost: 1e-3 up to a width of 128, less for wider ones"
    else:
        planned, why = 2e-3 * (192 / model.n_embd) ** 0.5, "2e-3 at a width of 192, less for wider models"
        if model.family == "gpt1":
            planned, why = planned / 2, f"{why}; half of that for gpt1"
    decay = 0.1 if readings > LITTLE_TEXT_EPOCHS else 0.01
    often = "more when text is read often"
    if name == "muon":
        decay *= 2
    return Recipe(
        optimizer=name,
        learning_rate=float(c.take("learning_rate", wish.learning_rate, planned, why)),
        adamw_learning_rate=_adamw_rate(settings, name, c),
        weight_decay=float(
            c.take("weight_decay", wish.weight_decay, *((0.0, "adam has none") if name == "adam" else (decay, often)))
        ),
        momentum=_momentum(settings, name, steps, c),
        beta1=wish.beta1 if wish.beta1 is not None else 0.9,
        beta2=wish.beta2 if wish.beta2 is not None else 0.95,
        gradient_clip=wish.gradient_clip,
    )


def plan_optimizer(settings: Settings, family: str, c: Choices, *, imported: bool) -> OptimizerName:
    """Muon, or AdamW where gentle steps are needed: imported weights, norms after the sum."""
    gentle = imported or family == "gpt1"
    reason = "fine-tuning" if imported else "gpt1 has its norms after the sum" if gentle else "sooner at a good loss"
    name: OptimizerName = c.take("optimizer", settings.optimizer.optimizer, "adamw" if gentle else "muon", reason)
    return name


def _momentum(settings: Settings, optimizer: str, steps: int, c: Choices) -> float:
    """Muon's momentum; no other optimizer reads it."""
    wish, planned = settings.optimizer.momentum, 0.9 if steps < SHORT_RUN_STEPS else 0.95
    if optimizer != "muon":
        return wish or planned
    why = f"0.9 in runs of fewer than {SHORT_RUN_STEPS:,} steps, else 0.95"
    return float(c.take("momentum", wish, planned, why))


def _adamw_rate(settings: Settings, optimizer: str, c: Choices) -> float:
    """Rate of what Muon leaves to AdamW; no other optimizer reads it."""
    wish, planned = settings.optimizer.adamw_learning_rate, 9e-3
    if optimizer != "muon":
        return wish or planned
    return float(
        c.take("adamw_learning_rate", wish, planned, "for embedding, head and gains: the best found with muon")
    )


def plan_schedule(settings: Settings, steps: int, minutes: float | None, c: Choices, *, imported: bool) -> Schedule:
    """The rate over the run; its number of steps stays open when the length is given in minutes."""
    wish = settings.schedule
    name = c.take("schedule", wish.schedule, "wsd", "flat, then a cooldown: its end may be moved later")
    check_final_share(settings, name)
    final, why = {
        "wsd": (0.0, "falls to zero"),
        "cosine": (0.1, "the usual tenth"),
        "linear": (0.0, "falls to zero"),
    }.get(name, (1.0, "the rate does not fall with time"))
    most = 50 if imported else 20
    warmup = min(most, steps // 10)
    return Schedule(
        name=name,
        warmup_steps=int(c.take("warmup_steps", wish.warmup_steps, warmup, f"a tenth of the run, at most {most}")),
        cooldown_share=_cooldown_share(wish.cooldown_share, name, c),
        final_rate_share=float(c.take("final_rate_share", wish.final_rate_share, final, why)),
        steps=None if minutes is not None else steps,
    )


def check_final_share(settings: Settings, schedule: str) -> None:
    """Raise `SettingsError` for a rate at the end of a schedule whose rate does not fall with time."""
    wish = settings.schedule.final_rate_share
    if schedule in ("constant", "plateau") and wish is not None:
        raise SettingsError(
            f'final_rate_share = {wish:g}, but the rate of schedule = "{schedule}" does not fall with time. Take wsd, '
            "cosine or linear, or leave it out."
        )


def _cooldown_share(wish: float | None, schedule: str, c: Choices) -> float:
    """The share of the run in which the rate falls; no other schedule than wsd reads it."""
    if schedule != "wsd":
        return wish or COOLDOWN_SHARE
    return float(c.take("cooldown_share", wish, COOLDOWN_SHARE, "wsd: the rate falls over the last half"))


def plan_average(settings: Settings, steps: int, epochs: float, c: Choices) -> AveragePlan:
    """Which average of the weights is kept beside them; "ema" looks back over about a fiftieth of the run."""
    wish = settings.schedule
    if wish.average in (None, "none"):
        return NO_AVERAGE
    c.reasons["average"] = "you set it"
    if wish.average == "epochs" and epochs < 2:
        c.reasons["average"] = "you set it, but fewer than two epochs will end: there will be no average"
    decay = wish.average_decay
    if wish.average == "ema":
        back = max(10.0, steps / 50)
        why = f"it looks back over about {back:.0f} steps"
        decay = float(c.take("average_decay", decay, round(1 - 1 / back, 5), why))
    return AveragePlan(wish.average, decay or 0.0, wish.average_epochs)
