"""Muon (Keller Jordan, 2024, kellerjordan.github.io/posts/muon): momentum, orthogonalised by Newton-Schulz.

All matrices of one shape are stacked and stepped at once: a handful of batched products per shape instead of some
fifteen small operations per matrix. `torch.optim.Muon` is the oracle in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5


@dataclass
class _Shape:
    """All matrices of one shape (rows, columns), and their momentum (count, rows, columns)."""

    views: list[tuple[Tensor, slice]]
    momentum: Tensor

    def gradients(self) -> Tensor:
        zero = torch.zeros_like(self.momentum[0])
        return torch.stack([zero if p.grad is None else p.grad[rows] for p, rows in self.views])


class Muon:
    """Steps matrices; a fused weight counts as several, given by its row `sections`.

    `dtype` is the type of the Newton-Schulz products: bf16 or fp16 where the hardware has it, else fp32.
    """

    def __init__(
        self,
        matrices: Sequence[tuple[Tensor, tuple[int, ...]]],
        *,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        self.momentum, self.weight_decay, self.dtype = momentum, weight_decay, dtype
        views: dict[tuple[int, int], list[tuple[Tensor, slice]]] = {}
        for parameter, sections in matrices:
            start = 0
            for rows in sections:
                views.setdefault((rows, parameter.shape[1]), []).append((parameter, slice(start, start + rows)))
                start += rows
        self.shapes = [
            _Shape(found, torch.zeros(len(found), *shape, device=found[0][0].device)) for shape, found in views.items()
        ]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update of every matrix at learning rate `rate`."""
        for shape in self.shapes:
            gradient = shape.gradients()
            shape.momentum.lerp_(gradient, 1 - self.momentum)
            update = orthogonalize(gradient.lerp_(shape.momentum, self.momentum), dtype=self.dtype)  # Nesterov
            rows, columns = update.shape[-2:]
            scale = rate * math.sqrt(max(1.0, rows / columns))
            targets = [parameter[part] for parameter, part in shape.views]
            if self.weight_decay:
                torch._foreach_mul_(targets, 1 - rate * self.weight_decay)
            torch._foreach_add_(targets, list(update.contiguous().unbind()), alpha=-scale)

    def state(self) -> dict[str, Tensor]:
        """The momenta, by shape."""
        return {"x".join(map(str, s.momentum.shape)): s.momentum for s in self.shapes}


def stacked_names(matrices: Iterable[tuple[Tensor, tuple[int, ...]]]) -> list[tuple[int, int, int]]:
    """The shapes (count, rows, columns) of the stacks that these matrices make, in the order of their first one."""
    counts: dict[tuple[int, int], int] = {}
    for parameter, sections in matrices:
        for rows in sections:
            shape = (rows, parameter.shape[1])
            counts[shape] = counts.get(shape, 0) + 1
    return [(count, *shape) for shape, count in counts.items()]


def orthogonalize(matrices: Tensor, *, dtype: torch.dtype) -> Tensor:
    """Matrices (count, rows, columns) with all singular values near 1, in fp32: five steps of a quintic iteration."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    if dtype == torch.float16:  # gradients may be too small for it
        x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-30)
    x = x.to(dtype)
    if dtype != torch.float16:
        x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(torch.float32 if dtype != torch.float64 else dtype)
