"""`World`: this process among the others of one job. Alone, every operation is the identity."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from bajka.errors import BajkaError, SettingsError

_PATIENCE = timedelta(hours=2)  # the first process may read and encode a large corpus while the others wait

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """`rank` of `size` processes; rank 0 alone speaks and writes."""

    rank: int = 0
    size: int = 1

    @property
    def speaks(self) -> bool:
        """Whether this process prints and writes files."""
        return self.rank == 0

    def share(self, rows: int) -> tuple[int, int]:
        """First and last row (exclusive) of a global batch that belong to this process."""
        return self.rank * rows // self.size, (self.rank + 1) * rows // self.size

    def sum(self, value: Tensor) -> Tensor:
        """The sum of `value` over all processes, on each of them."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Add up the gradients of all processes, in one message; a process without rows adds zeros."""
        if self.size == 1:
            return
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def agree(self, value: int) -> int:
        """The largest `value` of all processes: a signal seen by one is seen by all."""
        return int(self.largest(float(value)))

    def largest(self, value: float) -> float:
        """The largest `value` of all processes."""
        if self.size == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(box, op=dist.ReduceOp.MAX)
        return float(box.item())

    def first(self, work: Callable[[], T]) -> T:
        """What `work` gives on rank 0, on every process; it is done there alone, while the others wait.

        When it fails there, the others raise `BajkaError`, so that nobody waits for ever.
        """
        if self.size == 1:
            return work()
        box: list[Any] = [None, None]  # result, trouble
        try:
            if self.speaks:
                box[0] = work()
        except BaseException as error:
            box[1] = f"{type(error).__name__}: {error}"
            raise
        finally:
            dist.broadcast_object_list(box)
        if box[1] is not None:
            raise BajkaError(f"The first process of this job stopped: {box[1]}")
        result: T = box[0]
        return result


@contextmanager
def join_world() -> Iterator[World]:
    """The world that `torchrun` describes in the environment, while entered; a world of one without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
    elif dist.is_initialized():  # by the caller, who also ends it
        yield World(dist.get_rank(), dist.get_world_size())
    else:
        _meet()
        try:
            yield World(dist.get_rank(), dist.get_world_size())
            dist.barrier()  # nobody hangs up while others are still talking
        finally:
            dist.destroy_process_group()  # its threads would abort a process that just ends


def _meet() -> None:
    """Connect with the other processes; raises `SettingsError` when the environment does not say where they are."""
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise SettingsError(
            f"WORLD_SIZE = {os.environ['WORLD_SIZE']} asks for several processes, but {', '.join(missing)} is not set. "
            "Start them with torchrun, or unset WORLD_SIZE."
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_PATIENCE)
