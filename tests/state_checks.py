"""Checks of what training promises about state and data, as plain functions: they raise `AssertionError` when it is not
kept. Real code must pass them; `test_seeded_state_bugs.py` breaks it in many ways, and each must be caught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bajka
from bajka.config import HardwareSettings
from bajka.distributed import World
from bajka.hardware import Machine, find_machine
from bajka.planning.recipe import Recipe
from bajka.planning.schedule import Schedule
from bajka.tokens import Batches
from bajka.tokens.store import token_set
from bajka.training import steps as steps_room
from bajka.training.steps import StepReport, TrainingState, steps
from resuming import differences
from tiny import byte_tokenizer, tiny_model
from tiny_runs import Stopped, bits, go_on, stop_at, train_tiny

TEXTS = ["The fox ate all the grapes.", "A fox.", "Once upon a time there was a very hungry old fox.", "No."] * 4
SHORT: dict[str, Any] = {"steps": 8, "evaluate_every_steps": 3, "save_every_steps": 2, "evaluation_windows": 2}

RESUMED: dict[str, dict[str, Any]] = {
    "muon": {"optimizer": "muon", "dropout": 0.1, "micro_batch_size": 2},
    "plateau": {
        "optimizer": "adamw",
        "schedule": "plateau",
        "plateau_every_steps": 2,
        "plateau_patience": 0,
        "learning_rate": 1e-7,
    },
    "rising": {"optimizer": "adamw", "learning_rate": 3.0, "gradient_clip": 0.0, "warmup_steps": 0},
}
"""Runs that know much: momenta, dropout, accumulation; a lowered rate; a best model that lies far back."""


# -- whole runs --------------------------------------------------------------------------------------------------


def finished(texts: Path, out: Path, recipe: str) -> bajka.Run:
    """A run that nothing disturbed."""
    return train_tiny(texts, out=str(out), **SHORT | RESUMED[recipe])


def resume_is_exact(texts: Path, whole: bajka.Run, out: Path, recipe: str) -> None:
    """Torn at step 5 and taken up again, the run ends as the whole one."""
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(5), out=str(out), **SHORT | RESUMED[recipe])
    found = differences(whole, go_on(out))
    assert not found, found


def observation_is_free(texts: Path, whole: bajka.Run, out: Path) -> None:
    """Evaluating and sampling after every second step changes no weight of the run "muon"."""
    watched = train_tiny(texts, out=str(out), **SHORT | RESUMED["muon"] | {"evaluate_every_steps": 2})
    assert bits(watched) == bits(whole)


# -- the bare loop -----------------------------------------------------------------------------------------------


def recipe_of(**changes: Any) -> Recipe:
    numbers: dict[str, Any] = {"learning_rate": 0.003, "adamw_learning_rate": 0.006, "weight_decay": 0.0}
    numbers |= {"momentum": 0.95, "beta1": 0.9, "beta2": 0.95, "gradient_clip": 0.0, "optimizer": "adamw"}
    return Recipe(**numbers | changes)


def batches_of(texts: list[str] = TEXTS, **changes: Any) -> Batches:
    tokens = token_set(texts, byte_tokenizer())
    return Batches(tokens.ids, tokens.starts, **{"context_length": 16, "seed": 1, "end_of_text": 0} | changes)


def machine_of(precision: Any = "fp32") -> Machine:
    return replace(find_machine(HardwareSettings(device="cpu", precision="fp32")), precision=precision)


def loop(state: TrainingState, machine: Machine, *, length: int, **changes: Any) -> list[StepReport]:
    """The reports of a run to step `length`, at a constant rate."""
    schedule = Schedule(name="constant", warmup_steps=0, cooldown_share=0.5, final_rate_share=1.0, steps=length)
    options: dict[str, Any] = {"schedule": schedule, "machine": machine, "global_batch_size": 4, "micro_batch_size": 4}
    data = changes.pop("data", None) or batches_of()
    return list(steps(state, data, **options | {"seed": 1} | changes))


def every_token_is_a_target_once_an_epoch() -> None:
    tokens = token_set(TEXTS, byte_tokenizer())
    for epoch in range(2):
        batches = batches_of()
        count = -(-len(tokens) // batches.context_length)
        assert batches.windows_per_epoch == count
        seen = batches.batch(epoch * count, count)
        assert np.array_equal(np.sort(seen.targets[seen.targets >= 0]), np.sort(tokens.ids.astype(np.int64)))


def no_batch_holds_neighbours() -> None:
    """The last target of a window is the first input of its neighbour: rarely so for windows drawn one after another."""
    batches = batches_of([chr(33 + number % 90) * 3 + chr(33 + number // 90) for number in range(900)])
    order = batches.batch(0, batches.windows_per_epoch - 1)
    follows = (order.targets[:-1, -1] == order.inputs[1:, 0]) & (order.targets[:-1, -2] == order.inputs[:-1, -1])
    assert follows[order.targets[:-1, -1] > 0].mean() < 0.2


def accumulation_equals_one_batch() -> None:
    found = []
    for micro in (8, 3):
        model = tiny_model("modern")
        state = TrainingState.new(model, recipe_of(), machine_of())
        batch = batches_of(windows="documents", context_length=32).batch(0, 8)
        steps_room.accumulate_gradients(
            state, batch, machine_of(), World(), micro_batch_size=micro, seed=1, loss_function=model.loss_of
        )
        found.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert float((found[1] - found[0]).norm() / found[0].norm()) < 1e-5


def dropout_differs_from_step_to_step_and_is_the_same_again() -> None:
    """With one batch, frozen weights and keyed dropout: another loss at each step, the same losses in a second run."""
    runs = []
    for _ in range(2):
        state = TrainingState.new(tiny_model("modern", dropout=0.2), recipe_of(learning_rate=1e-12), machine_of())
        data = batches_of(TEXTS[:1], windows="documents")
        runs.append([report.loss for report in loop(state, machine_of(), length=4, data=data)])
    assert len(set(runs[0])) == 4
    assert runs[0] == runs[1]


def an_evaluation_between_two_steps_leaves_dropout_on() -> None:
    runs = []
    for looked in (False, True):
        model = tiny_model("modern", dropout=0.2)
        torch.nn.Module.train(model)
        state, found = TrainingState.new(model, recipe_of(), machine_of()), []
        for length in (1, 2, 3):
            found += [report.loss for report in loop(state, machine_of(), length=length)]
            if looked:
                model.eval()
        runs.append(found)
    assert runs[0] == runs[1]


def what_is_no_number_never_reaches_a_weight() -> None:
    model = tiny_model("modern")
    state = TrainingState.new(model, recipe_of(), machine_of())
    calls = iter(range(100))

    def broken(*inputs: Any) -> torch.Tensor:
        return model.loss_of(*inputs) * (float("nan") if next(calls) == 1 else 1.0)

    loop(state, machine_of(), length=3, loss_function=broken)
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    assert state.skipped == [4]


def the_scaler_survives_a_resume(
    kept: Callable[[dict[str, Any]], dict[str, Any]] = lambda saved: saved,
) -> None:
    """fp16: taken up after an overflow that lowered the scale, the weights end the same; `kept` is what is not lost."""
    machine, ends = machine_of("fp16"), []
    for torn in (False, True):
        model = tiny_model("modern")
        state = TrainingState.new(model, recipe_of(), machine)
        assert state.scaler is not None
        calls = iter(range(100))

        def overflowing(*inputs: Any, model: Any = model, calls: Any = calls) -> torch.Tensor:
            return model.loss_of(*inputs) * (float("inf") if next(calls) < 2 else 1.0)

        loop(state, machine, length=3, loss_function=overflowing)
        if torn:
            again = TrainingState.new(model, recipe_of(), machine)
            again.optimizer.load(state.optimizer.state(), source="memory")
            again.step, again.position = state.step, state.position
            assert again.scaler is not None
            if saved := kept(state.scaler.state_dict()):
                again.scaler.load_state_dict(saved)
            state = again
        loop(state, machine, length=6)
        assert state.scaler is not None
        ends.append([state.scaler.state_dict(), *(p.detach().clone() for p in model.parameters())])
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(p, q) for p, q in zip(ends[0][1:], ends[1][1:], strict=True))
