"""What a person sees of a run: a live line in a terminal, plain lines elsewhere. The loop knows only the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text as RichText

from bajka.progress import ConsoleProgress
from bajka.training.steps import StepReport


class View(Protocol):
    """Told what happens, in order; must not change anything."""

    def say(self, line: str) -> None:
        """A sentence for the person."""

    def working(self, what: str, done: int, total: int) -> None:
        """How far the work before the first step is (see `bajka.progress`)."""

    def step(self, report: StepReport, line: Mapping[str, Any]) -> None:
        """One optimizer step, and its line of metrics.jsonl."""

    def evaluated(self, line: Mapping[str, Any]) -> None:
        """The line of metrics.jsonl that an evaluation wrote."""

    def sampled(self, line: Mapping[str, Any]) -> None:
        """A line of samples.jsonl: what the model wrote."""

    def close(self) -> None:
        """No more will come."""


class SilentView:
    """Says nothing: for tests and other processes of a job."""

    def say(self, line: str) -> None:
        """Nothing."""

    def working(self, what: str, done: int, total: int) -> None:
        """Nothing."""

    def step(self, report: StepReport, line: Mapping[str, Any]) -> None:
        """Nothing."""

    def evaluated(self, line: Mapping[str, Any]) -> None:
        """Nothing."""

    def sampled(self, line: Mapping[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class ConsoleView:
    """A progress bar below scrolling lines in a terminal; elsewhere a plain line now and then."""

    def __init__(self, console: Console | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._now, self._last = now, -1e9
        self._progress: Progress | None = None
        self._working = ConsoleProgress(self.console)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._working.close()
        self.console.print(RichText(line))

    def working(self, what: str, done: int, total: int) -> None:
        """A bar of its own, for what comes before the first step."""
        self._working(what, done, total)

    def step(self, report: StepReport, line: Mapping[str, Any]) -> None:
        """Move the bar at every step; elsewhere print a line every ten seconds."""
        left = f"  {duration(line['seconds_left'])} left" if "seconds_left" in line else ""
        facts = (
            f"step {report.step:,}  epoch {report.epoch:.2f}  loss {report.loss:.3f}  rate {report.learning_rate:.2g}  "
            f"{line['tokens_per_second']:,.0f} tokens/s  {line['memory_bytes'] / 2**20:,.0f} MB{left}"
        )
        if self.console.is_terminal:
            self._bar(line["share"], facts)
        elif self._now() - self._last >= 10 or report.step == 1:
            self._last = self._now()
            self.console.print(RichText(f"{line['share']:4.0%}  {facts}"))

    def evaluated(self, line: Mapping[str, Any]) -> None:
        """Said in words already."""

    def sampled(self, line: Mapping[str, Any]) -> None:
        """Said in words already."""

    def close(self) -> None:
        """Take the bars away."""
        self._working.close()
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _bar(self, share: float, facts: str) -> None:
        if self._progress is None:
            columns = (
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.description}"),
            )
            self._progress = Progress(*columns, console=self.console, transient=True)
            self._progress.add_task(facts, total=1.0)
            self._progress.start()
        self._progress.update(self._progress.tasks[0].id, completed=share, description=facts)


def duration(seconds: float) -> str:
    """As "1 h 5 min", "4 min 10 s", "12 s"."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
