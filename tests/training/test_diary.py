"""A diary that cannot be written stops no run: it is said once, kept, and written when there is room."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DiskError
from bajka.watching.record import Lines, Record
from bajka.watching.trackers import TensorBoard, Trackers
from tiny_runs import Watcher, bits, tales_file, train_tiny


def refused(path: Path, line: str) -> None:
    """A disk without room for lines."""
    raise DiskError(f"Could not write {path}: the disk is full.", full="")


def test_lines_wait_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    lines = Lines(tmp_path / "log", warnings.append)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "append_line", refused)
        for line in ("one\n", "two"):
            lines.add(line)
            lines.write()
    assert len(warnings) == 1
    assert warnings[0].endswith("Training goes on; lines that are not written yet are tried again later.")
    lines.write()
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_line_that_was_written_but_not_synced_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    lines = Lines(tmp_path / "log", warnings.append)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: _refuse())
        lines.add("one")
        lines.write(durably=True)
    lines.write(durably=True)
    assert (tmp_path / "log").read_text() == "one\n"
    assert len(warnings) == 1


def _refuse() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_board_that_fails_is_closed_and_the_numbers_go_on(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    warnings: list[str] = []
    board = TensorBoard(RunFolder(tmp_path), step=0)
    record = Record(RunFolder(tmp_path), Trackers([board], say=warnings.append))
    original = board._board.add_scalar

    def fail(*arguments: object) -> None:
        original(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    board._board.add_scalar = fail
    for step in (1, 2):
        record.metrics(step, train_loss=1.0)
    record.close()
    assert len(warnings) == 1
    assert warnings[0].startswith("TensorBoard failed (OSError(28, 'No space left on device')): the training goes on")
    assert [line["step"] for line in RunFolder(tmp_path).metrics()] == [1, 2]


def test_a_run_whose_plots_and_log_have_no_room_comes_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, watcher = tales_file(tmp_path / "texts"), Watcher()
    whole = train_tiny(texts, steps=4, out=str(tmp_path / "whole"))
    original = durable.write_file

    def no_pictures(path: Path, write: object, **rest: object) -> None:
        if path.suffix == ".png":
            raise DiskError(f"Could not write {path}: the disk is full.", full="")
        original(path, write, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(durable, "write_file", no_pictures)
    monkeypatch.setattr(durable, "append_line", refused)
    run = train_tiny(texts, watcher, steps=4, out=str(tmp_path / "run"))
    assert bits(run) == bits(whole)
    assert sum(line.startswith("Warning:") for line in watcher.lines) == 3  # metrics.jsonl, samples.jsonl, loss.png
