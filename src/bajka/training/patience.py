"""Looks at the validation loss between evaluations, for those who lower the rate or end the run when it no longer improves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bajka.planning.schedule import Cooldown, Decision, read_decisions, write_decisions
from bajka.training.look import validation_loss
from bajka.training.sharding import whole

if TYPE_CHECKING:
    from bajka.training.session import Session


def look(session: Session) -> None:
    """Show the validation loss to reduce-on-plateau and to early stopping, if one of them looks after this step.

    Early stopping judges the average of the weights too, if there is one. It ends a run at once, but for schedule wsd
    while its rate is high: there most is learnt while it falls, so it falls now, for as many steps as it would after a run
    of that length, and the run ends with it, whatever is seen meanwhile. In a cooldown that came by itself it begins anew.
    """
    state = session.state
    plateau = state.plateau if state.plateau is not None and state.step % state.plateau.every_steps == 0 else None
    stopper = state.stopper if state.stopper is not None and state.step % state.stopper.every_steps == 0 else None
    if (session.plan_file["clock"] or {}).get("patience") and not _is_high(session):
        stopper = None  # it has spoken
    if plateau is None and stopper is None:
        return
    began = session.clock.seconds()
    if stopper is not None and _begins_to_fall(session, stopper.every_steps):
        stopper.waited = 0
    loss = _loss(session)
    if plateau is not None and plateau.look(loss):
        _say(session, f"the rate is now {plateau.share:.3g} of its peak")
    if stopper is not None and stopper.look(min(loss, _loss_of_average(session))):
        if _is_high(session):
            stopper.waited = 0
            _say(session, f"the rate falls for {_fall(session):,} steps, and the run ends then")
        else:
            _say(session, "the run stops")
    session.pace.spent("looks", session.clock.seconds() - began)


def _loss(session: Session) -> float:
    with whole(session.state.model):
        found = validation_loss(session.state.model, session.inputs, session.plan, session.machine)
    return session.world.largest(found.loss)


def _loss_of_average(session: Session) -> float:
    average = session.state.average
    if average is None or not average.ready:
        return float("inf")
    with average.in_place_of(session.state.model):
        return _loss(session)


def _say(session: Session, what: str) -> None:
    session.log.say(f"Step {session.state.step:,}: validation has not improved; {what}.")


def _is_high(session: Session) -> bool:
    """Whether the rate is still to fall before the end."""
    cooldown = session.plan.schedule.cooldown(session.state.cooldown)
    begun = cooldown is not None and cooldown.begin < session.state.step
    return session.plan.schedule.name == "wsd" and not begun


def _begins_to_fall(session: Session, every_steps: int) -> bool:
    """Whether this is the first look in the cooldown of schedule wsd."""
    cooldown = session.plan.schedule.cooldown(session.state.cooldown)
    last = session.state.step - every_steps
    return session.plan.schedule.name == "wsd" and cooldown is not None and last <= cooldown.begin < session.state.step


def _fall(session: Session) -> int:
    """Begin the cooldown now, written down before it takes effect; gives its steps. After a crash it is repeated here."""
    state, schedule = session.state, session.plan.schedule
    clock = session.plan_file["clock"] or {}
    decisions = read_decisions(clock, until=state.step)
    if not decisions:
        share = schedule.cooldown_share
        steps = max(1, round(state.step * share / (1.0 - share))) if share < 1.0 else 1
        if schedule.steps is not None:
            steps = min(steps, schedule.steps - state.step)
        decisions = [Decision(state.step, steps, round(session.clock.seconds(), 3))]
    if not clock.get("patience"):
        session.plan_file["clock"] = write_decisions(decisions) | {"patience": True}
        session.world.first(lambda: session.run.write_plan(session.plan_file))
    state.cooldown = Cooldown.decided(decisions)
    assert state.cooldown is not None
    return state.cooldown.end - state.step
