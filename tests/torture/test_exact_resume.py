"""A run that was torn out of its loop and taken up again ends as one that never was: weights, optimizer, numbers,
samples, the best model. Every pair of optimizer, schedule, precision, accumulation, dropout and moment is met.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.hardware import cpp_compiler, native_bf16
from bajka.training import finishing
from resuming import differences
from tiny_runs import Stopped, go_on, stop_at, tales_file, train_tiny

STEPS = 12  # the cooldown of wsd begins after 6
LENGTH: dict[str, Any] = {"steps": STEPS, "evaluate_every_steps": 5, "save_every_steps": 3, "evaluation_windows": 2}

AXES: dict[str, list[dict[str, Any]]] = {
    "optimizer": [{"optimizer": name} for name in ("muon", "adamw", "adam")],
    "schedule": [
        *({"schedule": name} for name in ("wsd", "cosine", "linear", "constant")),
        {"schedule": "plateau", "plateau_every_steps": 2, "plateau_patience": 0, "learning_rate": 1e-7},
    ],
    "precision": [{"precision": name} for name in (("fp32", "bf16") if native_bf16("cpu") else ("fp32",))],
    "accumulation": [{"micro_batch_size": 4}, {"micro_batch_size": 2}],
    "dropout": [{"dropout": 0.0}, {"dropout": 0.1, "attention_dropout": 0.1}],
}
STOPS: dict[str, tuple[int, ...]] = {"early": (1,), "middle": (5,), "late": (10,), "twice": (4, 11)}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"), count=20)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take half of the time of such a run."""
    monkeypatch.setattr(finishing, "draw_plots", lambda run: None)


def combinations() -> list[dict[str, Any]]:
    """The wishes of every cell of the table."""
    return [
        {name: value for part in choice for name, value in part.items()} for choice in itertools.product(*AXES.values())
    ]


def torn(texts: Path, out: Path, stops: tuple[int, ...], wishes: dict[str, Any]) -> bajka.Run:
    """A run that crashed after each of these steps, taken up by its folder each time."""
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(stops[0]), out=str(out), **wishes)
    for step in stops[1:]:
        with pytest.raises(Stopped):
            go_on(out, stop_at(step))
    return go_on(out)


def cells(count: int, *, seed: int) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """`count` combinations, each with moments to stop at: at two of four, all in turn."""
    draw = random.Random(seed)
    chosen = combinations()
    draw.shuffle(chosen)
    for number, wishes in enumerate(chosen[:count]):
        yield wishes, list(STOPS)[number % 2 :: 2]


def resume_all(texts: Path, folder: Path, count: int, *, seed: int) -> dict[str, int]:
    """How many cells were torn, and how many ended the same; says what differs in those that did not."""
    outcome = {"injected": 0, "survived": 0}
    for number, (wishes, moments) in enumerate(cells(count, seed=seed)):
        whole = train_tiny(texts, out=str(folder / f"{number}-whole"), **LENGTH | wishes)
        for moment in moments:
            run = torn(texts, folder / f"{number}-{moment}", STOPS[moment], LENGTH | wishes)
            found = differences(whole, run)
            assert not found, f"{wishes}, stopped {moment}: {found}"
            outcome["injected"] += len(STOPS[moment])
            outcome["survived"] += len(STOPS[moment])
    return outcome


def test_some_cells_end_the_same(texts: Path, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    for name, value in resume_all(texts, tmp_path, 2, seed=1).items():
        record_property(name, value)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_every_pair_of_choices_ends_the_same(
    texts: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """80 of 120 combinations, two moments each: 160 cells (all 60, 120 cells, where the CPU has no bf16)."""
    for name, value in resume_all(texts, tmp_path, 80, seed=2).items():
        record_property(name, value)


def test_the_sample_meets_every_pair_of_choices() -> None:
    met = {
        frozenset([(axis, str(part)), (other, str(another))])
        for wishes, _ in cells(80, seed=2)
        for (axis, parts), (other, others) in itertools.combinations(AXES.items(), 2)
        for part, another in itertools.product(parts, others)
        if (part | another).items() <= wishes.items()
    }
    lengths = [len(parts) for parts in AXES.values()]
    assert len(met) == sum(first * second for first, second in itertools.combinations(lengths, 2))


EVERY_STEP: dict[str, dict[str, Any]] = {
    "muon-wsd": {"optimizer": "muon", "schedule": "wsd", "dropout": 0.1, "micro_batch_size": 2},
    "adamw-cosine": {"optimizer": "adamw", "schedule": "cosine", "dropout": 0.1},
    "adam-linear-documents": {
        "optimizer": "adam",
        "schedule": "linear",
        "windows": "documents",
        "documents": "line",
        "micro_batch_size": 3,
    },
    "plateau": {"optimizer": "adamw", **AXES["schedule"][-1], "micro_batch_size": 1},
}


@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", EVERY_STEP)
def test_stopped_at_any_step_of_24_it_ends_the_same(
    texts: Path, tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    wishes = LENGTH | {"steps": 24, "save_every_steps": 4} | EVERY_STEP[name]
    whole = train_tiny(texts, out=str(tmp_path / "whole"), **wishes)
    for step in range(1, 25):
        assert not differences(whole, torn(texts, tmp_path / str(step), (step,), wishes)), f"stopped at {step}"
    record_property("injected", 24)
    record_property("survived", 24)


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.skipif(cpp_compiler() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adam"])
def test_compiled_runs_end_the_same(texts: Path, tmp_path: Path, optimizer: str) -> None:
    wishes = LENGTH | {"optimizer": optimizer, "compile": "on", "n_layer": 1, "dropout": 0.1, "micro_batch_size": 2}
    whole = train_tiny(texts, out=str(tmp_path / "whole"), **wishes)
    assert not differences(whole, torn(texts, tmp_path / "torn", (2, 10), wishes))
