"""Following a run from elsewhere, by its files alone: nothing is ever written there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError
from bajka.settings import shell_word
from bajka.watching.dashboard import Dashboard, Seen, in_words, run_facts
from bajka.watching.view import Picture, can_draw, say

Condition = Literal["training", "finished", "stopped"]

_PLAIN_SECONDS = 10.0
_DATED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")
_DRAWN = re.compile(_DATED.pattern + r"(Step [\d,]+: validation loss |\s)")  # in log.txt, what the picture shows


def watch(run: RunFolder, *, console: Console | None = None, once: bool = False, every: float = 0.5) -> Condition:
    """Show how `run` goes until it ends or nobody trains it any more, or only its state now; gives what it came to.

    In a terminal the dashboard of training is drawn, from a look at the files `every` so many seconds; elsewhere a line
    of words comes every ten seconds and at each evaluation. A run whose teacher is being trained shows that first.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    teacher = RunFolder(run.teacher)
    if teacher.config_file.is_file() and condition_of(teacher) == "training":
        say(console, f"{run.path} waits for its teacher, {teacher.path}:")
        watch(teacher, console=console, once=once, every=every)
    follower = Follower(run)
    follower.look()
    condition = condition_of(run)
    if once or condition != "training":
        _show_once(follower, console)
    else:
        condition = _follow(follower, console, every)
    say(console, sentence(run, follower.seen, condition))
    return condition


def condition_of(run: RunFolder) -> Condition:
    """Whether the run is at its end, somebody trains it, or it stopped."""
    try:
        if run.plan_file.is_file() and run.plan.get("finished"):
            return "finished"
    except DamagedFileError:
        pass  # whoever continues the run will say so
    return "training" if run.in_use() else "stopped"


def sentence(run: RunFolder, seen: Seen, condition: Condition) -> str:
    """The run's condition and what to type next."""
    step = f"step {seen.last_step:,}"
    match condition:
        case "finished":
            return f"Finished at {step}. Write with it: bajka generate {shell_word(run.path)}"
        case "stopped":
            return f"Stopped at {step}: nobody trains it now. Continue with: bajka train {shell_word(run.path)}"
        case "training":
            return f"Training, at {step}. Follow it with: bajka watch {shell_word(run.path)}"


class Follower:
    """What the files of a run say, read on from where the last look ended."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.seen = Seen(run.path.name)
        self._metrics, self._samples, self._log = map(Tail, (run.metrics_file, run.samples_file, run.log_file))
        self._log.lines()  # what was said before we came is not said again

    def look(self) -> list[dict[str, Any]]:
        """The new lines. A resumed run has dropped some: then all that is left is read again."""
        new, again = self._metrics.lines()
        samples, samples_again = self._samples.lines()
        if again or samples_again:
            self.seen = Seen(self.run.path.name)
            self._metrics, self._samples = Tail(self.run.metrics_file), Tail(self.run.samples_file)
            new, samples = self._metrics.lines()[0], self._samples.lines()[0]
        self.seen.facts = self.seen.facts or run_facts(self.run)
        found = [line for text in [*new, *samples] if (line := _read(text))]
        for line in found:
            self.seen.take(line)
        return found

    def sentences(self) -> list[str]:
        """What was newly said, without dates and without what the dashboard draws."""
        found, drawn = list[str](), False
        for line in self._log.lines()[0]:
            if _DATED.match(line):  # else: a line more of the sentence before
                drawn = bool(_DRAWN.match(line))
            if not drawn:
                found.append(_DATED.sub("", line))
        return found


class Tail:
    """The whole lines that were appended to a file since the last look; a line that is still being written waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at, self._file = 0, 0

    def lines(self) -> tuple[list[str], bool]:
        """New lines, and whether the file is another one than before (then they are all of its lines)."""
        try:
            with self.path.open("rb") as file:
                found = self.path.stat()
                again = self._at > 0 and (found.st_ino != self._file or found.st_size < self._at)
                self._at, self._file = 0 if again else self._at, found.st_ino
                file.seek(self._at)
                whole, _, _ = file.read().rpartition(b"\n")
        except OSError:  # not there yet, or being replaced
            return [], False
        if not whole:
            return [], again
        self._at += len(whole) + 1
        return whole.decode("utf-8", errors="replace").split("\n"), again


def _follow(follower: Follower, console: Console, every: float) -> Condition:
    """Show what comes until the run ends."""
    shown = _Drawn(console) if can_draw(console) else _Printed(console)
    try:
        while True:
            for line in follower.sentences():
                say(console, line)
            shown.show(follower.seen, follower.look())
            condition = condition_of(follower.run)
            if condition != "training":
                follower.look()  # what was written between the look and the end
                return condition
            time.sleep(every)
    finally:
        shown.close(follower.seen)


class _Drawn:
    """The dashboard, drawn again whenever a line came."""

    def __init__(self, console: Console) -> None:
        self._picture, self._began = Picture(console), False

    def show(self, seen: Seen, new: Sequence[Mapping[str, Any]]) -> None:
        if new or not self._began:
            self._began = True
            self._picture.draw(Dashboard(seen))

    def close(self, seen: Seen) -> None:
        self._picture.close(Dashboard(seen))


class _Printed:
    """A line of words every ten seconds, and at each evaluation."""

    def __init__(self, console: Console) -> None:
        self._console, self._last = console, -1e9

    def show(self, seen: Seen, new: Sequence[Mapping[str, Any]]) -> None:
        judged = any("val_loss" in line for line in new)
        if judged or (new and time.monotonic() - self._last >= _PLAIN_SECONDS):
            self._last = time.monotonic()
            say(self._console, in_words(seen, judged=judged))

    def close(self, seen: Seen) -> None:
        """Everything stands there."""


def _show_once(follower: Follower, console: Console) -> None:
    """The state now: the picture in a terminal, else a line."""
    seen = follower.seen
    if can_draw(console):
        console.print(Dashboard(seen))
    elif seen.step or seen.evaluation:
        say(console, in_words(seen, judged=bool(seen.evaluation)))


def _read(text: str) -> dict[str, Any] | None:
    """The object of a line, if it is one of ours."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("step"), int) else None
