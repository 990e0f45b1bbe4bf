"""`train`: the caller of the loop. It finds or makes the run, opens a session, trains, and returns the finished run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bajka.checkpoint.checkpoint import remove_old
from bajka.config import Settings, settings_with
from bajka.distributed import join_world
from bajka.errors import Interrupted
from bajka.run import Run, open_run
from bajka.training.clock import Clock
from bajka.training.lasting import lasting
from bajka.training.life import find_run
from bajka.training.opening import data_folder, open_session
from bajka.training.plots import draw_plots
from bajka.training.record import Log
from bajka.training.session import Session
from bajka.training.signals import Signals
from bajka.training.view import ConsoleView, SilentView, View, duration

__all__ = ["data_folder", "train"]


def train(
    texts: str | Path | list[str | Path] | None = None,
    *,
    settings: Settings | None = None,
    view: View | None = None,
    clock: Clock | None = None,
    name: str | None = None,
    **wishes: Any,
) -> Run:
    """Train a model on `texts` (files and folders), or go on with a run given by its folder; returns the finished run.

    `wishes` are settings by their flat names (`minutes=5`, `n_layer=4`, `out="runs/mine"`), on top of `settings`. Blocks
    until the end; progress goes to `view` (default: the terminal). The same call again continues an unfinished run.
    Raises `bajka.errors.BajkaError`: `Interrupted` after a signal, with everything saved.
    """
    clock = clock or Clock()
    if texts is not None:
        wishes["texts"] = [str(texts)] if isinstance(texts, str | Path) else [str(one) for one in texts]
    wanted = settings_with(settings, **wishes)
    with ExitStack() as stack:
        world = stack.enter_context(join_world())
        view = lasting(view or ConsoleView()) if world.speaks else SilentView()
        stack.callback(view.close)
        life = world.first(lambda: find_run(wanted, given=wishes, name=name))
        log = Log(life.run.log_file, view)
        if life.state != "finished":
            world.first(lambda: stack.enter_context(life.run.lock()))
        for line in life.said:
            log.say(line)
        if life.state != "finished":
            _go(open_session(life, log, clock, world))
    return open_run(life.run.path)


def _go(session: Session) -> None:
    """The session to its end; the plots are drawn once everything is saved, but not after a second Ctrl-C."""
    try:
        session.go()
    except Interrupted as stopped:
        with Signals(received=stopped.exit_code - 128):
            if session.world.speaks:
                draw_plots(session.run)
        raise
    session.world.first(lambda: _end(session))


def _end(session: Session) -> None:
    """The last words: how long it took, the best loss, what to type next."""
    run, state = session.run, session.state
    remove_old(run)  # killed while it removed some after the last save, a run is taken up here, with nothing to save
    draw_plots(run)
    seconds = session.clock.seconds()
    session.plan_file["finished"] = {"step": state.step, "seconds": round(seconds, 1)}
    run.write_plan(session.plan_file)
    best = run.read_pointer("best") or {}
    session.log.say(
        f"Finished {state.step:,} steps in {duration(seconds)}. The best model is that of step {best.get('step', 0):,} "
        f"(validation loss {best.get('val_loss', float('nan')):.4f}): {run.model}"
    )
    session.log.say(f'Write with it: bajka generate {run.path} "{(session.inputs.openings or ("",))[0]}"')
