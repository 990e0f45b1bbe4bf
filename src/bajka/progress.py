"""How long work says how far it is: a call with what is being done, how much of it is done, and how much there is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

_PLAIN_SECONDS = 10.0
_QUIET_SECONDS = 1.0  # shorter work says nothing


class Progress(Protocol):
    """Told now and then; `done` and `total` are in one unit (bytes, documents), `total` 0 when it is not known."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it, or not."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


class ConsoleProgress:
    """A bar with the time left in a terminal, a plain line every ten seconds elsewhere; nothing for what is over soon."""

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console, self._now = console, now
        self._what, self._began, self._last = "", 0.0, 0.0
        self._bar: Bar | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far `what` is."""
        now = self._now()
        if what != self._what:
            self.close()
            self._what, self._began, self._last = what, now, now
        if self._console.is_terminal and now - self._began >= _QUIET_SECONDS:
            self._draw(done, total)
        elif now - self._last >= _PLAIN_SECONDS:
            self._last = now
            self._console.print(self._line(done, total, now - self._began), markup=False, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._what = None, ""

    def _draw(self, done: int, total: int) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f}%"),
            )
            self._bar = Progress(*columns, TimeRemainingColumn(), console=self._console, transient=True)
            self._bar.add_task(self._what, total=total or None)
            self._bar.start()
        self._bar.update(self._bar.tasks[0].id, completed=done, total=total or None)

    def _line(self, done: int, total: int, seconds: float) -> str:
        if not (done and total):
            return f"{self._what} ..."
        left = seconds * (total - done) / done
        return f"{self._what} {done / total:4.0%}  {left / 60:.1f} minutes left"
