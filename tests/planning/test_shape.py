"""The shape of a new network: what text and time allow, and what a person's heads, widths and contexts ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bajka.errors import CorpusError, ModelError, SettingsError
from bajka.model.estimate import parameters
from bajka.planning.shape import MOST_READINGS, READINGS
from made_up import MACHINE, MUCH, TEXT, plan_of
from tiny import tiny_config


def test_more_time_gives_larger_models() -> None:
    much = replace(TEXT, train_tokens=100_000_000, validation_tokens=1_000_000, bytes=99_000_000)
    by_time = [parameters(plan_of(much, minutes=minutes).model) for minutes in (0.5, 5, 60, 600)]
    assert by_time == sorted(set(by_time))


def test_little_text_gets_the_largest_shape_that_can_read_it_often_enough() -> None:
    little = replace(TEXT, train_tokens=60_000, bytes=600_000)
    by_time = [plan_of(little, minutes=minutes, teacher="none") for minutes in (0.5, 1, 2)]
    assert [parameters(plan.model) for plan in by_time] == sorted({parameters(plan.model) for plan in by_time})
    for plan in by_time:
        assert READINGS <= plan.expected_epochs <= MOST_READINGS + plan.expected_epochs / plan.expected_steps
    assert "can read all of the text" in by_time[-1].reasons["n_layer"]


def test_a_shape_that_is_held_back_says_by_what() -> None:
    little = replace(TEXT, train_tokens=60_000, bytes=150_000)
    assert plan_of(little, minutes=600).reasons["n_layer"] == "the largest for so little text"
    small = replace(MACHINE, memory_bytes=1 << 30)
    assert plan_of(replace(TEXT, bytes=10**9), minutes=60_000, machine=small, teacher="none").reasons["n_layer"] == (
        "the largest that fits into memory"
    )
    much = replace(TEXT, train_tokens=10**9, bytes=10**10)
    assert "even it sees fewer than 1.75 tokens" in plan_of(much, minutes=0.1).reasons["n_embd"]


@pytest.mark.parametrize(
    ("size", "tokens", "shape"),
    [
        (1800, 1000, (2, 64)),
        (3600, 2000, (2, 64)),
        (7200, 4000, (2, 128)),
        (7200, 4700, (3, 128)),
        (11_000, 6600, (4, 128)),
        (14_400, 9000, (4, 192)),
    ],
)
def test_a_tiny_text_gets_the_network_that_learned_most_from_it(size: int, tokens: int, shape: tuple[int, int]) -> None:
    tiny = replace(TEXT, bytes=size, train_tokens=tokens, validation_tokens=tokens // 9, vocab_size=320)
    plan = plan_of(tiny, minutes=5)
    assert (plan.model.n_layer, plan.model.n_embd) == shape
    assert plan.reasons["n_layer"] == "the largest for so little text"


def test_dear_evaluations_leave_time_for_a_smaller_shape() -> None:
    dear = plan_of(MUCH, minutes=10, evaluation_windows=4000)
    assert dear.evaluation_share > 0.3
    assert parameters(dear.model) < parameters(plan_of(MUCH, minutes=10).model)


def test_more_rows_at_once_than_a_batch_has_choose_no_smaller_shape() -> None:
    little = replace(MACHINE, memory_bytes=2 << 30)
    much = replace(TEXT, train_tokens=30_000_000, bytes=100_000_000)
    shapes = {plan_of(much, machine=little, minutes=60, micro_batch_size=rows).model for rows in (1, 256)}
    assert len(shapes) == 1


@pytest.mark.parametrize(
    ("tokens", "validation", "context"),
    [(51_200, 2_048, 256), (51_199, 2_048, 128), (51_200, 2_047, 128), (9_000, 900, 32), (300, 40, 32)],
)
def test_the_context_is_halved_until_there_are_enough_windows(tokens: int, validation: int, context: int) -> None:
    plan = plan_of(replace(TEXT, train_tokens=tokens, validation_tokens=validation), minutes=10)
    assert plan.model.context_length == context
    assert context == 256 or ("halved" if tokens > 300 else "the shortest") in plan.reasons["context_length"]


def test_a_gpu_and_much_text_get_longer_contexts() -> None:
    much = replace(TEXT, bytes=200_000_000, train_tokens=50_000_000, validation_tokens=1_000_000)
    assert (
        plan_of(replace(much, bytes=50_000_000), machine=replace(MACHINE, device="cuda:0")).model.context_length == 512
    )
    assert plan_of(much, minutes=10).model.context_length == 1024


@pytest.mark.parametrize(
    ("facts", "numbers"),
    [
        ({"train_tokens": 32}, "training text has 32 tokens, but one window needs 33"),
        ({"validation_tokens": 7}, "validation text has 7"),
    ],
)
def test_too_little_text_for_one_window_is_a_sentence_with_the_numbers(facts: dict[str, int], numbers: str) -> None:
    with pytest.raises(CorpusError, match=numbers) as caught:
        plan_of(replace(TEXT, **facts))
    assert "Give more text" in str(caught.value)


def test_a_context_longer_than_the_text_says_to_shorten_it() -> None:
    with pytest.raises(CorpusError, match=r"needs 40,001 \(context_length = 40000\).*smaller --context-length"):
        plan_of(context_length=40_000)


def test_heads_that_do_not_divide_the_width_are_a_sentence_with_what_would() -> None:
    with pytest.raises(
        SettingsError, match=r"n_head = 5 does not divide n_embd = 96. Choose n_embd = 100, or n_head = 4"
    ):
        plan_of(n_head=5, n_embd=96)


def test_nanogpts_shape_is_possible_though_its_heads_do_not_divide_the_smallest_width() -> None:
    model = plan_of(n_layer=6, n_head=6, n_embd=384).model
    assert (model.n_layer, model.n_head, model.n_embd, model.head_dim) == (6, 6, 384, 64)


def test_a_number_of_heads_alone_chooses_among_the_widths_it_divides() -> None:
    assert plan_of(n_head=3).model.n_embd % 3 == 0


def test_heads_that_divide_none_of_the_usual_widths_ask_for_a_width() -> None:
    with pytest.raises(
        SettingsError, match=r"n_head = 11 divides none of the usual widths .* Set n_embd too, for example 352"
    ):
        plan_of(n_head=11)


@pytest.mark.parametrize("width", [40, 100, 200, 330])
def test_any_even_width_gets_heads_that_divide_it(width: int) -> None:
    model = plan_of(n_embd=width).model
    assert model.n_head * model.head_dim == width


def test_what_the_architecture_cannot_express_is_refused() -> None:
    with pytest.raises(ModelError, match="n_kv_head = 2 needs --family modern or llama"):
        plan_of(family="gpt2", n_head=4, n_embd=64, n_kv_head=2)


def test_given_weights_keep_their_shape_and_vocabulary() -> None:
    base = tiny_config("modern")
    model = plan_of(imported=base, context_length=16).model
    assert model == base.model_copy(update={"context_length": 16, "dropout": 0.1})


@pytest.mark.parametrize(
    ("variant", "wishes", "sentence"),
    [
        ("modern", {"n_layer": 3}, "n_layer = 3 was asked for, but the weights of --from have 2: leave it out"),
        ("modern", {"context_length": 64}, "context_length = 64 is more than the 32"),
        ("gpt2", {"context_length": 16}, "the model of --from has a table of 32 positions"),
    ],
)
def test_a_shape_that_the_given_weights_do_not_have_is_refused(
    variant: str, wishes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        plan_of(imported=tiny_config(variant), **wishes)
