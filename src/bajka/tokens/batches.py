"""Batches: a pure function of (token ids, seed, position). Nothing is remembered between two calls.

Windows are numbered without end: number w lies in epoch w // windows_per_epoch. Each epoch permutes the documents,
joins them to a ring, cuts the ring into windows from a random phase, and permutes the windows, all keyed by
(seed, epoch). So every token is a target exactly once an epoch, and no batch holds neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

IGNORED = -1
"""Target of positions that count in no loss."""

_BLOCK = 10_000_000  # windows permuted at once; beyond it, blocks are permuted and then their insides

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """`inputs` and `targets` (rows, context_length) as int64; targets are the next tokens, or `IGNORED`."""

    inputs: Ids
    targets: Ids

    def rows(self, start: int, end: int) -> Batch:
        """Some rows, for a micro-batch or a process."""
        return Batch(self.inputs[start:end], self.targets[start:end])

    @property
    def counted(self) -> int:
        """Targets that count."""
        return int((self.targets != IGNORED).sum())


class Batches:
    """The training windows of one token set.

    `windows`: "packed" (above), "sliding" (windows of the plain stream every `stride` tokens, permuted) or "documents"
    (one document a row from its beginning, cut at the context, padded with ignored targets).
    """

    def __init__(
        self,
        ids: NDArray[np.unsignedinteger],
        starts: NDArray[np.integer],
        *,
        context_length: int,
        seed: int,
        end_of_text: int,
        windows: Literal["packed", "sliding", "documents"] = "packed",
        stride: int | None = None,
    ) -> None:
        self.ids, self.starts = ids, np.asarray(starts, dtype=np.int64)
        self.lengths = np.diff(np.append(self.starts, len(ids)))
        self.context_length, self.seed, self.end_of_text = context_length, seed, end_of_text
        self.windows, self.stride = windows, stride or context_length
        self._order = lru_cache(maxsize=2)(self._order_of_epoch)

    @property
    def windows_per_epoch(self) -> int:
        """Windows after which every token was seen."""
        match self.windows:
            case "packed":
                return max(1, -(-len(self.ids) // self.context_length))
            case "sliding":
                reaching = -(-(len(self.ids) - 1 - self.context_length) // self.stride) + 1  # the last one to the end
                return max(1, min(reaching, -(-(len(self.ids) - 1) // self.stride)))  # none that begins behind it
            case "documents":
                return len(self.starts)

    def batch(self, position: int, size: int) -> Batch:
        """The windows number `position` to `position + size`."""
        parts, end = [], position + size
        while position < end:
            epoch, first = divmod(position, self.windows_per_epoch)
            last = min(first + end - position, self.windows_per_epoch)
            parts.append(self._windows(epoch, first, last))
            position += last - first
        if len(parts) == 1:
            return parts[0]
        return Batch(np.concatenate([p.inputs for p in parts]), np.concatenate([p.targets for p in parts]))

    def _windows(self, epoch: int, first: int, last: int) -> Batch:
        order = self._order(epoch)
        chosen = order.windows[first:last]
        match self.windows:
            case "packed":
                return self._packed(order, chosen)
            case "sliding":
                return span_batch(self.ids, chosen * self.stride, self.context_length)
            case "documents":
                return document_batch(self.ids, self.starts, chosen, self.context_length, end_of_text=self.end_of_text)

    def _packed(self, order: _Order, chosen: Ids) -> Batch:
        T, N = self.context_length, len(self.ids)
        place = order.phase + chosen[:, None] * T + np.arange(T + 1)  # (rows, T + 1) along the ring
        beyond = place[:, 1:] > order.phase + N  # the last window of the ring is short
        place %= N
        document = np.searchsorted(order.ends, place, side="right")
        token = self.ids[place + order.shift[document]].astype(np.int64)
        inputs, targets = token[:, :-1], token[:, 1:].copy()
        targets[beyond] = IGNORED
        return Batch(inputs, targets)

    def _order_of_epoch(self, epoch: int) -> _Order:
        draw = np.random.Generator(np.random.Philox(key=np.array([self.seed, epoch], dtype=np.uint64)))
        documents = draw.permutation(len(self.starts))
        ends = np.cumsum(self.lengths[documents])
        begins = ends - self.lengths[documents]
        phase = int(draw.integers(self.context_length))
        shift = self.starts[documents] - begins
        return _Order(_permutation(draw, self.windows_per_epoch), phase, ends, shift)


@dataclass(frozen=True)
class _Order:
    """One epoch: the order of windows; the ring's phase; where documents end on the ring; ring place to token index."""

    windows: Ids
    phase: int
    ends: Ids
    shift: Ids


def _permutation(draw: np.random.Generator, count: int) -> Ids:
    if count <= _BLOCK:
        return draw.permutation(count)
    blocks = draw.permutation(-(-count // _BLOCK))
    return np.concatenate([b * _BLOCK + draw.permutation(min(_BLOCK, count - b * _BLOCK)) for b in blocks])


def span_batch(ids: NDArray[np.unsignedinteger], begins: NDArray[np.integer], context_length: int) -> Batch:
    """Windows of the plain stream that begin at `begins`; what lies beyond the last token is padded and ignored."""
    place = np.asarray(begins, dtype=np.int64)[:, None] + np.arange(context_length + 1)
    token = np.asarray(ids[np.minimum(place, len(ids) - 1)]).astype(np.int64)
    targets = token[:, 1:].copy()
    targets[place[:, 1:] >= len(ids)] = IGNORED
    return Batch(token[:, :-1], targets)


def document_batch(
    ids: NDArray[np.unsignedinteger],
    starts: NDArray[np.integer],
    chosen: NDArray[np.integer],
    context_length: int,
    *,
    end_of_text: int,
) -> Batch:
    """One document a row from its beginning, its end as the last target; cut at the context, or padded and ignored."""
    T = context_length
    inputs = np.full((len(chosen), T), end_of_text, dtype=np.int64)
    targets = np.full((len(chosen), T), IGNORED, dtype=np.int64)
    for row, document in enumerate(chosen):
        start = int(starts[document])
        end = int(starts[document + 1]) if document + 1 < len(starts) else len(ids)
        token = np.append(ids[start : min(end, start + T + 1)].astype(np.int64), end_of_text)[: T + 1]
        inputs[row, : len(token) - 1], targets[row, : len(token) - 1] = token[:-1], token[1:]
    return Batch(inputs, targets)


def evaluation_begins(tokens: int, *, context_length: int, most: int | None) -> Ids:
    """Beginnings of non-overlapping windows over a stream: all that hold a target, or `most` spread evenly."""
    return spread(max(0, -(-(tokens - 1) // context_length)), most) * context_length


def spread(count: int, most: int | None) -> Ids:
    """The numbers 0 to `count`, all of them or `most` spread evenly."""
    if most is None or most >= count:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(np.int64)
