"""What a run writes down as it goes: metrics.jsonl, samples.jsonl, log.txt; trackers are told as well."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder, json_line
from bajka.training.trackers import Trackers
from bajka.training.view import View

_TOGETHER_SECONDS = 2.0


class Log:
    """Sentences for the person, kept in log.txt too; what is said before the run exists is written by `begin`."""

    def __init__(self, file: Path, view: View) -> None:
        self.file, self.view = file, view
        self._waiting: list[str] = []
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
    """Appends to the run's numbers. Those that are not finite are left out: JSON has no name for them."""

    def __init__(self, run: RunFolder, trackers: Trackers | None = None) -> None:
        self.run, self.trackers = run, trackers or Trackers([])
        self._lines: list[str] = []
        self._written = time.monotonic()

    def metrics(self, step: int, **numbers: float | None) -> dict[str, Any]:
        """One line of metrics.jsonl, without what is not known or not finite; gives the line.

        Lines are written together: by `flush`, or every two seconds for those who watch.
        """
        finite = {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}
        line = {"step": step, **finite}
        self._lines.append(json_line(line))
        if time.monotonic() - self._written > _TOGETHER_SECONDS:
            self._write()
        self.trackers.numbers(line)
        return line

    def sample(self, step: int, prompt: str, text: str, **facts: Any) -> dict[str, Any]:
        """One line of samples.jsonl: what the model wrote at this step; gives the line."""
        line = {"step": step, "prompt": prompt, "text": text, **facts}
        durable.append_line(self.run.samples_file, json_line(line))
        self.trackers.sample(line)
        return line

    def flush(self) -> None:
        """Write what waits, so that a checkpoint never knows of steps that the log does not."""
        self._write()
        self.trackers.flush()

    def close(self) -> None:
        """Write what waits and end the trackers."""
        self.flush()
        self.trackers.close()

    def _write(self) -> None:
        self._written = time.monotonic()
        if self._lines:
            durable.append_line(self.run.metrics_file, "".join(self._lines))
            self._lines = []
