"""A run that was torn out of its loop again and again ends with the bits of one that never was; watching changes none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.hardware import cpp_compiler, native_bf16
from bajka.watching.view import ConsoleView
from tiny_runs import Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

needs_bf16 = pytest.mark.skipif(not native_bf16("cpu"), reason="this CPU has no native bf16")
needs_compiler = pytest.mark.skipif(cpp_compiler() is None, reason="there is no C++ compiler")

NO_PROGRESS: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 1e-7}

RECIPES: dict[str, dict[str, Any]] = {
    "muon-wsd": {"optimizer": "muon", "schedule": "wsd", "dropout": 0.1, "attention_dropout": 0.1},
    "adamw-cosine": {"optimizer": "adamw", "schedule": "cosine", "dropout": 0.1, "micro_batch_size": 2},
    "plateau": {"schedule": "plateau", "plateau_every_steps": 3, "plateau_patience": 0, **NO_PROGRESS},
    "gpt2-documents": {"family": "gpt2", "windows": "documents", "documents": "line", "micro_batch_size": 3},
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


def torn(texts: Path, out: Path, stops: tuple[int, ...], **wishes: Any) -> dict[str, str]:
    """The bits of a run that crashed after each of these steps and was started again by the same call."""
    for step in stops:
        with pytest.raises(Stopped):
            train_tiny(texts, stop_at(step), out=str(out), **wishes)
    return bits(train_tiny(texts, out=str(out), **wishes))


@pytest.mark.parametrize("name", RECIPES)
def test_torn_and_taken_up_again_gives_the_same_bits(texts: Path, tmp_path: Path, name: str) -> None:
    wishes = {"steps": 14, **RECIPES[name]}
    whole = bits(train_tiny(texts, out=str(tmp_path / "whole"), **wishes))
    assert torn(texts, tmp_path / "torn", (1, 7, 14), **wishes) == whole


@needs_bf16
def test_the_same_in_bf16(texts: Path, tmp_path: Path) -> None:
    wishes = {"steps": 10, "precision": "bf16", "micro_batch_size": 2, "dropout": 0.1}
    whole = bits(train_tiny(texts, out=str(tmp_path / "whole"), **wishes))
    assert torn(texts, tmp_path / "torn", (5, 9), **wishes) == whole


@needs_compiler
def test_the_same_when_compiled(texts: Path, tmp_path: Path) -> None:
    wishes = {"steps": 8, "compile": "on", "n_layer": 1, "dropout": 0.1}
    whole = bits(train_tiny(texts, out=str(tmp_path / "whole"), **wishes))
    assert torn(texts, tmp_path / "torn", (5,), **wishes) == whole


OFTEN = {"evaluate_every_steps": 5, "save_every_steps": 4}
SELDOM = {"evaluate_every_steps": 100, "save_every_steps": 100, "prompts": ()}


@pytest.fixture(scope="module")
def whole(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    """A run of twelve steps with dropout that nothing disturbed."""
    return train_tiny(texts, out=str(tmp_path_factory.mktemp("whole") / "run"), steps=12, dropout=0.1, **OFTEN)


def test_looking_sampling_and_saving_more_often_changes_no_weight(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    run = train_tiny(texts, out=str(tmp_path / "run"), steps=12, dropout=0.1, **SELDOM)
    assert bits(run) == bits(whole)


WATCHED: dict[str, dict[str, Any]] = {
    "never but at the end": SELDOM,
    "every step": {"evaluate_every_steps": 1, "save_every_steps": 1},
    "other intervals": {"evaluate_every_steps": 3, "save_every_steps": 7},
    "saving by the minute": {"save_every_steps": None, "save_every_minutes": 0.001},
    "one window": {**OFTEN, "evaluation_windows": 1},
    "all windows": {**OFTEN, "evaluation_windows": 500},
    "many prompts": {**OFTEN, "prompts": ("Once", "The fox", "A", "The queen")},
    "long samples": {**OFTEN, "max_new_tokens": 30},
    "greedy samples": {**OFTEN, "temperature": 0.0},
    "odd sampling": {**OFTEN, "temperature": 1.5, "top_k": 3, "repetition_penalty": 1.3},
}


@pytest.mark.torture
@pytest.mark.parametrize("torn_often", [False, True])
@pytest.mark.parametrize("name", WATCHED)
def test_ten_ways_of_watching_change_no_weight(
    texts: Path, whole: bajka.Run, tmp_path: Path, name: str, torn_often: bool
) -> None:
    wishes = {"steps": 12, "dropout": 0.1, **WATCHED[name]}
    stops = (1, 4, 7, 9, 11)[: list(WATCHED).index(name) % 5 + 1] if torn_often else ()
    assert torn(texts, tmp_path / "run", stops, **wishes) == bits(whole)


@pytest.mark.torture
def test_tensorboard_and_a_talkative_view_change_no_weight(texts: Path, whole: bajka.Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    wishes = {"steps": 12, "dropout": 0.1, "tensorboard": True, **OFTEN}
    assert bits(train_tiny(texts, ConsoleView(), out=str(tmp_path / "run"), **wishes)) == bits(whole)


def test_plateau_lowers_the_rate_by_looks_of_its_own_so_evaluations_are_free_there_too(
    texts: Path, tmp_path: Path
) -> None:
    seldom, often = Watcher(), Watcher()
    found = [
        bits(
            train_tiny(
                texts, view, out=str(tmp_path / str(every)), steps=7, evaluate_every_steps=every, **RECIPES["plateau"]
            )
        )
        for every, view in ((7, seldom), (2, often))
    ]
    assert found[0] == found[1]
    assert "Step 6: validation has not improved; the rate is now 0.5 of its peak." in seldom.lines
    assert [report.learning_rate for report in often.reports] == [1e-7] * 6 + [0.5e-7]


def test_metrics_of_a_torn_run_hold_each_step_once_and_the_same_numbers(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    torn(texts, tmp_path / "run", (3, 7, 11), steps=12, dropout=0.1, **OFTEN)
    exact = ("step", "tokens", "epoch", "train_loss", "val_loss", "learning_rate", "gradient_norm", "train_sample_loss")
    tables = [
        [{name: line[name] for name in exact if name in line} for line in read(folder / "metrics.jsonl")]
        for folder in (whole.path, tmp_path / "run")
    ]
    assert tables[0] == tables[1]
    assert [(s["step"], s["text"]) for s in whole.folder.samples()] == [
        (s["step"], s["text"]) for s in read(tmp_path / "run" / "samples.jsonl")
    ]


def test_another_way_of_computing_is_announced(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(5), out=str(tmp_path / "run"), steps=8)
    watcher = stop_at(6)
    with pytest.raises(Stopped):
        go_on(tmp_path / "run", watcher, micro_batch_size=2)
    assert "Continues, but not to the same bits: micro_batch_size 4 -> 2." in watcher.lines


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
