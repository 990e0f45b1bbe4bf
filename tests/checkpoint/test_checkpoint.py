"""Checkpoints survive a crash at any point of a save, a failing or full disk, and damage found later."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bajka import durable
from bajka.checkpoint.checkpoint import AVERAGE, find_checkpoint, mark_best, read_checkpoint, save_checkpoint
from bajka.checkpoint.model_folder import load_model, save_tensors, write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError, DiskError
from bajka.settings import settings_with
from tiny import byte_tokenizer, tiny_model
from tiny_runs import checkpoints

CHANGES = ("replace", "fsync", "link", "unlink", "rmdir", "mkdir")  # of `os`; opening for writing is counted too

needs_posix = pytest.mark.skipif(os.name != "posix", reason="forks a process")


def save(run: RunFolder, step: int, *, best: bool = False, before_cooldown: bool = False) -> Path:
    """A checkpoint whose weights, optimizer and state all tell its step."""

    def write_model(folder: Path) -> None:
        durable.write_json(folder / "config.json", {"model_type": "qwen3"})
        durable.write_file(folder / "model.safetensors", lambda path: save_tensors(path, filled(step)))

    folder = save_checkpoint(
        run,
        step,
        write_model=write_model,
        tensors=filled(step),
        state={"step": step},
        before_cooldown=before_cooldown,
    )
    if best:
        judge_best(run, step)
    return folder


def judge_best(run: RunFolder, step: int) -> None:
    """What an evaluation does when the model of the last checkpoint is the best so far."""
    mark_best(run, step=step, val_loss=10.0 - step)


def filled(step: int) -> dict[str, torch.Tensor]:
    return {"tensor": torch.full((400,), float(step))}


def step_of(run: RunFolder, pointer: str = "last", said: list[str] | None = None) -> int:
    """The step of the checkpoint that is found, after checking that all its parts are of this step."""
    folder = find_checkpoint(run, pointer, say=(said if said is not None else []).append)
    assert folder is not None
    found = read_checkpoint(folder)
    step = int(found.state["step"])
    assert torch.equal(found.tensors["tensor"], filled(step)["tensor"])
    assert torch.equal(found.weights["tensor"], filled(step)["tensor"])
    return step


def step_of_model(run: RunFolder) -> int:
    """The step of the weights in `model/`."""
    assert json.loads((run.model / "config.json").read_text()) == {"model_type": "qwen3"}
    return int(load_file(run.model / "model.safetensors")["tensor"][0])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk takes most of the time here, and only a power cut could tell the difference."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def in_child(work: Callable[[], str]) -> tuple[int, str]:
    """Exit code and answer of `work` in a process of its own, which nothing cleans up when it dies."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer, code = work(), 0
        except BaseException as error:
            answer, code = f"{type(error).__name__}: {error}", 1
        os.write(writing, answer.encode())
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), answer


def count_changes(patch: pytest.MonkeyPatch, at: int, happen: Callable[[], None]) -> Iterator[int]:
    """Before the change number `at` (from 1) that this process makes to the disk, let something `happen`."""
    counter = count(1)

    def counted(original: Any, *, only_writing: bool = False) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            mode = str(args[1] if len(args) > 1 else kwargs.get("mode", "r"))
            if (not only_writing or set(mode) & set("wa+")) and next(counter) == at:
                happen()
            return original(*args, **kwargs)

        return call

    for name in CHANGES:
        patch.setattr(os, name, counted(getattr(os, name)))
    patch.setattr(io, "open", counted(io.open, only_writing=True))
    return counter


def test_what_was_saved_comes_back(run: RunFolder) -> None:
    folder = save(run, 3, best=True)
    assert folder.name == "step-000003"
    assert step_of(run) == step_of(run, "best") == 3
    assert run.read_pointer("best") == {
        "checkpoint": "step-000003",
        "step": 3,
        "val_loss": 7.0,
        "weights": "last",
    }


def test_a_run_without_checkpoints_has_none(run: RunFolder) -> None:
    assert find_checkpoint(run, "last", say=[].append) is None


