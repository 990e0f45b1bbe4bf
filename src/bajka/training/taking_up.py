"""Taking up an old run: the checkpoint to go on from, and what the person changed, before a session is opened on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bajka.checkpoint.checkpoint import find_checkpoint, read_checkpoint
from bajka.checkpoint.mending import mend_pointers
from bajka.errors import RunError
from bajka.planning.plan import Plan
from bajka.planning.schedule import Cooldown, read_decisions
from bajka.settings import shell_word, wishes
from bajka.tokenizer import Tokenizer
from bajka.training.extending import (
    check_length,
    check_readings,
    clock_of,
    extended,
    falling,
    gets_longer,
    with_other_length,
)
from bajka.training.life import Life, resumed_settings
from bajka.training.mixed import folders_of, learned_from, reopen_all
from bajka.training.pulse import died_of_memory
from bajka.training.teacher import check_copy, teacher_seconds
from bajka.watching.record import Log


def take_up(life: Life, log: Log) -> tuple[dict[str, Any], Path] | None:
    """Find the checkpoint to go on from and write what changes in plan.json; None when nothing was saved yet."""
    run, settings, document = life.run, life.settings, life.run.plan
    log.begin()
    check_copy(run, document)
    for line in mend_pointers(run):
        log.say(line)
    folder, back = _checkpoint(life, document, log)
    if folder is None:
        if any(line["step"] for line in run.metrics()):
            raise RunError(
                f"The checkpoints of {run.path} are gone, so its training cannot go on. Its model is still there: begin a new "
                f"run from it, bajka train TEXTS --from {shell_word(run.path)}"
            )
        return None
    state = read_checkpoint(folder).state
    document["data"] = run.moved(document["data"])
    document["data"] |= _check_data(life, document, Tokenizer.load(folder), log)
    plan = _with_changes(life, document, state, log, back=back)
    if life.state == "extend" or back:
        # From here the run goes on, now and after a crash, though later checkpoints exist.
        run.write_pointer("last", checkpoint=folder.name, step=state["step"], previous=None)
        document["extended_at"] = state["step"]
        log.say(f"It goes on from step {state['step']:,}{', before its cooldown' if back else ''}.")
    if life.new_length:
        begin = (document["clock"] or {}).get("begin")
        cooldown = plan.schedule.cooldown(None)
        if begin == state["step"]:  # it falls from here on
            run.write_pointer("cooldown", checkpoint=folder.name, step=state["step"])
        elif begin is None and (cooldown is None or cooldown.begin > state["step"]):
            run.remove_pointer("cooldown")  # it may end before it comes to a cooldown of its own
    if "learning_rate" in life.changed:  # the person's own answer to what made the rate fall
        document["rollbacks"] = []
    if "evaluation_windows" in life.changed:  # other windows are easier or harder
        document["judged_since"] = state["step"]
    if document["machine"]["device"] == "cpu" and died_of_memory(run) and plan.micro_batch_size > 1:
        plan = replace(plan, micro_batch_size=-(-plan.micro_batch_size // 2))
        log.say(
            "The last sitting was killed when memory was short: from here on "
            f"{plan.micro_batch_size} sequences at once; the global batch stays {plan.global_batch_size}."
        )
    document |= {"plan": plan.as_dict(), "settings": wishes(settings), "finished": None}
    run.write_plan(document)  # first: should a crash come now, config.toml is written from it
    run.write_settings(settings)
    run.forget_after(state["step"])
    return document, folder


def _checkpoint(life: Life, document: dict[str, Any], log: Log) -> tuple[Path | None, bool]:
    """Where to go on, and whether that is before the rate fell: there a run is made longer."""
    run, pointer = life.run, "last"
    before_fall = run.read_pointer("cooldown")
    if life.state == "extend":
        pointer = "cooldown" if before_fall else "last"
    folder = find_checkpoint(run, pointer, say=log.say)
    if life.new_length and life.state != "extend" and folder is not None:
        state, before = read_checkpoint(folder).state, Plan.from_dict(document["plan"])
        plan = resumed_settings(before, life.settings, life)
        check_length(plan, state, teacher_seconds(run, plan))
        cooldown = falling(before, _decided(document, state), state["step"])
        if before_fall and cooldown is not None and gets_longer(before, plan, cooldown, state):
            folder = find_checkpoint(run, "cooldown", say=log.say)
    back = folder is not None and before_fall is not None and folder.name == before_fall["checkpoint"]
    return folder, back and life.new_length


def _with_changes(life: Life, document: dict[str, Any], state: dict[str, Any], log: Log, *, back: bool) -> Plan:
    """The saved plan with what the person changed; the clock's decisions that still hold are left in `document`."""
    settings, step = life.settings, int(state["step"])
    before = Plan.from_dict(document["plan"])
    plan = resumed_settings(before, settings, life)
    cooldown = falling(before, _decided(document, state), step)
    if "most_epochs" in life.changed:
        check_readings(plan, state)
    if "cooldown_share" in life.changed and not life.new_length and cooldown is not None:
        raise RunError(
            f"cooldown_share = {settings.schedule.cooldown_share:g}, but the rate of {life.run.path} falls already. Leave it "
            "out, or give the run another length too."
        )
    if life.state == "extend":
        if "most_epochs" not in life.changed:  # what ended it before does not end it again
            plan = replace(plan, most_epochs=None)
        plan = extended(plan, state, settings, document["finished"])  # which may refuse: before anything is written
        document["clock"] = clock_of(plan, None, step)
    elif life.new_length:
        document["clock"] = clock_of(plan, None if back else cooldown, step)
        plan = with_other_length(plan, settings, state, teacher_seconds(life.run, plan))
        if plan.minutes is not None and plan.expected_steps == plan.most_steps:
            log.say(
                f"It may end at step {plan.most_steps:,}, when the text was read {plan.most_epochs:g} times, though time may "
                "be left: --most-epochs N for more."
            )
    return plan


def _decided(document: dict[str, Any], state: dict[str, Any]) -> Cooldown | None:
    """What the clock had decided by the step of a checkpoint."""
    return Cooldown.decided(read_decisions(document["clock"], until=state["step"]))


def _check_data(life: Life, document: dict[str, Any], tokenizer: Tokenizer, log: Log) -> dict[str, Any]:
    """Where the run's ids are, prepared again if they are gone; `RunError` when texts or tokenizer are others now."""
    facts, run = document["data"], life.run
    inputs = reopen_all(
        life.settings, facts, parent=run.data_parent, tokenizer=tokenizer, say=log.say, progress=log.view.working
    )
    found = folders_of(inputs)
    now, before = learned_from(found), learned_from(facts)
    if now != before:
        changed = [f"{name or 'data'} {now.get(name)}, was {before.get(name)}" for name in before | now]
        raise RunError(
            f"The texts or the tokenizer are not those of {run.path} ({'; '.join(changed)}). Start a new run, or use "
            f"--from {shell_word(run.path)}."
        )
    return found
