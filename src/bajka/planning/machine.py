"""What of a plan the machine decides: compiling, the speed to expect, tokens a step, and how a step fits into memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bajka.config import OptimizerName, Settings
from bajka.errors import SettingsError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.memory import Fit, Load, fit
from bajka.planning.rates import Rates
from bajka.planning.recipe import AveragePlan, Recipe
from bajka.planning.shape import Choices, largest_step

COMPILE_SECONDS = {"cpu": 12.0, "cuda": 40.0}
"""What torch.compile costs with a cold cache before the first step (two CPU cores: 9-13 s for the one block that is
compiled; the GPU's is a first rule)."""

COMPILE_GAIN = {("cpu", "bf16"): 1.15, ("cpu", "fp32"): 1.15, ("cuda", "bf16"): 1.5}
"""Eager seconds of a step over compiled ones: in bf16 on two cores 1.12 to 1.3 (4 layers, 192 wide); the others are first
rules."""

USUAL_TOKENS = 2e6
"""Tokens of a run on a CPU for which steps of 2,048 tokens are right."""

LITTLE_TEXT = ((40_000, 256), (120_000, 512))
"""Tokens of a text up to which a step on a CPU has so many: little text is read often enough whatever a step costs, and small
steps learn more from each token (docs/experiments.md, "Tokens a step")."""

MOST_READINGS_TRIED = 6.5
"""... in runs that read it no more often than was tried: six times, and what fills the last row."""

GPU_STEPS = 400
"""A run on a GPU that would have fewer steps than this takes fewer tokens a step."""

COMPILED_UP_TO = 256
"""Width up to which compiling pays on a CPU: 6 layers, 384 wide made up to 7 % fewer steps compiled than eager, widths
between were not tried (docs/experiments.md, "Where the time of a step goes")."""

SPARE = 1.1  # compiling has to win by a tenth of its cost, because the gain is not known exactly


@dataclass(frozen=True)
class Speed:
    """How fast shapes train here: measured rates, the optimizer, whether steps are compiled, how many processes share the
    sequences of one, whether steps are compiled whatever the shape gains by it (`forced`), and how many times as long as
    measured a step takes (`slower`: there is a teacher)."""

    rates: Rates
    machine: Machine
    optimizer: OptimizerName
    compiled: bool
    processes: int = 1
    forced: bool = False
    slower: float = 1.0

    def compiles(self, model: ModelConfig) -> bool:
        """Whether steps of this shape are compiled, and gain by it."""
        return self.compiled and compile_gain(self.machine, model) > 1.0

    def compile_seconds(self, model: ModelConfig) -> float:
        """Seconds that compiling takes before the first step of this shape; 0 where it is not compiled."""
        return COMPILE_SECONDS.get(self.machine.kind, 60.0) if self.forced or self.compiles(model) else 0.0

    def step_seconds(self, model: ModelConfig, sequences: int, *, eager: bool = False) -> float:
        """Seconds of one training step of so many sequences at once."""
        load = load_of(model, self.optimizer, self.machine, compiled=False)
        own = -(-sequences // self.processes)
        seconds = self.slower * self.rates.step_seconds(model, own, load, self.machine.precision)
        return seconds / compile_gain(self.machine, model) if self.compiles(model) and not eager else seconds

    def tokens_per_second(self, model: ModelConfig, sequences: int) -> float:
        """Training tokens/s in steps of so many sequences."""
        return sequences * model.context_length / self.step_seconds(model, sequences)


def load_of(
    model: ModelConfig,
    optimizer: OptimizerName,
    machine: Machine,
    *,
    compiled: bool,
    averages: int = 0,
    taught: bool = False,
) -> Load:
    """What of machine and optimizer decides the memory and the cost of a step."""
    return Load(
        bytes_per_activation=4 if machine.precision == "fp32" else 2,
        optimizer=optimizer,
        compiled=compiled,
        averages=averages,
        device=machine.kind,
        taught=taught,
    )


def compile_gain(machine: Machine, model: ModelConfig | None = None) -> float:
    """Eager seconds of a step over compiled ones, of this shape or of small ones."""
    if model is not None and machine.kind == "cpu" and model.n_embd > COMPILED_UP_TO:
        return 1.0
    return COMPILE_GAIN.get((machine.kind, machine.precision), 1.2)


def compile_pays(seconds: float, machine: Machine) -> bool:
    """Whether a run of so many seconds without torch.compile would make more steps with it, the compiling included."""
    cost = COMPILE_SECONDS.get(machine.kind, 60.0)
    return (seconds - cost * SPARE) * compile_gain(machine) > seconds


def plan_compile(settings: Settings, machine: Machine, seconds: float | None, c: Choices) -> bool:
    """Whether torch.compile is used in a run of so many `seconds` (None: unknown); raises `SettingsError` when it is asked
    for and cannot work here."""
    match settings.hardware.compile:
        case "off":
            return False
        case "on":
            if not machine.can_compile:
                raise SettingsError(
                    "compile = on, but torch.compile cannot work here: it needs a C++ compiler (on a GPU Triton, a C "
                    "compiler and Python's headers). "
                    "`bajka doctor` tells what is missing; --compile off trains without."
                )
            c.reasons["compile"] = "you set it"
            return True
        case "auto":
            able = machine.can_compile and machine.kind != "mps"
            pays = able and seconds is not None and compile_pays(seconds, machine)
            c.reasons["compile"] = _compile_reason(machine, seconds, able=able, pays=pays)
            return pays


def _compile_reason(machine: Machine, seconds: float | None, *, able: bool, pays: bool) -> str:
    if not able:
        return "off: torch.compile cannot work here (`bajka doctor` tells what is missing)"
    cost, gain = COMPILE_SECONDS.get(machine.kind, 60.0), compile_gain(machine)
    if pays:
        return f"steps are about {gain:.3g} times as fast, which wins back the {cost:.0f} s it takes"
    if seconds is None:
        return f"off: it takes about {cost:.0f} s, and a run in steps or epochs may be shorter than that"
    return f"off: it takes about {cost:.0f} s, which {seconds / 60:.2g} minutes do not win back"


def tokens_a_step(machine: Machine, tokens: float | None, text: float) -> int:
    """Tokens of a step in a run that sees so many `tokens` of a text of `text` tokens: on a CPU they grow with the cube root of
    those seen, because small steps learn more from each token while there are few; on `LITTLE_TEXT` fewer.

    On a GPU, which is fast with many at once, 16,384 where that leaves `GPU_STEPS` steps: a first rule. In a run in steps
    (`tokens` None), which no time limits, the most.
    """
    if machine.kind != "cpu":
        found = largest_step(machine)
        while tokens is not None and found > 2048 and tokens < GPU_STEPS * found:
            found //= 2
        return found
    if tokens is None:
        return largest_step(machine)
    usual = int(2 ** min(max(round(math.log2(2048 * (tokens / USUAL_TOKENS) ** (1 / 3))), 8), 12))
    if tokens > MOST_READINGS_TRIED * text:
        return usual
    return min([usual, *(few for most, few in LITTLE_TEXT if text <= most)])


def plan_batch(machine: Machine, tokens: float | None, text: float, context: int, windows_per_epoch: int) -> int:
    """Sequences of a global batch: `tokens_a_step`, halved until an epoch has eight steps; the last four become two only
    where it has fewer than six (docs/experiments.md, "Tiny texts")."""
    wanted = max(1, tokens_a_step(machine, tokens, text) // context)
    while wanted > 2 and wanted * (8 if wanted > 4 else 6) > windows_per_epoch:
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
    beside: int = 0,
) -> Fit:
    """What is in memory at once, so that a step stays below half of what a CPU has free, or 85 % of a GPU's, less the bytes
    that a teacher `beside` it takes."""
    wish = settings.train
    micro = wish.micro_batch_size
    found = fit(
        model,
        load_of(model, recipe.optimizer, machine, compiled=compiled, averages=average.copies, taught=beside > 0),
        budget=memory_budget(machine) - beside,
        global_batch_size=batch,
        micro_batch_size=None if micro is None else min(batch, micro),
        loss_chunk=wish.loss_chunk,
        gradient_checkpointing=wish.gradient_checkpointing,
    )
    c.take("micro_batch_size", micro, found.micro_batch_size, "what fits in memory at once")
    if micro is not None and micro > batch:
        c.reasons["micro_batch_size"] = "all of a step: fewer than you set"
    if found.loss_chunk is not None:
        c.take("loss_chunk", wish.loss_chunk, found.loss_chunk, "logits of so many tokens at a time: less memory")
    if found.gradient_checkpointing:
        why = "it would not fit otherwise; a third more time"
        c.take("gradient_checkpointing", wish.gradient_checkpointing, True, why)
    return found


def fits(
    model: ModelConfig, optimizer: OptimizerName, machine: Machine, settings: Settings, batch: int, *, beside: int = 0
) -> bool:
    """Whether a step of this shape on so large a batch, with as many sequences at once as were set or else one, stays within
    the memory budget, less the bytes that a teacher `beside` it takes."""
    wish, s, budget = settings.train, settings.schedule, memory_budget(machine) - beside
    average = AveragePlan(s.average or "none", 0.0, s.average_epochs)
    found = fit(
        model,
        load_of(model, optimizer, machine, compiled=False, averages=average.copies, taught=beside > 0),
        budget=budget,
        global_batch_size=batch,
        micro_batch_size=None if wish.micro_batch_size is None else min(wish.micro_batch_size, batch),
        loss_chunk=wish.loss_chunk,
        gradient_checkpointing=wish.gradient_checkpointing,
    )
    return found.bytes <= budget


def memory_budget(machine: Machine) -> int:
    """Bytes that a step may take: half of what a CPU has free, or 85 % of a GPU's."""
    return int(machine.memory_bytes * (0.5 if machine.kind == "cpu" else 0.85))
