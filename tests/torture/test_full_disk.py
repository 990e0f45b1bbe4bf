"""The disk is full at sixty places of a run and of preparing: nothing saved is lost, and with room it goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk
from power import peak
from scenes import Scene, bad_end, broken_promises, copy_of, differences, is_root, problems, saved_by

from bajka.checkpoint.run_folder import RunFolder


def fill(
    disk: FaultyDisk, scene: Scene, folder: Path, budgets: list[int], record: Callable[[str, object], None]
) -> None:
    """A run with only so many bytes of room; then with as much as it wants."""
    broken = {}
    for budget in budgets:
        hurt, found = broken_promises(disk, scene.before, folder / "full", scene.expected, budget=budget)
        if found or not hurt.hit:
            broken[budget] = found or ["the disk was not full"]
    record("injected", len(budgets))
    record("survived", len(budgets) - len(broken))
    assert not broken, broken


def spread(size: int, count: int) -> list[int]:
    """So many amounts of room, all too small for `size` bytes."""
    return [1 + number * size // count for number in range(count)]


def test_a_run_survives_a_full_disk(
    faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    room = peak(sitting.before, sitting.operations)
    fill(faulty_disk, sitting, tmp_path, [room // 3, room - 5_000], record_property)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_run_survives_a_disk_that_is_full_at_fifty_places(
    faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    room = peak(sitting.before, sitting.operations)
    fill(faulty_disk, sitting, tmp_path, [*spread(room, 40), *range(room - 1_000, room, 100)], record_property)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_preparing_survives_a_disk_that_is_full_at_twenty_places(
    faulty_disk: FaultyDisk, preparing: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    budgets, broken = spread(peak(preparing.before, preparing.operations), 20), {}
    for budget in budgets:
        folder = tmp_path / str(budget)
        folder.mkdir()
        hurt = faulty_disk.run("prepare", folder, budget=budget, texts=str(preparing.texts))
        found = bad_end(hurt, "full", folder) + ([] if hurt.how == "refused" else [f"it was {hurt.how}"])
        if found := found + differences(
            faulty_disk.run("prepare", folder, texts=str(preparing.texts)), preparing.expected
        ):
            broken[budget] = found
    record_property("injected", len(budgets))
    record_property("survived", len(budgets) - len(broken))
    assert not broken, broken


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of its own at `folder`, in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not is_root(), reason="only root may mount a disk")
def test_a_run_survives_a_real_disk_that_is_full(
    faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    room, broken, places = peak(sitting.before, sitting.operations), {}, 20
    there = sum(path.stat().st_size + 4096 for path in sitting.before.rglob("*"))
    for number in range(places):
        folder = tmp_path / f"disk-{number}"
        with small_disk(folder, there + room + 2_000_000):
            run = copy_of(sitting.before, folder / "run")
            hurt = faulty_disk.run("finish", run.path, leave=number * room // places)
            found = bad_end(hurt, "full", run.path) + problems(RunFolder(run.path), at_least=saved_by(hurt.notes))
            (folder / "ballast").unlink()
            found += differences(faulty_disk.run("finish", run.path, plots=False), sitting.expected)
        if found:
            broken[number] = found
    record_property("injected", places)
    record_property("survived", places - len(broken))
    assert not broken, broken
