"""What a run's checkpoints will take is known before the first step, and told."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from bajka.checkpoint.checkpoint import save_checkpoint
from bajka.checkpoint.model_folder import write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.checkpoint.space import check_space, checkpoint_bytes
from bajka.errors import DiskError
from bajka.hardware import Machine
from bajka.planning.recipe import Recipe
from bajka.training.optimizer import Optimizer
from tiny import FAMILIES, byte_tokenizer, tiny_model

MACHINE = Machine("cpu", "a computer", "fp32", 1, 1 << 34, False, "2")
Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """The system says that so many bytes are free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, free))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_the_estimate_is_within_a_tenth_of_the_real_size(tmp_path: Path, family: str, optimizer: str) -> None:
    model, tokenizer = tiny_model(family), byte_tokenizer()
    recipe = Recipe(optimizer, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 1.0)  # type: ignore[arg-type]
    tensors = Optimizer(model, recipe, muon_dtype=MACHINE.dtype).state()
    folder = save_checkpoint(
        RunFolder(tmp_path / "run"),
        1,
        write_model=lambda folder: write_model_folder(folder, model, tokenizer),
        tensors=tensors,
        state={"step": 1},
    )
    real = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert checkpoint_bytes(model, tokenizer, tensors) == pytest.approx(real, rel=0.1)


def test_a_disk_with_room_is_no_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 5_000)
    said: list[str] = []
    check_space(RunFolder(tmp_path), 1_000, say=said.append)
    assert not said


def test_a_disk_that_will_be_full_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 4_900_000)
    said: list[str] = []
    check_space(RunFolder(tmp_path), 1_000_000, say=said.append)
    assert "up to 5 checkpoints of 1.0 MB are on the disk at once, 5.0 MB more than now, and 4.9 MB are free" in said[0]


def test_a_disk_without_room_for_two_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 1_900_000)
    with pytest.raises(
        DiskError, match=r"takes about 1.0 MB, and two must fit: 2.0 MB are needed, 1.9 MB are free. Free some"
    ) as caught:
        check_space(RunFolder(tmp_path), 1_000_000, say=[].append)
    assert caught.value.exit_code == 3


def test_a_run_that_goes_on_needs_room_for_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, said = RunFolder(tmp_path), list[str]()
    run.checkpoints.mkdir()
    (run.checkpoints / "weights").write_bytes(bytes(1_000))
    with_free(monkeypatch, 1_100)
    check_space(run, 1_000, say=said.append)
    assert "4.0 kB more than now" in said[0]
    with_free(monkeypatch, 900)
    with pytest.raises(DiskError, match=r"one more must fit: 1.0 kB are needed, 900 bytes are free"):
        check_space(run, 1_000, say=said.append)
