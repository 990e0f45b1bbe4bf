"""What a run writes down as it goes: metrics.jsonl, samples.jsonl, log.txt, and TensorBoard when asked."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder, json_line
from bajka.errors import MissingExtraError
from bajka.training.view import View


class Log:
    """Sentences for the person, kept in log.txt too; what is said before the run exists is written by `begin`."""

    def __init__(self, file: Path, view: View) -> None:
        self.file, self.view = file, view
        self._waiting: list[str] = []
        self._begun = False

    def say(self, line: str) -> None:
        """Tell the person, and put a dated line into log.txt."""
        self.view.say(line)
        self._waiting.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}")
        if self._begun:
            self.begin()

    def begin(self) -> None:
        """Write what was said so far, and from now on every line at once."""
        self._begun = True
        if self._waiting:
            durable.append_line(self.file, "\n".join(self._waiting))
            self._waiting = []


class Record:
    """Appends to the run's numbers. Those that are not finite are left out: JSON has no name for them.

    TensorBoard, when asked for, forgets what it saw of steps after `step`: they are about to be done again.
    """

    def __init__(self, run: RunFolder, *, tensorboard: bool = False, step: int = 0) -> None:
        self.run = run
        self._lines: list[str] = []
        self._board = None
        if tensorboard:
            self._board = tensorboard_writer()(str(run.path / "tensorboard"), purge_step=step + 1)

    def metrics(self, step: int, **numbers: float | None) -> dict[str, Any]:
        """One line of metrics.jsonl, without what is not known; lines are written together by `flush`. Gives the line."""
        finite = {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}
        line = {"step": step, **finite}
        self._lines.append(json_line(line))
        if self._board is not None:
            for name, value in finite.items():
                if name not in _CLOCKWORK:
                    self._board.add_scalar(_BOARD_NAMES.get(name, name), value, step)
        return line

    def sample(self, step: int, prompt: str, text: str, **facts: Any) -> dict[str, Any]:
        """One line of samples.jsonl: what the model wrote at this step. Gives the line."""
        line = {"step": step, "prompt": prompt, "text": text, **facts}
        durable.append_line(self.run.samples_file, json_line(line))
        if self._board is not None:
            self._board.add_text(f"sample/{prompt}", prompt + text, step)
        return line

    def flush(self) -> None:
        """Write what waits, so that a checkpoint never knows of steps that the log does not."""
        if self._lines:
            durable.append_line(self.run.metrics_file, "".join(self._lines))
            self._lines = []
        if self._board is not None:
            self._board.flush()

    def close(self) -> None:
        """Write what waits and close TensorBoard's file."""
        self.flush()
        if self._board is not None:
            self._board.close()


_CLOCKWORK = ("tokens", "epoch", "seconds", "seconds_left", "share")
_BOARD_NAMES: Mapping[str, str] = {
    "train_loss": "loss/train",
    "val_loss": "loss/validation",
    "train_sample_loss": "loss/train_sample",
    "learning_rate": "learning_rate",
}


def tensorboard_writer() -> Any:
    """TensorBoard's `SummaryWriter`; raises `MissingExtraError` where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("tensorboard = true", extra="tensorboard") from None
    return SummaryWriter
