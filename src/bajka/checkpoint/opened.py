"""Is the model that is opened the one that was saved? Asked before a token is written or a loss is measured with it.

Reading 1.4 GB once more for its hash takes some two seconds; a flipped bit in weights would be noticed by nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bajka.checkpoint.run_folder import RunFolder
from bajka.checkpoint.sealed import differs, read_manifest
from bajka.errors import DamagedFileError


def check_model(folder: Path) -> None:
    """Raise `DamagedFileError` when a file of a run's `model/` or of a checkpoint is not as it was saved.

    Any other folder is somebody else's, and nothing is known of it. Of a checkpoint only the model is looked at: its
    `training/` may be gone.
    """
    parent = folder.absolute().parent
    if folder.name == "model":
        _check_published(folder, RunFolder(parent))
    elif parent.name == "checkpoints" and folder.name.startswith("step-"):
        _check_checkpoint(folder, RunFolder(parent.parent))


def _check_published(folder: Path, run: RunFolder) -> None:
    pointer = run.read_pointer("model")
    while (name := _unknown_file(folder, pointer)) is not None:
        before, pointer = pointer, run.read_pointer("model")
        if before == pointer:  # else a training that goes on has just published a better model
            raise DamagedFileError(f"{folder / name} is damaged: it is not as it was saved.{_instead(run, folder)}")


def _unknown_file(folder: Path, pointer: dict[str, Any] | None) -> str | None:
    """The first file of `model/` that is none of those it may be, by the pointer."""
    files: dict[str, Any] = (pointer or {}).get("files", {})
    return next((name for name, either in files.items() if all(differs(folder / name, one) for one in either)), None)


def _check_checkpoint(folder: Path, run: RunFolder) -> None:
    try:
        name = _differing(folder)
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"The checkpoint {folder} is not whole: {error}.{_instead(run, folder)}") from error
    if name is not None:
        raise DamagedFileError(f"{folder / name} is damaged: it is not as it was saved.{_instead(run, folder)}")


def _differing(folder: Path) -> str | None:
    """The first file of a checkpoint's model that differs from its manifest."""
    files = {name: facts for name, facts in read_manifest(folder).items() if "/" not in name}
    return next((name for name, facts in files.items() if differs(folder / name, facts)), None)


def _instead(run: RunFolder, folder: Path) -> str:
    """What to do: the newest checkpoint of the run whose model is whole."""
    for manifest in sorted(run.checkpoints.glob("step-*/manifest.json"), reverse=True):
        try:
            if manifest.parent != folder and _differing(manifest.parent) is None:
                return f" Use an earlier one: {manifest.parent}"
        except (OSError, ValueError):
            continue
    return " No checkpoint of the run is good any more: restore the folder from a copy."
