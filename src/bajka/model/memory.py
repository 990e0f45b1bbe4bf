"""Memory of a training step, before anything is allocated, and the cheapest way to fit into a budget.

Letters: B bytes of an activation (2 or 4), C width, H query heads x their width, K key/value heads x theirs,
A = H + 2K, I inner width, T context, V vocabulary, N tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bajka.config import OptimizerName
from bajka.model.config import ModelConfig
from bajka.model.estimate import attention_width, block_matrices, parameters

PLAIN_ATTENTION_UP_TO = 512
"""Tokens up to which attention on a CPU in bf16 is plain products: beyond, the (T, T) weights cost more than they save."""

_SHORTEST_CHUNK = 512  # tokens: with fewer, adding up the head's gradient costs more than it saves
_CHUNK_OF_LOGITS = {"cpu": 2**21, "cuda": 2**26, "mps": 2**26}  # numbers: 8 MB in fp32 stay in a CPU's cache
_FEWEST_TOKENS = {"cpu": 1024, "cuda": 4096, "mps": 4096}  # of a micro-batch, before time is spent to save memory


@dataclass(frozen=True)
class Load:
    """What decides the memory of a training step beside shape and batch.

    `averages` counts further fp32 copies of the weights; `device` is cpu, cuda or mps; `taught` says that the loss is against
    a teacher's expectations too.
    """

    bytes_per_activation: int = 4
    optimizer: OptimizerName = "adamw"
    compiled: bool = False
    averages: int = 0
    device: str = "cpu"
    taught: bool = False

    def fused_norms(self, c: ModelConfig) -> bool:
        """Whether RMSNorm is that of `bajka.model.fused`, which keeps nothing in fp32."""
        return self.device == "cpu" and not self.compiled and not c.is_gpt

    def plain_attention(self, c: ModelConfig) -> bool:
        """Whether a (T, T) matrix of weights exists for every head."""
        return self.device == "cpu" and self.bytes_per_activation == 2 and c.context_length <= PLAIN_ATTENTION_UP_TO


@dataclass(frozen=True)
class Fit:
    """A way to train, and the bytes that it is expected to take; `loss_chunk` in tokens."""

    micro_batch_size: int
    loss_chunk: int | None
    gradient_checkpointing: bool
    bytes: int


def fit(
    c: ModelConfig,
    load: Load,
    *,
    budget: int,
    global_batch_size: int,
    micro_batch_size: int | None = None,
    loss_chunk: int | None = None,
    gradient_checkpointing: bool | None = None,
) -> Fit:
    """The fastest way to train on batches of `global_batch_size` rows within a `budget` of bytes; what is given is kept.

    First the micro-batch is halved, down to where its matrices become thin; then the loss is made in short chunks, which
    costs next to nothing; then blocks are computed twice, which costs a third of their time; then the micro-batch is
    halved to one row. When nothing fits, the last of these is given, with its bytes above the budget.
    """
    found = None
    for micro, short, again in _ways(c, load, micro_batch_size, global_batch_size, gradient_checkpointing):
        tokens = micro * c.context_length
        chunk = loss_chunk or (
            _SHORTEST_CHUNK if short and tokens > _SHORTEST_CHUNK else default_chunk(c, load, tokens)
        )
        need = training_memory(
            c,
            load,
            micro_batch_size=micro,
            accumulates=micro < global_batch_size,
            loss_chunk=chunk,
            gradient_checkpointing=again,
        )
        found = Fit(micro, chunk, again, need)
        if need <= budget:
            break
    assert found is not None
    return found


def _ways(
    c: ModelConfig, load: Load, micro: int | None, batch: int, checkpointing: bool | None
) -> Iterator[tuple[int, bool, bool]]:
    """Micro-batch size, short chunks, checkpointing: fastest first, smallest last."""
    sizes = [micro] if micro is not None else _halvings(batch)
    thick = [size for size in sizes if size * c.context_length >= _FEWEST_TOKENS[load.device]] or sizes[:1]
    last = checkpointing is not False
    for short, again in dict.fromkeys(((False, checkpointing or False), (True, checkpointing or False), (True, last))):
        yield from ((size, short, again) for size in thick)
    yield from ((size, True, last) for size in sizes)


def _halvings(size: int) -> list[int]:
    """The size, half of it, ... 1; odd sizes are rounded up."""
    found = [size]
    while found[-1] > 1:
        found.append(-(-found[-1] // 2))
    return found


def default_chunk(c: ModelConfig, load: Load, tokens: int) -> int | None:
    """Tokens a chunk of the loss where chunks cost no time; None: all at once.

    On a CPU a chunk's logits then stay in its cache, which is faster than all at once (docs/experiments.md, "Little
    memory").
    """
    room = _CHUNK_OF_LOGITS[load.device]
    chunk = max(_SHORTEST_CHUNK, room // c.vocab_size)
    return chunk if tokens >= 2 * chunk and tokens * c.vocab_size >= 2 * room else None


def training_memory(
    c: ModelConfig,
    load: Load,
    *,
    micro_batch_size: int,
    accumulates: bool = False,
    loss_chunk: int | None = None,
    gradient_checkpointing: bool = False,
) -> int:
    """Bytes at the peak of a training step above the libraries: weights, optimizer, gradients, activations, logits.

    The peak is where the loss is made, at the beginning or the end of the backward, or in the optimizer's step. With
    `accumulates` the gradients of earlier micro-batches exist from the start. Every term was counted on real steps
    (docs/experiments.md, "Little memory").
    """
    B, tokens, head = load.bytes_per_activation, micro_batch_size * c.context_length, c.vocab_size * c.n_embd
    gradients = 4 * parameters(c)
    kept, transient = tokens * _kept(c, load), tokens * _transient(c, load)
    casts = block_matrices(c) * B if B < 4 else 0  # the weights in the activations' type
    if gradient_checkpointing:
        saved = c.n_layer * tokens * c.n_embd * B
        transient += kept + casts
    else:
        saved = c.n_layer * (kept + casts)
    saved += tokens * _norm(c, load) + (B * head if B < 4 else 0)
    loss = _loss(c, load, tokens, loss_chunk)
    before = gradients if accumulates else 0
    peaks = (
        before + saved + loss,
        before + saved + 4 * head + transient,
        gradients + transient + (4 * head if c.tie_embeddings or accumulates else 0),
        gradients + _optimizer_step(c, load),
    )
    return _fixed(c, load) + max(peaks)


def _fixed(c: ModelConfig, load: Load) -> int:
    """Weights, averages and the optimizer's state: Muon keeps one number for a weight, Adam two."""
    matrices = c.n_layer * block_matrices(c) if load.optimizer == "muon" else 0
    return (4 + 4 * load.averages) * parameters(c) + 8 * parameters(c) - 4 * matrices


