"""The bare loop: accumulation, clipping, keyed randomness, unusable steps, and that it learns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bajka.config import HardwareSettings
from bajka.distributed import World
from bajka.errors import NumericsError
from bajka.generation.sampling import Sampling
from bajka.generation.write import generate
from bajka.hardware import Machine, find_machine
from bajka.model.transformer import Transformer
from bajka.planning.recipe import Recipe
from bajka.planning.schedule import Cooldown, Schedule
from bajka.tokens import Batches
from bajka.tokens.store import token_set
from bajka.training.steps import StepReport, TrainingState, accumulate_gradients, steps
from tiny import byte_tokenizer, tiny_model

SENTENCE = "The fox ate all the grapes."
TEXTS = [SENTENCE, "A fox.", "Once upon a time there was a very hungry old fox.", "Grapes!", "No."] * 4


@pytest.fixture(scope="module")
def machine() -> Machine:
    return find_machine(HardwareSettings(device="cpu", precision="fp32"))


def recipe(optimizer: Any = "adamw", **changes: Any) -> Recipe:
    rate = 0.02 if optimizer == "muon" else 0.003
    numbers = {"learning_rate": rate, "adamw_learning_rate": 0.006, "weight_decay": 0.0, "momentum": 0.95}
    numbers |= {"beta1": 0.9, "beta2": 0.95, "gradient_clip": 1.0}
    return Recipe(optimizer=optimizer, **numbers | changes)


def flat(length: int | None) -> Schedule:
    return Schedule(name="constant", warmup_steps=0, cooldown_share=0.5, final_rate_share=1.0, steps=length)


def batches(texts: list[str] = TEXTS, **changes: Any) -> Batches:
    tokens = token_set(texts, byte_tokenizer())
    return Batches(tokens.ids, tokens.starts, **{"context_length": 32, "seed": 1, "end_of_text": 0} | changes)


def run(
    model: Transformer, machine: Machine, *, length: int | None = 6, micro: int = 4, **more: Any
) -> Iterator[StepReport]:
    """The loop over `length` steps of 4 sequences; `more` goes to the state and to `steps`."""
    state = more.pop("state", None) or TrainingState.new(model, more.pop("recipe", recipe()), machine)
    data = more.pop("data", None) or batches()
    options = {
        "schedule": flat(length),
        "machine": machine,
        "global_batch_size": 4,
        "micro_batch_size": micro,
        "seed": 1,
    }
    return steps(state, data, **options | more)


def flat_gradients(model: Transformer) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def gradients(machine: Machine, *, micro: int, clip: float = 0.0) -> tuple[float, float, torch.Tensor]:
    """Loss, norm and gradients of one batch of 8 documents, whose targets are spread unevenly over the rows."""
    model = tiny_model("modern")
    state = TrainingState.new(model, recipe(gradient_clip=clip), machine)
    batch = batches(windows="documents").batch(0, 8)
    counted = (batch.targets >= 0).sum(axis=1)
    assert counted.max() > 4 * counted.min(), "the rows of this test must be uneven"
    loss, norm = accumulate_gradients(
        state, batch, machine, World(), micro_batch_size=micro, seed=1, loss_function=model.loss_of
    )
    return loss, norm, flat_gradients(model)


@pytest.mark.parametrize("micro", [1, 2, 3, 5])
def test_accumulated_micro_batches_equal_one_big_batch(machine: Machine, micro: int) -> None:
    whole_loss, whole_norm, whole = gradients(machine, micro=8)
    loss, norm, parts = gradients(machine, micro=micro)
    assert float((parts - whole).norm() / whole.norm()) < 1e-6
    assert loss == pytest.approx(whole_loss, rel=1e-6)
    assert norm == pytest.approx(whole_norm, rel=1e-6)


def test_the_loss_is_the_mean_over_all_counted_targets(machine: Machine) -> None:
    model, batch = tiny_model("modern"), batches(windows="documents").batch(0, 8)
    logits = model(torch.from_numpy(batch.inputs)).log_softmax(-1)
    inside = batch.targets >= 0
    picked = logits.gather(-1, torch.from_numpy(np.where(inside, batch.targets, 0))[..., None])[..., 0]
    expected = -picked[torch.from_numpy(inside)].mean().item()
    assert gradients(machine, micro=2)[0] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped_to_the_limit_and_the_norm_before_it_is_reported(machine: Machine) -> None:
    _, free_norm, free = gradients(machine, micro=8)
    _, norm, clipped = gradients(machine, micro=8, clip=0.25)
    assert norm == pytest.approx(free_norm)
    assert norm == pytest.approx(float(free.norm()), rel=1e-5)
    assert norm > 0.25
    assert float(clipped.norm()) == pytest.approx(0.25, rel=1e-3)


def test_small_gradients_are_not_clipped(machine: Machine) -> None:
    assert torch.equal(gradients(machine, micro=8, clip=1e6)[2], gradients(machine, micro=8)[2])


def test_each_report_tells_the_step_its_tokens_and_its_epoch(machine: Machine) -> None:
    data = batches()
    reports = list(run(tiny_model("modern"), machine, length=3, data=data))
    assert [r.step for r in reports] == [1, 2, 3]
    assert [r.tokens for r in reports] == [128, 256, 384]
    assert reports[-1].epoch == 12 / data.windows_per_epoch
    assert all(r.seconds > 0 and r.gradient_norm > 0 and not r.skipped for r in reports)


def test_the_reported_rate_is_the_schedules(machine: Machine) -> None:
    schedule = Schedule(name="linear", warmup_steps=1, cooldown_share=0.5, final_rate_share=0.0, steps=4)
    rates = [r.learning_rate for r in run(tiny_model("modern"), machine, schedule=schedule)]
    assert rates == pytest.approx([0.003 * share for share in (0.5, 0.75, 0.5, 0.25)])


def test_a_run_without_a_length_goes_on_until_the_caller_decides(machine: Machine) -> None:
    model = tiny_model("modern")
    state = TrainingState.new(model, recipe(), machine)
    found = []
    for report in run(model, machine, length=None, state=state):
        found.append(report.step)
        if report.step == 3:
            state.cooldown = Cooldown(begin=3, steps=2)
    assert found == [1, 2, 3, 4, 5]


def losses_with(machine: Machine, *, disturb: bool) -> list[float]:
    model = tiny_model("modern", dropout=0.2, attention_dropout=0.1)
    found = []
    for report in run(model, machine, micro=2):
        found.append(report.loss)
        if disturb:
            torch.manual_seed(report.step)
            torch.rand(5)
            model.eval()
    return found


def test_dropout_is_keyed_so_what_the_caller_draws_between_steps_changes_nothing(machine: Machine) -> None:
    assert losses_with(machine, disturb=False) == losses_with(machine, disturb=True)


def test_dropout_differs_from_step_to_step_and_is_off_outside_training(machine: Machine) -> None:
    model = tiny_model("modern", dropout=0.2)
    frozen = recipe(learning_rate=1e-12)
    same_batch = batches([SENTENCE], windows="documents")
    found = [r.loss for r in run(model, machine, length=4, recipe=frozen, data=same_batch)]
    assert len(set(found)) == 4
    without = tiny_model("modern", dropout=0.0)
    assert len({r.loss for r in run(without, machine, length=4, recipe=frozen, data=same_batch)}) == 1


def broken(model: Transformer, calls: set[int]) -> Any:
    """The model's loss, which is no number at these calls (from 0)."""
    counter = itertools.count()
    return lambda *inputs: model.loss_of(*inputs) * (float("nan") if next(counter) in calls else 1.0)


