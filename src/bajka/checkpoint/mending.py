"""What of a run can be made good again from what is whole: the plan, the settings, the pointers, the best model.

Every checkpoint holds a copy of plan.json in its state, and plan.json holds the settings: a damaged one is written
again from there. Each function gives the sentences that tell what it did; none for a run that is whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bajka.checkpoint.checkpoint import find_checkpoint, publish_model, verify
from bajka.checkpoint.opened import check_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.checkpoint.sealed import read_manifest
from bajka.errors import DamagedFileError, SettingsError
from bajka.settings import settings_from, shell_word, wishes


def mend_plan(run: RunFolder) -> list[str]:
    """Write plan.json again from the newest good checkpoint when it is damaged or gone, and config.toml from plan.json.

    Raises `DamagedFileError` when there are checkpoints but none is good. Without any, a damaged plan is removed: the
    run then begins again.
    """
    said: list[str] = []
    try:
        plan = run.plan
    except DamagedFileError:
        existed = run.plan_file.exists()
        folder = find_checkpoint(run, "last", say=said.append)
        if folder is None:
            run.plan_file.unlink(missing_ok=True)
            return [f"{run.plan_file} is damaged, and nothing was saved yet: the run begins again."] if existed else []
        plan = json.loads((folder / "training" / "state.json").read_text(encoding="utf-8")).get("plan")
        if not isinstance(plan, dict):  # of a version that kept no copy
            return said
        run.write_plan(plan)
        said.append(f"Warning: {run.plan_file} is {_lost(existed)}; it is now as the checkpoint {folder} knows it.")
    return said + _mend_settings(run, plan.get("settings"))


def _mend_settings(run: RunFolder, kept: Any) -> list[str]:
    """Write config.toml again when it is not as the run last knew it."""
    if not isinstance(kept, dict):
        return []
    try:
        if wishes(run.settings) == kept:
            return []
        what = "is not as the run wrote it"
    except SettingsError as error:
        what = f"is damaged ({error})"
    run.write_settings(settings_from(kept, source=str(run.plan_file)))
    return [
        f"Warning: {run.config_file} {what}; it is written again from plan.json. To change what may change: bajka train "
        f"{shell_word(run.path)} --learning-rate ..."
    ]


def mend_pointers(run: RunFolder) -> list[str]:
    """Make pointers that are damaged name checkpoints again, and `model/` a model that is whole."""
    if not any(run.checkpoints.glob("step-*/manifest.json")):
        return []
    return [*_mend_last(run), *_mend_cooldown(run), *_mend_best(run)]


def _mend_last(run: RunFolder) -> list[str]:
    if run.read_pointer("last") is not None:
        return []
    file, said = run.checkpoints / "last.json", list[str]()
    existed, folder = file.exists(), find_checkpoint(run, "last", say=said.append)
    if folder is None:
        return said
    run.write_pointer("last", checkpoint=folder.name, step=_step(folder), previous=None)
    if existed:  # else a crash came before it was first written
        said.append(f"Warning: {file} is damaged; the newest good checkpoint is {folder}.")
    return said


def _mend_cooldown(run: RunFolder) -> list[str]:
    file = run.checkpoints / "cooldown.json"
    if not file.exists() or run.read_pointer("cooldown") is not None:
        return []
    file.unlink()
    return [f"Warning: {file} is damaged: the run can be made longer from its end only, not from before its cooldown."]


def _mend_best(run: RunFolder) -> list[str]:
    """The pointer must name a good checkpoint, and `model/` must be whole."""
    pointer, file, said = run.read_pointer("best"), run.checkpoints / "best.json", list[str]()
    if pointer is None:
        existed, pointer = file.exists(), _published_by(run)
        if pointer is None and not existed:
            return []
        if pointer is not None:
            run.write_pointer("best", **pointer)
            said.append(f"Warning: {file} is {_lost(existed)}; the best model is that of {pointer['checkpoint']}.")
    average = (pointer or {}).get("weights") == "average"
    best = None if pointer is None else run.checkpoints / Path(pointer["checkpoint"]).name
    try:
        if best is None:
            raise DamagedFileError(f"{file} is damaged.")
        verify(best)
    except DamagedFileError as error:
        return said + _other_best(run, error)
    try:
        if _half_published(run, pointer or {}):
            publish_model(run, best, average=average)
        check_model(run.model)
    except DamagedFileError:
        publish_model(run, best, average=average)
        said.append(f"Warning: {run.model} was damaged; it is again the model of {best}.")
    return said


def _half_published(run: RunFolder, best: dict[str, Any]) -> bool:
    """Whether `model/` is another one than `best`, or on the way: a crash came between the one and the other."""
    model = run.read_pointer("model") or {"files": {}}
    another = any(model.get(name) != best.get(name) for name in ("checkpoint", "weights"))
    return another or any(len(either) > 1 for either in model["files"].values())


def _published_by(run: RunFolder) -> dict[str, Any] | None:
    """What the pointer `best` must have held: the checkpoint whose model was published, and its validation loss."""
    model = run.read_pointer("model") or {}
    folder = run.checkpoints / str(model.get("checkpoint"))
    try:
        read_manifest(folder)
    except (OSError, ValueError):
        return None
    return _as_best(run, folder, weights=model.get("weights", "last"))


def _as_best(run: RunFolder, folder: Path, *, weights: str) -> dict[str, Any] | None:
    step, name = int(folder.name.split("-")[1]), "average_val_loss" if weights == "average" else "val_loss"
    losses = [line[name] for line in run.metrics() if line["step"] == step and name in line]
    return {"checkpoint": folder.name, "step": step, "val_loss": losses[-1], "weights": weights} if losses else None


def _other_best(run: RunFolder, trouble: DamagedFileError) -> list[str]:
    """Another good checkpoint as the best model; the next evaluation may find a better one."""
    said: list[str] = []
    folder = find_checkpoint(run, "last", say=said.append)
    assert folder is not None, "one without a good checkpoint is not taken up"
    publish_model(run, folder)
    if (pointer := _as_best(run, folder, weights="last")) is not None:
        run.write_pointer("best", **pointer)
    else:
        (run.checkpoints / "best.json").unlink(missing_ok=True)
    known = "not evaluated" if pointer is None else f"validation loss {pointer['val_loss']:.4f}"
    return [*said, f"Warning: the best model was lost: {trouble} The model is now that of {folder} ({known})."]


def _step(folder: Path) -> int:
    return int(json.loads((folder / "training" / "state.json").read_text(encoding="utf-8"))["step"])


def _lost(existed: bool) -> str:
    return "damaged" if existed else "gone"
