"""Unusual texts, machines and wishes: the plan stays sensible, and what it says agrees with what it does."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from bajka.errors import ModelError, SettingsError
from bajka.model import ModelConfig
from bajka.planning.plan import Plan, describe, make_plan
from bajka.planning.rates import Rates
from bajka.settings import settings_with
from bajka.training.preview import settings_page
from made_up import MACHINE, RATES, TEXT, plan_of
from tiny import tiny_config

SLOW = replace(MACHINE, precision="fp32", can_compile=False)
SLOW_RATES = Rates({"fp32": {64: 3e10, 512: 6e10}}, elementwise=4e8, dispatch=6e-6, seconds=0.3)
MUCH = replace(TEXT, train_tokens=20_000_000, validation_tokens=1_000_000, bytes=80_000_000)


def seconds_of(plan: Plan) -> float:
    """What steps, evaluations, samples and saves take by the plan's own figures."""
    tokens = plan.expected_steps * plan.global_batch_size * plan.model.context_length
    return tokens / plan.expected_tokens_per_second * (1 + plan.evaluation_share)


@pytest.mark.parametrize("bits", [3e-5, 0.0])
def test_of_a_text_that_repeats_one_sentence_nothing_is_expected(bits: float) -> None:
    text = replace(TEXT, ngrams=((75_000, (0.9, bits, bits)), (300_000, (0.9, bits, bits))))
    plan = plan_of(text, minutes=2)
    assert plan.expectation is None
    assert not any("Expected result" in line for line in describe(plan))


@pytest.mark.parametrize(
    "wish",
    [
        {"learning_rate": 1e-6},
        {"optimizer": "adam"},
        {"family": "gpt2"},
        {"dropout": 0.5},
        {"warmup_steps": 10_000},
        {"schedule": "constant"},
        {"n_embd": 512, "n_layer": 8, "global_batch_size": 64, "minutes": 2.2},
        {"context_length": 8},
        {"global_batch_size": 1},
        {"global_batch_size": 256},
        {"attention_dropout": 0.5},
        {"n_head": 64, "n_embd": 128},
        {"n_inner": 1024},
        {"mix": ("other=0.9",)},
    ],
)
def test_of_another_recipe_than_the_recorded_one_no_result_is_expected(wish: dict[str, Any]) -> None:
    assert plan_of(minutes=5).expectation is not None
    assert plan_of(**{"minutes": 5, **wish}).expectation is None


@pytest.mark.parametrize(
    ("wish", "shape"),
    [({"n_kv_head": 2}, "n_kv_head"), ({"n_head": 64}, "n_head"), ({"n_inner": 1024, "family": "gpt1"}, "n_inner")],
)
def test_a_wish_that_only_some_widths_allow_chooses_among_those(wish: dict[str, Any], shape: str) -> None:
    assert getattr(plan_of(MUCH, minutes=60, **wish).model, shape) == wish[shape]


def test_a_wish_that_no_width_allows_is_refused() -> None:
    with pytest.raises(ModelError, match="bias needs --family gpt2"):
        plan_of(bias=True)


def test_heads_that_are_offered_instead_can_be() -> None:
    with pytest.raises(SettingsError, match=r"Choose n_embd = 28, or n_head = 5\."):
        plan_of(n_head=7, n_embd=30)
    plan_of(n_head=5, n_embd=30)
    plan_of(n_head=7, n_embd=28)
    with pytest.raises(SettingsError, match=r"Choose n_embd = 28\.$"):
        plan_of(n_head=7, n_embd=31)


def gpt2_small() -> ModelConfig:
    shape = {"n_layer": 12, "n_head": 12, "n_kv_head": 12, "n_embd": 768, "n_inner": 3072, "head_dim": 64}
    return tiny_config("gpt2", vocab_size=50_257, context_length=1024, **shape)


def slow_plan(minutes: float) -> Plan:
    return make_plan(settings_with(minutes=minutes), TEXT, SLOW, rates=SLOW_RATES, imported=gpt2_small())


def test_evaluations_of_large_weights_on_a_slow_machine_leave_the_time_for_steps() -> None:
    plan = slow_plan(60)
    assert plan.evaluation_share < 0.5
    assert seconds_of(plan) <= 60 * 60


def test_weights_too_large_for_the_minutes_are_refused_with_minutes_that_do() -> None:
    with pytest.raises(SettingsError, match="one step with the weights of --from takes about") as caught:
        slow_plan(0.5)
    words = str(caught.value).split()
    plan = slow_plan(float(words[words.index("--minutes") + 1].rstrip(",")))
    assert plan.expected_steps >= 8


