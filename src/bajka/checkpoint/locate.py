"""MODEL is one word everywhere: a run, a checkpoint, a Hugging Face folder, or a name on the hub."""

from __future__ import annotations

import re
from pathlib import Path

from bajka.errors import ModelError
from bajka.paths import typed

_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$|^[A-Za-z0-9][\w.-]*$")
_FILES = ["config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*.json"]


def locate_model(name: str) -> Path:
    """The folder with `config.json` and weights that `name` means; hub names are downloaded to the hub's cache.

    Raises `ModelError` with what was looked for.
    """
    path = _path(name)
    if path.is_file() and path.name in ("config.json", "model.safetensors"):
        path = path.parent
    if path.is_dir():
        for folder in (path, path / "model"):
            if (folder / "config.json").is_file():
                return folder
        if (path / "checkpoints" / "model.json").is_file():
            return path / "model"  # there was one: what is missing is named when it is opened
        if (path / "config.toml").is_file():
            raise ModelError(
                f"The run {path} has no model yet: it was stopped before its first checkpoint. Run it again."
            )
        raise ModelError(f"{path} is no run and no model: it has neither config.toml nor config.json.")
    if path.exists():
        raise ModelError(f"{path} is a file. Give the folder of a run or a model.")
    looks_local = name.startswith((".", "/", "~", "runs/")) or "\\" in name or not _HUB_NAME.match(name)
    if looks_local:
        raise ModelError(f"There is no run or model {name}.{_runs_here(path)}")
    return _download(name)


def _path(name: str) -> Path:
    """`name` as a path that the system can be asked about."""
    try:
        path = typed(name)
        path.exists()
    except (OSError, RuntimeError) as error:  # longer than a file's name can be; the home of nobody
        raise ModelError(f"There is no run or model {name} ({error}).") from error
    return path


def _download(name: str) -> Path:
    """The local copy of a model on the hub, safetensors and JSON only."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:  # the hub library raises many kinds; all mean the same to the person
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"There is no folder {name} here, and the model {name} could not be had from the Hugging Face hub "
            f"({reason}). Check the name and the network.{_runs_here(Path(name))}"
        ) from error


def _runs_here(path: Path) -> str:
    """The names of runs beside what was asked for, as a hint."""
    for parent in (path.parent, Path("runs")):
        if parent.is_dir():
            runs = sorted(p.parent.as_posix() for p in parent.glob("*/config.toml"))
            if runs:
                return f" Runs here: {', '.join(runs[:5])}{' ...' if len(runs) > 5 else ''}."
    return ""
