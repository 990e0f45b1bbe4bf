"""A finished run is made longer, again and again, and after a crash on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import bajka
from bajka import durable
from bajka.checkpoint.run_folder import read_lines
from bajka.errors import RunError
from tiny_runs import EIGHT_STEPS, Stopped, Watcher, bits, go_on, stop_at, train_tiny


def test_a_run_made_longer_equals_one_that_was_long_from_the_start(
    texts: Path, finished: bajka.Run, tmp_path: Path
) -> None:
    watcher = Watcher()
    longer = go_on(finished.path, watcher, steps=8)  # from the checkpoint before the cooldown, that of step 4
    assert [report.step for report in watcher.reports] == list(range(5, 13))
    assert bits(longer) == bits(train_tiny(texts, out=str(tmp_path / "long"), **EIGHT_STEPS | {"steps": 12}))


def test_the_numbers_of_the_cooldown_that_was_undone_are_kept_aside(finished: bajka.Run) -> None:
    go_on(finished.path, steps=5)
    assert [line["step"] for line in finished.metrics] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 9]
    dropped = read_lines(finished.path / "metrics-dropped.jsonl")
    assert [line["step"] for line in dropped] == [5, 6, 7, 8, 8]


def test_the_best_model_of_the_old_life_stays_until_it_is_beaten(finished: bajka.Run) -> None:
    before = finished.folder.read_pointer("best")
    weights = durable.sha256_of(finished.folder.model / "model.safetensors")
    assert before is not None
    assert before["step"] == 8
    go_on(finished.path, steps=4, learning_rate=1e-6)
    assert finished.folder.read_pointer("best") == before
    assert durable.sha256_of(finished.folder.model / "model.safetensors") == weights
    go_on(finished.path, steps=30, learning_rate=0.02)
    best = finished.folder.read_pointer("best")
    assert best is not None
    assert best["val_loss"] < before["val_loss"]
    assert durable.sha256_of(finished.folder.model / "model.safetensors") != weights


@pytest.mark.parametrize("crash", [5, 9])
def test_a_lengthening_that_crashed_goes_on_by_the_same_command(
    finished: bajka.Run, tmp_path: Path, crash: int
) -> None:
    whole = bits(go_on(shutil.copytree(finished.path, tmp_path / "whole"), steps=8))
    with pytest.raises(Stopped):
        go_on(finished.path, stop_at(crash), steps=8)
    watcher = Watcher()
    assert bits(go_on(finished.path, watcher, steps=8)) == whole
    assert watcher.reports[-1].step == 12


def test_a_run_can_be_made_longer_again_and_again(finished: bajka.Run) -> None:
    ends = [go_on(finished.path, steps=4).plan["finished"]["step"] for _ in range(2)]
    assert ends == [8, 8]  # each time from before the cooldown that began at step 4
    assert go_on(finished.path, epochs=0.1).plan["finished"]["step"] > 8


@pytest.mark.parametrize("length", [{"steps": 3}, {"minutes": 0.0001}])
def test_a_run_is_not_made_shorter_by_making_it_longer(finished: bajka.Run, length: dict[str, float]) -> None:
    weights = durable.sha256_of(finished.folder.model / "model.safetensors")
    pointers = [finished.folder.read_pointer(name) for name in ("last", "best", "cooldown")]
    with pytest.raises(RunError, match=r"it would become shorter. Give at least --(steps 4|minutes 1)"):
        go_on(finished.path, **length)
    assert bajka.open_run(finished.path).plan["finished"]["step"] == 8
    assert durable.sha256_of(finished.folder.model / "model.safetensors") == weights
    assert [finished.folder.read_pointer(name) for name in ("last", "best", "cooldown")] == pointers
    assert go_on(finished.path, steps=4).plan["finished"]["step"] == 8


def test_what_a_life_has_learned_before_an_early_end_is_not_thrown_away(finished: bajka.Run) -> None:
    wishes = {"learning_rate": 1e-9, "adamw_learning_rate": 1e-9, "early_stopping": 1, "early_stopping_every_steps": 1}
    run = go_on(finished.path, steps=100, **wishes)
    impatient = run.plan["clock"]["begin"]
    assert 4 < impatient < 50
    assert run.plan["finished"]["step"] == 2 * impatient
    watcher = Watcher()
    go_on(finished.path, watcher, steps=impatient, early_stopping=50)
    assert watcher.reports[0].step == impatient + 1


def test_a_lengthening_after_an_early_stop_goes_on_after_a_crash(finished: bajka.Run) -> None:
    wishes = {"learning_rate": 1e-9, "adamw_learning_rate": 1e-9, "early_stopping": 2, "early_stopping_every_steps": 1}
    stopped = go_on(finished.path, steps=100, **wishes).plan["clock"]["begin"]
    with pytest.raises(Stopped):
        go_on(finished.path, stop_at(stopped + 1), steps=stopped)
    watcher = Watcher()
    go_on(finished.path, watcher)
    assert watcher.reports, "the patience that was used up before is not held against it"


def test_a_cosine_run_is_made_longer_from_its_end(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "run"), **EIGHT_STEPS | {"schedule": "cosine", "steps": 5})
    watcher = Watcher()
    go_on(run.path, watcher, steps=3)
    assert [report.step for report in watcher.reports] == [6, 7, 8]
