"""The recorded curves of tests/coaching/curves (made by benchmarks/coach_curves.py), and what a session makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from bajka.coaching.coach import Advice, advise
from bajka.coaching.facts import Facts, facts_of

FOLDER = Path(__file__).parent / "coaching" / "curves"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Recorded:
    """A run of ours: its facts, and some of the lines of its metrics.jsonl."""

    name: str
    document: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def facts(self) -> Facts:
        return facts_of(self.document, run="runs/mine", cores=1)

    def prefixes(self) -> Iterator[list[dict[str, Any]]]:
        """The lines at each evaluation, as a session sees them."""
        for number, line in enumerate(self.lines):
            if "val_loss" in line:
                yield self.lines[: number + 1]


@cache
def recorded(name: str) -> Recorded:
    """A recorded curve by its name; lines in order of steps, an evaluation after its step."""
    value = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    plan = value["plan"]["plan"]
    an_epoch = max(1, plan["expected_steps"]) / plan["expected_epochs"]
    lines = [
        {"epoch": row["step"] / an_epoch} | row
        for columns in (value["steps"], value["evaluations"])
        for row in _rows(columns)
    ]
    return Recorded(name, value["plan"], sorted(lines, key=lambda line: (line["step"], "val_loss" in line)))


def _rows(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Columns as lines; what a line did not have is left out, as in metrics.jsonl."""
    for values in zip(*columns.values(), strict=True):
        yield {name: value for name, value in zip(columns, values, strict=True) if value is not None}


def coached(run: Recorded) -> list[tuple[int, Advice]]:
    """What the coach says on the way, each advice once, with the step at which it is said."""
    given: list[str] = []
    found: list[tuple[int, Advice]] = []
    for lines in run.prefixes():
        for advice in advise(lines, _facts_then(run, lines), given=given):
            given.append(advice.name)
            found.append((lines[-1]["step"], advice))
    return found


def _facts_then(run: Recorded, lines: list[dict[str, Any]]) -> Facts:
    """The facts at that time: a person may have set another rate since ("jump")."""
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    if not rates or lines[-1]["step"] <= run.facts.warmup_steps:
        return run.facts
    return replace(run.facts, learning_rate=max(rates))
