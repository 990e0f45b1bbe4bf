"""Tiny runs that take a second: what the tests of training, checkpoints and runs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bajka
from bajka import durable
from bajka.checkpoint.run_folder import RunFolder
from bajka.corpus.tales import write_tales
from bajka.training.clock import Clock
from bajka.training.steps import StepReport
from bajka.watching.view import SilentView

TINY: dict[str, Any] = {
    "n_layer": 2,
    "n_embd": 32,
    "n_head": 2,
    "context_length": 16,
    "vocab_size": 300,
    "global_batch_size": 4,
    "precision": "fp32",
    "compile": "off",
    "prompts": ("Once",),
    "max_new_tokens": 2,
    "evaluation_windows": 4,
    "evaluate_every_steps": 10,
    "momentum": 0.95,  # this and the next two would follow from the length, which in minutes follows from this machine's speed
    "dropout": 0.0,
    "weight_decay": 0.02,
    "save_every_steps": 4,
}


STEPS = 8
EIGHT_STEPS: dict[str, Any] = {"steps": STEPS, "warmup_steps": 1, "evaluate_every_steps": 4}
"""A run whose cooldown begins after four steps, when it is evaluated too."""


class Stopped(Exception):
    """A run was torn out of its loop, as a crash would do it: nothing more is saved."""


class Watcher(SilentView):
    """Keeps what was said, every step and every line of numbers; `each_step` may raise or move a clock."""

    def __init__(self, each_step: Callable[[StepReport], None] = lambda report: None) -> None:
        self.lines: list[str] = []
        self.reports: list[StepReport] = []
        self.steps: list[Mapping[str, Any]] = []
        self.evaluations: list[Mapping[str, Any]] = []
        self.samples: list[Mapping[str, Any]] = []
        self.closed = False
        self._each_step = each_step

    def say(self, line: str) -> None:
        self.lines.append(line)

    def step(self, report: StepReport, line: Mapping[str, Any]) -> None:
        self.reports.append(report)
        self.steps.append(line)
        self._each_step(report)

    def evaluated(self, line: Mapping[str, Any]) -> None:
        self.evaluations.append(line)

    def sampled(self, line: Mapping[str, Any]) -> None:
        self.samples.append(line)

    def close(self) -> None:
        self.closed = True

    @property
    def text(self) -> str:
        """All that was said."""
        return "\n".join(self.lines)


class HandClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def stopwatch(self) -> Clock:
        """The clock of one command."""
        return Clock(now=self.now)


def stop_at(*steps: int) -> Watcher:
    """A view in which the run crashes at these steps."""

    def check(report: StepReport) -> None:
        if report.step in steps:
            raise Stopped(f"at step {report.step}")

    return Watcher(check)


def tales_file(folder: Path, *, count: int = 60) -> Path:
    """A text of `count` tales, some 500 bytes each."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tales.txt"
    path.write_text("\n\n".join(write_tales(count)), encoding="utf-8")
    return path


def train_tiny(texts: Path | str | None, view: SilentView | None = None, **wishes: Any) -> bajka.Run:
    """`bajka.train` on `texts` with the tiny shape, and `wishes` on top of it (None takes one away)."""
    often = {"most_epochs": 1e6} if "minutes" in wishes else {}  # such texts are soon read as often as they should be
    asked = {name: value for name, value in (TINY | often | wishes).items() if value is not None}
    return bajka.train(texts, view=view or SilentView(), **asked)


def go_on(run: Path | str, view: SilentView | None = None, **wishes: Any) -> bajka.Run:
    """`bajka train runs/NAME`, with nothing but `wishes`."""
    return bajka.train(run, view=view or SilentView(), **wishes)


def bits(run: bajka.Run) -> dict[str, str]:
    """Hashes of weights and optimizer state at the end of a run."""
    last = run.folder.read_pointer("last")
    assert last is not None
    folder = run.folder.checkpoints / last["checkpoint"]
    files = ("model.safetensors", "training/optimizer.safetensors")
    return {"step": last["step"]} | {name: durable.sha256_of(folder / name) for name in files}


def checkpoints(run: RunFolder) -> list[str]:
    """The names of all checkpoint folders, in order."""
    return sorted(path.name for path in run.checkpoints.iterdir() if path.is_dir())
