"""`config.json` both ways: what is written, and what is refused because no family of ours can be it."""

from __future__ import annotations

from typing import Any

import pytest

from bajka.errors import ModelError
from bajka.model.families import feed_forward_width, from_hugging_face, to_hugging_face
from tiny import FAMILIES, VARIANTS, tiny_config


def hub_config(variant: str, **changes: Any) -> dict[str, Any]:
    return to_hugging_face(tiny_config(variant), end_of_text=0) | changes


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_written_config_is_read_back_as_the_same_function(variant: str) -> None:
    config = tiny_config(variant)
    read = from_hugging_face(hub_config(variant), source="it")
    learned = {"positions": "learned", "bias": True} if config.is_gpt else {}  # a table and zeros are stored as weights
    assert read == config.model_copy(update=learned)


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_4_and_5_both_find_their_names(family: str) -> None:
    config = hub_config(family)
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert isinstance(config["tie_word_embeddings"], bool)
    assert config["bos_token_id"] == config["eos_token_id"] == config["pad_token_id"] == 0


@pytest.mark.parametrize("family", ["modern", "llama"])
def test_rotary_families_spell_theta_twice_and_head_dim_out(family: str) -> None:
    config = to_hugging_face(tiny_config(family, rope_theta=123.0, head_dim=16), end_of_text=0)
    assert config["rope_theta"] == 123.0
    assert config["rope_parameters"] == {"rope_theta": 123.0, "rope_type": "default"}
    assert config["head_dim"] == 16


@pytest.mark.parametrize(
    ("variant", "change", "sentence"),
    [
        ("llama", {"model_type": "mamba"}, "it is a 'mamba' model. bajka reads these four"),
        ("llama", {"model_type": None}, "it is a None model"),
        ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}, "rope_parameters": None}, "rope scaling"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": None}, "rope scaling"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope scaling"),
        ("llama", {"attention_bias": True}, "attention biases"),
        ("llama", {"mlp_bias": True}, "feed-forward biases"),
        ("llama", {"hidden_act": "gelu"}, "activation gelu"),
        ("modern", {"use_sliding_window": True}, "sliding windows"),
        ("modern", {"layer_types": ["full_attention", "sliding_attention"]}, "sliding windows"),
        ("gpt2", {"activation_function": "silu"}, "activation silu"),
        ("gpt2", {"scale_attn_weights": False}, "attention scores that are not scaled"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "attention scores scaled by layer"),
        ("gpt2", {"add_cross_attention": True}, "cross attention"),
        ("gpt1", {"afn": "silu"}, "activation silu"),
    ],
)
def test_foreign_architectures_and_variants_are_refused(variant: str, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        from_hugging_face(hub_config(variant, **change), source="it")


@pytest.mark.parametrize(
    ("variant", "change", "sentence"),
    [
        ("llama", {"hidden_size": "wide"}, "describes no model"),
        ("llama", {"num_attention_heads": 0, "head_dim": None}, "describes no model"),
        ("llama", {"rope_scaling": "linear", "rope_parameters": None}, "describes no model"),
        ("llama", {"num_hidden_layers": 1.5}, "n_layer = 1.5"),
        ("llama", {"num_key_value_heads": 3}, "n_head = 4 is not a multiple of n_kv_head = 3"),
        ("gpt2", {"n_layer": None}, "n_layer = None"),
        ("gpt2", {"n_embd": 30}, "n_head = 4 does not divide n_embd = 30"),
        ("gpt2", {"vocab_size": -1}, "vocab_size = -1 must be at least 1"),
    ],
)
def test_impossible_values_are_a_sentence(variant: str, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        from_hugging_face(hub_config(variant, **change), source="it")


@pytest.mark.parametrize(("variant", "name"), [("llama", "hidden_size"), ("gpt2", "n_head"), ("gpt1", "vocab_size")])
def test_a_missing_value_is_named(variant: str, name: str) -> None:
    config = hub_config(variant)
    del config[name]
    with pytest.raises(ModelError, match=f"has no '{name}'"):
        from_hugging_face(config, source="it")


def test_the_feed_forward_part_is_a_multiple_of_64() -> None:
    assert [feed_forward_width("modern", width) for width in (8, 64, 192, 288)] == [64, 192, 512, 768]
    assert feed_forward_width("gpt2", 192) == 768
