"""Tiny models of every family, and a tokenizer for them: what the tests of several rooms share."""

from __future__ import annotations

from typing import Any

import torch

from bajka.config import TokenizerSettings
from bajka.model import ModelConfig
from bajka.model.families import feed_forward_width, preset
from bajka.model.transformer import Transformer
from bajka.tokenizer import Tokenizer, train_tokenizer

GROUPED: dict[str, Any] = {"n_kv_head": 2, "head_dim": 16}  # heads wider than n_embd / n_head: both must be read

VARIANTS: dict[str, dict[str, Any]] = {
    "modern": {"family": "modern", **GROUPED},
    "modern-tied": {"family": "modern", "tie_embeddings": True, "rope_theta": 5_000.0},
    "llama": {"family": "llama", "rope_theta": 500.0},
    "llama-tied": {"family": "llama", "tie_embeddings": True, **GROUPED, "n_kv_head": 1},
    "gpt2": {"family": "gpt2", "tie_embeddings": True},
    "gpt2-untied": {"family": "gpt2", "n_inner": 96},
    "gpt2-erf": {"family": "gpt2", "tie_embeddings": True, "activation": "gelu"},
    "gpt2-relu": {"family": "gpt2", "tie_embeddings": True, "activation": "relu"},
    "gpt2-sinusoidal": {"family": "gpt2", "tie_embeddings": True, "positions": "sinusoidal"},
    "gpt2-without-bias": {"family": "gpt2", "tie_embeddings": True, "bias": False},
    "gpt1": {"family": "gpt1"},
    "gpt1-relu": {"family": "gpt1", "activation": "relu"},
    "gpt1-sinusoidal": {"family": "gpt1", "positions": "sinusoidal"},
}
"""Every family, with every wish that its stock architecture can express."""

FAMILIES = ("modern", "llama", "gpt2", "gpt1")


def tiny_config(variant: str, **changes: Any) -> ModelConfig:
    """Two layers, 32 wide, a context of 32, and the vocabulary of `byte_tokenizer`."""
    shape = {"vocab_size": 257, "context_length": 32, "n_layer": 2, "n_head": 4, "n_kv_head": 4, "n_embd": 32}
    shape |= {"head_dim": 8, "n_inner": feed_forward_width(VARIANTS[variant]["family"], 32)}
    return ModelConfig(**preset(VARIANTS[variant]["family"]) | shape | VARIANTS[variant] | changes)


def tiny_model(variant: str, *, seed: int = 0, **changes: Any) -> Transformer:
    """A model whose every trained number is drawn, gains and biases too, so that none can be forgotten unnoticed."""
    model = Transformer(tiny_config(variant, **changes))
    model.reset(seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return model.eval()


def byte_tokenizer() -> Tokenizer:
    """One id for each byte, end-of-text is 0: 257 entries, and every string can be written."""
    return train_tokenizer(TokenizerSettings(tokenizer="bytes"), [], vocab_size=257)


def some_ids(rows: int, length: int, *, vocab_size: int = 257, seed: int = 1) -> torch.Tensor:
    """Random token ids (rows, length)."""
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))
