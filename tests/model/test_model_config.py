"""Shapes that cannot be built are refused with a sentence, all problems at once."""

from __future__ import annotations

from typing import Any

import pytest

from bajka.errors import ModelError
from tiny import tiny_config


@pytest.mark.parametrize(
    ("variant", "change", "sentence"),
    [
        ("modern", {"n_layer": 0}, "n_layer = 0 must be at least 1"),
        ("modern", {"n_kv_head": 3}, "n_head = 4 is not a multiple of n_kv_head = 3"),
        ("modern", {"head_dim": 15}, "head_dim = 15 is odd"),
        ("modern", {"positions": "learned"}, "positions = learned needs --family gpt2 or gpt1"),
        ("llama", {"activation": "gelu"}, "activation = gelu needs --family gpt2 or gpt1; llama has swiglu"),
        ("llama", {"bias": True}, "bias needs --family gpt2 or gpt1"),
        ("gpt2", {"n_embd": 30}, "n_head = 4 does not divide n_embd = 30: choose n_embd = 32"),
        ("gpt2", {"n_kv_head": 2}, "n_kv_head = 2 needs --family modern or llama"),
        ("gpt2", {"positions": "rope"}, "positions = rope needs --family modern or llama"),
        ("gpt2", {"activation": "swiglu"}, "activation = swiglu needs --family modern or llama"),
        ("gpt1", {"n_inner": 64}, "n_inner = 64: gpt1 has exactly 4 x n_embd = 128"),
        ("gpt1", {"activation": "gelu"}, "gpt1's gelu is the tanh form"),
        ("gpt1", {"tie_embeddings": False}, "gpt1 has one matrix for embedding and head"),
    ],
)
def test_what_cannot_be_built_is_said(variant: str, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        tiny_config(variant, **change)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ModelError, match=r"head_dim = 15 is odd.* positions = learned .* activation = relu"):
        tiny_config("modern", head_dim=15, positions="learned", activation="relu")


def test_odd_heads_are_only_refused_where_they_are_turned_in_pairs() -> None:
    assert tiny_config("gpt2", n_embd=20, head_dim=5).head_dim == 5
