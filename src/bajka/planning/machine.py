"""What of a plan the machine decides: compiling, the speed to expect, tokens a step, and how a step fits into memory."""

from __future__ import annotations

from bajka.config import Settings
from bajka.errors import SettingsError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.memory import Fit, Load, fit
from bajka.planning.recipe import AveragePlan, Recipe
from bajka.planning.shape import Choices


def plan_compile(settings: Settings, machine: Machine, minutes: float | None, c: Choices) -> bool:
    """Whether torch.compile is used; raises `SettingsError` when it is asked for and cannot work here."""
    match settings.hardware.compile:
        case "off":
            return False
        case "on":
            if not machine.can_compile:
                raise SettingsError(
                    "compile = on, but torch.compile cannot work here: it needs a C++ compiler (or Triton on a GPU). "
                    "`bajka doctor` tells what is missing; --compile off trains without."
                )
            c.reasons["compile"] = "you set it"
            return True
        case "auto":
            pays = machine.can_compile and machine.kind != "mps" and (minutes or 0.0) >= 4.0
            c.reasons["compile"] = (
                "the run is long enough to win back the half minute it takes"
                if pays
                else "off: it takes up to half a minute, which a run of unknown or few minutes does not win back"
            )
            return pays


def utilisation(machine: Machine, compiled: bool) -> float:
    """Share of the matrix rate that a whole training step reaches (measured on two CPU cores, docs/experiments.md)."""
    if machine.kind == "cpu":
        return (0.40 if compiled else 0.27) if machine.precision == "bf16" else (0.65 if compiled else 0.55)
    return 0.30 if compiled else 0.20


def tokens_a_step(machine: Machine, minutes: float | None) -> int:
    """Small steps for short runs on a CPU: they learn more from each token (docs/experiments.md, "Tokens a step")."""
    if machine.kind != "cpu":
        return 16_384
    return 2048 if minutes is not None and minutes <= 15 else 4096


def plan_batch(machine: Machine, minutes: float | None, context: int, windows_per_epoch: int) -> int:
    """Sequences of a global batch: those tokens, but at least eight steps an epoch."""
    wanted = max(1, tokens_a_step(machine, minutes) // context)
    while wanted > 4 and wanted * 8 > windows_per_epoch:
        wanted //= 2
    return wanted


def plan_memory(
    settings: Settings,
    model: ModelConfig,
    recipe: Recipe,
    average: AveragePlan,
    machine: Machine,
    batch: int,
    *,
    compiled: bool,
    c: Choices,
) -> Fit:
    """What is in memory at once, so that a step stays below half of what a CPU has free, or 85 % of a GPU's."""
    wish = settings.train
    load = Load(
        bytes_per_activation=4 if machine.precision == "fp32" else 2,
        optimizer=recipe.optimizer,
        compiled=compiled,
        averages={"none": 0, "ema": 1, "epochs": average.epochs}[average.kind],
        device=machine.kind,
    )
    found = fit(
        model,
        load,
        budget=int(machine.memory_bytes * (0.5 if machine.kind == "cpu" else 0.85)),
        global_batch_size=batch,
        micro_batch_size=None if wish.micro_batch_size is None else min(batch, wish.micro_batch_size),
        loss_chunk=wish.loss_chunk,
        gradient_checkpointing=wish.gradient_checkpointing,
    )
    c.take("micro_batch_size", wish.micro_batch_size, found.micro_batch_size, "what fits in memory at once")
    if found.loss_chunk is not None:
        c.take("loss_chunk", wish.loss_chunk, found.loss_chunk, "logits of so many tokens at a time: less memory")
    if found.gradient_checkpointing:
        why = "it would not fit otherwise; a third more time"
        c.take("gradient_checkpointing", wish.gradient_checkpointing, True, why)
    return found
