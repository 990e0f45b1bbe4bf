"""The loop: `steps` yields one `StepReport` per optimizer update and does nothing else. The caller prints, evaluates,
samples, saves and stops.

    state = TrainingState.new(model, recipe, machine)
    for report in steps(state, batches, schedule=schedule, machine=machine, ...):
        print(report.step, report.loss)

Random numbers are keyed by (seed, step, micro-batch, rank), never carried: what the caller does between two steps
changes no weight.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bajka.distributed import World
from bajka.errors import NumericsError, ResourceError
from bajka.hardware import Machine, out_of_memory
from bajka.model.loss import Taught
from bajka.model.transformer import Block, Transformer
from bajka.planning.recipe import Recipe
from bajka.planning.schedule import Cooldown, Patience, Plateau, Schedule
from bajka.tokens import Batch, Batches, Mixture
from bajka.tokens.batches import IGNORED
from bajka.training.average import Average
from bajka.training.optimizer import Optimizer
from bajka.training.sharding import is_shard, is_sharded
from bajka.training.teacher import Teacher

_GIVE_UP_AFTER = 10  # unusable steps in a row


@dataclass(frozen=True)
class StepReport:
    """What one optimizer update was like.

    `step` counts updates from 1; `tokens` are the training positions seen since the start; `loss` is the mean nats per
    target of the global batch, before the update; `seconds` is the time of this step.
    """

    step: int
    tokens: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    seconds: float
    skipped: bool = False


@dataclass
class TrainingState:
    """Everything that a step changes: what a checkpoint must hold."""

    model: Transformer
    optimizer: Optimizer
    step: int = 0
    position: int = 0
    skipped: list[int] = field(default_factory=list)
    rate_share: float = 1.0
    cooldown: Cooldown | None = None
    plateau: Plateau | None = None
    stopper: Patience | None = None
    average: Average | None = None
    scaler: torch.amp.GradScaler | None = None

    @classmethod
    def new(
        cls,
        model: Transformer,
        recipe: Recipe,
        machine: Machine,
        *,
        plateau: Plateau | None = None,
        stopper: Patience | None = None,
        average: Average | None = None,
    ) -> TrainingState:
        """A state before the first step; `model` is already on the machine's device."""
        scaler = torch.amp.GradScaler(machine.kind) if machine.precision == "fp16" else None
        optimizer = Optimizer(model, recipe, muon_dtype=machine.dtype)
        return cls(model, optimizer, plateau=plateau, stopper=stopper, average=average, scaler=scaler)

    def share(self, schedule: Schedule) -> float:
        """The rate of the next update, as a share of its peak: the schedule's, lowered by what happened on the way."""
        lowered = self.rate_share * (self.plateau.share if self.plateau else 1.0)
        return schedule.share(self.step, self.cooldown) * lowered

    def ended(self, schedule: Schedule) -> bool:
        """Whether the schedule is over, or validation no longer improves and the run was to stop then.

        Where the rate is still to fall before the end, whoever looks lets it fall first (`bajka.training.patience`).
        """
        end = schedule.cooldown(self.cooldown)
        return (end is not None and self.step >= end.end) or (self.stopper is not None and self.stopper.over)


class EverybodysMemoryError(torch.OutOfMemoryError):
    """There was no memory for a step, and all processes of the job know it: none has changed anything."""


LossFunction = Callable[[Tensor, Tensor | None, Tensor, Taught | None], Tensor]


