"""One transformer for four families. Read it from the bottom: `Transformer`, `Block`, `Attention`, `FeedForward`.

Letters of the shapes: B rows, T tokens of a row, C width (n_embd), H query heads, K key/value heads, D head_dim,
S slots of the cache, V vocabulary. Weights are fp32; activations have the type that the embedding gives them (`dtype`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bajka.model import fused
from bajka.model.cache import Cache
from bajka.model.config import ModelConfig
from bajka.model.estimate import attention_width
from bajka.model.loss import Taught, head_loss, widen
from bajka.model.memory import PLAIN_ATTENTION_UP_TO
from bajka.model.positions import rotary_table, rotate, sinusoidal_table


class Linear(nn.Linear):
    """A linear layer that casts its fp32 weight to the type of what it is given.

    `sections` are the row counts of the separate matrices inside a fused weight (q, k and v of every head): the optimizer
    treats each on its own.
    """

    def __init__(self, n_in: int, *n_out: int, bias: bool) -> None:
        super().__init__(n_in, sum(n_out), bias=bias)
        self.sections = n_out

    def forward(self, x: Tensor) -> Tensor:  # (..., n_in) -> (..., n_out)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class Norm(nn.Module):
    """RMSNorm, or LayerNorm for the GPTs, with statistics in at least fp32."""

    def __init__(self, width: int, *, epsilon: float, layer: bool) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if layer else None

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is not None:
            wide = x if x.device.type == "cpu" else widen(x)  # a CPU's LayerNorm widens inside
            return F.layer_norm(wide, self.weight.shape, self.weight, self.bias, self.epsilon).to(x.dtype)
        if fused.worthwhile(x):
            return fused.rms_norm(x, self.weight, self.epsilon)
        return F.rms_norm(widen(x), self.weight.shape, self.weight, self.epsilon).to(x.dtype)


class Attention(nn.Module):
    """Causal self-attention with grouped key/value heads, rotary positions and query/key norm where the family has them."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.c = c
        self.qkv = Linear(c.n_embd, *[c.head_dim] * (c.n_head + 2 * c.n_kv_head), bias=c.is_gpt)
        self.out = Linear(c.n_head * c.head_dim, c.n_embd, bias=c.is_gpt)
        qk_norm = c.family == "modern"
        self.q_norm = Norm(c.head_dim, epsilon=c.norm_epsilon, layer=False) if qk_norm else None
        self.k_norm = Norm(c.head_dim, epsilon=c.norm_epsilon, layer=False) if qk_norm else None

    def forward(self, x: Tensor, rotation: Tensor | None, cache: Cache | None, layer: int) -> Tensor:
        c = self.c
        B, T, _ = x.shape
        heads = self.qkv(x).view(B, T, c.n_head + 2 * c.n_kv_head, c.head_dim)
        q, k = self._queries_and_keys(heads[:, :, : c.n_head + c.n_kv_head], rotation)
        v = heads[:, :, c.n_head + c.n_kv_head :].transpose(1, 2)
        mask = None
        if cache is not None:
            k, v, mask = cache.extend(layer, k, v)
        if c.n_kv_head != c.n_head:
            k, v = (t.repeat_interleave(c.n_head // c.n_kv_head, dim=1) for t in (k, v))
        dropout = c.attention_dropout if self.training else 0.0
        y = attend(q, k, v, mask=mask, causal=T > 1, dropout=dropout)  # (B, H, T, D)
        return self.out(y.transpose(1, 2).reshape(B, T, c.n_head * c.head_dim))

    def _queries_and_keys(self, heads: Tensor, rotation: Tensor | None) -> tuple[Tensor, Tensor]:
        """Queries (B, H, T, D) and keys (B, K, T, D) of `heads` (B, T, H+K, D), normed and rotated as the family does."""
        H, K = self.c.n_head, self.c.n_kv_head
        quick = fused.worthwhile(heads)
        if (
            quick
            and rotation is not None
            and len(rotation) == 1
            and self.q_norm is not None
            and self.k_norm is not None
        ):
            gains = torch.cat((self.q_norm.weight.expand(H, -1), self.k_norm.weight.expand(K, -1)))
            return fused.normed_and_rotated(heads, gains, rotation, self.c.norm_epsilon, n_head=H)
        q, k = heads.transpose(1, 2).split((H, K), dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return (q, k) if rotation is None else (rotate(q, rotation), rotate(k, rotation))


def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None, causal: bool, dropout: float) -> Tensor:
    """Attention of heads (B, H, T, D), through torch's kernel, or as plain products where those are faster.

    On a CPU the backward of torch's kernel in bf16 takes 2 to 6 times as long as two batched products and a softmax at
    the short contexts of small models (docs/experiments.md, "Attention on a CPU").
    """
    T = q.shape[2]
    if (
        mask is not None
        or not causal
        or q.device.type != "cpu"
        or q.dtype != torch.bfloat16
        or T > PLAIN_ATTENTION_UP_TO
    ):
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None and causal, dropout_p=dropout
        )
    if not dropout and fused.worthwhile(q):
        return fused.causal_attention(q, k, v)
    B, H, T, D = q.shape
    future = torch.full((T, T), -math.inf, dtype=q.dtype).triu(1).expand(B * H, T, T)
    q, k, v = (t.reshape(B * H, T, D) for t in (q, k, v))
    weights = torch.baddbmm(future, q, k.mT, alpha=1.0 / math.sqrt(D)).softmax(dim=-1)
    return torch.bmm(F.dropout(weights, dropout, dropout > 0), v).view(B, H, T, D)


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202), or GPT's two matrices with a nonlinearity between them."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.activation = c.activation
        widths = (c.n_inner, c.n_inner) if c.activation == "swiglu" else (c.n_inner,)
        self.up = Linear(c.n_embd, *widths, bias=c.is_gpt)  # swiglu: gate and up in one product
        self.down = Linear(c.n_inner, c.n_embd, bias=c.is_gpt)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C) -> (B, T, C)
        x = self.up(x)
        match self.activation:
            case "swiglu" if fused.worthwhile(x):
                x = fused.swiglu(x)
            case "swiglu":
                gate, x = x.chunk(2, dim=-1)
                x = F.silu(gate) * x
            case "gelu":
                x = F.gelu(x)
            case "gelu_tanh":
                x = F.gelu(x, approximate="tanh")
            case "relu":
                x = F.relu(x)
        return self.down(x)


