"""What a run writes down as it goes: metrics.jsonl, samples.jsonl, log.txt, and TensorBoard when asked."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder, json_line
from bajka.errors import DiskError, MissingExtraError, disk_errors
from bajka.training.view import View


class Log:
    """Sentences for the person, kept in log.txt too; what is said before the run exists is written by `begin`."""

    def __init__(self, file: Path, view: View) -> None:
        self.file, self.view = file, view
        self._lines = Lines(file, view.say)
        self._begun = False

    def say(self, line: str) -> None:
        """Tell the person, and put a dated line into log.txt."""
        self.view.say(line)
        self._lines.add(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}")
        if self._begun:
            self.begin()

    def begin(self) -> None:
        """Write what was said so far, and from now on every line at once."""
        self._begun = True
        self._lines.write()


class Lines:
    """A file that lines are appended to. What the disk refuses is said once, waits, and is tried again with the next.

    A run that may take a night goes on without its diary: a checkpoint that cannot be written stops it, a line does not.
    """

    def __init__(self, file: Path, warn: Callable[[str], None]) -> None:
        self.file, self._warn = file, warn
        self._waiting: list[str] = []
        self._failed = False

    def add(self, line: str) -> None:
        """One more line for the next `write`."""
        self._waiting.append(line.rstrip("\n"))

    def write(self, *, durably: bool = False) -> None:
        """Append what waits; `durably`: so that it survives a loss of power."""
        if not self._waiting:
            return
        try:
            durable.append_line(self.file, "\n".join(self._waiting))
            self._waiting = []
            if durably:
                with disk_errors("write", self.file):
                    durable.sync_file(self.file)
                    durable.sync_folder(self.file.parent)
        except DiskError as error:
            if not self._failed:
                self._failed = True
                self._warn(f"Warning: {error} Training goes on; lines that are not written yet are tried again later.")
        else:
            self._failed = False


class Record:
    """Appends to the run's numbers. Those that are not finite are left out: JSON has no name for them.

    TensorBoard, when asked for, forgets what it saw of steps after `step`: they are about to be done again. A disk that
    refuses any of it is told to `warn`, and no reason to stop.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        tensorboard: bool = False,
        step: int = 0,
        warn: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.run = run
        self._warn = warn
        self._metrics, self._samples = (Lines(file, warn) for file in (run.metrics_file, run.samples_file))
        self._board: Any = None
        if tensorboard:
            with self._board_errors():
                self._board = tensorboard_writer()(str(run.path / "tensorboard"), purge_step=step + 1)

    def metrics(self, step: int, **numbers: float) -> None:
        """One line of metrics.jsonl; lines are written together by `flush`."""
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        self._metrics.add(json_line({"step": step, **finite}))
        if self._board is not None:
            with self._board_errors():
                for name, value in finite.items():
                    if name not in ("tokens", "epoch", "seconds"):
                        self._board.add_scalar(_BOARD_NAMES.get(name, name), value, step)

    def sample(self, step: int, prompt: str, text: str, **facts: Any) -> None:
        """One line of samples.jsonl, written by `flush`: what the model wrote at this step."""
        self._samples.add(json_line({"step": step, "prompt": prompt, "text": text, **facts}))
        if self._board is not None:
            with self._board_errors():
                self._board.add_text(f"sample/{prompt}", prompt + text, step)

    def flush(self) -> None:
        """Write what waits, so that a checkpoint never knows of steps that the log does not."""
        self._metrics.write(durably=True)
        self._samples.write(durably=True)
        if self._board is not None:
            with self._board_errors():
                self._board.flush()

    def close(self) -> None:
        """Write what waits and close TensorBoard's file."""
        self.flush()
        if self._board is not None:
            with self._board_errors():
                self._board.close()

    @contextmanager
    def _board_errors(self) -> Iterator[None]:
        """TensorBoard writes in a thread of its own, which ends at the first error: there is no more of it then."""
        try:
            yield
        except OSError as error:
            self._board = None
            self._warn(
                f"Warning: TensorBoard's file cannot be written any more ({error}). Training goes on without it."
            )


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
