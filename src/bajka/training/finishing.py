"""What is left to do when a run has come to its end."""

from __future__ import annotations

from bajka.checkpoint.checkpoint import remove_old
from bajka.errors import DiskError
from bajka.training.session import Session
from bajka.training.telling import last_words
from bajka.watching.plots import draw_plots


def finish(session: Session) -> None:
    """Plots, plan.json, last words."""
    remove_old(
        session.run
    )  # killed while it removed some after the last save, a run is taken up here, with nothing to save
    draw(session)
    seconds = round(session.clock.seconds(), 1)
    session.plan_file["finished"] = {"step": session.state.step, "seconds": seconds}
    session.run.write_plan(session.plan_file)
    last_words(session)


def draw(session: Session) -> None:
    """Both plots; a disk that refuses them is said, and no reason to fail: they can be drawn again from the numbers."""
    try:
        draw_plots(session.run)
    except (DiskError, ArithmeticError, ValueError) as error:
        session.log.say(f"Warning: the plots could not be drawn: {error}")
