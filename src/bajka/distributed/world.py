"""`World`: this process among the others of one job. Alone, every operation is the identity."""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from bajka.distributed.peers import Peers, hang_up
from bajka.errors import BajkaError, PeerError, SettingsError

_PATIENCE = timedelta(hours=2)  # the first process may read and encode a large corpus while the others wait
_BUCKET = 1 << 22  # numbers in one message: 16 MB

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
        """Add up the gradients of all processes; a process without rows adds zeros.

        They travel in messages of some 16 MB, several at once: few for the small tensors, and no second copy of all.
        """
        if self.size == 1:
            return
        gradients = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        travelling = []
        for bucket in buckets(gradients):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            travelling.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
            if len(travelling) > 1:
                _arrive(*travelling.pop(0))
        for one in travelling:
            _arrive(*one)

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

        When it fails there, the others raise `PeerError` with its exit code, so that nobody waits for ever.
        """
        if self.size == 1:
            return work()
        box: list[Any] = [None, None]  # result, or the trouble and its exit code
        try:
            if self.speaks:
                box[0] = work()
        except BaseException as error:
            code = error.exit_code if isinstance(error, BajkaError) else 1
            box[1] = (f"{type(error).__name__}: {error}", code)
            raise
        finally:
            dist.broadcast_object_list(box)
        if box[1] is not None:
            raise PeerError(f"The first process of this job stopped: {box[1][0]}", exit_code=box[1][1])
        result: T = box[0]
        return result


def buckets(tensors: Iterable[Tensor], *, size: int = _BUCKET) -> Iterator[list[Tensor]]:
    """Neighbours in groups of at most `size` numbers (a larger tensor is alone), each of one type and device."""
    bucket: list[Tensor] = []
    numbers = 0
    for tensor in tensors:
        if bucket and (numbers + tensor.numel() > size or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, numbers = [], 0
        bucket.append(tensor)
        numbers += tensor.numel()
    if bucket:
        yield bucket


def _arrive(bucket: list[Tensor], flat: Tensor, work: Any) -> None:
    """Put the sum of one message back where its parts came from."""
    work.wait()
    for gradient, part in zip(bucket, torch.split(flat, [gradient.numel() for gradient in bucket]), strict=True):
        gradient.copy_(part.view_as(gradient))


@contextmanager
def join_world() -> Iterator[World]:
    """The world that `torchrun` describes in the environment, while entered; a world of one without it.

    An error that ends one process ends all: the first of those that live tells the person, in the others it is marked
    (`bajka.errors.was_said`). A process that is gone without a word makes the others raise `PeerError` with its name.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
    elif dist.is_initialized():  # by the caller, who also ends it
        yield World(dist.get_rank(), dist.get_world_size())
    else:
        peers = _meet()
        try:
            with silent_unless(peers.rank == 0):
                yield World(peers.rank, peers.size)
            dist.barrier()  # nobody hangs up while others are still talking
        except BaseException as error:
            parted = peers.part(error)
            if parted is error:
                raise
            raise parted from error
        peers.leave()
        hang_up()


def _meet() -> Peers:
    """Connect with the other processes; raises `SettingsError` when the environment does not say where they are."""
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise SettingsError(
            f"WORLD_SIZE = {os.environ['WORLD_SIZE']} asks for several processes, but {', '.join(missing)} is not set. "
            "Start them with torchrun, or unset WORLD_SIZE."
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    if on_one_host() and (loopback := _loopback()):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    if backend != "gloo" and hasattr(store, "clone"):
        store = store.clone()  # of its own connection: NCCL may wait at the other one for a minute
    return Peers(store, rank, size)


def local_processes() -> int:
    """How many processes of this job share this machine, and its memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("WORLD_SIZE", "1")))


def on_one_host() -> bool:
    """Whether all processes of the job meet on this machine's loopback address."""
    return os.environ.get("MASTER_ADDR", "127.0.0.1") in ("127.0.0.1", "localhost", "::1")


def network_warning(world: World) -> str | None:
    """What a person should know of the connections of a job, if anything."""
    if world.size == 1 or on_one_host():
        return None
    return (
        f"The processes of this job talk over the network ({os.environ['MASTER_ADDR']}), without passwords: use one that "
        "you trust."
    )


def _loopback() -> str | None:
    """The name of the interface that nobody outside can reach: gloo listens on a public one where the host has a name."""
    names = [name for _, name in socket.if_nameindex()] if hasattr(socket, "if_nameindex") else []
    return next((name for name in ("lo", "lo0") if name in names), None)


@contextmanager
def silent_unless(speaks: bool) -> Iterator[None]:
    """While entered, what libraries warn of is heard only from the process that speaks."""
    with warnings.catch_warnings():
        if not speaks:
            warnings.simplefilter("ignore")
        yield
