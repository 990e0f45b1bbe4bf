"""A run that is finished and one that is not: what the tests of a run's life begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from tiny_runs import EIGHT_STEPS, Stopped, stop_at, tales_file, train_tiny


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def finished_once(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    return train_tiny(texts, out=str(tmp_path_factory.mktemp("finished") / "tales"), **EIGHT_STEPS)


@pytest.fixture
def finished(finished_once: bajka.Run, tmp_path: Path) -> bajka.Run:
    """A copy of a finished run."""
    return bajka.open_run(shutil.copytree(finished_once.path, tmp_path / "tales"))


@pytest.fixture
def unfinished(texts: Path, tmp_path: Path) -> RunFolder:
    """A run that crashed at step 6; its last checkpoint is that of step 4."""
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), out=str(tmp_path / "tales"), **EIGHT_STEPS)
    return RunFolder(tmp_path / "tales")