def test_a_step_whose_gradient_is_no_number_is_skipped_and_remembered(machine: Machine) -> None:
    model = tiny_model("modern")
    state = TrainingState.new(model, recipe(), machine)
    before = None
    for report in run(model, machine, length=3, state=state, loss_function=broken(model, {1})):
        if report.step == 1:
            before = [p.detach().clone() for p in model.parameters()]
        if report.step == 2:
            assert report.skipped
            assert before is not None
            assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    assert state.skipped == [4], "the position of the batch that was skipped"
    assert state.position == 12
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_ten_such_steps_in_a_row_end_the_run_with_a_sentence(machine: Machine) -> None:
    model = tiny_model("modern")
    with pytest.raises(NumericsError, match="10 steps in a row, up to step 12") as caught:
        list(run(model, machine, length=50, loss_function=broken(model, set(range(2, 50)))))
    assert "lower --learning-rate" in str(caught.value)
    assert caught.value.exit_code == 5


def test_nine_such_steps_do_not(machine: Machine) -> None:
    model = tiny_model("modern")
    reports = list(run(model, machine, length=11, loss_function=broken(model, set(range(1, 10)))))
    assert sum(r.skipped for r in reports) == 9


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adam"])
@pytest.mark.parametrize("variant", ["modern", "llama", "gpt2", "gpt1", "gpt2-sinusoidal"])
def test_every_family_has_a_pulse_under_every_optimizer(machine: Machine, variant: str, optimizer: Any) -> None:
    model = Transformer(tiny_model(variant).config)
    model.reset(seed=1)
    found = [r.loss for r in run(model, machine, length=12, recipe=recipe(optimizer))]
    assert min(found[-3:]) < found[0] - 0.3


def test_a_tiny_model_learns_one_sentence_by_heart_and_writes_it(machine: Machine) -> None:
    model = Transformer(tiny_model("modern").config)
    model.reset(seed=1)
    one = batches([SENTENCE], windows="documents")
    found = [r.loss for r in run(model, machine, length=60, recipe=recipe("muon"), data=one, global_batch_size=1)]
    assert found[-1] < 0.1
    text = generate(model, byte_tokenizer(), ["The fox"], sampling=Sampling(temperature=0, max_new_tokens=40))[0]
    assert text.whole == SENTENCE
    assert text.reason == "stop"


def test_fp16_learns_with_its_scaler_and_skips_what_overflows(machine: Machine) -> None:
    half = replace(machine, precision="fp16")  # slow on a CPU, where no plan chooses it, but the same code
    model = Transformer(tiny_model("modern").config)
    model.reset(seed=1)
    state = TrainingState.new(model, recipe("adamw"), half)
    assert state.scaler is not None
    assert state.scaler.get_scale() > 1000
    reports = list(run(model, half, length=16, state=state))
    assert reports[-1].loss < reports[0].loss - 0.3
    assert all(norm < 50 for norm in (r.gradient_norm for r in reports if not r.skipped)), (
        "norms are those without scale"
    )


def test_the_scaler_lowers_its_scale_after_an_overflow(machine: Machine) -> None:
    model = tiny_model("modern")
    state = TrainingState.new(model, recipe("adamw"), replace(machine, precision="fp16"))
    assert state.scaler is not None
    before = state.scaler.get_scale()
    list(run(model, replace(machine, precision="fp16"), length=1, state=state, loss_function=broken(model, {0})))
    assert state.scaler.get_scale() == before / 2
    assert state.skipped == [0]
