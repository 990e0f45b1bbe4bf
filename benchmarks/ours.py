"""`bajka train` as a real program, timed as the peers are (see peers.py)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import cold, python, run
from judge import judge
from token_files import from_bajka


@dataclass(frozen=True)
class OurRun:
    """A finished run: seconds cold and warm, steps, and its folder."""

    cold: float
    warm: float
    steps: int
    step_seconds: float
    path: Path

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read_metrics(self.path)

    @property
    def model(self) -> dict[str, Any]:
        """The shape, as plan.json has it."""
        return plan_of(self.path)["model"]  # type: ignore[no-any-return]


def train(
    source: str | Path,
    work: Path,
    settings: Mapping[str, object] | None = None,
    *,
    threads: int | None = None,
    words: tuple[str, ...] = (),
) -> OurRun:
    """Run `bajka train SOURCE` with empty caches; `settings` are flags by name, None is left out."""
    work.mkdir(parents=True, exist_ok=True)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in (settings or {}).items() if value is not None]
    flags += [] if threads is None else [f"--threads={threads}"]
    command = python("-m", "bajka", "train", source, *flags, *words, "--out", work / "run")
    done = run(command, environment=cold(work, threads=threads))
    warm, step, steps = warm_seconds(read_metrics(work / "run"))
    return OurRun(done.seconds, warm, steps, step, work / "run")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl; none yet is an empty list, and a half-written last line is left out."""
    file = path / "metrics.jsonl"
    written = file.read_bytes() if file.exists() else b""
    return [json.loads(line) for line in written[: written.rfind(b"\n") + 1].splitlines()]


def plan_of(path: Path) -> dict[str, Any]:
    """The plan of a run."""
    whole = json.loads((path / "plan.json").read_text(encoding="utf-8"))
    return whole.get("plan", whole)  # type: ignore[no-any-return]


def warm_seconds(metrics: list[dict[str, Any]]) -> tuple[float, float, int]:
    """Seconds of all steps, the median step, and the number of steps.

    The first step counts as the median one; what lies between a step's line and its evaluation's line does not count.
    """
    took, before, steps = [], None, 0
    for line in metrics:
        if "train_loss" in line:
            steps += 1
            if before is not None:
                took.append(line["seconds"] - before)
        before = line["seconds"]
    if steps > len(took) and took:  # the first step had nothing before it
        took.append(statistics.median(took))
    elif len(took) == steps and steps > 1:  # an evaluation came before the first step
        took[0] = min(took[0], statistics.median(took[1:]))
    return sum(took), statistics.median(took or [0.0]), steps


def data_of(path: Path) -> Path:
    """The folder of token files that a run learned from."""
    whole = json.loads((path / "plan.json").read_text(encoding="utf-8"))
    folder = Path(whole["data"]["folder"])
    return folder if folder.is_absolute() else (path.parent / folder).resolve()


def judged(run: OurRun, folder: Path, *, nats: Path | None = None, threads: int | None = None) -> dict[str, Any]:
    """Bits per byte of the run's model over its whole validation text, as all peers are judged; `folder` gets its tokens."""
    tokens = from_bajka(data_of(run.path), folder)
    context = run.model["context_length"]
    found = judge("bajka", run.path / "model", tokens, context=context, nats=nats, threads=threads)
    return {"cold": run.cold, "warm": run.warm, "steps": run.steps, "step_seconds": run.step_seconds} | found


def flops_per_token(path: Path) -> float:
    """Training arithmetic a token of a run's shape, by bajka's own count (6 per weight of a matrix, and attention)."""
    from bajka.model import ModelConfig
    from bajka.model.estimate import flops_per_token

    return flops_per_token(ModelConfig(**plan_of(path)["model"]))
