"""Numbers that are none and memory that is not there: the run goes back, goes on smaller, or says why it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.container import memory_left
from bajka.errors import NumericsError, ResourceError
from bajka.hardware import out_of_memory
from bajka.model.transformer import Block
from bajka.training.clock import Pace
from bajka.training.pulse import died_of_memory
from bajka.training.steps import StepReport
from tiny_runs import TINY, Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

ASKED: dict[str, Any] = {"steps": 40, "optimizer": "adamw", "save_every_steps": 5, "evaluate_every_steps": 100}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@contextmanager
def before_each_block(happen: Callable[[nn.Module, Tensor], None]) -> Iterator[None]:
    """Let something happen before a block of any model computes: as a broken GPU or a full one would."""

    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, Block):
            happen(module, inputs[0])

    handle = register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class Poison:
    """Makes a weight NaN, inside the model, when training comes to some forwards (counted while gradients are on)."""

    def __init__(self, *forwards: int, value: float = float("nan"), keeps: bool = False) -> None:
        self.forwards, self.value, self.keeps, self.count = forwards, value, keeps, 0

    def __call__(self, block: nn.Module, x: Tensor) -> None:
        if torch.is_grad_enabled() and block.attention is not None:
            self.count += 1
            if self.count in self.forwards or (self.keeps and self.count > self.forwards[0]):
                with torch.no_grad():
                    next(block.parameters())[0] = self.value


def finite(folder: Path) -> bool:
    """Whether every tensor of every checkpoint is a number."""
    files = [*folder.rglob("*.safetensors")]
    assert files
    return all(bool(t.isfinite().all()) for file in files for t in load_file(file).values() if t.is_floating_point())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("forward", [3, 25, 52])  # two blocks a step: steps 2, 13 and 26
def test_a_weight_that_is_no_number_sends_the_run_back_and_it_finishes(
    texts: Path, tmp_path: Path, forward: int, value: float
) -> None:
    watcher = Watcher()
    with before_each_block(Poison(forward, value=value)):
        run = train_tiny(texts, watcher, out=str(tmp_path / "run"), **ASKED)
    assert finite(run.path)
    assert len(run.plan["rollbacks"]) == 1
    assert "Back to the checkpoint of step" in watcher.text
    assert "(return 1 of 3)" in watcher.text
    assert run.plan["finished"]["step"] == 40
    assert [line["step"] for line in run.metrics if "train_loss" in line] == list(range(1, 41))


def test_after_three_returns_it_gives_up_and_the_last_checkpoint_is_good(texts: Path, tmp_path: Path) -> None:
    with before_each_block(Poison(25, keeps=True)), pytest.raises(NumericsError, match="after 3 returns") as caught:
        train_tiny(texts, out=str(tmp_path / "run"), **ASKED)
    assert caught.value.exit_code == 5
    assert finite(tmp_path / "run")
    assert go_on(tmp_path / "run").plan["finished"]["step"] == 40


def test_a_return_is_repeated_after_a_crash(texts: Path, tmp_path: Path) -> None:
    with before_each_block(Poison(25)):
        whole = train_tiny(texts, out=str(tmp_path / "whole"), **ASKED)

    def crash(report: StepReport) -> None:
        if report.step == 13 and not report.skipped:  # on its way for the second time
            raise Stopped

    with before_each_block(Poison(25)), pytest.raises(Stopped):
        train_tiny(texts, Watcher(crash), out=str(tmp_path / "cut"), **ASKED)
    watcher = Watcher()
    run = go_on(tmp_path / "cut", watcher)
    assert bits(run) == bits(whole)
    assert max(report.learning_rate for report in watcher.reports) <= 0.5 * run.plan["plan"]["recipe"]["learning_rate"]


def test_one_bad_batch_is_skipped_and_nothing_else_changes(texts: Path, tmp_path: Path) -> None:
    class Spoiled(Poison):
        def __call__(self, block: nn.Module, x: Tensor) -> None:
            if torch.is_grad_enabled():
                self.count += 1
                if self.count == 25:
                    x.data[0, 0, 0] = float("nan")

    watcher = Watcher()
    with before_each_block(Spoiled()):
        run = train_tiny(texts, watcher, out=str(tmp_path / "run"), **ASKED)
    assert [report.step for report in watcher.reports if report.skipped] == [13]
    assert run.plan["rollbacks"] == []
    assert "this batch was skipped" in watcher.text


def full_beyond(rows: int) -> Callable[[nn.Module, Tensor], None]:
    """A device that holds so many rows and no more."""

    def check(block: nn.Module, x: Tensor) -> None:
        if torch.is_grad_enabled() and len(x) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return check


def test_without_memory_the_micro_batch_is_halved_and_the_losses_stay(texts: Path, tmp_path: Path) -> None:
    free = train_tiny(texts, out=str(tmp_path / "free"), **ASKED | {"global_batch_size": 8})
    watcher = Watcher()
    with before_each_block(full_beyond(2)):
        run = train_tiny(texts, watcher, out=str(tmp_path / "full"), **ASKED | {"global_batch_size": 8})
    assert run.plan["plan"]["micro_batch_size"] == 2
    assert "from step 1 on 4 instead of 8 sequences at once; the global batch stays 8" in watcher.text
    losses = [[line["train_loss"] for line in one.metrics if "train_loss" in line] for one in (free, run)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_does_not_fit_one_by_one_is_a_sentence(texts: Path, tmp_path: Path) -> None:
    with before_each_block(full_beyond(0)), pytest.raises(ResourceError, match="with one sequence at a time") as caught:
        train_tiny(texts, out=str(tmp_path / "run"), **ASKED)
    assert caught.value.exit_code == 3


def test_an_evaluation_that_fails_does_not_end_the_run(texts: Path, tmp_path: Path) -> None:
    def fail(block: nn.Module, x: Tensor) -> None:
        if not torch.is_grad_enabled():
            raise RuntimeError("CUDA error: the evaluation went wrong")

    watcher = Watcher()
    with before_each_block(fail):
        run = train_tiny(texts, watcher, out=str(tmp_path / "run"), steps=12)
    assert "The evaluation at step 10 failed (CUDA error: the evaluation went wrong); training goes on." in watcher.text
    assert run.plan["finished"]["step"] == 12
    assert bits(run) == bits(train_tiny(texts, out=str(tmp_path / "well"), steps=12))


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_memory_are_known(error: Exception, is_memory: bool) -> None:
    assert out_of_memory(error) == is_memory


def test_torch_says_it_so_when_there_is_no_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert out_of_memory(caught.value)


def test_five_steps_three_times_as_long_are_a_spilling_gpu() -> None:
    pace = Pace()
    for _ in range(30):
        pace.stepped(0.1)
    assert not pace.spilling()
    for seconds in (0.5, 0.5, 0.5, 0.5, 0.1, 0.5, 0.5, 0.5, 0.5):
        pace.stepped(seconds)
        assert not pace.spilling()
    pace.stepped(0.5)
    assert pace.spilling()
    assert not pace.spilling()


# -- compiling ---------------------------------------------------------------------------------------------------


def test_a_compiler_that_does_not_work_is_done_without(texts: Path, tmp_path: Path) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho no headers >&2\nexit 1\n")
    broken.chmod(0o755)
    environment = os.environ | {"CXX": str(broken), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    wishes = TINY | {"steps": 2, "compile": "on", "out": str(tmp_path / "run")}
    code = f"import bajka; bajka.train({str(texts)!r}, **{wishes!r})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    run = bajka.open_run(tmp_path / "run")
    said = run.folder.log_file.read_text(encoding="utf-8")
    assert "torch.compile failed" in said
    assert "from step 1 on without it" in said
    assert run.plan["plan"]["compile"] is False
    assert run.plan["finished"]["step"] == 2


# -- killed for lack of memory -----------------------------------------------------------------------------------


def cut(texts: Path, folder: Path, **left: Any) -> RunFolder:
    """A run that stopped at step 9, with the pulse of a killed process that had so much memory left."""
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(9), out=str(folder), **ASKED)
    run = RunFolder(folder)
    if left:
        facts = {"expected_bytes": 100, "left_at_start": 1000, "kills": 10**9, "steps": 9, "left": 900, "whole": 1000}
        (folder / "sitting.json").write_text(json.dumps(facts | left))
    return run


def test_a_kill_without_memory_halves_the_micro_batch_at_the_next_start(texts: Path, tmp_path: Path) -> None:
    cut(texts, tmp_path / "run", left=20)
    watcher = Watcher()
    run = go_on(tmp_path / "run", watcher)
    assert "The last sitting was killed when memory was short: from here on 2 sequences at once" in watcher.text
    assert run.plan["plan"]["micro_batch_size"] == 2


@pytest.mark.parametrize("left", [{}, {"left": 900}])
def test_any_other_kill_changes_nothing(texts: Path, tmp_path: Path, left: dict[str, int]) -> None:
    cut(texts, tmp_path / "run", **left)
    assert go_on(tmp_path / "run").plan["plan"]["micro_batch_size"] == 4


@pytest.mark.parametrize(
    ("changes", "died"), [({"steps": 0, "expected_bytes": 600}, True), ({"steps": 0}, False), ({"kills": -1}, True)]
)
def test_a_kill_in_the_first_step_of_a_large_model_was_for_memory(
    tmp_path: Path, changes: dict[str, int], died: bool
) -> None:
    facts = {"expected_bytes": 100, "left_at_start": 1000, "kills": 10**9, "steps": 1, "left": 900, "whole": 1000}
    (tmp_path / "sitting.json").write_text(json.dumps(facts | changes))
    assert died_of_memory(RunFolder(tmp_path)) == died


def test_the_pulse_goes_with_the_session_whatever_ends_it(texts: Path, tmp_path: Path) -> None:
    there = []

    def look(report: StepReport) -> None:
        there.append((tmp_path / "run" / "sitting.json").is_file())
        if report.step == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train_tiny(texts, Watcher(look), out=str(tmp_path / "run"), **ASKED)
    assert there == [True, True]
    assert not (tmp_path / "run" / "sitting.json").exists()


def test_what_is_left_is_part_of_the_whole() -> None:
    left, whole = memory_left()
    assert 0 < left <= whole
