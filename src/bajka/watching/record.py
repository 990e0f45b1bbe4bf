"""What a run writes down as it goes: metrics.jsonl, samples.jsonl, log.txt; trackers are told as well."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder, json_line
from bajka.errors import DiskError, disk_errors
from bajka.watching.trackers import Trackers
from bajka.watching.view import View

_TOGETHER_SECONDS = 2.0


class Log:
    """Sentences for the person, kept in log.txt too; what is said before the run exists is written by `begin`."""

    def __init__(self, file: Path, view: View) -> None:
        self.file, self.view = file, view
        self._lines = Lines(file, view.say)
        self._begun = False

    def say(self, line: str) -> None:
        """Tell the person, and put a dated line into log.txt."""
        self.view.say(line)
        self._write(line)

    def note(self, line: str) -> None:
        """A sentence whose numbers the view was given: said only by a view that does not draw them."""
        if not self.view.draws:
            self.view.say(line)
        self._write(line)

    def _write(self, line: str) -> None:
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

    A disk that refuses any of it is told to `warn`, and no reason to stop.
    """

    def __init__(
        self, run: RunFolder, trackers: Trackers | None = None, *, warn: Callable[[str], None] = lambda line: None
    ) -> None:
        self.run, self.trackers = run, trackers or Trackers([])
        self._metrics, self._samples = (Lines(file, warn) for file in (run.metrics_file, run.samples_file))
        self._written = time.monotonic()

    def metrics(self, step: int, **numbers: float | None) -> dict[str, Any]:
        """One line of metrics.jsonl, without what is not known or not finite; gives the line.

        Lines are written together: by `flush`, or every two seconds for those who watch.
        """
        finite = {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}
        line = {"step": step, **finite}
        self._metrics.add(json_line(line))
        if time.monotonic() - self._written > _TOGETHER_SECONDS:
            self._written = time.monotonic()
            self._metrics.write()
        self.trackers.numbers(line)
        return line

    def sample(self, step: int, prompt: str, text: str, **facts: Any) -> dict[str, Any]:
        """One line of samples.jsonl, written by `flush`: what the model wrote at this step; gives the line."""
        line = {"step": step, "prompt": prompt, "text": text, **facts}
        self._samples.add(json_line(line))
        self.trackers.sample(line)
        return line

    def flush(self) -> None:
        """Write what waits, so that a checkpoint never knows of steps that the log does not.

        Samples first: where the line of an evaluation is, its samples are too, whenever a crash comes.
        """
        self._samples.write(durably=True)
        self._metrics.write(durably=True)
        self.trackers.flush()

    def close(self) -> None:
        """Write what waits and end the trackers."""
        self.flush()
        self.trackers.close()
