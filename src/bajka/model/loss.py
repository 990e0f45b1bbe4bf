"""The loss of a head: cross entropy summed over targets, from all logits at once or from a chunk of tokens at a time.

Letters of the shapes: N tokens, C width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bajka.tokens.batches import IGNORED

_ADDED = 2**20
"""Numbers of the head's gradient that are added at once on a CPU: 4 MB in fp32."""


def head_loss(x: Tensor, weight: Tensor, targets: Tensor, *, chunk: int | None) -> Tensor:
    """Cross entropy in nats of `x` (N, C) under the head `weight` (V, C), summed over `targets` (N) not `IGNORED`.

    In at least fp32. With a `chunk` (tokens) no more than (chunk, V) logits exist at any time, neither forward nor
    backward; loss and gradients are the same up to rounding.
    """
    if chunk is None:
        return _whole(x, weight.to(x.dtype), targets)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _ChunkedLoss.apply(x, weight, targets, chunk)  # type: ignore[no-any-return,no-untyped-call]
    cast = weight.to(x.dtype)
    parts = zip(x.split(chunk), targets.split(chunk), strict=True)
    return torch.stack([_whole(some, cast, wanted) for some, wanted in parts]).sum()


def _whole(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(
        widen(_logits(x, aligned(weight), len(weight))), targets, ignore_index=IGNORED, reduction="sum"
    )


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
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        cast, entries = aligned(weight.to(x.dtype)), len(weight)
        losses, x_gradients, weight_gradient = [], [], torch.zeros_like(weight)
        for some, wanted in zip(x.split(chunk), targets.split(chunk), strict=True):
            loss, slopes = slopes_of(some, cast, wanted, entries=entries)
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
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x_gradient, weight_gradient = ctx.saved_tensors
        return x_gradient.mul_(gradients[0]), weight_gradient.mul_(gradients[0]), None, None


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


def slopes_of(x: Tensor, weight: Tensor, targets: Tensor, *, entries: int) -> tuple[Tensor, Tensor]:
    """The summed loss of one chunk, and its gradient by the logits (n, V); rows of ignored targets are meaningless.

    `weight` may have more rows than `entries`: their gradient is 0. One exponential a logit: log(sum) is the largest logit
    less the logarithm of its probability, which is at least 1 / V.
    """
    logits = widen(_logits(x, weight, entries))
    shares = logits.softmax(-1)
    places = targets.clamp_min(0)[:, None]
    losses = logits.amax(-1) - shares.amax(-1).log() - logits.gather(1, places)[:, 0]
    del logits
    slopes = shares.scatter_add_(1, places, shares.new_full(places.shape, -1.0))
    slopes = slopes.to(x.dtype)
    if len(weight) > entries:
        slopes = F.pad(slopes, (0, len(weight) - entries))
    return losses.masked_fill_(targets == IGNORED, 0.0).sum(), slopes
