"""Saving and taking up again: what of a session goes into a checkpoint, and how it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bajka.checkpoint.checkpoint import AVERAGE, Checkpoint, mark_best, save_checkpoint, verify
from bajka.checkpoint.model_folder import save_tensors, write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.checkpoint.space import check_space, checkpoint_bytes
from bajka.distributed import World
from bajka.errors import DamagedFileError, NumericsError
from bajka.hardware import Machine
from bajka.model.convert import load_hugging_face_weights, to_hugging_face_weights
from bajka.training.plan import Plan
from bajka.training.schedule import Cooldown
from bajka.training.steps import TrainingState

if TYPE_CHECKING:
    from bajka.training.session import Session


def save(session: Session, *, before_cooldown: bool = False) -> None:
    """A checkpoint of this moment, durable when this returns.

    Raises `NumericsError`, and writes nothing, when a weight or a tensor of the optimizer is no number.
    """
    session.world.first(lambda: _save(session, before_cooldown=before_cooldown))


def check_disk(session: Session) -> None:
    """Before the first step: warn, or raise `DiskError`, when the disk has no room for this run's checkpoints."""
    session.world.first(lambda: check_space(session.run, _bytes_of(session), say=session.log.say))


def _bytes_of(session: Session) -> int:
    state = session.state
    averages = 0 if state.average is None else 2  # as part of the state, and as a model
    size = checkpoint_bytes(state.model, session.inputs.tokenizer, state.optimizer.state())
    return size + averages * sum(p.nbytes for p in state.model.parameters())


def _save(session: Session, *, before_cooldown: bool) -> None:
    state = session.state
    tensors = saved_tensors(state)
    refuse_broken(dict(state.model.named_parameters()) | tensors)
    session.record.flush()
    save_checkpoint(
        session.run,
        state.step,
        write_model=lambda folder: _write_models(session, folder),
        tensors=tensors,
        state=saved_state(session),
        before_cooldown=before_cooldown,
        needs=_bytes_of(session),
    )


def _write_models(session: Session, folder: Path) -> None:
    """The model as it is; and, in the same names, the average of the weights when there is one."""
    state = session.state
    write_model_folder(folder, state.model, session.inputs.tokenizer)
    if state.average is not None and state.average.ready:
        with state.average.in_place_of(state.model):
            save_tensors(folder / AVERAGE, to_hugging_face_weights(state.model))


def keep_as_best(session: Session, loss: float, *, average: bool) -> None:
    """The checkpoint of this step holds the best model so far: as it is, or as the average of its weights."""
    mark_best(session.run, step=session.state.step, val_loss=loss, average=average)


def refuse_broken(tensors: Mapping[str, Tensor]) -> None:
    """Raise `NumericsError` when one of `tensors` holds something that is not a number."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise NumericsError(f"What training keeps in {name} is no longer a number")


def saved_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Every tensor of the state but the weights, by stable names; the tensors themselves, not copies."""
    return state.optimizer.state() | ({} if state.average is None else state.average.state())


def saved_state(session: Session) -> dict[str, Any]:
    """What `state.json` holds. The clock's decision and returns to earlier checkpoints are not here: they stand in
    plan.json, before they take effect."""
    state = session.state
    return {
        "step": state.step,
        "position": state.position,
        "skipped": state.skipped,
        "plateau": None if state.plateau is None else state.plateau.state(),
        "stopper": None if state.stopper is None else state.stopper.state(),
        "scaler": None if state.scaler is None else state.scaler.state_dict(),
        "active_seconds": session.clock.seconds(),
        "pace": session.pace.state(),
        "machine": machine_facts(session.machine, session.plan, session.world),
        "plan": session.plan_file,  # should plan.json be damaged
    }


def restore(session: Session, checkpoint: Checkpoint) -> None:
    """Begin where a checkpoint was made; says what differs from the machine of then."""
    saved = checkpoint.state
    take_over(session, checkpoint)
    session.best_loss = best_loss(session.run)
    session.clock = replace(session.clock, earlier=float(saved["active_seconds"]))
    if "pace" in saved:
        session.pace.load(saved["pace"])
    session.resumed = True
    now = machine_facts(session.machine, session.plan, session.world)
    changed = [f"{k} {saved['machine'].get(k)} -> {v}" for k, v in now.items() if saved["machine"].get(k) != v]
    if changed:
        session.log.say(f"Continues, but not to the same bits: {', '.join(changed)}.")


def take_over(session: Session, checkpoint: Checkpoint) -> None:
    """Make the state that of a checkpoint: weights, optimizer, averages, position, rate."""
    saved, state, source = checkpoint.state, session.state, str(checkpoint.folder)
    load_hugging_face_weights(state.model, checkpoint.weights, source=source)
    state.optimizer.load(checkpoint.tensors, source=source)
    if state.average is not None:
        state.average.load(checkpoint.tensors, state.model, source=source)
    state.step, state.position, state.skipped = saved["step"], saved["position"], list(saved["skipped"])
    decided = session.plan_file["clock"]
    state.cooldown = Cooldown(**decided) if decided and decided["begin"] <= state.step else None
    state.rate_share = rate_share(session.plan_file, state.step)
    if state.plateau is not None and saved["plateau"]:
        state.plateau.load(saved["plateau"])
    if state.stopper is not None and saved.get("stopper"):
        state.stopper.load(saved["stopper"])
    if state.scaler is not None and saved["scaler"]:
        state.scaler.load_state_dict(saved["scaler"])


def rate_share(plan_file: Mapping[str, Any], step: int) -> float:
    """What the rate is multiplied by after `step`, for the returns to earlier checkpoints that plan.json knows of."""
    return min((one["rate_share"] for one in plan_file.get("rollbacks", ()) if one["to_step"] <= step), default=1.0)


def best_loss(run: RunFolder) -> float:
    """Validation loss of the best model so far; infinite when there is none, or its checkpoint is no longer good."""
    best = run.read_pointer("best") or {}
    try:
        verify(run.checkpoints / Path(best["checkpoint"]).name)
        return float(best["val_loss"])
    except (DamagedFileError, KeyError, TypeError, ValueError):
        return float("inf")


def machine_facts(machine: Machine, plan: Plan, world: World) -> dict[str, Any]:
    """What must be the same for the same bits."""
    return {
        "device": machine.kind,
        "name": machine.name,
        "threads": machine.threads,
        "precision": machine.precision,
        "compile": plan.compile,
        "torch": machine.torch_version,
        "processes": world.size,
        "micro_batch_size": plan.micro_batch_size,
    }
