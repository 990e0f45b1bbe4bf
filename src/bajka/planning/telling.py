"""A plan in lines for a person: every number with its reason, and what to expect."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bajka.model.estimate import flops_per_token, parameters
from bajka.planning.expectation import Expectation

if TYPE_CHECKING:
    from bajka.planning.plan import Plan


def describe(plan: Plan, *, began: datetime | None = None) -> list[str]:
    """The plan as lines for a person: the shape, every chosen number with its reason, what to expect, then notes.

    `began` is when the command began, to tell when the run will be done.
    """
    m = plan.model
    lines = [
        f"Model: {m.family}, {parameters(m):,} weights ({parameters(m, embeddings=False):,} without embeddings), "
        f"{flops_per_token(m) / 1e6:,.1f} MFLOP a token, about {plan.expected_memory_bytes / 2**20:,.0f} MB to train."
    ]
    values = (
        plan.__dict__
        | asdict(plan.recipe)
        | asdict(plan.schedule)
        | {"schedule": plan.schedule.name, "average": plan.average.kind, "average_decay": plan.average.decay}
        | (
            {"teacher": plan.teacher.model, "teacher_share": plan.teacher.share}
            if plan.teacher
            else {"teacher": "none"}
        )
        | m.model_dump()
    )
    lines += [f"  {name} = {_short(values.get(name))}: {reason}" for name, reason in plan.reasons.items()]
    return [*lines, *expected_lines(plan, began), *plan.notes]


def _short(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def expected_lines(plan: Plan, began: datetime | None) -> list[str]:
    """Steps, speed and end of the run; bits a byte and loss as intervals; what limits it and what more would bring."""
    length = "" if plan.minutes is None else f" in {_length(plan, plan.minutes)}"
    epochs = plan.expected_epochs
    lines = [
        f"Expected{length}: {_teacher(plan)}{plan.expected_steps:,} steps at about "
        f"{plan.expected_tokens_per_second:,.0f} tokens/s, {epochs:.{1 if epochs >= 0.1 else 4}f} epochs{_done(plan, began)}."
    ]
    if plan.minutes is not None:
        share = plan.evaluation_share / (1 + plan.evaluation_share)
        lines.append(f"Evaluations, samples and saves: about {100 * share:.0f} % of the time for training.")
    if plan.expectation is None:
        return lines
    found = plan.expectation
    low, high = found.bits_per_byte["low"], found.bits_per_byte["high"]
    lines.append(
        f"Expected result: {low:.2f} to {high:.2f} bits a byte, a loss of {found.loss['low']:.2f} to "
        f"{found.loss['high']:.2f} a token of this vocabulary (from runs like this one; six of seven end inside)."
    )
    return [*lines, _limit(found)]


def _length(plan: Plan, minutes: float) -> str:
    """The minutes, and how much of them a run needs that ends long before."""
    given, seconds = f"{minutes:g} minute{'' if minutes == 1 else 's'}", plan.expected_seconds
    if not 0 < seconds < 0.8 * 60 * minutes:
        return given
    needed = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f}"
    return f"about {needed} of {given}"


def _teacher(plan: Plan) -> str:
    """What comes before the steps of the run: its own teacher, if it trains one."""
    if plan.teacher is None or not plan.teacher.epochs:
        return ""
    return f"a teacher ({plan.teacher.epochs:g} epochs, about {plan.teacher.seconds:,.0f} s), then "


def _limit(found: Expectation) -> str:
    """What the result lacks most, time or text or only both together, by what twice of each would bring."""
    middle = (found.bits_per_byte["low"] + found.bits_per_byte["high"]) / 2
    time, text, both = (
        f"about {percent:.0f} %" if percent >= 1 else "less than 1 %"
        for bits in (found.twice_time, found.twice_text, found.twice_both or middle)
        for percent in [100 * (1 - bits / middle)]
    )
    if found.limit == "both":
        return (
            "Time and text end together: twice the time alone, or twice the text alone, would lower this by less than 1 %, "
            f"both by {both}."
        )
    less = "Text, more than time, is the limit" if found.limit == "text" else "Time, more than text, is the limit"
    return f"{less}: twice the time would lower this by {time}, twice the text by {text}."


def _done(plan: Plan, began: datetime | None) -> str:
    if began is None or not plan.expected_seconds:
        return ""
    end = began + timedelta(seconds=plan.expected_seconds)
    day = "" if end.date() == began.date() else f"{end:%A} "
    return f"; done at about {day}{end:%H:%M}"
