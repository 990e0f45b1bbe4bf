"""Loss on text the model was not trained on: quick windows while training, strided windows for the final word.

Only content tokens count: end-of-text and markers of fields are neither targets nor part of the bytes, so that
tokenizers can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bajka.errors import CorpusError
from bajka.model.transformer import Transformer
from bajka.tokens.batches import IGNORED, Batch, document_batch, evaluation_begins, span_batch, spread
from bajka.tokens.store import TokenSet

MOST_AT_ONCE = 16_384
"""Tokens of the windows that are judged together."""


@dataclass(frozen=True)
class Loss:
    """`loss` is nats per content token of this vocabulary; bits per byte and per letter compare across tokenizers.

    `tokens` are the targets that were counted.
    """

    loss: float
    perplexity: float
    bits_per_byte: float
    bits_per_letter: float
    tokens: int

    def as_dict(self) -> dict[str, float]:
        """The numbers by name."""
        return asdict(self)


def make_loss(nats: float, tokens: int, *, bytes_per_token: float, letters_per_token: float) -> Loss:
    """Numbers of `tokens` targets with `nats` in all; raises `CorpusError` when there was no target."""
    if tokens == 0:
        raise CorpusError("There is no token to evaluate on: the text is empty. Give more text.")
    mean = nats / tokens
    bits = mean / math.log(2)
    return Loss(
        loss=mean,
        perplexity=math.exp(min(mean, 700.0)),
        bits_per_byte=bits / bytes_per_token if bytes_per_token else math.nan,
        bits_per_letter=bits / letters_per_token if letters_per_token else math.nan,
        tokens=tokens,
    )


@torch.no_grad()
def windows_loss(
    model: Transformer,
    tokens: TokenSet,
    *,
    end_of_text: int,
    most_windows: int | None = None,
    rows: int = 16,
    dtype: torch.dtype | None = None,
    documents: bool = False,
) -> Loss:
    """Loss over non-overlapping windows of a stream (all, or `most_windows` spread evenly), dropout off.

    With `documents` a window is one document from its beginning, as in training on one document a row.
    """
    length = model.config.context_length
    if documents:
        chosen = spread(len(tokens.starts), most_windows)
    else:
        chosen = evaluation_begins(len(tokens), context_length=length, most=most_windows)
    model.eval()
    nats, counted = 0.0, 0
    for start in range(0, len(chosen), rows):
        some = chosen[start : start + rows]
        if documents:
            batch = document_batch(tokens.ids, tokens.starts, some, length, end_of_text=end_of_text)
        else:
            batch = span_batch(tokens.ids, some, length)
        batch.targets[np.isin(batch.targets, tokens.control)] = IGNORED
        nats += _nats(model, batch, dtype)
        counted += batch.counted
    return make_loss(nats, counted, bytes_per_token=tokens.bytes_per_token, letters_per_token=tokens.letters_per_token)


@torch.no_grad()
def strided_loss(
    model: Transformer,
    tokens: TokenSet,
    *,
    rows: int = 16,
    dtype: torch.dtype | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Loss:
    """Loss of every content token, each document from its beginning, in windows that move by half a context: every
    target but those of a document's first window has at least half a context before it."""
    model.eval()
    length = model.config.context_length
    rows = max(1, min(rows, MOST_AT_ONCE // length))
    nats, counted, batch = 0.0, 0, list[tuple[NDArray[np.int64], NDArray[np.int64]]]()
    for window in _strided(tokens, length):
        batch.append(window)
        if len(batch) == rows:
            nats, counted = _add(model, batch, dtype, nats, counted)
            progress(counted / max(1, tokens.content))
            batch = []
    if batch:
        nats, counted = _add(model, batch, dtype, nats, counted)
    return make_loss(nats, counted, bytes_per_token=tokens.bytes_per_token, letters_per_token=tokens.letters_per_token)


def _strided(tokens: TokenSet, length: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Inputs and targets (length) of every window; a target that an earlier window counted is ignored."""
    stride = max(1, length // 2)
    starts = tokens.starts.astype(np.int64)
    for start, end in zip(starts, np.append(starts, len(tokens))[1:], strict=True):
        document = np.asarray(tokens.ids[start:end]).astype(np.int64)
        place, counted = 0, 0  # targets document[1 : counted + 1] are done
        while counted < len(document) - 1:
            inputs = np.zeros(length, dtype=np.int64)
            targets = np.full(length, IGNORED, dtype=np.int64)
            piece = document[place : place + length + 1]
            inputs[: len(piece) - 1] = piece[:-1]
            first = counted - place
            targets[first : len(piece) - 1] = piece[first + 1 :]
            targets[np.isin(targets, tokens.control)] = IGNORED
            yield inputs, targets
            counted = place + len(piece) - 1
            place += stride


def _add(
    model: Transformer,
    windows: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    dtype: torch.dtype | None,
    nats: float,
    counted: int,
) -> tuple[float, int]:
    longest = 1 + max(int(np.flatnonzero(targets != IGNORED).max(initial=0)) for _, targets in windows)
    batch = Batch(np.stack([w[0][:longest] for w in windows]), np.stack([w[1][:longest] for w in windows]))
    return nats + _nats(model, batch, dtype), counted + batch.counted


def _nats(model: Transformer, batch: Batch, dtype: torch.dtype | None) -> float:
    device = model.embedding.weight.device
    inputs, targets = (torch.from_numpy(a).to(device) for a in (batch.inputs, batch.targets))
    return float(model.loss(inputs, targets, dtype=dtype))
