"""Another length for a run. One whose rate has begun to fall goes on from before that, with more minutes, steps or epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bajka.config import Settings
from bajka.errors import RunError
from bajka.planning.looks import early_every
from bajka.planning.plan import Plan
from bajka.planning.recipe import plan_average
from bajka.planning.schedule import Cooldown, Decision, write_decisions
from bajka.planning.shape import Choices
from bajka.training.clock import Pace

MOST_EVALUATIONS = 20
"""Of a run whose length was changed."""


def check_length(plan: Plan, state: dict[str, Any], teacher: float) -> None:
    """Raise `RunError` when an unfinished run was given a length that is over, or will be when its teacher is done, after so
    many seconds; `plan` has the new one."""
    active, step = float(state["active_seconds"]), int(state["step"])
    used, how = max(active, teacher) / 60, "used" if active >= teacher else "used when its teacher is done"
    if plan.minutes is not None and plan.minutes <= used:
        raise RunError(
            f"minutes = {plan.minutes:g}, but {used:.1f} are {how}: those of a run that is not finished are counted from its "
            f"beginning. For {plan.minutes:g} more: --minutes {math.ceil(used + plan.minutes)}. Without it the run goes on as "
            "planned."
        )
    if plan.schedule.steps is not None and plan.schedule.steps <= step:
        raise RunError(
            f"That would be {plan.schedule.steps:,} steps, but {step:,} are done: those of a run that is not finished are "
            "counted from its beginning. Give more, or none to go on as planned."
        )


def check_readings(plan: Plan, state: Mapping[str, Any]) -> None:
    """Raise `RunError` when a run was given fewer readings of its text than it had."""
    most, step = plan.most_steps, int(state["step"])
    if plan.minutes is not None and most is not None and most <= step:
        done = plan.most_epochs * step / most if plan.most_epochs is not None else 0.0
        raise RunError(
            f"most_epochs = {plan.most_epochs:g}, but the text was read {done:.3g} times already. Give more, or leave it out."
        )


def falling(before: Plan, decided: Cooldown | None, step: int) -> Cooldown | None:
    """The cooldown in which a run stands after `step` steps; None while its rate has not begun to fall."""
    cooldown = before.schedule.cooldown(decided)
    return cooldown if cooldown is not None and cooldown.steps and cooldown.begin < step else None


def gets_longer(before: Plan, plan: Plan, cooldown: Cooldown, state: Mapping[str, Any]) -> bool:
    """Whether a run whose rate falls in `cooldown` gets more steps or more time by its new `plan`."""
    if plan.schedule.steps is not None:
        return plan.schedule.steps > cooldown.end
    assert plan.minutes is not None
    if before.minutes is not None:
        return plan.minutes > before.minutes
    return 60 * plan.minutes > float(state["active_seconds"]) * cooldown.end / max(1, int(state["step"]))


def clock_of(plan: Plan, cooldown: Cooldown | None, step: int) -> dict[str, Any] | None:
    """What plan.json holds under "clock" for an unfinished run that gets another length after `step` steps: its rate goes on
    from where it stands in `cooldown`, and where a shorter run's would have begun to fall before, it begins now."""
    decisions = [] if cooldown is None else [Decision(cooldown.begin, cooldown.steps), *cooldown.corrections]
    if plan.schedule.steps is not None:
        own = plan.schedule.cooldown(None)
        if decisions or (plan.schedule.name == "wsd" and own is not None and own.begin < step):
            decisions.append(Decision(step, plan.schedule.steps - step))
    return write_decisions(decisions) if decisions else None


def with_other_length(plan: Plan, settings: Settings, state: Mapping[str, Any], teacher: float) -> Plan:
    """An unfinished run's plan, with another length in it, expecting what that means beside so many seconds of a teacher; of
    its result nothing."""
    steps = plan.schedule.steps
    if steps is None:
        assert plan.minutes is not None
        tokens = (60 * plan.minutes - teacher) * _speed(plan, state) / (1 + plan.evaluation_share)
        steps = int(tokens / (plan.global_batch_size * plan.model.context_length)) or plan.expected_steps
        steps = min(steps, plan.most_steps or steps)
    return _expecting(plan, steps, settings)


def extended(plan: Plan, state: dict[str, Any], settings: Settings, finished: dict[str, Any]) -> Plan:
    """A finished run's plan with more minutes, steps or epochs, counted from the checkpoint it goes on from; `RunError`
    when it would end before the end that it had. What was expected of the first length is expected no more."""
    wish, step = settings.schedule, int(state["step"])
    if wish.minutes is not None:
        before = float(state["active_seconds"]) / 60
        end = finished["seconds"] / 60
        if before + wish.minutes < 0.9 * end:
            raise RunError(
                f"minutes = {wish.minutes:g}, but it goes on from minute {before:.1f}, before the rate fell, and had ended at "
                f"minute {end:.1f}: it would become shorter. Give at least --minutes {math.ceil(end - before)}."
            )
        tokens = 60 * wish.minutes * _speed(plan, state)
        plan = replace(plan, minutes=before + wish.minutes, schedule=replace(plan.schedule, steps=None))
        return _expecting(plan, step + int(tokens / (plan.global_batch_size * plan.model.context_length)), settings)
    more = wish.steps
    if more is None:
        assert wish.epochs is not None
        more = max(1, round(wish.epochs * plan.expected_steps / max(plan.expected_epochs, 1e-9)))
    if step + more < finished["step"]:
        raise RunError(
            f"It goes on from step {step:,}, before the rate fell, and had ended at step {finished['step']:,}: with {more:,} "
            f"more it would become shorter. Give at least --steps {finished['step'] - step}."
        )
    longer = replace(plan, minutes=None, schedule=replace(plan.schedule, steps=step + more))
    return _expecting(longer, step + more, settings)


def _speed(plan: Plan, state: Mapping[str, Any]) -> float:
    """Tokens a second: as planned, or on another machine than the planned one as of late."""
    if plan.expected_tokens_per_second:
        return plan.expected_tokens_per_second
    pace = Pace()
    pace.load(state.get("pace", {}))
    return plan.global_batch_size * plan.model.context_length / pace.mean()


def _expecting(plan: Plan, steps: int, settings: Settings) -> Plan:
    """The plan of a run of so many steps in all, of whose result nothing is expected; evaluations that nobody set are no
    more than `MOST_EVALUATIONS`, early stopping looks and averages as a new run of that length would."""
    steps = max(1, steps)
    epochs = plan.expected_epochs * steps / max(1, plan.expected_steps)
    every = plan.evaluate_every_steps
    if settings.evaluation.evaluate_every_steps is None:
        every = max(every, -(-steps // MOST_EVALUATIONS))
    looking = settings.schedule.early_stopping_every_steps or early_every(settings, steps)
    return replace(
        plan,
        expected_steps=steps,
        expected_epochs=epochs,
        expected_bits_per_byte=None,
        expectation=None,
        evaluate_every_steps=every,
        early_stopping_every_steps=looking,
        average=plan_average(settings, steps, epochs, Choices()),
    )
