"""The plan: what the person set is kept, everything else has a reason, and impossible wishes get a sentence."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from bajka.errors import DamagedFileError, SettingsError
from bajka.model.estimate import parameters
from bajka.planning.machine import COMPILE_SECONDS, tokens_a_step
from bajka.planning.plan import Plan, describe, make_plan
from bajka.planning.shape import MOST_READINGS, MOST_READINGS_FROM_WEIGHTS
from bajka.settings import settings_with
from made_up import MACHINE, MUCH, RATES, TEXT, plan_of
from tiny import tiny_config


def values_of(plan: Plan) -> dict[str, Any]:
    """Every number of a plan by its flat name."""
    return (
        vars(plan)
        | asdict(plan.recipe)
        | asdict(plan.schedule)
        | {"schedule": plan.schedule.name}
        | plan.model.model_dump()
    )


def test_every_number_that_a_person_could_have_set_has_a_reason() -> None:
    reasons = plan_of().reasons
    chosen = """minutes context_length n_layer n_embd n_head n_kv_head n_inner tie_embeddings dropout optimizer learning_rate
    adamw_learning_rate momentum weight_decay schedule warmup_steps cooldown_share final_rate_share global_batch_size
    micro_batch_size loss_chunk evaluate_every_steps evaluation_windows compile most_epochs
    teacher teacher_share"""
    assert set(reasons) == set(chosen.split())
    assert all(len(reason) > 5 for reason in reasons.values())


def test_the_average_that_was_asked_for_is_told_with_its_decay() -> None:
    lines = describe(plan_of(minutes=5, average="ema"))
    assert "  average = ema: you set it" in lines
    assert any(line.startswith("  average_decay = 0.") for line in lines)


def test_the_plan_is_told_line_by_line_with_value_and_reason() -> None:
    plan = plan_of(minutes=5, n_layer=3, teacher="none")
    lines = describe(plan)
    assert lines[0].startswith(f"Model: modern, {parameters(plan.model):,} weights")
    assert "  n_layer = 3: you set it" in lines
    assert "  context_length = 128: in fewer than 8 minutes no more than that is learned to be used" in lines
    assert "  context_length = 256: usual on a CPU for this amount of text" in describe(plan_of(minutes=10, n_layer=3))
    assert any(line.startswith(f"Expected in 5 minutes: {plan.expected_steps:,} steps at about") for line in lines)
    assert all("None" not in line for line in lines)


WISHES: dict[str, Any] = {
    "n_layer": 3,
    "n_embd": 96,
    "n_head": 6,
    "n_kv_head": 2,
    "n_inner": 200,
    "context_length": 48,
    "tie_embeddings": True,
    "dropout": 0.3,
    "optimizer": "adamw",
    "learning_rate": 0.0123,
    "weight_decay": 0.07,
    "beta1": 0.8,
    "beta2": 0.9,
    "gradient_clip": 0.5,
    "schedule": "cosine",
    "steps": 77,
    "warmup_steps": 9,
    "cooldown_share": 0.25,
    "final_rate_share": 0.05,
    "global_batch_size": 12,
    "micro_batch_size": 5,
    "evaluate_every_steps": 13,
    "evaluation_windows": 21,
    "seed": 4,
}


def test_whatever_the_person_set_is_kept() -> None:
    plan = plan_of(**WISHES)
    values = values_of(plan)
    assert {name: values[name] for name in WISHES} == WISHES
    assert all(plan.reasons[name] == "you set it" for name in WISHES if name in plan.reasons)


@pytest.mark.parametrize("wishes", [{}, {"minutes": 3}, {"steps": 10}, WISHES, {"family": "gpt1"}, {"family": "gpt2"}])
def test_a_plan_comes_back_from_json_as_it_was(wishes: dict[str, Any]) -> None:
    plan = plan_of(**wishes)
    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan


@pytest.mark.parametrize("harm", [{"recipe": {}}, {"schedule": 5}, {"model": {"n_layer": "many"}}, {"notes": None}])
def test_a_plan_that_was_altered_is_a_damaged_file(harm: dict[str, Any]) -> None:
    with pytest.raises(DamagedFileError, match="the run cannot be continued"):
        Plan.from_dict(plan_of().as_dict() | harm)


def test_a_run_in_minutes_ends_before_the_text_is_learnt_by_heart() -> None:
    tiny = replace(TEXT, train_tokens=6_000, validation_tokens=700, bytes=20_000)
    plan = plan_of(tiny, minutes=10, teacher="none")
    assert plan.expected_epochs == pytest.approx(MOST_READINGS, rel=0.1)
    assert plan.expected_seconds < 300
    assert "by heart" in plan.reasons["most_epochs"]
    assert plan.most_steps is not None
    assert plan.most_steps == pytest.approx(plan.expected_steps, abs=1)
    longer = plan_of(tiny, minutes=10, most_epochs=500)
    assert longer.expected_epochs > 100
    assert longer.model.dropout > 0
    assert plan_of(tiny, steps=5000).most_steps is None


def test_a_run_from_a_base_may_read_a_small_text_more_often_and_ends_then_too() -> None:
    tiny = replace(TEXT, train_tokens=6_000, validation_tokens=700, bytes=20_000)
    plan = plan_of(tiny, minutes=10, imported=tiny_config("modern"))
    assert plan.expected_epochs == pytest.approx(MOST_READINGS_FROM_WEIGHTS, rel=0.1)
    assert plan.most_epochs == MOST_READINGS_FROM_WEIGHTS > MOST_READINGS
    assert plan.expected_seconds < 300
    assert plan_of(tiny, minutes=10, imported=tiny_config("modern"), most_epochs=500).most_epochs == 500


@pytest.mark.parametrize("wishes", [{"windows": "sliding", "stride": 32}, {"windows": "documents"}])
def test_the_most_epochs_that_were_asked_for_end_a_run_whatever_its_windows(wishes: dict[str, Any]) -> None:
    plan = plan_of(minutes=10, most_epochs=2, n_layer=2, n_embd=64, **wishes)
    assert plan.most_epochs == 2
    assert plan.expected_epochs == pytest.approx(2, rel=0.1)
    assert plan_of(minutes=10, n_layer=2, n_embd=64, **wishes).most_epochs is None


def test_a_run_that_ends_long_before_its_minutes_is_told_with_its_own_length_and_is_not_compiled_for_them() -> None:
    tiny = replace(TEXT, train_tokens=6_000, validation_tokens=700, bytes=20_000)
    plan = plan_of(tiny, minutes=10, n_layer=4, n_embd=128)
    assert any(
        line.startswith(f"Expected in about {plan.expected_seconds:.0f} s of 10 minutes: ") for line in describe(plan)
    )
    assert plan.reasons["compile"].startswith("off: the run ends after about ")
    assert not plan.compile
    assert plan_of(minutes=10, n_layer=4, n_embd=128).compile


def test_compiling_counts_in_when_a_run_will_be_done() -> None:
    tiny = replace(TEXT, train_tokens=6_000, validation_tokens=700, bytes=20_000)
    seconds = [plan_of(tiny, minutes=10, n_embd=128, compile=wish).expected_seconds for wish in ("off", "on")]
    assert seconds[1] == pytest.approx(seconds[0] + COMPILE_SECONDS["cpu"], abs=3)


def test_compile_on_needs_a_compiler() -> None:
    with pytest.raises(SettingsError, match=r"compile = on.*C\+\+ compiler.*--compile off"):
        plan_of(compile="on", machine=replace(MACHINE, can_compile=False))


@pytest.mark.parametrize(
    ("wishes", "compiled"),
    [({"minutes": 10}, True), ({"minutes": 1}, False), ({"steps": 10}, False), ({"compile": "on"}, True)],
)
def test_compile_is_used_when_the_run_is_long_enough_to_win(wishes: dict[str, Any], compiled: bool) -> None:
    plan = plan_of(n_embd=128, **wishes)
    assert plan.compile is compiled
    assert plan.reasons["compile"]


def test_muon_is_the_default_but_not_for_gpt1_nor_for_given_weights() -> None:
    assert plan_of().recipe.optimizer == "muon"
    assert plan_of(family="gpt1").recipe.optimizer == "adamw"
    given = plan_of(imported=tiny_config("modern"))
    assert given.recipe.optimizer == "adamw"
    assert given.model.dropout == 0.1


@pytest.mark.parametrize(("width", "rate"), [(64, 1e-3), (128, 1e-3), (320, 4e-4), (768, 1.667e-4)])
def test_given_weights_are_trained_gently_and_wide_ones_more_so(width: int, rate: float) -> None:
    given = plan_of(imported=tiny_config("modern", n_embd=width))
    assert given.recipe.learning_rate == pytest.approx(rate, rel=1e-3)


def test_a_small_text_is_called_small_and_gets_dropout_when_it_is_read_often() -> None:
    small = replace(TEXT, train_tokens=6_000, validation_tokens=700, bytes=20_000)
    plan = plan_of(small, epochs=100)
    assert plan.notes[0].startswith("This is a small text (20 KB)")
    assert plan.expected_epochs > 12
    assert plan.model.dropout > 0
    assert "is read about" in plan.reasons["dropout"]
    assert not plan_of(replace(TEXT, bytes=5_000_000, train_tokens=1_200_000), steps=100).notes


def test_steps_grow_with_the_tokens_that_a_run_sees() -> None:
    gpu = replace(MACHINE, device="cuda:0")
    by_tokens = [[tokens_a_step(one, tokens, 1e9) for tokens in (3e4, 1e5, 2e6, 1e8)] for one in (MACHINE, gpu)]
    assert by_tokens == [[512, 1024, 2048, 4096], [2048, 2048, 4096, 16_384]]


def test_little_text_gets_small_steps_unless_it_is_read_more_often_than_was_tried() -> None:
    assert [tokens_a_step(MACHINE, 3 * text, text) for text in (5e3, 4e4, 1e5, 2e5)] == [256, 256, 512, 1024]
    assert tokens_a_step(MACHINE, 30 * 1e5, 1e5) == tokens_a_step(MACHINE, 30 * 1e5, 1e9) == 2048


def test_the_batch_of_little_text_says_why_and_no_other_does() -> None:
    little = plan_of(replace(TEXT, train_tokens=60_000, bytes=600_000), minutes=2)
    assert little.global_batch_size * little.model.context_length == 512
    assert "the text is small" in little.reasons["global_batch_size"]
    odd = plan_of(replace(TEXT, bytes=5_000_000, train_tokens=1_200_000), minutes=2, context_length=96)
    assert "the text is small" not in odd.reasons["global_batch_size"]


def test_looks_that_grow_with_the_steps_leave_as_many_as_they_pay_for() -> None:
    wishes = {
        "evaluation_windows": 50,
        "early_stopping": 5,
        "early_stopping_every_steps": 10,
        "n_layer": 4,
        "n_embd": 256,
    }
    plain, dear = plan_of(MUCH, minutes=10, n_layer=4, n_embd=256), plan_of(MUCH, minutes=10, **wishes)
    assert 0.2 < dear.expected_steps / plain.expected_steps < 0.9
    steps = dear.expected_steps * dear.global_batch_size * dear.model.context_length / dear.expected_tokens_per_second
    assert steps * (1 + dear.evaluation_share) == pytest.approx(600, rel=0.05)


def test_wide_networks_are_not_compiled_on_a_cpu() -> None:
    narrow, wide = (plan_of(n_layer=4, n_embd=width, minutes=60) for width in (256, 384))
    assert (narrow.compile, wide.compile) == (True, False)
    assert "so wide" in wide.reasons["compile"]
    assert plan_of(n_layer=4, n_embd=384, minutes=60, compile="on").compile


def test_processes_share_the_work_of_a_step() -> None:
    gpu = replace(MACHINE, device="cuda:0")
    alone, four = (
        make_plan(
            settings_with(minutes=10, n_layer=4, n_embd=256, global_batch_size=64),
            TEXT,
            gpu,
            rates=RATES,
            processes=count,
        )
        for count in (1, 4)
    )
    assert 2 < four.expected_tokens_per_second / alone.expected_tokens_per_second <= 4


def test_the_evaluations_of_many_processes_take_no_more_of_the_shorter_time() -> None:
    gpu, much = replace(MACHINE, device="cuda:0"), replace(TEXT, train_tokens=30_000_000, validation_tokens=1_000_000)
    assert make_plan(settings_with(minutes=5), much, gpu, rates=RATES, processes=4).evaluation_share < 0.07


def test_a_machine_that_was_busy_while_it_was_measured_is_told() -> None:
    busy = RATES.measured_for(1.0, 0.65)
    said = make_plan(settings_with(minutes=2), TEXT, MACHINE, rates=busy).notes
    assert any("Other programs had the processors for 50 % of the time" in note for note in said)
    assert not any("Other programs" in note for note in plan_of(minutes=2).notes)
    assert not make_plan(
        settings_with(steps=20), TEXT, MACHINE, rates=busy
    ).notes  # its plan is the same on any machine


def test_a_tail_of_the_same_book_is_said() -> None:
    assert any("tail of the same texts" in note for note in plan_of(replace(TEXT, same_book=True)).notes)


@pytest.mark.parametrize(
    ("wishes", "per_epoch"),
    [({}, 4688), ({"windows": "documents"}, 500), ({"windows": "sliding", "stride": 16}, 18_747)],
)
def test_epochs_become_steps_by_the_windows_of_the_mode(wishes: dict[str, Any], per_epoch: int) -> None:
    plan = plan_of(epochs=2, context_length=64, global_batch_size=10, **wishes)
    assert plan.expected_steps == plan.schedule.steps == -(-2 * per_epoch // 10)
    assert plan.minutes is None


def test_a_run_in_minutes_has_no_number_of_steps_but_an_expected_one() -> None:
    plan = plan_of(minutes=4)
    assert plan.schedule.steps is None
    assert plan.expected_steps > 10


def test_the_micro_batch_is_cut_to_what_fits_in_memory() -> None:
    small = replace(MACHINE, memory_bytes=200 << 20)
    plan = plan_of(machine=small, n_layer=4, n_embd=192, context_length=256, global_batch_size=32)
    assert plan.micro_batch_size < plan.global_batch_size == 32
    assert plan.expected_memory_bytes <= small.memory_bytes / 2
