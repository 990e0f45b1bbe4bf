"""A run at a glance: what the lines of metrics.jsonl and samples.jsonl say so far, drawn for a terminal of any size.

`Seen` takes the lines one by one, from a training (`bajka.watching.view`) or from the files of one (`bajka watch`);
`Dashboard` draws it. Colours are the terminal's own, so light and dark themes both work.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError
from bajka.model.config import ModelConfig
from bajka.model.estimate import parameters
from bajka.watching.chart import Curve, Mark, draw_chart

_WIDEST = 160  # columns: beyond, a curve gets no clearer
_PANEL = 30  # columns of the numbers
_READABLE = 100  # columns of a sample


@dataclass
class Seen:
    """What the lines of a run said so far."""

    name: str = ""
    facts: str = ""
    curve: Curve = field(default_factory=Curve)
    validation: list[tuple[int, float]] = field(default_factory=list)
    step: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, Any] = field(default_factory=dict)
    samples: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    recent: float = 0.0
    """The training loss of the last steps together."""
    _steps: int = 0

    @classmethod
    def of(cls, run: RunFolder) -> Seen:
        """All that the files of a run say; a run that is just beginning says nothing yet."""
        seen = cls(run.path.name, run_facts(run))
        for line in [*run.metrics(), *run.samples()]:
            seen.take(line)
        return seen

    def take(self, line: Mapping[str, Any]) -> None:
        """One line of either file; what it lacks is not shown."""
        if "prompt" in line:
            self.samples[str(line["prompt"])] = line
        if "train_loss" in line:
            loss = float(line["train_loss"])
            self.curve.add(line["step"], loss)
            self._steps += 1
            self.recent += (loss - self.recent) * max(0.05, 3 / (self._steps + 2))
        if "learning_rate" in line:
            self.step = line
        if "val_loss" in line:
            self.evaluation = line
            self.validation.append((line["step"], float(line["val_loss"])))
            if not self.best or line["val_loss"] < self.best["val_loss"]:
                self.best = line

    @property
    def last_step(self) -> int:
        """The last step that anything is known of."""
        return max(int(self.step.get("step", 0)), int(self.evaluation.get("step", 0)))


def run_facts(run: RunFolder) -> str:
    """Model, size and machine in a line, from plan.json; empty while there is no readable one."""
    try:
        plan = run.plan
        model, machine = ModelConfig(**plan["plan"]["model"]), plan["machine"]
        size = parameters(model) / 1e6
        shape = f"{model.family}, {size:.{1 if size < 100 else 0}f} M parameters"
        return f"{shape}, {machine['name']}, {machine['precision']}"
    except (DamagedFileError, KeyError, TypeError, ValueError):
        return ""


@dataclass
class Dashboard:
    """Draws `seen` in at most `options.max_width` columns, leaving some lines of the screen to sentences."""

    seen: Seen
    spare_lines: int = 5

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines of the picture."""
        width = max(20, min(options.max_width, _WIDEST) - 3)  # a terminal that shows ^C finds room for it
        rows = console.size.height
        height = max(4, min(rows - min(self.spare_lines, rows // 4), 36))
        for line in self.lines(console, width=width, height=height, ascii_only=options.ascii_only):
            line.no_wrap, line.overflow = True, "crop"
            line.truncate(width, overflow="crop")
            yield line

    def lines(self, console: Console, *, width: int, height: int, ascii_only: bool) -> Iterator[Text]:
        """Header, bar, the chart beside the numbers, and what the model writes, as far as there is room."""
        seen, wide = self.seen, width >= 2 * _PANEL + 4
        name, facts = (visible(text, console.encoding) for text in (seen.name, seen.facts))
        yield Text.assemble((name, "bold"), f"  {facts}")
        yield _bar(seen, width, ascii_only=ascii_only)
        room = height - 3  # an empty line follows
        written = list(_samples(seen, console, min(width, _READABLE), lines=max(0, min(room - 8, room // 2 - 2))))
        numbers = list(_numbers(seen))
        chart = room - len(written) if written or wide else room - 2
        if chart >= 4:
            yield Text()
            yield from _beside(seen, numbers, width, chart, wide=wide, ascii_only=ascii_only)
        if not wide:
            yield Text("  ".join(f"{name} {value}" for name, value in numbers[:3]))
        yield from written


def _beside(
    seen: Seen, numbers: Sequence[tuple[str, str]], width: int, height: int, *, wide: bool, ascii_only: bool
) -> Iterator[Text]:
    """The chart, with a column of numbers at its right where there is room."""
    point, star = ("o", "*") if ascii_only else ("●", "◆")
    columns, last = width - _PANEL - 2 if wide else width, max(1, seen.last_step)
    marks, least = list[Mark](), 4 * last / columns  # so far apart that the curve can be seen between them
    for step, loss in seen.validation:
        if not marks or step - marks[-1].x >= least:
            marks.append(Mark(step, loss, point, "yellow"))
    if seen.best:
        marks.append(Mark(seen.best["step"], seen.best["val_loss"], star, "bold green"))
    chart = draw_chart(seen.curve.smooth(), marks, width=columns, height=min(height, 20), ascii_only=ascii_only)
    for number, line in enumerate(chart):
        if wide and number < len(numbers):
            name, value = numbers[number]
            line = Text.assemble(line, f"  {name:<14}", (value, "bold"))
        yield line


def _numbers(seen: Seen) -> Iterator[tuple[str, str]]:
    """Names and values, the weightiest first."""
    step, judged, best = seen.step, seen.evaluation, seen.best
    if seen.step:
        yield "loss", f"{seen.recent:.3f}"
    if judged:
        yield "validation", f"{judged['val_loss']:.3f}"
        yield "best", f"{best['val_loss']:.3f} at {best['step']:,}"
    if "val_bits_per_byte" in best:
        yield "  bits a byte", f"{best['val_bits_per_byte']:.3f}"
    if "tokens_per_second" in step:
        yield "tokens/s", f"{step['tokens_per_second']:,.0f}"
    if "peak_share" in step:
        yield "  of the peak", f"{step['peak_share']:.0%}"
    if "epoch" in step:
        yield "epoch", f"{step['epoch']:.2f}"
    if "learning_rate" in step:
        yield "rate", f"{step['learning_rate']:.2g}"
    if "gradient_norm" in step:
        yield "gradient", f"{step['gradient_norm']:.2f}"
    if "memory_bytes" in step:
        yield "memory", size_in_words(step["memory_bytes"])
    if "average_val_loss" in judged:
        yield "averaged", f"{judged['average_val_loss']:.3f}"
    for name, value in judged.items():
        if name.startswith("val_loss/"):
            yield name.removeprefix("val_loss/")[:11], f"{value:.3f}"


def _bar(seen: Seen, width: int, *, ascii_only: bool) -> Text:
    """How much is done, how long it took, how long it will take, and until when."""
    step = seen.step
    if "share" not in step:
        return Text(f"step {seen.last_step:,}" if step else "before the first step", style="dim")
    words = [f"{step['share']:.0%}", duration(step["seconds"])]
    if left := step.get("seconds_left"):
        words += [f"{duration(left)} left", f"done at {moment(time.time() + left)}"]
    tail = (", " if ascii_only else " · ").join(words)
    columns = min(60, width - len(tail) - 2)
    if columns < 10:
        return Text(tail)
    full, half, empty = ("#", "#", "-") if ascii_only else ("━", "╸", "━")
    doubled = round(2 * columns * min(1.0, max(0.0, step["share"])))
    done = full * (doubled // 2) + half * (doubled % 2)
    return Text.assemble((done, "green"), (empty * (columns - len(done)), "dim"), f"  {tail}")


def _samples(seen: Seen, console: Console, width: int, *, lines: int) -> Iterator[Text]:
    """What the model wrote last, one prompt after the other, in at most so many lines, the first one empty."""
    room, code = lines - 2, console.encoding
    if room < 1 or not seen.samples:
        return
    latest = max(sample["step"] for sample in seen.samples.values())
    yield Text()
    yield Text(f"After {latest:,} steps it writes:", style="dim")
    for sample in seen.samples.values():
        if room < 1:
            return
        text = Text.assemble((visible(sample["prompt"], code), "bold"), visible(sample["text"], code))
        wrapped = list(text.wrap(console, width))
        share = min(len(wrapped), room if len(seen.samples) == 1 else max(3, lines // len(seen.samples)), room)
        if share < len(wrapped):
            wrapped[share - 1].truncate(width - 4)
            wrapped[share - 1].append(" ...")
        yield from wrapped[:share]
        room -= share


def step_in_words(line: Mapping[str, Any]) -> str:
    """One step as a plain line; `line` is that of metrics.jsonl."""
    share = f"{line['share']:4.0%}  " if "share" in line else ""
    left = f"  {duration(line['seconds_left'])} left" if "seconds_left" in line else ""
    loss = f"{line['train_loss']:.3f}" if "train_loss" in line else "not a number"
    return (
        f"{share}step {line['step']:,}  epoch {line['epoch']:.2f}  loss {loss}  rate {line['learning_rate']:.2g}  "
        f"{line['tokens_per_second']:,.0f} tokens/s  {line['memory_bytes'] / 2**20:,.0f} MB{left}"
    )


def in_words(seen: Seen, *, judged: bool) -> str:
    """The last step as a plain line, and the last evaluation when it was `judged` just now."""
    words = [step_in_words(seen.step)] if seen.step else []
    if judged:
        words.append(f"validation {seen.evaluation['val_loss']:.3f} at step {seen.evaluation['step']:,}")
        words.append(f"best {seen.best['val_loss']:.3f} at step {seen.best['step']:,}")
    return "  ".join(words)


def visible(text: str, encoding: str = "utf-8") -> str:
    """A written text for one paragraph on a screen: no line breaks, nothing that commands a terminal.

    What `encoding` lacks becomes a question mark.
    """
    text = text.encode(encoding, "replace").decode(encoding)
    spaced = "".join(sign if sign.isprintable() else " " for sign in text)
    return re.sub(" +", " ", spaced)


def size_in_words(size: float) -> str:
    """As "812 MB", "3.4 GB"."""
    return f"{size / 2**20:,.0f} MB" if size < 2**30 else f"{size / 2**30:.1f} GB"


def moment(seconds: float) -> str:
    """A time of day, with the day when it is not within the next twelve hours."""
    return time.strftime("%H:%M" if seconds - time.time() < 12 * 3600 else "%a %H:%M", time.localtime(seconds))


def duration(seconds: float) -> str:
    """As "1 h 5 min", "4 min 10 s", "12 s"."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