class Block(nn.Module):
    """Attention and feed-forward around a residual stream: norms before each part, or after the sum (gpt1)."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.post_norm = c.family == "gpt1"
        self.norm_1 = Norm(c.n_embd, epsilon=c.norm_epsilon, layer=c.is_gpt)
        self.attention = Attention(c)
        self.norm_2 = Norm(c.n_embd, epsilon=c.norm_epsilon, layer=c.is_gpt)
        self.feed_forward = FeedForward(c)
        self.dropout = c.dropout

    def forward(self, x: Tensor, rotation: Tensor | None, cache: Cache | None, layer: int) -> Tensor:
        if self.post_norm:
            x = self.norm_1(x + self.drop(self.attention(x, rotation, cache, layer)))
            return self.norm_2(x + self.drop(self.feed_forward(x)))
        x = x + self.drop(self.attention(self.norm_1(x), rotation, cache, layer))
        return x + self.drop(self.feed_forward(self.norm_2(x)))

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class Transformer(nn.Module):
    """The model: embeddings, blocks, a head. `forward` gives logits, `loss` the summed cross entropy of a batch.

    Two attributes trade time for memory and change no result. `gradient_checkpointing` keeps only the inputs of blocks
    and computes a block again for its backward (Chen et al., arXiv 1604.06174): the same bits in fp32, dropout included.
    `loss_chunk` is how many tokens' logits exist at once; None: all.
    """

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.config = c
        self.gradient_checkpointing = False
        self.loss_chunk: int | None = None
        self.embedding = nn.Embedding(c.vocab_size, c.n_embd)
        self.positions = nn.Embedding(c.context_length, c.n_embd) if c.is_gpt else None
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.n_layer))
        last_norm = c.family != "gpt1"
        self.norm = Norm(c.n_embd, epsilon=c.norm_epsilon, layer=c.is_gpt) if last_norm else None
        self.head = Linear(c.n_embd, c.vocab_size, bias=False)
        self.register_buffer("rotations", None, persistent=False)
        self.rotations: Tensor | None
        self.complete()

    def complete(self) -> None:
        """All that no file of weights holds: the tied head, the rotations, and what is not trained."""
        if self.config.tie_embeddings:
            self.head.weight = self.embedding.weight
        if not self.config.is_gpt:
            self.rotations = rotary_table(self.config).float()
        self.freeze()

    def freeze(self) -> None:
        """Take out of training what is fixed: sinusoidal positions, and the biases of a GPT without biases."""
        if self.positions is not None and self.config.positions == "sinusoidal":
            self.positions.weight.requires_grad_(False)
        if self.config.is_gpt and not self.config.bias:
            for name, parameter in self.named_parameters():
                if name.endswith(".bias"):
                    parameter.requires_grad_(False)

    def forward(self, ids: Tensor, *, dtype: torch.dtype | None = None, cache: Cache | None = None) -> Tensor:
        """Logits (B, T, V) in the activations' type for token `ids` (B, T).

        With a `cache` the tokens go on from what it holds (see `bajka.model.cache`); it is advanced by T.
        """
        x, rotation = self.embed(ids, dtype=dtype, places=None if cache is None else cache.places(ids.shape[1]))
        logits = self.head(self.hidden(x, rotation, cache))
        if cache is not None:
            cache.advance(ids.shape[1])
        return logits

    def embed(
        self, ids: Tensor, *, dtype: torch.dtype | None = None, places: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Embedded tokens (B, T, C) in `dtype`, and the rotations (B or 1, 1, T, D) of their `places` (B, T)."""
        c = self.config
        T = ids.shape[1]
        assert c.context_length >= T, f"{T} tokens in a context of {c.context_length}"
        x = self.embedding(ids)
        if self.positions is not None:
            x = x + (self.positions.weight[:T] if places is None else self.positions(places))
        x = x.to(dtype or x.dtype)
        if c.dropout and self.training:
            x = F.dropout(x, c.dropout)
        if self.rotations is None:
            return x, None
        rotation = self.rotations[:T][None] if places is None else self.rotations[places]
        return x, rotation[:, None].to(x.dtype)

    def hidden(
        self,
        x: Tensor,
        rotation: Tensor | None,
        cache: Cache | None = None,
        *,
        compute: Callable[..., Tensor] | None = None,
    ) -> Tensor:
        """The residual stream (B, T, C) after all blocks and the last norm; `compute(block, x, rotation, cache, layer)`
        may stand for a call of the block."""
        again = self.gradient_checkpointing and torch.is_grad_enabled()
        drops = self.training and max(self.config.dropout, self.config.attention_dropout) > 0
        for layer, block in enumerate(self.blocks):
            call = block if compute is None else partial(compute, block)
            place = layer if cache is not None else 0  # the cache's; a compiled block is made once, not for each number
            if again:
                x = checkpoint(call, x, rotation, cache, place, use_reentrant=False, preserve_rng_state=drops)
            else:
                x = call(x, rotation, cache, place)
        return x if self.norm is None else self.norm(x)

    def loss(
        self, ids: Tensor, targets: Tensor, taught: Taught | None = None, *, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Cross entropy in nats, summed over the targets (B, T) that are not `IGNORED`, in at least fp32; with `taught`,
        against what a teacher expects too."""
        return self.loss_of(*self.embed(ids, dtype=dtype), targets, taught)

    def loss_of(
        self,
        x: Tensor,
        rotation: Tensor | None,
        targets: Tensor,
        taught: Taught | None = None,
        *,
        block: Callable[..., Tensor] | None = None,
    ) -> Tensor:
        """`loss` from embedded tokens, with another way to compute a block (a compiled one) if it is given."""
        hidden = self.hidden(x, rotation, compute=block).flatten(0, 1)
        return head_loss(hidden, self.head.weight, targets.flatten(), chunk=self.loss_chunk, taught=taught)

    def reset(self, seed: int) -> None:
        """Draw all weights anew from `seed`, on the CPU, so that every machine starts from the same numbers.

        GPTs: GPT-2's 0.02. The others: 0.5 / sqrt(inputs), which keeps the variance of activations below one whatever
        the width; 0.02 for the head, so that its logits begin near zero; 0.5 for an embedding that is not the head too
        (docs/experiments.md, "Where the embedding begins"). Residual outputs are divided by sqrt(2 n_layer).
        """
        generator = torch.Generator().manual_seed(seed)
        c = self.config
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                parameter.data.fill_(1.0 if name.endswith("weight") else 0.0)
                continue
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.data.copy_(drawn * self._deviation(name, inputs=parameter.shape[1]))
        if self.positions is not None and c.positions == "sinusoidal":
            self.positions.weight.data.copy_(sinusoidal_table(c))

    def _deviation(self, name: str, *, inputs: int) -> float:
        """The standard deviation of a matrix's first numbers."""
        c = self.config
        deviation = 0.02
        if not c.is_gpt and "embedding" in name and not c.tie_embeddings:
            deviation = 0.5
        elif not c.is_gpt and name.startswith("blocks."):
            deviation = 0.5 / math.sqrt(inputs)
        return deviation / math.sqrt(2 * c.n_layer) if name.endswith(("out.weight", "down.weight")) else deviation


def fused_rows(c: ModelConfig) -> tuple[int, int, int]:
    """Rows of q, k and v inside the fused projection."""
    kv = c.n_kv_head * c.head_dim
    assert attention_width(c) == c.n_head * c.head_dim + 2 * kv
    return c.n_head * c.head_dim, kv, kv