def test_a_shape_is_not_refused_for_evaluations_that_were_set() -> None:
    assert plan_of(MUCH, n_layer=8, n_embd=512, evaluation_windows=3000, minutes=3).evaluation_windows == 3000


def test_windows_that_were_set_are_judged_more_than_twice_where_that_is_not_dear() -> None:
    plan = plan_of(MUCH, evaluation_windows=64, minutes=10)
    assert plan.expected_steps / plan.evaluate_every_steps > 1.9
    assert plan.evaluation_share <= 0.1


def test_a_page_with_the_plans_own_heads_expects_the_same() -> None:
    own = plan_of(minutes=5).model
    assert plan_of(minutes=5, n_head=own.n_head, n_inner=own.n_inner).expectation is not None


def test_a_shape_is_refused_for_what_else_makes_its_steps_slow() -> None:
    with pytest.raises(SettingsError, match="one step with n_inner = 65536 takes about"):
        plan_of(MUCH, n_inner=65_536, minutes=0.2)


@pytest.mark.parametrize(
    ("wish", "most"),
    [
        ({"evaluation_windows": 1000, "minutes": 10}, 0.12),  # twice, at the start and at the end
        ({"evaluate_every_steps": 10, "minutes": 10}, 0.3),  # samples and saves are most of it
        ({"schedule": "plateau", "minutes": 60}, 0.1),
        ({"early_stopping": 5, "minutes": 60}, 0.1),
        ({"average": "ema", "minutes": 10}, 0.1),
        ({"validate_on": ("a=a", "b=b"), "minutes": 10}, 0.1),
    ],
)
def test_evaluations_are_planned_around_what_was_set_and_all_that_is_judged(wish: dict[str, Any], most: float) -> None:
    plan = plan_of(MUCH, **wish)
    assert plan.evaluation_share <= most
    for name in ("evaluation_windows", "evaluate_every_steps"):
        assert getattr(plan, name) == wish.get(name, getattr(plan, name))


def test_with_a_document_a_row_the_windows_are_documents() -> None:
    jokes = replace(TEXT, validation_tokens=20_000, documents=9_000, validation_documents=1_000)
    plan = plan_of(jokes, windows="documents", context_length=128, evaluation_windows=900, minutes=60)
    assert plan.evaluation_windows == 900


def test_windows_that_slide_read_the_text_more_often_than_there_are_epochs() -> None:
    plan = plan_of(windows="sliding", stride=1, epochs=3, context_length=32)
    assert plan.model.dropout > 0
    assert plan.reasons["dropout"] == "the text is read about 96 times"


def test_compiling_what_does_not_gain_by_it_takes_its_time_all_the_same() -> None:
    on, off = (plan_of(MUCH, n_layer=2, n_embd=320, minutes=1, compile=wish) for wish in ("on", "off"))
    assert on.expected_steps < 0.85 * off.expected_steps


def test_the_last_and_the_only_shape_are_called_so() -> None:
    gpu = replace(MACHINE, device="cuda:0", memory_bytes=100 << 30)
    fast = Rates({"bf16": {64: 1e13, 512: 2e14}}, elementwise=2e11, dispatch=6e-6, seconds=0.3)
    much = replace(MUCH, train_tokens=1_500_000_000, bytes=5_000_000_000)
    largest = make_plan(settings_with(minutes=480), much, gpu, rates=fast)
    assert largest.reasons["n_layer"] == "the largest of the usual shapes"
    assert plan_of(n_head=7, minutes=5).reasons["n_layer"] == "the only usual shape that agrees with what you set"


@pytest.mark.parametrize("shape", [(16, 1024), (12, 768), (10, 640), (8, 512)])
def test_the_minutes_that_a_refusal_names_are_enough(shape: tuple[int, int]) -> None:
    depth, width = shape

    def plan(**wishes: Any) -> Plan:
        wish = settings_with(n_layer=depth, n_embd=width, global_batch_size=64, **wishes)
        return make_plan(wish, MUCH, SLOW, rates=SLOW_RATES)

    with pytest.raises(SettingsError) as caught:
        plan(minutes=0.1)
    offered = re.search(r"at least --minutes ([\d.]+)(?: --context-length (\d+))?,", str(caught.value))
    assert offered is not None
    plan(minutes=float(offered[1]), context_length=int(offered[2]) if offered[2] else None)


