"""From logits to a token: equal to transformers' processors, and never a number that is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from bajka.errors import SettingsError
from bajka.generation.sampling import (
    Sampling,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    next_tokens,
    penalize_repetition,
    probabilities,
)

V = 97
NO_IDS = torch.zeros((6, 1), dtype=torch.long)


def some_logits(seed: int = 0) -> torch.Tensor:
    return torch.randn(6, V, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize("k", [1, 2, 10, 96, 97])
def test_top_k_is_transformers(k: int) -> None:
    assert torch.equal(keep_top_k(some_logits(), k), TopKLogitsWarper(k)(NO_IDS, some_logits()))


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.9, 0.999])
def test_top_p_is_transformers(p: float) -> None:
    assert torch.equal(keep_top_p(some_logits(), p), TopPLogitsWarper(p)(NO_IDS, some_logits()))


@pytest.mark.parametrize("share", [1e-6, 0.01, 0.1, 0.5, 1.0])
def test_min_p_is_transformers(share: float) -> None:
    assert torch.equal(keep_min_p(some_logits(), share), MinPLogitsWarper(share)(NO_IDS, some_logits()))


@pytest.mark.parametrize("penalty", [0.5, 1.1, 2.0, 30.0])
def test_the_repetition_penalty_is_transformers(penalty: float) -> None:
    ids = torch.randint(V, (6, 20), generator=torch.Generator().manual_seed(1))
    seen = torch.zeros(6, V, dtype=torch.bool).scatter(1, ids, True)
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(ids, some_logits())
    torch.testing.assert_close(penalize_repetition(some_logits(), seen, penalty), theirs)


@pytest.mark.parametrize("temperature", [0.1, 0.8, 1.0, 5.0])
def test_the_temperature_is_transformers(temperature: float) -> None:
    theirs = TemperatureLogitsWarper(temperature)(NO_IDS, some_logits()).softmax(-1)
    torch.testing.assert_close(probabilities(some_logits(), Sampling(temperature=temperature)), theirs)


@pytest.mark.parametrize("seed", range(5))
def test_all_together_stand_in_transformers_order(seed: int) -> None:
    sampling = Sampling(temperature=1.7, top_k=40, top_p=0.8, min_p=0.05)
    chain = [TemperatureLogitsWarper(1.7), TopKLogitsWarper(40), TopPLogitsWarper(0.8), MinPLogitsWarper(0.05)]
    theirs = LogitsProcessorList(chain)(NO_IDS, some_logits(seed)).softmax(-1)
    torch.testing.assert_close(probabilities(some_logits(seed), sampling), theirs)


def test_a_top_k_beyond_the_vocabulary_keeps_everything() -> None:
    assert torch.equal(keep_top_k(some_logits(), 10**9), some_logits())


@pytest.mark.parametrize("temperature", [1e-45, 1e-300, 1e-12])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    found = probabilities(some_logits(), Sampling(temperature=temperature))
    assert torch.equal(found, torch.nn.functional.one_hot(some_logits().argmax(-1), V).float())


def test_temperature_zero_takes_the_likeliest_whatever_was_drawn() -> None:
    uniform = torch.full((6,), 0.999, dtype=torch.float64)
    found = next_tokens(some_logits(), None, Sampling(temperature=0, top_k=5, min_p=0.5), uniform)
    assert torch.equal(found, some_logits().argmax(-1))


def test_drawn_tokens_have_the_shares_of_their_probabilities() -> None:
    probability = torch.tensor([0.5, 0.0, 0.3, 0.2, 0.0])
    uniform = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    found = draw(probability.expand(1000, 5), uniform)
    assert torch.bincount(found, minlength=5).tolist() == [500, 0, 300, 200, 0]


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_a_token_without_probability_is_never_drawn(uniform: float) -> None:
    probability = torch.tensor([[0.0, 0.4, 0.0, 0.6, 0.0]])
    assert draw(probability, torch.tensor([uniform], dtype=torch.float64)).item() in (1, 3)


positive = st.floats(0, exclude_min=True, allow_nan=False)
wishes = st.fixed_dictionaries(
    {"temperature": st.floats() | st.just(0.0) | positive},
    optional={
        "top_k": st.integers(-1, 2**40),
        "top_p": st.floats(),
        "min_p": st.floats(),
        "repetition_penalty": st.floats() | positive,
        "max_new_tokens": st.integers(-1, 10),
        "seed": st.integers(-1, 2**64),
    },
)
sensible = st.fixed_dictionaries(
    {"temperature": positive.filter(lambda value: value < float("inf"))},
    optional={
        "top_k": st.integers(1, 2**40),
        "top_p": st.floats(0, 1, exclude_min=True),
        "min_p": st.floats(0, 1),
        "repetition_penalty": positive.filter(lambda value: value < float("inf")),
    },
)


@settings(deadline=None, max_examples=400)
@given(wish=wishes | sensible, scale=st.sampled_from([0.0, 1e-30, 1.0, 1e4, 1e37]), seed=st.integers(0, 50))
def test_any_combination_gives_a_distribution_or_a_sentence(wish: dict[str, Any], scale: float, seed: int) -> None:
    try:
        sampling = Sampling(**wish)
    except SettingsError:
        return
    logits = some_logits(seed) * scale
    logits[:, 90:] = -torch.inf  # ids beyond the tokenizer
    seen = torch.rand(6, V, generator=torch.Generator().manual_seed(seed)) < 0.5
    found = probabilities(penalize_repetition(logits, seen, sampling.repetition_penalty), sampling)
    assert found.isfinite().all()
    assert (found >= 0).all()
    assert torch.allclose(found.sum(-1), torch.ones(6), atol=1e-4)
    uniform = torch.rand(6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert (next_tokens(logits, seen, sampling, uniform) < 90).all()


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"temperature": -0.1}, r"temperature = -0.1 must be 0 \(greedy\) or more"),
        ({"temperature": float("nan")}, "temperature = nan must be"),
        ({"temperature": float("inf")}, "temperature = inf must be"),
        ({"top_k": 0}, "top_k = 0 must be at least 1"),
        ({"top_p": 0.0}, "top_p = 0.0 must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p = 1.1 must be above 0 and at most 1"),
        ({"min_p": -0.1}, "min_p = -0.1 must be between 0 and 1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty = 0.0 must be above 0"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0 must be a whole number of at least 1"),
        ({"stop": ("",)}, "stop = .* must be a list of texts that are not empty"),
        ({"stop": "The end"}, "stop = 'The end' must be a list of texts"),
        ({"seed": -1}, "seed = -1 must be between 0 and"),
    ],
)
def test_a_wish_that_means_nothing_is_a_sentence(wish: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Sampling(**wish)
