"""Stopping when validation no longer improves, and going on with more text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bajka import durable
from bajka.errors import RunError, SettingsError
from bajka.planning.schedule import Patience
from tiny_runs import Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

STUCK: dict[str, Any] = {"steps": 200, "learning_rate": 1e-9, "adamw_learning_rate": 1e-9, "early_stopping": 3}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


def test_patience_is_over_after_so_many_looks_without_gain() -> None:
    patience = Patience(every_steps=10, patience=2)
    assert [patience.look(loss) for loss in (3.0, 2.0, 2.1, 2.1, 1.9, 2.0, 2.0)] == [False] * 7
    assert patience.look(1.95)


def test_a_run_that_no_longer_improves_stops_and_says_so(texts: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(tmp_path / "run"), schedule="cosine", **STUCK)
    assert run.plan["finished"]["step"] == 40  # looks at 10 (the best), 20, 30 and 40
    assert "Step 40: validation has not improved; the run stops." in watcher.text
    assert run.metrics[-1]["step"] == 40
    assert "val_loss" in run.metrics[-1]


@pytest.mark.parametrize("length", [{"steps": 200}, {"steps": None, "minutes": 30.0}])
def test_a_high_rate_falls_before_the_run_ends(texts: Path, tmp_path: Path, length: dict[str, Any]) -> None:
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(tmp_path / "run"), **STUCK | length | {"early_stopping_every_steps": 10})
    assert run.plan["finished"]["step"] == 80
    said = "Step 40: validation has not improved; the rate falls for 40 steps, and the run ends then."
    assert watcher.text.count("validation has not improved") == watcher.text.count(said) == 1
    rates = [report.learning_rate for report in watcher.reports]
    assert rates[39] == 1e-9
    assert rates[40:] == sorted(rates[40:], reverse=True)
    assert rates[79] < 0.05e-9
    pointer = run.folder.read_pointer("cooldown")
    assert pointer is not None
    assert pointer["step"] == 40


def test_in_a_cooldown_patience_begins_anew(texts: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    asked = STUCK | {"steps": 100, "early_stopping_every_steps": 16}
    run = train_tiny(texts, watcher, out=str(tmp_path / "run"), **asked)
    assert (
        run.plan["finished"]["step"] == 96
    )  # the best at 16, two looks without gain, the rate falls from 50 on, three
    assert "Step 96: validation has not improved; the run stops." in watcher.text


@pytest.mark.parametrize("step", [33, 41, 70])
def test_a_crash_on_the_way_stops_at_the_same_step(texts: Path, tmp_path: Path, step: int) -> None:
    whole = train_tiny(texts, out=str(tmp_path / "whole"), **STUCK)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(step), out=str(tmp_path / "cut"), **STUCK)
    assert bits(go_on(tmp_path / "cut")) == bits(whole)


def test_looks_have_an_interval_of_their_own(texts: Path, tmp_path: Path) -> None:
    asked = STUCK | {"early_stopping_every_steps": 4, "evaluate_every_steps": 50}
    assert train_tiny(texts, out=str(tmp_path / "run"), **asked).plan["finished"]["step"] == 32  # 16 and a cooldown


def test_a_stopped_run_can_be_made_longer(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "run"), **STUCK)
    watcher = Watcher()
    assert go_on(run.path, watcher, steps=120).plan["finished"]["step"] == 140  # impatient at 70
    assert watcher.reports[0].step == 41  # from before its rate fell


def test_early_stopping_judges_the_average_too(texts: Path, tmp_path: Path) -> None:
    wild: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 0.4, "schedule": "constant", "warmup_steps": 0}
    wild |= {"global_batch_size": 1, "evaluation_windows": 64, "average": "ema", "average_decay": 0.9}
    looks = {"early_stopping": 20, "early_stopping_every_steps": 5, "evaluate_every_steps": 5}
    run = train_tiny(texts, out=str(tmp_path / "run"), steps=60, **wild, **looks)
    judged = [line for line in run.metrics if line.get("average_val_loss") is not None]
    average, weights = (min(line[name] for line in judged) for name in ("average_val_loss", "val_loss"))
    assert average < weights - 0.01, "a rate so high that the mean of the weights is better than they are"
    last = run.folder.read_pointer("last")
    assert last is not None
    state = json.loads((run.folder.checkpoints / last["checkpoint"] / "training" / "state.json").read_text())
    assert average <= state["stopper"]["best"] <= average + 1e-4


# -- more text ---------------------------------------------------------------------------------------------------


def test_more_text_is_a_new_run_from_the_weights_with_the_same_tokenizer(texts: Path, tmp_path: Path) -> None:
    first = train_tiny(texts, out=str(tmp_path / "runs" / "first"), steps=12, windows="documents")
    more = tmp_path / "more.txt"
    more.write_text("A zebra with a xylophone went to the zoo.\n\n" * 40, encoding="utf-8")
    watcher = Watcher()
    run = train_tiny(
        str(first.path), watcher, add=[str(more)], out=str(tmp_path / "runs" / "second"), steps=2, **SHAPED
    )
    assert run.plan["data"]["texts"] == [str(texts), str(more)]
    assert durable.sha256_of(run.folder.model / "tokenizer.json") == durable.sha256_of(
        first.folder.model / "tokenizer.json"
    )
    start, end = (one["val_loss"] for one in (run.metrics[0], first.metrics[-1]))
    assert start == pytest.approx(end, rel=0.1), "it begins with what the first run knew"
    assert run.plan["plan"]["windows"] == "documents"


SHAPED: dict[str, Any] = dict.fromkeys(("n_layer", "n_embd", "n_head", "vocab_size", "context_length"))
"""The shape comes with the weights."""


def test_adding_texts_to_what_is_no_run_is_a_sentence(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        train_tiny(texts.parent, add=["more.txt"], out=str(tmp_path / "run"))
    with pytest.raises(SettingsError, match="goes on from one run"):
        train_tiny(None, add=["more.txt"], out=str(tmp_path / "run"))
