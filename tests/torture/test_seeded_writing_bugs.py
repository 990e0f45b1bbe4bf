"""The tests of the disk are tested: each planted mistake in writing breaks a promise that they check."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faulty_disk import Fault, FaultyDisk, Operation
from scenes import Scene, broken_promises, copy_of, differences, elsewhere
from seeded_bugs import BUGS
from test_every_operation import hurt_preparation
from test_power_loss import lost_power

WHERE: dict[str, tuple[Fault, str]] = {
    "saved over the old one": ("killed", r"write .*step-000001\.tmp/config"),
    "written in place": ("torn", r"write plan\.json"),
    "old ones are removed first": ("killed", r"write .*step-000004\.tmp/config"),
    "the pointer is moved first": ("killed", r"write .*step-000004\.tmp/config"),
    "the newest name is taken": ("killed", r"write .*step-000004\.tmp/config"),
    "removed in one step": ("killed", r"unlink checkpoints/step-000000/"),
    "copied over the model": ("torn", r"write model/model"),
    "refusals are swallowed": ("EIO", r"rename checkpoints/last"),
    "leftovers stay": ("ENOSPC", r"write checkpoints/step-000004\.tmp/training/\.tmp"),
    "prepared under its last name": ("killed", r"write .*train\.bin"),
}
"""Which fault, at which operation, shows the bug; the others show in a loss of power, or in a damaged file."""
OF_PREPARING = ("the journal goes before the ids", "prepared under its last name")
QUICK = ("files are not synced", "the pointer is moved first", "no manifest is checked")


def matching(operations: tuple[Operation, ...], pattern: str) -> Iterator[int]:
    """The numbers of the operations that a pattern fits."""
    return (one.number for one in operations if re.match(pattern, f"{one.what} {one.path}"))


def caught(disk: FaultyDisk, scene: Scene, folder: Path, *, bug: str, planted: bool) -> bool:
    """Whether a promise is found broken, with the bug or (the same checks) without it."""
    name = bug if planted else None
    if bug == "no manifest is checked":
        return _damaged(disk, scene, folder, bug=name)
    of_runs = bug not in OF_PREPARING
    place = copy_of(scene.before, folder / "log").path
    more = {} if of_runs else {"texts": str(scene.texts)}
    log = disk.run("finish" if of_runs else "prepare", place, bug=name, **more)
    operations = elsewhere(log.operations, place)
    shutil.rmtree(place)
    if bug not in WHERE:
        seen = Scene(scene.before, operations, scene.expected, scene.texts)
        work = "finish" if of_runs else "prepare"
        # What is noted in the journal of ids is trusted: the moment right behind a note shows whether it may be.
        noted = [at for at, one in enumerate(operations, 1) if re.match(r"fsync .*journal", f"{one.what} {one.path}")]
        states = [
            (at, seed)
            for seed in range(3 if of_runs else 40)
            for at in (range(1, len(operations)) if of_runs else noted)
        ]
        return any(
            lost_power(disk, seen, folder / "state", at=at, seed=7 * at + seed, work=work, heals=not of_runs, bug=name)
            for at, seed in (states if planted else states[:: len(states) // 20])
        )
    fault, pattern = WHERE[bug]
    for at in matching(operations, pattern):
        if of_runs:
            found = broken_promises(disk, scene.before, folder / "hurt", scene.expected, at=at, fault=fault, bug=name)[
                1
            ]
        else:
            found = hurt_preparation(disk, scene, folder / "hurt", (at, fault), bug=name)
        if found:
            return True
    return False


def _damaged(disk: FaultyDisk, scene: Scene, folder: Path, *, bug: str | None) -> bool:
    run = copy_of(scene.before, folder / "damaged")
    weights = run.checkpoints / "step-000002" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-5] ^= 1
    weights.write_bytes(content)
    return bool(differences(disk.run("finish", run.path, bug=bug, plots=False), scene.expected))


def check(bug: str, disk: FaultyDisk, scene: Scene, folder: Path, record: Callable[[str, object], None]) -> None:
    assert caught(disk, scene, folder / "with", bug=bug, planted=True), f"nobody noticed: {bug}"
    assert not caught(disk, scene, folder / "without", bug=bug, planted=False)
    record("bugs", 1)


@pytest.mark.parametrize("bug", QUICK)
def test_a_planted_mistake_in_writing_is_caught(
    bug: str, faulty_disk: FaultyDisk, sitting: Scene, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    check(bug, faulty_disk, sitting, tmp_path, record_property)


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug not in QUICK])
def test_every_planted_mistake_in_writing_is_caught(
    bug: str,
    faulty_disk: FaultyDisk,
    sitting: Scene,
    preparing: Scene,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    scene = preparing if bug in OF_PREPARING else sitting
    check(bug, faulty_disk, scene, tmp_path, record_property)
