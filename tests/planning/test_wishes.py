"""Wishes that cannot be met are refused in words, with the nearest that can."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bajka.errors import ResourceError, SettingsError
from bajka.hardware import Machine
from bajka.planning.plan import Plan
from bajka.planning.wishes import check_fit
from made_up import MACHINE, TEXT, plan_of
from tiny import tiny_config

SMALL = replace(MACHINE, memory_bytes=256 << 20)


def need(plan: Plan, machine: Machine = SMALL, *, imported: bool = False) -> None:
    check_fit(plan, plan.expected_memory_bytes, machine, imported=imported)


def test_a_shape_that_does_not_fit_is_answered_with_the_nearest_that_does() -> None:
    wishes: dict[str, Any] = {"n_layer": 8, "n_embd": 1024, "context_length": 256}
    plan = plan_of(machine=SMALL, steps=10, **wishes)
    with pytest.raises(ResourceError, match=r"n_layer = 8, n_embd = 1024.* GiB free\. Nearest that fits") as caught:
        need(plan)
    found = re.search(r"--n-layer (\d+) --n-embd (\d+) --micro-batch-size 1", str(caught.value))
    assert found is not None
    near = {"n_layer": int(found[1]), "n_embd": int(found[2]), "micro_batch_size": 1, "context_length": 256}
    need(plan_of(machine=SMALL, steps=10, **near))  # what is offered can be had
    wider = near | {"n_embd": near["n_embd"] + 128}
    with pytest.raises(ResourceError):
        need(plan_of(machine=SMALL, steps=10, **wider))


@pytest.mark.parametrize(
    "wish",
    [
        {"n_layer": 12, "n_head": 12, "n_embd": 768},
        {"n_layer": 4, "n_embd": 256, "n_inner": 65_536},
        {"n_layer": 12, "n_embd": 512, "average": "epochs", "average_epochs": 20},
    ],
)
def test_the_offer_can_be_had_whatever_else_was_set(wish: dict[str, Any]) -> None:
    machine = replace(MACHINE, memory_bytes=600 << 20)
    with pytest.raises(ResourceError) as caught:
        need(plan_of(machine=machine, steps=10, context_length=256, **wish), machine)
    offered = {
        name.replace("-", "_"): int(value) for name, value in re.findall(r"--([a-z-]+) (\d+)", str(caught.value))
    }
    need(plan_of(machine=machine, steps=10, context_length=256, **wish | offered), machine)


def test_the_plan_itself_chooses_a_shape_whose_averages_fit() -> None:
    machine = replace(MACHINE, memory_bytes=1 << 30)
    need(plan_of(machine=machine, minutes=600, average="epochs", average_epochs=10), machine)


def test_given_weights_that_do_not_fit_have_no_other_shape() -> None:
    plan = plan_of(imported=tiny_config("modern"), steps=10)
    with pytest.raises(ResourceError, match=r"start from smaller weights"):
        need(plan, replace(SMALL, memory_bytes=1000), imported=True)


def test_no_memory_at_all_is_said() -> None:
    with pytest.raises(ResourceError, match="Even the smallest shapes do not fit"):
        need(plan_of(steps=10), replace(SMALL, memory_bytes=1000))


def test_the_plan_itself_chooses_what_fits() -> None:
    plan = plan_of(machine=replace(MACHINE, memory_bytes=220 << 20), minutes=600)
    assert plan.expected_memory_bytes <= 110 << 20


def test_minutes_too_few_for_what_was_set_name_how_many_would_do() -> None:
    with pytest.raises(
        SettingsError, match=r"minutes = 0\.1, but one step with n_layer = 16, n_embd = 1024 takes about .* at least"
    ) as caught:
        plan_of(n_layer=16, n_embd=1024, minutes=0.1)
    offered = re.search(r"--minutes ([\d.e+]+)", str(caught.value))
    assert offered is not None
    plan_of(n_layer=16, n_embd=1024, minutes=1.05 * float(offered[1]))


def test_few_minutes_alone_are_no_impossible_wish() -> None:
    assert plan_of(minutes=0.05).expected_steps >= 1


def test_a_batch_larger_than_the_text_names_the_largest() -> None:
    with pytest.raises(SettingsError, match=r"global_batch_size = 5,000, but .* only 1,172 windows.*at most"):
        plan_of(global_batch_size=5000, steps=10)
    plan_of(global_batch_size=1172, steps=10)


def test_what_was_set_is_kept_and_the_rest_planned_around_it() -> None:
    much = replace(TEXT, train_tokens=20_000_000, validation_tokens=500_000, bytes=70_000_000)
    free, narrow = plan_of(much, minutes=60), plan_of(much, minutes=60, n_embd=64)
    assert narrow.model.n_embd == 64
    assert narrow.model.n_layer >= 2
    assert free.model.n_embd != 64
    deep = plan_of(much, minutes=60, n_layer=10)
    assert deep.model.n_layer == 10
    assert deep.reasons["n_layer"] == "you set it"
    assert deep.reasons["n_embd"] != "you set it"
