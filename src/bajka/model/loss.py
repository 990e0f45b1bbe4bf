"""The loss of a head: cross entropy summed over targets, from all logits at once or from a chunk of tokens at a time.

The targets are the next tokens, or in part what a teacher expects (`Taught`).

Letters of the shapes: N tokens, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bajka.tokens.batches import IGNORED

_ADDED = 2**20
"""Numbers of the head's gradient that are added at once on a CPU: 4 MB in fp32."""


@dataclass(frozen=True)
class Taught:
    """What a teacher expects of the next tokens: `hidden` (N, C') under its own `head` (V, C'), by which `share` of the
    targets go (Hinton, Vinyals, Dean, arXiv 1503.02531; at temperature 1)."""

    hidden: Tensor
    head: Tensor
    share: float

    def split(self, chunk: int) -> Iterator[Taught]:
        """The same, so many tokens at a time."""
        return (replace(self, hidden=some) for some in self.hidden.split(chunk))

    def shares(self, targets: Tensor) -> Tensor:
        """Target probabilities (N, V) in at least fp32: `share` of the teacher's, the rest on the next tokens (N)."""
        head = self.head.to(self.hidden.dtype)
        found = widen(_logits(self.hidden, aligned(head), len(head))).softmax(-1).mul_(self.share)
        places = targets.clamp_min(0)[:, None]
        return found.scatter_add_(1, places, found.new_full(places.shape, 1 - self.share))


def head_loss(x: Tensor, weight: Tensor, targets: Tensor, *, chunk: int | None, taught: Taught | None = None) -> Tensor:
    """Cross entropy in nats of `x` (N, C) under the head `weight` (V, C), summed over `targets` (N) not `IGNORED`; with
    `taught`, against its shares.

    In at least fp32. With a `chunk` (tokens) no more than (chunk, V) logits exist at any time, neither forward nor
    backward; loss and gradients are the same up to rounding.
    """
    if chunk is None:
        return _whole(x, weight.to(x.dtype), targets, taught)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _ChunkedLoss.apply(x, weight, targets, chunk, taught)  # type: ignore[no-any-return,no-untyped-call]
    cast = weight.to(x.dtype)
    parts = zip(x.split(chunk), targets.split(chunk), _parts(taught, chunk), strict=False)
    return torch.stack([_whole(some, cast, wanted, told) for some, wanted, told in parts]).sum()


def _parts(taught: Taught | None, chunk: int) -> Iterator[Taught | None]:
    return repeat(None) if taught is None else taught.split(chunk)


def _whole(x: Tensor, weight: Tensor, targets: Tensor, taught: Taught | None) -> Tensor:
    logits = widen(_logits(x, aligned(weight), len(weight)))
    if taught is None:
        return F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    losses = F.cross_entropy(logits, taught.shares(targets), reduction="none")
    return losses.masked_fill(targets == IGNORED, 0.0).sum()


def _logits(x: Tensor, padded: Tensor, entries: int) -> Tensor:
    """Logits (N, V) without those of rows that were only put below the head."""
    logits = F.linear(x, padded)
    return logits if len(padded) == entries else logits[:, :entries]


def aligned(weight: Tensor) -> Tensor:
    """`weight` with rows of zeros until they are a multiple of 8, without which a GPU's products in half precision are
    several times slower (GPT-2's 50,257 entries)."""
    half = weight.dtype in (torch.bfloat16, torch.float16)
    return F.pad(weight, (0, 0, 0, -len(weight) % 8)) if half and weight.is_cuda and len(weight) % 8 else weight


def widen(x: Tensor) -> Tensor:
    """Half precision as fp32, the rest as it is."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class _ChunkedLoss(torch.autograd.Function):
    """Gradients are made in the forward, while a chunk's logits are at hand, and only scaled in the backward.

    The idea of Liger (arXiv 2410.10989, 3.2) and of torch's own `F.linear_cross_entropy`, which on a CPU in bf16 takes
    twice our time and rounds the loss to bf16 (docs/experiments.md, "Little memory"). The gradient of the head adds up
    in the type of its weight. Ignored tokens are taken out of the small factors, not out of the (chunk, V) ones.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, chunk: int, taught: Taught | None) -> Tensor:
        cast, entries = aligned(weight.to(x.dtype)), len(weight)
        losses, x_gradients, weight_gradient = [], [], torch.zeros_like(weight)
        parts = zip(x.split(chunk), targets.split(chunk), _parts(taught, chunk), strict=False)
        for some, wanted, told in parts:
            loss, slopes = slopes_of(some, cast, wanted, entries=entries, taught=told)
            losses.append(loss)
            counts = (wanted != IGNORED)[:, None].to(x.dtype)
            x_gradients.append((slopes @ cast).mul_(counts))
            if x.dtype == weight.dtype:
                weight_gradient.addmm_(slopes.mT, some * counts)
            else:
                _add_product(weight_gradient, slopes, some * counts)
            del slopes  # or it would live on beside the next chunk's logits
        ctx.save_for_backward(torch.cat(x_gradients), weight_gradient)
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient.mul_(gradients[0]), weight_gradient.mul_(gradients[0]), None, None, None


def _add_product(total: Tensor, slopes: Tensor, x: Tensor) -> None:
    """Add slopes (n, V; on a GPU more, see `aligned`) transposed x (n, C), in half precision, to `total` (V, C) in fp32.

    On a CPU some rows at a time: torch widens what it adds, and all of it at once would be a second `total`.
    """
    if total.device.type != "cpu":
        total += (slopes.mT @ x)[: len(total)]
        return
    rows = max(1, _ADDED // total.shape[1])
    for part, some in zip(total.split(rows), slopes.split(rows, dim=1), strict=True):
        part += some.mT @ x


def slopes_of(
    x: Tensor, weight: Tensor, targets: Tensor, *, entries: int, taught: Taught | None = None
) -> tuple[Tensor, Tensor]:
    """The summed loss of one chunk, and its gradient by the logits (n, V); rows of ignored targets are meaningless.

    `weight` may have more rows than `entries`: their gradient is 0. One exponential a logit: log(sum) is the largest logit
    less the logarithm of its probability, which is at least 1 / V.
    """
    logits = widen(_logits(x, weight, entries))
    shares = logits.softmax(-1)
    losses = logits.amax(-1) - shares.amax(-1).log()
    if taught is None:
        places = targets.clamp_min(0)[:, None]
        losses -= logits.gather(1, places)[:, 0]
        slopes = shares.scatter_add_(1, places, shares.new_full(places.shape, -1.0))
    else:
        wanted = taught.shares(targets)
        losses -= (wanted * logits).sum(-1)
        slopes = shares.sub_(wanted)
    del logits
    slopes = slopes.to(x.dtype)
    if len(weight) > entries:
        slopes = F.pad(slopes, (0, len(weight) - entries))
    return losses.masked_fill_(targets == IGNORED, 0.0).sum(), slopes
