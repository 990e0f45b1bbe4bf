"""What two runs must have in common when one of them was torn and taken up again: everything but the time it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import bajka

TIMES = ("seconds", "tokens_per_second", "memory_bytes", "seconds_left", "peak_share", "active_seconds", "planned_at")


def differences(whole: bajka.Run, other: bajka.Run) -> list[str]:
    """What differs between two finished runs, in words."""
    found = []
    for part, content in ends(whole).items():
        theirs = ends(other)[part]
        if not _equal(content, theirs):
            found.append(f"{part}: {_short(content)} != {_short(theirs)}")
    return found


def ends(run: bajka.Run) -> dict[str, Any]:
    """Weights, optimizer, state, numbers, samples and the best model of a finished run."""
    folder = run.folder
    last, best = folder.read_pointer("last") or {}, folder.read_pointer("best") or {}
    at = folder.checkpoints / last["checkpoint"]
    state = json.loads((at / "training" / "state.json").read_text(encoding="utf-8"))
    return {
        "weights": load_file(at / "model.safetensors"),
        "optimizer": load_file(at / "training" / "optimizer.safetensors"),
        "state": {name: state.get(name) for name in ("step", "position", "skipped", "plateau", "scaler")},
        "metrics": [without_times(line) for line in run.metrics],
        "samples": [without_times(line) for line in folder.samples()],
        "best": {name: best.get(name) for name in ("step", "val_loss")},
        "model": load_file(folder.model / "model.safetensors"),
        "checkpoints": [name for name in ("last", "best", "cooldown") if _is_there(folder.checkpoints, name)],
    }


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    """A line of numbers without what depends on the clock and the machine."""
    return {name: value for name, value in line.items() if name not in TIMES}


def _is_there(checkpoints: Path, name: str) -> bool:
    return (checkpoints / f"{name}.json").is_file()


def _equal(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, dict) and any(isinstance(value, torch.Tensor) for value in mine.values()):
        return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    return bool(mine == theirs)


def _short(value: Any) -> str:
    return str(value)[:200]
