"""Following a run by its files: finished, stopped, training, resumed; and never a byte written to it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

import bajka
from bajka import durable
from bajka.checkpoint.run_folder import RunFolder, json_line
from bajka.watching.watch import Follower, Tail, condition_of, watch
from tiny_runs import Stopped, Watcher, stop_at, tales_file, train_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    """A finished run of six steps."""
    folder = tmp_path_factory.mktemp("watched")
    return train_tiny(tales_file(folder), out=str(folder / "run"), steps=6, evaluate_every_steps=3)


@pytest.fixture
def beginning(run: bajka.Run, tmp_path: Path) -> RunFolder:
    """A run that is planned and has no numbers yet."""
    folder = RunFolder(tmp_path / "young")
    folder.path.mkdir()
    folder.write_settings(run.settings)
    folder.write_plan(run.plan | {"finished": None})
    return folder


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, height=30, soft_wrap=True, highlight=False)


def shown(screen: Console) -> str:
    assert isinstance(screen.file, io.StringIO)
    return Text.from_ansi(screen.file.getvalue()).plain


def append(file: Path, *lines: dict[str, Any]) -> None:
    durable.append_line(file, "".join(map(json_line, lines)))


def contents(folder: Path) -> dict[str, str]:
    return {str(path): durable.sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_finished_run_is_shown_once_and_said_to_be_finished(run: bajka.Run) -> None:
    screen = console()
    assert watch(run.folder, console=screen) == "finished"
    first, last = shown(screen).splitlines()
    assert first.startswith("100%  step 6  epoch ")
    assert "  validation " in first
    assert last == f"Finished at step 6. Write with it: bajka generate {run.path}"


def test_in_a_terminal_the_dashboard_is_shown(run: bajka.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = console(terminal=True)
    watch(run.folder, console=screen, once=True)
    assert "After 6 steps it writes:" in shown(screen)
    assert "└─ 0 " in shown(screen)


def test_watching_writes_nothing_into_the_run(run: bajka.Run) -> None:
    before = contents(run.path)
    watch(run.folder, console=console())
    assert contents(run.path) == before


def test_a_run_that_was_killed_is_said_to_be_stopped_and_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train_tiny(tales_file(tmp_path), stop_at(6), out=str(tmp_path / "run"), steps=9)
    screen, folder = console(), RunFolder.open(tmp_path / "run")
    assert watch(folder, console=screen) == "stopped"
    assert f"Stopped at step 6: nobody trains it now. Continue with: bajka train {folder.path}" in shown(screen)


def test_a_run_that_has_just_begun_is_training_as_long_as_its_lock_is_held(beginning: RunFolder) -> None:
    with beginning.lock():
        assert condition_of(beginning) == "training"
        screen = console()
        assert watch(beginning, console=screen, once=True) == "training"
    assert shown(screen) == f"Training, at step 0. Follow it with: bajka watch {beginning.path}\n"
    assert condition_of(beginning) == "stopped"


@pytest.fixture
def trained(beginning: RunFolder) -> Iterator[RunFolder]:
    """Somebody holds the run's lock, writes two steps, a sentence and an evaluation, and goes."""
    there, go = threading.Event(), threading.Event()

    def train() -> None:
        with beginning.lock():
            there.set()
            go.wait(0.2)
            facts = {"epoch": 0.1, "seconds": 1, "learning_rate": 0.01, "tokens_per_second": 5.0, "memory_bytes": 1}
            append(beginning.metrics_file, {"step": 1, "train_loss": 5.0, **facts})
            log = "2026-01-01 10:00:00  The coach speaks.\n2026-01-01 10:00:00  Step 1: validation loss 4\n"
            durable.append_line(beginning.log_file, log + "2026-01-01 10:00:00    A sample\nof two lines.")
            append(beginning.metrics_file, {"step": 2, "train_loss": 4.0, **facts}, {"step": 2, "val_loss": 4.5})
            go.wait(0.3)

    thread = threading.Thread(target=train)
    thread.start()
    there.wait()
    yield beginning
    go.set()
    thread.join()


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_written_while_we_watch_is_shown(
    trained: RunFolder, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = console(terminal=terminal)
    assert watch(trained, console=screen, every=0.02) == "stopped"
    text = shown(screen)
    assert "The coach speaks." in text
    assert ("validation    4.500" if terminal else "validation 4.500 at step 2") in text
    assert "of two lines" not in text, "the dashboard shows samples"
    assert "Stopped at step 2" in text


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "metrics.jsonl")
    assert tail.lines() == ([], False)
    tail.path.write_text('{"step": 1}\n{"st')
    assert tail.lines() == (['{"step": 1}'], False)
    with tail.path.open("a") as file:
        file.write('ep": 2}\n')
    assert tail.lines() == (['{"step": 2}'], False)


def test_after_a_resume_the_dropped_lines_are_forgotten(beginning: RunFolder) -> None:
    append(beginning.metrics_file, *({"step": n, "val_loss": 9.0 - n} for n in range(6)))
    follower = Follower(beginning)
    assert len(follower.look()) == 6
    beginning.forget_after(2)
    append(beginning.metrics_file, {"step": 3, "val_loss": 8.5})
    follower.look()
    assert [step for step, _ in follower.seen.validation] == [0, 1, 2, 3]
    assert follower.seen.best["step"] == 2


def test_lines_that_are_no_json_are_passed_over(beginning: RunFolder) -> None:
    beginning.metrics_file.write_text('half a l{\n[1]\n{"step": "x"}\n{"step": 1, "val_loss": 3.0}\n')
    assert Follower(beginning).look() == [{"step": 1, "val_loss": 3.0}]


def test_steps_can_be_followed_before_the_first_evaluation_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bajka.watching.record._TOGETHER_SECONDS", 0.0)
    seen: list[int] = []

    def look(report: Any) -> None:
        seen.append(len(RunFolder(tmp_path / "run").metrics()))

    train_tiny(tales_file(tmp_path), Watcher(look), out=str(tmp_path / "run"), steps=3, save_every_steps=100)
    assert seen == [2, 3, 4]