def _kept(c: ModelConfig, load: Load) -> int:
    """Bytes a token that one block keeps for its backward."""
    B, C, H, K = load.bytes_per_activation, c.n_embd, c.n_head * c.head_dim, c.n_kv_head * c.head_dim
    rope = not c.is_gpt
    attention = B * H  # what goes into the last product
    if load.plain_attention(c):
        attention += B * (3 * H + c.n_head * c.context_length) + (
            B * attention_width(c) if load.compiled and rope else 0
        )
    elif K == H:
        attention += B * (attention_width(c) + (3 * H if rope else 0))
    else:
        attention += B * 4 * H
    if c.family == "modern" and not load.compiled:  # the norms of queries and keys
        wide = 8 if B < 4 else 4
        attention += (B if load.fused_norms(c) else wide) * (H + K)
    inner = (3 if load.compiled else 4) if c.activation == "swiglu" else 1 if c.activation == "relu" else 2
    dropped = (2 * C if c.dropout else 0) + (2 * c.n_head * c.context_length if c.attention_dropout else 0)
    return 2 * _norm(c, load) + attention + B * (inner * c.n_inner + dropped)


def _norm(c: ModelConfig, load: Load) -> int:
    """Bytes a token that one norm keeps: its input, what it gives, and in a GPU's eager mode RMSNorm's product in fp32."""
    B = load.bytes_per_activation
    if load.compiled or load.fused_norms(c):
        return 2 * B * c.n_embd
    return (B + (4 if c.is_gpt else 8)) * c.n_embd


def _transient(c: ModelConfig, load: Load) -> int:
    """Bytes a token that come and go while one block's gradients are made, beyond what it kept and now lets go."""
    B, wide = load.bytes_per_activation, c.activation == "swiglu"
    feed_forward = B * (3 if wide else 2) * c.n_inner + 8 * c.n_embd
    attention = B * (4 * attention_width(c) + (3 * c.n_head * c.context_length if load.plain_attention(c) else 0))
    return max(feed_forward, attention - B * (4 if wide else 2) * c.n_inner)


def _loss(c: ModelConfig, load: Load, tokens: int, chunk: int | None) -> int:
    """Bytes that come and go while the loss and its gradient are made."""
    B, V, C = load.bytes_per_activation, c.vocab_size, c.n_embd
    if chunk is not None:
        sums = 4 * V * C + (B * V * C if B < 4 and load.device != "cpu" else 0)
        return sums + (16 if load.taught else 8) * min(chunk, tokens) * V + B * tokens * C
    return tokens * V * (16 if load.taught else 12)


def _optimizer_step(c: ModelConfig, load: Load) -> int:
    """Muon stacks all matrices of one shape, and multiplies copies of them; Adam works in place."""
    if load.optimizer != "muon":
        return 0
    heads = attention_width(c) * c.n_embd
    wide = (2 if c.activation == "swiglu" else 1) * c.n_inner * c.n_embd
    return c.n_layer * max(heads, wide) * (14 if load.bytes_per_activation < 4 else 19)
