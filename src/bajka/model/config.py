"""`ModelConfig`: the shape of the network, resolved and checked, in our names."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from bajka.config import Activation, Family
from bajka.errors import ModelError


class ModelConfig(BaseModel):
    """Everything that decides the function of the network. Dropout is a training setting and changes no weight's shape.

    A family is an exact stock architecture (see `bajka.model.families`); what it cannot express is refused here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Family = "modern"
    vocab_size: int
    context_length: int
    n_layer: int
    n_head: int
    n_kv_head: int
    n_embd: int
    n_inner: int
    head_dim: int
    positions: Literal["rope", "learned", "sinusoidal"] = "rope"
    rope_theta: float = 10_000.0
    activation: Activation = "swiglu"
    norm_epsilon: float = 1e-6
    tie_embeddings: bool = False
    bias: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0

    @property
    def is_gpt(self) -> bool:
        """Whether this is one of the GPTs: LayerNorm, biases, a table of positions, plain feed-forward."""
        return self.family in ("gpt2", "gpt1")

    @model_validator(mode="after")
    def fits(self) -> ModelConfig:
        """Refuse shapes that do not divide, and wishes that the stock architecture cannot express."""
        if problems := _problems(self):
            raise ModelError(" ".join(problems))
        return self


def _problems(c: ModelConfig) -> list[str]:
    """Every reason why this shape cannot be built, as sentences."""
    found = []
    for name in ("vocab_size", "context_length", "n_layer", "n_head", "n_kv_head", "n_embd", "n_inner", "head_dim"):
        if getattr(c, name) < 1:
            found.append(f"{name} = {getattr(c, name)} must be at least 1.")
    if found:
        return found
    if c.n_head % c.n_kv_head:
        found.append(
            f"n_head = {c.n_head} is not a multiple of n_kv_head = {c.n_kv_head}: choose a divisor, or leave it out."
        )
    if c.is_gpt:
        found += _gpt_problems(c)
    else:
        if c.head_dim % 2:
            found.append(f"head_dim = {c.head_dim} is odd: choose n_embd and n_head so that n_embd / n_head is even.")
        if c.positions != "rope":
            found.append(f"positions = {c.positions} needs --family gpt2 or gpt1; {c.family} has rotary positions.")
        if c.activation != "swiglu":
            found.append(f"activation = {c.activation} needs --family gpt2 or gpt1; {c.family} has swiglu.")
        if c.bias:
            found.append(f"bias needs --family gpt2 or gpt1; {c.family} has none.")
    return found


def _gpt_problems(c: ModelConfig) -> list[str]:
    found = []
    if c.n_embd != c.n_head * c.head_dim:
        found.append(
            f"n_head = {c.n_head} does not divide n_embd = {c.n_embd}: "
            f"choose n_embd = {c.n_head * max(1, round(c.n_embd / c.n_head))} or another number of heads."
        )
    if c.n_kv_head != c.n_head:
        found.append(f"n_kv_head = {c.n_kv_head} needs --family modern or llama; {c.family} has one per head.")
    if c.positions == "rope":
        found.append(f"positions = rope needs --family modern or llama; {c.family} has a table of positions.")
    if c.activation == "swiglu":
        found.append(f"activation = swiglu needs --family modern or llama; {c.family} has gelu_tanh or relu.")
    if c.family == "gpt1":
        if c.n_inner != 4 * c.n_embd:
            found.append(f"n_inner = {c.n_inner}: gpt1 has exactly 4 x n_embd = {4 * c.n_embd}.")
        if c.activation == "gelu":
            found.append("activation = gelu: gpt1's gelu is the tanh form, write gelu_tanh.")
        if not c.tie_embeddings:
            found.append("tie_embeddings = false: gpt1 has one matrix for embedding and head.")
    return found
