"""Stopped from outside: Ctrl-C and SIGTERM save first, and a killed process loses nothing but the last few steps."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from bajka.checkpoint.checkpoint import find_checkpoint
from bajka.errors import Interrupted
from bajka.training.signals import Signals
from bajka.training.steps import StepReport
from killing import moments, train_under_fire
from tiny_runs import TINY, Watcher, bits, checkpoints, tales_file, train_tiny

needs_signals = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@needs_signals
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (getattr(signal, "SIGHUP", 1), 129)]
)
def test_a_signal_saves_this_very_step_and_the_run_goes_on_to_the_same_bits(
    texts: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    def send(report: StepReport) -> None:
        if report.step == 7:
            os.kill(os.getpid(), number)

    out = tmp_path / "run"
    with pytest.raises(
        Interrupted, match=rf"Stopped at step 7; everything is saved. Continue: bajka train {out}"
    ) as caught:
        train_tiny(texts, Watcher(send), out=str(out), steps=10)
    assert caught.value.exit_code == code
    assert (out / "checkpoints" / "step-000007" / "manifest.json").is_file()
    assert (out / "loss.png").is_file()
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(out), steps=10)
    assert watcher.reports[0].step == 8
    assert bits(run) == bits(train_tiny(texts, out=str(tmp_path / "whole"), steps=10))


@needs_signals
def test_a_signal_at_the_last_step_lets_the_run_finish(texts: Path, tmp_path: Path) -> None:
    def send(report: StepReport) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    assert train_tiny(texts, Watcher(send), out=str(tmp_path / "run"), steps=3).plan["finished"]["step"] == 3


@needs_signals
def test_the_first_ctrl_c_is_noted_and_the_second_ends_at_once() -> None:
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@needs_signals
def test_only_ctrl_c_ends_at_once_other_repetitions_mean_no_more_than_the_first() -> None:
    with Signals() as signals:
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert signals.received == signal.SIGHUP


@needs_signals
def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not signals.received
    finally:
        signal.signal(signal.SIGHUP, before)


@needs_signals
def test_a_second_ctrl_c_draws_no_plots_first(texts: Path, tmp_path: Path) -> None:
    def send_twice(report: StepReport) -> None:
        if report.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_tiny(texts, Watcher(send_twice), out=str(tmp_path / "run"), steps=10)
    assert not (tmp_path / "run" / "loss.png").exists()


@pytest.mark.parametrize("broken", [BrokenPipeError(), OSError(5, "Input/output error"), SystemExit(1)])
def test_a_terminal_that_is_gone_does_not_end_a_run(texts: Path, tmp_path: Path, broken: BaseException) -> None:
    def write(report: StepReport) -> None:
        raise broken

    watcher = Watcher(write)
    assert train_tiny(texts, watcher, out=str(tmp_path / "run"), steps=3).plan["finished"]["step"] == 3
    assert [report.step for report in watcher.reports] == [1], "nothing more was shown"


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    found = []

    def enter() -> None:
        with Signals():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]


@needs_signals
def test_a_process_killed_again_and_again_ends_with_the_bits_of_one_that_never_was(texts: Path, tmp_path: Path) -> None:
    wishes = TINY | {"steps": 20, "save_every_steps": 2, "dropout": 0.1, "optimizer": "muon"}
    whole = train_tiny(texts, out=str(tmp_path / "whole"), **wishes)
    while_preparing = (3, 0.0)
    kills = [while_preparing, *moments(5, lines=(3, 10), seed=7)]
    run, killed = train_under_fire(texts, wishes | {"out": str(tmp_path / "killed")}, kills=kills)
    assert killed >= 4
    assert bits(run) == bits(whole)
    assert [line["step"] for line in run.metrics] == [line["step"] for line in whole.metrics]
    assert run.folder.read_pointer("best") == whole.folder.read_pointer("best")
    assert find_checkpoint(run.folder, "last", say=pytest.fail) is not None
    assert len(checkpoints(run.folder)) == len(checkpoints(whole.folder))
