"""The time of a step: rates between measured widths, and real steps that correct what is modelled."""

from __future__ import annotations

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bajka.model import ModelConfig
from bajka.model.memory import Load
from bajka.planning.rates import Rates, StepTime, _orthogonal
from bajka.planning.recipe import Recipe
from bajka.training.optimizer import Optimizer
from tiny import tiny_config, tiny_model

RATES = Rates({"bf16": {64: 1e11, 256: 4e11}, "fp32": {64: 5e10, 256: 1e11}}, elementwise=1e9, dispatch=4e-6)
LOAD = Load(bytes_per_activation=2, optimizer="muon", device="cpu")


def shape(**changes: int) -> ModelConfig:
    return tiny_config("modern").model_copy(update=changes)


def real_step(model: ModelConfig, seconds: float) -> StepTime:
    modelled = RATES.modelled(model, 8, LOAD, "bf16")
    return StepTime(model.n_layer, model.n_embd, model.vocab_size, model.context_length, 8, "bf16", seconds, modelled)


@pytest.mark.parametrize(("width", "rate"), [(64, 1e11), (128, 2e11), (256, 4e11), (32, 1e11), (1024, 4e11)])
def test_the_rate_of_a_product_lies_between_those_of_measured_widths(width: int, rate: float) -> None:
    assert RATES.product_rate("bf16", width) == pytest.approx(rate)


def test_a_step_takes_longer_with_more_of_anything() -> None:
    base = RATES.step_seconds(shape(), 8, LOAD, "bf16")
    for changes in ({"n_layer": 9}, {"vocab_size": 9999}, {"n_inner": 999}, {"context_length": 99}):
        assert RATES.step_seconds(shape(**changes), 8, LOAD, "bf16") > base
    assert RATES.step_seconds(shape(), 16, LOAD, "bf16") > base
    assert RATES.step_seconds(shape(), 8, LOAD, "fp32") > base
    adamw = Load(bytes_per_activation=2, optimizer="adamw", device="cpu")
    assert RATES.step_seconds(shape(), 8, adamw, "bf16") < base


@pytest.mark.parametrize("variant", ["modern", "gpt2"])
def test_muons_products_are_as_many_as_torch_counts(variant: str) -> None:
    model = tiny_model(variant)
    numbers = {"weight_decay": 0.1, "momentum": 0.9, "beta1": 0.9, "beta2": 0.95, "gradient_clip": 1.0}
    optimizer = Optimizer(model, Recipe("muon", 0.02, 0.006, **numbers), muon_dtype=torch.float32)
    with FlopCounterMode(display=False) as counter:
        optimizer.step(1.0)
    assert _orthogonal(tiny_config(variant), LOAD) == counter.get_total_flops()


def test_a_shape_that_was_measured_takes_what_it_took() -> None:
    rates = RATES.with_step(real_step(shape(), 3.0))
    assert rates.knows(shape(), 8, "bf16")
    assert rates.step_seconds(shape(), 8, LOAD, "bf16") == pytest.approx(3.0, rel=1e-6)


def test_a_neighbour_of_a_measured_shape_is_corrected_alike() -> None:
    near, measured = shape(n_layer=3), shape()
    ratio = 2.5
    rates = RATES.with_step(real_step(measured, ratio * RATES.modelled(measured, 8, LOAD, "bf16")))
    assert rates.step_seconds(near, 8, LOAD, "bf16") == pytest.approx(ratio * RATES.modelled(near, 8, LOAD, "bf16"))
    assert not rates.knows(near, 8, "bf16")


def test_of_two_measured_shapes_each_keeps_its_own_time() -> None:
    small, large = shape(), shape(n_layer=12, vocab_size=4096)
    rates = RATES.with_step(real_step(small, 1.0)).with_step(real_step(large, 50.0))
    assert rates.step_seconds(small, 8, LOAD, "bf16") == pytest.approx(1.0, rel=0.01)
    assert rates.step_seconds(large, 8, LOAD, "bf16") == pytest.approx(50.0, rel=0.01)


def test_of_two_measurements_of_one_shape_the_quicker_is_kept() -> None:
    rates = RATES.with_step(real_step(shape(), 3.0)).with_step(real_step(shape(), 2.0))
    assert [step.seconds for step in rates.steps] == [2.0]
    assert rates.with_step(real_step(shape(), 2.5)) == rates


def test_a_step_far_above_its_model_is_doubtful_when_another_is_not() -> None:
    small, large = shape(), shape(n_layer=12)
    as_modelled = [RATES.modelled(one, 8, LOAD, "bf16") for one in (small, large)]
    rates = RATES.with_step(real_step(large, 1.5 * as_modelled[1]))
    assert RATES.doubtful is None
    assert rates.doubtful is None
    both = rates.with_step(real_step(small, as_modelled[0]))
    assert both.doubtful is not None
    assert both.doubtful.n_layer == 12
    assert both.with_step(real_step(large, 1.2 * as_modelled[1])).doubtful is None


def test_what_other_programs_took_is_a_share_of_the_time_of_measuring() -> None:
    assert RATES.busy == 0.0
    rates = RATES.measured_for(1.0, 0.0).measured_for(3.0, 2.0)
    assert (rates.seconds, rates.busy) == (4.0, 0.5)
    assert RATES.measured_for(1.0, 3.0).busy == 1.0  # threads that are many more than processors


def test_rates_are_json() -> None:
    rates = RATES.with_step(real_step(shape(), 1.0))
    page = rates.as_dict()
    assert json.loads(json.dumps(page)) == page
    assert page["steps"][0]["seconds"] == 1.0