def test_minutes_that_went_by_before_training_are_told() -> None:
    late = make_plan(settings_with(minutes=3), TEXT, MACHINE, rates=RATES, spent=1200)
    assert any("Preparing took 20 minutes of the time that was given" in note for note in late.notes)
    assert not any("Preparing" in note for note in plan_of(minutes=3).notes)


def test_rows_of_one_document_that_show_little_of_long_ones_are_told() -> None:
    books = replace(MUCH, documents=20)
    said = plan_of(books, minutes=5, windows="documents").notes
    assert any("only the first 128 tokens are read, at most 0.013 % of the text" in note for note in said)
    assert not any("One document a row" in note for note in plan_of(MUCH, minutes=5).notes)


def test_what_fills_the_rows_of_short_documents_is_not_taken_for_text() -> None:
    jokes = replace(MUCH, train_tokens=200_000, documents=10_000, bytes=800_000)
    packed, rows = plan_of(jokes, minutes=5), plan_of(jokes, minutes=5, windows="documents")
    assert rows.model.n_embd < packed.model.n_embd


def test_few_readings_that_were_asked_for_decide_the_shape() -> None:
    assert plan_of(minutes=600, most_epochs=0.2).model.n_embd < plan_of(minutes=600).model.n_embd


def test_every_line_of_the_page_can_be_uncommented() -> None:
    wish = settings_with(minutes=5, average="ema")
    page = settings_page(wish, make_plan(wish, TEXT, MACHINE, rates=RATES))
    lines = [line.removeprefix("# ") for line in page.splitlines()[1:]]
    values = {name: value for section in tomllib.loads("\n".join(lines)).values() for name, value in section.items()}
    assert len(values) > 20
    assert settings_with(**values).hardware.compile in ("on", "off")


@pytest.mark.parametrize("wish", [{"family": "gpt2"}, {"rope_theta": 5.0}, {"bias": True}, {"n_layer": 7}])
def test_what_given_weights_have_decided_is_not_changed_silently(wish: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=rf"{next(iter(wish))} = .* but the weights of --from have"):
        plan_of(imported=tiny_config("modern"), **wish)


def test_a_stride_without_sliding_windows_is_refused() -> None:
    with pytest.raises(SettingsError, match='stride = 16 is for windows = "sliding"'):
        plan_of(stride=16)
    assert plan_of(stride=16, windows="sliding").stride == 16


@pytest.mark.parametrize(
    ("facts", "wish", "name", "reason"),
    [
        ({}, {"evaluation_windows": 5000}, "evaluation_windows", "all of the validation text"),
        ({}, {"evaluation_windows": 40}, "evaluation_windows", "you set it"),
        ({}, {"micro_batch_size": 5000}, "micro_batch_size", "all of a step: fewer than you set"),
        ({}, {"steps": 20}, "evaluate_every_steps", "about 3 times a run, the fewest that show a curve"),
        ({}, {"steps": 20}, "evaluation_windows", "the fewest that tell how it goes"),
        ({"train_tokens": 700, "validation_tokens": 90, "bytes": 2000}, {}, "context_length", "the shortest"),
        (
            {"train_tokens": 1000, "validation_tokens": 90, "bytes": 2000},
            {},
            "global_batch_size",
            "128 tokens a step, fewer",
        ),
        (
            {"train_tokens": 450, "validation_tokens": 90, "bytes": 900},
            {},
            "global_batch_size",
            "64 tokens a step, fewer",
        ),
        ({}, {"optimizer": "adam"}, "weight_decay", "adam has none"),
        ({}, {"average": "ema", "steps": 100}, "average_decay", "looks back over about 10 steps"),
        ({}, {"average": "epochs", "steps": 10}, "average", "there will be no average"),
    ],
)
def test_reasons_say_what_was_done(facts: dict[str, Any], wish: dict[str, Any], name: str, reason: str) -> None:
    plan = plan_of(replace(TEXT, **facts), **({"minutes": 5} if "steps" not in wish else {}), **wish)
    assert reason in plan.reasons[name]


def test_a_cosine_has_no_reason_for_a_share_that_it_does_not_read() -> None:
    assert "cooldown_share" in plan_of(minutes=5).reasons
    assert "cooldown_share" not in plan_of(minutes=5, schedule="cosine").reasons


def test_large_numbers_are_written_out() -> None:
    assert "  minutes = 6,000: you set it" in describe(plan_of(MUCH, minutes=6000))
