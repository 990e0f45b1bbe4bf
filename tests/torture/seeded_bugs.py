"""Mistakes in writing that others made, planted on purpose: the tests of the disk must catch each of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bajka.training.opening as opening
import bajka.training.saving as saving
from bajka import durable
from bajka.checkpoint import checkpoint
from bajka.checkpoint.run_folder import RunFolder
from bajka.tokens.writing import TokenWriter


def plant(bug: str) -> None:
    """Replace what a bug replaces, in this process."""
    BUGS[bug]()


def _saved_over_the_old_one() -> None:
    def same(run: RunFolder, step: int) -> Path:
        folder = run.checkpoints / "step-000001"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    checkpoint._free_name = same


def _written_in_place() -> None:
    def write_file(path: Path, write: Callable[[Path], object], *, needs: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        durable.sync_file(path)

    durable.write_file = write_file


def _files_are_not_synced() -> None:
    durable.sync_file = lambda path: None


def _folders_are_not_synced() -> None:
    durable.sync_folder = lambda path: None


def _renamed_before_it_is_synced() -> None:
    def write_file(path: Path, write: Callable[[Path], object], *, needs: int | None = None) -> None:
        temporary = path.with_name(path.name + ".tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
        durable.sync_folder(path.parent)
        durable.sync_file(path)

    durable.write_file = write_file


def _before_saving(act: Callable[[RunFolder, int], object]) -> None:
    original = saving.save_checkpoint

    def save(run: RunFolder, step: int, **rest: Any) -> Path:
        act(run, step)
        return original(run, step, **rest)

    saving.save_checkpoint = save  # type: ignore[assignment]


def _old_ones_are_removed_first() -> None:
    def remove(run: RunFolder, step: int) -> None:
        best = (run.read_pointer("best") or {}).get("checkpoint")
        for folder in run.checkpoints.glob("step-*"):
            if folder.name != best:
                shutil.rmtree(folder)

    _before_saving(remove)


def _the_pointer_is_moved_first() -> None:
    _before_saving(lambda run, step: run.write_pointer("last", checkpoint=f"step-{step:06d}", step=step))


def _the_newest_name_is_taken() -> None:
    def newest(run: RunFolder, pointer: str, *, say: Callable[[str], None]) -> Path | None:
        return max(run.checkpoints.glob("step-*"), key=lambda folder: folder.name, default=None)

    opening.find_checkpoint = newest


def _no_manifest_is_checked() -> None:
    checkpoint.verify = lambda folder: None


def _removed_in_one_step() -> None:
    durable.remove_folder = shutil.rmtree  # type: ignore[assignment]


def _the_name_is_not_synced_before_removing() -> None:
    def remove(path: Path) -> None:
        doomed = path.with_name(path.name + ".tmp")
        os.replace(path, doomed)
        shutil.rmtree(doomed)

    durable.remove_folder = remove


def _copied_over_the_model() -> None:
    durable.link_or_copy = lambda source, target: (target.unlink(missing_ok=True), shutil.copyfile(source, target))  # type: ignore[assignment,return-value]


def _refusals_are_swallowed() -> None:
    original = durable.replace

    def replace(source: Path, target: Path) -> None:
        try:
            original(source, target)
        except OSError:
            source.unlink(missing_ok=True)

    durable.replace = replace


def _leftovers_stay() -> None:
    checkpoint.shutil = type("Nothing", (), {"rmtree": staticmethod(lambda path, ignore_errors=False: None)})  # type: ignore[assignment,attr-defined]


def _the_journal_goes_before_the_ids() -> None:
    TokenWriter.sync = lambda self: True  # type: ignore[method-assign]


def _prepared_under_its_last_name() -> None:
    durable.TEMPORARY = ""


BUGS: dict[str, Callable[[], None]] = {
    "saved over the old one": _saved_over_the_old_one,
    "written in place": _written_in_place,
    "files are not synced": _files_are_not_synced,
    "folders are not synced": _folders_are_not_synced,
    "renamed before it is synced": _renamed_before_it_is_synced,
    "old ones are removed first": _old_ones_are_removed_first,
    "the pointer is moved first": _the_pointer_is_moved_first,
    "the newest name is taken": _the_newest_name_is_taken,
    "no manifest is checked": _no_manifest_is_checked,
    "removed in one step": _removed_in_one_step,
    "the name is not synced before removing": _the_name_is_not_synced_before_removing,
    "copied over the model": _copied_over_the_model,
    "refusals are swallowed": _refusals_are_swallowed,
    "leftovers stay": _leftovers_stay,
    "the journal goes before the ids": _the_journal_goes_before_the_ids,
    "prepared under its last name": _prepared_under_its_last_name,
}
