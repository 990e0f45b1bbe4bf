"""Measuring a machine and planning with it: bounded in time, stable with given rates, vocabularies compared."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bajka.config import HardwareSettings
from bajka.corpus.tales import write_tales
from bajka.hardware import find_machine
from bajka.planning.rates import StepTime
from bajka.settings import settings_with
from bajka.training.measuring import measure_machine, measure_step, measuring_seconds
from bajka.training.planner import Planner
from bajka.training.preview import preview, settings_page
from made_up import RATES, TEXT


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "tales.txt"
    path.write_text("\n\n".join(write_tales(1500)), encoding="utf-8")
    return path


def planner(texts: Path, **wishes: Any) -> Planner:
    settings = settings_with(texts=[str(texts)], threads=1, **wishes)
    return Planner(settings, find_machine(settings.hardware), RATES, elapsed=lambda: 3.0)


@pytest.mark.parametrize(("minutes", "seconds"), [(None, 0.5), (0.5, 1.5), (1, 3.0), (2, 4.0), (600, 4.0)])
def test_measuring_takes_at_most_a_twentieth_of_the_time_and_four_seconds(
    minutes: float | None, seconds: float
) -> None:
    assert measuring_seconds(minutes) == seconds


def test_a_machine_has_a_rate_for_each_precision_that_is_fast_on_it() -> None:
    machine = find_machine(HardwareSettings(threads=1))
    rates = measure_machine(machine, seconds=0.1)
    assert {"fp32", machine.precision} <= set(rates.products)
    assert all(1e8 < rate < 1e16 for of in rates.products.values() for rate in of.values())
    assert 1e6 < rates.elementwise < 1e13
    assert 1e-8 < rates.dispatch < 1e-2
    assert 0 < rates.seconds < 5


def test_a_real_step_is_measured_and_leaves_nothing_behind(texts: Path) -> None:
    one = planner(texts, steps=50, n_layer=1, n_embd=64, context_length=64, global_batch_size=4)
    plan = one._plan(TEXT)
    drawn = torch.get_rng_state()
    step = measure_step(plan, one.machine, RATES, seconds=1.0)
    assert step is not None
    assert 1e-4 < step.seconds < 5
    assert step.is_of(plan.model, plan.micro_batch_size, one.machine.precision)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_step_that_would_take_too_long_is_not_made(texts: Path) -> None:
    one = planner(texts, steps=50, n_layer=12, n_embd=768)
    began = time.perf_counter()
    assert measure_step(one._plan(TEXT), one.machine, RATES, seconds=0.1) is None
    assert time.perf_counter() - began < 2


def test_with_given_rates_nothing_is_measured_and_the_plan_is_the_same(texts: Path) -> None:
    first, second = planner(texts, minutes=3), planner(texts, minutes=3)
    assert first.plan(TEXT) == second.plan(TEXT)
    assert first.rates == RATES


def test_a_planner_that_measures_knows_the_step_of_what_it_chose(texts: Path) -> None:
    settings = settings_with(texts=[str(texts)], threads=1, minutes=2)
    one = Planner.measuring(settings, find_machine(settings.hardware), elapsed=lambda: 3.0)
    plan = one.plan(TEXT)
    knows = one.rates.knows(plan.model, plan.micro_batch_size, one.machine.precision)
    assert knows or one.rates.seconds > 1  # on a machine that is busy with other things there may be no time left
    assert one.rates.seconds < 10


def test_a_step_that_something_disturbed_is_measured_again(texts: Path) -> None:
    one = planner(texts, minutes=1, n_layer=1, n_embd=64, context_length=64, global_batch_size=4)
    plan, other = one._plan(TEXT), planner(texts, minutes=1, n_layer=2, n_embd=64)._plan(TEXT)
    for which, seconds in ((plan, 100.0), (other, 0.001)):
        m = which.model
        shape = (m.n_layer, m.n_embd, m.vocab_size, m.context_length)
        step = StepTime(*shape, which.micro_batch_size, one.machine.precision, seconds, modelled=0.1)
        one.rates = one.rates.with_step(step)
    one._measure_again([other, plan])
    assert {step.n_layer: step.seconds < 50 for step in one.rates.steps} == {1: True, 2: True}
    assert one.rates.seconds > RATES.seconds


def test_a_text_that_repeats_one_sentence_has_a_plan(tmp_path: Path) -> None:
    text = tmp_path / "dull.txt"
    text.write_text("All work and no play makes Jack a dull boy.\n" * 4000, encoding="utf-8")
    plan = preview(settings_with(texts=[str(text)], threads=1, minutes=1), say=lambda line: None)
    assert plan.expected_steps > 1
    assert plan.expectation is None


@pytest.mark.parametrize(
    ("size", "wishes"), [(760, {}), (400, {"context_length": 8}), (800, {"validation_share": 0.2})]
)
def test_a_text_of_a_few_hundred_bytes_has_a_plan(tmp_path: Path, size: int, wishes: dict[str, Any]) -> None:
    text = tmp_path / "short.txt"
    text.write_text(" ".join(write_tales(9))[:size], encoding="utf-8")
    plan = preview(settings_with(texts=[str(text)], threads=1, minutes=1, **wishes), say=lambda line: None)
    assert plan.expected_steps > 1


def test_a_preview_says_the_plan_and_writes_its_page(texts: Path) -> None:
    said: list[str] = []
    settings = settings_with(texts=[str(texts)], threads=1, minutes=2, n_embd=64)
    plan = preview(settings, say=said.append)
    assert plan.model.n_embd == 64
    assert any(re.match(r"Expected in (about .+ of )?2 minutes: .*done at about", line) for line in said)
    page = settings_page(settings, plan)
    assert "n_embd = 64" in page
    assert "\n# n_layer = " in page
