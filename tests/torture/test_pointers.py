"""A model of the pointers: whatever order saves, evaluations, crashes, resumes and lengthenings come in, `last`, `best`
and `cooldown` name checkpoints that are whole, and `model/` is the best one.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from bajka import durable
from bajka.checkpoint.checkpoint import find_checkpoint, mark_best, read_checkpoint, save_checkpoint
from bajka.checkpoint.mending import mend_pointers
from bajka.checkpoint.model_folder import save_tensors
from bajka.checkpoint.opened import check_model
from bajka.checkpoint.run_folder import RunFolder

CHANGES = ("replace", "link", "unlink", "rmdir", "mkdir")  # of `os`; opening for writing is counted too


class Killed(BaseException):
    """The process died here: nothing that comes after it is done, cleaning up neither."""


class Disk:
    """Lets the process die at a change to the disk; every later change of the dead does nothing."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        for name in CHANGES:
            patch.setattr(os, name, self._counted(getattr(os, name)))
        patch.setattr(io, "open", self._counted(io.open, only_writing=True))
        patch.setattr(os, "fsync", lambda descriptor: None)

    def _counted(self, original: Any, *, only_writing: bool = False) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            mode = str(args[1] if len(args) > 1 else kwargs.get("mode", "r"))
            if not only_writing or set(mode) & set("wa+"):
                self.left -= 1
                if self.left <= 0:
                    raise Killed
            return original(*args, **kwargs)

        return call


def save(run: RunFolder, step: int, life: int, *, best: float | None, before_cooldown: bool) -> None:
    """A checkpoint whose tensors tell its step and life; with `best`, it is the best model so far."""

    def write_model(folder: Path) -> None:
        durable.write_json(folder / "config.json", {"model_type": "qwen3"})
        durable.write_file(folder / "model.safetensors", lambda path: save_tensors(path, tensors(step, life)))

    save_checkpoint(
        run,
        step,
        write_model=write_model,
        tensors=tensors(step, life),
        state={"step": step, "life": life},
        before_cooldown=before_cooldown,
    )
    if best is not None:
        mark_best(run, step=step, val_loss=best)


def tensors(step: int, life: int) -> dict[str, torch.Tensor]:
    return {"tensor": torch.tensor([float(step), float(life)])}


class Pointers(RuleBasedStateMachine):
    """`step` and `life` are those of the training process; `best` is the lowest validation loss that it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.run = RunFolder(self.folder / "run")
        self.step, self.life, self.best = 0, 0, 10.0
        self.cooled = self.saved = False
        self._save(10.0)
        self.saved = True

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def _save(self, best: float | None, *, before_cooldown: bool = False, crash: int = 10**9) -> None:
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, crash)
            try:
                save(self.run, self.step, self.life, best=best, before_cooldown=before_cooldown)
                self.cooled |= before_cooldown
                self.best = best or self.best
            except Killed:
                pass
            else:
                return
        self._resume()

    @rule(steps=st.integers(1, 5))
    def save_without_looking(self, steps: int) -> None:
        self.step += steps
        self._save(None)

    @rule(steps=st.integers(1, 5))
    def save_a_better_one(self, steps: int) -> None:
        self.step += steps
        self._save(0.9 * self.best)

    @precondition(lambda self: not self.cooled)
    @rule(steps=st.integers(1, 5), better=st.booleans())
    def save_before_the_cooldown(self, steps: int, better: bool) -> None:
        self.step += steps
        self._save(0.9 * self.best if better else None, before_cooldown=True)

    @rule(steps=st.integers(1, 5), better=st.booleans(), crash=st.integers(1, 70))
    def die_while_saving(self, steps: int, better: bool, crash: int) -> None:
        self.step += steps
        self._save(0.9 * self.best if better else None, crash=crash)

    @rule(crash=st.integers(1, 12))
    def die_while_resuming(self, crash: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, crash)
            try:
                mend_pointers(self.run)
                found = find_checkpoint(self.run, "last", say=lambda line: None)
                assert found is not None
            except Killed:
                pass
        self._resume()

    @rule()
    def resume(self) -> None:
        self._resume()

    @precondition(lambda self: self.cooled)
    @rule()
    def make_it_longer(self) -> None:
        """From the checkpoint before the cooldown, as `bajka train RUN --steps N` does it."""
        folder = find_checkpoint(self.run, "cooldown", say=pytest.fail)
        assert folder is not None
        self.run.write_pointer("last", checkpoint=folder.name, step=self._step_of(folder), previous=None)
        self.life += 1
        self._resume()

    def _resume(self) -> None:
        said = mend_pointers(self.run)
        assert not said, "a crash damages nothing"
        folder = find_checkpoint(self.run, "last", say=pytest.fail)
        assert folder is not None
        self.step = self._step_of(folder)
        best = self.run.read_pointer("best") or {"val_loss": 10.0}
        self.best = best["val_loss"]
        self.cooled = self.run.read_pointer("cooldown") is not None

    def _step_of(self, folder: Path) -> int:
        """Its step, after checking that all its parts are of one moment."""
        found = read_checkpoint(folder)
        expected = tensors(found.state["step"], found.state["life"])["tensor"]
        assert torch.equal(found.tensors["tensor"], expected)
        assert torch.equal(found.weights["tensor"], expected)
        return int(found.state["step"])

    @invariant()
    def pointers_name_checkpoints_that_are_whole(self) -> None:
        for name in ("last", "best", "cooldown"):
            pointer = self.run.read_pointer(name)
            assert pointer is not None or (name == "cooldown" and not self.cooled)
            if pointer is not None:
                folder = find_checkpoint(self.run, name, say=pytest.fail)
                assert folder == self.run.checkpoints / pointer["checkpoint"]
                assert self._step_of(folder) == pointer["step"]

    @invariant()
    def the_model_is_whole_and_a_model_that_was_the_best(self) -> None:
        check_model(self.run.model)

    @invariant()
    def the_model_is_the_best_one(self) -> None:
        best = self.run.read_pointer("best")
        assert best is not None
        published = (self.run.model / "model.safetensors").read_bytes()
        assert published == (self.run.checkpoints / best["checkpoint"] / "model.safetensors").read_bytes()

    @invariant()
    def nothing_else_is_kept(self) -> None:
        assert len([path for path in self.run.checkpoints.iterdir() if path.is_dir()]) <= 8


def drive(count: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Pointers,
        settings=settings(max_examples=count, stateful_step_count=12, deadline=None, suppress_health_check=checks),
    )


def test_fifty_lives_of_the_pointers() -> None:
    drive(50)


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_two_thousand_lives_of_the_pointers() -> None:
    drive(2_000)
