"""Saving and taking up again: what of a session goes into a checkpoint, and how it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bajka.checkpoint.checkpoint import Checkpoint, save_checkpoint
from bajka.checkpoint.model_folder import write_model_folder
from bajka.distributed import World
from bajka.errors import NumericsError
from bajka.hardware import Machine
from bajka.model.convert import load_hugging_face_weights
from bajka.model.transformer import Transformer
from bajka.training.plan import Plan
from bajka.training.schedule import Cooldown
from bajka.training.sharding import gathered_model, is_sharded, keep_own

if TYPE_CHECKING:
    from bajka.training.session import Session


def save(session: Session, *, best: bool = False, before_cooldown: bool = False) -> None:
    """A checkpoint of this moment, durable when this returns; weights that are no numbers are never saved."""
    state, world = session.state, session.world
    model, tensors = gathered_model(state.model, world), state.optimizer.state(world)
    world.first(lambda: _save(session, model, tensors, best=best, before_cooldown=before_cooldown))


def _save(
    session: Session, model: Transformer, tensors: dict[str, Tensor], *, best: bool, before_cooldown: bool
) -> None:
    state = session.state
    _refuse_broken_weights(session, model)
    session.record.flush()
    save_checkpoint(
        session.run,
        state.step,
        write_model=lambda folder: write_model_folder(folder, model, session.inputs.tokenizer),
        tensors=tensors,
        state=saved_state(session),
        best={"val_loss": session.best_loss} if best else None,
        before_cooldown=before_cooldown,
    )


def _refuse_broken_weights(session: Session, model: Transformer) -> None:
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise NumericsError(
                f"The weights of {name} are no longer numbers at step {session.state.step}. The last checkpoint is good: "
                f"continue with a lower rate, bajka train {session.run.path} --learning-rate "
                f"{session.plan.recipe.learning_rate / 3:.1g}"
            )


def saved_state(session: Session) -> dict[str, Any]:
    """What `state.json` holds. The clock's decision is not here: it stands in plan.json, before it takes effect."""
    state = session.state
    return {
        "step": state.step,
        "position": state.position,
        "skipped": state.skipped,
        "plateau": None if state.plateau is None else state.plateau.state(),
        "scaler": None if state.scaler is None else state.scaler.state_dict(),
        "best_loss": session.best_loss if session.best_loss < float("inf") else None,
        "active_seconds": session.clock.seconds(),
        "machine": machine_facts(session.machine, session.plan, session.world) | {"sharded": is_sharded(state.model)},
    }


def restore(session: Session, checkpoint: Checkpoint) -> None:
    """Take over a checkpoint: weights, optimizer, position; says what differs from where it was made."""
    saved, state, source = checkpoint.state, session.state, str(checkpoint.folder)
    load_weights(state.model, checkpoint.weights, source=source)
    state.optimizer.load(checkpoint.tensors, source=source)
    state.step, state.position, state.skipped = saved["step"], saved["position"], list(saved["skipped"])
    decided = session.plan_file["clock"]
    state.cooldown = Cooldown(**decided) if decided and decided["begin"] <= state.step else None
    if state.plateau is not None and saved["plateau"]:
        state.plateau.load(saved["plateau"])
    if state.scaler is not None and saved["scaler"]:
        state.scaler.load_state_dict(saved["scaler"])
    known = [loss for loss in (saved["best_loss"], session.plan_file.get("best_before")) if loss is not None]
    session.best_loss = min(known, default=float("inf"))
    session.clock = replace(session.clock, earlier=float(saved["active_seconds"]))
    session.resumed = True
    now = machine_facts(session.machine, session.plan, session.world) | {"sharded": is_sharded(state.model)}
    changed = [f"{k} {saved['machine'].get(k)} -> {v}" for k, v in now.items() if saved["machine"].get(k) != v]
    if changed:
        session.log.say(f"Continues, but not to the same bits: {', '.join(changed)}.")


def load_weights(model: Transformer, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Copy a stock file's tensors into a model; each process keeps its part where the model is sharded."""
    if not is_sharded(model):
        load_hugging_face_weights(model, weights, source=source)
        return
    plain = Transformer(model.config)
    load_hugging_face_weights(plain, weights, source=source)
    for mine, full in zip(model.parameters(), plain.parameters(), strict=True):
        keep_own(mine, full)


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
