"""What a person sees while a run trains: a picture in a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from bajka.training.steps import StepReport
from bajka.watching.record import Log
from bajka.watching.view import ConsoleView
from tiny_runs import HandClock, tales_file, train_tiny


def report(step: int) -> StepReport:
    return StepReport(step, tokens=64 * step, epoch=0.5, loss=4.25, learning_rate=0.02, gradient_norm=1.0, seconds=0.1)


def line(step: int) -> dict[str, Any]:
    facts = {"step": step, "epoch": 0.5, "seconds": 3.0, "train_loss": 4.25, "learning_rate": 0.02}
    return facts | {"share": step / 4, "seconds_left": 75.0, "tokens_per_second": 9_300.0, "memory_bytes": 300 << 20}


def console(*, terminal: bool, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    return Console(file=file, force_terminal=terminal, width=120, height=30, soft_wrap=True, highlight=False)


def shown(view: ConsoleView) -> str:
    view.console.file.flush()
    buffer: io.BytesIO = view.console.file.buffer  # type: ignore[attr-defined]
    return buffer.getvalue().decode(view.console.encoding)


@pytest.fixture(autouse=True)
def a_good_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")


def test_outside_a_terminal_a_plain_line_comes_now_and_then() -> None:
    seconds = iter([0.0, 0.0, 1.0, 9.9, 12.0, 12.0])
    view = ConsoleView(console(terminal=False), now=lambda: next(seconds))
    view.say("It begins. [not markup]")
    for step in (1, 2, 3, 4):
        view.step(report(step), line(step))
    view.close()
    assert shown(view).splitlines() == [
        "It begins. [not markup]",
        " 25%  step 1  epoch 0.50  loss 4.250  rate 0.02  9,300 tokens/s  300 MB  1 min 15 s left",
        "100%  step 4  epoch 0.50  loss 4.250  rate 0.02  9,300 tokens/s  300 MB  1 min 15 s left",
    ]


def test_in_a_terminal_the_picture_stands_below_what_is_said() -> None:
    view = ConsoleView(console(terminal=True))
    view.step(report(1), line(1))
    view.say("Said while it trains.")
    view.close()
    view.close()
    view.say("Finished.")
    text = Text.from_ansi(shown(view)).plain
    assert text.index("Said while it trains.") < text.rindex("9,300") < text.index("Finished.")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    view = ConsoleView(console(terminal=True))
    view.step(report(1), line(1))
    assert shown(view).startswith(" 25%  step 1")


def test_a_fast_training_is_drawn_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    view = ConsoleView(console(terminal=True), now=clock.now)
    for step in range(1, 1001):
        clock.time = step / 500
        view.step(report(step), line(step) | {"step": step})
    assert drawings(view) <= 8 + 1


def test_drawing_takes_a_hundredth_of_the_time_where_it_is_slow() -> None:
    seconds = iter(range(100_000))  # every look at the clock finds a second gone: a drawing takes one
    view = ConsoleView(console(terminal=True), now=lambda: float(next(seconds)))
    for step in range(1, 301):
        view.step(report(step), line(step))
    assert drawings(view) <= 4


def drawings(view: ConsoleView) -> int:
    return shown(view).count("tokens/s")


def test_an_evaluation_is_drawn_at_once() -> None:
    view = ConsoleView(console(terminal=True), now=lambda: 5.0)
    view.step(report(1), line(1))
    view.evaluated({"step": 1, "val_loss": 4.125})
    assert "4.125" in shown(view)


def test_a_window_of_another_size_begins_on_an_empty_screen() -> None:
    view = ConsoleView(console(terminal=True), now=HandClock().now)
    view.step(report(1), line(1))
    before = len(shown(view))
    view.console.size = (60, 20)  # type: ignore[assignment]
    view.evaluated({"step": 1, "val_loss": 4.125})
    assert "\x1b[2J" in shown(view)[before:]


def test_the_cursor_is_left_visible_for_whoever_is_killed() -> None:
    view = ConsoleView(console(terminal=True))
    view.step(report(1), line(1))
    text = shown(view)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


@pytest.mark.parametrize("terminal", [False, True])
def test_sentences_that_the_encoding_lacks_are_said_with_question_marks(terminal: bool) -> None:
    view = ConsoleView(console(terminal=terminal, encoding="ascii"))
    view.say("Лиса went to the river.\x1b[2J")
    assert shown(view).strip().startswith("???? went to the river. [2J")


@pytest.mark.parametrize(("terminal", "said"), [(True, False), (False, True)])
def test_what_is_drawn_is_not_said_too_but_stands_in_the_log(terminal: bool, said: bool, tmp_path: Path) -> None:
    view = ConsoleView(console(terminal=terminal))
    log = Log(tmp_path / "log.txt", view)
    log.begin()
    log.note("Step 4: validation loss 4.1")
    assert ("validation loss" in shown(view)) is said
    assert "validation loss" in (tmp_path / "log.txt").read_text()


def test_a_real_run_is_drawn_from_its_first_evaluation_to_its_end(tmp_path: Path) -> None:
    view = ConsoleView(console(terminal=True))
    train_tiny(tales_file(tmp_path), view, out=str(tmp_path / "run"), steps=4)  # type: ignore[arg-type]
    text = Text.from_ansi(shown(view)).plain
    for part in ("run  modern, 0.0 M parameters", "100%", "best", "After 4 steps it writes:", "Finished 4 steps"):
        assert part in text, part
    assert text.rindex("After 4 steps") < text.index("Finished 4 steps")


def test_a_resumed_run_is_drawn_with_what_came_before(tmp_path: Path) -> None:
    run = train_tiny(tales_file(tmp_path), out=str(tmp_path / "run"), steps=4)
    view = ConsoleView(console(terminal=True))
    view.opened(run.folder)
    view.evaluated({"step": 5, "val_loss": 1.0})
    assert "step 5" in shown(view)
    assert "tokens/s" in shown(view)
