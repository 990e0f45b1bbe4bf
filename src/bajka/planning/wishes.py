"""Wishes that cannot be met, refused in words with the nearest that can."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from bajka.config import Settings
from bajka.errors import ResourceError, SettingsError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.families import feed_forward_width
from bajka.model.memory import Load, fit
from bajka.planning.machine import load_of
from bajka.planning.shape import SHORT_MINUTES, YOURS

if TYPE_CHECKING:
    from bajka.planning.plan import Plan

FEWEST_STEPS = 10
"""A run of fewer steps learns nothing worth its time."""

NOTICEABLE = 0.1
"""Seconds of a step below which it is not the shape that is too large for the minutes, though little else fits into them."""

SMALL_BATCH = 64
"""Sequences up to which a batch may be larger than the text, as in a trial on a few sentences."""


def check_batch(settings: Settings, batch: int, windows_per_epoch: int) -> None:
    """Raise `SettingsError` for a large batch that was set and is larger than the text; a small one may read it twice."""
    if settings.train.global_batch_size is not None and batch > max(windows_per_epoch, SMALL_BATCH):
        raise SettingsError(
            f"global_batch_size = {batch:,}, but the text has only {windows_per_epoch:,} windows: one step would read "
            f"it more than once. Choose at most --global-batch-size {windows_per_epoch}"
            f"{'' if settings.train.windows == 'documents' else ', or a smaller --context-length'}."
        )


def check_time(
    settings: Settings,
    context: int,
    step_seconds: float,
    minutes: float | None,
    *,
    least: float,
    more: float,
    imported: bool,
) -> None:
    """Raise `SettingsError` when a shape that was set or given, or a batch, makes steps of which ten do not fit into the
    minutes; `least` seconds are what those take with the evaluations beside them, `more` what else does; `context` is the
    planned one."""
    model, train = settings.model, settings.train
    asked = [
        f"{name} = {value}"
        for name, value in (
            ("n_layer", model.n_layer),
            ("n_embd", model.n_embd),
            ("context_length", model.context_length),
            ("n_inner", model.n_inner),
            ("vocab_size", settings.tokenizer.vocab_size),
            ("global_batch_size", train.global_batch_size),
        )
        if value is not None
    ]
    if imported:
        asked.insert(0, "the weights of --from")
    blamed = FEWEST_STEPS * step_seconds if step_seconds < NOTICEABLE else least
    if minutes is None or not asked or blamed <= 60 * minutes:
        return
    enough = (blamed + more) / 60
    flags = f"--minutes {math.ceil(10 * enough) / 10 if enough < 10 else math.ceil(enough):g}"
    if model.context_length is None and not imported and minutes < SHORT_MINUTES <= enough:
        flags += f" --context-length {context}"  # a longer run would get a longer one, and longer steps with it
    takes = f"{step_seconds:,.0f}" if step_seconds >= 10 else f"{step_seconds:.2g}"
    raise SettingsError(
        f"minutes = {minutes:g}, but one step with {', '.join(asked)} takes about {takes} s here, and fewer than "
        f"{FEWEST_STEPS} steps teach nothing (evaluations and all else take time too). Give at least {flags}, or "
        f"{'start from smaller ones' if imported else 'leave that to the plan'}."
    )


def check_fit(plan: Plan, need: int, machine: Machine, *, imported: bool) -> None:
    """Raise `ResourceError` when a step `need`s more bytes than are free, naming the nearest shape that fits.

    On a CPU a process without memory is killed without a word, so this is said before anything is allocated.
    """
    if need <= machine.memory_bytes:
        return
    m = plan.model
    rows = plan.micro_batch_size
    said = (
        f"Training this model needs about {need / 2**30:,.1f} GiB with {rows} {'sequence' if rows == 1 else 'sequences'} at a "
        f"time (n_layer = {m.n_layer}, n_embd = {m.n_embd}, vocab_size = {m.vocab_size:,}, context_length = "
        f"{m.context_length}), but {machine.name} has {machine.memory_bytes / 2**30:.1f} GiB free. "
    )
    if imported:
        raise ResourceError(said + "Close other programs, shorten --context-length, or start from smaller weights.")
    beside = plan.teacher.bytes_beside if plan.teacher else None
    load = load_of(
        m,
        plan.recipe.optimizer,
        machine,
        compiled=plan.compile,
        averages=plan.average.copies,
        taught=beside is not None,
    )
    near = nearest_that_fits(m, load, machine.memory_bytes, plan.global_batch_size, beside)
    if near is None:
        raise ResourceError(said + "Even the smallest shapes do not fit: close other programs.")
    flags = f"--n-layer {near.n_layer} --n-embd {near.n_embd}"
    for name in ("n_head", "n_kv_head", "n_inner"):
        if getattr(near, name) != getattr(m, name) and plan.reasons.get(name) == YOURS:
            flags += f" --{name.replace('_', '-')} {getattr(near, name)}"
    raise ResourceError(said + f"Nearest that fits: {flags} --micro-batch-size 1.")


def nearest_that_fits(
    model: ModelConfig,
    load: Load,
    budget: int,
    batch: int,
    beside: Callable[[ModelConfig], int] | None = None,
) -> ModelConfig | None:
    """The shape with as many layers and the largest width (of whole heads) that fits with one sequence of the `batch` at a
    time, and with the bytes `beside` it, with fewer layers if none does."""
    depth = model.n_layer
    while depth >= 1:
        for heads in range(model.n_head, 0, -1):
            width = heads * model.head_dim
            near = model.model_copy(
                update={
                    "n_layer": depth,
                    "n_embd": width,
                    "n_head": heads,
                    "n_kv_head": heads if heads % model.n_kv_head else model.n_kv_head,
                    "n_inner": feed_forward_width(model.family, width),
                }
            )
            left = budget - (beside(near) if beside else 0)
            if fit(near, load, budget=left, global_batch_size=batch, micro_batch_size=1).bytes <= left:
                return near
        depth //= 2
    return None