def steps(
    state: TrainingState,
    batches: Batches | Mixture,
    *,
    schedule: Schedule,
    machine: Machine,
    global_batch_size: int,
    micro_batch_size: int,
    seed: int,
    world: World | None = None,
    loss_function: LossFunction | None = None,
    teacher: Teacher | None = None,
) -> Iterator[StepReport]:
    """Update `state` once per iteration until the schedule's last step, and report.

    A run without a known length (`schedule.steps` is None) goes on until the caller sets `state.cooldown` or stops.
    `loss_function` is the model's `loss_of`, compiled or not; with a `teacher` the loss is against what it expects too.
    Raises `NumericsError` after ten steps in a row whose gradients are not finite; such steps are skipped and listed in
    `state.skipped`. After `torch.OutOfMemoryError` the state is that of before the step: `steps` may be called again with
    smaller micro-batches.
    """
    world = world or World()
    loss_function = loss_function or state.model.loss_of
    unusable = 0
    while not state.ended(schedule):
        began = time.perf_counter()
        share = state.share(schedule)
        batch = batches.batch(state.position, global_batch_size)
        state.model.train()
        loss, norm = accumulate_gradients(
            state,
            batch,
            machine,
            world,
            micro_batch_size=micro_batch_size,
            seed=seed,
            loss_function=loss_function,
            teacher=teacher,
        )
        usable = math.isfinite(loss) and math.isfinite(norm)
        unusable = 0 if usable else unusable + 1
        if usable:
            _update(state, share, epoch=(state.position + global_batch_size) // batches.windows_per_epoch)
        else:
            state.skipped.append(state.position)
        if state.scaler is not None:
            state.scaler.update()
        if unusable >= _GIVE_UP_AFTER:
            raise NumericsError(
                f"The loss or its gradient was not a number for {unusable} steps in a row, up to step {state.step + 1} (a "
                "lower --learning-rate helps)"
            )
        state.step += 1
        state.position += global_batch_size
        yield StepReport(
            step=state.step,
            tokens=state.position * batches.context_length,
            epoch=state.position / batches.windows_per_epoch,
            loss=loss,
            learning_rate=share * state.optimizer.recipe.learning_rate,
            gradient_norm=norm,
            seconds=time.perf_counter() - began,
            skipped=not usable,
        )


def _update(state: TrainingState, share: float, *, epoch: int) -> None:
    """The optimizer's step, and what is averaged; raises `ResourceError` without memory, for half of it may be done."""
    try:
        state.optimizer.step(share)
        if state.average is not None:
            state.average.update(state.model, epoch=epoch)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise ResourceError(
            f"There is not enough memory for the optimizer at step {state.step + 1:,}; the last checkpoint is good. Make the "
            "model smaller (--n-embd, --n-layer), or end other programs and run the same command again."
        ) from error


def accumulate_gradients(
    state: TrainingState,
    batch: Batch,
    machine: Machine,
    world: World,
    *,
    micro_batch_size: int,
    seed: int,
    loss_function: LossFunction,
    teacher: Teacher | None = None,
) -> tuple[float, float]:
    """Gradients of the mean loss over the targets of the global batch, clipped, in `.grad`; gives loss and norm.

    The batch is cut among processes, then into micro-batches: their number changes nothing but rounding.
    """
    model, clip = state.model, state.optimizer.recipe.gradient_clip
    parameters = [p for p in model.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.grad = None
    counted = max(1, batch.counted)
    sharded = is_sharded(model)
    total, full = torch.zeros(2, device=machine.device), None  # the loss, and processes without memory
    if state.scaler is not None:  # which has to be told of its device also by a process without rows
        state.scaler.scale(total)
    try:
        for number, rows in enumerate(micro_batches(batch, world, micro_batch_size, together=sharded)):
            key_randomness(model, seed, state.step, number, world.rank)
            inputs, targets = (to_device(a, machine) for a in (rows.inputs, rows.targets))
            taught = None if teacher is None else teacher(inputs)
            if sharded:  # the look-up is part of what gathers the weights
                loss = model.loss(inputs, targets, taught, dtype=machine.dtype) / counted
            else:
                x, rotation = model.embed(inputs, dtype=machine.dtype)
                loss = loss_function(x, rotation, targets, taught) / counted
            (loss if state.scaler is None else state.scaler.scale(loss)).backward()
            total[0] += loss.detach()
    except RuntimeError as error:
        if world.size == 1 or sharded or not out_of_memory(error):
            raise
        full = error  # the others wait for this process: all go back together
        total[1] += 1
    world.sum(total)
    if world.size > 1 and float(total[1]):
        raise EverybodysMemoryError("A process of this job is out of memory") from full
    if not sharded:
        world.sum_gradients(parameters)
    if state.scaler is not None:
        _unscale(state.scaler, parameters)
    norm = (
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        if clip
        else torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    )
    return float(total[0]), float(norm.full_tensor() if is_shard(norm) else norm)


def micro_batches(batch: Batch, world: World, size: int, *, together: bool) -> Iterator[Batch]:
    """The rows of this process, some at a time.

    Where weights are gathered for each (`together`), all processes get equally many: the last ones of those with fewer
    rows count for nothing.
    """
    first, last = world.share(len(batch.inputs))
    yield from (batch.rows(start, min(start + size, last)) for start in range(first, last, size))
    if together:
        most = -(-len(batch.inputs) // world.size)  # rows of the process that has most
        nothing = replace(batch.rows(0, 1), targets=np.full_like(batch.targets[:1], IGNORED))
        yield from [nothing] * (-(-most // size) - -(-(last - first) // size))


def to_device(ids: NDArray[np.int64], machine: Machine) -> Tensor:
    """Ids where they are needed. A GPU fetches them while it still does what it was given: nothing waits."""
    tensor = torch.from_numpy(ids)
    return (
        tensor.pin_memory().to(machine.device, non_blocking=True)
        if machine.kind == "cuda"
        else tensor.to(machine.device)
    )


def key_randomness(model: Transformer, seed: int, *place: int) -> None:
    """Seed torch's generators for dropout at one `place` of the run; without dropout nothing is drawn."""
    if model.config.dropout or model.config.attention_dropout:
        digest = hashlib.blake2b(repr((seed, *place)).encode(), digest_size=8).digest()
        torch.manual_seed(int.from_bytes(digest, "little") >> 1)


def _unscale(scaler: torch.amp.GradScaler, parameters: list[torch.nn.Parameter]) -> None:
    """Divide fp16's gradients by the scale; the scaler learns from infinities as torch's own does."""
    box = torch.optim.SGD(parameters, lr=0.0)
    scaler.unscale_(box)
    scaler.step(box)


def compiled_loss(model: Transformer) -> LossFunction:
    """The model's `loss_of` with its blocks through torch.compile: one graph for all of them, their weights are inputs.

    So a model of any depth takes the time of one block to compile. Look-up, last norm and loss stay outside: their
    gradients on a CPU are not reproducible inside (embedding) or no faster (the loss in chunks). Shapes are fixed, short
    rows compile again once.
    """
    block = torch.compile(Block.forward, dynamic=False)

    def loss(x: Tensor, rotation: Tensor | None, targets: Tensor, taught: Taught | None) -> Tensor:
        return model.loss_of(x, rotation, targets, taught, block=block)

    return loss
