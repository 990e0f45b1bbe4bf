"""Parameters, arithmetic, and memory for writing, of a shape; memory for training is in `bajka.model.memory`."""

from __future__ import annotations

from bajka.model.config import ModelConfig


def attention_width(c: ModelConfig) -> int:
    """Columns of the fused query, key and value projection."""
    return (c.n_head + 2 * c.n_kv_head) * c.head_dim


def block_matrices(c: ModelConfig) -> int:
    """Weights in the matrices of one block."""
    attention = c.n_embd * attention_width(c) + c.n_head * c.head_dim * c.n_embd
    feed_forward = (3 if c.activation == "swiglu" else 2) * c.n_embd * c.n_inner
    return attention + feed_forward


def parameters(c: ModelConfig, *, embeddings: bool = True) -> int:
    """All weights of the model; without `embeddings`: less the token and position tables and the head."""
    gains = 2 if c.is_gpt else 1  # LayerNorm has a gain and a bias
    block = block_matrices(c) + 2 * gains * c.n_embd
    if c.is_gpt:
        block += attention_width(c) + c.n_embd + c.n_inner + c.n_embd  # biases
    if c.family == "modern":
        block += 2 * c.head_dim  # query and key norm
    body = c.n_layer * block + (0 if c.family == "gpt1" else gains * c.n_embd)
    if not embeddings:
        return body
    tables = c.vocab_size * c.n_embd * (1 if c.tie_embeddings else 2)
    return body + tables + (c.context_length * c.n_embd if c.is_gpt else 0)


def flops_per_token(c: ModelConfig) -> float:
    """Training arithmetic per token, forward and backward: 6 per matrix weight (the head included, look-ups not),
    plus causal attention over half the context on average (PaLM, arXiv 2204.02311, appendix B, halved for the mask)."""
    matrices = c.n_layer * block_matrices(c) + c.vocab_size * c.n_embd
    return 6.0 * matrices + 6.0 * c.n_layer * c.context_length * c.n_head * c.head_dim


def inference_memory(c: ModelConfig, *, rows: int, bytes_per_value: int = 4) -> int:
    """Rough bytes to write `rows` texts at once: fp32 weights, the cache of keys and values, and one row of logits each."""
    cache = 2 * c.n_layer * c.n_kv_head * c.head_dim * c.context_length * rows
    return 4 * parameters(c) + bytes_per_value * cache + 8 * rows * c.vocab_size
