"""The fork servers, the faulty disk and the runs that are hurt, made once for all tests here: they take some seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import scenes
from faulty_disk import FaultyDisk, why_not
from scenes import Scene, elsewhere

from shooting_range import ShootingRange, shooting_range


@pytest.fixture(scope="session")
def faulty_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyDisk]:
    """The server that forks; skips where it cannot be."""
    if reason := why_not():
        pytest.skip(reason)
    disk = FaultyDisk(tmp_path_factory.mktemp("faulty_disk"))
    yield disk
    disk.close()


@pytest.fixture(scope="session")
def sitting(faulty_disk: FaultyDisk, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A run that goes on from step 2 to its end at 8: saves, rotations, pointers, logs, plots."""
    folder = tmp_path_factory.mktemp("sitting")
    begun = faulty_disk.run("begin", folder)
    assert begun.how == "done", begun.answer
    run = scenes.copy_of(folder / "run", folder / "whole")
    whole = faulty_disk.run("finish", run.path)
    assert whole.how == "done", whole.answer
    assert scenes.problems(run, at_least=8) == []
    return Scene(folder / "run", elsewhere(whole.operations, run.path), whole.answer, folder / "texts")


@pytest.fixture(scope="session")
def preparing(faulty_disk: FaultyDisk, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A corpus that is read, cleaned, kept, split, and encoded in several portions."""
    folder = tmp_path_factory.mktemp("preparing")
    texts = scenes.tales_file(folder / "texts", count=30)
    (folder / "whole").mkdir()
    whole = faulty_disk.run("prepare", folder / "whole", texts=str(texts))
    assert whole.how == "done", whole.answer
    (folder / "before").mkdir()
    return Scene(folder / "before", elsewhere(whole.operations, folder / "whole"), whole.answer, texts)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShootingRange]:
    """Where runs are shot at."""
    with shooting_range(tmp_path_factory.mktemp("place")) as there:
        yield there
