"""The matrix rate at a model's own shapes: every product of its forward and backward, timed alone.

    python benchmarks/matrix_rate.py 4x192 --precision bf16

For each linear layer x (N, k) to (N, n): the product itself, the gradient of its input and that of its weight, as autograd
makes them; for attention the two batched products of each layer and their four of the backward, over the whole square. The
rate is weighted by arithmetic: all FLOPs / all seconds. What a step takes can be set against these seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from step_forms import Shape
from torch import Tensor

Product = tuple[int, int, int, int]
"""Batches, rows, inner, columns of a product."""


def main() -> None:
    """Print the rates as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("shape", help='layers and width, as "4x192"')
    options.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options.add_argument("--context", type=int, default=256)
    options.add_argument("--vocab-size", type=int, default=4096)
    options.add_argument("--rows", type=int, default=8)
    options.add_argument("--inner", type=int, help="width of the feed-forward part (default: 4 times the width)")
    options.add_argument("--seconds", type=float, default=0.2, help="of each product")
    chosen = options.parse_args()
    shape = Shape.parse(chosen.shape, context=chosen.context, vocab_size=chosen.vocab_size, rows=chosen.rows)
    print(json.dumps(rates(shape, chosen.precision, chosen.seconds, inner=chosen.inner)))


def rates(shape: Shape, precision: str, seconds: float, *, inner: int | None = None) -> dict[str, Any]:
    """FLOP/s and seconds a step of the linear products, of attention's, and of all."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    found: dict[str, list[tuple[float, float]]] = {"linear": [], "attention": []}
    known: dict[tuple[Any, ...], float] = {}
    for kind, count, (batches, rows, inside, columns), way in products(shape, inner):
        key = (batches, rows, inside, columns, way)
        if key not in known:
            known[key] = timed(operation(batches, rows, inside, columns, way, dtype), seconds)
        flops = 2.0 * batches * rows * inside * columns
        found[kind].append((count * flops, count * known[key]))
    sums = {kind: tuple(map(sum, zip(*pairs, strict=True))) for kind, pairs in found.items()}
    flops, took = (sum(pair[place] for pair in sums.values()) for place in (0, 1))
    return {
        "rate": flops / took,
        "seconds": took,
        "flops": flops,
        "linear_rate": sums["linear"][0] / sums["linear"][1],
        "linear_seconds": sums["linear"][1],
        "linear_flops": sums["linear"][0],
        "attention_seconds": sums["attention"][1],
    }


def products(shape: Shape, inner: int | None = None) -> Iterator[tuple[str, int, Product, str]]:
    """Kind, how often a step has it, and the product as rows x inside x columns, with how its factors lie in memory."""
    C, N, L, T = shape.width, shape.tokens, shape.layers, shape.context
    wide = inner or 4 * C
    for count, k, n in ((L, C, 3 * C), (L, C, C), (L, C, wide), (L, wide, C), (1, C, shape.vocab_size)):
        yield "linear", count, (1, N, k, n), "forward"
        yield "linear", count, (1, N, n, k), "input"
        yield "linear", count, (1, n, N, k), "weight"
    heads, D = shape.rows * shape.heads, C // shape.heads
    yield "attention", 2 * L, (heads, T, D, T), "forward"  # q k^T, and the gradient of the weights p
    yield "attention", 2 * L, (heads, T, T, D), "input"  # p v, and the gradient of q
    yield "attention", 2 * L, (heads, T, T, D), "weight"  # the gradients of k and of v


def operation(batches: int, rows: int, inside: int, columns: int, way: str, dtype: torch.dtype) -> Callable[[], Tensor]:
    """The product with its factors as they lie there: x w^T forward, g w for the input, g^T x for the weight."""
    lead = () if batches == 1 else (batches,)
    first = torch.randn(*lead, *((inside, rows) if way == "weight" else (rows, inside))).to(dtype)
    second = torch.randn(*lead, *((columns, inside) if way == "forward" else (inside, columns))).to(dtype)
    match way:
        case "forward":
            return (lambda: torch.nn.functional.linear(first, second)) if not lead else (lambda: first @ second.mT)
        case "input":
            return lambda: first @ second
        case _:
            return lambda: first.mT @ second


def timed(work: Callable[[], Tensor], seconds: float) -> float:
    """Median seconds of one call."""
    for _ in range(3):
        work()
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(took) < 5:
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
