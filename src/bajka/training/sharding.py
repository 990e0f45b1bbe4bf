"""Weights spread over the processes of a job (FSDP2), for a model that does not fit into one device.

Each process keeps some rows of every weight, with their gradients and optimizer state; a block's weights are gathered
while it computes (arXiv 1910.02054, ZeRO stage 3; torch.distributed.fsdp.fully_shard). Files hold whole tensors, so that
what many processes saved one can read, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import torch
from torch import Tensor

from bajka.distributed import World, local_processes
from bajka.errors import SettingsError
from bajka.hardware import Machine
from bajka.model.config import ModelConfig
from bajka.model.estimate import parameters
from bajka.model.transformer import Transformer

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor


def wants_shards(wish: Literal["auto", "on", "off"], need: int, machine: Machine, world: World) -> bool:
    """Whether to spread the weights over the processes, the same on all; see `wants_shards_here`."""
    return world.size > 1 and bool(world.agree(int(wants_shards_here(wish, need, machine, world))))


def wants_shards_here(wish: Literal["auto", "on", "off"], need: int, machine: Machine, world: World) -> bool:
    """Whether to spread the weights: "auto" does where training needs more bytes (`need`) than one device has free.

    Raises `SettingsError` for "on" in fp16, whose scale is not kept equal among shards. One process has none.
    """
    if wish == "on" and machine.precision == "fp16":
        raise SettingsError('shard = "on" does not go with fp16. Choose --precision fp32, or --shard off.')
    if world.size == 1 or wish == "off" or machine.precision == "fp16":
        return False
    return wish == "on" or need > machine.memory_bytes // (local_processes() if machine.kind == "cpu" else 1)


def sharded_memory(whole: int, c: ModelConfig, *, processes: int) -> int:
    """Rough bytes on each device, where one alone would need `whole`: its part of weights, gradients and optimizer
    (16 a parameter), and for the looks between steps once all weights (4)."""
    return whole - 16 * parameters(c) + 16 * parameters(c) // processes + 4 * parameters(c)


def shard(model: Transformer, machine: Machine, world: World) -> None:
    """Leave of `model` (whole, on the CPU) the rows of this process on its device; `model.loss` gathers as it goes.

    Gradients are summed over the processes, as `World.sum_gradients` does.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(machine.kind, (world.size,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=False)
    for module in _parts(model):
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)  # gloo has neither AVG nor PREMUL_SUM
    register_fsdp_forward_method(model, "loss")
    model.to(machine.device)  # the rotations, which are no weights


def is_sharded(model: Transformer) -> bool:
    """Whether `shard` was here."""
    return hasattr(model, "unshard")


def is_shard(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether a tensor is one of several processes' parts of a whole. (To ask for the class would import much of torch
    in every training.)"""
    return hasattr(tensor, "full_tensor")


@contextmanager
def whole(model: Transformer) -> Iterator[None]:
    """All weights on every process while entered, to evaluate and write: one process may then compute without others.

    All processes enter and leave together. A model that is not sharded is whole anyway.
    """
    if not is_sharded(model):
        yield
        return
    try:
        for module in _parts(model):
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()
        yield
    finally:
        for module in _parts(model):
            module.reshard()
        for block in _parts(model)[:-1]:
            block.set_reshard_after_forward(True, recurse=False)


def gather(tensors: Mapping[str, Tensor], world: World) -> dict[str, Tensor]:
    """Whole tensors on the CPU of the first process, one after the other; the others get nothing. All call it together."""
    found = {}
    for name, tensor in tensors.items():
        full = tensor.full_tensor() if is_shard(tensor) else tensor
        if world.speaks:
            found[name] = full.detach().to("cpu", copy=True)
    return found


def gathered_model(model: Transformer, world: World) -> Transformer:
    """The model with whole weights on the CPU of the first process, to be written; of one that is not sharded, itself.

    The others get a model without content. All call it together.
    """
    if not is_sharded(model):
        return model
    weights = gather(dict(model.named_parameters()), world)
    with torch.device("meta"):
        plain = Transformer(model.config)
    plain.load_state_dict(weights, strict=False, assign=True)
    if world.speaks:
        plain.complete()
    return plain


def keep_own(target: Tensor, full: Tensor) -> None:
    """Copy into `target`, sharded or not, what it holds of the whole tensor `full`."""
    with torch.no_grad():
        if is_shard(target):
            target.to_local().copy_(own_rows(full, target))
        else:
            target.copy_(full)


def own_rows(full: Tensor, like: DTensor) -> Tensor:
    """The rows of `full` that this process keeps of the sharded tensor `like`; perhaps none."""
    rows = like.to_local().shape[0]
    each = -(-full.shape[0] // like.device_mesh.size())  # as torch.chunk cuts: the last ones may get fewer
    first = min(full.shape[0], like.device_mesh.get_local_rank() * each)
    return full[first : first + rows]


def _parts(model: Transformer) -> list[FSDPModule]:
    parts: list[Any] = [*model.blocks, model]
    return parts