def test_the_first_model_is_published_even_if_nobody_called_it_the_best(run: RunFolder) -> None:
    save(run, 1)
    assert step_of_model(run) == 1


def test_only_the_last_two_the_best_and_the_one_before_the_cooldown_are_kept(run: RunFolder) -> None:
    for step in range(1, 8):
        save(run, step, best=step in (1, 2), before_cooldown=step == 4)
    assert checkpoints(run) == [f"step-{step:06d}" for step in (2, 4, 6, 7)]
    assert [step_of(run, name) for name in ("last", "best", "cooldown")] == [7, 2, 4]


def test_the_model_folder_is_always_the_best_one(run: RunFolder) -> None:
    for step, best in ((1, 1), (2, 1), (3, 3), (4, 3)):
        save(run, step, best=step == best)
        assert step_of_model(run) == best


def test_a_saved_model_loads_from_the_run_and_from_the_checkpoint(run: RunFolder) -> None:
    model, tokenizer = tiny_model("modern"), byte_tokenizer()
    run.write_settings(settings_with())
    folder = save_checkpoint(
        run,
        1,
        write_model=lambda folder: write_model_folder(folder, model, tokenizer),
        tensors={},
        state={"step": 1},
    )
    mark_best(run, step=1, val_loss=1.0)
    for name in (run.path, run.model, folder):
        assert torch.equal(load_model(str(name)).model.embedding.weight, model.embedding.weight)


def test_the_average_of_the_weights_is_the_model_when_it_is_the_best(run: RunFolder) -> None:
    def write_model(folder: Path) -> None:
        durable.write_json(folder / "config.json", {"model_type": "qwen3"})
        save_tensors(folder / "model.safetensors", filled(3))
        save_tensors(folder / AVERAGE, filled(2))

    save(run, 1, best=True)
    save_checkpoint(run, 3, write_model=write_model, tensors=filled(3), state={"step": 3})
    mark_best(run, step=3, val_loss=7.0, average=True)
    assert step_of_model(run) == 2
    assert step_of(run) == step_of(run, "best") == 3


def test_a_step_that_exists_already_gets_a_second_name(run: RunFolder) -> None:
    save(run, 1, best=True)
    assert save(run, 1).name == "step-000001-2"
    assert checkpoints(run) == ["step-000001", "step-000001-2"]


def test_what_a_crash_left_over_is_swept_up_by_the_next_save(run: RunFolder) -> None:
    save(run, 1)
    leftover = run.checkpoints / "step-000002.tmp" / "training"
    leftover.mkdir(parents=True)
    save(run, 2)
    assert checkpoints(run) == ["step-000001", "step-000002"]


@needs_posix
def test_a_crash_at_any_point_of_a_save_leaves_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = RunFolder(tmp_path / "before")
    for step in (1, 2, 3):
        save(before, step, best=step == 1)

    def die_at(number: int, run: RunFolder) -> str:
        count_changes(monkeypatch, number, lambda: os._exit(7))
        save(run, 4, best=True, before_cooldown=True)
        return "saved"

    for number in count(1):
        run = RunFolder(tmp_path / f"run-{number}")
        shutil.copytree(before.path, run.path)
        code, _ = in_child(lambda number=number, run=run: die_at(number, run))
        assert step_of(run) in (3, 4)
        assert step_of(run, "best") in (1, 4)
        assert step_of_model(run) in (1, 4)
        if step_of(run) == 3:  # the run goes on from there and comes to the same step again
            save(run, 4, best=True, before_cooldown=True)
        elif step_of(run, "best") == 1 or step_of_model(run) == 1:  # or evaluates again what was saved
            judge_best(run, 4)
        save(run, 5)
        assert [step_of(run, name) for name in ("last", "best", "cooldown")] == [5, 4, 4]
        assert step_of_model(run) == 4
        assert len(checkpoints(run)) == 2
        shutil.rmtree(run.path)
        if code == 0:
            assert number > 30, "the crashes must have come at many points"
            return
        assert code == 7


