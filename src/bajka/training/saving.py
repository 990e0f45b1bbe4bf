"""Saving and taking up again: what of a session goes into a checkpoint, and how it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from bajka.model.convert import load_hugging_face_weights, to_hugging_face_weights
from bajka.model.transformer import Transformer
from bajka.planning.schedule import Cooldown, read_decisions
from bajka.training.sharding import gather, gathered_model, is_sharded, keep_own
from bajka.training.steps import TrainingState

if TYPE_CHECKING:
    from bajka.training.session import Session


@dataclass(frozen=True)
class _Snapshot:
    """What is written of a moment: whole tensors, on the first process; of the others only what they have anyway.

    `average` is the model's average in the names of its file; empty when there is none.
    """

    model: Transformer
    tensors: dict[str, Tensor]
    average: dict[str, Tensor]


def save(session: Session, *, before_cooldown: bool = False) -> None:
    """A checkpoint of this moment, durable when this returns. All processes call it together.

    Raises `NumericsError`, and writes nothing, when a weight or a tensor of the optimizer is no number.
    """
    shot = _snapshot(session.state, session.world)
    _refuse_broken(shot, session.world)
    session.world.first(lambda: _save(session, shot, before_cooldown=before_cooldown))


def check_disk(session: Session) -> None:
    """Before the first step: warn, or raise `DiskError`, when the disk has no room for this run's checkpoints."""
    shot = _snapshot(session.state, session.world)
    session.world.first(lambda: check_space(session.run, _bytes_of(session, shot), say=session.log.say))


def _bytes_of(session: Session, shot: _Snapshot) -> int:
    state, weights = session.state, sum(p.nbytes for p in shot.model.parameters())
    kept = 0 if state.average is None else state.average.most_kept - len(state.average.kept) + 1  # one as a model
    return checkpoint_bytes(shot.model, session.inputs.tokenizer, shot.tensors) + kept * weights


def _snapshot(state: TrainingState, world: World) -> _Snapshot:
    tensors, average = state.optimizer.state(world), dict[str, Tensor]()
    if state.average is not None:
        kept = state.average.state()
        tensors |= gather(kept, world) if is_sharded(state.model) else kept
        if state.average.ready:
            with state.average.in_place_of(state.model):
                averaged = gathered_model(state.model, world)
                if world.speaks:
                    average = {name: tensor.clone() for name, tensor in to_hugging_face_weights(averaged).items()}
    return _Snapshot(gathered_model(state.model, world), tensors, average)


def _refuse_broken(shot: _Snapshot, world: World) -> None:
    """Raise `NumericsError`, on all processes, when something in a snapshot is not a number."""
    named = dict(shot.model.named_parameters()) | shot.tensors if world.speaks else {}
    floating = ((name, tensor) for name, tensor in named.items() if tensor.is_floating_point())
    broken = next((name for name, tensor in floating if not bool(torch.isfinite(tensor).all())), "")
    if world.agree(bool(broken)):
        raise NumericsError(f"What training keeps in {broken or 'the first process'} is no longer a number")


def _save(session: Session, shot: _Snapshot, *, before_cooldown: bool) -> None:
    def write_model(folder: Path) -> None:
        write_model_folder(folder, shot.model, session.inputs.tokenizer)
        if shot.average:
            save_tensors(folder / AVERAGE, shot.average)

    session.record.flush()
    save_checkpoint(
        session.run,
        session.state.step,
        write_model=write_model,
        tensors=shot.tensors,
        state=saved_state(session),
        before_cooldown=before_cooldown,
        needs=_bytes_of(session, shot),
    )


def keep_as_best(session: Session, loss: float, *, average: bool) -> None:
    """The checkpoint of this step holds the best model so far: as it is, or as the average of its weights."""
    mark_best(session.run, step=session.state.step, val_loss=loss, average=average)


