"""Measuring the machine for a plan: matrix products, elementwise work, the cost of starting an operation, and real steps.

A few seconds at most, and at most a twentieth of the minutes. A plan that is saved is never measured for again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from bajka.config import Precision
from bajka.container import waited_seconds
from bajka.hardware import DTYPES, Machine, native_bf16, out_of_memory, synchronize
from bajka.model.transformer import Transformer
from bajka.planning.machine import load_of
from bajka.planning.plan import Plan
from bajka.planning.rates import Rates, StepTime
from bajka.planning.schedule import Schedule
from bajka.tokens import Batches
from bajka.training.steps import TrainingState, steps

WIDTHS = (64, 128, 256, 512)
_ROWS, _ROWS_ELSEWHERE = 2048, 16_384  # a GPU has done fewer before the next operation is started
_MOST_STEPS = 12
_DISTURBED = 2.0  # times the modelled step: what idle machines were never seen to take


class Watch:
    """Seconds since it was made, and those of them that one of the machine's threads waited in the mean."""

    def __init__(self, machine: Machine) -> None:
        self._threads, self._began, self._waited = machine.threads, time.perf_counter(), waited_seconds()

    @property
    def seconds(self) -> float:
        """Seconds until now."""
        return time.perf_counter() - self._began

    @property
    def waited(self) -> float:
        """Those in which a thread waited because other programs had the processors."""
        return max(0.0, waited_seconds() - self._waited) / self._threads


def measuring_seconds(minutes: float | None) -> float:
    """Seconds that measuring may take: a twentieth of the minutes, at most 4; little for a run in steps, which is the same
    on every machine."""
    return 0.5 if minutes is None else min(4.0, 0.05 * 60 * minutes)


def measure_machine(machine: Machine, *, seconds: float = 0.5) -> Rates:
    """Matrix products of several widths (one in the precision that is not used), elementwise work, dispatch; no step."""
    watch = Watch(machine)
    other: Precision = "bf16" if machine.precision == "fp32" else "fp32"
    each = seconds / (len(WIDTHS) + 3)
    products = {
        machine.precision: {width: _product_rate(machine.device, machine.precision, width, each) for width in WIDTHS}
    }
    if other == "fp32" or native_bf16(machine.device):
        products[other] = {256: _product_rate(machine.device, other, 256, each)}
    elementwise = _elementwise(machine.device, machine.precision, each)
    dispatch = _dispatch(machine.device, each)
    return Rates(products, elementwise, dispatch).measured_for(watch.seconds, watch.waited)


def measure_step(plan: Plan, machine: Machine, rates: Rates, *, seconds: float) -> StepTime | None:
    """The time of real steps of the planned shape, one micro-batch each; None where they would take too long.

    Steps are eager, on made-up ids, by the code that trains; memory they took is given back. Other programs only ever make
    steps slower, so it is the lower quartile, and steps far slower than modelled are measured once more.
    """
    load = load_of(plan.model, plan.recipe.optimizer, machine, compiled=False)
    shape = (plan.model, plan.micro_batch_size, load, machine.precision)
    modelled = rates.modelled(*shape)
    if 3 * min(modelled, rates.step_seconds(*shape)) > seconds:
        return None
    try:
        with _given_back(machine):
            taken = list(_step_seconds(plan, machine, seconds))
            if taken and min(taken) > _DISTURBED * modelled:
                taken += _step_seconds(plan, machine, seconds)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    return None if not taken else _step_time(plan, machine.precision, float(np.quantile(taken, 0.25)), modelled)


def _step_time(plan: Plan, precision: Precision, seconds: float, modelled: float) -> StepTime:
    m = plan.model
    shape = (m.n_layer, m.n_embd, m.vocab_size, m.context_length)
    return StepTime(*shape, plan.micro_batch_size, precision, round(seconds, 6), round(modelled, 6))


def _step_seconds(plan: Plan, machine: Machine, seconds: float) -> Iterator[float]:
    """Times of single steps; the first one, which allocates, is left out."""
    if machine.kind == "cuda":  # drawing the numbers of a large model on the CPU would take seconds
        with torch.device(machine.device):
            model = Transformer(plan.model)
    else:
        model = Transformer(plan.model)
        model.reset(0)
    model.gradient_checkpointing, model.loss_chunk = plan.gradient_checkpointing, plan.loss_chunk
    state = TrainingState.new(model.to(machine.device), plan.recipe, machine)
    walk = steps(
        state,
        _made_up(plan),
        schedule=Schedule("constant", 0, 0.0, 1.0, None),
        machine=machine,
        global_batch_size=plan.micro_batch_size,
        micro_batch_size=plan.micro_batch_size,
        seed=0,
    )
    end = time.perf_counter() + seconds
    next(walk)
    for _ in range(_MOST_STEPS):
        began = time.perf_counter()
        if began > end:
            return
        next(walk)
        synchronize(machine.device)
        yield time.perf_counter() - began


def _made_up(plan: Plan) -> Batches:
    """Windows of ids drawn at random."""
    length = plan.model.context_length
    drawn = np.random.default_rng(0).integers(0, plan.model.vocab_size, size=64 * plan.micro_batch_size * length)
    return Batches(drawn.astype(np.uint32), np.zeros(1, dtype=np.int64), context_length=length, seed=0, end_of_text=0)


@contextmanager
def _given_back(machine: Machine) -> Iterator[None]:
    """The memory of what is measured inside is free again afterwards; torch's random numbers are as before."""
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
        gc.collect()
        if machine.kind == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(machine.device)


def _product_rate(device: str, precision: Precision, width: int, seconds: float) -> float:
    """FLOP/s of a product of a step's rows with a matrix that makes them three times as wide."""
    rows = _rows(device)
    a = torch.randn(rows, width, device=device).to(DTYPES[precision])
    b = torch.randn(width, 3 * width, device=device).to(DTYPES[precision])
    return 2.0 * rows * width * 3 * width / _time_of(lambda: a @ b, device, seconds)


def _elementwise(device: str, precision: Precision, seconds: float) -> float:
    """Values/s of what a feed-forward part does with each of them, a SiLU and a product."""
    a, b = (torch.randn(_rows(device), 320, device=device).to(DTYPES[precision]) for _ in range(2))
    return a.numel() / _time_of(lambda: torch.nn.functional.silu(a) * b, device, seconds)


def _rows(device: str) -> int:
    return _ROWS if device == "cpu" else _ROWS_ELSEWHERE


def _dispatch(device: str, seconds: float) -> float:
    """Seconds from one small operation to the next."""
    a = torch.ones(16, device=device)
    return _time_of(lambda: torch.add(a, 1.0, out=a), device, seconds, at_once=200)


def _time_of(work: Callable[[], object], device: str, seconds: float, *, at_once: int | None = None) -> float:
    """Seconds of `work`: the fastest of several rounds of `at_once` (2 on a CPU, 20 elsewhere, where waiting for the end
    takes time too), so that other programs count little."""
    at_once = at_once or (2 if device == "cpu" else 20)
    work()
    synchronize(device)
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        began = time.perf_counter()
        for _ in range(at_once):
            work()
        synchronize(device)
        now = time.perf_counter()
        best = min(best, (now - began) / at_once)
        if now > end:
            return best
