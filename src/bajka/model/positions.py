"""Where a token stands: rotations of queries and keys (RoPE), and the fixed table of sines."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bajka.model.config import ModelConfig


def rotary_table(c: ModelConfig) -> Tensor:
    """Cosines and sines (context_length, D): the first half of the last axis holds cosines, the second sines.

    RoPE (arXiv 2104.09864) in the half-split order of transformers. In float64; the model keeps it in fp32.
    """
    frequencies = c.rope_theta ** (-torch.arange(0, c.head_dim, 2, dtype=torch.float64) / c.head_dim)
    angles = torch.arange(c.context_length, dtype=torch.float64)[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn pairs (x[i], x[i + D/2]) of heads (B, H, T, D) by the angles of their positions."""
    cosines, sines = rotation.chunk(2, dim=-1)  # (B or 1, 1, T, D/2)
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1)


def sinusoidal_table(c: ModelConfig) -> Tensor:
    """The fixed positions (context_length, C) of "Attention is all you need" (arXiv 1706.03762, 3.5)."""
    frequencies = 10_000.0 ** (-torch.arange(0, c.n_embd, 2, dtype=torch.float64) / c.n_embd)
    angles = torch.arange(c.context_length, dtype=torch.float64)[:, None] * frequencies
    table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, : c.n_embd]
    return (0.02 * math.sqrt(2.0) * table).float()  # on the scale of the embeddings
