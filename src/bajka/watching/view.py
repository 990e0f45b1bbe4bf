"""What a person sees of a run: a live picture in a terminal, plain lines elsewhere. The loop knows only the protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text as RichText

from bajka.checkpoint.run_folder import RunFolder
from bajka.progress import ConsoleProgress
from bajka.watching.dashboard import Dashboard, Seen, step_in_words

if TYPE_CHECKING:
    from bajka.training.steps import StepReport


class View(Protocol):
    """Told what happens, in order; must not change anything."""

    @property
    def draws(self) -> bool:
        """Whether evaluations and samples are drawn from their lines, so that nobody needs to say them as well."""

    def opened(self, run: RunFolder) -> None:
        """The run that the steps will be of: its plan is written, and what earlier sittings measured."""

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
        """No more steps will come; sentences may."""


class SilentView:
    """Says nothing: for tests and other processes of a job."""

    draws = False

    def opened(self, run: RunFolder) -> None:
        """Nothing."""

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
    """A dashboard below scrolling lines in a terminal; elsewhere a plain line now and then."""

    def __init__(self, console: Console | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._now, self._last = now, -1e9
        self._working = ConsoleProgress(self.console)
        self._draws, self._seen = can_draw(self.console), Seen()
        self._picture = Picture(self.console, now=now)

    @property
    def draws(self) -> bool:
        """In a terminal that can move its cursor."""
        return self._draws

    def opened(self, run: RunFolder) -> None:
        """Begin the picture with what is known of the run already."""
        if self._draws:
            self._seen = Seen.of(run)

    def say(self, line: str) -> None:
        """Print a line above the picture."""
        self._working.close()
        say(self.console, line)

    def working(self, what: str, done: int, total: int) -> None:
        """A bar of its own, for what comes before the first step."""
        self._working(what, done, total)

    def step(self, report: StepReport, line: Mapping[str, Any]) -> None:
        """Take it into the picture; elsewhere print a line every ten seconds."""
        if self._draws:
            self._take(line)
        elif self._now() - self._last >= 10 or report.step == 1:
            self._last = self._now()
            say(self.console, step_in_words(line))

    def evaluated(self, line: Mapping[str, Any]) -> None:
        """Draw it; elsewhere it is said in words."""
        if self._draws:
            self._take(line, at_once=True)

    def sampled(self, line: Mapping[str, Any]) -> None:
        """Draw it; elsewhere the first of them is said."""
        if self._draws:
            self._take(line, at_once=True)

    def close(self) -> None:
        """Leave the last picture where it is; what is said from now on stands below it."""
        self._working.close()
        self._picture.close(Dashboard(self._seen))

    def _take(self, line: Mapping[str, Any], *, at_once: bool = False) -> None:
        self._working.close()
        self._seen.take(line)
        self._picture.draw(Dashboard(self._seen), at_once=at_once)


class Picture:
    """A drawing at the bottom of a terminal, done again at most four times a second and in less than 1 % of the time."""

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self.console, self._now = console, now
        self._live: Live | None = None
        self._next = -1e9
        self._size = console.size

    def draw(self, dashboard: Dashboard, *, at_once: bool = False) -> None:
        """Draw it when its time has come, or `at_once`."""
        began = self._now()
        if began < self._next and not at_once:
            return
        self._fit()
        if self._live is None:
            self._live = Live(dashboard, console=self.console, auto_refresh=False)
            self._live.start()
            self.console.show_cursor(True)  # a run may be killed at any moment: the terminal keeps its cursor
        self._live.update(dashboard, refresh=True)
        self._next = began + max(0.25, 150 * (self._now() - began))

    def close(self, dashboard: Dashboard) -> None:
        """Draw it a last time, and leave it there."""
        if self._live is not None:
            self.draw(dashboard, at_once=True)
            self._live.stop()
            self._live = None

    def _fit(self) -> None:
        """A window of another size has broken the lines of the last picture: begin on an empty screen."""
        size = self.console.size
        if size != self._size and self._live is not None:
            self._live.stop()
            self._live = None
            self.console.clear()
        self._size = size


def can_draw(console: Console) -> bool:
    """Whether this is a terminal that can move its cursor."""
    return console.is_terminal and not console.is_dumb_terminal


def say(console: Console, line: str) -> None:
    """Print a sentence; signs that the terminal's encoding lacks become question marks, and no sign commands it."""
    line = "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in line)
    console.print(RichText(line.encode(console.encoding, "replace").decode(console.encoding)))
