"""Planning a new run: the machine is measured, the vocabulary chosen, then everything else, in at most a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bajka.config import Settings
from bajka.corpus import Split
from bajka.errors import BajkaError
from bajka.formats import Document
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.planning.plan import CorpusFacts, Plan, make_plan
from bajka.planning.rates import Rates
from bajka.planning.schedule import planned_minutes
from bajka.tokenizer import Tokenizer, choose_vocab_size, shortened, sizes_worth_a_thought
from bajka.tokens.store import TokenSet, token_set
from bajka.training.corpus_facts import ngrams_of
from bajka.training.measuring import measure_machine, measure_step, measuring_seconds

LOOKS = 3
"""Candidates whose real step is measured: the choice may change when the first is slower than thought."""

_SAMPLE, _HELD_OUT = 750_000, 150_000  # characters that vocabularies are compared on
_SHORTEST = 1.0  # minutes below which comparing vocabularies costs too much of the time


@dataclass
class Planner:
    """Plans one run on one machine; `elapsed` gives the seconds since the command began.

    `rates` grow with each candidate whose step is measured, within `allowance` seconds in all; with 0 nothing is measured,
    and the same texts and settings give the same plan.
    """

    settings: Settings
    machine: Machine
    rates: Rates
    elapsed: Callable[[], float]
    imported: ModelConfig | None = None
    allowance: float = 0.0

    @classmethod
    def measuring(
        cls, settings: Settings, machine: Machine, *, elapsed: Callable[[], float], imported: ModelConfig | None = None
    ) -> Planner:
        """A planner for this machine, whose rates are measured now; steps of candidates follow."""
        allowance = measuring_seconds(planned_minutes(settings))
        rates = measure_machine(machine, seconds=0.25 * allowance)
        return cls(settings, machine, rates, elapsed, imported, allowance)

    @property
    def minutes(self) -> float | None:
        """The length of the run; None for one in steps or epochs."""
        return planned_minutes(self.settings)

    def plan(self, facts: CorpusFacts) -> Plan:
        """The plan, its speed measured on real steps of what it chose."""
        spent = self.elapsed()
        for _ in range(LOOKS):
            if not self._measured(self._plan(facts, spent)):
                break
        return self._plan(facts, spent)

    def sizes(self, corpus_bytes: int) -> tuple[int, ...]:
        """Vocabularies to choose among: the usual one alone for a run in steps or a very short one."""
        if self.minutes is None or self.minutes < _SHORTEST:
            return ()
        return sizes_worth_a_thought(corpus_bytes, minutes=self.minutes)

    def choose_size(self, large: Tokenizer, sizes: Sequence[int], splits: Sequence[Split]) -> tuple[int, str]:
        """How many entries of a `large` vocabulary to keep: those whose plan expects the fewest bits a byte."""
        usual = choose_vocab_size(sum(split.train_bytes for split in splits))
        facts = self._facts_by_size(large, sizes, splits)
        expected = {size: bits for size, one in facts.items() if (bits := self._expected(one)) is not None}
        if usual[0] not in expected:
            return usual
        best = min(expected, key=lambda size: expected[size])
        others = ", ".join(f"{size:,}: {bits:.3f}" for size, bits in expected.items())
        return best, f"the fewest bits a byte are expected with it after {self.minutes:g} minutes: {others}"

    def _expected(self, facts: CorpusFacts) -> float | None:
        try:
            plan = self._plan(facts, self.elapsed())
            if not self.rates.steps and self._measured(plan):
                plan = self._plan(facts, self.elapsed())
        except BajkaError:  # a wish that cannot be met is refused by the real plan
            return None
        found = plan.expectation
        return None if found is None else (found.bits_per_byte["low"] + found.bits_per_byte["high"]) / 2

    def _plan(self, facts: CorpusFacts, spent: float) -> Plan:
        return make_plan(self.settings, facts, self.machine, rates=self.rates, imported=self.imported, spent=spent)

    def _measured(self, plan: Plan) -> bool:
        """Measure a step of what was chosen, once and while there is time; whether the rates have changed.

        A run in steps is planned without: nothing that it decides depends on the speed.
        """
        left = self.allowance - self.rates.seconds
        if (
            self.minutes is None
            or left <= 0
            or self.rates.knows(plan.model, plan.micro_batch_size, self.machine.precision)
        ):
            return False
        began = time.perf_counter()
        step = measure_step(plan, self.machine, self.rates, seconds=left / 2)
        taken = time.perf_counter() - began
        self.rates = (
            replace(self.rates, seconds=self.rates.seconds + taken)
            if step is None
            else self.rates.with_step(step, seconds=taken)
        )
        return step is not None

    def _facts_by_size(self, large: Tokenizer, sizes: Sequence[int], splits: Sequence[Split]) -> dict[int, CorpusFacts]:
        """What the plan needs to know of the texts under each size of the vocabulary, from a sample of them."""
        sides = [[one for split in splits for one in getattr(split, side)] for side in ("train", "validation")]
        train, held_out = _some(sides[0], _SAMPLE), _some(sides[1], _HELD_OUT)
        found = {}
        for size in (size for size in sizes if size <= large.vocab_size):
            tokenizer = shortened(large, size)
            found[size] = _facts(token_set(train, tokenizer), token_set(held_out, tokenizer), splits, size)
        return found


def _facts(train: TokenSet, held_out: TokenSet, splits: Sequence[Split], vocab_size: int) -> CorpusFacts:
    """Counts of the whole texts, scaled up from a sample of each side."""
    train_bytes, held_out_bytes = (
        sum(split.train_bytes for split in splits),
        sum(split.validation_bytes for split in splits),
    )
    return CorpusFacts(
        train_tokens=round(train_bytes / max(train.bytes_per_token, 1e-9)),
        validation_tokens=round(held_out_bytes / max(held_out.bytes_per_token, 1e-9)),
        documents=sum(len(split.train) for split in splits),
        bytes=train_bytes + held_out_bytes,
        vocab_size=vocab_size,
        bytes_per_token=held_out.bytes_per_token,
        ngrams=ngrams_of(train.ids, held_out, vocab_size),
    )


def _some(documents: Sequence[Document], most: int) -> list[str]:
    """At most `most` characters of documents spread over all of them, of each from its beginning."""
    chosen = documents[:: max(1, len(documents) // 512)]
    each = max(1, most // max(1, len(chosen)))
    return [one.text[:each] for one in chosen]
