"""The run folder: where everything of a run lies, who may write it, and its log of numbers.

runs/alice/  config.toml plan.json metrics.jsonl samples.jsonl log.txt loss.png perplexity.png
             model/  checkpoints/step-000400/ best.json last.json cooldown.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import Any

import filelock
import tomli_w

from bajka import durable
from bajka.checkpoint.sealed import read_sealed, write_sealed
from bajka.config import Settings
from bajka.errors import DamagedFileError, RunError, disk_errors
from bajka.paths import typed
from bajka.settings import load_settings, wishes


class RunFolder:
    """Paths and small files of one run; `RunFolder.open` checks that it is one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model"
        self.checkpoints = path / "checkpoints"
        self.config_file = path / "config.toml"
        self.plan_file = path / "plan.json"
        self.metrics_file = path / "metrics.jsonl"
        self.samples_file = path / "samples.jsonl"
        self.log_file = path / "log.txt"

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """An existing run; raises `RunError` when the folder is none."""
        folder = cls(typed(path))
        if not folder.path.is_dir():
            raise RunError(f"There is no run {path}. `bajka train TEXTS` makes one.")
        if not folder.config_file.is_file():
            if (folder.path / ".lock").exists():
                raise RunError(
                    f"{path} has no plan yet: its texts are still being read, or its training ended before it began."
                )
            raise RunError(f"{path} is not a run: it has no config.toml. Give a folder that `bajka train` made.")
        return folder

    @property
    def teacher(self) -> Path:
        """What the run learns from beside its texts: a run inside this one, or the copy of a model."""
        return self.path / "teacher"

    @property
    def data_parent(self) -> Path:
        """Where prepared ids go: `data/` beside `runs/`, or beside the run itself; of a teacher, where its run's go."""
        parent = self.path.parent
        around = RunFolder(parent)
        if self.path == around.teacher and around.plan_file.is_file():
            return around.data_parent
        return (parent.parent if parent.name == "runs" else parent) / "data"

    def data_at(self, stored: str | Path) -> Path:
        """Where prepared data is that was at `stored` when this run was made: there, or moved together with the run."""
        moved = self.data_parent / PureWindowsPath(stored).name  # which parts names of Linux too
        return moved if not Path(stored).exists() and moved.exists() else Path(stored)

    def moved(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What plan.json holds of a run's data, with the paths of prepared data and texts as they are now: the project may
        have been moved."""
        folder, new = Path(facts["folder"]), self.data_parent.parent.resolve()
        old, moved = folder.parent.parent, self.data_at(folder) != folder

        def text(path: str) -> str:
            there = new / Path(path).relative_to(old) if Path(path).is_relative_to(old) else Path(path)
            return str(there) if there.exists() and (moved or not Path(path).exists()) else path

        further = [
            one | {"folder": str(self.data_at(one["folder"])), "texts": text(one["texts"])}
            for one in facts.get("further", ())
        ]
        found = {"folder": str(self.data_at(facts["folder"])), "texts": [text(one) for one in facts.get("texts", ())]}
        return dict(facts) | found | ({"further": further} if further else {})

    @property
    def settings(self) -> Settings:
        """What was asked for."""
        return load_settings(self.config_file)

    @property
    def plan(self) -> dict[str, Any]:
        """What was worked out, as saved; raises `DamagedFileError` when it cannot be read."""
        try:
            return read_sealed(self.plan_file)
        except (OSError, ValueError) as error:
            raise DamagedFileError(
                f"{self.plan_file} cannot be read ({error}), and no good checkpoint holds a copy of it: the run cannot be "
                "continued."
            ) from error

    def write_settings(self, settings: Settings) -> None:
        """Save what was asked for."""
        durable.write_text(self.config_file, tomli_w.dumps(wishes(settings)))

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Save what was worked out, durably: the clock's decision must stand before it takes effect."""
        write_sealed(self.plan_file, plan)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes out of this run; raises `RunError` when one is in it. The system frees it at our death.

        Folders made for the lock are taken away again when nothing came of the run.
        """
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        file = self.path / ".lock"
        with disk_errors("write", self.path):
            durable.make_folder(self.path)
            lock = filelock.FileLock(file)
            try:
                lock.acquire(timeout=0.3)  # somebody may just be asking whether it is held
            except filelock.Timeout:
                raise RunError(
                    f"Another process is training in {self.path}. Wait for it, stop it, or choose another --out."
                ) from None
        try:
            yield
        finally:
            lock.release()
            if not self.config_file.exists():
                file.unlink(missing_ok=True)
                for folder in made:
                    with suppress(OSError):  # not empty: something else was put there meanwhile
                        folder.rmdir()

    def in_use(self) -> bool:
        """Whether a process trains in this run now. Where we may not ask (a folder that is read-only): whether its
        numbers grew in the last two minutes."""
        file = self.path / ".lock"
        if not file.is_file():
            return False
        try:
            with filelock.FileLock(file, timeout=0):
                return False
        except filelock.Timeout:
            return True
        except OSError:
            return self.metrics_file.is_file() and time.time() - self.metrics_file.stat().st_mtime < 120

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of metrics.jsonl: what was measured at which step."""
        return read_lines(self.metrics_file)

    def samples(self) -> list[dict[str, Any]]:
        """All lines of samples.jsonl: what the model wrote at which step."""
        return read_lines(self.samples_file)

    def forget_after(self, step: int) -> None:
        """Drop logged lines beyond `step`: a resumed run writes them again, an extended one writes others.

        Samples of `step` itself go too when its evaluation was not written: it is done again. Dropped lines go to
        metrics-dropped.jsonl, so that nothing measured is lost. A last line that a crash cut goes too: the next one
        would be appended to it.
        """
        metrics, samples = read_lines(self.metrics_file), read_lines(self.samples_file)
        evaluated = any(line["step"] == step and "val_loss" in line for line in metrics)
        _keep(self.metrics_file, metrics, step)
        _keep(self.samples_file, samples, step if evaluated else step - 1)

    def read_pointer(self, name: str) -> dict[str, Any] | None:
        """A pointer file of checkpoints/ (best, last, cooldown, model), or None when it is not there or damaged."""
        try:
            value = read_sealed(self.checkpoints / f"{name}.json")
        except (OSError, ValueError):
            return None
        return value if isinstance(value.get("checkpoint"), str) else None

    def write_pointer(self, name: str, **facts: Any) -> None:
        """Replace a pointer file atomically."""
        write_sealed(self.checkpoints / f"{name}.json", facts)

    def remove_pointer(self, name: str) -> None:
        """Let go of what a pointer file points at."""
        (self.checkpoints / f"{name}.json").unlink(missing_ok=True)


def _keep(file: Path, lines: list[dict[str, Any]], step: int) -> None:
    """Leave the `lines` of `file` up to `step` in it, and put the others aside."""
    kept = "".join(json_line(line) for line in lines if line["step"] <= step)
    dropped = "".join(json_line(line) for line in lines if line["step"] > step)
    if dropped:
        durable.append_line(file.with_name(f"{file.stem}-dropped.jsonl"), dropped)
    if file.is_file() and file.read_bytes() != kept.encode("utf-8"):
        durable.write_text(file, kept)


def json_line(value: Mapping[str, Any]) -> str:
    """One line of a .jsonl file, letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False) + "\n"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl file; a last line that a crash cut is skipped, a missing file is empty."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int):
            found.append(value)
    return found
