"""One optimizer object for the loop: Muon with AdamW, AdamW, or Adam; its whole state as named tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

import torch
from torch import Tensor

from bajka.distributed import World
from bajka.errors import DamagedFileError
from bajka.model.transformer import Linear, Transformer
from bajka.planning.recipe import Recipe
from bajka.training.muon import Muon
from bajka.training.sharding import gather, is_shard, is_sharded, keep_own

if TYPE_CHECKING:
    from bajka.training.sharded_muon import ShardedMuon

_T = TypeVar("_T")


class Optimizer:
    """Steps all trainable weights of `model`. Decay applies to matrices and tables, never to gains and biases."""

    def __init__(self, model: Transformer, recipe: Recipe, *, muon_dtype: torch.dtype) -> None:
        self.recipe = recipe
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = _block_matrices(model) if recipe.optimizer == "muon" else {}
        numbers: _Numbers = {"momentum": recipe.momentum, "weight_decay": recipe.weight_decay, "dtype": muon_dtype}
        self.muon: Muon | ShardedMuon
        if is_sharded(model):
            from bajka.training.sharded_muon import ShardedMuon

            shards = [(p, sections) for name, sections in matrices.items() if is_shard(p := named[name])]
            self.muon = ShardedMuon(shards, **numbers)
        else:
            self.muon = Muon([(named[name], sections) for name, sections in matrices.items()], **numbers)
        rest = {name: p for name, p in named.items() if name not in matrices}
        self._names = {id(p): name for name, p in rest.items()}
        decayed = recipe.weight_decay if recipe.optimizer != "muon" else 0.0
        groups = [
            {"params": [p for p in rest.values() if p.dim() >= 2], "weight_decay": decayed},
            {"params": [p for p in rest.values() if p.dim() < 2], "weight_decay": 0.0},
        ]
        kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
        self.adam = kind(
            [g for g in groups if g["params"]],
            lr=0.0,
            betas=(recipe.beta1, recipe.beta2),
            eps=1e-10 if recipe.optimizer == "muon" else 1e-8,
            fused=True,
        )
        self._prime()

    def step(self, share: float) -> None:
        """One update at `share` of the peak rates."""
        self.muon.step(share * self.recipe.learning_rate)
        rate = self.recipe.adamw_learning_rate if self.recipe.optimizer == "muon" else self.recipe.learning_rate
        for group in self.adam.param_groups:
            group["lr"] = share * rate
        self.adam.step()

    def _prime(self) -> None:
        """Make Adam's state now, so that it can be saved and loaded before the first step."""
        for group in self.adam.param_groups:
            for p in group["params"]:
                self.adam.state[p] = {
                    "step": torch.zeros((), dtype=torch.float32, device=p.device),
                    "exp_avg": torch.zeros_like(p),
                    "exp_avg_sq": torch.zeros_like(p),
                }

    def state(self, world: World | None = None) -> dict[str, Tensor]:
        """Every tensor of the state under a stable name; the tensors themselves, not copies.

        Of a sharded model: whole copies on the CPU of the first process of `world`, nothing on the others. All call it
        together.
        """
        if isinstance(self.muon, Muon):
            return _prefixed("muon.", self.muon.state()) | self._adam_state()
        assert world is not None, "a sharded state is gathered by all"
        return _prefixed("muon.", self.muon.gathered(keep=world.speaks)) | gather(self._adam_state(), world)

    def load(self, state: dict[str, Tensor], *, source: str) -> None:
        """Take over a saved state; raises `DamagedFileError` when a tensor is missing or of another shape."""
        adam = self._adam_state()
        muon = self.muon.state() if isinstance(self.muon, Muon) else {}
        momenta = self.muon.shapes() if not isinstance(self.muon, Muon) else {k: v.shape for k, v in muon.items()}
        for name, shape in (_prefixed("muon.", momenta) | {name: value.shape for name, value in adam.items()}).items():
            if name not in state or state[name].shape != shape:
                raise DamagedFileError(f"The optimizer state in {source} does not fit this model: {name}.")
        for name, mine in (_prefixed("muon.", muon) | adam).items():
            keep_own(mine, state[name])
        if not isinstance(self.muon, Muon):
            self.muon.load({name: state[f"muon.{name}"] for name in momenta})

    def _adam_state(self) -> dict[str, Tensor]:
        found = {}
        for group in self.adam.param_groups:
            for p in group["params"]:
                for part, value in self.adam.state[p].items():
                    found[f"adam.{part}.{self._names[id(p)]}"] = value
        return found


class _Numbers(TypedDict):
    """What both kinds of Muon are made with."""

    momentum: float
    weight_decay: float
    dtype: torch.dtype


def _prefixed(prefix: str, values: dict[str, _T]) -> dict[str, _T]:
    return {prefix + name: value for name, value in values.items()}


def _block_matrices(model: Transformer) -> dict[str, tuple[int, ...]]:
    """The matrices inside blocks, with the row counts of fused ones: what Muon steps."""
    found = {}
    for name, module in model.blocks.named_modules():
        if isinstance(module, Linear):
            found[f"blocks.{name}.weight"] = module.sections
    return found
