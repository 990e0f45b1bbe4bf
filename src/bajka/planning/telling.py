"""What to expect of a plan, in a few lines for a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bajka.planning.expectation import Expectation

if TYPE_CHECKING:
    from bajka.planning.plan import Plan


def expected_lines(plan: Plan, now: datetime | None) -> list[str]:
    """Steps, speed and end of the run; bits a byte and loss as intervals; what limits it and what more would bring."""
    length = f" in {plan.minutes:g} minutes" if plan.minutes is not None else ""
    lines = [
        f"Expected{length}: {plan.expected_steps:,} steps at about {plan.expected_tokens_per_second:,.0f} tokens/s, "
        f"{plan.expected_epochs:.1f} epochs{_done(plan, now)}."
    ]
    if plan.minutes is not None:
        lines.append(
            f"Evaluations, samples and saves: about {100 * plan.evaluation_share:.0f} % of the time beside the steps."
        )
    if plan.expectation is None:
        return lines
    found = plan.expectation
    low, high = found.bits_per_byte["low"], found.bits_per_byte["high"]
    lines.append(
        f"Expected result: {low:.2f} to {high:.2f} bits a byte, a loss of {found.loss['low']:.2f} to "
        f"{found.loss['high']:.2f} a token of this vocabulary (from runs like this one; six of seven end inside)."
    )
    return [*lines, _limit(found)]


def _limit(found: Expectation) -> str:
    """Whether time or text is what the result lacks most, by what twice of each would bring."""
    middle = (found.bits_per_byte["low"] + found.bits_per_byte["high"]) / 2
    time, text = (max(0.0, 100 * (1 - bits / middle)) for bits in (found.twice_time, found.twice_text))
    less = "Text, more than time, is the limit" if found.limit == "text" else "Time, more than text, is the limit"
    return f"{less}: twice the time would lower this by about {time:.0f} %, twice the text by about {text:.0f} %."


def _done(plan: Plan, now: datetime | None) -> str:
    if now is None or not plan.expected_seconds:
        return ""
    end = now + timedelta(seconds=plan.expected_seconds)
    day = "" if end.date() == now.date() else f"{end:%A} "
    return f"; done at about {day}{end:%H:%M}"
