"""The coach: says in words what it sees in a run and which knob to turn, once, and only when it is sure.

Each rule is a pure function of the curve so far and of `Facts`; it gives a text of one or two sentences, or None. Its
thresholds were set on the recorded curves of tests/coaching/curves, where every rule must speak on its own and be
silent on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from bajka.coaching.curve import Curve, Line, Values, noise, slope
from bajka.coaching.facts import Facts
from bajka.coaching.idle import gpu_is_unused, not_compiled, slowed_down, slower_than_planned, small_steps, threads_idle
from bajka.planning.shape import MOST_READINGS, MOST_READINGS_TAUGHT

__all__ = ["Advice", "advise", "forgetting", "going_on"]


@dataclass(frozen=True)
class Advice:
    """`text` are one or two sentences for the person; `name` says which rule spoke, so that it speaks once."""

    name: str
    text: str


Rule = Callable[[Curve, Facts], str | None]


def advise(lines: Sequence[Line], facts: Facts, *, given: Collection[str] = ()) -> list[Advice]:
    """What there is to say after an evaluation, from all lines of metrics.jsonl so far; names in `given` were said."""
    curve = Curve.of(lines)
    if not curve.evaluations:
        return []
    rules: dict[str, Rule] = {
        "overfitting": overfitting,
        "too little text": too_little_text,
        "rate too high": rate_too_high,
        "rate too low": rate_too_low,
        "vocabulary too large": vocabulary_too_large,
        "forgetting": forgetting,
        "gpu unused": gpu_is_unused,
        "threads idle": threads_idle,
        "slowed down": slowed_down,
        "slower than planned": slower_than_planned,
        "small steps": small_steps,
        "not compiled": not_compiled,
    }
    said = set(given)
    found: list[Advice] = []
    for name, rule in rules.items():
        if name not in said and not (_SAID_BY.get(name, frozenset()) & said) and (text := rule(curve, facts)):
            found.append(Advice(name, text))
            said.add(name)
    return found


_SAID_BY = {"too little text": {"overfitting"}, "slower than planned": {"slowed down", "threads idle", "gpu unused"}}
"""What needs no saying after something else was said: it names the same knob."""


# -- text ----------------------------------------------------------------------------------------------------------


def overfitting(curve: Curve, facts: Facts) -> str | None:
    """Validation has risen well above its best at three evaluations in a row while the training sample fell."""
    validation, sample, best = curve.validation, curve.sample, curve.best
    if len(validation) - best < 4 or not np.isfinite(validation).all():
        return None
    least = validation[best]
    margin = max(0.01 * least, 4 * min(noise(validation), 0.1 * least))
    since = validation[best:]
    if (since[-3:] < least + margin).any() or slope(np.arange(len(since), dtype=np.float64), since) <= 0:
        return None
    if not (sample[-3:] < sample[best] - 0.01 * sample[best]).all():
        return None
    step, epoch = curve.evaluations[best]["step"], float(curve.evaluations[best].get("epoch", 0.0))
    return (
        f"The model now learns the text by heart: since step {step:,} its loss on the validation text rises "
        f"({least:.2f} then, {validation[-1]:.2f} now) while the loss on the training text falls. The model of step "
        f"{step:,} is kept as the best so far. {_against_overfitting(facts, epoch)}"
    )


def _against_overfitting(facts: Facts, best_epoch: float) -> str:
    """More text first; then the knobs that are not yet turned."""
    knobs = []
    if facts.dropout < 0.2:
        knobs.append(f"--dropout {0.2 if facts.dropout < 0.1 else 0.3}")
    if _could_be_smaller(facts):
        knobs.append(f"a smaller model (--n-layer {max(2, facts.n_layer // 2)} --n-embd {max(64, facts.n_embd // 2)})")
    if best_epoch >= 1:
        knobs.append(f"fewer passes over the text (--epochs {best_epoch * 1.2:.0f})")
    base = "" if facts.fine_tuned else ", or --from a model that has read more"
    listed = " or ".join(knobs[:2])
    return f"What helps most is more text of this kind{base}" + (f"; in a new run also {listed}." if listed else ".")


def _could_be_smaller(facts: Facts) -> bool:
    return not facts.fine_tuned and facts.parameters > facts.train_tokens and (facts.n_layer > 2 or facts.n_embd > 64)


def too_little_text(curve: Curve, facts: Facts) -> str | None:
    """A model far larger than its text: known at the start from a shape that was asked for, later from the gap.

    Not of a planned shape in a run that ends after few readings: both were chosen together.
    """
    ratio = facts.parameters / max(1, facts.train_tokens)
    if facts.fine_tuned or not _could_be_smaller(facts):
        return None
    asked = bool(facts.asked & {"n_layer", "n_embd"})
    few = MOST_READINGS_TAUGHT if facts.taught else MOST_READINGS
    if not asked and facts.most_epochs is not None and facts.most_epochs <= few:
        return None
    if not (asked and ratio > 10 and facts.expected_epochs > 6) and not (ratio > 3 and _gap_grows(curve)):
        return None
    return (
        f"This text is little for this model: {_many(facts.parameters)} weights for {_many(facts.train_tokens)} tokens "
        "(pieces of words), so it can soon learn the text by heart. Give more text, or in a new run try a smaller model: "
        f"--n-layer {max(2, facts.n_layer // 2)} --n-embd {max(64, facts.n_embd // 2)}."
    )


def _gap_grows(curve: Curve) -> bool:
    """Validation lies more and more above the training sample, after some passes over the text."""
    gap = (curve.validation - curve.sample) / curve.validation
    late = float(curve.evaluations[-1].get("epoch", 0.0)) >= 3
    return late and len(gap) >= 5 and gap[-1] > 0.15 and bool((np.diff(gap[-4:]) > 0).all())


def vocabulary_too_large(curve: Curve, facts: Facts) -> str | None:
    """Most entries of the vocabulary are too rare in the training text, and a text of this size would get far fewer."""
    share = facts.rare_share
    if share is None or share < 0.5 or facts.fine_tuned or facts.vocab_size < 1.5 * facts.fitting_vocab_size:
        return None
    ready = "tokenizer" in facts.asked and "vocab_size" not in facts.asked
    knob = f"{'--tokenizer bpe ' if ready else ''}--vocab-size {facts.fitting_vocab_size}"
    return (
        f"The vocabulary is too large for this text: {share:.0%} of its {facts.vocab_size:,} entries occur fewer than 20 "
        f"times in it, too seldom to be learnt. Better in a new run: {knob}."
    )


def forgetting(curve: Curve, facts: Facts) -> str | None:
    """A named validation text, once known, got worse while the new one got better."""
    if not facts.fine_tuned or len(curve.evaluations) < 4 or curve.validation[-1] >= curve.validation[0]:
        return None
    for name in sorted({key for line in curve.evaluations for key in line if key.startswith("val_loss/")}):
        losses = curve.judged(name)
        losses = losses[np.isfinite(losses)]
        if len(losses) < 4 or (losses[-3:] < 1.05 * losses[0]).any():
            continue
        worse = losses[-1] / losses[0] - 1
        more = f"{min(0.5, facts.replay + 0.2):.1f}"
        flag = f"--replay {more}" if facts.replayable else f"--mix OLD_TEXTS={more}"
        return (
            f"The model forgets what it knew: its loss on {name.partition('/')[2]!r} rose from {losses[0]:.2f} to "
            f"{losses[-1]:.2f} ({worse:.0%} worse) while it learns the new text. In a new run {flag} mixes old "
            f"text in; a lower --learning-rate ({_round_rate(facts.learning_rate / 2)}) forgets less too."
        )
    return None


# -- rate ----------------------------------------------------------------------------------------------------------


def rate_too_high(curve: Curve, facts: Facts) -> str | None:
    """The training loss jumped up and did not come back, steps fail, nothing is learnt, or the rate is far from usual."""
    far = facts.learning_rate / facts.usual_rate
    low = _round_rate(facts.usual_rate if far >= 3 else facts.learning_rate / 3)
    how = f"Continue with less: Ctrl-C, then bajka train {facts.run} --learning-rate {low}."
    if facts.precision != "fp16" and (failed := _failed(curve)) >= 3:
        return f"{failed} of the last 200 steps failed: their numbers became infinite. The rate is too high. {how}"
    blocks = curve.blocks("train_loss", after=facts.warmup_steps)
    if jump := _jump(blocks):
        return (
            f"The training loss jumped from {jump[0]:.2f} to {jump[1]:.2f} and does not come back: the rate "
            f"({facts.learning_rate:g}) is too high. {how}"
        )
    if far >= 3 and _stuck(curve, facts):
        return (
            f"The model learns nothing but how frequent each token is (loss {curve.validation[-1]:.2f}): the rate "
            f"({facts.learning_rate:g}) is too high. {how}"
        )
    learns = facts.unigram_loss is None or curve.validation[-1] < 0.98 * facts.unigram_loss
    if far >= 10 and learns and "learning_rate" in facts.asked and not facts.fine_tuned and len(blocks) >= 3:
        return (
            f"The rate you set ({facts.learning_rate:g}) is {far:.0f} times the usual one for this model. It learns, but "
            f"most likely less well than it could. {how}"
        )
    return None


def _failed(curve: Curve) -> int:
    """Steps among the last 200 whose loss or gradient was no number: such numbers are left out of metrics.jsonl."""
    numbers = np.isfinite(curve.of_steps("train_loss")[-200:]) & np.isfinite(curve.of_steps("gradient_norm")[-200:])
    return int((~numbers).sum())


def _jump(blocks: Sequence[Values]) -> tuple[float, float] | None:
    """Lowest and last median loss, when the last three blocks between evaluations lie clearly above the lowest."""
    if len(blocks) < 5:
        return None
    middles = np.array([np.median(block) for block in blocks])
    lowest = float(middles[:-3].min())
    spread = float(np.median([1.4826 * np.median(np.abs(block - np.median(block))) for block in blocks]))
    if (middles[-3:] < lowest + max(0.1 * lowest, 1.5 * spread)).any():
        return None
    return lowest, float(middles[-1])


def _stuck(curve: Curve, facts: Facts) -> bool:
    """After a fifth of the run the model is no better than the frequencies of the tokens alone."""
    late = curve.evaluations[-1]["step"] >= max(0.2 * facts.expected_steps, 2 * facts.warmup_steps, 150)
    known = facts.unigram_loss is not None and len(curve.evaluations) >= 5
    return known and late and bool((curve.validation[-3:] > 0.98 * (facts.unigram_loss or 0.0)).all())


def rate_too_low(curve: Curve, facts: Facts) -> str | None:
    """A rate far below the usual one, and a loss that falls as a straight slow line instead of bending.

    From given weights a low rate may be meant: it keeps more of what they know.
    """
    if facts.learning_rate > facts.usual_rate / (30 if facts.fine_tuned else 5) or facts.schedule == "plateau":
        return None
    at, loss = curve.judged("step"), curve.validation
    flat = (at >= 2 * facts.warmup_steps) & (at <= (facts.cooldown or (float("inf"), 0))[0])
    at, loss = at[flat], loss[flat]
    if len(at) < 6 or at[-1] < 0.15 * facts.expected_steps:
        return None
    half = len(at) // 2
    early, late = slope(at[: half + 1], loss[: half + 1]), slope(at[half:], loss[half:])
    if late > 0 or late > 0.7 * early:
        return None
    high = _round_rate(min(facts.usual_rate, 10 * facts.learning_rate))
    return (
        f"The loss falls slowly and in a straight line ({loss[0]:.2f} at step {at[0]:,.0f}, {loss[-1]:.2f} now): the rate "
        f"({facts.learning_rate:g}) is too low. Ctrl-C, then bajka train {facts.run} --learning-rate {high}."
    )


def _round_rate(rate: float) -> str:
    """A rate that is easy to type: one digit."""
    return f"{float(f'{rate:.1g}'):g}"


# -- time ----------------------------------------------------------------------------------------------------------


def going_on(curve: Curve, facts: Facts) -> float | None:
    """By how much twice the time would most likely lower the validation loss, in nats a token; None when unsure.

    Where the rate is high the loss falls nearly in a straight line over the logarithm of time; a later and longer
    cooldown adds to that: `_COOLDOWN_ADDS` was measured on runs of ours that were done again for twice as long.
    """
    at, loss = curve.judged("step"), curve.validation
    match facts.schedule:
        case "wsd" if facts.cooldown is not None:
            end = float(facts.cooldown[0])
        case "cosine" | "linear":
            end = 0.6 * float(at[-1])
        case _:
            end = float(at[-1])
    late = (at >= max(1, facts.warmup_steps, 0.35 * end)) & (at <= end) & np.isfinite(loss)
    if late.sum() < 4:
        return None
    falls = facts.schedule in ("wsd", "cosine", "linear")
    gain = -slope(np.log(at[late]), loss[late]) * float(np.log(2)) * (_COOLDOWN_ADDS if falls else 1.0)
    return max(0.0, gain) if gain < 0.1 * loss.min() else None  # a young curve still falls too fast to tell


_COOLDOWN_ADDS = 1.5


def _many(count: int) -> str:
    """A count as one says it: "1.6 million", "50,000"."""
    if count >= 1_000_000:
        return f"{count / 1e6:.2g} million"
    return f"{float(f'{count:.2g}'):,.0f}"
