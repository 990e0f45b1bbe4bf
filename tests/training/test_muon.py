"""Muon, all matrices of one shape at once, against torch's own and against a reference in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from bajka.training.muon import Muon, orthogonalize

SHAPES = ((24, 24), (32, 16), (16, 32), (32, 16), (24, 24))  # two shapes occur twice: those are stacked
RATE, MOMENTUM, DECAY = 0.02, 0.95, 0.1


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def matrices() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(draw(*shape, seed=i)) for i, shape in enumerate(SHAPES)]


def give_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    for i, parameter in enumerate(parameters):
        parameter.grad = draw(*parameter.shape, seed=100 * step + i)


def ours(parameters: list[torch.nn.Parameter], *, dtype: torch.dtype) -> Muon:
    whole = [(p, (p.shape[0],)) for p in parameters]
    return Muon(whole, momentum=MOMENTUM, weight_decay=DECAY, dtype=dtype)


def test_every_step_equals_torchs_muon_within_the_rounding_of_bf16() -> None:
    mine, theirs = matrices(), matrices()
    muon = ours(mine, dtype=torch.bfloat16)
    oracle = torch.optim.Muon(
        theirs, lr=RATE, weight_decay=DECAY, momentum=MOMENTUM, nesterov=True, adjust_lr_fn="original"
    )
    for step in range(5):
        before = [p.detach().clone() for p in mine]
        for parameters in (mine, theirs):
            give_gradients(parameters, step)
        muon.step(RATE)
        oracle.step()
        for a, b, old in zip(mine, theirs, before, strict=True):
            assert (a - b).norm() < 0.02 * (a - old).norm()
            b.data.copy_(a.data)  # from the same weights again: each step is compared on its own


def reference(weight: Tensor, gradient: Tensor, momentum: Tensor) -> tuple[Tensor, Tensor]:
    """One step of Muon as its author wrote it, in float64; gives the new weight and momentum."""
    momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
    x = (1 - MOMENTUM) * gradient + MOMENTUM * momentum
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm()
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    x = x.T if tall else x
    scale = RATE * math.sqrt(max(1, weight.shape[0] / weight.shape[1]))
    return weight * (1 - RATE * DECAY) - scale * x, momentum


def test_five_steps_in_fp32_equal_a_float64_reference() -> None:
    mine = matrices()
    weights = [p.detach().double() for p in mine]
    momenta = [torch.zeros_like(w) for w in weights]
    muon = ours(mine, dtype=torch.float32)
    for step in range(5):
        give_gradients(mine, step)
        muon.step(RATE)
        for i, p in enumerate(mine):
            assert p.grad is not None
            weights[i], momenta[i] = reference(weights[i], p.grad.double(), momenta[i])
    for p, expected in zip(mine, weights, strict=True):
        assert torch.allclose(p.double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [(16, 48), (48, 16)])
def test_all_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonalize(draw(3, *shape, seed=7), dtype=torch.float64))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.3


@pytest.mark.parametrize("size", [1.0, 1e-9])
def test_half_precision_orthogonalises_gradients_of_any_size(size: float) -> None:
    matrices = draw(3, 16, 48, seed=7)
    exact = orthogonalize(matrices.double(), dtype=torch.float64)
    found = orthogonalize(size * matrices, dtype=torch.float16)
    assert torch.allclose(found.double(), exact, rtol=0, atol=0.02)


def test_the_matrices_inside_a_fused_weight_are_stepped_each_on_its_own() -> None:
    rows = (16, 8, 8)  # q, k, v with grouped heads
    fused = torch.nn.Parameter(draw(32, 16, seed=3))
    apart = [torch.nn.Parameter(part.clone()) for part in fused.detach().split(rows)]
    together = Muon([(fused, rows)], momentum=MOMENTUM, weight_decay=DECAY, dtype=torch.float32)
    alone = ours(apart, dtype=torch.float32)
    for step in range(3):
        fused.grad = draw(32, 16, seed=10 + step)
        for parameter, part in zip(apart, fused.grad.split(rows), strict=True):
            parameter.grad = part.clone()
        together.step(RATE)
        alone.step(RATE)
    assert torch.allclose(fused, torch.cat([p.detach() for p in apart]), rtol=0, atol=1e-6)
    whole = torch.nn.Parameter(draw(32, 16, seed=3))
    whole.grad = draw(32, 16, seed=10)
    before = whole.detach().clone()
    Muon([(whole, (32,))], momentum=MOMENTUM, weight_decay=DECAY, dtype=torch.float32).step(RATE)
    fresh = torch.nn.Parameter(before.clone())
    fresh.grad = draw(32, 16, seed=10)
    Muon([(fresh, rows)], momentum=MOMENTUM, weight_decay=DECAY, dtype=torch.float32).step(RATE)
    assert not torch.allclose(whole, fresh, atol=1e-3), "as one matrix it would be another step"


def test_a_matrix_without_a_gradient_only_decays() -> None:
    p = torch.nn.Parameter(draw(8, 8, seed=1))
    before = p.detach().clone()
    ours([p], dtype=torch.float32).step(RATE)
    assert torch.allclose(p, before * (1 - RATE * DECAY))


def test_the_state_is_the_momentum_of_every_shape() -> None:
    state = ours(matrices(), dtype=torch.float32).state()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        "2x24x24": (2, 24, 24),
        "2x32x16": (2, 32, 16),
        "1x16x32": (1, 16, 32),
    }
