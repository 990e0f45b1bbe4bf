"""Parameters, arithmetic and memory of a shape, known before anything is allocated."""

from __future__ import annotations

import pytest
import torch

from bajka.model import ModelConfig
from bajka.model.cache import Cache
from bajka.model.estimate import flops_per_token, inference_memory, parameters
from bajka.model.transformer import Transformer
from tiny import FAMILIES, VARIANTS, tiny_config


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_are_the_real_count(variant: str) -> None:
    config = tiny_config(variant)
    assert parameters(config) == sum(p.numel() for p in Transformer(config).parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_without_embeddings_leave_out_tables_and_head(variant: str) -> None:
    config = tiny_config(variant)
    counted = {
        id(p): p for name, p in Transformer(config).named_parameters() if name.split(".")[0] in ("blocks", "norm")
    }
    assert parameters(config, embeddings=False) == sum(p.numel() for p in counted.values())


def test_arithmetic_of_one_shape_by_hand() -> None:
    """GPT-2's smallest: 12 blocks of 12 x 768^2 weights, a head of 50,257 x 768; attention 6 x 12 x 1,024 x 768."""
    config = ModelConfig(
        family="gpt2", vocab_size=50_257, context_length=1024, n_layer=12, n_head=12, n_kv_head=12, n_embd=768,
        n_inner=3072, head_dim=64, positions="learned", activation="gelu_tanh", bias=True, tie_embeddings=True,
    )  # fmt: skip
    assert parameters(config) == 124_439_808  # as everybody counts it
    assert flops_per_token(config) == 6 * (84_934_656 + 38_597_376) + 56_623_104


def test_grouped_heads_save_arithmetic_in_their_matrices_only() -> None:
    all_heads, grouped = tiny_config("llama"), tiny_config("llama", n_kv_head=1)
    assert flops_per_token(all_heads) - flops_per_token(grouped) == 6 * 2 * (2 * 3 * 8 * 32)


@pytest.mark.parametrize("family", FAMILIES)
def test_memory_for_writing_counts_weights_and_cache(family: str) -> None:
    config = tiny_config(family)
    cache = Cache(config, 5, dtype=torch.float32)
    real = 4 * parameters(config) + 4 * (cache.keys.numel() + cache.values.numel())
    assert real <= inference_memory(config, rows=5) <= real + 5 * 8 * config.vocab_size
