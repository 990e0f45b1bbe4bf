"""Several processes on one machine (gloo): they are one, and trouble in the first reaches all."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import bajka
from bajka.distributed import World, join_world
from bajka.errors import BajkaError, SettingsError
from tiny_runs import TINY, tales_file, train_tiny

WORK = """
import json
import torch
from bajka.distributed import join_world
from bajka.errors import BajkaError, CorpusError

asked = []

def fail():
    raise CorpusError("There are no texts.")

with join_world() as world:
    found = {"rank": world.rank, "size": world.size, "speaks": world.speaks, "share": world.share(5)}
    found["sum"] = float(world.sum(torch.tensor(float(world.rank + 1))))
    found["largest"] = world.largest(0.1 * (world.rank + 1))
    found["agree"] = world.agree(15 if world.rank == 1 else 0)

    with_rows, without_rows = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(3))
    with_rows.grad = torch.full((2, 2), world.rank + 1.0)
    if world.rank == 0:
        without_rows.grad = torch.ones(3)
    world.sum_gradients([with_rows, without_rows])
    found["gradients"] = [p.grad.flatten().tolist() for p in (with_rows, without_rows)]

    found["first"] = world.first(lambda: asked.append(1) or {"plan": [1, 2]})
    found["asked"] = len(asked)
    try:
        world.first(fail)
    except BajkaError as error:
        found["error"] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def together(code: str, *arguments: str, size: int = 2) -> list[str]:
    """What `size` processes of one job printed, started as torchrun starts them."""
    world = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = []
    for rank in range(size):
        environment = os.environ | world | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, "-c", code, *arguments]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * size
    return printed


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    return [json.loads(line) for line in together(WORK)]


def test_each_process_has_its_rank_and_only_the_first_speaks(found: list[dict[str, Any]]) -> None:
    assert [(f["rank"], f["size"], f["speaks"]) for f in found] == [(0, 2, True), (1, 2, False)]


def test_every_row_of_a_batch_belongs_to_exactly_one_process(found: list[dict[str, Any]]) -> None:
    assert [f["share"] for f in found] == [[0, 2], [2, 5]]


def test_sums_and_largest_values_are_the_same_everywhere(found: list[dict[str, Any]]) -> None:
    assert all((f["sum"], f["largest"], f["agree"]) == (3.0, 0.2, 15) for f in found)


def test_gradients_are_added_though_one_process_had_no_rows_for_some(found: list[dict[str, Any]]) -> None:
    assert all(f["gradients"] == [[3.0] * 4, [1.0] * 3] for f in found)


def test_what_the_first_process_does_alone_is_given_to_all(found: list[dict[str, Any]]) -> None:
    assert [f["first"] for f in found] == [{"plan": [1, 2]}] * 2
    assert [f["asked"] for f in found] == [1, 0]


def test_an_error_of_the_first_process_reaches_the_others(found: list[dict[str, Any]]) -> None:
    assert found[0]["error"] == ["CorpusError", "There are no texts."]
    assert found[1]["error"] == [
        "PeerError",
        "The first process of this job stopped: CorpusError: There are no texts.",
    ]


# -- alone -------------------------------------------------------------------------------------------------------


def test_alone_every_operation_is_the_identity() -> None:
    world = World()
    value = torch.tensor(2.0)
    assert world.sum(value) is value
    assert (world.largest(0.5), world.agree(3), world.share(7)) == (0.5, 3, (0, 7))
    assert world.first(lambda: "done") == "done"
    world.sum_gradients([torch.nn.Parameter(value)])


def test_alone_an_error_stays_what_it_is() -> None:
    def fail() -> None:
        raise BajkaError("trouble")

    with pytest.raises(BajkaError, match=r"^trouble$"):
        World().first(fail)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_world() as world:
        assert world == World(rank=0, size=1)


def test_half_a_job_is_refused_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        SettingsError, match=r"WORLD_SIZE = 2 .* MASTER_ADDR, MASTER_PORT is not set. Start them with torchrun"
    ):
        join_world().__enter__()


TRAIN = """
import json, sys
import bajka
from bajka.training.view import SilentView

class Told(SilentView):
    lines = 0
    def say(self, line):
        Told.lines += 1

texts, wishes = sys.argv[1], json.loads(sys.argv[2])
stop = wishes.pop("stop_at", None)
if stop:
    def step(self, report, **facts):
        if report.step == stop:
            import os, signal
            os.kill(os.getpid(), signal.SIGTERM)
    Told.step = step
from bajka.errors import Interrupted
try:
    run = bajka.train(texts, view=Told(), **wishes)
    code = 0
except Interrupted as error:
    code = error.exit_code
print(json.dumps({"said": Told.lines, "code": code}))
"""


def train_together(texts: Path, wishes: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line.splitlines()[-1]) for line in together(TRAIN, str(texts), json.dumps(wishes))]


def same_numbers(run: bajka.Run, alone: bajka.Run) -> None:
    for name in ("train_loss", "val_loss", "gradient_norm"):
        numbers = [[line[name] for line in one.metrics if name in line] for one in (run, alone)]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)
    assert len(run.metrics) == len(alone.metrics), "only the first process writes"
    assert run.folder.log_file.read_text().count("Finished 6 steps") == 1


def wishes_for(out: Path) -> dict[str, Any]:
    return TINY | {"steps": 6, "global_batch_size": 5, "evaluate_every_steps": 3, "out": str(out)}


def test_two_processes_train_one_run_to_the_losses_of_one_process(tmp_path: Path) -> None:
    texts = tales_file(tmp_path / "texts")
    printed = train_together(texts, wishes_for(tmp_path / "together"))
    assert [one["code"] for one in printed] == [0, 0]
    assert [one["said"] > 0 for one in printed] == [True, False], "only the first process speaks"
    same_numbers(bajka.open_run(tmp_path / "together"), train_tiny(texts, **wishes_for(tmp_path / "alone")))


@pytest.mark.torture
def test_a_signal_to_one_of_two_processes_stops_both_and_both_go_on(tmp_path: Path) -> None:
    texts = tales_file(tmp_path / "texts")
    wishes = wishes_for(tmp_path / "together")
    codes = [[one["code"] for one in train_together(texts, wishes | {"stop_at": stop})] for stop in (4, None)]
    assert codes == [[143, 143], [0, 0]]
    same_numbers(bajka.open_run(tmp_path / "together"), train_tiny(texts, **wishes_for(tmp_path / "alone")))
