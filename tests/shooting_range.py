"""Tiny runs under fire: where the tests of kills and of signals start runs, and what undisturbed ones look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.checkpoint import find_checkpoint
from bajka.checkpoint.run_folder import RunFolder
from fork_server import NO_FAULT, Ended, Fault, ForkServer
from killing import quick_folder
from tiny_runs import tales_file

PLATEAU = {"schedule": "plateau", "plateau_every_steps": 3, "plateau_patience": 0, "learning_rate": 1e-7}
RECIPES: dict[str, dict[str, Any]] = {
    "muon": {"optimizer": "muon", "dropout": 0.1, "attention_dropout": 0.1, "save_every_steps": 1},
    "cosine": {"optimizer": "adamw", "schedule": "cosine", "dropout": 0.1, "micro_batch_size": 2},
    "plateau": {"optimizer": "adamw", "save_every_steps": 2, **PLATEAU},
    "documents": {"family": "gpt2", "windows": "documents", "documents": "line", "micro_batch_size": 3},
    "bf16": {"precision": "bf16", "micro_batch_size": 2, "dropout": 0.1, "save_every_steps": 3},
    "seldom": {
        "optimizer": "muon",
        "save_every_steps": 11,
        "evaluate_every_steps": 4,
        "windows": "sliding",
        "stride": 5,
    },
    "linear": {
        "schedule": "linear",
        "family": "llama",
        "save_every_steps": 2,
        "evaluate_every_steps": 3,
        "prompts": (),
    },
    "constant": {"schedule": "constant", "family": "gpt1", "save_every_steps": 5, "evaluate_every_steps": 5},
}
BASE: dict[str, Any] = {"steps": 24, "save_every_steps": 4, "evaluate_every_steps": 7}
MOST_LOST = 11  # steps: the longest interval between two saves


@dataclass
class ShootingRange:
    """A server, texts, and for each recipe a run that nothing disturbed."""

    server: ForkServer
    folder: Path
    texts: Path
    wholes: dict[str, tuple[bajka.Run, Ended]] = field(default_factory=dict)

    def whole(self, recipe: str) -> tuple[bajka.Run, Ended]:
        """The undisturbed run of a recipe."""
        if recipe not in self.wholes:
            path = self.run(f"{recipe}-whole")
            ended = self.start(recipe, path)
            assert ended.code == 0, ended.errors
            self.wholes[recipe] = bajka.open_run(path), ended
        return self.wholes[recipe]

    def run(self, name: str) -> Path:
        """The folder of a run; all of them read the same prepared texts."""
        return self.folder / "runs" / name

    def start(self, recipe: str, out: Path, fault: Fault = NO_FAULT) -> Ended:
        """One start of a run."""
        return self.server.train(self.texts, BASE | RECIPES[recipe] | {"out": str(out)}, fault)


@contextmanager
def shooting_range(otherwise: Path) -> Iterator[ShootingRange]:
    """A range for the tests of one module, in memory if it can be, else in the folder `otherwise`."""
    with quick_folder(otherwise) as folder, ForkServer() as server:
        yield ShootingRange(server, folder, tales_file(folder / "texts"))


def saved_step(run: RunFolder) -> int:
    """The step of the last checkpoint, which must be whole and the one that `last` names; -1 when there is none yet."""
    last = run.read_pointer("last")
    if last is None:
        return -1
    found = find_checkpoint(run, "last", say=pytest.fail)
    assert found is not None
    assert found.name == last["checkpoint"]
    return int(last["step"])


def count(record_property: Any, injected: int) -> None:
    """For the line at the end of the tests: every fault that was not survived has failed the test before."""
    record_property("injected", injected)
    record_property("survived", injected)
