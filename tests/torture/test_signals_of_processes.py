"""Signals to the command line itself: what a person, a shell, a terminal and a machine that shuts down do to it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.hardware import cpp_compiler
from shooting_range import count, saved_step
from tiny_runs import tales_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

SHAPE = "--n-layer 1 --n-embd 32 --n-head 2 --context-length 16 --vocab-size 300 --global-batch-size 4 --seed 3"
LONG = [*SHAPE.split(), "--steps", "100000", "--save-every-steps", "100000", "--evaluate-every-steps", "100000"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


def start(texts: Path, out: Path, *more: str, **how: Any) -> subprocess.Popen[str]:
    """`bajka train` for a very long time, in a process group of its own."""
    command = [sys.executable, "-m", "bajka", "train", str(texts), "--out", str(out), *LONG, *more]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **pipes | how)


def trained_for(run: Path, seconds: float) -> None:
    """Wait until the first checkpoint is there, and so many seconds more."""
    while not (run / "checkpoints" / "last.json").exists():
        time.sleep(0.05)
    time.sleep(seconds)


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([signal.SIGINT], 130),
        pytest.param([signal.SIGTERM], 143, marks=pytest.mark.torture),
        pytest.param([getattr(signal, "SIGHUP", 1)] * 2, 129, marks=pytest.mark.torture),
    ],
)
def test_a_signal_saves_and_ends_with_its_code_though_nobody_reads_any_more(
    texts: Path, tmp_path: Path, numbers: list[int], code: int
) -> None:
    """As in `bajka train ... | tee log.txt`: Ctrl-C reaches tee too, which ends at once."""
    with start(texts, tmp_path / "run") as process:
        trained_for(tmp_path / "run", 1.0)
        assert process.stdout is not None
        process.stdout.close()
        for number in numbers:
            os.killpg(process.pid, number)
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == code, told
    assert told.startswith("bajka: Stopped at step")
    assert told.count("\n") == 1
    assert saved_step(RunFolder(tmp_path / "run")) == bajka.open_run(tmp_path / "run").metrics[-1]["step"] > 0


@pytest.mark.torture
def test_a_second_ctrl_c_ends_at_once_and_the_checkpoint_before_is_whole(texts: Path, tmp_path: Path) -> None:
    with start(texts, tmp_path / "run") as process:
        trained_for(tmp_path / "run", 1.0)
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert saved_step(RunFolder(tmp_path / "run")) >= 0


@pytest.mark.torture
def test_a_closed_terminal_saves(texts: Path, tmp_path: Path) -> None:
    """The terminal hangs up: SIGHUP, and nothing can be written to it any more."""
    pty = pytest.importorskip("pty")
    command = [sys.executable, "-m", "bajka", "train", str(texts), "--out", str(tmp_path / "run"), *LONG]
    child, terminal = pty.fork()
    if not child:
        os.execv(command[0], command)
    while not (tmp_path / "run" / "checkpoints" / "last.json").exists():
        os.read(terminal, 1 << 16)
    time.sleep(1.0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
    assert saved_step(RunFolder(tmp_path / "run")) > 0


@pytest.mark.torture
def test_a_run_under_nohup_goes_on_when_the_terminal_closes(texts: Path, tmp_path: Path) -> None:
    with start(texts, tmp_path / "run", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        trained_for(tmp_path / "run", 0.5)
        os.kill(process.pid, signal.SIGHUP)
        time.sleep(1.0)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143


@pytest.mark.torture
@pytest.mark.timeout(600)
def test_ctrl_c_while_it_compiles_saves(texts: Path, tmp_path: Path) -> None:
    if cpp_compiler() is None:
        pytest.skip("there is no C++ compiler")
    cold = {"env": os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}}
    with start(texts, tmp_path / "run", "--compile", "on", **cold) as process:
        trained_for(tmp_path / "run", 1.0)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate()
    assert process.returncode == 130
    assert "Stopped at step" in told
    assert saved_step(RunFolder(tmp_path / "run")) > 0


def interrupted(start: Callable[[], subprocess.Popen[str]], seconds: float) -> bool:
    """Ctrl-C after so many seconds: a sentence, 130, no traceback; gives whether it came before the end."""
    with start() as process:
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        began = time.monotonic()
        out, told = process.communicate()
    if process.returncode == -signal.SIGINT:  # Python itself had not begun
        return True
    assert (process.returncode, "Traceback" in told) == (130, False), told
    assert told.startswith("bajka: Stop"), (told, out[-200:])
    assert time.monotonic() - began < 10
    return True


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_ctrl_c_at_any_time_before_the_first_step_is_a_sentence(
    texts: Path, tmp_path: Path, record_property: Any
) -> None:
    draw = random.Random(3)
    moments = [draw.uniform(0.3, 6.0) for _ in range(24)]
    for number, seconds in enumerate(moments):
        interrupted(lambda out=tmp_path / f"run-{number}": start(texts, out), seconds)  # type: ignore[misc]
    count(record_property, len(moments))
