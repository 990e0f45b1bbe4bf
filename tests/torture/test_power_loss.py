"""The power fails after any operation: whatever of it reached the disk, the newest saved checkpoint is there."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import FaultyDisk
from power import Disk, follow
from scenes import Scene, differences, elsewhere, problems, saved_by

from bajka.checkpoint.run_folder import RunFolder


def lost_power(
    disk: FaultyDisk, scene: Scene, folder: Path, *, at: int, seed: int, work: str, heals: bool, bug: str | None = None
) -> list[str]:
    """What is wrong after the power failed behind operation `at` of the log; the state is drawn with `seed`."""
    image, draw = Disk(scene.before), random.Random(seed)
    notes = follow(image, scene.operations[:at])
    image.crash(folder, draw)
    found, arguments = list[str](), dict[str, Any](plots=False) if work == "finish" else {"texts": str(scene.texts)}
    if work == "finish":
        found += problems(RunFolder(folder), at_least=saved_by(notes))
    elif work == "start" and saved_by(notes, least=-2) >= 0:
        found += problems(RunFolder(folder / "runs" / "new"), at_least=saved_by(notes, least=-2))
    if heals:
        found += differences(disk.run(work, folder, bug=bug, **arguments), scene.expected)
    shutil.rmtree(folder)
    return found


def survive(
    disk: FaultyDisk,
    scene: Scene,
    folder: Path,
    record: Callable[[str, object], None],
    *,
    work: str,
    states: int,
    heal_every: int,
) -> None:
    """`states` states of the disk, spread over the log; every so manieth goes on to the end."""
    broken = {}
    for number in range(states):
        at = 1 + number * len(scene.operations) // states
        heals = number % heal_every == 0
        if found := lost_power(disk, scene, folder / "state", at=at, seed=number, work=work, heals=heals):
            broken[at, number] = found
    record("injected", states)
    record("survived", states - len(broken))
    assert not broken, "\n".join(f"{case} {scene.operations[case[0] - 1].path}: {broken[case]}" for case in broken)


@pytest.fixture(scope="session")
def starting(faulty_disk: FaultyDisk, sitting: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run from nothing to its end."""
    folder = tmp_path_factory.mktemp("starting")
    (folder / "before").mkdir()
    (folder / "whole").mkdir()
    texts = sitting.texts / "tales.txt"
    whole = faulty_disk.run("start", folder / "whole", texts=str(texts))
    assert whole.how == "done", whole.answer
    operations = elsewhere(whole.operations, folder / "whole")
    return Scene(folder / "before", operations, whole.answer, texts)


def test_a_run_survives_some_losses_of_power(
    faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    survive(faulty_disk, sitting, tmp_path, record_property, work="finish", states=20, heal_every=10)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_run_survives_a_loss_of_power_behind_every_operation(
    faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    survive(faulty_disk, sitting, tmp_path, record_property, work="finish", states=1200, heal_every=8)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_new_run_survives_a_loss_of_power_behind_every_operation(
    faulty_disk: FaultyDisk, starting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    survive(faulty_disk, starting, tmp_path, record_property, work="start", states=800, heal_every=8)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_preparing_survives_a_loss_of_power_behind_every_operation(
    faulty_disk: FaultyDisk, preparing: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    survive(faulty_disk, preparing, tmp_path, record_property, work="prepare", states=400, heal_every=1)
