"""One optimizer object for the loop: Muon with AdamW, AdamW, or Adam; its whole state as named tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bajka.errors import DamagedFileError
from bajka.model.transformer import Linear, Transformer
from bajka.training.muon import Muon


@dataclass(frozen=True)
class Recipe:
    """Numbers of the optimizer, all resolved. Rates are peaks; the schedule multiplies them."""

    optimizer: Literal["muon", "adamw", "adam"]
    learning_rate: float
    adamw_learning_rate: float
    weight_decay: float
    momentum: float
    beta1: float
    beta2: float
    gradient_clip: float


class Optimizer:
    """Steps all trainable weights of `model`. Decay applies to matrices and tables, never to gains and biases."""

    def __init__(self, model: Transformer, recipe: Recipe, *, muon_dtype: torch.dtype) -> None:
        self.recipe = recipe
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        matrices = _block_matrices(model) if recipe.optimizer == "muon" else {}
        self.muon = Muon(
            [(named[name], sections) for name, sections in matrices.items()],
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            dtype=muon_dtype,
        )
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

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the state under a stable name; the tensors themselves, not copies."""
        found = {f"muon.{name}": value for name, value in self.muon.state().items()}
        for group in self.adam.param_groups:
            for p in group["params"]:
                for part, value in self.adam.state[p].items():
                    found[f"adam.{part}.{self._names[id(p)]}"] = value
        return found

    def load(self, state: dict[str, Tensor], *, source: str) -> None:
        """Take over a saved state; raises `DamagedFileError` when a tensor is missing or of another shape."""
        for name, mine in self.state().items():
            if name not in state or state[name].shape != mine.shape:
                raise DamagedFileError(f"The optimizer state in {source} does not fit this model: {name}.")
            mine.copy_(state[name])


def _block_matrices(model: Transformer) -> dict[str, tuple[int, ...]]:
    """The matrices inside blocks, with the row counts of fused ones: what Muon steps."""
    found = {}
    for name, module in model.blocks.named_modules():
        if isinstance(module, Linear):
            found[f"blocks.{name}.weight"] = module.sections
    return found
