"""What lies ahead of a run: the tokens that its time allows, the bits per byte they bring, and what more would bring."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

from bajka.config import Settings
from bajka.model import ModelConfig
from bajka.model.families import feed_forward_width
from bajka.planning.expectation import Case, Expectation, case_of, evidence, expected_bits
from bajka.planning.looks import SHARE, plan_looks
from bajka.planning.machine import LITTLE_TEXT, USUAL_TOKENS, Speed, plan_batch
from bajka.planning.shape import (
    MOST_READINGS,
    MOST_READINGS_FROM_WEIGHTS,
    MOST_READINGS_TAUGHT,
    READINGS,
    Choices,
    CorpusFacts,
    usual_heads,
)
from bajka.settings import wishes

LAST_SECONDS = 2.0
"""Kept for the last evaluation and save of a run in minutes: a first rule."""

NOTICED = 0.005
"""Share of the bits per byte below which twice the time or twice the text is said to bring nothing by itself."""


RECORDED_STEPS = 20
"""Steps below which there is no record of a run."""

RECORDED_CONTEXT = 32
"""The shortest context of a recorded run."""

RECORDED_TOKENS = (256, 4096)
"""The fewest and the most tokens a step in a recorded run."""

_TURNS_AWAY = {
    "schedule": {"schedule", "warmup_steps", "cooldown_share", "final_rate_share"},
    "model": {"activation", "positions", "rope_theta"},
}
"""Settings with which no run was recorded."""

UNLIKE = 1.5
"""Times as many bits as other text of the same kind has, from which on what is held out is another kind of text, of which there
is no record."""

REPEATED = 0.45
"""Share of the training text that stands in it twice from which on counting is misled: of Python's own
programs it is 0.05, of tales made by a grammar 0.39."""

LEAST_BITS = 0.05
"""Bits a byte of n-grams below which a text repeats itself so that there is no record of anything like it."""


@dataclass(frozen=True)
class Outlook:
    """A text, wishes and a speed; `seconds` are those left for training (None: the length is not in minutes).

    `fresh` says that training begins from random weights: only for such runs there is a record to judge by. `taught` says
    that it learns from a teacher too.
    """

    facts: CorpusFacts
    settings: Settings
    speed: Speed
    seconds: float | None
    fresh: bool = True
    taught: bool = False

    @property
    def most_epochs(self) -> float | None:
        """Readings of the text after which a run in minutes ends; None where the time alone ends it."""
        wish = self.settings.schedule.most_epochs
        if self.seconds is None or wish is not None:
            return wish
        return self._enough if self.settings.train.windows == "packed" else None

    @property
    def _enough(self) -> float:
        if not self.fresh:
            return MOST_READINGS_FROM_WEIGHTS
        return MOST_READINGS_TAUGHT if self.taught else MOST_READINGS

    def seen(self, model: ModelConfig) -> float | None:
        """Training tokens of a run: those of its epochs, or those that the time allows in as many readings as it has at most;
        None for a run in steps."""
        if self.settings.schedule.epochs is not None:
            return self.settings.schedule.epochs * self.windows_per_epoch(model) * model.context_length
        tokens = self.tokens(model)
        return None if tokens is None else self._at_most(tokens, model)

    def ends_early(self, model: ModelConfig) -> bool:
        """Whether a run in minutes is expected to have read the text often enough well before its time is over."""
        tokens, seen = self.tokens(model), self.seen(model)
        return tokens is not None and seen is not None and seen < 0.95 * tokens

    def tokens(self, model: ModelConfig) -> float | None:
        """Training tokens that the time allows, compiling and a twentieth for evaluations subtracted; None without a time."""
        whole = self.training_seconds(model)
        if whole is None:
            return None
        training = whole / (1 + SHARE)
        usual = training * self.speed.tokens_per_second(model, self._sequences(model, USUAL_TOKENS))
        return training * self.speed.tokens_per_second(model, self._sequences(model, self._at_most(usual, model)))

    def training_seconds(self, model: ModelConfig) -> float | None:
        """Seconds for steps and evaluations, compiling and the end subtracted; None without a time."""
        if self.seconds is None:
            return None
        return max(0.2 * self.seconds, self.seconds - self.speed.compile_seconds(model) - LAST_SECONDS)

    def windows_per_epoch(self, model: ModelConfig) -> int:
        """Windows of `context_length` tokens of which an epoch is made, as `Batches.windows_per_epoch`."""
        context, tokens = model.context_length, self.facts.train_tokens
        match self.settings.train.windows:
            case "documents":
                return max(1, self.facts.documents)
            case "sliding":
                stride = self.settings.train.stride or context
                reaching = -(-(tokens - 1 - context) // stride) + 1
                return max(1, min(reaching, -(-(tokens - 1) // stride)))
            case "packed":
                return max(1, -(-tokens // context))

    def readings_per_epoch(self, model: ModelConfig) -> float:
        """How often an epoch reads the text: sliding windows that overlap do so more than once."""
        if self.settings.train.windows != "sliding":
            return 1.0
        return self.windows_per_epoch(model) * model.context_length / self.facts.train_tokens

    def shown(self, model: ModelConfig) -> float:
        """Tokens of the text that an epoch shows: with one document a row, of each only what fits into the context."""
        return min(self.facts.train_tokens, self.windows_per_epoch(model) * model.context_length)

    def text_tokens(self, model: ModelConfig) -> float:
        """Tokens of the text itself, without what fills rows, that the time and all evaluations allow; of a run in minutes."""
        most = self.settings.schedule.most_epochs
        tokens = (self.seen(model) if most is not None and most < READINGS else self.tokens(model)) or 0.0
        batch = self.sequences(model)
        a_step = batch * model.context_length
        tokens = min(tokens, a_step * self.beside_looks(model, max(1, int(tokens / a_step)), batch))
        return tokens * self.shown(model) / (self.windows_per_epoch(model) * model.context_length)

    def beside_looks(self, model: ModelConfig, steps: int, batch: int) -> int:
        """Steps that are left of so many in a run in minutes whose evaluations cost more than the usual twentieth: one in ten
        at least, unless the person set how often they are made."""
        whole, a_step = self.training_seconds(model), self.speed.step_seconds(model, batch)
        if whole is None:
            return steps

        def seconds(count: int) -> float:
            looks = plan_looks(
                self.settings, self.facts, model, self.speed, steps=count, batch=batch, in_minutes=True, c=Choices()
            )
            return count * a_step * (1 + max(SHARE, looks.share))

        fewest = max(1, steps // 10) if self.settings.evaluation.evaluate_every_steps is None else 1
        return fewest + bisect_right(
            range(fewest + 1, steps + 1), max(whole, steps * a_step * (1 + SHARE)), key=seconds
        )

    def _at_most(self, tokens: float, model: ModelConfig) -> float:
        """So many tokens, or those of as many epochs as a run has at most."""
        if self.most_epochs is None:
            return tokens
        return min(tokens, self.most_epochs * self.windows_per_epoch(model) * model.context_length)

    def sequences(self, model: ModelConfig) -> int:
        """Sequences of a step of the run."""
        return self._sequences(model, self.seen(model) or USUAL_TOKENS)

    def _sequences(self, model: ModelConfig, tokens: float) -> int:
        """Sequences of a step in a run that sees so many tokens, which in turn depend on the steps a little."""
        windows = self.windows_per_epoch(model)
        planned = plan_batch(self.speed.machine, tokens, self.shown(model), model.context_length, windows)
        return self.settings.train.global_batch_size or planned

    def expectation(self, model: ModelConfig, tokens: float, *, steps: int) -> Expectation | None:
        """The expectation of a run that sees so many `tokens`; None where there is no record of anything like it."""
        case = self._case(model, tokens)
        if case is None or steps < RECORDED_STEPS or not self._usual(model, tokens / steps):
            return None
        found = evidence()
        twice = replace(self, facts=replace(self.facts, train_tokens=2 * self.facts.train_tokens))
        cases = (
            case,
            case_of(self.facts, model, self._more(tokens)),
            case_of(twice.facts, model, max(tokens, twice.seen(model) or tokens)),
            case_of(twice.facts, model, twice._more(tokens)),
        )
        bits, time, text, both = (expected_bits(one, found) for one in cases)
        return _expectation(bits, time, text, both, self.facts.bytes_per_token, found.spread)

    def _more(self, tokens: float) -> float:
        """Tokens that twice the time would bring a run that sees so many `tokens`: more readings than enough bring none."""
        return max(tokens, min(2 * tokens, (self.most_epochs or self._enough) * self.facts.train_tokens))

    def _usual(self, model: ModelConfig, a_step: float) -> bool:
        """Whether the recipe is the plan's own, as in all recorded runs."""
        asked, train = wishes(self.settings), self.settings.train
        turned = any(asked.get(section, {}).keys() & names for section, names in _TURNS_AWAY.items())
        usual = model.family == "modern" and not model.dropout and not model.attention_dropout and not train.mix
        return (
            usual
            and not train.replay
            and not turned
            and not asked.get("optimizer")
            and self._as_recorded(model, a_step)
        )

    def _as_recorded(self, model: ModelConfig, a_step: float) -> bool:
        """Whether heads, inner width, context and tokens a step are like those of the recorded runs."""
        inner = feed_forward_width(model.family, model.n_embd)
        heads = usual_heads(model.n_embd)
        if (model.n_head, model.n_kv_head, model.n_inner) != (heads, heads, inner):
            return False
        if self.settings.model.context_length is not None and model.context_length < RECORDED_CONTEXT:
            return False
        if self.facts.train_tokens <= LITTLE_TEXT[-1][0] and a_step > 2 * LITTLE_TEXT[-1][1]:
            return False
        asked = self.settings.train.global_batch_size is not None
        return not asked or RECORDED_TOKENS[0] <= a_step <= RECORDED_TOKENS[1]

    def _case(self, model: ModelConfig, tokens: float) -> Case | None:
        if not self.fresh or self.settings.train.windows != "packed":
            return None
        if min((min(bits) for _, bits in self.facts.ngrams), default=0.0) < LEAST_BITS:
            return None
        if self.facts.unlike > UNLIKE or self.facts.repeated > REPEATED:
            return None
        case = case_of(self.facts, model, tokens)
        return case if evidence().covers(case) else None


def _expectation(
    bits: float, more_time: float, more_text: float, more_both: float, bytes_per_token: float, spread: float
) -> Expectation:
    """The interval around `bits`, and what more would bring: never less than nothing."""
    nats = math.log(2) * bytes_per_token
    low, high = bits * (1 - spread), bits * (1 + spread)
    time, text, both = min(bits, more_time), min(bits, more_text), min(bits, more_time, more_text, more_both)
    noticed = min(time, text) < bits * (1 - NOTICED)
    return Expectation(
        bits_per_byte={"low": round(low, 4), "high": round(high, 4)},
        loss={"low": round(low * nats, 4), "high": round(high * nats, 4)},
        twice_time=round(time, 4),
        twice_text=round(text, 4),
        twice_both=round(both, 4),
        limit="both" if not noticed else "text" if text < time else "time",
    )
