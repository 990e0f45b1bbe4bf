"""The last words of a run: what came of the plan, what limited the result, what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from bajka.coaching.coach import going_on, overfitting
from bajka.coaching.curve import Curve, Line
from bajka.coaching.facts import Facts

Limit = Literal["text", "time", "neither", "rate"]


def conclude(lines: Sequence[Line], facts: Facts, *, prompt: str = "") -> list[str]:
    """About six lines for the end of a finished run, from all lines of its metrics.jsonl; `prompt` is for the example.

    Nothing for a run without two evaluations and a step.
    """
    curve = Curve.of(lines)
    if len(curve.evaluations) < 2 or not curve.steps:
        return []
    limit = what_limited(curve, facts)
    return [_expectation(curve, facts), _limit(limit, curve, facts), "Next:", *_commands(limit, curve, facts, prompt)]


def what_limited(curve: Curve, facts: Facts) -> Limit:
    """What held the result back: too little text, too little time, a rate at which nothing is learnt, or none of them."""
    validation, best = curve.validation, curve.best
    early = best < 0.8 * (len(validation) - 1) and validation[-1] > 1.005 * validation[best]
    if overfitting(curve, facts) or (early and _gap(curve) > 0.05) or _read_out(curve, facts):
        return "text"
    if _came_apart(curve):
        return "rate"
    few = curve.steps[-1]["step"] < 3 * max(10, facts.warmup_steps)
    far = not (1 / 30 if facts.fine_tuned else 1 / 3) < facts.learning_rate / facts.usual_rate < 3
    if not few and far and facts.unigram_loss is not None and validation[best] > 0.98 * facts.unigram_loss:
        return "rate"
    gain = going_on(curve, facts)
    more = _still_falls(curve, facts) if gain is None else gain > max(0.01 * validation[best], 0.01)
    if few or (more and not _stands_still(curve)):
        return "time"
    return "text" if _gap(curve) > 0.15 else "neither"


def _read_out(curve: Curve, facts: Facts) -> bool:
    """Whether the run had read the text about as often as it may: more time alone would bring hardly any more readings."""
    return facts.most_epochs is not None and float(curve.steps[-1].get("epoch", 0.0)) >= 0.9 * facts.most_epochs


def _came_apart(curve: Curve) -> bool:
    """Whether both losses ended far above what they were at the best model."""
    validation, sample, best = curve.validation, curve.sample, curve.best
    return bool(validation[-1] > 1.05 * validation[best] and sample[-1] > 1.05 * sample[best])


def _stands_still(curve: Curve) -> bool:
    """Whether the last two fifths of the run brought less than half a percent."""
    at, validation = curve.judged("step"), curve.validation
    return bool(validation[at <= 0.6 * at[-1]].min() < 1.005 * validation.min())


def _still_falls(curve: Curve, facts: Facts) -> bool:
    """Whether validation fell well in the second half of the time before the rate fell: all that a young curve can tell."""
    at, validation = curve.judged("step"), curve.validation
    steady = validation[at <= max(at[1], facts.cooldown[0] if facts.cooldown else at[-1])]
    return bool(steady[-1] < 0.98 * steady[len(steady) // 2 - 1])


# -- the lines ---------------------------------------------------------------------------------------------------


def _expectation(curve: Curve, facts: Facts) -> str:
    """Steps, speed and bits per byte: planned, and come."""
    steps, speeds = int(curve.steps[-1]["step"]), curve.of_steps("tokens_per_second")
    parts, planned = [], facts.expected_tokens_per_second  # 0 on another machine than that of the plan
    if facts.minutes is not None and planned:
        parts.append(f"{steps:,} {'step' if steps == 1 else 'steps'} (planned about {facts.expected_steps:,})")
    if np.isfinite(speeds).any():
        beside = f" (planned about {_two(planned)})" if planned else ""
        parts.append(f"{_two(float(np.nanmedian(speeds)))} tokens a second{beside}")
    bits = curve.evaluations[curve.best].get("val_bits_per_byte")
    if bits is not None and facts.expected_bits_per_byte is not None:
        low, high = facts.expected_bits_per_byte
        better = "better than" if bits < low else "worse than" if bits > high else "as"
        digits = 2 if low <= bits <= high else 3  # 1.190 is not worse than 1.19 to any reader
        between = f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"
        parts.append(f"{bits:.3f} bits a byte, {better} expected ({between})")
    return f"What came of the plan: {'; '.join(parts)}."


def _limit(limit: Limit, curve: Curve, facts: Facts) -> str:
    read = _read(float(curve.steps[-1].get("epoch", facts.expected_epochs)))
    best = curve.validation[curve.best]
    tenth = _last_tenth(curve)
    match limit:
        case "text":
            at = curve.evaluations[curve.best]["step"]
            whole = curve.steps[-1]["step"]
            when = "" if at >= 0.9 * whole else f", and the best model came at step {at:,} of {whole:,}"
            often = read.replace("the text", "it")
            return f"The text was the limit: {often}{when}. Going on would hardly help; more text would."
        case "time":
            gain = going_on(curve, facts)
            still = f", and the last tenth of the run still lowered the validation loss by {tenth:.2f}, to {best:.2f}"
            more = f" Twice the time would most likely lower it to about {best - gain:.2f}." if gain else ""
            return f"The time was the limit: {read}{still if tenth >= 0.005 else ''}.{more}"
        case "rate" if _came_apart(curve):
            return (
                f"After step {curve.evaluations[curve.best]['step']:,} the loss went up ({best:.2f} then, "
                f"{curve.validation[-1]:.2f} at the end) and did not come back: the rate ({facts.learning_rate:g}) was too "
                "high. The model of that step is kept."
            )
        case "rate":
            return (
                f"The model learnt almost nothing (validation loss {best:.2f}): the rate ({facts.learning_rate:g}) does not "
                f"fit. Start anew with --learning-rate {facts.usual_rate:.1g}, or leave it out."
            )
        case "neither":
            larger = "" if facts.fine_tuned else " A larger model may learn more from this text."
            return (
                f"Neither text nor time was the limit: {read}, and the last tenth of the run changed the validation loss by "
                f"only {max(0.0, tenth):.3f}.{larger}"
            )


def _commands(limit: Limit, curve: Curve, facts: Facts, prompt: str) -> list[str]:
    """What to type, and why, in two columns."""
    said = prompt.replace('"', "'")
    found = [(f'bajka generate {facts.run} "{said}"', "writes with the best model")]
    match limit:
        case "time":
            minutes, more = _minutes(curve, facts)
            found.append((f"bajka train {facts.run} --minutes {minutes}", more))
        case "text":
            found.append((f"bajka train {facts.run} --add MORE_TEXTS", "a new run from these weights, with more text"))
        case "rate" | "neither":
            pass
    found.append((f"bajka evaluate {facts.run}", "judges it: bits per byte and per letter, perplexity"))
    width = max(len(command) for command, _ in found)
    return [f"  {command:<{width}}   {why}" for command, why in found]


def _minutes(curve: Curve, facts: Facts) -> tuple[int, str]:
    """Minutes that make the run about twice as long, and what they do; under wsd it goes on from before its cooldown,
    whose time is lost."""
    total = float(curve.steps[-1].get("seconds", 60.0)) / 60
    lost = 0.0
    if facts.schedule == "wsd" and facts.cooldown:
        lost = facts.cooldown[1] / max(1, sum(facts.cooldown))
    minutes = total * (1 + lost)
    if minutes < 0.75:
        return 1, "goes on for a minute"
    return round(minutes) if minutes < 10 else round(minutes / 5) * 5, "goes on: about twice as long in all"


def _read(epochs: float) -> str:
    """How much of the text was read, or how often."""
    if epochs < 0.95:
        return f"only {max(0.001, epochs):.{0 if epochs >= 0.1 else 1}%} of the text was read"
    return "the text was read once" if epochs < 1.5 else f"the text was read {epochs:.0f} times"


# -- numbers -----------------------------------------------------------------------------------------------------


def _last_tenth(curve: Curve) -> float:
    """By how much the best validation loss fell in the last tenth of the steps, straight lines between evaluations."""
    at, best = curve.judged("step"), np.minimum.accumulate(curve.validation)
    return float(np.interp(0.9 * at[-1], at, best) - best[-1])


def _gap(curve: Curve) -> float:
    """How far validation lies above the training sample where it is best, as a share of it."""
    return float((curve.validation[curve.best] - curve.sample[curve.best]) / curve.validation[curve.best])


def _two(value: float) -> str:
    """Two digits that count."""
    return f"{float(f'{value:.2g}'):,.0f}"
