"""What the machine was measured to do, and the time of a training step of any shape that follows from it.

A step is modelled as a sum: matrix products at the rate measured for their width, elementwise work on values at its
measured rate, and operations started at the measured cost of starting one. Real steps of some candidates then correct the
sum: a candidate that was measured itself costs what it took, those of nearly the same shape are corrected by nearly the
same factor.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from bajka.config import Precision
from bajka.model import ModelConfig
from bajka.model.estimate import flops_per_token, parameters
from bajka.model.memory import Load

VALUE_COST = 4.1
"""What an activation's value costs in a training step (docs/plan.md, "The time of a step"). Of this and the next two costs
the unit is SiLU and a product of one value."""
LOGIT_COST = 14.0
"""What a logit costs beside its product: softmax, its gradient, changes of type."""
WEIGHT_COST = 6.0
"""What a weight costs in the optimizer's step: a first rule, small beside the others."""
DOUBTFUL = 1.25
"""Ratio of two corrections above which the slower step is measured again (4 x 192 and 4 x 128 had 0.86 and 1.00 on an idle
machine, 1.45 and 1.00 where something disturbed the first)."""
OPERATIONS_A_LAYER = 130.0
"""Operations started for a block in a step: a first rule, which matters on a GPU and for the smallest shapes."""


@dataclass(frozen=True)
class StepTime:
    """A training step that was really made: its shape, its sequences, its precision, the seconds it took, and those that the
    model above gave for it before it was corrected."""

    n_layer: int
    n_embd: int
    vocab_size: int
    context_length: int
    sequences: int
    precision: Precision
    seconds: float
    modelled: float

    def is_of(self, model: ModelConfig, sequences: int, precision: Precision) -> bool:
        """Whether it was a step of this shape."""
        same = (self.n_layer, self.n_embd, self.vocab_size) == (model.n_layer, model.n_embd, model.vocab_size)
        return same and (self.context_length, self.sequences, self.precision) == (
            model.context_length,
            sequences,
            precision,
        )


@dataclass(frozen=True)
class Rates:
    """`products` are FLOP/s of matrix products by precision and width; `elementwise` values/s of a SiLU and a product in the
    machine's precision; `dispatch` seconds that a small operation takes; `steps` real steps. `seconds` is what measuring took,
    `waited` how many of them a thread waited in the mean, because other programs had the processors.
    """

    products: dict[Precision, dict[int, float]]
    elementwise: float
    dispatch: float
    steps: tuple[StepTime, ...] = ()
    seconds: float = 0.0
    waited: float = 0.0

    @property
    def busy(self) -> float:
        """The share of the measuring time that other programs took from it, in [0, 1]."""
        return min(1.0, self.waited / self.seconds) if self.seconds else 0.0

    def knows(self, model: ModelConfig, sequences: int, precision: Precision) -> bool:
        """Whether a step of this shape was really made."""
        return any(step.is_of(model, sequences, precision) for step in self.steps)

    def measured_for(self, seconds: float, waited: float) -> Rates:
        """The same after so many more seconds of measuring."""
        return replace(self, seconds=self.seconds + seconds, waited=self.waited + waited)

    def with_step(self, step: StepTime) -> Rates:
        """The same with one more real step; the quicker of two of one shape is kept."""
        same = [one for one in self.steps if replace(one, seconds=step.seconds, modelled=step.modelled) == step]
        others = [one for one in self.steps if one not in same]
        quicker = min([*same, step], key=lambda one: one.seconds)
        return replace(self, steps=(*others, quicker))

    @property
    def doubtful(self) -> StepTime | None:
        """The real step furthest above its model, when another one is much nearer: something may have disturbed it."""
        if not self.steps:
            return None
        lowest, worst = min(self.steps, key=_correction), max(self.steps, key=_correction)
        return worst if _correction(worst) > DOUBTFUL * _correction(lowest) else None

    def product_rate(self, precision: Precision, width: int) -> float:
        """FLOP/s of a product of this width: between two measured ones in proportion, outside the nearest one's."""
        known = sorted(self.products[precision].items())
        below = [one for one in known if one[0] <= width] or known[:1]
        above = [one for one in known if one[0] >= width] or known[-1:]
        (low, slow), (high, fast) = below[-1], above[0]
        share = 0.0 if low >= high else math.log(width / low) / math.log(high / low)
        return slow ** (1 - share) * fast**share

    def modelled(self, model: ModelConfig, sequences: int, load: Load, precision: Precision) -> float:
        """Seconds of a step (eager, one batch at once) before any correction."""
        tokens = sequences * model.context_length
        rate = self.product_rate(precision, model.n_embd)
        products = tokens * flops_per_token(model) + _orthogonal(model, load)
        values = VALUE_COST * tokens * model.n_layer * _values(model, load)
        values += LOGIT_COST * tokens * model.vocab_size + WEIGHT_COST * parameters(model)
        return products / rate + values / self.elementwise + OPERATIONS_A_LAYER * model.n_layer * self.dispatch

    def step_seconds(self, model: ModelConfig, sequences: int, load: Load, precision: Precision) -> float:
        """Seconds of a training step (eager), corrected by the real steps, the most alike counting most."""
        modelled = self.modelled(model, sequences, load, precision)
        near = [(1 / (1e-4 + _distance(model, one) ** 2), one) for one in self.steps if one.precision == precision]
        if not near:
            return modelled
        whole = sum(weight for weight, _ in near)
        correction = sum(weight * math.log(_correction(one)) for weight, one in near) / whole
        return modelled * math.exp(correction)

    def as_dict(self) -> dict[str, Any]:
        """JSON's types, for plan.json."""
        products = {name: {str(width): rate for width, rate in of.items()} for name, of in self.products.items()}
        return asdict(self) | {"products": products, "steps": [asdict(one) for one in self.steps]}


def _correction(step: StepTime) -> float:
    """How many times as long as modelled a real step took."""
    return step.seconds / step.modelled


def _distance(model: ModelConfig, step: StepTime) -> float:
    """How unlike two shapes are: logarithms of their dimensions, apart from the number of sequences."""
    pairs = (
        (model.n_layer, step.n_layer),
        (model.n_embd, step.n_embd),
        (model.vocab_size, step.vocab_size),
        (model.context_length, step.context_length),
    )
    return math.sqrt(sum(math.log(a / b) ** 2 for a, b in pairs))


def _values(model: ModelConfig, load: Load) -> int:
    """Values of activations a token and block: norms, projections, the feed-forward part, weights of plain attention."""
    attention = model.n_head * model.context_length if load.plain_attention(model) else 0
    return 12 * model.n_embd + (4 if model.activation == "swiglu" else 2) * model.n_inner + attention


def _orthogonal(model: ModelConfig, load: Load) -> float:
    """FLOP of Muon's orthogonalisation in a step."""
    if load.optimizer != "muon":
        return 0.0
    n, wide = model.n_embd, model.n_head * model.head_dim
    heads = (model.n_head + 2 * model.n_kv_head) * _newton_schulz(model.head_dim, n)
    inner = (3 if model.activation == "swiglu" else 2) * _newton_schulz(model.n_inner, n)
    return model.n_layer * (heads + _newton_schulz(wide, n) + inner)


def _newton_schulz(rows: int, columns: int) -> float:
    """FLOP of five steps for one matrix: 5 (4 n²m + 2 n³) where n is its shorter side."""
    n, m = sorted((rows, columns))
    return 5.0 * (4 * n * n * m + 2 * n**3)
