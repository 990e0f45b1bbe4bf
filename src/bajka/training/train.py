"""`train`: the caller of the loop. It finds or makes the run, opens a session, trains, and returns the finished run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bajka.config import Settings
from bajka.distributed import join_world, network_warning
from bajka.errors import Interrupted, SettingsError
from bajka.hardware import torch_as_before
from bajka.paths import typed
from bajka.run import Run, open_run
from bajka.settings import load_settings, settings_with
from bajka.settings import wishes as settings_wishes
from bajka.training.clock import Clock
from bajka.training.finishing import draw, finish
from bajka.training.life import find_run, with_more_text
from bajka.training.opening import open_session
from bajka.training.session import Session
from bajka.training.signals import Signals
from bajka.training.teaching import open_teacher
from bajka.watching.lasting import lasting
from bajka.watching.record import Log
from bajka.watching.view import ConsoleView, SilentView, View

__all__ = ["train"]


def train(
    texts: str | Path | list[str | Path] | None = None,
    *,
    settings: Settings | None = None,
    view: View | None = None,
    clock: Clock | None = None,
    name: str | None = None,
    add: str | Path | Sequence[str | Path] = (),
    **wishes: Any,
) -> Run:
    """Train a model on `texts` (files and folders), or go on with a run given by its folder; returns the finished run.

    With `add`, `texts` is a run: a new run begins from its weights, with its tokenizer, on its texts and these.

    `texts` may be a settings page (.toml) too. `wishes` are settings by their flat names (`minutes=5`, `n_layer=4`,
    `out="runs/mine"`), on top of `settings`. Blocks until the end; progress goes to `view` (default: the terminal). The same
    call again continues an unfinished run. Threads, random numbers and determinism of torch are afterwards as they were.
    Raises `bajka.errors.BajkaError`: `Interrupted` after a signal, with everything saved.
    """
    clock = clock or Clock()
    wishes = {one: _plain(value) for one, value in wishes.items()}
    if add:
        if settings is not None:
            raise SettingsError("add = TEXTS takes the settings of the run that it goes on from: leave settings out.")
        settings, texts = _grown(texts, [add] if isinstance(add, str | Path) else add), None
    elif isinstance(texts, str | Path) and str(texts).endswith(".toml"):
        if settings is not None:
            raise SettingsError(f"Give the settings page {texts} or settings, not both.")
        settings, name, texts = load_settings(typed(texts)), name or Path(texts).stem, None
    if texts is not None:
        wishes["texts"] = [str(texts)] if isinstance(texts, str | Path) else [str(one) for one in texts]
    wanted = settings_with(settings, **wishes)
    try:
        return _train(wanted, view, clock, name)
    except Interrupted as stopped:
        raise stopped.with_traceback(None) from None  # a notebook keeps the last one, and with it model and optimizer


def _train(wanted: Settings, view: View | None, clock: Clock, name: str | None) -> Run:
    """`train`, with everything that was asked for in its place."""
    with ExitStack() as stack:
        stack.enter_context(torch_as_before())
        world = stack.enter_context(join_world())
        view = lasting(view or ConsoleView()) if world.speaks else SilentView()
        stack.callback(view.close)
        life = world.first(lambda: find_run(wanted, given=_given(wanted), name=name))
        log = Log(life.run.log_file, view)
        if life.state != "finished":
            world.first(lambda: stack.enter_context(life.run.lock()))
        for line in (network_warning(world), *life.said):
            if line is not None:
                log.say(line)
        if life.state != "finished":
            _go(open_session(life, log, clock, world))
    return open_run(life.run.path)


def _given(settings: Settings) -> dict[str, Any]:
    """What was set in `settings`, by flat names."""
    return {name: value for section in settings_wishes(settings).values() for name, value in section.items()}


def _plain(value: Any) -> Any:
    """A path as a setting can hold it."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _grown(texts: str | Path | list[str | Path] | None, add: Sequence[str | Path]) -> Settings:
    """The settings of a run that goes on from another one with more texts."""
    if not isinstance(texts, str | Path):
        raise SettingsError("add = TEXTS goes on from one run: bajka train runs/NAME --add TEXTS")
    return with_more_text(texts, [str(one) for one in add])


def _go(session: Session) -> None:
    """The session to its end; the plots are drawn once everything is saved, but not after a second Ctrl-C."""
    try:
        session.go(open_teacher)
    except Interrupted as stopped:
        with Signals(received=stopped.exit_code - 128):
            if session.world.speaks:
                draw(session)
        raise
    session.log.view.close()
    session.world.first(lambda: finish(session))
