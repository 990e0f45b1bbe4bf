"""Averages of the weights along the run, often better than the last weights: evaluated beside them, never trained on.

"ema" follows the weights with an exponential moving average (Polyak and Juditsky 1992; the warm-up of the decay is
TensorFlow's). "epochs" is the mean of the weights at the ends of the last few epochs (latest weight averaging, Kaddour
2022, arXiv:2209.14981), for texts that are read many times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bajka.errors import DamagedFileError
from bajka.planning.recipe import AveragePlan
from bajka.training.sharding import keep_own

Weights = dict[str, Tensor]

_KINDS = ("none", "ema", "epochs")


class Average:
    """An average of a model's trainable weights, fp32, on their device; `ready` once there is something to average."""

    def __init__(self, plan: AveragePlan) -> None:
        self.plan = plan
        self.updates = 0
        self.kept: list[Weights] = []
        """ "ema": the average alone. "epochs": the weights at the ends of the last epochs, the oldest first."""
        self._epoch = 0

    @property
    def most_kept(self) -> int:
        """How many copies of the weights it keeps in the end."""
        return 1 if self.plan.kind == "ema" else self.plan.epochs

    @property
    def ready(self) -> bool:
        """Whether the average is another thing than the weights."""
        return bool(self.kept) if self.plan.kind == "ema" else len(self.kept) > 1

    @torch.no_grad()
    def update(self, model: nn.Module, *, epoch: int) -> None:
        """Take notice of the weights after an update; `epoch` counts the epochs that are complete by now."""
        self.updates += 1
        if self.plan.kind == "ema":
            self._follow(model)
        elif epoch > self._epoch:
            self.kept = [*self.kept, _copy(model)][-self.plan.epochs :]
        self._epoch = epoch

    def _follow(self, model: nn.Module) -> None:
        if not self.kept:
            self.kept = [_copy(model)]
            return
        decay = min(self.plan.decay, (1 + self.updates) / (10 + self.updates))
        mine = self.kept[0]
        torch._foreach_lerp_([mine[name] for name, _ in _trained(model)], [p for _, p in _trained(model)], 1 - decay)

    def mean(self) -> Weights:
        """The average, by the names of the model's parameters; empty before it is `ready`."""
        if not self.ready:
            return {}
        return {name: sum(one[name] for one in self.kept) / len(self.kept) for name in self.kept[0]}  # type: ignore[misc]

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """The model with the average as its weights, while entered; afterwards it has its own again, to the bit."""
        own, mean = _copy(model), self.mean()
        try:
            _put(model, mean)
            yield
        finally:
            _put(model, own)

    def state(self) -> Weights:
        """Every tensor that a checkpoint must hold, under a stable name."""
        counts = torch.tensor([self.updates, self._epoch, _KINDS.index(self.plan.kind)], dtype=torch.int64)
        found = {f"average.{n}.{name}": value for n, one in enumerate(self.kept) for name, value in one.items()}
        return {"average.counts": counts, **found}

    def load(self, state: Weights, model: nn.Module, *, source: str, epoch: int) -> None:
        """Take over a saved state; a run that was saved without one, or with one of another kind, begins to average now, with
        `epoch` epochs complete.

        Raises `DamagedFileError` when a tensor is missing or of another shape.
        """
        self.updates, self.kept, self._epoch = 0, [], epoch
        if "average.counts" not in state:
            return
        updates, counted, *kind = (int(count) for count in state["average.counts"])
        if kind and _KINDS[kind[0]] != self.plan.kind:
            return  # the other average cannot go on as this one
        self.updates, self._epoch = updates, counted
        places = {int(name.split(".")[1]) for name in state if name.startswith("average.") and name != "average.counts"}
        self.kept = [self._loaded(state, model, place, source) for place in sorted(places)]

    def _loaded(self, state: Weights, model: nn.Module, place: int, source: str) -> Weights:
        found = {}
        for name, parameter in _trained(model):
            value = state.get(f"average.{place}.{name}")
            if value is None or value.shape != parameter.shape:
                raise DamagedFileError(f"The average of the weights in {source} does not fit this model: {name}.")
            found[name] = parameter.detach().clone()
            keep_own(found[name], value)
        return found


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, p) for name, p in model.named_parameters() if p.requires_grad)


def _copy(model: nn.Module) -> Weights:
    return {name: p.detach().clone() for name, p in _trained(model)}


@torch.no_grad()
def _put(model: nn.Module, weights: Weights) -> None:
    for name, p in _trained(model):
        if name in weights:
            p.copy_(weights[name])
