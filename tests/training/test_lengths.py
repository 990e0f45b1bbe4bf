"""Another length, more readings, other windows for a run that is not finished: its rate never jumps, its best stays honest."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.errors import RunError, SettingsError
from tiny_runs import Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

WISHES: dict[str, Any] = {"steps": 40, "save_every_steps": 1, "warmup_steps": 0, "evaluate_every_steps": 100}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


def stopped_at(step: int, texts: Path, out: Path, **wishes: Any) -> Path:
    """A run of 40 steps (the rate falls from 20 on) that crashed."""
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(step), out=str(out), **WISHES | wishes)
    return out


def rates(watcher: Watcher) -> list[float]:
    """Rates of the steps that were made, as shares of the highest one that the plan has."""
    return [report.learning_rate / 0.02 for report in watcher.reports]


def test_a_run_whose_rate_falls_goes_on_from_before_when_it_is_made_longer(texts: Path, tmp_path: Path) -> None:
    run, watcher = stopped_at(34, texts, tmp_path / "run"), Watcher()
    longer = go_on(run, watcher, steps=60)
    assert watcher.reports[0].step == 21
    assert rates(watcher)[:10] == pytest.approx([1.0] * 10)
    assert bits(longer) == bits(train_tiny(texts, out=str(tmp_path / "whole"), **WISHES | {"steps": 60}))


def test_a_run_with_a_high_rate_that_is_made_shorter_cools_down_from_where_it_stands(
    texts: Path, tmp_path: Path
) -> None:
    run, watcher = stopped_at(18, texts, tmp_path / "run"), Watcher()
    assert go_on(run, watcher, steps=22).plan["finished"]["step"] == 22  # half of which would begin at 11
    done = watcher.reports[0].step - 1
    assert done in (17, 18)
    left = 22 - done
    assert rates(watcher) == pytest.approx([1 - n / (left + 1) for n in range(1, left + 1)])


def test_a_run_whose_rate_falls_and_that_is_made_shorter_falls_faster_from_where_it_stands(
    texts: Path, tmp_path: Path
) -> None:
    run, watcher = stopped_at(30, texts, tmp_path / "run"), Watcher()
    assert go_on(run, watcher, steps=34).plan["finished"]["step"] == 34
    found = rates(watcher)
    assert watcher.reports[0].step > 29
    assert found[0] < 0.55
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.2


def test_a_run_that_was_made_shorter_can_be_made_longer_again_from_before_its_fall(texts: Path, tmp_path: Path) -> None:
    run = stopped_at(18, texts, tmp_path / "run")
    begin = go_on(run, steps=22).plan["clock"]["begin"]
    watcher = Watcher()
    assert go_on(run, watcher, steps=20).plan["finished"]["step"] == begin + 20
    assert watcher.reports[0].step == begin + 1
    assert rates(watcher)[0] <= 1.0
    assert rates(watcher) == sorted(rates(watcher), reverse=True)


def test_minutes_that_are_over_are_refused_though_the_rate_has_fallen(texts: Path, tmp_path: Path) -> None:
    run = stopped_at(34, texts, tmp_path / "run")
    with pytest.raises(RunError, match=r"minutes = 1e-05, but .* are used"):
        go_on(run, minutes=1e-5)


def test_a_damaged_checkpoint_from_before_the_fall_is_not_called_one(texts: Path, tmp_path: Path) -> None:
    run, watcher = stopped_at(34, texts, tmp_path / "run"), Watcher()
    pointer = bajka.open_run(run).folder.read_pointer("cooldown")
    assert pointer is not None
    (run / "checkpoints" / pointer["checkpoint"] / "model.safetensors").write_bytes(b"damaged")
    go_on(run, watcher, steps=60)
    assert "before its cooldown" not in watcher.text
    assert watcher.reports[0].step > 30
    assert rates(watcher)[0] < 0.4, "it goes on from where the rate stands"


def test_a_smaller_patience_does_not_end_a_run_at_once(texts: Path, tmp_path: Path) -> None:
    stuck = {"learning_rate": 1e-9, "adamw_learning_rate": 1e-9, "early_stopping": 50, "early_stopping_every_steps": 1}
    run, watcher = stopped_at(15, texts, tmp_path / "run", **stuck), Watcher()
    finished = go_on(run, watcher, early_stopping=3).plan["finished"]["step"]
    assert watcher.reports[0].step in (15, 16)
    assert finished > 2 * 16, "three looks, then a cooldown"


def test_cosine_goes_on_from_where_it_stands(texts: Path, tmp_path: Path) -> None:
    run, watcher = stopped_at(30, texts, tmp_path / "run", schedule="cosine"), Watcher()
    before = bajka.open_run(run).metrics
    high = [line["learning_rate"] / 0.02 for line in before if line.get("learning_rate")]
    go_on(run, watcher, steps=80)
    found = [*high[:29], *rates(watcher)]
    assert watcher.reports[-1].step == 80
    assert max(abs(a - b) for a, b in itertools.pairwise(found)) < 0.06, "no jump"
    assert found == sorted(found, reverse=True)


def test_a_crash_after_another_length_changes_no_bit(texts: Path, tmp_path: Path) -> None:
    whole = go_on(stopped_at(30, texts, tmp_path / "whole"), steps=34)
    run = stopped_at(30, texts, tmp_path / "cut")
    with pytest.raises(Stopped):
        go_on(run, stop_at(32), steps=34)
    assert bits(go_on(run)) == bits(whole)


def test_fewer_readings_than_were_made_are_refused(texts: Path, tmp_path: Path) -> None:
    wishes = {"steps": None, "minutes": 30.0, "save_every_steps": 1, "warmup_steps": 0}
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(30), out=str(tmp_path / "run"), **wishes)
    config = (tmp_path / "run" / "config.toml").read_text()
    with pytest.raises(RunError, match=r"most_epochs = 0.001, but the text was read .* times already"):
        go_on(tmp_path / "run", most_epochs=0.001)
    assert (tmp_path / "run" / "config.toml").read_text() == config


def test_the_best_model_is_judged_anew_on_other_windows(texts: Path, tmp_path: Path) -> None:
    often: dict[str, Any] = {"evaluate_every_steps": 5, "evaluation_windows": 1, "learning_rate": 1e-9}
    run = stopped_at(12, texts, tmp_path / "run", adamw_learning_rate=1e-9, **often)
    folder = bajka.open_run(run).folder
    before = folder.read_pointer("best")
    with pytest.raises(Stopped):
        go_on(run, stop_at(17), evaluation_windows=3)
    after = folder.read_pointer("best")
    assert before is not None
    assert after is not None
    assert after["step"] == 15
    assert before["step"] < 15
    assert before["val_loss"] != pytest.approx(after["val_loss"], abs=1e-3), "the windows are as hard as the others"


def test_a_rate_that_does_not_fall_has_no_share_at_its_end(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r'final_rate_share = 0.1, but the rate of schedule = "constant" does not fall'
    ):
        train_tiny(texts, out=str(tmp_path / "run"), steps=5, schedule="constant", final_rate_share=0.1)
    assert not (tmp_path / "run").exists()
