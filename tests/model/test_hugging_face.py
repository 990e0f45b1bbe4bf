"""Both directions: our folders in transformers, its models in ours, with equal logits."""

from __future__ import annotations

import json
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from bajka.checkpoint.model_folder import load_model, write_model_folder
from bajka.model.positions import rotary_table
from bajka.model.transformer import Transformer
from tiny import FAMILIES, VARIANTS, byte_tokenizer, some_ids, tiny_model

LLAMA: dict[str, Any] = {
    "vocab_size": 257,
    "hidden_size": 32,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 32,
    "rope_parameters": {"rope_theta": 700.0, "rope_type": "default"},
}
GPT: dict[str, Any] = {"vocab_size": 257, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}
THEIRS = {
    "qwen3": lambda: transformers.Qwen3Config(**LLAMA),
    "qwen3-tied": lambda: transformers.Qwen3Config(**LLAMA, tie_word_embeddings=True),
    "llama": lambda: transformers.LlamaConfig(**LLAMA, rms_norm_eps=1e-5),
    "llama-tied": lambda: transformers.LlamaConfig(**LLAMA, tie_word_embeddings=True),
    "gpt2": lambda: transformers.GPT2Config(**GPT),
    "gpt2-untied": lambda: transformers.GPT2Config(**GPT, tie_word_embeddings=False, n_inner=48),
    "gpt2-erf": lambda: transformers.GPT2Config(**GPT, activation_function="gelu", layer_norm_epsilon=1e-3),
    "gpt2-relu": lambda: transformers.GPT2Config(**GPT, activation_function="relu"),
    "openai-gpt": lambda: transformers.OpenAIGPTConfig(**GPT),
    "openai-gpt-relu": lambda: transformers.OpenAIGPTConfig(**GPT, afn="relu"),
}


def write(folder: Path, model: Transformer) -> Path:
    write_model_folder(folder, model, byte_tokenizer())
    return folder


def theirs_from(folder: Path) -> transformers.PreTrainedModel:
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def save_theirs(name: str, folder: Path) -> transformers.PreTrainedModel:
    """A random model made and saved by transformers alone, with our tokenizer beside it."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(THEIRS[name]())
    for parameter in model.parameters():
        parameter.data.add_(torch.randn(parameter.shape), alpha=0.2)
    model.save_pretrained(folder)
    byte_tokenizer().save(folder, context_length=32)
    return model.eval()


@torch.no_grad()
def largest_difference(ours: Transformer, theirs: transformers.PreTrainedModel) -> float:
    ids = some_ids(3, 32)
    mine, their = ours(ids), theirs(ids).logits
    assert mine.std() > 0.3, "logits that are all alike prove nothing"
    return float((mine - their).abs().max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_our_folder_has_equal_logits_in_transformers(variant: str, tmp_path: Path) -> None:
    model = tiny_model(variant)
    assert largest_difference(model, theirs_from(write(tmp_path, model))) < 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_our_folder_comes_back_to_the_same_bits(variant: str, tmp_path: Path) -> None:
    model = tiny_model(variant)
    loaded = load_model(str(write(tmp_path, model))).model
    ids = some_ids(2, 32)
    assert torch.equal(loaded(ids), model(ids))
    assert sum(p.numel() for p in loaded.parameters()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", THEIRS)
def test_a_model_made_by_transformers_has_equal_logits_here(name: str, tmp_path: Path) -> None:
    theirs = save_theirs(name, tmp_path)
    assert largest_difference(load_model(str(tmp_path)).model, theirs) < 1e-4


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.startswith("gpt")])
def test_in_float64_the_gpts_agree_to_ten_digits(variant: str, tmp_path: Path) -> None:
    model = tiny_model(variant)
    theirs = theirs_from(write(tmp_path, model)).double()
    assert largest_difference(model.double(), theirs) < 1e-10


@pytest.mark.parametrize("variant", ["modern", "modern-tied", "llama", "llama-tied"])
def test_in_float64_the_llamas_agree_to_ten_digits_with_a_copy_that_stays_in_float64(
    variant: str, tmp_path: Path
) -> None:
    model = tiny_model(variant)
    theirs = theirs_from(write(tmp_path, model)).double()
    stay_in_float64(theirs)
    model.double().rotations = rotary_table(model.config)
    assert largest_difference(model, theirs) < 1e-10


def stay_in_float64(model: transformers.PreTrainedModel) -> None:
    """transformers' RMSNorm and rotary embedding cast to float32: replace the arithmetic of both."""

    def norm(self: Any, x: Tensor) -> Tensor:
        return self.weight * x / (x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).sqrt()

    def rotary(self: Any, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        size, theta = self.config.head_dim, self.config.rope_parameters["rope_theta"]
        frequencies = theta ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        angles = torch.cat([position_ids[..., None] * frequencies] * 2, dim=-1)
        return angles.cos(), angles.sin()

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = MethodType(norm, module)
        elif type(module).__name__.endswith("RotaryEmbedding"):
            module.forward = MethodType(rotary, module)


def test_gpt2_as_the_hub_has_it_loads(tmp_path: Path) -> None:
    """Names without "transformer.", and the causal mask stored as a weight."""
    theirs = save_theirs("gpt2", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    plain = {name.removeprefix("transformer."): value for name, value in weights.items()}
    masks = {f"h.{i}.attn.bias": torch.ones(32, 32).tril()[None, None].contiguous() for i in range(2)}
    save_file(plain | masks, tmp_path / "model.safetensors")
    assert largest_difference(load_model(str(tmp_path)).model, theirs) < 1e-4


def test_weights_in_several_parts_load(tmp_path: Path) -> None:
    theirs = save_theirs("llama", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    theirs.save_pretrained(tmp_path, max_shard_size="30KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert largest_difference(load_model(str(tmp_path)).model, theirs) < 1e-4


def test_half_precision_weights_load_as_fp32(tmp_path: Path) -> None:
    save_theirs("qwen3", tmp_path).bfloat16().save_pretrained(tmp_path)
    model = load_model(str(tmp_path)).model
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert largest_difference(model, theirs) < 1e-4


def test_a_config_of_transformers_4_is_read_alike(tmp_path: Path) -> None:
    save_theirs("llama-tied", tmp_path)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    before = load_model(str(tmp_path)).model.config
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    file.write_text(json.dumps(config), encoding="utf-8")
    assert load_model(str(tmp_path)).model.config == before
    assert before.rope_theta == 700.0


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_can_save_our_folder_and_we_read_it_again(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    theirs = theirs_from(write(tmp_path / "ours", model))
    theirs.save_pretrained(tmp_path / "theirs")
    byte_tokenizer().save(tmp_path / "theirs", context_length=32)
    loaded = load_model(str(tmp_path / "theirs")).model
    assert loaded.config == load_model(str(tmp_path / "ours")).model.config
    assert torch.equal(loaded(some_ids(1, 32)), model(some_ids(1, 32)))
