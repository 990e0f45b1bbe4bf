"""The written-out derivatives of `bajka.model.fused` against autograd through the plain forms in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bajka.model import fused
from bajka.model.positions import rotate
from tiny import tiny_model

B, T, H, K, D, C = 2, 7, 4, 2, 8, 12
ROTATION = torch.randn(1, 1, T, D, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def drawn(*sizes: int, seed: int = 0) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def norm(x: Tensor, gain: Tensor) -> Tensor:
    return F.rms_norm(x, x.shape[-1:], eps=1e-6) * gain


def plain_queries_and_keys(heads: Tensor, gains: Tensor) -> Tensor:
    return rotate(norm(heads, gains).transpose(1, 2), ROTATION.to(heads.dtype))


def quick_queries_and_keys(heads: Tensor, gains: Tensor) -> Tensor:
    queries, keys = fused.normed_and_rotated(heads, gains, ROTATION.to(heads.dtype), 1e-6, n_head=H)
    assert queries.is_contiguous()
    assert keys.is_contiguous()
    return torch.cat((queries, keys), dim=1)


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def plain_swiglu(x: Tensor) -> Tensor:
    gate, up = x.chunk(2, dim=-1)
    return F.silu(gate) * up


FORMS = [
    pytest.param(norm, lambda x, w: fused.rms_norm(x, w, 1e-6), [(B, T, C), (C,)], id="rms_norm"),
    pytest.param(
        plain_queries_and_keys, quick_queries_and_keys, [(B, T, H + K, D), (H + K, D)], id="normed_and_rotated"
    ),
    pytest.param(plain_attention, fused.causal_attention, [(B, H, T, D)] * 3, id="causal_attention"),
    pytest.param(plain_swiglu, fused.swiglu, [(B, T, 2 * C)], id="swiglu"),
]


@pytest.mark.parametrize(("plain", "quick", "sizes"), FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_value_and_gradients_are_those_of_the_plain_form(
    plain: Callable[..., Tensor],
    quick: Callable[..., Tensor],
    sizes: list[tuple[int, ...]],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    exact = [drawn(*size, seed=number).to(dtype).double().requires_grad_() for number, size in enumerate(sizes)]
    given = [t.detach().to(dtype).requires_grad_() for t in exact]
    wanted, found = plain(*exact), quick(*given)
    slope = drawn(*wanted.shape, seed=9).to(dtype)
    wanted.backward(slope.double())
    found.backward(slope)
    assert found.dtype == dtype
    for one, other in [(found, wanted), *((a.grad, b.grad) for a, b in zip(given, exact, strict=True))]:
        assert one is not None
        assert other is not None
        assert float((one.double() - other).norm() / other.norm()) < tolerance


@pytest.mark.parametrize("family", ["modern", "llama", "gpt2", "gpt1"])
def test_a_model_learns_the_same_with_and_without_them(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(family)
    model.reset(1)
    model.train()
    ids = torch.randint(
        0, model.config.vocab_size, (3, model.config.context_length), generator=torch.Generator().manual_seed(2)
    )

    def gradients() -> Tensor:
        model.zero_grad()
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    quick = gradients()
    monkeypatch.setattr(fused, "worthwhile", lambda x: False)
    assert float((quick - gradients()).norm() / quick.norm()) < 1e-5


def test_they_stay_out_of_the_way_where_they_do_not_pay() -> None:
    x = torch.zeros(2)
    assert fused.worthwhile(x)
    assert not fused.worthwhile(x.double())
    assert not fused.worthwhile(x.to("meta"))
    with torch.no_grad():
        assert not fused.worthwhile(x)
    assert math.isfinite(float(fused.rms_norm(torch.zeros(1, 4), torch.ones(4), 1e-6).sum()))
