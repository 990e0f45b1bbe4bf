"""What a run is expected to end with: bits per byte of the held-out text, from our own recorded runs.

A linear regression in logarithms: the n-grams of as much text as the run will see say what counting can know of it; tokens
seen and weights say how far a network of that size gets beyond counting. Its coefficients are data, in
`expectation.json`, which `benchmarks/expectation_fit.py` writes from `benchmarks/expectation_runs.jsonl`. Far outside of what
those runs cover it says nothing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from bajka.model import ModelConfig
from bajka.model.estimate import parameters
from bajka.planning.ngrams import COUNTED
from bajka.planning.shape import CorpusFacts

BEYOND = {"weights": 2.0, "vocab_size": 2.0, "tokens": 5.0, "readings": 1.0, "different_tokens": 5.0}
"""Factor by which each quantity may lie below the least or above the most that was recorded. 1 for readings: a text that
is read more often is learnt by heart, which the regression does not know."""


@dataclass(frozen=True)
class Case:
    """A run as the regression sees it: body weights, entries, tokens seen and in the text, bits a byte of its n-grams.

    `ngrams` are those of as many tokens as are seen, or of the whole text, at most of `COUNTED`.
    """

    weights: float
    vocab_size: int
    tokens: float
    train_tokens: float
    bytes_per_token: float
    ngrams: tuple[float, ...]

    @property
    def different_tokens(self) -> float:
        """Tokens of the text that are seen at all: a run that reads a part of a text is one of a text of that length."""
        return min(self.tokens, self.train_tokens)

    @property
    def readings(self) -> float:
        """How often each token is seen that is seen at all."""
        return self.tokens / self.different_tokens


@dataclass(frozen=True)
class Evidence:
    """The fitted regression: coefficients by feature, how far it was off, and what was recorded.

    `spread` is how far the interval reaches to either side, with six of seven results of left-out texts inside; `ranges` are
    the least and the most of each quantity among the runs.
    """

    coefficients: dict[str, float]
    spread: float
    ranges: dict[str, tuple[float, float]]
    runs: int

    def covers(self, case: Case) -> bool:
        """Whether runs like this were recorded: `BEYOND` times more or less of each quantity is taken to be alike."""
        for name, value in quantities(case).items():
            low, high = self.ranges[name]
            if not low / BEYOND[name] <= value <= high * BEYOND[name]:
                return False
        return True


@dataclass(frozen=True)
class Expectation:
    """Bits a byte and nats a token as intervals ("low", "high"); what twice the time, text or both would bring, in bits a byte.

    `limit` is what brings more, "time" or "text", or "both" where neither brings anything without the other. `twice_both` is
    None in plans of older versions.
    """

    bits_per_byte: dict[str, float]
    loss: dict[str, float]
    twice_time: float
    twice_text: float
    limit: str
    twice_both: float | None = None

    def lowered(self, share: float) -> Expectation:
        """The same, every figure lower by a share of it."""

        def less(value: float) -> float:
            return round(value * (1 - share), 4)

        return replace(
            self,
            bits_per_byte={name: less(value) for name, value in self.bits_per_byte.items()},
            loss={name: less(value) for name, value in self.loss.items()},
            twice_time=less(self.twice_time),
            twice_text=less(self.twice_text),
            twice_both=None if self.twice_both is None else less(self.twice_both),
        )


@cache
def evidence() -> Evidence:
    """The regression that stands in the package."""
    page = json.loads((files("bajka.planning") / "expectation.json").read_text(encoding="utf-8"))
    return evidence_of(page)


def evidence_of(page: dict[str, Any]) -> Evidence:
    """The regression of a page like `expectation.json`."""
    ranges = {name: (low, high) for name, (low, high) in page["ranges"].items()}
    return Evidence(page["coefficients"], page["spread"], ranges, page["runs"])


def case_of(facts: CorpusFacts, model: ModelConfig, tokens: float) -> Case:
    """The case of a model that sees so many `tokens` of the text of `facts`."""
    return Case(
        weights=parameters(model, embeddings=False),
        vocab_size=facts.vocab_size,
        tokens=tokens,
        train_tokens=facts.train_tokens,
        bytes_per_token=facts.bytes_per_token,
        ngrams=ngrams_at(facts, min(tokens, facts.train_tokens, COUNTED)),
    )


def quantities(case: Case) -> dict[str, float]:
    """What the ranges of the evidence are about."""
    return {name: float(getattr(case, name)) for name in BEYOND}


def features(case: Case) -> dict[str, float]:
    """What the regression may sum up, logarithms all: how far a network gets beyond counting.

    "variety" is how much better the longest n-grams are than single tokens. The fit takes `CORE`, and of the others those that
    lower the error on left-out texts.
    """
    variety = math.log(case.ngrams[0] / case.ngrams[-1])
    tokens, weights = math.log(case.tokens / 1e6), math.log(case.weights / 1e6)
    again = math.log(case.readings)
    return {
        "one": 1.0,
        "tokens": tokens,
        "weights": weights,
        "variety by tokens": variety * tokens,
        "variety": variety,
        "bytes a token": math.log(case.bytes_per_token),
        "tokens squared": tokens**2,
        "tokens by weights": tokens * weights,
        "entries": math.log(case.vocab_size / 1024),
        "readings": again,
        "readings by weights": again * weights,
    }


CORE = ("one", "tokens", "weights")


def expected_bits(case: Case, found: Evidence) -> float:
    """Bits a byte of the best model of a run like `case`: those of its n-grams, times what the regression says."""
    known = features(case)
    return case.ngrams[-1] * math.exp(sum(share * known[name] for name, share in found.coefficients.items()))


def ngrams_at(facts: CorpusFacts, tokens: float) -> tuple[float, ...]:
    """Bits a byte of n-grams counted in so many tokens, from those of the two counts that are known: linear in the
    logarithm of the count, at most four times beyond them."""
    (few, low), (many, high) = facts.ngrams[0], facts.ngrams[-1]
    if few == many:
        return high
    at = math.log(min(max(tokens, few / 4), 4 * many) / few) / math.log(many / few)
    return tuple(max(0.5 * b, a + at * (b - a)) for a, b in zip(low, high, strict=True))
