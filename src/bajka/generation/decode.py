"""The engine: many texts in one batch, each row at its own place, finished rows refilled from the waiting list."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bajka.generation.sampling import Sampling, next_tokens
from bajka.model.cache import Cache
from bajka.model.transformer import Transformer

Reason = Literal["stop", "length"]


@dataclass
class Row:
    """One text being written: its number, its ids so far (prompt included), its own stream of random numbers."""

    number: int
    ids: list[int]
    prompt_length: int
    draws: np.random.Generator
    cancelled: bool = field(default=False)

    @property
    def new_ids(self) -> list[int]:
        """The ids written after the prompt."""
        return self.ids[self.prompt_length :]


@dataclass(frozen=True)
class Written:
    """One event: `row` got `token` (None when it ended without one); `reason` tells why it ended, or None."""

    row: Row
    token: int | None
    reason: Reason | None


def new_row(number: int, prompt: Sequence[int], *, seed: int) -> Row:
    """A row whose random numbers depend on (seed, number) alone, not on its neighbours."""
    draws = np.random.Generator(np.random.Philox(key=np.array([seed, number], dtype=np.uint64)))
    return Row(number, list(prompt), len(prompt), draws)


@torch.no_grad()
def decode(
    model: Transformer,
    rows: Sequence[Row],
    sampling: Sampling,
    *,
    end_of_text: int,
    vocab_size: int | None = None,
    rows_at_once: int = 32,
) -> Iterator[Written]:
    """Write all `rows`, `rows_at_once` at a time, yielding each token as it comes.

    A row ends at `end_of_text` (not yielded as a token), after `max_new_tokens`, or when the caller sets `cancelled`.
    A text that fills the context goes on from its last half, encoded again. Ids from `vocab_size` on are never chosen.
    """
    model.eval()
    waiting = deque(rows)
    active = [waiting.popleft() for _ in range(min(rows_at_once, len(waiting)))]
    weights = model.embedding.weight
    longest = max((len(row.ids) for row in rows), default=0) + sampling.max_new_tokens
    slots = min(model.config.context_length, longest)
    cache = Cache(model.config, len(active), dtype=weights.dtype, device=weights.device, slots=slots)
    fresh = list(range(len(active)))  # places in the batch whose row was not encoded yet
    while active:
        logits = _next_logits(model, cache, active, fresh)
        ended = []
        for place, token in enumerate(_choose(logits, active, sampling, vocab_size)):
            event = _advance(active[place], token, sampling, end_of_text)
            yield event
            if event.reason is not None or active[place].cancelled:
                ended.append(place)
        fresh = ended[: len(waiting)]
        for place in fresh:
            active[place] = waiting.popleft()
        gone = set(ended[len(fresh) :])
        if gone:
            kept = [place for place in range(len(active)) if place not in gone]
            active = [active[place] for place in kept]
            fresh = [kept.index(place) for place in fresh]
            cache.keep(kept)


def _next_logits(model: Transformer, cache: Cache, active: list[Row], fresh: list[int]) -> Tensor:
    """Logits (B, V) after the last id of every row: one step for most, a whole encoding for fresh and full rows."""
    context = model.config.context_length
    encoded = [p for p, held in enumerate(cache.filled) if p in fresh or held >= context]
    logits = torch.zeros(len(active), model.config.vocab_size, device=cache.lengths.device)
    if len(encoded) < len(active):
        cache.set_lengths([0 if place in encoded else held for place, held in enumerate(cache.filled)])
        last = torch.tensor([[row.ids[-1]] for row in active], device=cache.lengths.device)
        logits = model(last, cache=cache)[:, -1].float()  # rows to be encoded are computed in vain
    if encoded:
        logits[encoded] = _encode(model, cache, encoded, [active[place].ids for place in encoded])
    return logits


def _encode(model: Transformer, cache: Cache, places: list[int], texts: list[list[int]]) -> Tensor:
    """Fill rows of the cache with texts (padded on the right, which nothing attends to); give their last logits.

    A text longer than the context is represented by its last half context.
    """
    context = model.config.context_length
    texts = [ids if len(ids) <= context else ids[-max(1, context // 2) :] for ids in texts]
    longest = max(map(len, texts))
    padded = torch.tensor([ids + [0] * (longest - len(ids)) for ids in texts], device=cache.lengths.device)
    part = Cache(model.config, len(texts), dtype=cache.keys.dtype, device=cache.lengths.device, slots=longest)
    logits = model(padded, cache=part)
    cache.adopt(places, part, [len(ids) for ids in texts])
    return torch.stack([logits[index, len(ids) - 1] for index, ids in enumerate(texts)]).float()


def _choose(logits: Tensor, active: list[Row], sampling: Sampling, vocab_size: int | None) -> list[int]:
    """The next id of each active row.

    On the CPU where the device has no float64 (MPS), or no running sums that are always the same (CUDA, --deterministic).
    """
    if logits.device.type == "mps" or (logits.is_cuda and torch.are_deterministic_algorithms_enabled()):
        logits = logits.cpu()
    if vocab_size is not None and vocab_size < logits.shape[-1]:
        logits = logits.clone()
        logits[:, vocab_size:] = -torch.inf
    seen = None
    if sampling.repetition_penalty != 1.0:
        seen = torch.zeros(logits.shape, dtype=torch.bool)
        for index, row in enumerate(active):
            seen[index, row.ids] = True
        seen = seen.to(logits.device)
    uniform = torch.tensor([row.draws.random() for row in active], dtype=torch.float64, device=logits.device)
    return next_tokens(logits, seen, sampling, uniform).tolist()  # type: ignore[no-any-return]


def _advance(row: Row, token: int, sampling: Sampling, end_of_text: int) -> Written:
    """Give the row its token, unless that is the end."""
    if token == end_of_text:
        return Written(row, None, "stop")
    row.ids.append(token)
    full = len(row.ids) - row.prompt_length >= sampling.max_new_tokens
    return Written(row, token, "length" if full else None)