def test_a_disk_that_fails_at_any_point_of_a_save_is_a_sentence_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    run = RunFolder(tmp_path / "run")
    save(run, 1, best=True)
    known, failures = 1, 0
    for number in count(1):
        trouble = ""
        with monkeypatch.context() as patch:
            count_changes(patch, number, fail)
            try:
                save(run, number + 1)
            except DiskError as error:
                trouble = str(error)
        assert step_of(run) in (known, number + 1)
        assert step_of_model(run) == 1
        known = step_of(run)
        if not trouble and failures > 20:
            return
        if trouble:
            failures += 1
            assert str(run.path) in trouble
            assert "check the disk" in trouble


@needs_posix
def test_a_full_disk_names_the_file_and_keeps_the_earlier_checkpoint(run: RunFolder) -> None:
    save(run, 1, best=True)

    def on_a_full_disk() -> str:
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
        save(run, 2)
        return "saved"

    code, answer = in_child(on_a_full_disk)
    assert code == 1
    assert answer.startswith("DiskError: Could not write")
    assert "model.safetensors" in answer
    assert step_of(run) == 1
    assert checkpoints(run) == ["step-000001"]


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit of the weights": lambda folder: flip_a_byte(folder / "model.safetensors"),
    "the optimizer is cut": lambda folder: os.truncate(folder / "training" / "optimizer.safetensors", 50),
    "no state": lambda folder: (folder / "training" / "state.json").unlink(),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "a manifest that is none": lambda folder: (folder / "manifest.json").write_text("[1, 2"),
    "no folder": shutil.rmtree,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_after_damage_the_checkpoint_before_is_taken_and_that_is_said(run: RunFolder, damage: str) -> None:
    for step in (1, 2, 3):
        save(run, step, best=step == 1)
    DAMAGES[damage](run.checkpoints / "step-000003")
    said: list[str] = []
    assert step_of(run, said=said) == 2
    assert len(said) == 1
    assert said[0].startswith("Warning:")
    assert "step-000003" in said[0]
    assert said[0].endswith("Trying an earlier checkpoint.")


def test_when_the_last_two_are_damaged_the_best_one_is_still_there(run: RunFolder) -> None:
    for step in (1, 2, 3):
        save(run, step, best=step == 1)
    for step in (2, 3):
        flip_a_byte(run.checkpoints / f"step-{step:06d}" / "model.safetensors")
    assert step_of(run) == 1


def test_when_all_are_damaged_that_is_an_error_and_not_a_new_beginning(run: RunFolder) -> None:
    for step in (1, 2):
        save(run, step)
        flip_a_byte(run.checkpoints / f"step-{step:06d}" / "model.safetensors")
    with pytest.raises(
        DamagedFileError, match=r"No checkpoint of .* is good any more; tried step-000002, step-000001"
    ) as caught:
        find_checkpoint(run, "last", say=[].append)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"checkpoint": 5}', '{"checkpoint": "../../elsewhere"}'])
def test_a_damaged_pointer_is_replaced_by_looking(run: RunFolder, content: str) -> None:
    for step in (1, 2, 10):
        save(run, step)
    (run.checkpoints / "last.json").write_text(content)
    assert step_of(run) == 10


def test_a_folder_without_a_manifest_is_no_checkpoint(run: RunFolder) -> None:
    shutil.copytree(save(run, 1), run.checkpoints / "step-000009", ignore=shutil.ignore_patterns("manifest.json"))
    (run.checkpoints / "last.json").unlink()
    said: list[str] = []
    assert step_of(run, said=said) == 1
    assert not said


def test_the_manifest_names_every_file_with_size_and_hash(run: RunFolder) -> None:
    folder = save(run, 1)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    assert set(files) == {"config.json", "model.safetensors", "training/optimizer.safetensors", "training/state.json"}
    weights = folder / "model.safetensors"
    assert files["model.safetensors"] == {"bytes": weights.stat().st_size, "sha256": durable.sha256_of(weights)}
