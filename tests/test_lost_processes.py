"""Real torchrun jobs in which a process is killed, told to stop, or fails: the job ends soon, says why once, goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import bajka
from jobs import free_port, start_together, train_together
from tiny_runs import TINY, bits, tales_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

FAULTY = """
import errno, json, os, signal, sys, threading, time
from pathlib import Path

what, rank, out = sys.argv[1:4]

def strike():
    last = Path(out) / "checkpoints" / "last.json"
    while not (last.is_file() and json.loads(last.read_text())["step"] >= 4):
        time.sleep(0.002)
    if what == "ENOSPC":
        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")
        os.fsync = full
    else:
        os.kill(os.getpid(), getattr(signal, what))

if os.environ["RANK"] == rank:
    threading.Thread(target=strike, daemon=True).start()

from bajka.cli.main import main
del sys.argv[1:4]
main()
"""

WISHES = TINY | {"steps": 2000, "evaluate_every_steps": 2000, "save_every_steps": 4}


def torchrun(
    folder: Path, what: str, rank: int, *, processes: int = 2, steps: int = WISHES["steps"]
) -> subprocess.Popen[str]:
    """A job of the command line in which something happens to one process after the first checkpoints."""
    texts, out, script = tales_file(folder), folder / "run", folder / "faulty.py"
    script.write_text(FAULTY, encoding="utf-8")
    options = [f"--nproc-per-node={processes}", f"--master-port={free_port()}"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, str(script), what, str(rank), str(out)]
    command += ["train", str(texts), "--out", str(out)]
    for name, value in (WISHES | {"steps": steps}).items():
        values = [value] if isinstance(value, str | int | float) else list(value)
        command += [f"--{name.replace('_', '-')}", *map(str, values)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(job: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """The exit code of a job and all that bajka complained of."""
    _, err = job.communicate(timeout=200)
    return job.returncode, [line for line in err.splitlines() if line.startswith("bajka: ")]


def saved_step(folder: Path) -> int:
    last = bajka.open_run(folder / "run").folder.read_pointer("last")
    assert last is not None
    return int(last["step"])


def finish(folder: Path, *, processes: int = 2) -> bajka.Run:
    """The same run continued to a few steps beyond, with nothing happening."""
    told = train_together([(folder / "run", {"steps": saved_step(folder) + 3})], size=processes)
    assert [one["code"] for one in told[0]] == [0] * processes
    return bajka.open_run(folder / "run")


def test_a_killed_process_ends_the_job_with_its_name(tmp_path: Path, record_property: Any) -> None:
    record_property("injected", 1)
    code, complaints = ended(torchrun(tmp_path, "SIGKILL", 1))
    assert code != 0
    assert len(complaints) == 1
    assert complaints[0].startswith("bajka: Process 1 of 2 (pid ")
    assert "is gone: killed" in complaints[0]
    assert "start the same command again" in complaints[0]
    assert saved_step(tmp_path) >= 4
    record_property("survived", 1)


@pytest.mark.torture
@pytest.mark.parametrize("rank", [0, 1])
def test_a_job_with_a_killed_process_goes_on_to_the_same_bits(tmp_path: Path, rank: int, record_property: Any) -> None:
    record_property("injected", 1)
    code, complaints = ended(torchrun(tmp_path, "SIGKILL", rank, steps=60))
    assert code != 0
    assert [line.startswith(f"bajka: Process {rank} of 2") for line in complaints] == [True]
    whole = WISHES | {"steps": 60, "out": str(tmp_path / "whole")}
    train_together([(tmp_path / "run", {}), (tmp_path / "tales.txt", whole)])
    assert bits(bajka.open_run(tmp_path / "run")) == bits(bajka.open_run(tmp_path / "whole"))
    record_property("survived", 1)


@pytest.mark.torture
@pytest.mark.parametrize(("name", "rank"), [("SIGTERM", 0), ("SIGTERM", 1), ("SIGINT", 1)])
def test_a_signal_to_one_process_stops_all_at_one_saved_step(tmp_path: Path, name: str, rank: int) -> None:
    code, complaints = ended(torchrun(tmp_path, name, rank))
    assert code != 0
    assert complaints == [
        f"bajka: Stopped at step {saved_step(tmp_path)}; everything is saved. Continue: bajka train {tmp_path / 'run'}"
    ]
    finish(tmp_path)


@pytest.mark.torture
@pytest.mark.parametrize("number", [15, 2])
def test_a_signal_to_torchrun_stops_all_at_one_saved_step(tmp_path: Path, number: int) -> None:
    job = torchrun(tmp_path, "SIGCONT", 0)  # nothing happens by itself
    while not (tmp_path / "run" / "checkpoints" / "step-000008").exists():
        assert job.poll() is None
        time.sleep(0.005)
    job.send_signal(number)
    code, complaints = ended(job)
    assert code != 0
    assert [line.startswith(f"bajka: Stopped at step {saved_step(tmp_path)};") for line in complaints] == [True]


@pytest.mark.torture
def test_a_full_disk_of_the_first_process_is_told_once_and_by_it(tmp_path: Path, record_property: Any) -> None:
    record_property("injected", 1)
    code, complaints = ended(torchrun(tmp_path, "ENOSPC", 0))
    assert code != 0
    assert len(complaints) == 1
    assert "disk is full" in complaints[0]
    assert "Process" not in complaints[0]
    finish(tmp_path)
    record_property("survived", 1)


FROZEN = """
import os, signal, sys, time
import bajka.distributed.peers as peers
import torch
from bajka.distributed import join_world

peers._DEAD = 6
with join_world() as world:
    world.largest(1.0)
    if world.rank == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGSTOP)
    world.largest(1.0)
"""

FAILING = """
import sys
from bajka.cli.main import complain
from bajka.distributed import join_world
from bajka.errors import BajkaError, DiskError, was_said
try:
    with join_world() as world:
        if world.rank == 1:
            raise DiskError("The disk of this process is full.")
        world.largest(1.0)
except BajkaError as error:
    if not was_said(error):
        complain(str(error))
    sys.exit(error.exit_code)
"""


@pytest.mark.torture
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_no_longer_moves_ends_the_job_though_no_connection_broke(rank: int) -> None:
    jobs = start_together(FROZEN, str(rank))
    frozen, waiting = jobs[rank], jobs[1 - rank]
    try:
        _, err = waiting.communicate(timeout=100)
    finally:
        frozen.kill()
        frozen.communicate()
    assert waiting.returncode == 1
    first = "bajka: The process at whose store the others met is gone: killed, or "  # it answers nothing, not even who it is
    assert (first if rank == 0 else f"bajka: Process 1 of 2 (pid {frozen.pid} on ") in err


def test_an_error_of_one_process_is_told_by_the_first_with_its_exit_code() -> None:
    jobs = start_together(FAILING)
    printed = [process.communicate(timeout=100)[1] for process in jobs]
    assert [process.returncode for process in jobs] == [3, 3]
    assert printed[0].startswith("bajka: Process 1 of 2 (pid ")
    assert printed[0].endswith(") ended: The disk of this process is full.\n")
    assert printed[1] == ""
