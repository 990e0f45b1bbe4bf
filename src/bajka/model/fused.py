"""Parts of a block with their derivatives written out: fewer passes over the data than torch's eager mode makes.

For a CPU without torch.compile, which fuses such passes itself: there a small model spends as much time on norms, rotations
and copies as on half of its products (docs/experiments.md, "Where the time of a step goes"). Each function gives what its
plain form in `bajka.model.transformer` gives, up to rounding in the type of its input; statistics are sums in fp32.

Letters of the shapes: B rows, T tokens, H heads, D head_dim, C width, I inner width.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def worthwhile(x: Tensor) -> bool:
    """Whether these forms pay for `x`: on a CPU, while gradients are kept, outside of torch.compile."""
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and x.dtype != torch.float64
    )


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """RMSNorm of the last axis of `x` with a gain of its width."""
    return _RMSNorm.apply(x, weight, epsilon)  # type: ignore[no-any-return,no-untyped-call]


def normed_and_rotated(
    heads: Tensor, gains: Tensor, rotation: Tensor, epsilon: float, *, n_head: int
) -> tuple[Tensor, Tensor]:
    """Queries (B, H, T, D) and keys (B, K, T, D) after RMSNorm and RoPE, from `heads` (B, T, H+K, D), queries first.

    `gains` (H+K, D) are those of the norms; `rotation` (1, 1, T, D) has cosines, then sines, as
    `bajka.model.positions.rotary_table`.
    """
    return _NormedAndRotated.apply(heads, gains, rotation, epsilon, n_head)  # type: ignore[no-any-return,no-untyped-call]


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention of heads (B, H, T, D) as two batched products and a softmax, without dropout."""
    return _CausalAttention.apply(q, k, v)  # type: ignore[no-any-return,no-untyped-call]


def swiglu(x: Tensor) -> Tensor:
    """silu(gate) * up of `x` (..., 2 I), gate first, as (..., I)."""
    return _SwiGLU.apply(x)  # type: ignore[no-any-return,no-untyped-call]


def _inverse_rms(x: Tensor, epsilon: float) -> Tensor:
    """1 / sqrt(mean square + epsilon) of the last axis, kept as an axis of one, in the type of `x`."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    return norm.square_().mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_().to(x.dtype)


def _norm_backward(slope: Tensor, normed: Tensor, gain: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient by the input of an RMSNorm, and slope * normed, whose sum over tokens is that by the gain."""
    scaled = slope * gain
    shared = torch.linalg.vecdot(scaled, normed)[..., None]
    by_input = scaled.addcmul_(normed, shared, value=-1 / normed.shape[-1]).mul_(inverse)
    return by_input, slope * normed


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        inverse = _inverse_rms(x, epsilon)
        normed, gain = x * inverse, weight.to(x.dtype)
        ctx.save_for_backward(normed, gain, inverse)
        return normed * gain

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None]:
        normed, gain, inverse = ctx.saved_tensors
        by_input, by_gain = _norm_backward(slopes[0], normed, gain, inverse)
        return by_input, by_gain.flatten(0, -2).sum(0).float(), None


class _NormedAndRotated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, heads: Tensor, gains: Tensor, rotation: Tensor, epsilon: float, n_head: int
    ) -> tuple[Tensor, Tensor]:
        inverse = _inverse_rms(heads, epsilon)
        normed, gain = heads * inverse, gains.to(heads.dtype)
        ctx.save_for_backward(normed, gain, inverse, rotation)
        turned = (normed * gain).transpose(1, 2)  # (B, H+K, T, D)
        queries, keys = turned[:, :n_head], turned[:, n_head:]
        return _turn(queries, rotation, _like(queries)), _turn(keys, rotation, _like(keys))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        normed, gain, inverse, rotation = ctx.saved_tensors
        slope = torch.empty_like(normed)
        n_head, places = slopes[0].shape[1], slope.transpose(1, 2)
        _turn(slopes[0], rotation, places[:, :n_head], sign=-1)
        _turn(slopes[1], rotation, places[:, n_head:], sign=-1)
        by_input, by_gain = _norm_backward(slope, normed, gain, inverse)
        return by_input, by_gain.flatten(0, 1).sum(0).float(), None, None, None


def _like(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype)  # contiguous, whatever the strides of x


def _turn(x: Tensor, rotation: Tensor, out: Tensor, *, sign: int = 1) -> Tensor:
    """Rotate the pairs of `x` (..., T, D) into `out`; with sign -1 back, which is the derivative of a rotation."""
    cosines, sines = rotation.chunk(2, dim=-1)
    first, second = x.chunk(2, dim=-1)
    out_first, out_second = out.chunk(2, dim=-1)
    torch.mul(first, cosines, out=out_first)
    out_first.addcmul_(second, sines, value=-sign)
    torch.mul(second, cosines, out=out_second)
    out_second.addcmul_(first, sines, value=sign)
    return out


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        B, H, T, D = q.shape
        q = (q / math.sqrt(D)).reshape(B * H, T, D)
        k, v = (t.reshape(B * H, T, D) for t in (k, v))
        future = torch.full((T, T), -math.inf, dtype=q.dtype).triu_(1).expand(B * H, T, T)
        weights = torch.baddbmm(future, q, k.mT).softmax(dim=-1)
        ctx.save_for_backward(q, k, v, weights)
        return torch.bmm(weights, v).view(B, H, T, D)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, weights = ctx.saved_tensors
        B, H, T, D = slopes[0].shape
        slope = slopes[0].reshape(B * H, T, D)
        by_v = torch.bmm(weights.mT, slope)
        by_score = torch._softmax_backward_data(torch.bmm(slope, v.mT), weights, -1, weights.dtype)
        by_q = torch.bmm(by_score, k).div_(math.sqrt(D))
        by_k = torch.bmm(by_score.mT, q)
        return by_q.view(B, H, T, D), by_k.view(B, H, T, D), by_v.view(B, H, T, D)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate, up = x.chunk(2, dim=-1)
        activated = torch.nn.functional.silu(gate)
        ctx.save_for_backward(x, activated)
        return activated * up

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        x, activated = ctx.saved_tensors
        gate, up = x.chunk(2, dim=-1)
        gradient = torch.empty_like(x)
        by_gate, by_up = gradient.chunk(2, dim=-1)
        torch.mul(activated, slopes[0], out=by_up)
        torch.ops.aten.silu_backward.grad_input(slopes[0] * up, gate, grad_input=by_gate)
        return gradient