def saved_state(session: Session) -> dict[str, Any]:
    """What `state.json` holds. The clock's decisions and returns to earlier checkpoints are not here: they stand in
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
        "machine": machine_facts(session),
        "plan": session.plan_file,  # should plan.json be damaged
    }


def restore(session: Session, checkpoint: Checkpoint) -> None:
    """Begin where a checkpoint was made; says what differs from the machine of then."""
    saved = checkpoint.state
    take_over(session, checkpoint)
    session.best_loss = session.world.first(lambda: best_loss(session.run, since=_judged_since(session)))
    session.clock = replace(session.clock, earlier=float(saved["active_seconds"]))
    if "pace" in saved:
        session.pace.load(saved["pace"])
    session.resumed = True
    now = machine_facts(session)
    changed = [f"{k} {saved['machine'].get(k)} -> {v}" for k, v in now.items() if saved["machine"].get(k) != v]
    if changed:
        session.log.say(f"Continues, but not to the same bits: {', '.join(changed)}.")


def take_over(session: Session, checkpoint: Checkpoint) -> None:
    """Make the state that of a checkpoint: weights, optimizer, averages, position, rate."""
    saved, state, source = checkpoint.state, session.state, str(checkpoint.folder)
    _load_weights(state.model, checkpoint.weights, source=source)
    state.optimizer.load(checkpoint.tensors, source=source)
    if state.average is not None:
        complete = saved["position"] // session.batches.windows_per_epoch
        state.average.load(checkpoint.tensors, state.model, source=source, epoch=complete)
    state.step, state.position, state.skipped = saved["step"], saved["position"], list(saved["skipped"])
    state.cooldown = Cooldown.decided(read_decisions(session.plan_file["clock"], until=state.step))
    state.rate_share = rate_share(session.plan_file, state.step)
    if state.plateau is not None and saved["plateau"]:
        state.plateau.load(saved["plateau"])
    if state.stopper is not None and saved.get("stopper"):
        state.stopper.load(saved["stopper"])
    for one in (state.plateau, state.stopper):
        if one is not None and state.step <= _judged_since(session):
            one.best = float("inf")
    if state.scaler is not None and saved["scaler"]:
        state.scaler.load_state_dict(saved["scaler"])


def rate_share(plan_file: Mapping[str, Any], step: int) -> float:
    """What the rate is multiplied by after `step`, for the returns to earlier checkpoints that plan.json knows of."""
    return min((one["rate_share"] for one in plan_file.get("rollbacks", ()) if one["to_step"] <= step), default=1.0)


def _judged_since(session: Session) -> int:
    """The step up to which losses are of other validation windows than now; -1 where all are of the same."""
    return int(session.plan_file.get("judged_since", -1))


def best_loss(run: RunFolder, *, since: int = -1) -> float:
    """Validation loss of the best model after step `since`; infinite when there is none, or its checkpoint is not good."""
    best = run.read_pointer("best") or {}
    try:
        if best["step"] <= since:
            return float("inf")
        verify(run.checkpoints / Path(best["checkpoint"]).name)
        return float(best["val_loss"])
    except (DamagedFileError, KeyError, TypeError, ValueError):
        return float("inf")


def machine_facts(session: Session) -> dict[str, Any]:
    """What must be the same for the same bits."""
    machine, plan = session.machine, session.plan
    return {
        "device": machine.kind,
        "name": machine.name,
        "threads": machine.threads,
        "precision": machine.precision,
        "compile": plan.compile,
        "torch": machine.torch_version,
        "processes": session.world.size,
        "sharded": is_sharded(session.state.model),
        "micro_batch_size": plan.micro_batch_size,
    }


def _load_weights(model: Transformer, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Copy a stock file's tensors into a model; each process keeps its part where the model is sharded."""
    if not is_sharded(model):
        load_hugging_face_weights(model, weights, source=source)
        return
    plain = Transformer(model.config)
    load_hugging_face_weights(plain, weights, source=source)
    for mine, full in zip(model.parameters(), plain.parameters(), strict=True):
        keep_own(mine, full)
