"""Muon where each process keeps some rows of every matrix: momentum stays where its rows are, the blended gradient is
gathered for the orthogonalisation, and each process updates its own rows. The same steps as `Muon` up to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from bajka.training.muon import orthogonalize, stacked_names
from bajka.training.sharding import own_rows

_TOGETHER = 1 << 25  # numbers gathered at once: 128 MB


class _Matrix(NamedTuple):
    """A sharded weight (`sections` are the rows of the matrices fused in it), and the momentum of its own rows."""

    weight: DTensor
    sections: tuple[int, ...]
    momentum: Tensor


class ShardedMuon:
    """Steps sharded matrices; see `bajka.training.muon.Muon` for the numbers."""

    def __init__(
        self,
        matrices: Sequence[tuple[DTensor, tuple[int, ...]]],
        *,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        self.momentum, self.weight_decay, self.dtype = momentum, weight_decay, dtype
        self.matrices = [_Matrix(weight, rows, torch.zeros_like(weight.to_local())) for weight, rows in matrices]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update of every matrix at learning rate `rate`; all processes step together."""
        for group in self._groups():
            gathered = [self._blended(one).split(one.sections) for one in group]
            for one, update in zip(group, self._orthogonal(gathered), strict=True):
                scaled = [part * (rate * math.sqrt(max(1.0, part.shape[0] / part.shape[1]))) for part in update]
                target = one.weight.to_local()
                target.mul_(1 - rate * self.weight_decay).sub_(own_rows(torch.cat(scaled), one.weight))

    def _blended(self, one: _Matrix) -> Tensor:
        """The whole gradient of a weight with its momentum (Nesterov's way)."""
        gradient = one.weight.grad
        mine = gradient.to_local() if isinstance(gradient, DTensor) else torch.zeros_like(one.momentum)
        one.momentum.lerp_(mine, 1 - self.momentum)
        return self._full(torch.lerp(mine, one.momentum, self.momentum), one.weight)

    def _orthogonal(self, weights: list[tuple[Tensor, ...]]) -> list[list[Tensor]]:
        """Every matrix orthogonalised, those of one shape in one go."""
        shapes: dict[torch.Size, list[tuple[int, int]]] = {}
        for i, parts in enumerate(weights):
            for j, part in enumerate(parts):
                shapes.setdefault(part.shape, []).append((i, j))
        found: list[list[Tensor]] = [list(parts) for parts in weights]
        for places in shapes.values():
            updates = orthogonalize(torch.stack([weights[i][j] for i, j in places]), dtype=self.dtype)
            for (i, j), update in zip(places, updates, strict=True):
                found[i][j] = update
        return found

    def _groups(self) -> Iterator[list[_Matrix]]:
        """Neighbours that are gathered together."""
        group: list[_Matrix] = []
        for one in self.matrices:
            if group and sum(other.weight.numel() for other in group) + one.weight.numel() > _TOGETHER:
                yield group
                group = []
            group.append(one)
        if group:
            yield group

    @staticmethod
    def _full(mine: Tensor, like: DTensor) -> Tensor:
        """The whole of what the processes hold in parts, cut as `like` is."""
        return DTensor.from_local(
            mine, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
        ).full_tensor()

    # -- the state, as `Muon` has it -----------------------------------------------------------------------------

    def shapes(self) -> dict[str, torch.Size]:
        """The names and whole shapes of the momenta."""
        names = stacked_names((one.weight, one.sections) for one in self.matrices)
        return {"x".join(map(str, shape)): torch.Size(shape) for shape in names}

    def gathered(self, *, keep: bool) -> dict[str, Tensor]:
        """The whole momenta on the CPU, stacked by shape; all processes call it together, those that `keep` get them."""
        parts: dict[torch.Size, list[Tensor]] = {}
        for one in self.matrices:
            full = self._full(one.momentum, one.weight)
            for part in full.to("cpu").split(one.sections) if keep else ():
                parts.setdefault(part.shape, []).append(part)
        stacks = [torch.stack(found) for found in parts.values()]
        return {"x".join(map(str, stack.shape)): stack for stack in stacks}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over of whole momenta the rows of this process."""
        waiting = {stack.shape[1:]: iter(stack) for stack in state.values()}
        for one in self.matrices:
            columns = one.weight.shape[1]
            full = torch.cat([next(waiting[torch.Size((rows, columns))]) for rows in one.sections])
            one.momentum.copy_(own_rows(full, one.weight))
