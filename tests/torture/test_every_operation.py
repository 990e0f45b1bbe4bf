"""Every operation on the disk fails once: writes, fsync, rename, link, unlink of saving, rotating, logging, preparing.

Each time: nothing that was saved is lost, the person is told file and space, and the next start comes to the same bits.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from faulty_disk import FAULTS, OF_WRITES, Fault, FaultyDisk, Operation
from scenes import Scene, bad_end, broken_promises, contents, differences

Case = tuple[int, Fault]


def all_cases(operations: Sequence[Operation]) -> list[Case]:
    """The number of every operation with each fault that can befall it."""
    return [
        (one.number, fault)
        for one in operations
        for fault in FAULTS
        if one.what != "note"
        if fault not in OF_WRITES or (one.what == "write" and len(one.data) > 1)
    ]


def some(cases: list[Case], count: int) -> list[Case]:
    """A few, always the same."""
    return sorted(random.Random(5).sample(cases, count))


def hurt_run(disk: FaultyDisk, scene: Scene, folder: Path, case: Case) -> list[str]:
    _, found = broken_promises(disk, scene.before, folder, scene.expected, at=case[0], fault=case[1])
    return found


def hurt_preparation(disk: FaultyDisk, scene: Scene, folder: Path, case: Case, *, bug: str | None = None) -> list[str]:
    """As `broken_promises`, for a corpus: a folder that is there under its name must be whole."""
    folder.mkdir()
    hurt = disk.run("prepare", folder, at=case[0], fault=case[1], bug=bug, texts=str(scene.texts))
    found = bad_end(hurt, case[1], folder)
    whole = {name.split("/")[0] for name in scene.expected["files"]}
    for name in whole & {path.name for path in folder.iterdir()}:
        mine = {f"{name}/{path}": value for path, value in contents(folder / name).items()}
        if not mine.items() <= scene.expected["files"].items():
            found.append(f"{name} is there and is not whole")
    found += differences(disk.run("prepare", folder, bug=bug, texts=str(scene.texts)), scene.expected)
    shutil.rmtree(folder)
    return found


def survive(
    hurt: Callable[[FaultyDisk, Scene, Path, Case], list[str]],
    disk: FaultyDisk,
    scene: Scene,
    folder: Path,
    cases: list[Case],
    record: Callable[[str, object], None],
) -> None:
    problems = {case: hurt(disk, scene, folder / "hurt", case) for case in cases}
    broken = {case: found for case, found in problems.items() if found}
    record("injected", len(cases))
    record("survived", len(cases) - len(broken))
    assert not broken, "\n".join(f"{case} {_named(scene, case)}: {found}" for case, found in broken.items())


def _named(scene: Scene, case: Case) -> str:
    one = next(one for one in scene.operations if one.number == case[0])
    return f"{one.what} {one.path}"


def test_a_run_survives_some_faults_of_the_disk(
    faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cases = some(all_cases(sitting.operations), 6)
    survive(hurt_run, faulty_disk, sitting, tmp_path, cases, record_property)


def test_preparing_survives_some_faults_of_the_disk(
    faulty_disk: FaultyDisk, preparing: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cases = some(all_cases(preparing.operations), 6)
    survive(hurt_preparation, faulty_disk, preparing, tmp_path, cases, record_property)


@pytest.mark.torture
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_survives_each_fault_at_every_operation(
    fault: Fault,
    faulty_disk: FaultyDisk,
    sitting: Scene,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    cases = [case for case in all_cases(sitting.operations) if case[1] == fault]
    assert len(cases) > (40 if fault in OF_WRITES else 200)
    survive(hurt_run, faulty_disk, sitting, tmp_path, cases, record_property)


@pytest.mark.torture
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", FAULTS)
def test_preparing_survives_each_fault_at_every_operation(
    fault: Fault,
    faulty_disk: FaultyDisk,
    preparing: Scene,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    cases = [case for case in all_cases(preparing.operations) if case[1] == fault]
    assert len(cases) > (10 if fault in OF_WRITES else 60)
    survive(hurt_preparation, faulty_disk, preparing, tmp_path, cases, record_property)
