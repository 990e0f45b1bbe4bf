"""From logits to the next token: pure functions in the order in which transformers applies them."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from bajka.errors import SettingsError


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy: the likeliest token, always.

    `stop` are strings that end a text (they are not part of it); `seed` decides all random numbers.
    """

    max_new_tokens: int = 120
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `SettingsError` for values that mean nothing; whole numbers of numpy are taken as Python's."""
        for name in ("max_new_tokens", "top_k", "seed"):
            if hasattr(value := getattr(self, name), "__index__"):
                object.__setattr__(self, name, operator.index(value))
        checks = [
            (
                "max_new_tokens",
                isinstance(self.max_new_tokens, int) and self.max_new_tokens >= 1,
                "a whole number of at least 1",
            ),
            ("temperature", math.isfinite(self.temperature) and self.temperature >= 0, "0 (greedy) or more"),
            ("top_k", self.top_k is None or self.top_k >= 1, "at least 1"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("min_p", self.min_p is None or 0 <= self.min_p <= 1, "between 0 and 1"),
            (
                "repetition_penalty",
                math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0,
                "above 0 (1 switches it off)",
            ),
            ("stop", not isinstance(self.stop, str) and all(self.stop), "a list of texts that are not empty"),
            ("seed", 0 <= self.seed < 2**63, "between 0 and 2**63 - 1"),
        ]
        for name, good, wanted in checks:
            if not good:
                raise SettingsError(f"{name} = {getattr(self, name)!r} must be {wanted}.")


def next_tokens(logits: Tensor, seen: Tensor | None, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Chosen ids (B) for `logits` (B, V); `seen` (B, V) marks tokens already in each text, `uniform` (B) draws."""
    logits = logits.float()
    if sampling.repetition_penalty != 1.0 and seen is not None:
        logits = penalize_repetition(logits, seen, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    return draw(probabilities(logits, sampling), uniform)


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """The distribution (B, V) after temperature, top-k, top-p and min-p."""
    # The largest logit at 0 first: a tiny temperature then gives -inf elsewhere, never inf - inf. A huge one stays
    # below fp32's infinity, because -inf / inf is not a number.
    logits = (logits - logits.max(dim=-1, keepdim=True).values) / min(max(sampling.temperature, 1e-10), 1e30)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None and sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.min_p:
        logits = keep_min_p(logits, sampling.min_p)
    return logits.softmax(dim=-1)


def penalize_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Scores of seen tokens divided by `penalty` where positive, multiplied where negative (CTRL, arXiv 1909.05858)."""
    penalized = torch.where(logits > 0, logits / penalty, logits * penalty).nan_to_num()  # finite, however extreme
    return torch.where(seen & logits.isfinite(), penalized, logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """-inf for all but the k likeliest; a k beyond the vocabulary keeps all."""
    least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """-inf outside the smallest set of likeliest tokens whose probabilities sum to p or more (arXiv 1904.09751)."""
    ordered, index = logits.sort(dim=-1, descending=False)
    below = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    below[..., -1] = False
    return logits.masked_fill(below.scatter(-1, index, below), -math.inf)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """-inf for tokens less likely than `share` of the likeliest one (arXiv 2407.01082)."""
    return logits.masked_fill(logits < logits.max(dim=-1, keepdim=True).values + math.log(share), -math.inf)


def draw(probability: Tensor, uniform: Tensor) -> Tensor:
    """For each row the token at which the running sum passes its uniform number: one number a row, in float64."""
    running = probability.double().cumsum(dim=-1)
    wanted = uniform.double()[:, None] * running[:, -1:]
    return torch.searchsorted(running, wanted, right=True).squeeze(-1).clamp_max(probability.shape[-1] - 1)
