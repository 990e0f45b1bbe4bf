"""Where the teacher of a run comes from: a run of its own inside the run's folder, or a copy of a model that was given.

`runs/alice/teacher` is a whole run, with its curve and its samples, on the prepared text of the run around it. It is
trained before the first step of that, taken up where it was stopped, and its minutes are those of the run.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bajka.checkpoint.mending import mend_plan
from bajka.checkpoint.model_folder import load_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.errors import Interrupted
from bajka.planning.teacher import OWN
from bajka.settings import settings_with, shell_word
from bajka.training.finishing import finish
from bajka.training.life import LENGTHS, MAY_CHANGE, Life, existing, value_of
from bajka.training.opening import open_session
from bajka.training.session import Session
from bajka.training.teacher import Teacher
from bajka.watching.record import Log
from bajka.watching.view import SilentView

_SHAPE = ("n_layer", "n_head", "n_kv_head", "n_embd", "n_inner", "context_length", "tie_embeddings")


def open_teacher(session: Session) -> Teacher | None:
    """The teacher that the plan of a session asks for, trained first if it is its own; None without."""
    teacher = session.plan.teacher
    if teacher is None:
        return None
    folder = session.run.teacher
    if teacher.model == OWN:
        _train(session, RunFolder(folder), epochs=teacher.epochs)
    return Teacher(load_model(str(folder.resolve())).model, session.machine, share=teacher.share)


def _train(session: Session, run: RunFolder, *, epochs: float) -> None:
    """Train the run's own teacher to its end, if that was not done; the clock goes on."""
    life: Life = session.world.first(lambda: _life(session, run, epochs))
    if life.state == "finished":
        over = float(run.plan["finished"]["seconds"])
        session.clock = replace(session.clock, earlier=max(session.clock.earlier, over))
        return
    view, log = session.log.view, Log(run.log_file, SilentView())
    session.log.say(
        f"First its teacher, {run.path}: {'it goes on' if life.state == 'continue' else f'{epochs:g} epochs'}."
    )
    with ExitStack() as stack:
        session.world.first(lambda: stack.enter_context(run.lock()))
        own = open_session(life, log, session.clock, session.world)
        own.plan = replace(own.plan, first_look_step=session.plan.first_look_step)  # it is what the person sees first
        log.view = view
        try:
            own.go()
        except Interrupted as stopped:
            raise _interrupted(session, own, stopped.exit_code - 128) from None
        log.view = SilentView()
        session.world.first(lambda: finish(own))
        if own.signalled:
            raise _interrupted(session, own, own.signalled)
    session.clock = own.clock
    session.log.say("Now the model itself, which learns from the text and from what its teacher expects.")
    view.opened(session.run)


def _interrupted(session: Session, own: Session, signal_number: int) -> Interrupted:
    return Interrupted(
        f"Stopped at step {own.state.step:,} of the teacher; everything is saved. Continue: bajka train "
        f"{shell_word(session.run.path)}",
        signal_number=signal_number,
    )


def _life(session: Session, run: RunFolder, epochs: float) -> Life:
    """A new run of the shape of the one around it, or the one that is there, with what was changed in that meanwhile."""
    wanted = _settings(session, run, epochs)
    if not run.config_file.is_file():
        return Life(run, wanted, "new")
    mend_plan(run)
    life = existing(run, [])
    if life.state != "continue":
        return life if life.state == "finished" else replace(life, settings=wanted)
    changes = {name: value_of(wanted, name) for name in sorted(MAY_CHANGE.difference(LENGTHS))}
    changes = {name: value for name, value in changes.items() if value != value_of(run.settings, name)}
    return replace(life, settings=settings_with(run.settings, **changes), changed=tuple(changes))


def _settings(session: Session, run: RunFolder, epochs: float) -> Settings:
    """Those of the run, with its plan's shape and batches, on its prepared text, for so many epochs."""
    plan = session.plan
    as_often = max(1, math.ceil(plan.evaluate_every_steps * epochs / plan.expected_epochs))
    unset = ("teacher_share", "minutes", "steps", "most_epochs", "limit", "vocab_size", "early_stopping", "average")
    changes: dict[str, Any] = dict.fromkeys(unset) | {name: getattr(plan.model, name) for name in _SHAPE}
    changes |= {"validate_on": (), "encoding": (), "tensorboard": False, "wandb": False}
    folder = Path(session.plan_file["data"]["folder"])
    if (folder / "meta.json").is_file():
        changes["tokenizer"] = "bpe"  # the one that lies beside our ids; that of others' is named in the settings
    changes |= {
        "texts": (str(folder),),
        "out": str(run.path),
        "teacher": "none",
        "epochs": epochs,
        "global_batch_size": plan.global_batch_size,
        "compile": "on" if plan.compile else "off",
        "evaluate_every_steps": session.settings.evaluation.evaluate_every_steps or as_often,
        "evaluation_windows": plan.evaluation_windows,
    }
    return settings_with(session.settings, **changes)
