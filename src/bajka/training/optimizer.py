"""One optimizer object for the loop: Muon with AdamW, AdamW, or Adam; its whole state as named tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, TypeVar

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw

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
        tables, gains = ([p for p in rest.values() if (p.dim() >= 2) == wide] for wide in (True, False))
        self._groups = [(tables, decayed), (gains, 0.0)]
        self._moments: dict[Tensor, _Moments] = {p: _Moments.of(p) for p in rest.values()}

    def step(self, share: float) -> None:
        """One update at `share` of the peak rates."""
        self.muon.step(share * self.recipe.learning_rate)
        rate = self.recipe.adamw_learning_rate if self.recipe.optimizer == "muon" else self.recipe.learning_rate
        for parameters, decay in self._groups:
            self._adam_step([p for p in parameters if p.grad is not None], share * rate, decay)

    @torch.no_grad()
    def _adam_step(self, parameters: list[Tensor], rate: float, weight_decay: float) -> None:
        """torch's own step as a function: its optimizer objects import torch.compile, which takes two seconds."""
        if not parameters:
            return
        moments = [self._moments[p] for p in parameters]
        update = adam if self.recipe.optimizer == "adam" else adamw
        update(
            parameters,
            [p.grad for p in parameters if p.grad is not None],
            [one.exp_avg for one in moments],
            [one.exp_avg_sq for one in moments],
            [],
            [one.step for one in moments],
            fused=True,
            amsgrad=False,
            beta1=self.recipe.beta1,
            beta2=self.recipe.beta2,
            lr=rate,
            weight_decay=weight_decay,
            eps=1e-10 if self.recipe.optimizer == "muon" else 1e-8,
            maximize=False,
        )

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
        return {
            f"adam.{part}.{self._names[id(p)]}": value
            for p, moments in self._moments.items()
            for part, value in vars(moments).items()
        }


@dataclass
class _Moments:
    """Adam's state of one tensor, made before the first step, so that it can be saved and loaded then."""

    step: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor

    @classmethod
    def of(cls, parameter: Tensor) -> _Moments:
        step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        return cls(step, torch.zeros_like(parameter), torch.zeros_like(parameter))


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
