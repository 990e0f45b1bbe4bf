"""Checkpoints: a model folder plus the state of training, complete only when its manifest says so.

checkpoints/step-000400/  config.json ... model.safetensors      the model, as anybody can load it
                          training/optimizer.safetensors state.json [average.safetensors]
                          manifest.json                          size and SHA-256 of every file, written last
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from bajka import durable
from bajka.checkpoint.model_folder import WEIGHTS, read_weights, save_tensors
from bajka.checkpoint.run_folder import RunFolder
from bajka.checkpoint.sealed import MANIFEST, differs, read_manifest, write_sealed
from bajka.errors import DamagedFileError, DiskError, disk_errors

POINTERS = ("last", "best", "cooldown")
AVERAGE = "training/average.safetensors"
"""The average of the weights in a checkpoint, in the names of its model.safetensors."""
_NAME = re.compile(r"step-(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint in memory: the model's tensors in Hugging Face's names, the optimizer's, and the state."""

    folder: Path
    weights: dict[str, Tensor]
    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save_checkpoint(
    run: RunFolder,
    step: int,
    *,
    write_model: Callable[[Path], None],
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    before_cooldown: bool = False,
    needs: int | None = None,
) -> Path:
    """Write a checkpoint beside the old ones, point `last` at it (and `cooldown` if told), remove old ones.

    `write_model` fills a folder that already has training/; `model/` becomes the first checkpoint of a run. Nothing
    that existed is touched before the new checkpoint is complete. `last` is moved last: after a crash on the way,
    training goes on from the checkpoint before and does all of this again. Raises `DiskError`: what was written by then
    is taken away, and on a full disk the message tells that `needs` bytes are needed for all of the checkpoint.
    """
    final = _free_name(run, step)
    temporary = final.with_name(final.name + durable.TEMPORARY)
    with disk_errors("write the checkpoint", final, needs=needs):
        for leftover in run.checkpoints.glob(f"*{durable.TEMPORARY}/"):  # of crashes: they take room
            shutil.rmtree(leftover, ignore_errors=True)
        durable.make_folder(run.checkpoints)
        (temporary / "training").mkdir(parents=True)
        try:
            write_model(temporary)
            cpu = {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}
            save_tensors(temporary / "training" / "optimizer.safetensors", cpu)
            durable.write_json(temporary / "training" / "state.json", dict(state))
            write_sealed(temporary / MANIFEST, make_manifest(temporary))
            durable.publish_folder(temporary, final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    if not (run.model / "config.json").is_file():
        publish_model(run, final)
    if before_cooldown:
        run.write_pointer("cooldown", checkpoint=final.name, step=step)
    previous = (run.read_pointer("last") or {}).get("checkpoint")
    run.write_pointer("last", checkpoint=final.name, step=step, previous=previous)
    remove_old(run)
    return final


def mark_best(run: RunFolder, *, step: int, val_loss: float, average: bool = False) -> None:
    """The last checkpoint, that of `step`, holds the best model so far: `model/` becomes it, and `best` points at it.

    With `average` the model is the average of its weights. The pointer comes last: after a crash on the way the step is
    evaluated again, and this is done again.
    """
    last = run.read_pointer("last") or {}
    assert last.get("step") == step, "the best model is saved before it is judged"
    publish_model(run, run.checkpoints / last["checkpoint"], average=average)
    run.write_pointer("best", checkpoint=last["checkpoint"], step=step, val_loss=val_loss, weights=_weights(average))
    remove_old(run)


def _free_name(run: RunFolder, step: int) -> Path:
    """step-000400, or step-000400-2 when an extended run passes a step where an earlier life left its best model."""
    name, number = f"step-{step:06d}", 2
    folder = run.checkpoints / name
    while folder.exists():
        folder = run.checkpoints / f"{name}-{number}"
        number += 1
    return folder


def make_manifest(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of every file below `folder`, but for the manifest itself."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            facts = {"bytes": path.stat().st_size, "sha256": durable.sha256_of(path)}
            files[path.relative_to(folder).as_posix()] = facts
    return {"format": 1, "files": files}


def verify(folder: Path) -> None:
    """Raise `DamagedFileError` unless every file is there with the size and hash of the manifest."""
    try:
        files = read_manifest(folder)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"The checkpoint {folder} is not whole: {error}.") from error
    for name, facts in files.items():
        if differs(folder / name, facts):
            raise DamagedFileError(f"The checkpoint file {folder / name} is damaged: it differs from its manifest.")


def find_checkpoint(run: RunFolder, pointer: str, *, say: Callable[[str], None]) -> Path | None:
    """The folder that `pointer` names, else the newest other good one (said aloud); None when there never was one.

    Raises `DamagedFileError` when there are checkpoints but none is good.
    """
    first = run.read_pointer(pointer) or {}
    wanted = [Path(first[name]).name for name in ("checkpoint", "previous") if first.get(name)]
    tried = list(dict.fromkeys([*wanted, *_newest_first(run)]))
    for name in tried:
        try:
            verify(run.checkpoints / name)
            return run.checkpoints / name
        except DamagedFileError as error:
            say(f"Warning: {error} Trying an earlier checkpoint.")
    if tried:
        raise DamagedFileError(
            f"No checkpoint of {run.path} is good any more; tried {', '.join(tried)}. Restore the folder from a copy, or "
            "train again with another --out."
        )
    return None


def read_checkpoint(folder: Path) -> Checkpoint:
    """The content of a checkpoint that `find_checkpoint` found good."""
    tensors = load_file(folder / "training" / "optimizer.safetensors")
    state = json.loads((folder / "training" / "state.json").read_text(encoding="utf-8"))
    return Checkpoint(folder, read_weights(folder), tensors, state)


def _newest_first(run: RunFolder) -> list[str]:
    """The names of all checkpoints, the one of the latest step first; without a manifest it is none."""
    found = [_NAME.fullmatch(path.parent.name) for path in run.checkpoints.glob("step-*/manifest.json")]
    ordered = sorted((int(one[1]), int(one[2] or 1), one[0]) for one in found if one)
    return [name for _, _, name in reversed(ordered)]


def publish_model(run: RunFolder, checkpoint: Path, *, average: bool = False) -> None:
    """Make `model/` the model of `checkpoint`, or its average: each file replaced atomically, the weights last.

    The pointer `model` says what each file of `model/` must be; on the way from one model to the next, either of two.
    """
    manifest = read_manifest(checkpoint)
    sources = {name: name for name in manifest if "/" not in name}
    if average:
        sources[WEIGHTS] = AVERAGE
    facts = {name: [manifest[source]] for name, source in sources.items()}
    before = (run.read_pointer("model") or {}).get("files", {})
    either = {name: [*before.get(name, []), *one] for name, one in facts.items()}
    weights = _weights(average)
    run.write_pointer("model", checkpoint=checkpoint.name, weights=weights, files=either)
    for name in sorted(sources, key=lambda name: name.endswith(".safetensors")):
        durable.link_or_copy(checkpoint / sources[name], run.model / name)
    run.write_pointer("model", checkpoint=checkpoint.name, weights=weights, files=facts)


def _weights(average: bool) -> str:
    return "average" if average else "last"


def remove_old(run: RunFolder) -> None:
    """Keep the last two, the best and the one before the cooldown; remove all others and leftovers of crashes."""
    kept = {(run.read_pointer(name) or {}).get("checkpoint") for name in POINTERS}
    kept.add((run.read_pointer("last") or {}).get("previous"))
    if not run.checkpoints.is_dir():
        return
    for folder in run.checkpoints.iterdir():
        if folder.is_dir() and folder.name not in kept:
            if folder.name.endswith(durable.TEMPORARY):
                shutil.rmtree(folder, ignore_errors=True)
            else:
                with suppress(DiskError):  # somebody reads it (Windows): it goes the next time
                    durable.remove_folder(folder)
