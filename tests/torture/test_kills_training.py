"""A thousand kills of training: at any time, inside saving and rotating, inside evaluating; none changes a bit."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.checkpoint import find_checkpoint
from bajka.checkpoint.run_folder import RunFolder
from bajka.hardware import native_bf16
from fork_server import NO_FAULT, Ended, Fault, ForkServer
from killing import assert_same_end, quick_folder
from tiny_runs import tales_file

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the fork server needs fork")

PLATEAU = {"schedule": "plateau", "plateau_every_steps": 3, "plateau_patience": 0, "learning_rate": 1e-7}
RECIPES: dict[str, dict[str, Any]] = {
    "muon": {"optimizer": "muon", "dropout": 0.1, "attention_dropout": 0.1, "save_every_steps": 1},
    "cosine": {"optimizer": "adamw", "schedule": "cosine", "dropout": 0.1, "micro_batch_size": 2},
    "plateau": {"optimizer": "adamw", "save_every_steps": 2, **PLATEAU},
    "documents": {"family": "gpt2", "windows": "documents", "documents": "line", "micro_batch_size": 3},
    "bf16": {"precision": "bf16", "micro_batch_size": 2, "dropout": 0.1, "save_every_steps": 3},
    "seldom": {"optimizer": "muon", "save_every_steps": 11, "evaluate_every_steps": 4, "windows": "sliding", "stride": 5},
    "linear": {"schedule": "linear", "family": "llama", "save_every_steps": 2, "evaluate_every_steps": 3, "prompts": ()},
    "tensorboard": {"schedule": "constant", "family": "gpt1", "save_every_steps": 5, "evaluate_every_steps": 5},
}
BASE: dict[str, Any] = {"steps": 24, "save_every_steps": 4, "evaluate_every_steps": 7}
A_FEW = {"muon": 25, "documents": 15}
MOST_LOST = 11  # steps: the longest interval between two saves


@dataclass
class Range:
    """Where runs are shot at: a server, texts, and for each recipe a run that nothing disturbed."""

    server: ForkServer
    folder: Path
    texts: Path
    wholes: dict[str, tuple[bajka.Run, Ended]] = field(default_factory=dict)

    def whole(self, recipe: str) -> tuple[bajka.Run, Ended]:
        """The undisturbed run of a recipe."""
        if recipe not in self.wholes:
            path = self.folder / "runs" / f"{recipe}-whole"
            ended = self.start(recipe, path)
            assert ended.code == 0, ended.errors
            self.wholes[recipe] = bajka.open_run(path), ended
        return self.wholes[recipe]

    def start(self, recipe: str, out: Path, fault: Fault = NO_FAULT) -> Ended:
        """One start of a run."""
        return self.server.train(self.texts, BASE | RECIPES[recipe] | {"out": str(out)}, fault)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    with quick_folder(tmp_path_factory.mktemp("kills")) as folder, ForkServer() as server:
        yield Range(server, folder, tales_file(folder / "texts"))


def aimed(whole: Ended, draw: random.Random) -> Fault:
    """Six of ten uniform in time; the others inside an operation on the disk, just behind one, or while evaluating."""
    kill = int(signal.SIGKILL)
    match draw.choices(("time", "operation", "behind", "evaluating"), weights=(60, 15, 15, 10))[0]:
        case "time":
            return Fault(((draw.uniform(0.0, 0.7 * whole.seconds), kill),))  # the last third goes into the plots
        case "operation":
            return Fault(operation=draw.randint(1, whole.operations))
        case "behind":
            return Fault(((draw.uniform(0.0, 0.004), kill),), "disk", draw.randint(1, whole.operations))
        case _:
            looks = [step for step in whole.steps if step % 7 == 0]
            return Fault(((draw.uniform(0.0, 0.05), kill),), f"step {draw.choice(looks)}")


def kill_and_go_on(place: Range, recipe: str, *, kills: int, seed: int) -> int:
    """Runs of a recipe, killed and started again until so many kills hit; each finished run is compared."""
    draw, injected, runs = random.Random(f"{recipe} {seed}"), 0, 0
    whole, ended = place.whole(recipe)
    while injected < kills:
        runs += 1
        out = place.folder / "runs" / f"{recipe}-{seed}-{runs}"
        injected += to_the_end(place, recipe, out, aim=partial(aimed, ended, draw), most=kills - injected)
        assert_same_end(bajka.open_run(out), whole)
    return injected


def to_the_end(place: Range, recipe: str, out: Path, *, aim: partial[Fault], most: int) -> int:
    """Start a run again and again until it is finished; gives how many kills it took on the way."""
    kills, saved = 0, -1
    while True:
        ended = place.start(recipe, out, aim() if kills < most else NO_FAULT)
        assert ended.killed or ended.code == 0, ended.errors
        if ended.steps:
            assert ended.steps[0] == max(saved, 0) + 1, "it did not go on from the last checkpoint"
        if not ended.killed:
            return kills
        kills += 1
        saved = saved_step(RunFolder(out), before=saved, reached=ended.steps)


def saved_step(run: RunFolder, *, before: int, reached: list[int]) -> int:
    """The step of the last checkpoint, which must be whole, not older than `before`, and not far behind."""
    last = run.read_pointer("last")
    if last is None:
        assert before == -1
        return -1
    found = find_checkpoint(run, "last", say=pytest.fail)
    assert found is not None
    assert found.name == last["checkpoint"]
    assert last["step"] >= before
    assert not reached or reached[-1] - last["step"] <= MOST_LOST
    return int(last["step"])


def count(record_property: Any, injected: int) -> None:
    """For the line at the end of the tests: every kill that was not survived has failed the test before."""
    record_property("injected", injected)
    record_property("survived", injected)


@pytest.mark.parametrize("recipe", A_FEW)
def test_a_few_kills_at_random_moments_change_no_bit(place: Range, recipe: str, record_property: Any) -> None:
    count(record_property, kill_and_go_on(place, recipe, kills=A_FEW[recipe], seed=1))


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_thousand_kills_at_random_moments_change_no_bit(place: Range, recipe: str, record_property: Any) -> None:
    if recipe == "bf16" and not native_bf16("cpu"):
        pytest.skip("this CPU has no native bf16")
    count(record_property, kill_and_go_on(place, recipe, kills=125, seed=2))
